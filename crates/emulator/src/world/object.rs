//! One version of one object, kept small: a world holds hundreds of thousands, and a replica shares
//! the bytes and the metadata of its source.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Millis;

/// Tags of a version, in order of key.
pub type Tags = BTreeMap<String, String>;

/// `x-amz-replication-status` of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReplicationStatus {
    /// At least one destination is still owed.
    Pending,
    /// Every destination has it.
    Completed,
    /// At least one destination refused. Sticky: S3 never tries again by itself.
    Failed,
    /// This version is itself a replica.
    Replica,
}

/// The encryption of a version, as far as it matters to replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// SSE-S3 (`AES256`): what an object has unless told otherwise.
    S3,
    /// SSE-KMS or DSSE-KMS under the key with this ARN.
    Kms {
        /// `arn:aws:kms:REGION:ACCOUNT:key/ID`.
        key: String,
        /// `aws:kms:dsse` instead of `aws:kms`.
        dual: bool,
        /// S3 Bucket Key.
        bucket_key: bool,
    },
    /// SSE-C: the MD5 of the customer's key.
    Customer {
        /// Base64 MD5, as the header carries it.
        key_md5: String,
    },
}

/// The bytes of an object: one piece, or the parts of a multipart upload in order.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// The pieces, in order.
    pub pieces: Vec<Bytes>,
}

impl Body {
    /// Bytes in all pieces.
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { pieces: vec![bytes] }
    }
}

/// A few names with their values, in order of name. A map of this size would take ten times the room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Box<[(Box<str>, Box<str>)]>);

impl Fields {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of several values for a name, the last counts.
impl FromIterator<(String, String)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let sorted: BTreeMap<String, String> = pairs.into_iter().collect();
        Self(sorted.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// What a version contains; shared between a source and its replicas.
#[derive(Debug, Clone)]
pub struct Content {
    /// The bytes.
    pub body: Body,
    /// Without quotes; `<md5>-<parts>` after a multipart upload.
    pub etag: String,
    /// Headers that S3 stores and gives back (`content-type`, `cache-control`, …), lower case.
    pub headers: Fields,
    /// User metadata, names without the `x-amz-meta-` prefix.
    pub metadata: Fields,
    /// Checksums by algorithm name (`CRC32`, `SHA256`, …), base64.
    pub checksums: Fields,
    /// The checksum of each part, of the same algorithm, where the parts came with one.
    pub part_checksums: Vec<String>,
}

/// An object version or a delete marker.
#[derive(Debug, Clone)]
pub struct Version {
    /// 32 characters, or `null` for a version written while versioning was not enabled.
    pub id: Arc<str>,
    /// Last-Modified. A replica keeps its source's.
    pub modified: Millis,
    /// `None` is a delete marker.
    pub content: Option<Arc<Content>>,
    /// Tags.
    pub tags: Tags,
    /// `STANDARD`, `GLACIER`, …
    pub storage_class: Arc<str>,
    /// The encryption at rest.
    pub encryption: Encryption,
    /// `None`: the version matched no enabled rule when it was written.
    pub replication: Option<ReplicationStatus>,
    /// Replication wrote it, whatever its status became since: it goes on only by a batch job.
    pub is_replica: bool,
    /// Grows with every write of the world: the `sequencer` of its events.
    pub sequence: u64,
    /// What few versions have.
    pub extra: Option<Box<Extra>>,
}

/// What few versions have, kept apart so that the others stay small.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    /// The last restoration from an archive.
    pub restore: Option<Restore>,
    /// When its bytes were last read, in Intelligent-Tiering.
    pub accessed: Option<Millis>,
    /// Object Lock: until when it must not be deleted.
    pub retention: Option<Retention>,
    /// Object Lock: it must not be deleted at all.
    pub legal_hold: bool,
    /// The legal hold of a replica is that of its source, and goes with it.
    pub hold_of_source: bool,
    /// A delete marker that a lifecycle rule made, which is never replicated.
    pub by_lifecycle: bool,
}

/// A restoration from an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restore {
    /// When the bytes can be read.
    pub ready: Millis,
    /// Until when; `None` is for good.
    pub expires: Option<Millis>,
}

/// The retention of a locked version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `COMPLIANCE` instead of `GOVERNANCE`: nobody can take it back.
    pub compliance: bool,
    /// `RetainUntilDate`.
    pub until: Millis,
}

impl Version {
    /// Whether this is a delete marker.
    pub fn is_delete_marker(&self) -> bool {
        self.content.is_none()
    }

    /// The last restoration from an archive.
    pub fn restore(&self) -> Option<&Restore> {
        self.extra.as_ref()?.restore.as_ref()
    }

    /// When its bytes were last touched, as far as is known.
    pub fn accessed(&self) -> Millis {
        let read = self.extra.as_ref().and_then(|extra| extra.accessed);
        read.unwrap_or(self.modified)
    }

    /// What few versions have, to be changed.
    pub fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Bytes; 0 for a delete marker.
    pub fn size(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.body.len())
    }
}
