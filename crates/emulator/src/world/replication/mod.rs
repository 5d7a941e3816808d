//! Replication as S3 does it: a write that meets a rule is PENDING at once, every destination is tried a
//! moment later, and the source becomes COMPLETED or FAILED when all of them have answered.
//!
//! FAILED is sticky: nothing here ever tries again by itself, not even after a repair. What tries again
//! is a batch job ([`super::jobs`]) or a change of the version's own metadata.

mod attempt;
#[cfg(test)]
pub(crate) mod lab;
mod live;
mod reason;
mod replica;
pub mod rules;
mod select;
#[cfg(test)]
mod tests;
mod validate;

use std::sync::Arc;

pub(crate) use live::tell_failures_of_job;
pub use live::{Trigger, Work, on_write, run};
pub use reason::Reason;
pub(crate) use select::{Mode, select};

use self::attempt::{Subject, attempt};
use self::rules::Rule;
use super::World;
use super::object::{ReplicationStatus, Version};

/// What one destination said to one version.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The rule that was followed.
    pub(crate) rule: Arc<Rule>,
    /// Why not.
    pub(crate) reason: Reason,
    /// No event tells of it: only the tags did not arrive.
    pub(crate) silent: bool,
}

/// Tries every rule of `rules` for `version` and returns the failures, in the order of the rules.
pub(crate) fn replicate(
    world: &mut World,
    place: (&str, &str),
    version: &Version,
    role: &str,
    rules: &[Arc<Rule>],
    (batch, update): (bool, bool),
) -> Vec<Failure> {
    let (source, key) = place;
    let subject = Subject { source, key, version, role, batch, update };
    let mut failures = Vec::new();
    for rule in rules {
        let (reason, silent) = match attempt(world, &subject, rule) {
            Ok(None) => continue,
            Ok(Some(reason)) => (reason, true),
            Err(reason) => (reason, false),
        };
        failures.push(Failure { rule: Arc::clone(rule), reason, silent });
    }
    failures
}

/// The version `id` of a key, if it is there.
pub(crate) fn find<'a>(world: &'a World, bucket: &str, key: &str, id: &str) -> Option<&'a Version> {
    world.buckets.get(bucket)?.keys.get(key)?.iter().find(|version| &*version.id == id)
}

/// Writes the replication status of a version, if it is still there.
pub(crate) fn set_status(
    world: &mut World,
    bucket: &str,
    key: &str,
    id: &str,
    status: ReplicationStatus,
) {
    let versions = world.buckets.get_mut(bucket).and_then(|bucket| bucket.keys.get_mut(key));
    if let Some(version) =
        versions.and_then(|versions| versions.iter_mut().find(|version| &*version.id == id))
    {
        version.replication = Some(status);
    }
}
