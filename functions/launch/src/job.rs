//! Steps 6 and 7: the job of the plan that the head calls *launching*.

use resilver_aws::{AwsError, Kind, Woken, jobs};
use resilver_heal::key::JobId;
use resilver_heal::ledger::Head;
use resilver_heal::plan::{Plan, PlanId};
use resilver_heal::state::StateKey;
use resilver_heal::summary::job_micro_usd;

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
    Later(AwsError),
}

/// Gets the job and records it. Says no if another launch has won in the meantime.
pub(crate) async fn finish(
    ctx: &Ctx,
    held: &mut Held,
    woken: &Woken,
    known: Known,
) -> Result<bool, LaunchError> {
    let Some(id) = held.head.launching.clone() else {
        return Ok(true);
    };
    let key = StateKey::Plan(&held.head.bucket, &id).to_string();
    let asked = match ctx.store.get_json::<Plan>(&key).await? {
        Some(plan) => ask(ctx, &held.head, &plan.value, known).await?,
        None => Asked::Refused("PlanMissing".into(), format!("{key} is gone")),
    };
    let mut next = held.head.clone();
    next.launching = None;
    next.now = next.now.max(woken.now);
    let refused = record(&mut next, &id, asked)?;
    if refused {
        account::refund(ctx, Some(&id)).await?;
    }
    let writer = next.writer.clone();
    swap(ctx, held, next, &writer).await
}

/// Writes the answer into the head. Says whether the plan was refused.
fn record(next: &mut Head, id: &PlanId, asked: Asked) -> Result<bool, LaunchError> {
    let Some(flight) = next.flights.get_mut(id) else {
        return Ok(false);
    };
    match asked {
        Asked::Job(job) => {
            flight.job = Some(job);
            next.totals.jobs += 1;
            next.totals.launched += flight.rows;
            next.totals.micro_usd += job_micro_usd(flight.rows);
            Ok(false)
        }
        Asked::Refused(code, message) => {
            flight.refused = Some((code, message));
            Ok(true)
        }
        Asked::Later(problem) => Err(problem.into()),
    }
}

async fn ask(ctx: &Ctx, head: &Head, plan: &Plan, known: Known) -> Result<Asked, LaunchError> {
    // Whoever cannot look whether there is a job must not take it for refused: its rows would go up
    // a second time.
    match adopted(ctx, plan, known).await {
        Ok(Some(job)) => return Ok(got(job)),
        Ok(None) => {}
        Err(problem) => return Ok(Asked::Later(problem)),
    }
    if !account::keep(ctx, head, &plan.id, head.now).await? {
        return Err(LaunchError::NoRoom(plan.id.clone()));
    }
    Ok(match jobs::create(&ctx.clients, &plan.request).await {
        Ok(job) => got(job),
        Err(problem) => match problem.kind {
            Kind::Denied | Kind::Invalid | Kind::NotFound => {
                let code = problem.code.clone().unwrap_or_else(|| "Unknown".into());
                Asked::Refused(code, problem.message)
            }
            _ => Asked::Later(problem),
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
