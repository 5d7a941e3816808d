//! The places in which jobs run: six an account (S3 User Guide: S3 Batch Replication). Who has no place
//! waits for one and costs nothing meanwhile: a job is woken when it may be its turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::control::schedule;
use super::trail::enter;
use super::{Job, Status};
use crate::world::World;

/// The rank of a waiting job: highest priority first, then oldest.
type Rank = (Reverse<i32>, u64);

/// Who runs and who waits.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Ids of the jobs that run, or are about to pause.
    pub(super) running: BTreeSet<String>,
    /// Ids of the jobs that wait, by rank.
    waiting: BTreeMap<Rank, String>,
}

fn rank(job: &Job) -> Rank {
    (Reverse(job.priority), job.number)
}

impl Places {
    /// Takes a job out, as it is before a change.
    pub(super) fn leave(&mut self, job: &Job) {
        self.running.remove(&job.id);
        self.waiting.remove(&rank(job));
    }

    /// Puts a job where its state and its priority say.
    pub(super) fn take(&mut self, job: &Job) {
        match job.status {
            Status::Active | Status::Pausing => {
                self.running.insert(job.id.clone());
            }
            Status::Ready | Status::Paused => {
                self.waiting.insert(rank(job), job.id.clone());
            }
            _ => {}
        }
    }
}

/// Wakes the jobs whose turn it may be: as many as there are places, and one more, which may have to push
/// another one out.
pub(crate) fn wake(world: &mut World) {
    let free = world.config.active_jobs_max.saturating_sub(world.jobs.active());
    let first = world.jobs.places.waiting.values().take(free.saturating_add(1));
    let first: Vec<String> = first.cloned().collect();
    for id in first {
        if world.jobs.jobs.get(&id).is_some_and(|job| job.due.is_none()) {
            schedule(world, &id);
        }
    }
}

/// Starts a job, or goes on with it, if there is a place for it and nobody comes before it. Where there
/// is no place, the job with the lowest priority has to make one (S3 User Guide: assigning job priority).
pub(super) fn activate(world: &mut World, id: &str) {
    let now = world.now();
    let free = world.config.active_jobs_max.saturating_sub(world.jobs.active());
    let Some(job) = world.jobs.jobs.get(id) else {
        return;
    };
    let (mine, priority) = (rank(job), job.priority);
    let ahead = world.jobs.places.waiting.range(..mine).take(free.max(1)).count();
    if ahead < free {
        if let Some(job) = world.jobs.jobs.get_mut(id) {
            job.active_since.get_or_insert(now);
            job.counted = now;
        }
        enter(world, id, Status::Active);
    } else if ahead == 0 {
        make_room(world, priority);
    }
}

/// Pauses the youngest of the jobs with the lowest priority, if that is lower than `priority` and no
/// other job is making room already.
fn make_room(world: &mut World, priority: i32) {
    let jobs = &world.jobs;
    let running = || jobs.places.running.iter().filter_map(|id| jobs.jobs.get(id));
    if running().any(|job| job.status == Status::Pausing) {
        return;
    }
    let lowest = running().min_by_key(|job| (job.priority, Reverse(job.number)));
    let Some(loser) = lowest.filter(|job| job.priority < priority).map(|job| job.id.clone()) else {
        return;
    };
    enter(world, &loser, Status::Pausing);
    schedule(world, &loser);
}
