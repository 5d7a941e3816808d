//! `enroll`: wires buckets that already exist to the failure queue, by merging one entry into each
//! bucket's notification document and keeping every other entry as it is. Woken by CloudFormation when
//! the stack comes, changes or goes, by a schedule, and by whoever writes such a document.
//!
//! It reads, lets `heal::enrolment` decide, and writes only what changes. Every bucket stands alone:
//! what stands in the way of one keeps no other from being heard.

mod answer;
mod bucket;
mod memory;
mod wanted;

use std::time::Duration;

use futures::StreamExt;
use resilver_aws::{AwsError, Clients, Settings, SettingsError, Store, Woken};
use resilver_heal::enrolment::{By, Ours, Refusal};
use resilver_heal::key::Bucket;
use resilver_heal::limits::ENROLL_AT_ONCE;
use resilver_heal::time::Timestamp;
use serde_json::{Value, json};
use tracing::{error, info, warn};

use crate::memory::Memory;
use crate::wanted::Wanted;

/// What the function is given at its cold start.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The AWS clients.
    pub clients: Clients,
    /// The state bucket.
    pub store: Store,
    /// Our entry.
    pub ours: Ours,
    /// The buckets that are named, as they are written in the settings.
    pub names: Vec<String>,
    /// The tag, key and value, whose buckets are healed.
    pub tag: Option<(String, String)>,
    /// How long it has until CloudFormation has to be answered.
    pub within: Duration,
    /// What is wrong with the settings: CloudFormation has to hear even of that.
    broken: Option<SettingsError>,
}

impl Ctx {
    /// Reads the function's settings.
    pub fn new(clients: Clients, settings: &mut Settings) -> Self {
        let bucket = settings.required("RESILVER_STATE_BUCKET");
        let queue = settings.required("RESILVER_QUEUE_ARN");
        let stack = settings.required("RESILVER_STACK");
        if !stack.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            settings.problem("RESILVER_STACK", "a stack's name is letters, digits and hyphens");
        }
        let names = settings.optional("RESILVER_BUCKETS").unwrap_or_default();
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let tag = settings.optional("RESILVER_BUCKET_TAG");
        let tag = tag.and_then(|tag| match tag.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Some((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => {
                settings.problem("RESILVER_BUCKET_TAG", "write it as key=value");
                None
            }
        });
        Self {
            store: Store::new(clients.clone(), bucket),
            clients,
            ours: Ours::new(&stack, &queue),
            names: names.map(str::to_owned).collect(),
            tag,
            within: Duration::from_secs(60),
            broken: None,
        }
    }

    /// The same function, whose settings turned out so. It starts all the same: CloudFormation waits
    /// an hour for a resource that does not answer.
    #[must_use]
    pub fn whose(self, settings: Result<(), SettingsError>) -> Self {
        Self { broken: settings.err(), ..self }
    }

    /// The same function with this much time.
    #[must_use]
    pub fn within(&self, within: Duration) -> Self {
        Self { within, ..self.clone() }
    }
}

/// Why some buckets are not as they should be; the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// AWS did not do what was asked.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Something that may pass; what does not is told as a notice.
    #[error("{0} buckets are not done: {1}")]
    Later(usize, Refusal),
}

/// What woke the function. CloudFormation does not say when it asked: then it is `now`.
pub fn woken(event: &Value, id: &str, now: Timestamp) -> Woken {
    Woken::of(event, id).unwrap_or_else(|_| Woken::at(now, id))
}

/// Enrols what the settings name, lets go what they no longer name, and repairs what others overwrote.
///
/// # Errors
/// Something is not done that the next run will try again.
pub async fn handle(ctx: &Ctx, woken: &Woken, event: &Value) -> Result<Value, EnrollError> {
    if let Some(request) = answer::Request::of(event) {
        return Ok(Box::pin(answer::answer(ctx, woken, &request)).await?);
    }
    if let Some(broken) = &ctx.broken {
        return Err(broken.clone().into());
    }
    if !memory::is_installed(ctx).await? {
        info!("the stack is being deleted: nothing is enrolled any more");
        return Ok(json!({"enrolled": 0}));
    }
    let memory = Memory::load(ctx).await?;
    let detail = event.get("detail");
    let Some(detail) = detail.filter(|detail| detail["eventName"] == "PutBucketNotification")
    else {
        return Box::pin(everything(ctx, woken, &memory)).await;
    };
    let name = detail.pointer("/requestParameters/bucketName").and_then(Value::as_str);
    let bucket = name.and_then(|name| Bucket::try_from(name.to_owned()).ok());
    let known =
        |bucket: &Bucket| memory.enrolled.contains(bucket) || memory.unenrolled.contains(bucket);
    let ours = bucket.filter(|bucket| known(bucket) && detail.get("errorCode").is_none());
    let Some(bucket) = ours else {
        return Ok(json!({"enrolled": 0}));
    };
    finish(vec![keep(ctx, woken, &memory, &bucket, By::Settings).await])
}

/// Enrols one bucket, for a person.
///
/// # Errors
/// It is not enrolled; says why and what to do.
pub async fn enroll(ctx: &Ctx, woken: &Woken, bucket: &Bucket) -> Result<(), Refusal> {
    let memory = Memory::load(ctx).await.map_err(bucket::ours_failed)?;
    Box::pin(bucket::enroll(ctx, woken, &memory, bucket, By::Person, true)).await
}

/// Lets one bucket go, for a person.
///
/// # Errors
/// Our entry is still there; says why and what to do.
pub async fn unenroll(ctx: &Ctx, bucket: &Bucket) -> Result<(), Refusal> {
    bucket::let_go(ctx, bucket).await
}

/// What enrolling a bucket would change in its notification document, a line an entry; nothing if it is
/// as it should be. Nothing is written.
///
/// # Errors
/// It could not be enrolled; says why and what to do.
pub async fn preview(ctx: &Ctx, bucket: &Bucket) -> Result<Vec<String>, Refusal> {
    bucket::preview(ctx, bucket).await
}

/// The same of letting it go.
///
/// # Errors
/// Its document cannot be read.
pub async fn preview_leaving(ctx: &Ctx, bucket: &Bucket) -> Result<Vec<String>, Refusal> {
    bucket::preview_leaving(ctx, bucket).await
}

/// The scheduled run.
async fn everything(ctx: &Ctx, woken: &Woken, memory: &Memory) -> Result<Value, EnrollError> {
    let wanted = Wanted::find(ctx).await;
    let (wanted, memory) = (&wanted, memory);
    let every = wanted.buckets.union(&memory.enrolled).chain(&memory.unenrolled);
    let every: std::collections::BTreeSet<&Bucket> = every.collect();
    let work = every.into_iter().map(|bucket| async move {
        match wanted.has(bucket) {
            Some(false) if !memory.enrolled.contains(bucket) => {
                memory::forget_trouble(ctx, memory, bucket).await.map_err(bucket::ours_failed)
            }
            Some(false) => leave(ctx, woken, memory, bucket).await,
            // Whether it is wanted cannot be told: what is enrolled stays so.
            None if !memory.enrolled.contains(bucket) => Ok(()),
            _ => keep(ctx, woken, memory, bucket, By::Settings).await,
        }
    });
    let done = futures::stream::iter(work).buffered(ENROLL_AT_ONCE).collect().await;
    let told = finish(done);
    for name in &wanted.no_names {
        error!(why = name, "a name in RESILVER_BUCKETS is no bucket's");
    }
    match &wanted.problem {
        Some(problem) => Err(problem.clone().into()),
        None => told,
    }
}

/// Enrols a bucket, or finds it enrolled; what stands in the way is told once.
async fn keep(
    ctx: &Ctx,
    woken: &Woken,
    memory: &Memory,
    bucket: &Bucket,
    by: By,
) -> Result<(), Refusal> {
    let kept = Box::pin(bucket::enroll(ctx, woken, memory, bucket, by, false)).await;
    let Err(refusal) = kept else { return Ok(()) };
    warn!(bucket = bucket.as_str(), why = %refusal, "not enrolled");
    if refusal.may_pass() {
        return Err(refusal);
    }
    memory::remember_trouble(ctx, woken, memory, bucket, &refusal)
        .await
        .map_err(bucket::ours_failed)
}

/// Lets a bucket go that the settings no longer name, unless a person asked for it.
async fn leave(ctx: &Ctx, woken: &Woken, memory: &Memory, bucket: &Bucket) -> Result<(), Refusal> {
    let known = memory::enrolled(ctx, bucket).await?;
    let Some(known) = known else { return Ok(()) };
    if known.value.by == By::Person {
        return keep(ctx, woken, memory, bucket, By::Person).await;
    }
    let Err(refusal) = bucket::unenroll(ctx, bucket).await else {
        info!(bucket = bucket.as_str(), "no longer wanted, and let go");
        return Ok(());
    };
    if refusal.may_pass() {
        return Err(refusal);
    }
    memory::tell_left(ctx, woken, &known.value, &refusal).await.map_err(bucket::ours_failed)
}

fn finish(done: Vec<Result<(), Refusal>>) -> Result<Value, EnrollError> {
    let buckets = done.len();
    let mut refusals: Vec<Refusal> = done.into_iter().filter_map(Result::err).collect();
    match refusals.len() {
        0 => Ok(json!({ "enrolled": buckets })),
        later => Err(EnrollError::Later(later, refusals.swap_remove(0))),
    }
}
