//! Why a version did not replicate: S3's failure codes, as events and completion reports give them,
//! and what each calls for. A code that nobody knows is kept as it is, retried within the budget of
//! attempts, and never dropped.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a reason calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A person has to repair something first.
    Fix,
    /// It usually passes: a few retries.
    Race,
    /// The version no longer exists.
    Gone,
    /// It is replicated already.
    Done,
    /// No retry helps.
    Stuck,
    /// Nobody knows.
    Unknown,
}

/// S3's code for why a version did not replicate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Reason(String);

/// Where no reason is given.
const UNSPECIFIED: &str = "Unspecified";
const CONFIG_MISSING: &str = "SrcBucketReplicationConfigMissing";
const PART_NOT_PERMITTED: &str = "DstMultipartUploadNotPermitted";

/// Characters of an unknown code that are kept.
const UNKNOWN_MAX: usize = 64;

/// Every code that S3 documents (S3 User Guide: replication-failure-codes), its class, and what a
/// person does about it.
const KNOWN: [(&str, Class, &str); 34] = [
    (
        "AssumeRoleNotPermitted",
        Class::Fix,
        "let s3.amazonaws.com assume the replication role (batchoperations.s3.amazonaws.com the job role): check that it exists, its trust policy and any service control policy",
    ),
    (
        "DstBucketInvalidRegion",
        Class::Fix,
        "run the job in the source bucket's Region and check the destination's",
    ),
    (
        "DstBucketNotFound",
        Class::Fix,
        "create the destination bucket again, or point the rule at one that exists",
    ),
    (
        "DstBucketObjectLockConfigMissing",
        Class::Fix,
        "enable Object Lock on the destination bucket",
    ),
    ("DstBucketUnversioned", Class::Fix, "enable versioning on the destination bucket"),
    (
        "DstDelObjNotPermitted",
        Class::Fix,
        "allow the replication role s3:ReplicateDelete on the destination",
    ),
    (
        "DstKmsKeyInvalidState",
        Class::Fix,
        "enable the destination's KMS key, or cancel its deletion",
    ),
    ("DstKmsKeyNotFound", Class::Fix, "put a key that exists into the rule's ReplicaKmsKeyID"),
    (
        "DstMultipartCompleteNotPermitted",
        Class::Fix,
        "allow the replication role s3:ReplicateObject on the destination",
    ),
    (
        "DstMultipartInitNotPermitted",
        Class::Fix,
        "allow the replication role s3:ReplicateObject on the destination",
    ),
    (
        PART_NOT_PERMITTED,
        Class::Fix,
        "allow the replication role s3:ReplicateObject on the destination",
    ),
    (
        "DstObjectHardDeleted",
        Class::Stuck,
        "copy the object in place: the new version replicates, this one never will, because its replica was deleted by version id",
    ),
    (
        "DstPutAclNotPermitted",
        Class::Fix,
        "allow the replication role s3:ReplicateObject on the destination",
    ),
    (
        "DstPutLegalHoldNotPermitted",
        Class::Fix,
        "allow the replication role s3:PutObjectLegalHold on the destination",
    ),
    (
        "DstPutObjectNotPermitted",
        Class::Fix,
        "allow the replication role s3:ReplicateObject on the destination, s3:ObjectOwnerOverrideToBucketOwner where the rule overrides the owner, and kms:Decrypt and kms:GenerateDataKey on the keys",
    ),
    (
        "DstPutRetentionNotPermitted",
        Class::Fix,
        "allow the replication role s3:PutObjectRetention on the destination",
    ),
    (
        "DstPutTaggingNotPermitted",
        Class::Fix,
        "allow the replication role s3:ReplicateTags and s3:ReplicateObject on the destination",
    ),
    (
        "DstVersionNotFound",
        Class::Race,
        "replicate the version itself first: only its metadata was to go",
    ),
    (
        "InitiateReplicationNotPermitted",
        Class::Fix,
        "allow the batch job role s3:InitiateReplication on the source objects",
    ),
    ("SrcBucketInvalidRegion", Class::Fix, "run the job in the source bucket's Region"),
    ("SrcBucketNotFound", Class::Gone, "nothing: the source bucket no longer exists"),
    (CONFIG_MISSING, Class::Race, "put the replication configuration back on the source bucket"),
    (
        "SrcGetAclNotPermitted",
        Class::Fix,
        "allow the replication role s3:GetObjectVersionAcl on the source, and check who owns the object",
    ),
    (
        "SrcGetLegalHoldNotPermitted",
        Class::Fix,
        "allow the replication role s3:GetObjectLegalHold on the source",
    ),
    (
        "SrcGetObjectNotPermitted",
        Class::Fix,
        "allow the replication role s3:GetObjectVersionForReplication on the source, and kms:Decrypt on its key",
    ),
    (
        "SrcGetRetentionNotPermitted",
        Class::Fix,
        "allow the replication role s3:GetObjectRetention on the source",
    ),
    (
        "SrcGetTaggingNotPermitted",
        Class::Fix,
        "allow the replication role s3:GetObjectVersionTagging on the source",
    ),
    (
        "SrcHeadObjectNotPermitted",
        Class::Fix,
        "allow the replication role s3:GetObjectVersionForReplication on the source",
    ),
    ("SrcKeyNotFound", Class::Gone, "nothing: the object was deleted before it was replicated"),
    ("SrcKmsKeyInvalidState", Class::Fix, "enable the source's KMS key, or cancel its deletion"),
    (
        "SrcObjectNotEligible",
        Class::Stuck,
        "restore the object from its archive class and copy it to another class, or change the rule: none covers it",
    ),
    ("SrcObjectNotFound", Class::Gone, "nothing: the object no longer exists"),
    ("SrcReplicationNotPending", Class::Done, "nothing: it is replicated already"),
    ("SrcVersionNotFound", Class::Gone, "nothing: the version no longer exists"),
];

impl Reason {
    /// Reads a code. One that is not known is kept, printable characters only, cut to 64.
    pub fn parse(text: &str) -> Self {
        // Older pages of the documentation spell this one with another "Part".
        if text == "DstMultipartPartUploadNotPermitted" {
            return Self(PART_NOT_PERMITTED.to_owned());
        }
        let kept: String = text.chars().filter(|c| !c.is_control()).take(UNKNOWN_MAX).collect();
        let kept = kept.trim();
        Self(if kept.is_empty() { UNSPECIFIED } else { kept }.to_owned())
    }

    /// Where no reason is given.
    pub fn unspecified() -> Self {
        Self(UNSPECIFIED.to_owned())
    }

    /// `SrcBucketReplicationConfigMissing`: usually passes, and if not, has to be repaired.
    pub fn replication_config_missing() -> Self {
        Self(CONFIG_MISSING.to_owned())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it calls for.
    pub fn class(&self) -> Class {
        self.known().map_or(Class::Unknown, |(_, class, _)| *class)
    }

    /// What a person does about it, as the end of a sentence.
    pub fn remedy(&self) -> &'static str {
        self.known().map_or(
            "look at the object: S3 gave a reason that Resilver does not know",
            |(_, _, remedy)| remedy,
        )
    }

    fn known(&self) -> Option<&'static (&'static str, Class, &'static str)> {
        KNOWN.iter().find(|(code, _, _)| *code == self.0)
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_has_a_class_and_a_remedy() {
        let count = |class| KNOWN.iter().filter(|(_, of, _)| *of == class).count();
        let classes = [Class::Fix, Class::Race, Class::Gone, Class::Done, Class::Stuck];
        assert_eq!(classes.map(count), [25, 2, 4, 1, 2]);
        for (code, class, remedy) in KNOWN {
            assert_eq!(
                (Reason::parse(code).class(), Reason::parse(code).remedy()),
                (class, remedy)
            );
            assert!(KNOWN.iter().filter(|(other, _, _)| *other == code).count() == 1, "{code}");
        }
    }

    #[test]
    fn what_nobody_knows_is_kept_and_bounded() {
        for (text, kept) in [
            ("BrandNewReason", "BrandNewReason"),
            ("", "Unspecified"),
            (" \u{0}\n ", "Unspecified"),
            ("DstMultipartPartUploadNotPermitted", "DstMultipartUploadNotPermitted"),
        ] {
            assert_eq!(Reason::parse(text).as_str(), kept);
        }
        assert_eq!(Reason::parse("BrandNewReason").class(), Class::Unknown);
        assert_eq!(Reason::parse(&"x".repeat(1_000)).as_str().len(), UNKNOWN_MAX);
    }
}
