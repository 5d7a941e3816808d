//! The life of a job, one state a step (S3 User Guide: tracking job status and completion reports).

use super::control::schedule;
use super::request::Source;
use super::task::{self, Verdict};
use super::trail::enter;
use super::{Job, JobFailure, Run, Status, generator, manifest, places, report};
use crate::world::World;

/// From this many tasks on, a job fails when more than half of them have.
const THRESHOLD_TASKS: u64 = 1_000;

/// Moves a job one step on and puts the next step on the agenda. A step that was overtaken by a client's
/// wish does nothing.
pub fn step(world: &mut World, id: &str) {
    let now = world.now();
    let Some(job) = world.jobs.jobs.get_mut(id) else {
        return;
    };
    if job.due.is_none_or(|due| due > now) {
        return;
    }
    job.due = None;
    match job.status {
        Status::New => enter(world, id, Status::Preparing),
        Status::Preparing => prepare(world, id),
        Status::Ready | Status::Paused => places::activate(world, id),
        Status::Active => work(world, id),
        Status::Pausing => enter(world, id, Status::Paused),
        Status::Completing => conclude(world, id, Status::Complete),
        Status::Failing => conclude(world, id, Status::Failed),
        Status::Cancelling => conclude(world, id, Status::Cancelled),
        Status::Suspended | Status::Complete | Status::Cancelled | Status::Failed => {}
    }
    // Who waits for a place is woken when there is one.
    let rests = |job: &Job| {
        let waits = matches!(job.status, Status::Suspended | Status::Ready | Status::Paused);
        waits || job.status.is_terminal()
    };
    if world.jobs.jobs.get(id).is_some_and(|job| !rests(job)) {
        schedule(world, id);
    }
}

fn prepare(world: &mut World, id: &str) {
    let Some(job) = world.jobs.jobs.get(id) else {
        return;
    };
    let (role, source) = (job.request.role.clone(), job.request.source.clone());
    let read = match &source {
        Source::Manifest(manifest) => {
            manifest::read(world, &role, manifest).map(|(rows, count)| (rows, count, None))
        }
        Source::Generator(generator) => generator::generate(world, &role, id, generator),
    };
    match read {
        Ok((rows, total, generated)) => {
            let now = world.now();
            let Some(job) = world.jobs.jobs.get_mut(id) else {
                return;
            };
            job.run = Some(Run { rows, verdicts: Vec::new() });
            job.total = total;
            job.generated = generated;
            if job.request.confirmation_required {
                job.suspended = Some(now);
                enter(world, id, Status::Suspended);
            } else {
                enter(world, id, Status::Ready);
            }
        }
        Err(failure) => fail(world, id, failure),
    }
}

fn fail(world: &mut World, id: &str, failure: JobFailure) {
    if let Some(job) = world.jobs.jobs.get_mut(id) {
        job.failures.push(failure);
        enter(world, id, Status::Failing);
    }
}

fn work(world: &mut World, id: &str) {
    let (limit, now) = (world.config.job_tasks_per_step.max(1), world.now());
    let Some(job) = world.jobs.jobs.get_mut(id) else {
        return;
    };
    let (role, mut run) = (job.request.role.clone(), job.run.take().unwrap_or_default());
    let operation = job.request.operation.clone();
    let (mut succeeded, mut failed, total) = (job.succeeded, job.failed, job.total);
    let mut tripped = false;
    let read = run.rows.read(limit, |row| {
        let verdict = task::run(world, &role, &operation, &row);
        run.verdicts.push(verdict);
        let count = if verdict == Verdict::Succeeded { &mut succeeded } else { &mut failed };
        *count += 1;
        tripped = succeeded + failed >= THRESHOLD_TASKS && failed * 2 > succeeded + failed;
        !tripped
    });
    let Some(job) = world.jobs.jobs.get_mut(id) else {
        return;
    };
    (job.run, job.succeeded, job.failed) = (Some(run), succeeded, failed);
    job.active_ms += now.saturating_sub(job.counted);
    job.counted = now;
    if let Err(failure) = read {
        fail(world, id, failure);
    } else if tripped {
        let reason = "The job failed because more than 50% of its tasks failed";
        fail(world, id, JobFailure::new("TaskFailureThresholdExceeded", reason));
    } else if succeeded + failed >= total {
        enter(world, id, Status::Completing);
    }
}

/// Writes the report, if any task ran, and ends the job. A report that cannot be written fails it.
fn conclude(world: &mut World, id: &str, end: Status) {
    let overcount = world.jobs.failed_overcount;
    let Some(job) = world.jobs.jobs.get_mut(id) else {
        return;
    };
    let run = job.run.take().filter(|run| !run.verdicts.is_empty());
    job.failed += run.as_ref().map_or(0, |_| overcount);
    let written = run.map_or(Ok(()), |run| report::write(world, id, run));
    match written {
        Ok(()) => enter(world, id, end),
        Err(failure) => {
            if let Some(job) = world.jobs.jobs.get_mut(id) {
                job.failures.push(failure);
            }
            if end == Status::Complete {
                enter(world, id, Status::Failing);
            }
            // What was cancelled stays cancelled.
            enter(world, id, if end == Status::Cancelled { end } else { Status::Failed });
        }
    }
}
