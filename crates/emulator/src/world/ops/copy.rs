//! Copying an object, onto another key or onto itself.

use std::sync::Arc;

use super::condition::{ReadIf, WriteIf};
use super::get;
use super::lock;
use super::put::{self, Draft, Written};
use crate::world::object::{Content, Encryption, Fields, Tags};
use crate::world::{Answer, Millis, Refusal, World};

/// The largest object that one copy takes: 5 GiB (S3 User Guide: copying objects).
const COPY_BYTES_MAX: u64 = 5 << 30;

/// Where a copy comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version; the current one without.
    pub version_id: Option<String>,
    /// The conditions on it.
    pub condition: ReadIf,
    /// What the request brought to read an SSE-C source.
    pub key_md5: Option<String>,
}

/// What the copy has of its own.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// `x-amz-metadata-directive: REPLACE`: stored headers and user metadata.
    pub metadata: Option<(Fields, Fields)>,
    /// `x-amz-tagging-directive: REPLACE`.
    pub tags: Option<Tags>,
    /// The class of the copy; `STANDARD` without, whatever the source has.
    pub storage_class: Option<String>,
    /// The encryption asked for.
    pub encryption: Option<Encryption>,
    /// The lock asked for; the source's is not copied.
    pub lock: lock::Asked,
    /// The condition on the key that is written.
    pub condition: WriteIf,
}

/// What a copy made.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The new version.
    pub written: Written,
    /// When it was written.
    pub modified: Millis,
    /// The version that was copied; `None` in a bucket that was never versioned.
    pub source_version: Option<Arc<str>>,
}

/// Copies one version to `key` in `bucket`. The bytes are shared.
///
/// # Errors
/// Those of reading the source and of writing the copy; 400 `InvalidRequest` for a copy onto itself
/// that changes nothing, and for more than 5 GiB.
pub fn object(
    world: &mut World,
    source: &Source,
    bucket: &str,
    key: &str,
    changes: Changes,
) -> Answer<Copied> {
    let version = get::version(world, &source.bucket, &source.key, source.version_id.as_deref())?;
    get::readable(world, (&source.bucket, &source.key), version, source.key_md5.as_deref())?;
    let content = version.content.clone().ok_or_else(|| {
        invalid("The source of a copy request may not specifically refer to a delete marker by version id.")
    })?;
    source.condition.check(&content.etag, version.modified).map_err(|refusal| {
        // A copy knows no 304.
        Refusal { status: 412, code: "PreconditionFailed".into(), ..refusal }
    })?;
    if content.body.len() > COPY_BYTES_MAX {
        return Err(invalid(
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let onto_itself = source.bucket == bucket && source.key == key && source.version_id.is_none();
    let changed = changes.metadata.is_some()
        || changes.storage_class.is_some()
        || changes.encryption.is_some();
    if onto_itself && !changed {
        return Err(invalid(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let (source_id, source_tags) = (version.id.clone(), version.tags.clone());
    let draft = Draft {
        content: redone(content, changes.metadata),
        tags: changes.tags.unwrap_or(source_tags),
        storage_class: put::storage_class(changes.storage_class.as_deref()),
        encryption: changes.encryption,
        lock: changes.lock,
    };
    let written = put::object(world, bucket, key, draft, &changes.condition, "ObjectCreated:Copy")?;
    let versioned = super::bucket(world, &source.bucket)?.versioning != Default::default();
    Ok(Copied { written, modified: world.now(), source_version: versioned.then_some(source_id) })
}

/// The content of the copy. The ETag is that of the bytes, so one made of parts gets a plain one.
fn redone(content: Arc<Content>, metadata: Option<(Fields, Fields)>) -> Arc<Content> {
    if metadata.is_none() && !content.etag.contains('-') {
        return content;
    }
    let body = get::whole(&content.body);
    let (headers, metadata) =
        metadata.unwrap_or_else(|| (content.headers.clone(), content.metadata.clone()));
    Arc::new(Content {
        etag: put::md5_hex(&body),
        body: body.into(),
        headers,
        metadata,
        // A checksum that is made of the parts' has no meaning without them.
        checksums: (content.checksums.iter())
            .filter(|(_, value)| !value.contains('-'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        part_checksums: Vec::new(),
    })
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "InvalidRequest", message)
}
