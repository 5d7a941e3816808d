//! How a job ended: the terminal state that `settle` found (*settling*), the chunks of its report
//! that have to be read, and the summary that is computed from the stored chunks once all of them are
//! there (*settled*). Whoever finds them all writes the summary, and every writer writes the same.

use serde::{Deserialize, Serialize};

use crate::key::{Bucket, JobId};
use crate::limits::{
    CHUNK_BYTES, JOB_MICRO_USD, JOB_STALLED_MS, JOB_UNKNOWN_MS, REPORT_LATE_MS, REPORT_LOST_MS,
    ROW_MICRO_USD,
};
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

/// What a job's status means now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It ended.
    Ended(Ended),
    /// It goes on.
    Runs,
    /// It still waits, a day after it was created: for a confirmation, or for other jobs.
    Stalled,
}

impl Standing {
    /// Of a job with this status, created then.
    pub fn of(status: &str, created: Timestamp, now: Timestamp) -> Self {
        let waits = matches!(status, "Suspended" | "Paused");
        match Ended::parse(status) {
            Some(ended) => Self::Ended(ended),
            None if waits && now.since(created) > JOB_STALLED_MS => Self::Stalled,
            None => Self::Runs,
        }
    }
}

/// Whether a job that S3 does not know is lost. In its first hour that is lag: S3 may take a while to
/// know a job that it has just made (S3 User Guide: troubleshooting Batch Operations).
pub fn is_lost(made: Timestamp, now: Timestamp) -> bool {
    now.since(made) > JOB_UNKNOWN_MS
}

/// What it means that the report of a job that ended is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingReport {
    /// None will come.
    Never,
    /// It will come.
    NotYet,
    /// It should be there by now, and may come yet.
    Late,
}

impl MissingReport {
    /// Of a job that ended so at `at`, of which S3 says that it `ran` so many tasks. S3 writes a report
    /// if at least one task ran (S3 User Guide: batch-ops-completion-report), and promises it for a job
    /// that is Complete.
    pub fn of(ended: Ended, ran: u64, at: Timestamp, now: Timestamp) -> Self {
        match now.since(at) {
            _ if ended == Ended::Lost || (ended != Ended::Complete && ran == 0) => Self::Never,
            age if age > REPORT_LOST_MS => Self::Never,
            age if age > REPORT_LATE_MS => Self::Late,
            _ => Self::NotYet,
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
    /// The manifest that S3 was to make had no row: there was nothing to do, which S3 calls a failure
    /// (S3 User Guide: replication-troubleshoot; only its sentence is documented, not its code).
    pub fn found_nothing(&self) -> bool {
        let why = self.why.as_deref().unwrap_or_default().to_lowercase();
        self.ended == Ended::Failed && self.reported() == 0 && why.contains("found no keys")
    }

    /// Rows in the report.
    pub fn reported(&self) -> u64 {
        self.succeeded + self.unreadable + self.failed.iter().map(|(_, rows)| rows).sum::<u64>()
    }
}

/// What a job of so many rows costs, in millionths of a dollar.
pub fn job_micro_usd(rows: u64) -> u64 {
    JOB_MICRO_USD + rows * ROW_MICRO_USD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes};

    const MADE: Timestamp = Timestamp(1_767_225_600_000);

    #[test]
    fn a_job_that_waits_is_stalled_after_a_day_and_one_that_runs_never() {
        for (status, after, standing) in [
            ("Active", hours(99), Standing::Runs),
            ("Completing", hours(99), Standing::Runs),
            ("BrandNew", hours(99), Standing::Runs),
            ("Suspended", hours(24), Standing::Runs),
            ("Suspended", hours(25), Standing::Stalled),
            ("Paused", hours(25), Standing::Stalled),
            ("Complete", 0, Standing::Ended(Ended::Complete)),
            ("Failed", 0, Standing::Ended(Ended::Failed)),
            ("Cancelled", 0, Standing::Ended(Ended::Cancelled)),
        ] {
            assert_eq!(Standing::of(status, MADE, MADE.plus_ms(after)), standing, "{status}");
        }
        assert!(!is_lost(MADE, MADE.plus_ms(hours(1))));
        assert!(is_lost(MADE, MADE.plus_ms(hours(1) + 1)));
    }

    #[test]
    fn a_report_is_waited_for_as_long_as_it_may_come() {
        for (ended, ran, after, means) in [
            (Ended::Complete, 0, minutes(60), MissingReport::NotYet),
            (Ended::Complete, 5, minutes(61), MissingReport::Late),
            (Ended::Complete, 5, hours(24), MissingReport::Late),
            (Ended::Complete, 5, hours(25), MissingReport::Never),
            (Ended::Failed, 0, 0, MissingReport::Never),
            (Ended::Failed, 5, 0, MissingReport::NotYet),
            (Ended::Cancelled, 0, 0, MissingReport::Never),
            (Ended::Cancelled, 5, minutes(61), MissingReport::Late),
            (Ended::Lost, 5, 0, MissingReport::Never),
        ] {
            let found = MissingReport::of(ended, ran, MADE, MADE.plus_ms(after));
            assert_eq!(found, means, "{ended:?} {ran} {after}");
        }
    }
}
