//! One job: has it ended, is its report there, are all its chunks read?

use resilver_aws::{Woken, Written, jobs};
use resilver_heal::key::{Bucket, JobId};
use resilver_heal::notice::{Notice, NoticeFact};
use resilver_heal::plan::PlanId;
use resilver_heal::state::StateKey;
use resilver_heal::summary::{
    Ended, MissingReport, SETTLED_FORMAT, Settled, Settling, Standing, is_lost,
};
use resilver_heal::time::Timestamp;
use tracing::{Span, info};

use crate::poll::Flying;
use crate::{Ctx, SettleError, chunk, report};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is not one of ours.
    Foreign,
    /// It has not ended, or S3 does not know it yet.
    Running,
    /// It ended, and its report is not there yet.
    WaitsForReport,
    /// Some of its chunks are read; the next event or poll goes on.
    Partly,
    /// It is settled.
    Settled,
}

/// A job that ended, ours.
pub(crate) struct Over {
    pub(crate) bucket: Bucket,
    pub(crate) plan: PlanId,
    pub(crate) job: JobId,
    pub(crate) ended: Ended,
    pub(crate) at: Timestamp,
    /// Tasks that S3 says it ran. Not exact, but zero only if none ran.
    pub(crate) ran: u64,
    /// Its report has only failures, and S3 counts none: there may be no report.
    pub(crate) needs_no_report: bool,
    pub(crate) why: Option<String>,
    pub(crate) code: Option<String>,
}

/// Settles a job that an event names. Every job of the account sends events: foreign ones are left.
pub(crate) async fn by_event(ctx: &Ctx, woken: &Woken, id: &str) -> Result<Outcome, SettleError> {
    let Ok(job) = JobId::try_from(id.to_owned()) else {
        return Ok(Outcome::Foreign);
    };
    let Some(found) = jobs::describe(&ctx.clients, id).await? else {
        return Ok(Outcome::Running);
    };
    let of = found.description.as_deref().and_then(PlanId::of_description);
    let Some((bucket, plan)) = of else {
        return Ok(Outcome::Foreign);
    };
    Span::current().record("bucket", bucket.as_str()).record("plan", plan.as_str());
    let at = Timestamp(found.created_ms);
    described(ctx, woken, Flying { bucket, plan, job, at, waits: false }, found).await
}

/// Settles a job that a head names.
pub(crate) async fn by_poll(
    ctx: &Ctx,
    woken: &Woken,
    flying: &Flying,
) -> Result<Outcome, SettleError> {
    if let Some(found) = jobs::describe(&ctx.clients, flying.job.as_str()).await? {
        return described(ctx, woken, flying.clone(), found).await;
    }
    if !is_lost(flying.at, woken.now) {
        return Ok(Outcome::Running);
    }
    let Flying { bucket, plan, job, .. } = flying.clone();
    let over = Over {
        bucket,
        plan,
        job,
        ended: Ended::Lost,
        at: woken.now,
        ran: 0,
        needs_no_report: false,
        why: Some("S3 does not know the job".to_owned()),
        code: None,
    };
    Box::pin(settle(ctx, woken, over)).await
}

async fn described(
    ctx: &Ctx,
    woken: &Woken,
    flying: Flying,
    found: jobs::Job,
) -> Result<Outcome, SettleError> {
    let Flying { bucket, plan, job, waits, .. } = flying;
    // The same by event and by poll, so that it is one notice.
    let at = Timestamp(found.created_ms);
    let ended = match Standing::of(&found.status, at, woken.now) {
        Standing::Ended(ended) => ended,
        Standing::Runs => return Ok(Outcome::Running),
        Standing::Stalled if waits => return Ok(Outcome::Running),
        Standing::Stalled => {
            let fact = NoticeFact::JobStalled { job, status: found.status };
            tell(ctx, &Notice::new(&bucket, woken.now, at, fact)).await?;
            return Ok(Outcome::Running);
        }
    };
    let reasons = found.failure_reasons.iter();
    let reasons: Vec<String> = reasons.map(|(code, why)| format!("{code}: {why}")).collect();
    let why = (!reasons.is_empty()).then(|| reasons.join("; ")).or(found.status_update_reason);
    let over = Over {
        bucket,
        plan,
        job,
        ended,
        at: found.terminated_ms.map_or(woken.now, Timestamp),
        ran: found.tasks.1 + found.tasks.2,
        needs_no_report: found.reports_failures_only && found.tasks.2 == 0,
        why,
        code: found.failure_reasons.into_iter().next().map(|(code, _)| code),
    };
    Box::pin(settle(ctx, woken, over)).await
}

async fn settle(ctx: &Ctx, woken: &Woken, over: Over) -> Result<Outcome, SettleError> {
    let (bucket, job) = (over.bucket.clone(), over.job.clone());
    let done = StateKey::Settled(&bucket, &job).to_string();
    if ctx.store.exists(&done).await? {
        return Ok(Outcome::Settled);
    }
    let Some(settling) = settling(ctx, woken, over).await? else {
        return Ok(Outcome::WaitsForReport);
    };
    let Some(tally) = chunk::read_all(ctx, &settling).await? else {
        return Ok(Outcome::Partly);
    };
    if tally.unreadable > 0 {
        let kept = StateKey::Rejects("report", bucket.as_str(), job.as_str()).to_string() + "/";
        let pieces = tally.unreadable;
        let fact = NoticeFact::Rejected { from: "report".to_owned(), pieces, kept };
        tell(ctx, &Notice::new(&bucket, woken.now, settling.at, fact)).await?;
    }
    let settled: Settled = settling.settled(tally);
    ctx.store.put_json_new(&done, &settled).await?;
    info!("settled");
    Ok(Outcome::Settled)
}

/// The job's terminal state as the first `settle` found it; `None` while its report may yet come.
async fn settling(ctx: &Ctx, woken: &Woken, over: Over) -> Result<Option<Settling>, SettleError> {
    let key = StateKey::Settling(&over.bucket, &over.job).to_string();
    if let Some(stored) = ctx.store.get_json::<Settling>(&key).await? {
        return known(&key, stored.value).map(Some);
    }
    let report = match report::find(ctx, &over, woken.now).await? {
        Ok(parts) => Some(parts),
        Err(MissingReport::Never) => None,
        Err(MissingReport::NotYet) => return Ok(None),
        Err(MissingReport::Late) => {
            let fact = NoticeFact::ReportLate { job: over.job.clone() };
            tell(ctx, &Notice::new(&over.bucket, woken.now, over.at, fact)).await?;
            return Ok(None);
        }
    };
    let Over { bucket, plan, job, ended, at, why, code, .. } = over;
    let settling =
        Settling { format: SETTLED_FORMAT, bucket, plan, job, ended, at, why, code, report };
    let written = ctx.store.put_json_new(&key, &settling).await?;
    if matches!(written, Written::Written { .. }) {
        return Ok(Some(settling));
    }
    let stored = ctx.store.get_json::<Settling>(&key).await?;
    stored.map(|stored| known(&key, stored.value)).transpose()
}

/// A document that a later release wrote is left alone.
fn known(key: &str, settling: Settling) -> Result<Settling, SettleError> {
    if settling.format <= SETTLED_FORMAT {
        return Ok(settling);
    }
    let why = format!("it has format {}, this release knows {SETTLED_FORMAT}", settling.format);
    Err(SettleError::Document { key: key.to_owned(), why })
}

/// Puts a notice into the bucket's outbox; the same notice is there only once.
async fn tell(ctx: &Ctx, notice: &Notice) -> Result<(), SettleError> {
    let said = StateKey::Notice(&notice.id, resilver_heal::state::SAID).to_string();
    if !ctx.store.exists(&said).await? {
        let key = StateKey::Outbox(&notice.bucket, &notice.id).to_string();
        ctx.store.put_json_new(&key, notice).await?;
    }
    Ok(())
}
