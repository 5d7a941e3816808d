//! How a job ended: the terminal state that `settle` found (*settling*), the chunks of its report
//! that have to be read, and the summary that is computed from the stored chunks once all of them are
//! there (*settled*). Whoever finds them all writes the summary, and every writer writes the same.

use serde::{Deserialize, Serialize};

use crate::key::{Bucket, JobId};
use crate::limits::{CHUNK_BYTES, JOB_MICRO_USD, ROW_MICRO_USD};
use crate::plan::PlanId;
use crate::reason::Reason;
use crate::time::Timestamp;
use crate::verdict::Tally;

/// Format number of both documents.
pub const SETTLED_FORMAT: u32 = 1;

/// How a job of ours ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// S3 worked through the manifest; every task may have failed.
    Complete,
    /// S3 gave up: the manifest, the report, or more than half of at least 1,000 tasks.
    Failed,
    /// Someone cancelled it.
    Cancelled,
    /// S3 does not know it any more, or never did.
    Lost,
}

impl Ended {
    /// The terminal status of S3 that this is, if `status` is one.
    pub fn parse(status: &str) -> Option<Self> {
        match status {
            "Complete" => Some(Self::Complete),
            "Failed" => Some(Self::Failed),
            "Cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// S3's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "Complete",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Lost => "Lost",
        }
    }
}

/// One result file of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultPart {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
}

impl ResultPart {
    /// Chunks that cover it: chunk `k` has the rows that begin in its `k`th
    /// [`CHUNK_BYTES`] bytes.
    pub fn chunks(&self) -> u64 {
        self.bytes.div_ceil(CHUNK_BYTES)
    }
}

/// A job that ended, before its report is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settling {
    /// [`SETTLED_FORMAT`].
    pub format: u32,
    /// The source bucket.
    pub bucket: Bucket,
    /// The plan.
    pub plan: PlanId,
    /// The job.
    pub job: JobId,
    /// How it ended.
    pub ended: Ended,
    /// When.
    pub at: Timestamp,
    /// Why, in S3's words: failure codes and reasons, or the reason of a cancellation.
    pub why: Option<String>,
    /// The code of the job's own failure.
    pub code: Option<String>,
    /// The report's result files; `None` if no report was found.
    pub report: Option<Vec<ResultPart>>,
}

impl Settling {
    /// The chunks that are to be read, as (file, chunk).
    pub fn chunks(&self) -> Vec<(usize, u64)> {
        let files = self.report.iter().flatten().enumerate();
        files.flat_map(|(file, part)| (0..part.chunks()).map(move |chunk| (file, chunk))).collect()
    }

    /// The summary, once every chunk is counted in `tally`.
    pub fn settled(self, tally: Tally) -> Settled {
        let Tally { succeeded, failed, unreadable } = tally;
        Settled {
            format: SETTLED_FORMAT,
            bucket: self.bucket,
            plan: self.plan,
            job: self.job,
            ended: self.ended,
            at: self.at,
            why: self.why,
            code: self.code,
            report: self.report.is_some(),
            succeeded,
            failed: failed.into_iter().collect(),
            unreadable,
        }
    }
}

/// A job that ended, and what its report says in sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// [`SETTLED_FORMAT`].
    pub format: u32,
    /// The source bucket.
    pub bucket: Bucket,
    /// The plan.
    pub plan: PlanId,
    /// The job.
    pub job: JobId,
    /// How it ended.
    pub ended: Ended,
    /// When: failures up to then belong to the job's attempt.
    pub at: Timestamp,
    /// Why, in S3's words.
    pub why: Option<String>,
    /// The code of the job's own failure.
    pub code: Option<String>,
    /// Whether there was a report.
    pub report: bool,
    /// Rows that succeeded.
    pub succeeded: u64,
    /// Rows that failed, by reason.
    pub failed: Vec<(Reason, u64)>,
    /// Rows that could not be read.
    pub unreadable: u64,
}

impl Settled {
    /// Rows in the report.
    pub fn reported(&self) -> u64 {
        self.succeeded + self.unreadable + self.failed.iter().map(|(_, rows)| rows).sum::<u64>()
    }
}

/// What a job of so many rows costs, in millionths of a dollar.
pub fn job_micro_usd(rows: u64) -> u64 {
    JOB_MICRO_USD + rows * ROW_MICRO_USD
}
