//! A plan: the intent to run one Batch Operations job, written down whole before anything is asked of
//! S3. Its id is the job's Description, by which the job is found again if the answer was lost.
//! Deciding whether there shall be a plan is [`crate::launch`]'s; a plan only states it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::backfill::Scope;
use crate::key::Bucket;
use crate::state::StateKey;
use crate::time::Timestamp;

/// A plan's format number.
pub const PLAN_FORMAT: u32 = 2;

/// The id of a plan: `[0-9A-Za-z-]{8,64}`; sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(String);

/// Text that is no plan id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no plan id: 8 to 64 letters, digits and hyphens")]
pub struct PlanIdError(String);

impl TryFrom<String> for PlanId {
    type Error = PlanIdError;

    fn try_from(text: String) -> Result<Self, PlanIdError> {
        let fits = (8..=64).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            Ok(Self(text))
        } else {
            Err(PlanIdError(text))
        }
    }
}

impl From<PlanId> for String {
    fn from(id: PlanId) -> Self {
        id.0
    }
}

impl PlanId {
    /// The plan of one launch: its time, and a hash of the launch's own id.
    pub fn of(now: Timestamp, bucket: &Bucket, launch: &str) -> Self {
        let hash = hex::encode(Sha256::digest(format!("{bucket}|{launch}")));
        Self(format!("{}-{}", now.compact(), hash.chars().take(12).collect::<String>()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Description of its job.
    pub fn description(&self, bucket: &Bucket) -> String {
        format!("resilver/{bucket}/{self}")
    }

    /// The bucket and the plan that a job's Description names, if the job is one of ours.
    pub fn of_description(description: &str) -> Option<(Bucket, Self)> {
        let (bucket, plan) = description.strip_prefix("resilver/")?.split_once('/')?;
        let bucket = Bucket::try_from(bucket.to_owned()).ok()?;
        Some((bucket, Self::try_from(plan.to_owned()).ok()?))
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plan, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// Its id.
    pub id: PlanId,
    /// The source bucket.
    pub bucket: Bucket,
    /// When it was made.
    pub at: Timestamp,
    /// Rows of its manifest.
    pub rows: u64,
    /// The request, verbatim.
    pub request: JobRequest,
}

/// What every job of an installation has in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSettings {
    /// The account: 12 digits.
    pub account: String,
    /// The role that S3 Batch Operations assumes.
    pub role_arn: String,
    /// The state bucket: manifests are read from it and reports written to it.
    pub state_bucket: String,
    /// Priority among the account's jobs.
    pub priority: i32,
}

impl Plan {
    /// A plan over a CSV manifest of ours, `rows` long, stored with this ETag.
    pub fn of_manifest(
        id: PlanId,
        bucket: &Bucket,
        at: Timestamp,
        rows: u64,
        etag: &str,
        settings: &JobSettings,
    ) -> Self {
        let manifest = StateKey::Manifest(bucket, &id);
        let source = JobSource::Manifest {
            object_arn: format!("{}/{manifest}", settings.state_arn()),
            etag: etag.to_owned(),
        };
        let request = settings.request(&id, bucket, source, ALL_TASKS);
        Self { format: PLAN_FORMAT, id, bucket: bucket.clone(), at, rows, request }
    }

    /// A plan over a manifest that S3 makes. Its job stops before its first task, so that what was
    /// listed can be looked at; its report has only what failed, since it may be very long.
    pub fn of_scope(
        id: PlanId,
        bucket: &Bucket,
        at: Timestamp,
        scope: &Scope,
        settings: &JobSettings,
    ) -> Self {
        let source = JobSource::Generator {
            bucket_arn: settings.bucket_arn(bucket.as_str()),
            scope: scope.clone(),
            output: Some((settings.state_arn(), StateKey::Generated(bucket).to_string())),
        };
        let mut request = settings.request(&id, bucket, source, FAILED_TASKS);
        request.confirm = true;
        Self { format: PLAN_FORMAT, id, bucket: bucket.clone(), at, rows: 0, request }
    }
}

/// The scopes of a completion report (S3 API Reference: JobReport).
const ALL_TASKS: &str = "AllTasks";
/// Only rows that failed: of a job that is Complete, the others succeeded.
pub const FAILED_TASKS: &str = "FailedTasksOnly";

impl JobSettings {
    /// The ARN of a bucket, in the partition of the role: `aws`, `aws-cn` or `aws-us-gov` (IAM User Guide:
    /// reference-arns).
    pub fn bucket_arn(&self, bucket: &str) -> String {
        let partition = self.role_arn.split(':').nth(1).filter(|it| !it.is_empty());
        format!("arn:{}:s3:::{bucket}", partition.unwrap_or("aws"))
    }

    fn state_arn(&self) -> String {
        self.bucket_arn(&self.state_bucket)
    }

    fn request(&self, id: &PlanId, bucket: &Bucket, source: JobSource, scope: &str) -> JobRequest {
        JobRequest {
            account: self.account.clone(),
            description: id.description(bucket),
            token: id.to_string(),
            priority: self.priority,
            role_arn: self.role_arn.clone(),
            confirm: false,
            source,
            report: JobReport {
                bucket_arn: self.state_arn(),
                prefix: StateKey::Reports(bucket).to_string(),
                scope: scope.to_owned(),
                expected_owner: Some(self.account.clone()),
            },
        }
    }
}

/// One CreateJob request for S3ReplicateObject, every parameter of it (S3 API Reference: CreateJob).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRequest {
    /// The account of the job: 12 digits.
    pub account: String,
    /// 1 to 256 characters.
    pub description: String,
    /// ClientRequestToken, 1 to 64 characters: the same token never makes a second job.
    pub token: String,
    /// Higher goes first.
    pub priority: i32,
    /// The role that S3 Batch Operations assumes.
    pub role_arn: String,
    /// ConfirmationRequired: the job stops in `Suspended` until it is confirmed.
    pub confirm: bool,
    /// The completion report.
    pub report: JobReport,
    /// What the job works on.
    pub source: JobSource,
}

/// Where a completion report goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// ARN of the bucket.
    pub bucket_arn: String,
    /// Key prefix without a trailing slash, 1 to 512 characters.
    pub prefix: String,
    /// `AllTasks` or `FailedTasksOnly`.
    pub scope: String,
    /// The account that must own the bucket.
    pub expected_owner: Option<String>,
}

/// What a job works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobSource {
    /// A CSV manifest of Bucket, Key, VersionId.
    Manifest {
        /// ARN of the manifest object.
        object_arn: String,
        /// Its ETag, without quotes.
        etag: String,
    },
    /// A manifest that S3 generates.
    Generator {
        /// ARN of the source bucket.
        bucket_arn: String,
        /// What it lists.
        scope: Scope,
        /// ARN of the bucket and prefix under which the generated manifest is kept.
        output: Option<(String, String)>,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scan::Purpose;

    #[test]
    fn every_arn_of_a_request_is_of_the_partition_of_its_role() {
        for partition in ["aws", "aws-cn", "aws-us-gov"] {
            let settings = JobSettings {
                account: "111122223333".to_owned(),
                role_arn: format!("arn:{partition}:iam::111122223333:role/job"),
                state_bucket: "state".to_owned(),
                priority: 10,
            };
            let (id, bucket) = (PlanId("p-1".to_owned()), Bucket::try_from("photos".to_owned()));
            let (bucket, at) = (bucket.unwrap(), Timestamp(0));
            let ours = Plan::of_manifest(id.clone(), &bucket, at, 1, "etag", &settings);
            let theirs = Plan::of_scope(id, &bucket, at, &Purpose::Sweep.scope(), &settings);
            for plan in [ours, theirs] {
                let request = serde_json::to_string(&plan.request).unwrap();
                let arns = request.matches("\"arn:").count();
                assert_eq!(request.matches(&format!("\"arn:{partition}:")).count(), arns);
                assert!(arns >= 3, "{request}");
            }
        }
    }
}
