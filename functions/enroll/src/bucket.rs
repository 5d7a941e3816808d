//! One bucket: its document is read, decided on, written if it changes, and read back. S3 has no
//! condition for writing it, so whoever writes at the same moment wins or loses by chance: what was
//! written is looked at again, and written again if it is gone.
//!
//! The entry is put into the bucket before the bucket is remembered as enrolled, and taken out before it
//! is forgotten. Cut short in between, the next run finds an entry that is right and remembers it, or a
//! bucket to let go in which there is nothing left to take out.

use bytes::Bytes;
use resilver_aws::store::Loaded;
use resilver_aws::{AwsError, Kind, Woken, buckets};
use resilver_heal::enrolment::{
    By, Enrolled, Merge, Obstacle, Refusal, Standing, Unvalidated, diff, install, others, remove,
};
use resilver_heal::key::Bucket;
use resilver_heal::limits::{ENROLL_QUEUE_PAUSES_MS, ENROLL_READ_PAUSES_MS, ENROLL_WRITES_MAX};
use resilver_heal::notice::NoticeFact;
use resilver_heal::time::Timestamp;
use tracing::info;

use crate::Ctx;
use crate::memory::{self, Memory};

/// Enrols a bucket, or finds it enrolled. `afresh` looks at the bucket itself too, as is done anyway
/// with one that is not enrolled yet.
pub(crate) async fn enroll(
    ctx: &Ctx,
    woken: &Woken,
    memory: &Memory,
    bucket: &Bucket,
    by: By,
    afresh: bool,
) -> Result<(), Refusal> {
    let known = match memory.enrolled.contains(bucket) {
        true => memory::enrolled(ctx, bucket).await?,
        false => None,
    };
    if afresh || known.is_none() {
        survey(ctx, bucket).await?;
    }
    let document = match read(ctx, bucket).await {
        // It may be another bucket of the same name, in another Region.
        Err(refusal) if refusal.may_pass() && known.is_some() => {
            survey(ctx, bucket).await?;
            return Err(refusal);
        }
        read => read?,
    };
    let known = match known {
        Some(known) => Some(drifted(ctx, known, &document).await?),
        None => None,
    };
    let unvalidated = write(ctx, bucket, document).await?;
    let (since, etag, enrolled) = match &known {
        Some(Loaded { value, etag }) => {
            (value.since, Some(etag.as_str()), value.again(&ctx.ours, by, woken.now))
        }
        None => (woken.now, None, Enrolled::new(bucket, &ctx.ours, by, woken.now)),
    };
    let mut facts: Vec<(Timestamp, NoticeFact)> = Vec::new();
    if let Some(before) = known.as_ref().map(|known| &known.value)
        && let Some(found) = before.drift.clone()
    {
        facts.push((before.verified, NoticeFact::Drifted { found }));
    }
    let fact = unvalidated.and_then(|it| it.fact(bucket, &ctx.ours));
    facts.extend(fact.map(|fact| (since, fact)));
    for (since, fact) in facts {
        memory::say(ctx, woken, bucket, since, fact).await.map_err(ours_failed)?;
    }
    memory::remember(ctx, &enrolled, etag).await.map_err(ours_failed)?;
    memory::forget_trouble(ctx, memory, bucket).await.map_err(ours_failed)
}

/// Remembers that our entry was overwritten before it is put back: cut short in between, it is told all
/// the same.
async fn drifted(
    ctx: &Ctx,
    known: Loaded<Enrolled>,
    document: &[u8],
) -> Result<Loaded<Enrolled>, Refusal> {
    let (Standing::Drifted { found }, None) = (known.value.standing(document), &known.value.drift)
    else {
        return Ok(known);
    };
    info!(bucket = known.value.bucket.as_str(), found, "our entry was overwritten");
    let value = Enrolled { drift: Some(found), ..known.value };
    memory::remember(ctx, &value, Some(&known.etag)).await.map_err(ours_failed)?;
    let stored = memory::enrolled(ctx, &value.bucket).await?;
    Ok(stored.unwrap_or(Loaded { value, etag: known.etag }))
}

/// Lets a bucket go: takes out our entry, and nothing else.
pub(crate) async fn unenroll(ctx: &Ctx, bucket: &Bucket) -> Result<(), Refusal> {
    let mut writes = 0;
    while let Some(document) = remove(&read(ctx, bucket).await?, &ctx.ours)?.into_document() {
        if writes == ENROLL_WRITES_MAX {
            return Err(Refusal::contended(bucket, writes));
        }
        buckets::pause(&ctx.clients, pause_before(writes)).await;
        // Without asking the destinations: nothing is added, and theirs may be gone.
        put(ctx, bucket, document, true).await.map_err(|problem| failed(bucket, problem))?;
        writes += 1;
    }
    memory::forget(ctx, bucket).await.map_err(ours_failed)
}

/// What [`enroll`] would write, as a diff.
pub(crate) async fn preview(ctx: &Ctx, bucket: &Bucket) -> Result<Vec<String>, Refusal> {
    survey(ctx, bucket).await?;
    let document = read(ctx, bucket).await?;
    let next = install(&document, &ctx.ours)?.into_document();
    Ok(next.map(|next| diff(&document, next.as_bytes())).unwrap_or_default())
}

/// What [`unenroll`] would write, as a diff.
pub(crate) async fn preview_leaving(ctx: &Ctx, bucket: &Bucket) -> Result<Vec<String>, Refusal> {
    let document = read(ctx, bucket).await?;
    let next = remove(&document, &ctx.ours)?.into_document();
    Ok(next.map(|next| diff(&document, next.as_bytes())).unwrap_or_default())
}

/// Lets a bucket go, and forgets it if it is gone.
pub(crate) async fn let_go(ctx: &Ctx, bucket: &Bucket) -> Result<(), Refusal> {
    let done = unenroll(ctx, bucket).await;
    if done.as_ref().is_err_and(|refusal| refusal.code == Obstacle::Gone) {
        memory::forget(ctx, bucket).await.map_err(ours_failed)?;
    }
    done
}

/// Whether failures of the bucket can be heard of here at all.
async fn survey(ctx: &Ctx, bucket: &Bucket) -> Result<(), Refusal> {
    let theirs = buckets::region(&ctx.clients, bucket.as_str()).await;
    let theirs = theirs.map_err(|problem| failed(bucket, problem))?;
    let ours = buckets::own_region(&ctx.clients);
    match theirs {
        None => return Err(Refusal::gone(bucket)),
        Some(theirs) if theirs != ours => return Err(Refusal::region(bucket, &theirs, &ours)),
        Some(_) => {}
    }
    let versioning = buckets::versioning(&ctx.clients, bucket.as_str()).await;
    match versioning.map_err(|problem| failed(bucket, problem))?.as_str() {
        "Enabled" => Ok(()),
        other => Err(Refusal::unversioned(bucket, &other.to_lowercase())),
    }
}

/// Puts our entry into the document until it is read back there. Gives whose destinations had to go
/// unasked.
async fn write(
    ctx: &Ctx,
    bucket: &Bucket,
    mut document: Bytes,
) -> Result<Option<Unvalidated>, Refusal> {
    let mut writes = 0;
    let mut pauses = ENROLL_QUEUE_PAUSES_MS.iter();
    let mut unasked = None;
    while let Merge::Write(next) = install(&document, &ctx.ours)? {
        if writes == ENROLL_WRITES_MAX {
            return Err(Refusal::contended(bucket, writes));
        }
        match put(ctx, bucket, next, unasked.is_some()).await {
            Ok(()) => {
                writes += 1;
                document = read_back(ctx, bucket).await?;
                continue;
            }
            Err(problem) => {
                let said = &problem.message;
                let unvalidated = Unvalidated::of(said, &others(&document, &ctx.ours), &ctx.ours);
                match (unvalidated, pauses.as_slice().first()) {
                    (None, _) if problem.kind != Kind::Conflict => {
                        return Err(failed(bucket, problem));
                    }
                    (Some(theirs @ Unvalidated::Theirs(_)), _) if unasked.is_none() => {
                        unasked = Some(theirs);
                    }
                    (_, Some(pause)) => {
                        pauses.next();
                        buckets::pause(&ctx.clients, *pause).await;
                    }
                    (Some(unsaid @ Unvalidated::Unsaid(_)), None) if unasked.is_none() => {
                        unasked = Some(unsaid);
                    }
                    (Some(Unvalidated::Ours), None) => {
                        return Err(Refusal::queue(&ctx.ours.queue, said));
                    }
                    (_, None) => return Err(failed(bucket, problem)),
                }
            }
        }
        document = read(ctx, bucket).await?;
    }
    Ok(unasked)
}

async fn put(ctx: &Ctx, bucket: &Bucket, document: String, unasked: bool) -> Result<(), AwsError> {
    info!(bucket = bucket.as_str(), unasked, "notifications written");
    buckets::put_notifications(&ctx.clients, bucket.as_str(), document, unasked).await
}

/// Reads the document after it was written; S3 may answer with an older one for a moment.
async fn read_back(ctx: &Ctx, bucket: &Bucket) -> Result<Bytes, Refusal> {
    let mut document = Bytes::new();
    for pause in ENROLL_READ_PAUSES_MS {
        buckets::pause(&ctx.clients, pause).await;
        document = read(ctx, bucket).await?;
        if install(&document, &ctx.ours) == Ok(Merge::Nothing) {
            break;
        }
    }
    Ok(document)
}

async fn read(ctx: &Ctx, bucket: &Bucket) -> Result<Bytes, Refusal> {
    let read = buckets::notifications(&ctx.clients, bucket.as_str()).await;
    read.map_err(|problem| failed(bucket, problem))
}

/// The pause before a document is taken for overwritten by others, not merely read too early.
fn pause_before(writes: usize) -> u64 {
    if writes == 0 { 0 } else { ENROLL_READ_PAUSES_MS.iter().sum() }
}

/// What a failed call about the bucket means for it.
fn failed(bucket: &Bucket, problem: AwsError) -> Refusal {
    match problem.kind {
        Kind::NotFound => Refusal::gone(bucket),
        Kind::Denied => Refusal::denied(&problem.to_string()),
        Kind::Invalid => Refusal::refused(&problem.to_string()),
        Kind::Precondition | Kind::Conflict | Kind::Throttled | Kind::Unavailable => {
            Refusal::unavailable(&problem.to_string())
        }
    }
}

/// What a failed call about the state bucket means: it says nothing of the bucket.
pub(crate) fn ours_failed(problem: AwsError) -> Refusal {
    Refusal::unavailable(&problem.to_string())
}
