//! The jobs of ours that may have ended: those that the ledgers' heads call in flight.

use resilver_heal::key::{Bucket, JobId};
use resilver_heal::ledger::Head;
use resilver_heal::plan::PlanId;
use resilver_heal::state::{StateKey, StatePrefix, bucket_of};
use resilver_heal::time::Timestamp;

use crate::{Ctx, SettleError};

/// A job that a head names.
#[derive(Debug, Clone)]
pub(crate) struct Flying {
    pub(crate) bucket: Bucket,
    pub(crate) plan: PlanId,
    pub(crate) job: JobId,
    /// When it was planned.
    pub(crate) at: Timestamp,
    /// It waits to be let go by launch, or by a person who was asked: nobody has to look after it.
    pub(crate) waits: bool,
}

/// The jobs, and the first of the problems: a head that cannot be read keeps no other bucket's jobs from
/// being settled.
pub(crate) async fn flights(ctx: &Ctx) -> Result<(Vec<Flying>, Option<SettleError>), SettleError> {
    let (mut flights, mut first_error) = (Vec::new(), None);
    let ledgers = StatePrefix::AllLedgers.to_string();
    for prefix in ctx.store.list_prefixes(&ledgers).await? {
        let Some(bucket) = bucket_of(&prefix) else {
            continue;
        };
        let key = StateKey::Head(&bucket).to_string();
        let head = match ctx.store.get_json::<Head>(&key).await {
            Ok(Some(head)) => head,
            Ok(None) => continue,
            Err(problem) => {
                tracing::error!(bucket = bucket.as_str(), error = %problem, "not settled");
                first_error.get_or_insert(problem.into());
                continue;
            }
        };
        for (plan, flight) in head.value.flights {
            if let Some(job) = flight.job {
                let scan = head.value.scan.as_ref();
                let waits = scan.is_some_and(|scan| scan.waits_for_us(&plan));
                flights.push(Flying { bucket: bucket.clone(), plan, job, at: flight.at, waits });
            }
        }
    }
    Ok((flights, first_error))
}
