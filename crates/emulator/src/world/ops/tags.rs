//! Tags of a version. Changing them sends the version on to its replicas again.

use super::{bucket_mut, get, no_such_version};
use crate::world::object::Tags;
use crate::world::replication::{self, Trigger};
use crate::world::{Answer, Refusal, World, notification};

/// The most tags of an object (S3 User Guide: object tagging).
const TAGS_MAX: usize = 10;
/// The longest tag key, in characters.
const KEY_LEN_MAX: usize = 128;
/// The longest tag value, in characters.
const VALUE_LEN_MAX: usize = 256;

/// Whether an object may have these tags.
///
/// # Errors
/// 400 `BadRequest` for too many, 400 `InvalidTag` for a key or a value that is too long.
pub fn check(tags: &Tags) -> Answer<()> {
    if tags.len() > TAGS_MAX {
        return Err(Refusal::new(400, "BadRequest", "Object tags cannot be greater than 10"));
    }
    check_each(tags)
}

/// Whether each tag by itself is one.
///
/// # Errors
/// 400 `InvalidTag`.
pub(super) fn check_each(tags: &Tags) -> Answer<()> {
    let too_long = |(key, value): (&String, &String)| {
        // What XML cannot carry cannot be read back.
        let odd = |it: char| it.is_control() || matches!(it, '\u{fffe}' | '\u{ffff}');
        key.contains(odd)
            || value.contains(odd)
            || key.is_empty()
            || key.chars().count() > KEY_LEN_MAX
            || value.chars().count() > VALUE_LEN_MAX
    };
    if tags.iter().any(too_long) {
        return Err(Refusal::new(
            400,
            "InvalidTag",
            "The tag key or value you have provided is invalid",
        ));
    }
    Ok(())
}

/// The id and the tags of a version, or of the current one.
///
/// # Errors
/// 404 `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`; 405 `MethodNotAllowed` for a delete marker.
pub fn read(
    world: &World,
    bucket: &str,
    key: &str,
    version_id: Option<&str>,
) -> Answer<(std::sync::Arc<str>, Tags)> {
    let version = get::version(world, bucket, key, version_id)?;
    if version.is_delete_marker() {
        return Err(Refusal::new(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        ));
    }
    Ok((version.id.clone(), version.tags.clone()))
}

/// Replaces the tags of a version, or of the current one; none removes them. Returns the version's id.
///
/// # Errors
/// Those of [`read`] and [`check`].
pub fn replace(
    world: &mut World,
    bucket: &str,
    key: &str,
    version_id: Option<&str>,
    tags: Tags,
) -> Answer<std::sync::Arc<str>> {
    check(&tags)?;
    let (id, _) = read(world, bucket, key, version_id)?;
    let event = if tags.is_empty() { "ObjectTagging:Delete" } else { "ObjectTagging:Put" };
    bucket_mut(world, bucket)?
        .keys
        .get_mut(key)
        .and_then(|versions| versions.iter_mut().find(|version| version.id == id))
        .ok_or_else(no_such_version)?
        .tags = tags;
    replication::on_write(world, bucket, key, &id, Trigger::Metadata);
    notification::on_object(world, bucket, key, &id, event);
    Ok(id)
}
