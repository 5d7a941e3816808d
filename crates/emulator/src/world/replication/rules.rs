//! The replication configuration of a bucket as data, in both of its versions (V1: a prefix under the
//! rule; V2: a filter), and [`validate`], which says of it what `PutBucketReplication` says.
//!
//! Which rules an object meets is decided in [`super::select`].

use std::sync::Arc;

pub use super::validate::validate;

/// `ReplicationConfiguration` (S3 API Reference: PutBucketReplication).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationConfig {
    /// The role that S3 assumes to replicate.
    pub role: Arc<str>,
    /// The rules, in the order given.
    pub rules: Vec<Arc<Rule>>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// At most 255 ASCII characters, unique in the configuration.
    pub id: String,
    /// V2 only. Of several rules with one destination, the highest decides.
    pub priority: Option<i32>,
    /// Which objects.
    pub filter: Filter,
    /// `Status`.
    pub enabled: bool,
    /// `SourceSelectionCriteria.SseKmsEncryptedObjects`.
    pub sse_kms: Option<bool>,
    /// `SourceSelectionCriteria.ReplicaModifications`.
    pub replica_modifications: Option<bool>,
    /// `DeleteMarkerReplication`; V2 must say it.
    pub delete_markers: Option<bool>,
    /// Where to.
    pub destination: Destination,
}

/// Which objects a rule is about, in the shape it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Neither `Filter` nor `Prefix`: every object.
    Absent,
    /// V1: `Prefix` directly under the rule.
    V1(String),
    /// An empty `Filter`: every object.
    All,
    /// One prefix.
    Prefix(String),
    /// One tag.
    Tag(String, String),
    /// `And`: a prefix and tags, all of which must be there.
    And {
        /// The prefix, if one was given.
        prefix: Option<String>,
        /// The tags, in the order given.
        tags: Vec<(String, String)>,
    },
}

impl Filter {
    /// The prefix that a key must have; empty if any will do.
    pub fn prefix(&self) -> &str {
        match self {
            Self::V1(prefix) | Self::Prefix(prefix) => prefix,
            Self::And { prefix: Some(prefix), .. } => prefix,
            _ => "",
        }
    }

    /// Whether an object must carry tags.
    pub fn is_tagged(&self) -> bool {
        match self {
            Self::Tag(..) => true,
            Self::And { tags, .. } => !tags.is_empty(),
            _ => false,
        }
    }

    /// Whether the rule is of the newer version, with a `Filter`.
    pub fn is_v2(&self) -> bool {
        !matches!(self, Self::V1(_) | Self::Absent)
    }
}

/// `Destination` of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destination {
    /// The bucket's ARN.
    pub bucket: String,
    /// `Account`: the owner of the destination.
    pub account: Option<String>,
    /// The storage class of replicas; the source's if not given.
    pub storage_class: Option<String>,
    /// `AccessControlTranslation.Owner = Destination`.
    pub owner_override: bool,
    /// `EncryptionConfiguration.ReplicaKmsKeyID`. The outer `Some` is the block, which may be empty.
    pub encryption: Option<Option<String>>,
    /// `Metrics`.
    pub metrics: Option<Switch>,
    /// `ReplicationTime` (RTC).
    pub time_control: Option<Switch>,
}

impl Destination {
    /// The bucket's name; empty when the ARN is none of a bucket.
    pub fn name(&self) -> &str {
        self.bucket.strip_prefix("arn:aws:s3:::").unwrap_or_default()
    }

    /// The key that replicas of KMS objects are encrypted with.
    pub fn kms_key(&self) -> Option<&str> {
        self.encryption.as_ref().and_then(|key| key.as_deref())
    }

    /// Whether failures are told in events (S3 User Guide: replication-metrics).
    pub fn tells_failures(&self) -> bool {
        self.metrics.is_some_and(|metrics| metrics.enabled)
    }

    /// Whether Replication Time Control is on.
    pub fn is_timed(&self) -> bool {
        self.time_control.is_some_and(|control| control.enabled)
    }
}

/// A `Status` with the minutes beside it (`EventThreshold` or `Time`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// `Status`.
    pub enabled: bool,
    /// Minutes, where given; 15 is the only value that S3 takes.
    pub minutes: Option<i32>,
}

impl Rule {
    /// A V2 rule for every object, with metrics and without delete markers, to the bucket named.
    pub fn to_bucket(id: &str, priority: i32, destination: &str) -> Self {
        Self {
            id: id.to_owned(),
            priority: Some(priority),
            filter: Filter::All,
            enabled: true,
            sse_kms: None,
            replica_modifications: None,
            delete_markers: Some(false),
            destination: Destination {
                bucket: format!("arn:aws:s3:::{destination}"),
                metrics: Some(Switch { enabled: true, minutes: None }),
                ..Destination::default()
            },
        }
    }
}
