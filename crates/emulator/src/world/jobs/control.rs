//! What a client asks of jobs: create, describe, list, confirm, cancel, reorder, tag.

use super::request::{self, Request};
use super::trail::{enter, tell};
use super::{Job, Status, places};
use crate::world::object::Tags;
use crate::world::{Answer, Millis, Refusal, Task, World, access};

const DAY: Millis = 24 * 60 * 60 * 1_000;
/// A job that nobody confirms for this long fails (S3 User Guide: creating an S3 Batch Operations job).
const CONFIRMATION_MAX: Millis = 30 * DAY;
/// An ended job is forgotten after this long (S3 User Guide: troubleshooting Batch Operations).
const MEMORY: Millis = 90 * DAY;
/// The most tags of a job (S3 User Guide: job tags).
const TAGS_MAX: usize = 50;
/// The most jobs of one page (S3 API Reference: ListJobs).
const PAGE_MAX: usize = 1_000;

/// Creates a job and returns its id. The same request under the same token is the same job.
///
/// # Errors
/// 400 `BadRequestException` for what is wrong in itself, 403 `AccessDenied` for a role of another
/// account, 400 `IdempotencyException` for a token that made another job.
pub fn create(world: &mut World, request: Request) -> Answer<String> {
    request::check(&request)?;
    check_role(world, &request.role)?;
    expire_all(world);
    let known = world.jobs.tokens.get(&request.token).and_then(|id| world.jobs.jobs.get(id));
    if let Some(job) = known {
        return if job.request == request {
            Ok(job.id.clone())
        } else {
            Err(Refusal::new(
                400,
                "IdempotencyException",
                "The client request token was used with different parameters",
            ))
        };
    }
    let id = world.rng.uuid();
    world.jobs.created += 1;
    let job = new_job(world, &id, request);
    world.jobs.tokens.insert(job.request.token.clone(), id.clone());
    world.jobs.order.push(id.clone());
    world.jobs.jobs.insert(id.clone(), job);
    tell(world, &id, "JobCreated");
    schedule(world, &id);
    Ok(id)
}

/// A role of another account cannot be passed (S3 User Guide: troubleshooting Batch Operations).
fn check_role(world: &World, role: &str) -> Answer<()> {
    if access::account_of(role) == world.config.account {
        return Ok(());
    }
    Err(Refusal::new(403, "AccessDenied", "Cross-account pass role is not allowed."))
}

fn new_job(world: &World, id: &str, request: Request) -> Job {
    Job {
        id: id.to_owned(),
        arn: format!("arn:aws:s3:{}:{}:job/{id}", world.config.region, world.config.account),
        number: world.jobs.created,
        priority: request.priority,
        status: Status::New,
        status_update_reason: None,
        failures: Vec::new(),
        created: world.now(),
        terminated: None,
        suspended: None,
        active_since: None,
        active_ms: 0,
        counted: 0,
        total: 0,
        succeeded: 0,
        failed: 0,
        generated: None,
        tags: request.tags.iter().cloned().collect(),
        request,
        due: None,
        run: None,
    }
}

/// Puts the job's next step on the agenda; an earlier one is overtaken.
pub(super) fn schedule(world: &mut World, id: &str) {
    let (delay, now) = (world.config.job_step, world.now());
    if let Some(job) = world.jobs.jobs.get_mut(id) {
        job.due = Some(now.saturating_add(delay));
        world.later(delay, Task::Job(id.to_owned()));
    }
}

/// A job.
///
/// # Errors
/// 404 `NotFoundException` for an id that is none, or whose job ended 90 days ago.
pub fn describe<'a>(world: &'a mut World, id: &str) -> Answer<&'a Job> {
    expire(world, id);
    world.jobs.jobs.get(id).ok_or_else(not_found)
}

/// One page of jobs.
#[derive(Debug)]
pub struct Page<'a> {
    /// The jobs, newest first.
    pub jobs: Vec<&'a Job>,
    /// What to ask for the next page with.
    pub next: Option<String>,
}

/// The jobs in any of `statuses` (all states if none is given), newest first.
///
/// # Errors
/// 400 `InvalidNextTokenException` for a token that is none of ours, 400 `InvalidRequestException` for
/// a state that is none and for a page of no size or too large a one.
pub fn list<'a>(
    world: &'a mut World,
    statuses: &[String],
    token: Option<&str>,
    limit: Option<usize>,
) -> Answer<Page<'a>> {
    const NAMES: [&str; 13] = [
        "Active",
        "Cancelled",
        "Cancelling",
        "Complete",
        "Completing",
        "Failed",
        "Failing",
        "New",
        "Paused",
        "Pausing",
        "Preparing",
        "Ready",
        "Suspended",
    ];
    if let Some(wrong) = statuses.iter().find(|status| !NAMES.contains(&status.as_str())) {
        return Err(Refusal::new(
            400,
            "InvalidRequestException",
            format!("no job status is called {wrong}"),
        ));
    }
    // The number of the last job of the page before: whatever becomes of jobs meanwhile, none is passed over.
    let before: Option<u64> = token.map(str::parse).transpose().map_err(|_| {
        Refusal::new(400, "InvalidNextTokenException", "The next token is not valid")
    })?;
    expire_all(world);
    let limit = limit.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&limit) {
        let message = format!("maxResults must be a number from 1 to {PAGE_MAX}");
        return Err(Refusal::new(400, "InvalidRequestException", message));
    }
    let wanted = |job: &&Job| {
        before.is_none_or(|before| job.number < before)
            && (statuses.is_empty() || statuses.iter().any(|it| it == job.status.name()))
    };
    let mut jobs: Vec<&Job> = world.jobs.iter().rev().filter(wanted).take(limit + 1).collect();
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let last = jobs.last().filter(|_| more).map(|job| job.number.to_string());
    Ok(Page { jobs, next: last })
}

/// Confirms a suspended job (`Ready`) or cancels one that has not ended (`Cancelled`).
///
/// # Errors
/// 404 `NotFoundException`; 400 `JobStatusException` for a change that the job's state does not allow;
/// 400 `BadRequestException` for any other state.
pub fn update_status<'a>(
    world: &'a mut World,
    id: &str,
    requested: &str,
    reason: Option<&str>,
) -> Answer<&'a Job> {
    let status = describe(world, id)?.status;
    let next = match (requested, status) {
        ("Ready", Status::Suspended) => Status::Ready,
        ("Cancelled", status) if can_be_cancelled(status) => Status::Cancelling,
        ("Ready" | "Cancelled", status) => {
            let message = format!("A job that is {} cannot become {requested}", status.name());
            return Err(Refusal::new(400, "JobStatusException", message));
        }
        _ => {
            let message = "requestedJobStatus must be Ready or Cancelled";
            return Err(Refusal::new(400, "BadRequestException", message));
        }
    };
    if let Some(job) = world.jobs.jobs.get_mut(id) {
        job.status_update_reason = reason.map(str::to_owned);
    }
    enter(world, id, next);
    if next != Status::Ready {
        schedule(world, id);
    }
    describe(world, id)
}

fn can_be_cancelled(status: Status) -> bool {
    !status.is_terminal()
        && !matches!(status, Status::Cancelling | Status::Failing | Status::Completing)
}

/// Changes the priority of a job that has not ended.
///
/// # Errors
/// 404 `NotFoundException`; 400 `BadRequestException` for a job that has ended or a negative priority.
pub fn update_priority(world: &mut World, id: &str, priority: i32) -> Answer<i32> {
    let ended = describe(world, id)?.status.is_terminal();
    if ended || priority < 0 {
        let message = "The priority of this job cannot be changed to that";
        return Err(Refusal::new(400, "BadRequestException", message));
    }
    if let Some(job) = world.jobs.jobs.get_mut(id) {
        world.jobs.places.leave(job);
        job.priority = priority;
        world.jobs.places.take(job);
    }
    places::wake(world);
    Ok(priority)
}

/// The tags of a job.
///
/// # Errors
/// 404 `NotFoundException`.
pub fn tags<'a>(world: &'a mut World, id: &str) -> Answer<&'a Tags> {
    describe(world, id).map(|job| &job.tags)
}

/// Replaces the tags of a job.
///
/// # Errors
/// 404 `NotFoundException`; 400 `TooManyTagsException` for more than 50, `BadRequestException` for one that
/// cannot be a tag.
pub fn put_tags(world: &mut World, id: &str, tags: &[(String, String)]) -> Answer<()> {
    describe(world, id)?;
    if tags.len() > TAGS_MAX {
        return Err(Refusal::new(400, "TooManyTagsException", "A job has at most 50 tags"));
    }
    request::check_tags(tags)?;
    if let Some(job) = world.jobs.jobs.get_mut(id) {
        job.tags = tags.iter().cloned().collect();
    }
    Ok(())
}

/// Removes the tags of a job.
///
/// # Errors
/// 404 `NotFoundException`.
pub fn delete_tags(world: &mut World, id: &str) -> Answer<()> {
    put_tags(world, id, &[])
}

fn not_found() -> Refusal {
    Refusal::new(404, "NotFoundException", "The specified job does not exist")
}

/// What time alone does to a job, brought about when somebody looks: a task on the agenda would keep a
/// world busy for a month.
fn expire(world: &mut World, id: &str) {
    let now = world.now();
    let Some(job) = world.jobs.jobs.get_mut(id) else {
        return;
    };
    let since = |from: Option<Millis>| from.map_or(0, |from| now.saturating_sub(from));
    if since(job.terminated) > MEMORY {
        forget(world);
    } else if job.status == Status::Suspended && since(job.suspended) > CONFIRMATION_MAX {
        let reason = "The job was not confirmed within 30 days";
        job.failures.push(super::JobFailure::new("ConfirmationTimeout", reason));
        let at = job.suspended.map(|since| since.saturating_add(CONFIRMATION_MAX));
        enter(world, id, Status::Failed);
        // It was then that it failed, whenever somebody looks.
        if let Some(job) = world.jobs.jobs.get_mut(id) {
            job.terminated = at;
        }
        if since(at) > MEMORY {
            forget(world);
        }
    }
}

fn expire_all(world: &mut World) {
    for id in world.jobs.order.clone() {
        expire(world, &id);
    }
}

/// Forgets the jobs that ended long ago, and their tokens.
fn forget(world: &mut World) {
    let now = world.now();
    let jobs = &mut world.jobs.jobs;
    jobs.retain(|_, job| job.terminated.is_none_or(|end| now.saturating_sub(end) <= MEMORY));
    world.jobs.order.retain(|id| jobs.contains_key(id));
    world.jobs.tokens.retain(|_, id| jobs.contains_key(id));
}
