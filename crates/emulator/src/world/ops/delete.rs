//! Deleting: a marker on top of a versioned key, or one version for good.

use std::sync::Arc;

use super::condition::WriteIf;
use super::{bucket, bucket_mut, get, lock, put};
use crate::world::bucket::Versioning;
use crate::world::object::{Encryption, Tags, Version};
use crate::world::replication::{self, Trigger};
use crate::world::{Answer, World, notification};

/// What a delete left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The version that was removed, or the marker that was made; `None` where there are no versions.
    pub version_id: Option<Arc<str>>,
    /// A delete marker was made, or removed.
    pub delete_marker: bool,
}

/// Deletes a key: makes a delete marker in a versioned bucket, also where nothing is; removes the
/// object in another.
///
/// # Errors
/// 404 `NoSuchBucket`, 412 `PreconditionFailed`.
pub fn key(
    world: &mut World,
    bucket_name: &str,
    key: &str,
    condition: &WriteIf,
) -> Answer<Deleted> {
    condition.check_delete(get::newest(world, bucket_name, key)?)?;
    if bucket(world, bucket_name)?.versioning == Versioning::Unversioned {
        remove(world, bucket_name, key, "null", "ObjectRemoved:Delete")?;
        return Ok(Deleted::default());
    }
    let id = mark(world, bucket_name, key)?;
    replication::on_write(world, bucket_name, key, &id, Trigger::DeleteMarker);
    notification::on_object(world, bucket_name, key, &id, "ObjectRemoved:DeleteMarkerCreated");
    Ok(Deleted { version_id: Some(id), delete_marker: true })
}

/// Puts a delete marker on top of a key, and tells nobody.
///
/// # Errors
/// 404 `NoSuchBucket`.
pub(in crate::world) fn mark(world: &mut World, bucket: &str, key: &str) -> Answer<Arc<str>> {
    let marker = Version {
        id: Arc::from(""),
        modified: world.now(),
        content: None,
        tags: Tags::new(),
        storage_class: put::storage_class(None),
        encryption: Encryption::S3,
        replication: None,
        is_replica: false,
        sequence: 0,
        extra: None,
    };
    put::insert(world, bucket, key, marker)
}

/// Takes a version away without leaving a memory of it, and tells those who listen for `event`.
pub(in crate::world) fn forget(world: &mut World, bucket: &str, key: &str, id: &str, event: &str) {
    // Without the bucket there is nothing to take away.
    let _ = remove(world, bucket, key, id, event);
}

/// Removes one version for good. A version that is not there is no error. The bucket remembers the
/// deletion: batch replication never brings that version back.
///
/// # Errors
/// 404 `NoSuchBucket`, 412 `PreconditionFailed`, 403 `AccessDenied` for one that is locked; `bypass`
/// passes governance.
pub fn version(
    world: &mut World,
    (bucket_name, key): (&str, &str),
    version_id: &str,
    condition: &WriteIf,
    bypass: bool,
) -> Answer<Deleted> {
    if condition.matches.is_some() {
        condition.check_delete(get::version(world, bucket_name, key, Some(version_id)).ok())?;
    }
    if let Ok(version) = get::version(world, bucket_name, key, Some(version_id)) {
        lock::deletable(version, world.now(), bypass)?;
    }
    let removed = remove(world, bucket_name, key, version_id, "ObjectRemoved:Delete")?;
    let bucket = bucket_mut(world, bucket_name)?;
    if removed.is_some() && bucket.versioning != Versioning::Unversioned {
        bucket.hard_deleted.insert((key.to_owned(), version_id.to_owned()));
    }
    let delete_marker = removed.is_some_and(|version| version.is_delete_marker());
    Ok(Deleted { version_id: Some(version_id.into()), delete_marker })
}

fn remove(
    world: &mut World,
    bucket_name: &str,
    key: &str,
    version_id: &str,
    event: &str,
) -> Answer<Option<Version>> {
    // The event is about the version: it has to be told while it is there.
    notification::on_object(world, bucket_name, key, version_id, event);
    let bucket = bucket_mut(world, bucket_name)?;
    let Some(versions) = bucket.keys.get_mut(key) else {
        return Ok(None);
    };
    let at = versions.iter().position(|version| &*version.id == version_id);
    let removed = at.map(|at| versions.remove(at));
    if versions.is_empty() {
        bucket.keys.remove(key);
    }
    Ok(removed)
}
