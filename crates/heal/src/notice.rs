//! What people are told: one fact a notice, with an id that is the same whenever the same fact is
//! told again. A notice lies in the ledger's head until it is said everywhere, so none is lost.
//! The words are not chosen here; `crates/chat` renders.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::entry::Cause;
use crate::key::{Bucket, JobId, Key};
use crate::plan::PlanId;
use crate::reason::Reason;
use crate::time::Timestamp;

/// A notice's format number; a reader that meets a greater one must leave the notice alone.
pub const NOTICE_FORMAT: u32 = 2;

/// Source of our events on the bus.
pub const NOTICE_SOURCE: &str = "resilver";
/// Detail type of a notice on the bus.
pub const NOTICE_DETAIL_TYPE: &str = "Resilver Notice";

/// One fact for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// [`NOTICE_FORMAT`] of the release that wrote it.
    pub format: u32,
    /// Sorts by time, and is the same for the same fact.
    pub id: String,
    /// The source bucket.
    pub bucket: Bucket,
    /// When it came to be.
    pub at: Timestamp,
    /// The fact.
    pub fact: NoticeFact,
}

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NoticeFact {
    /// Versions wait for a person: their cause has to be repaired first.
    Held {
        /// What has to be repaired.
        cause: Cause,
        /// Versions held for it when the circuit opened.
        versions: u64,
        /// The key of one of them.
        example: Option<Key>,
    },
    /// A canary healed: the cause is repaired, its versions go on.
    Repaired {
        /// What was repaired.
        cause: Cause,
        /// Versions let go.
        versions: u64,
        /// Since when they were held.
        held_since: Timestamp,
    },
    /// Versions that no retry heals.
    Quarantined {
        /// Why.
        reason: Reason,
        /// How many.
        versions: u64,
        /// The key of one of them.
        example: Option<Key>,
    },
    /// A job ended.
    JobFinished(JobFinished),
    /// S3 would not start a job; its versions wait for the next one.
    JobRefused {
        /// The plan.
        plan: PlanId,
        /// The error code of CreateJob.
        code: String,
        /// S3's sentence.
        message: String,
    },
    /// S3 no longer knows a job of ours.
    JobLost {
        /// The job.
        job: JobId,
        /// Its plan.
        plan: PlanId,
    },
    /// A job of ours waits, suspended or paused, for a day.
    JobStalled {
        /// The job.
        job: JobId,
        /// Its status.
        status: String,
    },
    /// Someone else cancelled a job of ours: the bucket is paused until it is resumed.
    Paused {
        /// The job.
        job: JobId,
        /// S3's sentence about the cancellation.
        why: String,
    },
    /// A job ended an hour ago, and its report is not there.
    ReportLate {
        /// The job.
        job: JobId,
    },
    /// Input that could not be read was put aside, byte for byte.
    Rejected {
        /// Where it came from: `events` or `report`.
        from: String,
        /// How many pieces.
        pieces: u64,
        /// Where they are kept: a key of the state bucket.
        kept: String,
    },
    /// Replication statuses cannot be read, after several tries: nobody knows whether these healed.
    StatusUnread {
        /// Versions whose status was asked for in vain.
        versions: u64,
        /// The key of one of them.
        example: Option<Key>,
    },
    /// A bucket could not be enrolled, or is not any more: its failures are not heard of.
    NotEnrolled {
        /// A word for programs: `overlap`, `region`, `denied`, `full`, `gone`, `unversioned`, …
        code: String,
        /// What stands in the way.
        why: String,
        /// What to do about it.
        remedy: String,
    },
    /// Another tool rewrote the bucket's notifications; our entry was put back.
    Drifted {
        /// What was found there instead of our entry.
        found: String,
    },
    /// Something that will stop healing, or hide failures.
    Found {
        /// A word for programs: `metrics`, `trail`, `lifecycle`, `archived`, `state-kms`, …
        code: String,
        /// What it is about: a rule's id, a bucket.
        subject: String,
        /// What was found.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A backfill is asked for: versions that existed before a rule or a destination.
    BackfillPlanned {
        /// Its id.
        backfill: String,
        /// Why, one sentence a change.
        why: Vec<String>,
    },
    /// S3 has listed a backfill, which is so large that a person has to confirm it.
    BackfillAwaits {
        /// Its id.
        backfill: String,
        /// The job that waits.
        job: JobId,
        /// Versions to replicate.
        versions: u64,
        /// What the job will cost, in millionths of a dollar.
        micro_usd: u64,
        /// Why, one sentence a change.
        why: Vec<String>,
    },
    /// A backfill found nothing to replicate.
    BackfillEmpty {
        /// Its id.
        backfill: String,
    },
    /// A sweep found failed versions that no event had told of.
    Swept {
        /// How many.
        versions: u64,
    },
    /// The day's budget is spent; what waits goes on tomorrow.
    BudgetSpent {
        /// Which limit was met: `jobs`, `rows` or `dollars`.
        limit: String,
        /// Rows that wait.
        rows: u64,
    },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFinished {
    /// The job.
    pub job: JobId,
    /// Its plan.
    pub plan: PlanId,
    /// S3's terminal status: `Complete`, `Failed` or `Cancelled`.
    pub status: String,
    /// Rows of its manifest.
    pub rows: u64,
    /// Rows that its report calls succeeded.
    pub succeeded: u64,
    /// Of those, versions whose own status was read and agrees.
    pub proved: u64,
    /// Rows that its report calls failed, by reason.
    pub failed: Vec<(Reason, u64)>,
    /// Rows of the report that could not be read.
    pub unreadable: u64,
    /// Why the job itself failed, in S3's words.
    pub why: Option<String>,
    /// What it cost, in millionths of a dollar.
    pub micro_usd: u64,
}

impl NoticeFact {
    /// The job and the plan that it is about, as far as it says.
    pub fn about(&self) -> (Option<&JobId>, Option<&PlanId>) {
        match self {
            Self::JobFinished(it) => (Some(&it.job), Some(&it.plan)),
            Self::JobRefused { plan, .. } => (None, Some(plan)),
            Self::JobLost { job, plan } => (Some(job), Some(plan)),
            Self::JobStalled { job, .. } | Self::Paused { job, .. } | Self::ReportLate { job } => {
                (Some(job), None)
            }
            _ => (None, None),
        }
    }
}

impl Notice {
    /// A notice of this fact. `since` is what tells it from the same fact another time: when the
    /// circuit opened, say.
    pub fn new(bucket: &Bucket, at: Timestamp, since: Timestamp, fact: NoticeFact) -> Self {
        let subject = format!("{bucket}|{since}|{}", fact.subject());
        let hash: String = hex::encode(Sha256::digest(subject)).chars().take(12).collect();
        let id = format!("{}-{hash}", since.compact());
        Self { format: NOTICE_FORMAT, id, bucket: bucket.clone(), at, fact }
    }
}

impl NoticeFact {
    fn subject(&self) -> String {
        match self {
            Self::Held { cause, .. } => format!("held|{cause}"),
            Self::Repaired { cause, .. } => format!("repaired|{cause}"),
            // Two launches at the same time put different versions into quarantine.
            Self::Quarantined { reason, example, .. } => {
                format!(
                    "quarantined|{}|{}",
                    reason.as_str(),
                    example.as_ref().map_or("", Key::as_str)
                )
            }
            Self::JobFinished(JobFinished { plan, .. }) => format!("finished|{plan}"),
            Self::JobRefused { plan, .. } => format!("refused|{plan}"),
            Self::JobLost { job, .. } => format!("lost|{job}"),
            Self::JobStalled { job, .. } => format!("stalled|{job}"),
            Self::Paused { job, .. } => format!("paused|{job}"),
            Self::ReportLate { job } => format!("late|{job}"),
            Self::Rejected { kept, .. } => format!("rejected|{kept}"),
            Self::StatusUnread { .. } => "unread".to_owned(),
            Self::NotEnrolled { code, .. } => format!("not-enrolled|{code}"),
            Self::Drifted { .. } => "drifted".to_owned(),
            Self::Found { code, subject, .. } => format!("found|{code}|{subject}"),
            Self::BackfillPlanned { backfill, .. } => format!("backfill|{backfill}"),
            Self::BackfillAwaits { backfill, .. } => format!("backfill-awaits|{backfill}"),
            Self::BackfillEmpty { backfill } => format!("backfill-empty|{backfill}"),
            Self::Swept { .. } => "swept".to_owned(),
            Self::BudgetSpent { limit, .. } => format!("budget|{limit}"),
        }
    }
}
