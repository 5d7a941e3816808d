//! Multipart uploads: parts gathered under an id, and one version made of them at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

use super::condition::WriteIf;
use super::put::{self, Draft, Written};
use super::{bucket, bucket_mut, encryption, get, lock};
use crate::world::object::{Body, Content, Encryption, Fields, Tags};
use crate::world::{Answer, Millis, Refusal, World};

/// The highest part number (S3 User Guide: multipart upload limits).
const PARTS_MAX: i32 = 10_000;
/// The least size of a part that is not the last: 5 MiB.
const PART_BYTES_MIN: usize = 5 << 20;

/// An upload that was not finished.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The key that it will write.
    pub key: String,
    /// When it began.
    pub initiated: Millis,
    /// The headers of the object to be.
    pub headers: Fields,
    /// The metadata of the object to be.
    pub metadata: Fields,
    /// The tags of the object to be.
    pub tags: Tags,
    /// The class of the object to be.
    pub storage_class: Arc<str>,
    /// The encryption that was asked for.
    pub encryption: Option<Encryption>,
    /// The lock that was asked for.
    pub lock: lock::Asked,
    /// The algorithm of the object's checksum, and whether it is made of the parts' checksums.
    pub checksum: Option<(String, bool)>,
    /// The parts that have arrived, by number.
    pub parts: BTreeMap<i32, Part>,
}

/// A part that has arrived.
#[derive(Debug, Clone)]
pub struct Part {
    /// The bytes.
    pub bytes: Bytes,
    /// Their MD5 in hexadecimal.
    pub etag: String,
    /// Checksums that came with them, by algorithm.
    pub checksums: Fields,
    /// When it arrived.
    pub modified: Millis,
}

impl Upload {
    /// Whether a part that brings the customer's key of this MD5 belongs to it.
    ///
    /// # Errors
    /// 400 `InvalidRequest`.
    pub fn check_key(&self, given: Option<&str>) -> Answer<()> {
        let own = match &self.encryption {
            Some(Encryption::Customer { key_md5 }) => Some(key_md5.as_str()),
            _ => None,
        };
        let message = match (own, given) {
            (own, given) if own == given => return Ok(()),
            (Some(_), None) => {
                "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters."
            }
            (None, _) => {
                "The multipart upload initiate did not request encryption. Part requests must not include encryption parameters."
            }
            _ => "The provided encryption parameters did not match the ones used originally.",
        };
        Err(Refusal::new(400, "InvalidRequest", message))
    }
}

/// Begins an upload and returns its id.
///
/// # Errors
/// 404 `NoSuchBucket`; those of the key that the object will lie under.
pub fn create(world: &mut World, bucket_name: &str, upload: Upload) -> Answer<String> {
    let chosen = encryption::choose(bucket(world, bucket_name)?, upload.encryption.clone());
    encryption::usable(world, &chosen)?;
    super::tags::check(&upload.tags)?;
    let id = world.rng.token(64);
    bucket_mut(world, bucket_name)?.uploads.insert(id.clone(), upload);
    Ok(id)
}

/// The upload of this id and key.
///
/// # Errors
/// 404 `NoSuchBucket`, `NoSuchUpload`.
pub fn find<'a>(world: &'a World, bucket_name: &str, key: &str, id: &str) -> Answer<&'a Upload> {
    bucket(world, bucket_name)?
        .uploads
        .get(id)
        .filter(|upload| upload.key == key)
        .ok_or_else(no_such_upload)
}

/// Takes a part, in the place of an older one with its number, and returns its ETag.
///
/// # Errors
/// 404 `NoSuchBucket`, `NoSuchUpload`; 400 `InvalidArgument` for a number outside 1 to 10,000.
pub fn put_part(
    world: &mut World,
    bucket_name: &str,
    key: &str,
    id: &str,
    number: i32,
    (bytes, checksums): (Bytes, Fields),
) -> Answer<String> {
    find(world, bucket_name, key, id)?;
    if !(1..=PARTS_MAX).contains(&number) {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        return Err(Refusal::new(400, "InvalidArgument", message));
    }
    let part = Part { etag: put::md5_hex(&bytes), checksums, modified: world.now(), bytes };
    let etag = part.etag.clone();
    let upload = bucket_mut(world, bucket_name)?.uploads.get_mut(id);
    upload.ok_or_else(no_such_upload)?.parts.insert(number, part);
    Ok(etag)
}

/// Makes the object of the parts named, (number, ETag without quotes) in order, and ends the upload.
///
/// # Errors
/// 404 `NoSuchBucket`, `NoSuchUpload`; 400 `MalformedXML` for no parts, `InvalidPartOrder`,
/// `InvalidPart`, `EntityTooSmall`; those of the condition.
pub fn complete(
    world: &mut World,
    bucket_name: &str,
    key: &str,
    id: &str,
    parts: &[(i32, Option<String>)],
    (checksums, part_checksums): (Fields, Vec<String>),
    condition: &WriteIf,
) -> Answer<Written> {
    let upload = find(world, bucket_name, key, id)?;
    let (pieces, etag) = assemble(upload, parts)?;
    let content = Content {
        body: Body { pieces },
        etag,
        headers: upload.headers.clone(),
        metadata: upload.metadata.clone(),
        checksums: checksums.clone(),
        part_checksums,
    };
    let draft = Draft {
        content: Arc::new(content),
        tags: upload.tags.clone(),
        storage_class: Arc::clone(&upload.storage_class),
        encryption: upload.encryption.clone(),
        lock: upload.lock,
    };
    let event = "ObjectCreated:CompleteMultipartUpload";
    let written = put::object(world, bucket_name, key, draft, condition, event)?;
    let bucket = bucket_mut(world, bucket_name)?;
    bucket.uploads.remove(id);
    if bucket.completed.len() == COMPLETED_MAX {
        bucket.completed.pop_front();
    }
    bucket.completed.push_back(Completed {
        id: id.to_owned(),
        key: key.to_owned(),
        written: written.clone(),
        checksums,
    });
    Ok(written)
}

/// An upload that was completed: asked to complete it again, S3 says the same again.
#[derive(Debug, Clone)]
pub struct Completed {
    id: String,
    key: String,
    written: Written,
    checksums: Fields,
}

/// How many completed uploads a bucket remembers.
const COMPLETED_MAX: usize = 1_000;

/// What was said when this upload was completed, if it was.
pub fn completed(
    world: &World,
    bucket_name: &str,
    key: &str,
    id: &str,
) -> Option<(Written, Fields)> {
    let completed = &world.buckets.get(bucket_name)?.completed;
    let found = completed.iter().find(|it| it.id == id && it.key == key)?;
    Some((found.written.clone(), found.checksums.clone()))
}

/// The pieces of the object and its ETag: the MD5 of the parts' MD5s, and how many they are.
fn assemble(upload: &Upload, parts: &[(i32, Option<String>)]) -> Answer<(Vec<Bytes>, String)> {
    let refuse = |code: &str, message: &str| Err(Refusal::new(400, code, message));
    if parts.is_empty() {
        return refuse("MalformedXML", "You must specify at least one part");
    }
    if !parts.is_sorted_by(|(one, _), (next, _)| one < next) {
        return refuse("InvalidPartOrder", "The list of parts was not in ascending order.");
    }
    let mut digest = Md5::new();
    let mut pieces = Vec::with_capacity(parts.len());
    for (at, (number, etag)) in parts.iter().enumerate() {
        let part = upload.parts.get(number);
        let Some(part) = part.filter(|part| etag.as_ref().is_none_or(|etag| *etag == part.etag))
        else {
            return refuse("InvalidPart", "One or more of the specified parts could not be found.");
        };
        if at + 1 < parts.len() && part.bytes.len() < PART_BYTES_MIN {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            return refuse("EntityTooSmall", message);
        }
        digest.update(hex::decode(&part.etag).unwrap_or_default());
        pieces.push(part.bytes.clone());
    }
    Ok((pieces, format!("{}-{}", hex::encode(digest.finalize()), parts.len())))
}

/// Drops an upload and its parts.
///
/// # Errors
/// 404 `NoSuchBucket`, `NoSuchUpload`.
pub fn abort(world: &mut World, bucket_name: &str, key: &str, id: &str) -> Answer<()> {
    find(world, bucket_name, key, id)?;
    bucket_mut(world, bucket_name)?.uploads.remove(id);
    Ok(())
}

/// The bytes of a version, or a stretch of them, to be a part.
///
/// # Errors
/// Those of reading the source; 416 `InvalidRange`.
pub fn copied_bytes(
    world: &World,
    source: &super::copy::Source,
    span: Option<get::Span>,
) -> Answer<Bytes> {
    let version = get::version(world, &source.bucket, &source.key, source.version_id.as_deref())?;
    get::readable(world, (&source.bucket, &source.key), version, source.key_md5.as_deref())?;
    let content = version.content.as_ref().ok_or_else(super::no_such_key)?;
    source.condition.check(&content.etag, version.modified).map_err(|refusal| Refusal {
        status: 412,
        code: "PreconditionFailed".into(),
        ..refusal
    })?;
    match span {
        Some(get::Span::From(_, Some(last))) if last >= content.body.len() => {
            let message = format!(
                "Range specified is not valid for source object of size: {}",
                content.body.len()
            );
            Err(Refusal::new(400, "InvalidArgument", message))
        }
        Some(span) => Ok(get::slice(&content.body, span)?.0),
        None => Ok(get::whole(&content.body)),
    }
}

fn no_such_upload() -> Refusal {
    let message = "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    Refusal::new(404, "NoSuchUpload", message)
}
