//! Why a version was not replicated: the published codes that this world can produce (S3 User Guide:
//! Amazon S3 replication failure reasons). They stand in events and in completion reports alike.

/// A replication failure code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The role is not there, or does not trust the service.
    AssumeRoleNotPermitted,
    /// The destination bucket is not there.
    DstBucketNotFound,
    /// The source has Object Lock, the destination has not.
    DstBucketObjectLockConfigMissing,
    /// The destination's versioning is not enabled.
    DstBucketUnversioned,
    /// `s3:ReplicateDelete` is missing.
    DstDelObjNotPermitted,
    /// The replica's key is disabled or will be deleted.
    DstKmsKeyInvalidState,
    /// The replica's key is not there.
    DstKmsKeyNotFound,
    /// Batch only: the replica was deleted by version id and will not be made again.
    DstObjectHardDeleted,
    /// `s3:ReplicateObject`, the owner override or the use of the replica's key is missing.
    DstPutObjectNotPermitted,
    /// `s3:PutObjectRetention` is denied.
    DstPutRetentionNotPermitted,
    /// `s3:PutObjectLegalHold` is denied.
    DstPutLegalHoldNotPermitted,
    /// `s3:ReplicateTags` is missing: the replica arrived without its tags.
    DstPutTaggingNotPermitted,
    /// Metadata changed, but the replica is not there.
    DstVersionNotFound,
    /// Batch only: the job's role lacks `s3:InitiateReplication`.
    InitiateReplicationNotPermitted,
    /// Batch only: the source bucket is in another Region.
    SrcBucketInvalidRegion,
    /// The source bucket is not there.
    SrcBucketNotFound,
    /// The source bucket has no replication configuration.
    SrcBucketReplicationConfigMissing,
    /// `s3:GetObjectVersionAcl` is missing.
    SrcGetAclNotPermitted,
    /// `s3:GetObjectRetention` is missing.
    SrcGetRetentionNotPermitted,
    /// `s3:GetObjectLegalHold` is missing.
    SrcGetLegalHoldNotPermitted,
    /// `s3:GetObjectVersionForReplication` or the use of the source's key is missing.
    SrcGetObjectNotPermitted,
    /// `s3:GetObjectVersionTagging` is missing: the replica arrived without its tags.
    SrcGetTaggingNotPermitted,
    /// No version of the key is left.
    SrcKeyNotFound,
    /// The source's key is disabled or will be deleted.
    SrcKmsKeyInvalidState,
    /// No enabled rule wants the version, or its storage class is archived.
    SrcObjectNotEligible,
    /// The version id is none.
    SrcObjectNotFound,
    /// Nothing is owed to any destination.
    SrcReplicationNotPending,
    /// The key is there, this version of it is not.
    SrcVersionNotFound,
}

impl Reason {
    /// The code, as events and reports spell it.
    pub fn code(self) -> &'static str {
        match self {
            Self::AssumeRoleNotPermitted => "AssumeRoleNotPermitted",
            Self::DstBucketNotFound => "DstBucketNotFound",
            Self::DstBucketObjectLockConfigMissing => "DstBucketObjectLockConfigMissing",
            Self::DstBucketUnversioned => "DstBucketUnversioned",
            Self::DstDelObjNotPermitted => "DstDelObjNotPermitted",
            Self::DstKmsKeyInvalidState => "DstKmsKeyInvalidState",
            Self::DstKmsKeyNotFound => "DstKmsKeyNotFound",
            Self::DstObjectHardDeleted => "DstObjectHardDeleted",
            Self::DstPutObjectNotPermitted => "DstPutObjectNotPermitted",
            Self::DstPutRetentionNotPermitted => "DstPutRetentionNotPermitted",
            Self::DstPutLegalHoldNotPermitted => "DstPutLegalHoldNotPermitted",
            Self::DstPutTaggingNotPermitted => "DstPutTaggingNotPermitted",
            Self::DstVersionNotFound => "DstVersionNotFound",
            Self::InitiateReplicationNotPermitted => "InitiateReplicationNotPermitted",
            Self::SrcBucketInvalidRegion => "SrcBucketInvalidRegion",
            Self::SrcBucketNotFound => "SrcBucketNotFound",
            Self::SrcBucketReplicationConfigMissing => "SrcBucketReplicationConfigMissing",
            Self::SrcGetAclNotPermitted => "SrcGetAclNotPermitted",
            Self::SrcGetRetentionNotPermitted => "SrcGetRetentionNotPermitted",
            Self::SrcGetLegalHoldNotPermitted => "SrcGetLegalHoldNotPermitted",
            Self::SrcGetObjectNotPermitted => "SrcGetObjectNotPermitted",
            Self::SrcGetTaggingNotPermitted => "SrcGetTaggingNotPermitted",
            Self::SrcKeyNotFound => "SrcKeyNotFound",
            Self::SrcKmsKeyInvalidState => "SrcKmsKeyInvalidState",
            Self::SrcObjectNotEligible => "SrcObjectNotEligible",
            Self::SrcObjectNotFound => "SrcObjectNotFound",
            Self::SrcReplicationNotPending => "SrcReplicationNotPending",
            Self::SrcVersionNotFound => "SrcVersionNotFound",
        }
    }

    /// The sentence beside the code in a completion report. Only the codes are published by AWS; the
    /// sentences are examples.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::SrcGetRetentionNotPermitted => "Reading the source retention is not permitted",
            Self::SrcGetLegalHoldNotPermitted => "Reading the source legal hold is not permitted",
            Self::DstPutRetentionNotPermitted => {
                "Writing the retention is not permitted on the destination"
            }
            Self::DstPutLegalHoldNotPermitted => {
                "Writing the legal hold is not permitted on the destination"
            }
            Self::AssumeRoleNotPermitted => "Role cannot be assumed",
            Self::DstBucketNotFound => "Destination bucket does not exist",
            Self::DstBucketObjectLockConfigMissing => {
                "Object Lock is not enabled on the destination bucket"
            }
            Self::DstBucketUnversioned => "Versioning is not enabled on the destination bucket",
            Self::DstDelObjNotPermitted => {
                "Delete marker replication is not permitted on the destination"
            }
            Self::DstKmsKeyInvalidState => "Destination KMS key is in an invalid state",
            Self::DstKmsKeyNotFound => "Destination KMS key does not exist",
            Self::DstObjectHardDeleted => "Object version was deleted from the destination bucket",
            Self::DstPutObjectNotPermitted => {
                "Replication to the destination bucket is not permitted"
            }
            Self::DstPutTaggingNotPermitted => "Replication of tags is not permitted",
            Self::DstVersionNotFound => "Object version does not exist in the destination bucket",
            Self::InitiateReplicationNotPermitted => "Initiating replication is not permitted",
            Self::SrcBucketInvalidRegion => "Source bucket is not in the Region of the job",
            Self::SrcBucketNotFound => "Source bucket does not exist",
            Self::SrcBucketReplicationConfigMissing => {
                "Source bucket has no replication configuration"
            }
            Self::SrcGetAclNotPermitted => "Reading the object's ACL is not permitted",
            Self::SrcGetObjectNotPermitted => "Reading the object is not permitted",
            Self::SrcGetTaggingNotPermitted => "Reading the object's tags is not permitted",
            Self::SrcKeyNotFound => "Source key does not exist",
            Self::SrcKmsKeyInvalidState => "Source KMS key is in an invalid state",
            Self::SrcObjectNotEligible => "Object is not eligible for replication",
            Self::SrcObjectNotFound => "Object versionID is invalid",
            Self::SrcReplicationNotPending => "Object is not pending replication",
            Self::SrcVersionNotFound => "Source version does not exist",
        }
    }
}
