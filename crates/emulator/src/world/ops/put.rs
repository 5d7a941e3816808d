//! Writing a new version.
//!
//! The content comes ready made: its ETag, checksums and headers are computed where the bytes come in.
//! Here is decided whether it may be written, under which version id, and who hears of it.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use md5::{Digest, Md5};

use super::condition::WriteIf;
use super::{bucket, bucket_mut, encryption, get, lock, tags};
use crate::world::bucket::Versioning;
use crate::world::object::{Content, Encryption, Fields, ReplicationStatus, Tags, Version};
use crate::world::replication::{self, Trigger};
use crate::world::{Answer, Refusal, World, notification};

/// The class of an object that was written without one. Shared: a world has few classes and many
/// versions.
static STANDARD: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("STANDARD"));

/// What a new version is to be made of.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Bytes, headers, metadata.
    pub content: Arc<Content>,
    /// Tags.
    pub tags: Tags,
    /// Storage class.
    pub storage_class: Arc<str>,
    /// The encryption that was asked for; `None` leaves it to the bucket.
    pub encryption: Option<Encryption>,
    /// The lock that was asked for.
    pub lock: lock::Asked,
}

impl Draft {
    /// A draft in the standard class, without tags.
    pub fn new(content: Content) -> Self {
        Self {
            content: Arc::new(content),
            tags: Tags::new(),
            storage_class: storage_class(None),
            encryption: None,
            lock: lock::Asked::default(),
        }
    }
}

/// A version that was just written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its id; `None` in a bucket whose versioning is not enabled.
    pub version_id: Option<Arc<str>>,
    /// Its ETag, without quotes.
    pub etag: String,
    /// The encryption that it got.
    pub encryption: Encryption,
    /// Bytes.
    pub size: u64,
}

/// The class of this name, `STANDARD` without one.
pub fn storage_class(name: Option<&str>) -> Arc<str> {
    match name {
        None | Some("STANDARD") => Arc::clone(&STANDARD),
        Some(name) => Arc::from(name),
    }
}

/// The MD5 of `bytes` in hexadecimal: the ETag of an object written in one piece.
pub fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// Writes an object for a service of AWS: a report, a manifest. SSE-S3 whatever the bucket's default;
/// versioned, replicated and told like any other. Returns the ETag without quotes.
///
/// # Errors
/// 404 `NoSuchBucket`.
pub fn store(
    world: &mut World,
    bucket: &str,
    key: &str,
    body: Bytes,
    content_type: &str,
) -> Answer<String> {
    store_under(world, (bucket, key), body, content_type, Encryption::S3)
}

/// As [`store`], under this encryption.
///
/// # Errors
/// Those of [`store`]; 400 `KMS.…` for a key that cannot be used.
pub fn store_under(
    world: &mut World,
    (bucket, key): (&str, &str),
    body: Bytes,
    content_type: &str,
    encryption: Encryption,
) -> Answer<String> {
    let content = Content {
        etag: md5_hex(&body),
        body: body.into(),
        headers: Fields::from_iter([("content-type".to_owned(), content_type.to_owned())]),
        metadata: Fields::default(),
        checksums: Fields::default(),
        part_checksums: Vec::new(),
    };
    let draft = Draft { encryption: Some(encryption), ..Draft::new(content) };
    Ok(object(world, bucket, key, draft, &WriteIf::default(), "ObjectCreated:Put")?.etag)
}

/// Writes a version as a client does, if the condition holds. `event` is the S3 event that tells of it.
///
/// # Errors
/// 404 `NoSuchBucket`; those of the condition, of the key, and of the tags.
pub fn object(
    world: &mut World,
    bucket_name: &str,
    key: &str,
    draft: Draft,
    condition: &WriteIf,
    event: &str,
) -> Answer<Written> {
    condition.check(get::newest(world, bucket_name, key)?)?;
    tags::check(&draft.tags)?;
    check_metadata(&draft.content.metadata)?;
    check_class(&draft.storage_class)?;
    if draft.content.headers.iter().any(|(_, value)| !is_header_value(value)) {
        return Err(Refusal::new(400, "InvalidArgument", "A header holds what a header cannot"));
    }
    let chosen = encryption::choose(bucket(world, bucket_name)?, draft.encryption);
    encryption::usable(world, &chosen)?;
    let (etag, size) = (draft.content.etag.clone(), draft.content.body.len());
    let mut version = Version {
        id: Arc::from(""),
        modified: world.now(),
        content: Some(draft.content),
        tags: draft.tags,
        storage_class: draft.storage_class,
        encryption: chosen.clone(),
        replication: None,
        is_replica: false,
        sequence: 0,
        extra: None,
    };
    lock::apply(world, bucket_name, draft.lock, &mut version)?;
    let id = insert(world, bucket_name, key, version)?;
    replication::on_write(world, bucket_name, key, &id, Trigger::Put);
    notification::on_object(world, bucket_name, key, &id, event);
    // Where versioning is suspended, the answer to a write names no version either.
    let versioned = bucket(world, bucket_name)?.versioning == Versioning::Enabled;
    Ok(Written { version_id: versioned.then_some(id), etag, encryption: chosen, size })
}

/// The most bytes of names and values together (S3 User Guide: working with object metadata).
const METADATA_MAX: usize = 2 * 1_024;

/// The classes that an object can be written in, and a replica (S3 API Reference: PutObject, Destination); those
/// of Outposts, Snow devices and directory buckets are not for general purpose buckets.
pub const CLASSES: [&str; 8] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];

fn check_class(class: &str) -> Answer<()> {
    if CLASSES.contains(&class) {
        return Ok(());
    }
    Err(Refusal::new(400, "InvalidStorageClass", "The storage class you specified is not valid"))
}

/// Whether an object may have this user metadata, which is told in headers.
///
/// # Errors
/// 400 `MetadataTooLarge`, 400 `InvalidArgument` for what no header can carry.
pub fn check_metadata(metadata: &Fields) -> Answer<()> {
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > METADATA_MAX {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(Refusal::new(400, "MetadataTooLarge", message));
    }
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let fits = |(name, value): (&str, &str)| {
        !name.is_empty() && name.bytes().all(token) && is_header_value(value)
    };
    if metadata.iter().all(fits) {
        return Ok(());
    }
    Err(Refusal::new(400, "InvalidArgument", "User metadata holds what a header cannot"))
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

/// Puts a version on top of its key under a new id, or in the place of the `null` version where
/// versioning is not enabled.
pub(super) fn insert(
    world: &mut World,
    bucket_name: &str,
    key: &str,
    mut version: Version,
) -> Answer<Arc<str>> {
    let enabled = bucket(world, bucket_name)?.versioning == Versioning::Enabled;
    let id: Arc<str> = if enabled { world.rng.token(32).into() } else { Arc::from("null") };
    version.id = Arc::clone(&id);
    version.sequence = world.next_sequence();
    let bucket = bucket_mut(world, bucket_name)?;
    match bucket.keys.get_mut(key) {
        Some(versions) => {
            if !enabled {
                versions.retain(|old| &*old.id != "null");
            }
            versions.insert(0, version);
        }
        None => {
            // Most keys only ever have one version: no spare room for others.
            bucket.keys.insert(key.to_owned(), Vec::from([version]));
        }
    }
    Ok(id)
}

/// The status as the wire spells it.
pub fn status_name(status: ReplicationStatus) -> &'static str {
    match status {
        ReplicationStatus::Pending => "PENDING",
        ReplicationStatus::Completed => "COMPLETED",
        ReplicationStatus::Failed => "FAILED",
        ReplicationStatus::Replica => "REPLICA",
    }
}
