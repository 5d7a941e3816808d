//! Steps 6 and 7: the job of the plan that the head calls *launching*.

use resilver_aws::{AwsError, Kind, Woken, jobs};
use resilver_heal::key::JobId;
use resilver_heal::ledger::Head;
use resilver_heal::plan::{PLAN_FORMAT, Plan, PlanId};
use resilver_heal::state::StateKey;
use tracing::{info, warn};

use crate::order::{Held, swap};
use crate::{Ctx, LaunchError, account};

/// What is known of the plan's job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// The plan was committed a moment ago, by this launch: nobody can have asked for the job yet.
    IsNew,
    /// Another launch was cut short: the job may exist.
    MayExist,
}

enum Asked {
    Job(JobId),
    Refused(String, String),
    /// Not now: the plan stays *launching*.
    Later(LaunchError),
}

/// What came of asking for a job.
#[derive(Debug)]
pub(crate) enum Finished {
    /// The head has the answer: the job, or that S3 refused it.
    Recorded,
    /// Another launch has won in the meantime.
    Outrun,
    /// There is no answer yet, for this reason: the plan stays *launching*.
    Later(LaunchError),
}

/// Gets the job and records it.
pub(crate) async fn finish(
    ctx: &Ctx,
    held: &mut Held,
    woken: &Woken,
    known: Known,
) -> Result<Finished, LaunchError> {
    let Some(id) = held.head.launching.clone() else {
        return Ok(Finished::Recorded);
    };
    let key = StateKey::Plan(&held.head.bucket, &id).to_string();
    let asked = match ctx.store.get_json::<Plan>(&key).await? {
        Some(plan) if plan.value.format > PLAN_FORMAT => {
            Asked::Later(LaunchError::newer(key, plan.value.format, PLAN_FORMAT))
        }
        Some(plan) => ask(ctx, &held.head, &plan.value, known).await?,
        None => Asked::Refused("PlanMissing".into(), format!("{key} is gone")),
    };
    let mut next = held.head.clone();
    next.launching = None;
    next.now = next.now.max(woken.now);
    if let Asked::Later(problem) = asked {
        return Ok(Finished::Later(problem));
    }
    record(&mut next, &id, asked);
    let writer = next.writer.clone();
    Ok(if swap(ctx, held, next, &writer).await? { Finished::Recorded } else { Finished::Outrun })
}

/// Before the rows of a refused plan return: another launch may have got its job at the same time, and
/// the answer that says *refused* need not be the last. Says no if another launch has won.
pub(crate) async fn adopt_refused(ctx: &Ctx, held: &mut Held) -> Result<bool, LaunchError> {
    let mut next = held.head.clone();
    for (id, flight) in &held.head.flights {
        if flight.refused.is_none() {
            continue;
        }
        let description = id.description(&held.head.bucket);
        let found = jobs::find_by_description(&ctx.clients, &description).await?;
        if let Some(job) = found.into_iter().next() {
            // It runs, whether or not there is room for it.
            account::keep(ctx, &held.head, id, held.head.now).await?;
            record(&mut next, id, got(job));
        }
    }
    if next == held.head {
        return Ok(true);
    }
    let writer = next.writer.clone();
    swap(ctx, held, next, &writer).await
}

/// Writes the answer into the head.
fn record(next: &mut Head, id: &PlanId, asked: Asked) {
    let now = next.now;
    let Some(flight) = next.flights.get_mut(id) else {
        return;
    };
    match asked {
        Asked::Job(job) => {
            info!(%job, plan = %id, rows = flight.rows, "the job is there");
            (flight.job, flight.refused, flight.at) = (Some(job), None, now);
            next.totals.jobs += 1;
            next.totals.launched += flight.rows;
            next.totals.micro_usd += flight.micro_usd();
        }
        Asked::Refused(code, message) => {
            warn!(plan = %id, code, message, "S3 refuses the job");
            flight.refused = Some((code, message));
        }
        Asked::Later(_) => {}
    }
}

async fn ask(ctx: &Ctx, head: &Head, plan: &Plan, known: Known) -> Result<Asked, LaunchError> {
    // Whoever cannot look whether there is a job must not take it for refused: its rows would go up
    // a second time.
    match adopted(ctx, plan, known).await {
        Ok(Some(job)) => return Ok(got(job)),
        Ok(None) => {}
        Err(problem) => return Ok(Asked::Later(problem.into())),
    }
    if !account::keep(ctx, head, &plan.id, head.now).await? {
        return Ok(Asked::Later(LaunchError::NoRoom(plan.id.clone())));
    }
    Ok(match jobs::create(&ctx.clients, &plan.request).await {
        Ok(job) => got(job),
        // There is a job of this token: it is found by its Description, if not now then later.
        Err(problem) if problem.code.as_deref() == Some("IdempotencyException") => {
            Asked::Later(problem.into())
        }
        Err(problem) => match problem.kind {
            Kind::Denied | Kind::Invalid | Kind::NotFound => {
                let code = problem.code.clone().unwrap_or_else(|| "Unknown".into());
                Asked::Refused(code, problem.message)
            }
            _ => Asked::Later(problem.into()),
        },
    })
}

fn got(job: String) -> Asked {
    match JobId::try_from(job.clone()) {
        Ok(job) => Asked::Job(job),
        Err(_) => Asked::Refused("InvalidJobId".into(), format!("S3 gave the job id {job:?}")),
    }
}

/// The plan's job, if an earlier launch has got one.
async fn adopted(ctx: &Ctx, plan: &Plan, known: Known) -> Result<Option<String>, AwsError> {
    if known == Known::IsNew {
        return Ok(None);
    }
    let found = jobs::find_by_description(&ctx.clients, &plan.request.description).await?;
    Ok(found.into_iter().next())
}
