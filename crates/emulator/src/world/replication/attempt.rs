//! One attempt: one version, one rule, one destination. The checks stand in the order in which S3 meets
//! them, so that the first obstacle names the reason.
//!
//! It refuses to decide what becomes of the source's status: that needs all destinations together.

use super::rules::Rule;
use super::{Reason, replica};
use crate::world::bucket::Versioning;
use crate::world::iam::REPLICATION_SERVICE;
use crate::world::kms::KeyState;
use crate::world::object::{Encryption, Version};
use crate::world::{World, access};

/// What is to be replicated, and by whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// The source bucket.
    pub(super) source: &'a str,
    /// The key.
    pub(super) key: &'a str,
    /// The version, as it is now.
    pub(super) version: &'a Version,
    /// The role of the replication configuration.
    pub(super) role: &'a str,
    /// Batch Replication, which never makes a deleted replica again.
    pub(super) batch: bool,
    /// Only metadata changed, and the replica was there: it has to be there still.
    pub(super) update: bool,
}

/// Replicates, unless something stands in the way. `Ok(Some(reason))`: the object arrived, its tags did
/// not, and nobody is told but the source's status.
pub(super) fn attempt(
    world: &mut World,
    subject: &Subject<'_>,
    rule: &Rule,
) -> Result<Option<Reason>, Reason> {
    check_source(world, subject)?;
    check_destination(world, subject, rule)?;
    let tags = tag_refusal(world, subject, rule);
    replica::write(world, subject, rule, tags.is_none());
    Ok(tags)
}

fn check_source(world: &World, subject: &Subject<'_>) -> Result<(), Reason> {
    if !world.iam.trusts(subject.role, REPLICATION_SERVICE) {
        return Err(Reason::AssumeRoleNotPermitted);
    }
    let may = |action| access::object(world, subject.role, action, subject.source, subject.key);
    if !may("s3:GetObjectVersionForReplication") {
        return Err(Reason::SrcGetObjectNotPermitted);
    }
    if !may("s3:GetObjectVersionAcl") {
        return Err(Reason::SrcGetAclNotPermitted);
    }
    if is_locked(world, subject.source) {
        if !may("s3:GetObjectRetention") {
            return Err(Reason::SrcGetRetentionNotPermitted);
        }
        if !may("s3:GetObjectLegalHold") {
            return Err(Reason::SrcGetLegalHoldNotPermitted);
        }
    }
    if let Encryption::Kms { key, bucket_key, .. } = &subject.version.encryption {
        if !access::is_usable(world, key) {
            return Err(Reason::SrcKmsKeyInvalidState);
        }
        let object = access::encrypted(subject.source, subject.key, *bucket_key);
        if !access::key(world, subject.role, "kms:Decrypt", key, &object) {
            return Err(Reason::SrcGetObjectNotPermitted);
        }
    }
    Ok(())
}

fn check_destination(world: &World, subject: &Subject<'_>, rule: &Rule) -> Result<(), Reason> {
    let name = rule.destination.name();
    let bucket = world.buckets.get(name).ok_or(Reason::DstBucketNotFound)?;
    if bucket.versioning != Versioning::Enabled {
        return Err(Reason::DstBucketUnversioned);
    }
    if bucket.lock.is_none() && is_locked(world, subject.source) {
        return Err(Reason::DstBucketObjectLockConfigMissing);
    }
    check_replica_key(world, subject, rule)?;
    check_lock(world, subject, name)?;
    let allows = |action| access::object(world, subject.role, action, name, subject.key);
    if subject.version.is_delete_marker() {
        if !allows("s3:ReplicateDelete") {
            return Err(Reason::DstDelObjNotPermitted);
        }
    } else if !allows("s3:ReplicateObject")
        || (rule.destination.owner_override && !allows("s3:ObjectOwnerOverrideToBucketOwner"))
    {
        return Err(Reason::DstPutObjectNotPermitted);
    }
    let id = &subject.version.id;
    let there = bucket
        .keys
        .get(subject.key)
        .is_some_and(|versions| versions.iter().any(|version| version.id == *id));
    if there {
        return Ok(());
    }
    // A version that was there once is not made again, however often it is tried; a `null` one may be another.
    let deleted = || bucket.hard_deleted.contains(&(subject.key.to_owned(), id.to_string()));
    let gone = !bucket.hard_deleted.is_empty() && deleted();
    match subject.batch {
        true if gone => Err(Reason::DstObjectHardDeleted),
        false if subject.update || (gone && &**id != "null") => Err(Reason::DstVersionNotFound),
        _ => Ok(()),
    }
}

fn is_locked(world: &World, bucket: &str) -> bool {
    world.buckets.get(bucket).is_some_and(|bucket| bucket.lock.is_some())
}

/// The documented policy of a replication role does not allow these two actions, and still locks are
/// replicated: only a denial stands in their way.
fn check_lock(world: &World, subject: &Subject<'_>, destination: &str) -> Result<(), Reason> {
    let Some(extra) = &subject.version.extra else {
        return Ok(());
    };
    let denied = |action| access::is_denied(world, subject.role, action, destination, subject.key);
    if extra.retention.is_some() && denied("s3:PutObjectRetention") {
        return Err(Reason::DstPutRetentionNotPermitted);
    }
    if extra.legal_hold && denied("s3:PutObjectLegalHold") {
        return Err(Reason::DstPutLegalHoldNotPermitted);
    }
    Ok(())
}

fn check_replica_key(world: &World, subject: &Subject<'_>, rule: &Rule) -> Result<(), Reason> {
    let (Encryption::Kms { bucket_key, .. }, Some(key)) =
        (&subject.version.encryption, rule.destination.kms_key())
    else {
        return Ok(());
    };
    match world.kms.state(key) {
        None => return Err(Reason::DstKmsKeyNotFound),
        Some(KeyState::Disabled | KeyState::PendingDeletion) => {
            return Err(Reason::DstKmsKeyInvalidState);
        }
        Some(KeyState::Enabled) => {}
    }
    let object = access::encrypted(rule.destination.name(), subject.key, *bucket_key);
    let allows = |action| access::key(world, subject.role, action, key, &object);
    // The policy that the User Guide prints (replicating encrypted objects) has the first alone, and its list of
    // failure reasons names the second: only a denial of that stands in the way.
    let denied = access::is_key_denied(world, subject.role, "kms:GenerateDataKey", key, &object);
    if allows("kms:Encrypt") && !denied { Ok(()) } else { Err(Reason::DstPutObjectNotPermitted) }
}

/// Why the tags do not go along, if they do not.
fn tag_refusal(world: &World, subject: &Subject<'_>, rule: &Rule) -> Option<Reason> {
    if subject.version.tags.is_empty() && !subject.update {
        return None;
    }
    let allows = |action, bucket| access::object(world, subject.role, action, bucket, subject.key);
    if !allows("s3:GetObjectVersionTagging", subject.source) {
        return Some(Reason::SrcGetTaggingNotPermitted);
    }
    let allowed = allows("s3:ReplicateTags", rule.destination.name());
    (!allowed).then_some(Reason::DstPutTaggingNotPermitted)
}
