//! One task: one row of the manifest, one verdict. A replication follows all rules of the source bucket;
//! a job cannot be limited to one of them (S3 User Guide: troubleshooting replication).

use std::sync::Arc;

use super::operation::{self, Operation};
use super::rows::Row;
use crate::world::iam::BATCH_SERVICE;
use crate::world::object::{ReplicationStatus, Version};
use crate::world::ops::archive;
use crate::world::ops::archive::archived;
use crate::world::replication::rules::Rule;
use crate::world::replication::{
    Mode, Reason, Work, find, replicate, select, set_status, tell_failures_of_job,
};
use crate::world::{Task, World, access};

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every destination has the version, or will.
    Succeeded,
    /// The first destination that refused, or what stopped the task before.
    Failed(Reason),
    /// The manifest has no version ids.
    NoVersion,
    /// S3 refused the operation: the place of its code in [`REFUSALS`].
    Refused(u8),
}

/// What a copy or a restoration can be refused with, a verdict being no larger than it has to be.
pub(super) const REFUSALS: [(u16, &str, &str); 18] = [
    (500, "InternalError", "We encountered an internal error. Please try again."),
    (403, "AccessDenied", "Access Denied"),
    (404, "NoSuchBucket", "The specified bucket does not exist"),
    (404, "NoSuchKey", "The specified key does not exist."),
    (404, "NoSuchVersion", "The specified version does not exist."),
    (403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
    (409, "RestoreAlreadyInProgress", "Object restore is already in progress"),
    (412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
    (400, "InvalidRequest", "The request cannot be done as it is"),
    (400, "MalformedXML", "The days to restore for must fit the storage class"),
    (400, "KMS.NotFoundException", "The key does not exist"),
    (400, "KMS.DisabledException", "The key is disabled"),
    (400, "KMS.KMSInvalidStateException", "The key is pending deletion"),
    (405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
    (400, "InvalidArgument", "The request cannot be done as it is"),
    (400, "InvalidTag", "The tag key or value you have provided is invalid"),
    (400, "BadRequest", "Object tags cannot be greater than 10"),
    (400, "MetadataTooLarge", "The metadata exceeds the maximum allowed metadata size"),
];

/// Runs one task.
pub(super) fn run(world: &mut World, role: &str, what: &Operation, row: &Row<'_>) -> Verdict {
    let answer = match what {
        Operation::Replicate => return replicated(world, role, row),
        Operation::Copy(spec) => operation::copy(world, role, spec, row),
        Operation::Restore(spec) => operation::restore(world, role, spec, row),
    };
    match answer {
        Ok(()) => Verdict::Succeeded,
        Err(refusal) => {
            let at = REFUSALS.iter().position(|(_, code, _)| *code == refusal.code);
            if at.is_none() {
                tracing::warn!(
                    code = refusal.code,
                    "a task was refused with a code that has no row"
                );
            }
            Verdict::Refused(at.and_then(|at| u8::try_from(at).ok()).unwrap_or_default())
        }
    }
}

fn replicated(world: &mut World, role: &str, row: &Row<'_>) -> Verdict {
    let Some(version_id) = row.version else {
        return Verdict::NoVersion;
    };
    let key = row.key().unwrap_or_default();
    match attempt(world, role, row.bucket, &key, version_id) {
        Ok(()) => Verdict::Succeeded,
        Err(reason) => Verdict::Failed(reason),
    }
}

fn attempt(
    world: &mut World,
    role: &str,
    bucket: &str,
    key: &str,
    version_id: &str,
) -> Result<(), Reason> {
    let Admitted { version, role, rules } = admit(world, role, bucket, key, version_id)?;
    if world.jobs.not_pending_is_reported && is_settled(world, key, &version, &rules) {
        return Err(Reason::SrcReplicationNotPending);
    }
    if world.jobs.succeeded_means_initiated {
        set_status(world, bucket, key, version_id, ReplicationStatus::Pending);
        let work = Work::initiated(bucket, key, &version);
        world.later(world.config.replication_delay, Task::Replicate(work));
        return Ok(());
    }
    let place = (bucket, key);
    let failures = replicate(world, place, &version, &role, &rules, (true, false));
    // An access that keeps it from sinking into an archive (S3 User Guide: how Intelligent-Tiering works).
    archive::touch(world, bucket, key, version_id);
    // A replica that a job passes on stays a replica.
    let status = match (failures.is_empty(), version.is_replica) {
        (false, _) => ReplicationStatus::Failed,
        (true, true) => ReplicationStatus::Replica,
        (true, false) => ReplicationStatus::Completed,
    };
    set_status(world, bucket, key, version_id, status);
    tell_failures_of_job(world, place, &version, &failures);
    failures.first().map_or(Ok(()), |failure| Err(failure.reason))
}

/// A version that is to be replicated: the role that does it, and the rules to follow.
struct Admitted {
    version: Version,
    role: Arc<str>,
    rules: Vec<Arc<Rule>>,
}

/// What stops a task before any destination is asked. None of it changes the status of the version.
fn admit(
    world: &World,
    role: &str,
    bucket: &str,
    key: &str,
    version_id: &str,
) -> Result<Admitted, Reason> {
    if !world.iam.trusts(role, BATCH_SERVICE) {
        return Err(Reason::AssumeRoleNotPermitted);
    }
    if !access::object(world, role, "s3:InitiateReplication", bucket, key) {
        return Err(Reason::InitiateReplicationNotPermitted);
    }
    let source = world.buckets.get(bucket).ok_or(Reason::SrcBucketNotFound)?;
    if source.region != world.config.region {
        return Err(Reason::SrcBucketInvalidRegion);
    }
    let config = source.replication.as_ref().ok_or(Reason::SrcBucketReplicationConfigMissing)?;
    if version_id.is_empty() {
        return Err(Reason::SrcObjectNotFound);
    }
    if !source.keys.contains_key(key) {
        return Err(Reason::SrcKeyNotFound);
    }
    let version = find(world, bucket, key, version_id).ok_or(Reason::SrcVersionNotFound)?;
    let rules = select(config, key, version, Mode::Batch);
    if rules.is_empty() || archived(source, key, version, world.now()).is_some() {
        return Err(Reason::SrcObjectNotEligible);
    }
    Ok(Admitted { version: version.clone(), role: Arc::clone(&config.role), rules })
}

/// Whether the version is COMPLETED and every destination has it.
fn is_settled(world: &World, key: &str, version: &Version, rules: &[Arc<Rule>]) -> bool {
    let there = |rule: &Arc<Rule>| find(world, rule.destination.name(), key, &version.id).is_some();
    version.replication == Some(ReplicationStatus::Completed) && rules.iter().all(there)
}
