//! A bucket's replication configuration as we compare it: what S3 was told, in one shape for both of
//! its versions (V1: a prefix under the rule; V2: a filter), the rules in one order, so that a rewrite
//! in another order is the same. [`diff`] says what changed between two of them, [`cover`] which
//! versions are to be where, [`jobs`] how few jobs bring them there, and [`watch`] when to believe what
//! was read.
//!
//! Nothing here asks whether a rule works: that only shows in what becomes of the objects.

pub mod cover;
pub mod diff;
pub mod jobs;
pub mod watch;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use watch::Config;

/// A replication configuration. The default, without rules, is what a bucket has that does not
/// replicate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The role that S3 assumes to replicate.
    pub role: String,
    /// The rules, in order of their ids.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// Its id, unique in the configuration.
    pub id: String,
    /// `Status`.
    pub enabled: bool,
    /// V2 only. Of several rules with one destination, the highest decides.
    pub priority: Option<i32>,
    /// Which keys; empty is every key.
    pub prefix: String,
    /// Tags that an object has to carry, all of them.
    pub tags: BTreeMap<String, String>,
    /// `SourceSelectionCriteria.SseKmsEncryptedObjects`.
    pub kms: bool,
    /// `SourceSelectionCriteria.ReplicaModifications`: changed metadata of replicas go on.
    pub replica_changes: bool,
    /// Whether delete markers of users go along: V1 rules always take them, V2 rules when told to,
    /// those with tags never (S3 User Guide: delete-marker-replication).
    pub delete_markers: bool,
    /// Where to.
    pub destination: Destination,
}

/// `Destination` of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    /// The bucket's ARN.
    pub bucket: String,
    /// The account that owns it, where that is said.
    pub account: Option<String>,
    /// The storage class of replicas; the source's if not given.
    pub storage_class: Option<String>,
    /// `EncryptionConfiguration.ReplicaKmsKeyID`.
    pub key: Option<String>,
    /// `AccessControlTranslation.Owner = Destination`.
    pub owner: bool,
    /// `ReplicationTime` (RTC) is on.
    pub timed: bool,
    /// `Metrics` are on.
    pub metrics: bool,
}

impl Configuration {
    /// The rules in the one order that we compare.
    pub fn new(role: impl Into<String>, mut rules: Vec<Rule>) -> Self {
        rules.sort();
        Self { role: role.into(), rules }
    }

    /// The rules that are in force.
    pub fn enabled(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.enabled)
    }
}

impl Rule {
    /// Whether objects encrypted with KMS are replicated: opted in, and a key for their replicas named
    /// (S3 User Guide: replication-config-for-kms-objects).
    pub fn takes_kms(&self) -> bool {
        self.kms && self.destination.key.is_some()
    }

    /// Whether S3 tells of failures: only where metrics or RTC are on (S3 User Guide:
    /// replication-metrics-events).
    pub fn tells_failures(&self) -> bool {
        self.destination.metrics || self.destination.timed
    }
}

impl Destination {
    /// The bucket's name.
    pub fn name(&self) -> &str {
        name_of(&self.bucket)
    }
}

/// The name in a bucket's ARN, in whatever partition.
pub(crate) fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests;
