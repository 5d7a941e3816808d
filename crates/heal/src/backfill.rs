//! A backfill: versions that a new rule or a new destination is for and that existed before it, which
//! S3 never replicates by itself (S3 User Guide: s3-batch-replication-batch). It is asked for here, and
//! becomes a job in [`crate::launch`]; what has to be asked for is found by comparing configurations.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key::Bucket;
use crate::time::Timestamp;

/// A backfill's format number.
pub const BACKFILL_FORMAT: u32 = 1;

/// What S3 says of a version's replication when it makes a manifest (S3 API Reference:
/// JobManifestGeneratorFilter, ObjectReplicationStatuses). PENDING cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ObjectStatus {
    /// Never attempted.
    None,
    /// Attempted, and failed.
    Failed,
    /// Replicated: to the destinations that there were.
    Completed,
    /// Is itself a replica, which only a job replicates any further.
    Replica,
}

impl ObjectStatus {
    /// S3's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Failed => "FAILED",
            Self::Completed => "COMPLETED",
            Self::Replica => "REPLICA",
        }
    }
}

/// What S3 is asked to list. The generator itself applies the bucket, prefixes and tags of the
/// replication rules, so this only narrows them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// Of these statuses; empty is any.
    pub statuses: BTreeSet<ObjectStatus>,
    /// Under this prefix: one a job is all that S3 allows.
    pub prefix: Option<String>,
    /// Made before this time.
    pub created_before: Option<Timestamp>,
}

/// `backfills/<bucket>/<id>.json`: asked for, until launch has taken it into the ledger's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// [`BACKFILL_FORMAT`].
    pub format: u32,
    /// The same for the same scope at the same time.
    pub id: String,
    /// The source bucket.
    pub bucket: Bucket,
    /// When it was asked for.
    pub at: Timestamp,
    /// What is to be replicated.
    pub scope: Scope,
    /// Why, one sentence a change: `rule logs is new`.
    pub why: Vec<String>,
    /// A person has said that it may be as large as it is.
    pub confirmed: bool,
}

impl Backfill {
    /// A backfill of this scope.
    pub fn new(bucket: &Bucket, at: Timestamp, scope: Scope, why: Vec<String>) -> Self {
        let said = format!("{bucket}|{at}|{}", serde_json::to_string(&scope).unwrap_or_default());
        let hash: String = hex::encode(Sha256::digest(said)).chars().take(12).collect();
        let id = format!("{}-{hash}", at.compact());
        let bucket = bucket.clone();
        Self { format: BACKFILL_FORMAT, id, bucket, at, scope, why, confirmed: false }
    }
}
