//! Finding a version and reading its bytes.

use bytes::Bytes;

use super::{archive, bucket, no_such_key, no_such_version};
use crate::world::object::{Body, Content, Encryption, Version};
use crate::world::{Answer, Refusal, World};

/// The current version of a key.
///
/// # Errors
/// 404 `NoSuchBucket`; 404 `NoSuchKey`, also when the current version is a delete marker.
pub fn current<'a>(world: &'a World, bucket_name: &str, key: &str) -> Answer<&'a Version> {
    newest(world, bucket_name, key)?
        .filter(|version| !version.is_delete_marker())
        .ok_or_else(no_such_key)
}

/// The newest version of a key, be it a delete marker; `None` where there is none.
///
/// # Errors
/// 404 `NoSuchBucket`.
pub fn newest<'a>(world: &'a World, bucket_name: &str, key: &str) -> Answer<Option<&'a Version>> {
    Ok(bucket(world, bucket_name)?.keys.get(key).and_then(|versions| versions.first()))
}

/// The named version of a key, delete markers included, or the current one without a name.
///
/// # Errors
/// As [`current`], and 404 `NoSuchVersion`.
pub fn version<'a>(
    world: &'a World,
    bucket_name: &str,
    key: &str,
    version_id: Option<&str>,
) -> Answer<&'a Version> {
    let Some(id) = version_id else {
        return current(world, bucket_name, key);
    };
    bucket(world, bucket_name)?
        .keys
        .get(key)
        .and_then(|versions| versions.iter().find(|version| &*version.id == id))
        .ok_or_else(no_such_version)
}

/// Whether the bytes of this version may be read, `key_md5` being what the request brought for SSE-C.
///
/// # Errors
/// 403 `InvalidObjectState` for what is archived; 400 and 403 for SSE-C without its key or with
/// another; 400 `KMS.…` for a key that cannot be used.
pub fn readable(
    world: &World,
    (name, key): (&str, &str),
    version: &Version,
    key_md5: Option<&str>,
) -> Answer<()> {
    if archive::archived(bucket(world, name)?, key, version, world.now()).is_some() {
        return Err(Refusal::new(
            403,
            "InvalidObjectState",
            "The operation is not valid for the object's storage class",
        ));
    }
    super::encryption::usable(world, &version.encryption)?;
    customer_key(version, key_md5)
}

/// Whether an SSE-C version was asked for with its key.
///
/// # Errors
/// 400 `InvalidRequest` without a key, 403 `AccessDenied` with another.
pub fn customer_key(version: &Version, key_md5: Option<&str>) -> Answer<()> {
    let Encryption::Customer { key_md5: wanted } = &version.encryption else {
        return Ok(());
    };
    match key_md5 {
        None => Err(Refusal::new(
            400,
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )),
        Some(given) if given != wanted => Err(Refusal::new(403, "AccessDenied", "Access Denied")),
        Some(_) => Ok(()),
    }
}

/// A stretch of bytes that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// From the first offset on, to the last one (inclusive) where given.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

/// The bytes of `span`, and where they lie as (first, last) inclusive offsets.
///
/// # Errors
/// 416 `InvalidRange` when no byte of the object lies in it.
pub fn slice(body: &Body, span: Span) -> Answer<(Bytes, u64, u64)> {
    let length = body.len();
    let (first, last) = match span {
        Span::From(first, last) => (first, last.unwrap_or(u64::MAX).min(length.saturating_sub(1))),
        Span::Last(count) => (length.saturating_sub(count), length.saturating_sub(1)),
    };
    if first >= length || first > last || span == Span::Last(0) {
        return Err(Refusal::new(416, "InvalidRange", "The requested range is not satisfiable"));
    }
    Ok((cut(body, first, last + 1), first, last))
}

/// How many parts an object was made of, if it was uploaded in parts: its ETag says so.
pub fn parts(content: &Content) -> Option<usize> {
    content.etag.split_once('-').map(|_| content.body.pieces.len())
}

/// The bytes of one part and where they lie; `None` is the whole of an object that has no parts.
///
/// # Errors
/// 416 `InvalidPartNumber` for a part that is not there.
pub fn part(content: &Content, number: i32) -> Answer<Option<(Bytes, u64, u64)>> {
    let there = parts(content).unwrap_or(1);
    let at = usize::try_from(number).ok().filter(|at| (1..=there).contains(at));
    let Some(at) = at.map(|at| at - 1) else {
        let message = "The requested partnumber is not satisfiable";
        return Err(Refusal::new(416, "InvalidPartNumber", message));
    };
    if parts(content).is_none() {
        return Ok(None);
    }
    let before: u64 = content.body.pieces.iter().take(at).map(|piece| piece.len() as u64).sum();
    Ok(content
        .body
        .pieces
        .get(at)
        .map(|piece| (piece.clone(), before, (before + piece.len() as u64).saturating_sub(1))))
}

/// All bytes in one piece; shared, not copied, where the object is one piece.
pub fn whole(body: &Body) -> Bytes {
    match body.pieces.as_slice() {
        [] => Bytes::new(),
        [piece] => piece.clone(),
        pieces => pieces.concat().into(),
    }
}

/// The bytes from `start` to before `end`.
fn cut(body: &Body, start: u64, end: u64) -> Bytes {
    let mut parts: Vec<Bytes> = Vec::new();
    let mut offset = 0u64;
    for piece in &body.pieces {
        let length = piece.len() as u64;
        let from = start.saturating_sub(offset).min(length);
        let to = end.saturating_sub(offset).min(length);
        if from < to {
            // Both are at most the piece's own length, which is a usize.
            parts.push(piece.slice(from as usize..to as usize));
        }
        offset += length;
    }
    whole(&Body { pieces: parts })
}
