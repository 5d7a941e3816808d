//! `launch`: folds what was collected and settled into each bucket's ledger, and starts the jobs
//! that heal it. Woken by a schedule; a bucket with nothing to do costs two requests.
//!
//! All policy is in `resilver_heal`; what stands here is reading, one decision, and writing in the
//! [`order`] that loses nothing whenever it is cut short.

mod account;
mod change;
mod error;
mod job;
mod leftovers;
mod measure;
mod news;
pub mod order;
mod outbox;
mod scan;
mod stream;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use resilver_aws::{Clients, Metrics, Settings, Store, Woken, wall_clock};
use resilver_heal::key::Bucket;
use resilver_heal::limits::Limits;
use resilver_heal::plan::JobSettings;
use resilver_heal::state::{StatePrefix, bucket_of};
use resilver_heal::time::{Timestamp, minutes};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::{Instrument, error, info, info_span};

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
    /// Where the metrics go; nowhere unless somebody says so.
    pub metrics: Metrics,
    /// Names what this process writes.
    pub(crate) names: Arc<Names>,
}

/// Names that no other launch gives, not even one that the same event woke: Lambda may deliver an
/// event twice, with the same request id, to two processes at once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The log stream, which every process of a function has to itself, and when it began.
    process: String,
    given: AtomicU64,
}

impl Names {
    /// 12 hex digits.
    pub(crate) fn next(&self, bucket: &Bucket, woken: &Woken) -> String {
        let given = self.given.fetch_add(1, Ordering::Relaxed);
        let of = format!("{}|{given}|{}|{bucket}", self.process, woken.id);
        hex::encode(Sha256::digest(of)).chars().take(12).collect()
    }
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
        // A process that follows one that ended badly may have its log stream, and begins later.
        let stream = settings.optional("AWS_LAMBDA_LOG_STREAM_NAME");
        let process = stream.map_or_else(String::new, |name| format!("{name}|{}", wall_clock()));
        let names = Arc::new(Names { process, given: AtomicU64::default() });
        let metrics = Metrics::default();
        Self { clients, store, jobs, limits, bus, metrics, names }
    }

    /// The same, measured.
    #[must_use]
    pub fn measured(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }
}

/// Launches every bucket that has failures, a ledger or something to say. One bucket's trouble does
/// not keep another from healing: errors are gathered and reported at the end, and every time
/// another bucket is the first, in case there is not time, or room, for all.
///
/// A change in the account that may be a repair launches only the buckets that it makes a canary due in.
pub async fn handle(ctx: &Ctx, woken: &Woken, event: &Value) -> Result<Value, LaunchError> {
    if let Some(detail) = event.get("detail") {
        return Box::pin(change::handle(ctx, woken, detail)).await;
    }
    let first_error = account::forget(ctx, woken.now).await.err();
    let mut buckets: Vec<_> = buckets(ctx).await?.into_iter().collect();
    let first = first(woken.now, buckets.len());
    buckets.rotate_left(first);
    launch_all(ctx, woken, buckets, first_error).await
}

/// Which of so many buckets is the first at a time. However far apart the ticks are, each is in its turn: the
/// multiples of the golden ratio leave no stretch of a circle out for long (Knuth, TAOCP 6.4).
fn first(now: Timestamp, buckets: usize) -> usize {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let place = (now.0 / minutes(1)).wrapping_mul(GOLDEN);
    // The high half of the product: a fraction of the circle becomes one of the buckets.
    let first = (u128::from(place) * buckets as u128) >> 64;
    usize::try_from(first).unwrap_or_default()
}

/// Launches these buckets in turn; gives what came of them, or the first of the problems, with the one that
/// there was before.
async fn launch_all(
    ctx: &Ctx,
    woken: &Woken,
    buckets: Vec<(Bucket, Found)>,
    mut first_error: Option<LaunchError>,
) -> Result<Value, LaunchError> {
    let mut launched = Vec::new();
    for (bucket, found) in buckets {
        let span = info_span!("launch", bucket = bucket.as_str());
        // On the heap: with all that it holds while it waits, it is too large for a small stack.
        let launch = Box::pin(order::launch(ctx, &bucket, woken, found));
        match launch.instrument(span).await {
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

/// What the listing of all buckets tells of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// It is enrolled.
    pub(crate) enrolled: bool,
    /// Backfills of it are asked for.
    pub(crate) asked: bool,
}

async fn buckets(ctx: &Ctx) -> Result<BTreeMap<Bucket, Found>, LaunchError> {
    let mut buckets = BTreeMap::new();
    for prefix in [
        StatePrefix::AllFailures,
        StatePrefix::AllLedgers,
        StatePrefix::AllOutboxes,
        StatePrefix::AllBackfills,
    ] {
        for found in ctx.store.list_prefixes(&prefix.to_string()).await? {
            let Some(bucket) = bucket_of(&found) else { continue };
            let found: &mut Found = buckets.entry(bucket).or_default();
            found.asked |= prefix == StatePrefix::AllBackfills;
        }
    }
    for found in ctx.store.list(&StatePrefix::AllEnrolled.to_string(), usize::MAX).await? {
        let Some(bucket) = bucket_of(&found.key) else { continue };
        buckets.entry(bucket).or_default().enrolled = true;
    }
    Ok(buckets)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_bucket_is_the_first_in_its_turn_whatever_the_schedule() {
        for buckets in 1..=120 {
            for (every, begin) in [(1, 0), (5, 0), (5, 3), (7, 1), (15, 14), (60, 5)] {
                let tick = |n: u64| Timestamp(minutes(29_000_000 + begin + n * every));
                let ticks = 0..8 * buckets as u64;
                let firsts: BTreeSet<usize> = ticks.map(|n| first(tick(n), buckets)).collect();
                assert_eq!(firsts.len(), buckets, "of {buckets}, every {every} minutes");
            }
        }
        assert_eq!(first(Timestamp(0), 0), 0);
    }
}
