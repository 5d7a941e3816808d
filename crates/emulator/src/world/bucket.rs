//! A bucket: its versions and its sub-resources.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Millis;
use super::lifecycle::Rule;
use super::notification::NotificationConfig;
use super::object::{Tags, Version};
use super::ops::archive::Tiering;
use super::ops::lock::ObjectLock;
use super::ops::multipart::{Completed, Upload};
use super::policy::Statement;
use super::replication::rules::ReplicationConfig;

/// The versioning of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versioning {
    /// Never enabled.
    #[default]
    Unversioned,
    /// Enabled.
    Enabled,
    /// Enabled once, now suspended.
    Suspended,
}

/// The policy of a bucket or a queue, as it was given and as it is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Verbatim.
    pub text: String,
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// The default encryption of a bucket, as a client reads it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultEncryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub algorithm: String,
    /// The key as it was named, if it was.
    pub key: Option<String>,
    /// With an S3 Bucket Key.
    pub bucket_key: bool,
}

/// One bucket.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The account that owns it.
    pub owner: String,
    /// Its Region.
    pub region: String,
    /// When it was made.
    pub created: Millis,
    /// Its versioning.
    pub versioning: Versioning,
    /// Versions of each key, newest first. A key without versions is not in the map.
    pub keys: BTreeMap<String, Vec<Version>>,
    /// Multipart uploads that were not finished, by upload id.
    pub uploads: BTreeMap<String, Upload>,
    /// The last uploads that were completed.
    pub completed: VecDeque<Completed>,
    /// `GetBucketReplication`.
    pub replication: Option<ReplicationConfig>,
    /// `GetBucketNotificationConfiguration`.
    pub notification: NotificationConfig,
    /// The bucket policy.
    pub policy: Option<Policy>,
    /// Bucket tags.
    pub tags: Tags,
    /// The key ARN of the default encryption; `None` is SSE-S3.
    pub default_kms_key: Option<String>,
    /// How the default encryption was set, where it was.
    pub encryption: Option<DefaultEncryption>,
    /// Lifecycle rules.
    pub lifecycle: Vec<Rule>,
    /// Lifecycle rules move small objects too where the class is an archive: `varies_by_storage_class`.
    pub lifecycle_varies: bool,
    /// Object Lock, once it is there.
    pub lock: Option<ObjectLock>,
    /// `BlockPublicAcls`, `IgnorePublicAcls`, `BlockPublicPolicy`, `RestrictPublicBuckets`; kept, and
    /// without effect: nothing here is public.
    pub public_access_block: Option<[bool; 4]>,
    /// `ObjectOwnership`; `None` once somebody has deleted it.
    pub ownership: Option<String>,
    /// Intelligent-Tiering configurations, in order of id.
    pub tierings: Vec<Tiering>,
    /// Versions that a client deleted by version id, (key, version id): Batch Replication never
    /// re-creates them here (`DstObjectHardDeleted`).
    pub hard_deleted: BTreeSet<(String, String)>,
}
