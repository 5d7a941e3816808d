//! `launch`: folds what was collected and settled into each bucket's ledger, and starts the jobs
//! that heal it. Woken by a schedule; a bucket with nothing to do costs two requests.
//!
//! All policy is in `resilver_heal`; what stands here is reading, one decision, and writing in the
//! [`order`] that loses nothing whenever it is cut short.

mod account;
mod error;
mod job;
mod leftovers;
mod news;
pub mod order;
mod outbox;
mod stream;
mod write;

use std::collections::BTreeSet;

use resilver_aws::{Clients, Settings, Store, Woken};
use resilver_heal::key::Bucket;
use resilver_heal::limits::Limits;
use resilver_heal::plan::JobSettings;
use resilver_heal::state::{StatePrefix, bucket_of};
use serde_json::{Value, json};
use tracing::{error, info};

pub use error::LaunchError;
pub use order::Launched;

/// What the function is given at its cold start.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The AWS clients.
    pub clients: Clients,
    /// The state bucket.
    pub store: Store,
    /// What all jobs have in common.
    pub jobs: JobSettings,
    /// The limits in force.
    pub limits: Limits,
    /// The event bus on which notices are published.
    pub bus: String,
}

impl Ctx {
    /// Reads the function's settings. Every problem with them is reported at once.
    pub fn new(clients: Clients, settings: &mut Settings) -> Self {
        let state_bucket = settings.required("RESILVER_STATE_BUCKET");
        let role_arn = settings.required("RESILVER_JOB_ROLE_ARN");
        let bus = settings.optional("RESILVER_BUS").unwrap_or_else(|| "default".to_owned());
        let limits: Limits = settings.json("RESILVER_LIMITS").unwrap_or_default();
        for problem in limits.problems() {
            settings.problem("RESILVER_LIMITS", &problem);
        }
        let account = clients.account.clone();
        let store = Store::new(clients.clone(), state_bucket.clone());
        let jobs = JobSettings { account, role_arn, state_bucket, priority: 10 };
        Self { clients, store, jobs, limits, bus }
    }
}

/// Launches every bucket that has failures, a ledger or something to say. One bucket's trouble does
/// not keep another from healing: errors are gathered and reported at the end.
pub async fn handle(ctx: &Ctx, woken: &Woken) -> Result<Value, LaunchError> {
    let mut launched = Vec::new();
    let mut first_error = account::forget(ctx, woken.now).await.err();
    for bucket in buckets(ctx).await? {
        match order::launch(ctx, &bucket, woken).await {
            Ok(Launched::Idle) => {}
            Ok(outcome) => {
                info!(bucket = bucket.as_str(), ?outcome, "launched");
                launched.push(json!({"bucket": bucket.as_str(), "outcome": outcome.as_str()}));
            }
            Err(problem) => {
                error!(bucket = bucket.as_str(), error = %problem, "not launched");
                first_error.get_or_insert(problem);
            }
        }
    }
    match first_error {
        None => Ok(json!({ "launched": launched })),
        Some(problem) => Err(problem),
    }
}

async fn buckets(ctx: &Ctx) -> Result<BTreeSet<Bucket>, LaunchError> {
    let mut buckets = BTreeSet::new();
    for prefix in [StatePrefix::AllFailures, StatePrefix::AllLedgers, StatePrefix::AllOutboxes] {
        let found = ctx.store.list_prefixes(&prefix.to_string()).await?;
        buckets.extend(found.iter().filter_map(|prefix| bucket_of(prefix)));
    }
    Ok(buckets)
}
