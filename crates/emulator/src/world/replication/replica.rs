//! The replica: the same version id, time, bytes, metadata and tags as its source, under the storage
//! class and the key that the rule names (S3 User Guide: what does Amazon S3 replicate?).
//!
//! Writing it sets off no replication: a replica never goes on by itself.

use std::sync::Arc;

use super::attempt::Subject;
use super::rules::Rule;
use crate::world::object::{Encryption, Extra, ReplicationStatus, Retention, Tags, Version};
use crate::world::{Millis, World, notification};

/// Puts the replica into the destination, or brings the one that is there up to date.
pub(super) fn write(world: &mut World, subject: &Subject<'_>, rule: &Rule, with_tags: bool) {
    let (name, now) = (rule.destination.name(), world.now());
    let Some(bucket) = world.buckets.get_mut(name) else {
        return;
    };
    if !bucket.keys.contains_key(subject.key) {
        bucket.keys.insert(subject.key.to_owned(), Vec::new());
    }
    let Some(versions) = bucket.keys.get_mut(subject.key) else {
        return;
    };
    let source = subject.version;
    if let Some(old) =
        versions.iter_mut().find(|old| old.id == source.id && old.modified == source.modified)
    {
        old.content.clone_from(&source.content);
        follow_locks(old, source, now);
        if with_tags {
            old.tags.clone_from(&source.tags);
        }
        return;
    }
    // A `null` version written again at the source takes the place of the older one.
    versions.retain(|old| old.id != source.id);
    let replica = copy_of(source, rule, with_tags);
    let newer = |old: &Version| (old.modified, old.sequence) > (replica.modified, replica.sequence);
    let at = versions.iter().take_while(|old| newer(old)).count();
    versions.insert(at, replica);
    let event = if source.is_delete_marker() {
        "ObjectRemoved:DeleteMarkerCreated"
    } else {
        "ObjectCreated:Put"
    };
    notification::on_object(world, name, subject.key, &source.id, event);
}

/// The replica has the locks of its source, and nothing of its archives.
fn lock_of(source: &Version) -> Option<Box<Extra>> {
    let extra = source.extra.as_ref()?;
    let locked = extra.retention.is_some() || extra.legal_hold;
    let lock = Extra {
        retention: extra.retention,
        legal_hold: extra.legal_hold,
        hold_of_source: extra.legal_hold,
        ..Extra::default()
    };
    locked.then(|| Box::new(lock))
}

/// Brings the locks of a replica up to date. Replication takes nothing away that somebody set at the destination,
/// and no retention that still binds: it can be prolonged, and governance can become compliance (S3 User Guide:
/// how S3 Object Lock works).
fn follow_locks(replica: &mut Version, source: &Version, now: Millis) {
    let (retention, hold) = match &source.extra {
        Some(extra) => (extra.retention, extra.legal_hold),
        None => (None, false),
    };
    if retention.is_none() && !hold && replica.extra.is_none() {
        return;
    }
    let extra = replica.extra();
    let weaker = |old: &Retention| {
        retention.is_none_or(|new| new.until < old.until || (old.compliance && !new.compliance))
    };
    if extra.retention.filter(|old| now < old.until).is_none_or(|old| !weaker(&old)) {
        extra.retention = retention;
    }
    if hold && !extra.legal_hold {
        (extra.legal_hold, extra.hold_of_source) = (true, true);
    } else if !hold && extra.hold_of_source {
        (extra.legal_hold, extra.hold_of_source) = (false, false);
    }
}

fn copy_of(source: &Version, rule: &Rule, with_tags: bool) -> Version {
    let encryption = match (&source.encryption, rule.destination.kms_key()) {
        (Encryption::Kms { dual, bucket_key, .. }, Some(key)) => {
            Encryption::Kms { key: key.to_owned(), dual: *dual, bucket_key: *bucket_key }
        }
        (other, _) => other.clone(),
    };
    Version {
        id: Arc::clone(&source.id),
        modified: source.modified,
        content: source.content.clone(),
        tags: if with_tags { source.tags.clone() } else { Tags::new() },
        storage_class: rule
            .destination
            .storage_class
            .as_deref()
            .map_or_else(|| Arc::clone(&source.storage_class), Arc::from),
        encryption,
        replication: Some(ReplicationStatus::Replica),
        is_replica: true,
        sequence: source.sequence,
        extra: lock_of(source),
    }
}
