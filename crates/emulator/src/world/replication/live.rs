//! Live replication: from a write to its outcome.

use std::sync::Arc;

use super::rules::Rule;
use super::{Failure, Mode, find, replicate, select, set_status};
use crate::world::notification::{self, Happening, ReplicationEvent};
use crate::world::object::{ReplicationStatus, Tags, Version};
use crate::world::{Millis, Task, World};

/// After this long, Replication Time Control says that a version is late (S3 User Guide: replication
/// time control).
const THRESHOLD: Millis = 15 * 60 * 1_000;

/// What made S3 look at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A new object version.
    Put,
    /// A new delete marker.
    DeleteMarker,
    /// Tags or ACL of an existing version.
    Metadata,
}

impl Trigger {
    /// `s3Operation` of the events. Only `OBJECT_PUT` is published.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Put => "OBJECT_PUT",
            Self::DeleteMarker => "OBJECT_DELETE",
            Self::Metadata => "OBJECT_TAGGING",
        }
    }
}

/// A version that waits for its replication.
#[derive(Debug, Clone)]
pub struct Work {
    bucket: Arc<str>,
    key: Box<str>,
    version_id: Arc<str>,
    trigger: Trigger,
    kind: Kind,
    /// The version was a replica before its status became PENDING.
    replica: bool,
    /// Every destination had it before: only metadata is owed.
    update: bool,
    /// The tags that it was written with, which pick the rules of a live replication (S3 User Guide:
    /// what is and isn't replicated); `None`: those that it has.
    tags: Option<Tags>,
    /// Metrics followed it when it was written.
    tracked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Try all destinations, because of a write.
    Live,
    /// Try all destinations, because a batch job initiated it.
    Batch,
    /// Look whether the version is late.
    Threshold,
}

impl Work {
    /// The work that a batch job leaves behind when its tasks only initiate.
    pub(crate) fn initiated(bucket: &str, key: &str, version: &Version) -> Self {
        Self {
            bucket: bucket.into(),
            key: key.into(),
            version_id: Arc::clone(&version.id),
            trigger: if version.is_delete_marker() { Trigger::DeleteMarker } else { Trigger::Put },
            kind: Kind::Batch,
            replica: version.is_replica,
            update: false,
            tags: None,
            tracked: false,
        }
    }
}

/// After a successful write: a version that meets a rule becomes PENDING and is tried after
/// `config.replication_delay`. Metadata goes on only for versions that were eligible when they were
/// written.
pub fn on_write(world: &mut World, bucket: &str, key: &str, version_id: &str, trigger: Trigger) {
    let Some(config) = world.buckets.get(bucket).and_then(|bucket| bucket.replication.as_ref())
    else {
        return;
    };
    let Some(version) = find(world, bucket, key, version_id) else {
        return;
    };
    let before = version.replication;
    if trigger == Trigger::Metadata && before.is_none() {
        return;
    }
    let replica = version.is_replica;
    let rules = select(config, key, version, Mode::Live { replica });
    if rules.is_empty() {
        return;
    }
    let work = Work {
        bucket: bucket.into(),
        key: key.into(),
        version_id: Arc::clone(&version.id),
        trigger,
        kind: Kind::Live,
        replica,
        update: trigger == Trigger::Metadata
            && (replica || before == Some(ReplicationStatus::Completed)),
        tracked: rules.iter().any(|rule| rule.destination.tells_failures()),
        tags: (trigger == Trigger::Put && !version.tags.is_empty()).then(|| version.tags.clone()),
    };
    set_status(world, bucket, key, version_id, ReplicationStatus::Pending);
    let delay = world.config.replication_delay;
    if delay > THRESHOLD && rules.iter().any(|rule| rule.destination.is_timed()) {
        world.later(THRESHOLD, Task::Replicate(Work { kind: Kind::Threshold, ..work.clone() }));
    }
    world.later(delay, Task::Replicate(work));
}

/// Tries all destinations of a version. A version that is gone by now is forgotten.
pub fn run(world: &mut World, work: Work) {
    let Some(version) = find(world, &work.bucket, &work.key, &work.version_id).cloned() else {
        return;
    };
    let config = world.buckets.get(&*work.bucket).and_then(|bucket| bucket.replication.clone());
    let mode = match work.kind {
        Kind::Batch => Mode::Batch,
        Kind::Live | Kind::Threshold => Mode::Live { replica: work.replica },
    };
    let (role, rules) = config.map_or_else(
        || (Arc::from(""), Vec::new()),
        |config| {
            let rules = match &work.tags {
                None => select(&config, &work.key, &version, mode),
                Some(tags) => {
                    let written = Version { tags: tags.clone(), ..version.clone() };
                    select(&config, &work.key, &written, mode)
                }
            };
            (config.role, rules)
        },
    );
    if work.kind == Kind::Threshold {
        tell_late(world, &work, &version, &rules);
        return;
    }
    let flags = (work.kind == Kind::Batch, work.update);
    let failures = replicate(world, (&work.bucket, &work.key), &version, &role, &rules, flags);
    // Rules that vanished between the write and now leave the version owed and unpaid.
    let status = if rules.is_empty() || !failures.is_empty() {
        ReplicationStatus::Failed
    } else if work.replica {
        ReplicationStatus::Replica
    } else {
        ReplicationStatus::Completed
    };
    set_status(world, &work.bucket, &work.key, &work.version_id, status);
    if work.kind == Kind::Batch {
        tell_failures_of_job(world, (&work.bucket, &work.key), &version, &failures);
    } else {
        tell_failures(world, (&work.bucket, &work.key), &version, &failures, work.trigger);
        tell_caught_up(world, &work, &version, &rules, &failures);
        tell_untracked(world, &work, &version, &rules);
    }
}

/// A version that metrics followed when it was written, and follow no more (S3 User Guide: S3 Event
/// Notifications event types). AWS does not say when exactly that is told.
fn tell_untracked(world: &mut World, work: &Work, version: &Version, rules: &[Arc<Rule>]) {
    let untracked = |rule: &&Arc<Rule>| work.tracked && !rule.destination.tells_failures();
    for rule in rules.iter().filter(untracked) {
        let place = (&*work.bucket, &*work.key);
        tell(world, place, version, rule, work.trigger, Happening::NotTracked);
    }
}

/// A failed task of a batch job tells as a live failure does, where the world is set so.
pub(crate) fn tell_failures_of_job(
    world: &mut World,
    place: (&str, &str),
    version: &Version,
    failures: &[Failure],
) {
    if world.jobs.batch_failure_events {
        let trigger = if version.is_delete_marker() { Trigger::DeleteMarker } else { Trigger::Put };
        tell_failures(world, place, version, failures, trigger);
    }
}

fn tell_failures(
    world: &mut World,
    place: (&str, &str),
    version: &Version,
    failures: &[Failure],
    trigger: Trigger,
) {
    let told = |failure: &&Failure| !failure.silent && failure.rule.destination.tells_failures();
    for failure in failures.iter().filter(told) {
        let happening = Happening::Failed(failure.reason);
        tell(world, place, version, &failure.rule, trigger, happening);
    }
}

fn tell_late(world: &mut World, work: &Work, version: &Version, rules: &[Arc<Rule>]) {
    if version.replication != Some(ReplicationStatus::Pending) {
        return;
    }
    for rule in rules.iter().filter(|rule| rule.destination.is_timed()) {
        let place = (&*work.bucket, &*work.key);
        tell(world, place, version, rule, work.trigger, Happening::MissedThreshold);
    }
}

fn tell_caught_up(
    world: &mut World,
    work: &Work,
    version: &Version,
    rules: &[Arc<Rule>],
    failures: &[Failure],
) {
    if work.update || world.now().saturating_sub(version.modified) <= THRESHOLD {
        return;
    }
    let arrived = |rule: &&Arc<Rule>| !failures.iter().any(|failure| failure.rule.id == rule.id);
    for rule in rules.iter().filter(arrived).filter(|rule| rule.destination.is_timed()) {
        let place = (&*work.bucket, &*work.key);
        tell(world, place, version, rule, work.trigger, Happening::CaughtUp);
    }
}

fn tell(
    world: &mut World,
    (source, key): (&str, &str),
    version: &Version,
    rule: &Rule,
    trigger: Trigger,
    happening: Happening,
) {
    let operation = trigger.operation();
    notification::emit(
        world,
        &ReplicationEvent { source, key, version, rule, operation, happening },
    );
}
