//! `backfill`: looks at the replication configuration of each enrolled bucket, asks for jobs over what
//! existed before a rule or a destination that is new, and tells of blind spots. Woken by a schedule,
//! and by changes of a bucket where the account has a trail; an event only makes it look.
//!
//! What a change calls for is decided in `resilver_heal::configuration`; the jobs are `launch`'s.

mod bucket;
mod read;

use std::collections::BTreeSet;

use resilver_aws::{AwsError, Clients, Kind, Settings, Store, Woken, configuration};
use resilver_heal::configuration::Config;
use resilver_heal::finding::{self, Code, Finding};
use resilver_heal::key::Bucket;
use resilver_heal::limits::Limits;
use resilver_heal::state::{StateKey, StatePrefix, bucket_of};
use resilver_heal::time::Timestamp;
use serde_json::{Value, json};
use tracing::{Instrument, error, info, info_span};

/// What the function is given at its cold start.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The AWS clients.
    pub clients: Clients,
    /// The state bucket.
    pub store: Store,
    /// The limits in force: what a job costs in a bucket of the size that they name.
    pub limits: Limits,
}

impl Ctx {
    /// Reads the function's settings. Every problem with them is reported at once.
    pub fn new(clients: Clients, settings: &mut Settings) -> Self {
        let bucket = settings.required("RESILVER_STATE_BUCKET");
        let limits: Limits = settings.json("RESILVER_LIMITS").unwrap_or_default();
        for problem in limits.problems() {
            settings.problem("RESILVER_LIMITS", &problem);
        }
        Self { store: Store::new(clients.clone(), bucket), clients, limits }
    }
}

/// Why a bucket could not be looked at. Nothing is lost: the next look starts over.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// AWS did not do what was asked.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A document of ours cannot be read.
    #[error("{key} cannot be read: {why}; leave it as it is and update this release")]
    Document {
        /// The object.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody else wrote the document every time.
    #[error("{0} was written by others at every try; the next look tries again")]
    Contended(String),
}

/// Looks at the bucket that an event names, if it is enrolled, or at every enrolled bucket. One
/// bucket's trouble does not keep another from being looked at.
///
/// # Errors
/// The first of the problems, when all is done that could be.
pub async fn handle(ctx: &Ctx, woken: &Woken, event: &Value) -> Result<Value, BackfillError> {
    let named = event.pointer("/detail/requestParameters/bucketName").and_then(Value::as_str);
    let named = named.and_then(|name| Bucket::try_from(name.to_owned()).ok());
    let by_event = named.is_some();
    let buckets = match named {
        Some(bucket) => {
            let enrolled = StateKey::Enrolled(&bucket).to_string();
            ctx.store.exists(&enrolled).await?.then_some(bucket).into_iter().collect()
        }
        None => enrolled(ctx).await?,
    };
    let mut first_error = None;
    for bucket in &buckets {
        let span = info_span!("look", bucket = bucket.as_str());
        match Box::pin(bucket::look(ctx, bucket, woken, by_event)).instrument(span).await {
            Ok(planned) if planned > 0 => info!(bucket = bucket.as_str(), planned, "backfills"),
            Ok(_) => {}
            Err(problem) => {
                error!(bucket = bucket.as_str(), error = %problem, "not looked at");
                first_error.get_or_insert(problem);
            }
        }
    }
    if !by_event && let Err(problem) = bucket::look_at_state(ctx, woken).await {
        error!(bucket = ctx.store.bucket, error = %problem, "not looked at");
        first_error.get_or_insert(problem);
    }
    first_error.map_or_else(|| Ok(json!({"buckets": buckets.len()})), Err)
}

/// What there is to find in a bucket now, for a person: nothing is remembered, and nothing told. Gives
/// the codes too of which nothing can be said, because something was not read.
///
/// # Errors
/// The bucket is not there, or AWS does not answer.
pub async fn examine(
    ctx: &Ctx,
    bucket: &Bucket,
    now: Timestamp,
) -> Result<(Vec<Finding>, BTreeSet<Code>), BackfillError> {
    let key = StateKey::Config(bucket).to_string();
    let stored = ctx.store.get_json::<Config>(&key).await?;
    let mut config = stored.map_or_else(|| Config::new(bucket), |stored| stored.value);
    let denied = match configuration::replication(&ctx.clients, bucket.as_str()).await {
        Ok(read) => {
            config.acted = Some(read);
            None
        }
        Err(problem) if problem.kind == Kind::Denied => Some(configuration::REPLICATION),
        Err(problem) => return Err(problem.into()),
    };
    Ok(read::sight(ctx, &config, denied, now).await.findings())
}

/// The same of the state bucket.
pub async fn examine_state(ctx: &Ctx) -> (Vec<Finding>, BTreeSet<Code>) {
    let kms = configuration::kms(&ctx.clients, &ctx.store.bucket).await;
    finding::of_state(&ctx.store.bucket, &kms)
}

async fn enrolled(ctx: &Ctx) -> Result<Vec<Bucket>, BackfillError> {
    let listed = ctx.store.list(&StatePrefix::AllEnrolled.to_string(), usize::MAX).await?;
    Ok(listed.iter().filter_map(|object| bucket_of(&object.key)).collect())
}
