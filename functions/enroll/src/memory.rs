//! What is remembered of buckets in the state bucket, and what is told of them.

use std::collections::BTreeSet;

use resilver_aws::store::Loaded;
use resilver_aws::{AwsError, Woken};
use resilver_heal::enrolment::{
    ENROLLED_FORMAT, Enrolled, Installed, Obstacle, Refusal, Unenrolled,
};
use resilver_heal::key::{Bucket, JobId};
use resilver_heal::ledger::Head;
use resilver_heal::notice::{Notice, NoticeFact};
use resilver_heal::state::{SAID, StateKey, StatePrefix, bucket_of};
use resilver_heal::time::Timestamp;
use serde_json::json;

use crate::{Ctx, bucket};

/// The buckets that are known.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) enrolled: BTreeSet<Bucket>,
    pub(crate) unenrolled: BTreeSet<Bucket>,
}

impl Memory {
    pub(crate) async fn load(ctx: &Ctx) -> Result<Self, AwsError> {
        let list = async |prefix: StatePrefix<'_>| {
            let listed = ctx.store.list(&prefix.to_string(), usize::MAX).await?;
            Ok::<_, AwsError>(listed.iter().filter_map(|object| bucket_of(&object.key)).collect())
        };
        let enrolled = list(StatePrefix::AllEnrolled).await?;
        Ok(Self { enrolled, unenrolled: list(StatePrefix::AllUnenrolled).await? })
    }
}

/// What is remembered of a bucket that is enrolled.
pub(crate) async fn enrolled(
    ctx: &Ctx,
    bucket: &Bucket,
) -> Result<Option<Loaded<Enrolled>>, Refusal> {
    let key = StateKey::Enrolled(bucket).to_string();
    let known = ctx.store.get_json::<Enrolled>(&key).await.map_err(bucket::ours_failed)?;
    match known {
        Some(known) if known.value.format > ENROLLED_FORMAT => {
            Err(Refusal::newer(bucket, known.value.format))
        }
        known => Ok(known),
    }
}

/// Remembers a bucket. Whoever was faster has written the same.
pub(crate) async fn remember(
    ctx: &Ctx,
    enrolled: &Enrolled,
    expected: Option<&str>,
) -> Result<(), AwsError> {
    let key = StateKey::Enrolled(&enrolled.bucket).to_string();
    ctx.store.swap_json(&key, enrolled, expected).await.map(drop)
}

/// Forgets a bucket.
pub(crate) async fn forget(ctx: &Ctx, bucket: &Bucket) -> Result<(), AwsError> {
    let mut known = Vec::new();
    for key in [StateKey::Enrolled(bucket), StateKey::Unenrolled(bucket)] {
        let key = key.to_string();
        // Where there is nothing, S3 leaves a marker all the same (S3 User Guide: DeleteMarker), and the state
        // bucket of a stack that did not come to be has to stay empty.
        if ctx.store.exists(&key).await? {
            known.push(key);
        }
    }
    if known.is_empty() { Ok(()) } else { ctx.store.delete(&known).await }
}

/// Tells what stands in the way of a bucket, once for as long as it does.
pub(crate) async fn remember_trouble(
    ctx: &Ctx,
    woken: &Woken,
    memory: &Memory,
    bucket: &Bucket,
    refusal: &Refusal,
) -> Result<(), AwsError> {
    let key = StateKey::Unenrolled(bucket).to_string();
    let before = match memory.unenrolled.contains(bucket) {
        true => ctx.store.get_json::<Unenrolled>(&key).await?.map(|loaded| loaded.value),
        false => None,
    };
    let now = Unenrolled::new(before.as_ref(), bucket, refusal.code, woken.now);
    if before.as_ref() != Some(&now) {
        let text = serde_json::to_vec_pretty(&json!(now)).unwrap_or_default();
        ctx.store.put(&key, text.into(), "application/json").await?;
    }
    tell(ctx, &Notice::new(bucket, woken.now, now.since, refusal.fact())).await?;
    if refusal.code == Obstacle::Gone {
        ctx.store.delete(&[StateKey::Enrolled(bucket).to_string()]).await?;
    }
    Ok(())
}

/// Nothing stands in the way of a bucket any more.
pub(crate) async fn forget_trouble(
    ctx: &Ctx,
    memory: &Memory,
    bucket: &Bucket,
) -> Result<(), AwsError> {
    match memory.unenrolled.contains(bucket) {
        true => ctx.store.delete(&[StateKey::Unenrolled(bucket).to_string()]).await,
        false => Ok(()),
    }
}

/// Tells that a bucket which is no longer wanted is gone, or that our entry could not be taken out.
pub(crate) async fn tell_left(
    ctx: &Ctx,
    woken: &Woken,
    known: &Enrolled,
    refusal: &Refusal,
) -> Result<(), AwsError> {
    let gone = refusal.code == Obstacle::Gone;
    let fact = if gone { refusal.fact() } else { refusal.left_behind(&known.bucket) };
    tell(ctx, &Notice::new(&known.bucket, woken.now, known.since, fact)).await?;
    if gone { forget(ctx, &known.bucket).await } else { Ok(()) }
}

/// Tells a fact of a bucket.
pub(crate) async fn say(
    ctx: &Ctx,
    woken: &Woken,
    bucket: &Bucket,
    since: Timestamp,
    fact: NoticeFact,
) -> Result<(), AwsError> {
    tell(ctx, &Notice::new(bucket, woken.now, since, fact)).await
}

/// Puts a notice into the bucket's outbox; the same notice is there only once.
async fn tell(ctx: &Ctx, notice: &Notice) -> Result<(), AwsError> {
    if !ctx.store.exists(&StateKey::Notice(&notice.id, SAID).to_string()).await? {
        let key = StateKey::Outbox(&notice.bucket, &notice.id).to_string();
        ctx.store.put_json_new(&key, notice).await?;
    }
    Ok(())
}

/// Whether the stack is installed, as far as CloudFormation has said.
pub(crate) async fn is_installed(ctx: &Ctx) -> Result<bool, AwsError> {
    let found = ctx.store.get_json::<Installed>(&StateKey::Enrolment.to_string()).await?;
    Ok(found.is_none_or(|found| found.value.installed))
}

/// Remembers that the stack is installed, or that it goes.
pub(crate) async fn installed(ctx: &Ctx, woken: &Woken, installed: bool) -> Result<(), AwsError> {
    let said = json!(Installed::new(&ctx.ours.stack, installed, woken.now));
    let text = serde_json::to_vec_pretty(&said).unwrap_or_default();
    let key = StateKey::Enrolment.to_string();
    ctx.store.put(&key, text.into(), "application/json").await.map(drop)
}

/// The jobs of ours that are in flight.
pub(crate) async fn jobs(ctx: &Ctx) -> Result<Vec<(Bucket, JobId)>, AwsError> {
    let mut jobs = Vec::new();
    let ledgers = ctx.store.list_prefixes(&StatePrefix::AllLedgers.to_string()).await?;
    for bucket in ledgers.iter().filter_map(|prefix| bucket_of(prefix)) {
        let head = ctx.store.get_json::<Head>(&StateKey::Head(&bucket).to_string()).await?;
        let flights = head.into_iter().flat_map(|head| head.value.flights.into_values());
        jobs.extend(flights.filter_map(|flight| Some((bucket.clone(), flight.job?))));
    }
    Ok(jobs)
}
