//! Why a version was not replicated: the published codes that this world can produce (S3 User Guide:
//! Amazon S3 replication failure reasons). They stand in events and in completion reports alike.

/// A replication failure code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The role is not there, or does not trust the service.
    AssumeRoleNotPermitted,
    /// The destination bucket is not there.
    DstBucketNotFound,
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
    /// The code and the sentence that stands beside it in a completion report. Only the code is published
    /// by AWS; the sentences are examples, and may change.
    fn texts(self) -> (&'static str, &'static str) {
        use Reason as R;
        match self {
            R::AssumeRoleNotPermitted => ("AssumeRoleNotPermitted", "Role cannot be assumed"),
            R::DstBucketNotFound => ("DstBucketNotFound", "Destination bucket does not exist"),
            R::DstBucketUnversioned => {
                ("DstBucketUnversioned", "Versioning is not enabled on the destination bucket")
            }
            R::DstDelObjNotPermitted => (
                "DstDelObjNotPermitted",
                "Delete marker replication is not permitted on the destination",
            ),
            R::DstKmsKeyInvalidState => {
                ("DstKmsKeyInvalidState", "Destination KMS key is in an invalid state")
            }
            R::DstKmsKeyNotFound => ("DstKmsKeyNotFound", "Destination KMS key does not exist"),
            R::DstObjectHardDeleted => {
                ("DstObjectHardDeleted", "Object version was deleted from the destination bucket")
            }
            R::DstPutObjectNotPermitted => (
                "DstPutObjectNotPermitted",
                "Replication to the destination bucket is not permitted",
            ),
            R::DstPutTaggingNotPermitted => {
                ("DstPutTaggingNotPermitted", "Replication of tags is not permitted")
            }
            R::DstVersionNotFound => {
                ("DstVersionNotFound", "Object version does not exist in the destination bucket")
            }
            R::InitiateReplicationNotPermitted => {
                ("InitiateReplicationNotPermitted", "Initiating replication is not permitted")
            }
            R::SrcBucketInvalidRegion => {
                ("SrcBucketInvalidRegion", "Source bucket is not in the Region of the job")
            }
            R::SrcBucketNotFound => ("SrcBucketNotFound", "Source bucket does not exist"),
            R::SrcBucketReplicationConfigMissing => (
                "SrcBucketReplicationConfigMissing",
                "Source bucket has no replication configuration",
            ),
            R::SrcGetAclNotPermitted => {
                ("SrcGetAclNotPermitted", "Reading the object's ACL is not permitted")
            }
            R::SrcGetObjectNotPermitted => {
                ("SrcGetObjectNotPermitted", "Reading the object is not permitted")
            }
            R::SrcGetTaggingNotPermitted => {
                ("SrcGetTaggingNotPermitted", "Reading the object's tags is not permitted")
            }
            R::SrcKeyNotFound => ("SrcKeyNotFound", "Source key does not exist"),
            R::SrcKmsKeyInvalidState => {
                ("SrcKmsKeyInvalidState", "Source KMS key is in an invalid state")
            }
            R::SrcObjectNotEligible => {
                ("SrcObjectNotEligible", "Object is not eligible for replication")
            }
            R::SrcObjectNotFound => ("SrcObjectNotFound", "Object versionID is invalid"),
            R::SrcReplicationNotPending => {
                ("SrcReplicationNotPending", "Object is not pending replication")
            }
            R::SrcVersionNotFound => ("SrcVersionNotFound", "Source version does not exist"),
        }
    }

    /// The code, as events and reports spell it.
    pub fn code(self) -> &'static str {
        self.texts().0
    }

    /// The sentence beside the code.
    pub fn sentence(self) -> &'static str {
        self.texts().1
    }
}
