//! What a job does with each row of its manifest: replicate it, copy it, or restore it from an archive
//! (S3 API Reference: JobOperation). The operations that are not here are refused on the wire, by name.

use crate::world::Answer;
use crate::world::Millis;
use crate::world::iam::BATCH_SERVICE;
use crate::world::object::{Encryption, Fields, Tags};
use crate::world::ops::condition::{ReadIf, WriteIf};
use crate::world::ops::copy::{self, Changes, Source};
use crate::world::ops::{archive, get, lock};
use crate::world::{Refusal, World, access};

use super::request::bucket_of;
use super::rows::Row;

/// The longest key (S3 User Guide: naming objects).
const KEY_BYTES_MAX: usize = 1_024;

/// What a job does with each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `S3ReplicateObject`: has no parameters at all.
    Replicate,
    /// `S3PutObjectCopy`.
    Copy(Box<CopySpec>),
    /// `S3InitiateRestoreObject`.
    Restore(RestoreSpec),
}

impl Operation {
    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Replicate => "S3ReplicateObject",
            Self::Copy(_) => "S3PutObjectCopy",
            Self::Restore(_) => "S3InitiateRestoreObject",
        }
    }
}

/// `S3PutObjectCopy`, as far as it is emulated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopySpec {
    /// `TargetResource`: the ARN of the bucket that is copied to.
    pub target: String,
    /// `TargetKeyPrefix`: stands before every key, with a slash between.
    pub prefix: Option<String>,
    /// `MetadataDirective`: `REPLACE` takes what follows in place of the source's.
    pub replaces_metadata: bool,
    /// Stored headers of `NewObjectMetadata`.
    pub headers: Vec<(String, String)>,
    /// `NewObjectMetadata.UserMetadata`.
    pub metadata: Vec<(String, String)>,
    /// `NewObjectTagging`.
    pub tags: Vec<(String, String)>,
    /// `StorageClass`.
    pub storage_class: Option<String>,
    /// `NewObjectMetadata.SSEAlgorithm`.
    pub algorithm: Option<String>,
    /// `SSEAwsKmsKeyId`.
    pub kms_key: Option<String>,
    /// `BucketKeyEnabled`.
    pub bucket_key: Option<bool>,
    /// `ModifiedSinceConstraint`.
    pub modified_since: Option<Millis>,
    /// `UnModifiedSinceConstraint`.
    pub unmodified_since: Option<Millis>,
}

/// `S3InitiateRestoreObject`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreSpec {
    /// `ExpirationInDays`: needed for the Glacier classes, forbidden for Intelligent-Tiering.
    pub days: Option<i32>,
    /// `GlacierJobTier`: `BULK` or `STANDARD`.
    pub tier: Option<String>,
}

impl CopySpec {
    /// The key that a source's key is copied to.
    fn key(&self, key: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{}/{key}", prefix.trim_end_matches('/')),
            None => key.to_owned(),
        }
    }

    fn encryption(&self, world: &World) -> Option<Encryption> {
        let kms = self.kms_key.is_some() || self.algorithm.as_deref() == Some("KMS");
        if kms {
            let key = crate::world::ops::encryption::key_arn(world, self.kms_key.as_deref());
            let bucket_key = self.bucket_key == Some(true);
            return Some(Encryption::Kms { key, dual: false, bucket_key });
        }
        self.algorithm.as_ref().map(|_| Encryption::S3)
    }
}

/// Copies what a row names (S3 User Guide: copy objects, granting permissions for Batch Operations).
pub(super) fn copy(world: &mut World, role: &str, spec: &CopySpec, row: &Row<'_>) -> Answer<()> {
    let key = row.key().unwrap_or_default();
    let version_id = row.version.filter(|id| !id.is_empty());
    let read = if version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let target = bucket_of(&spec.target).unwrap_or_default().to_owned();
    let new_key = spec.key(&key);
    if new_key.len() > KEY_BYTES_MAX {
        return Err(Refusal::new(400, "InvalidRequest", "The new key is longer than 1,024 bytes"));
    }
    permitted(world, role, read, row.bucket, &key)?;
    permitted(world, role, "s3:PutObject", &target, &new_key)?;
    let version = get::version(world, row.bucket, &key, version_id)?;
    let tagged = !spec.tags.is_empty() || !version.tags.is_empty();
    if tagged {
        permitted(world, role, "s3:PutObjectTagging", &target, &new_key)?;
    }
    let replaced = || {
        let headers: Fields = spec.headers.iter().cloned().collect();
        (headers, spec.metadata.iter().cloned().collect())
    };
    let tags: Option<Tags> =
        Some(spec.tags.iter().cloned().collect()).filter(|it: &Tags| !it.is_empty());
    let in_place = target == row.bucket && new_key == key;
    let changes = Changes {
        metadata: spec.replaces_metadata.then(replaced),
        tags,
        // A copy in place keeps the class that it does not change; so it is no copy of nothing.
        storage_class: spec
            .storage_class
            .clone()
            .or_else(|| in_place.then(|| version.storage_class.to_string())),
        encryption: spec.encryption(world),
        lock: lock::Asked::default(),
        condition: WriteIf::default(),
    };
    let source = Source {
        bucket: row.bucket.to_owned(),
        key,
        version_id: version_id.map(str::to_owned),
        condition: ReadIf {
            modified_since: spec.modified_since,
            unmodified_since: spec.unmodified_since,
            ..ReadIf::default()
        },
        key_md5: None,
    };
    copy::object(world, &source, &target, &new_key, changes).map(drop)
}

/// Initiates the restoration of what a row names; the object comes back hours later.
pub(super) fn restore(
    world: &mut World,
    role: &str,
    spec: &RestoreSpec,
    row: &Row<'_>,
) -> Answer<()> {
    let key = row.key().unwrap_or_default();
    permitted(world, role, "s3:RestoreObject", row.bucket, &key)?;
    let version_id = row.version.filter(|id| !id.is_empty());
    let tier = match spec.tier.as_deref() {
        Some("BULK") => archive::Tier::Bulk,
        _ => archive::Tier::Standard,
    };
    archive::restore(world, (row.bucket, &key), version_id, spec.days, tier).map(drop)
}

fn permitted(world: &World, role: &str, action: &str, bucket: &str, key: &str) -> Answer<()> {
    let trusted = world.iam.trusts(role, BATCH_SERVICE);
    if trusted && access::object(world, role, action, bucket, key) {
        return Ok(());
    }
    Err(Refusal::new(403, "AccessDenied", "Access Denied"))
}
