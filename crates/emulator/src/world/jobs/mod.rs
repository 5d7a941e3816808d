//! S3 Batch Operations: jobs that replicate what a manifest lists, and report row by row.
//!
//! A job moves one state further each time the agenda reaches it ([`step`]); what a client asks of a
//! job is in [`control`]. The states, the threshold, the reports and the events are those of the S3 User
//! Guide. Of the operations, those that bring a replica back are here: replicate, copy, restore.

mod control;
mod generator;
mod inventory;
mod lifecycle;
mod manifest;
pub mod operation;
mod places;
mod report;
pub mod request;
mod rows;
mod task;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::BTreeMap;

pub use control::{
    Page, create, delete_tags, describe, list, put_tags, tags, update_priority, update_status,
};
pub use lifecycle::step;
pub(crate) use places::wake;

use self::places::Places;
use self::request::Request;
use self::rows::Rows;
use self::task::Verdict;
use super::Millis;
use super::object::Tags;

/// The jobs of the account, and the answers to what AWS leaves open.
#[derive(Debug)]
pub struct Jobs {
    /// A failed task also sends the failure event that a live failure sends (not documented).
    pub batch_failure_events: bool,
    /// A task succeeds as soon as the version is PENDING; what comes of it, only its status tells.
    pub succeeded_means_initiated: bool,
    /// A COMPLETED version whose destinations all have it fails with `SrcReplicationNotPending`; off, it
    /// is replicated again and succeeds.
    pub not_pending_is_reported: bool,
    /// The most rows of one result file (not documented).
    pub report_rows_per_file: usize,
    /// Failed tasks that `NumberOfTasksFailed` of a job that ended counts too many; its report has none
    /// of them. Seen of the real one, once, by people who healed replication with scripts.
    pub failed_overcount: u64,
    jobs: BTreeMap<String, Job>,
    /// Ids in the order of creation.
    order: Vec<String>,
    /// Who runs and who waits.
    places: Places,
    /// Jobs created so far.
    created: u64,
    /// The job that each client request token made.
    tokens: BTreeMap<String, String>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            batch_failure_events: true,
            succeeded_means_initiated: false,
            not_pending_is_reported: false,
            report_rows_per_file: 100_000,
            failed_overcount: 0,
            jobs: BTreeMap::new(),
            order: Vec::new(),
            places: Places::default(),
            created: 0,
            tokens: BTreeMap::new(),
        }
    }
}

impl Jobs {
    /// A job by its id, without the expiry that [`describe`] brings about.
    pub fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.get(id)
    }

    /// All jobs that are still known, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.order.iter().filter_map(|id| self.jobs.get(id))
    }

    /// As if every job that waits for its confirmation had waited so much longer.
    pub fn wait_longer(&mut self, ms: Millis) {
        for job in self.jobs.values_mut() {
            job.suspended = job.suspended.map(|at| at.saturating_sub(ms));
        }
    }

    /// Jobs that run tasks at the moment.
    pub fn active(&self) -> usize {
        self.places.running.len()
    }
}

/// The state of a job (S3 User Guide: tracking job status).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Created.
    New,
    /// The manifest is being read or made.
    Preparing,
    /// Waits for the confirmation of its creator.
    Suspended,
    /// Waits for its turn.
    Ready,
    /// Runs tasks.
    Active,
    /// Has to make room for a job of a higher priority.
    Pausing,
    /// Waits for its turn again.
    Paused,
    /// Writes its report.
    Completing,
    /// Done; that says nothing of its tasks.
    Complete,
    /// Will be cancelled.
    Cancelling,
    /// Ended by a client.
    Cancelled,
    /// Will be failed.
    Failing,
    /// Ended by S3.
    Failed,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Preparing => "Preparing",
            Self::Suspended => "Suspended",
            Self::Ready => "Ready",
            Self::Active => "Active",
            Self::Pausing => "Pausing",
            Self::Paused => "Paused",
            Self::Completing => "Completing",
            Self::Complete => "Complete",
            Self::Cancelling => "Cancelling",
            Self::Cancelled => "Cancelled",
            Self::Failing => "Failing",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing can follow.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled | Self::Failed)
    }
}

/// Why a job failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFailure {
    /// `FailureCode`; AWS publishes no list of them.
    pub code: &'static str,
    /// `FailureReason`.
    pub reason: String,
}

impl JobFailure {
    fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// The manifest that a generator wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The ARN of its `manifest.json`.
    pub object: String,
    /// The ETag of that.
    pub etag: String,
}

/// One job.
#[derive(Debug)]
pub struct Job {
    /// A UUID.
    pub id: String,
    /// `arn:aws:s3:REGION:ACCOUNT:job/ID`.
    pub arn: String,
    /// Its number in the order of creation.
    number: u64,
    /// What was asked for, its tags aside.
    pub request: Request,
    /// The priority now.
    pub priority: i32,
    /// The state now.
    pub status: Status,
    /// What the client said when it changed the state.
    pub status_update_reason: Option<String>,
    /// Why it failed as a whole.
    pub failures: Vec<JobFailure>,
    /// When it was created.
    pub created: Millis,
    /// When it ended.
    pub terminated: Option<Millis>,
    /// When it was suspended.
    pub suspended: Option<Millis>,
    /// When it first became Active.
    pub active_since: Option<Millis>,
    /// Milliseconds that it has been Active in all.
    pub active_ms: Millis,
    /// Up to when `active_ms` counts.
    counted: Millis,
    /// Rows of its manifest; 0 until the manifest has been read.
    pub total: u64,
    /// Tasks that succeeded.
    pub succeeded: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// The manifest that was made for it.
    pub generated: Option<Generated>,
    /// The tags now.
    pub tags: Tags,
    /// When the agenda is meant to reach it next: a step at another time is one that was overtaken.
    due: Option<Millis>,
    /// Rows and verdicts, until the job ends.
    run: Option<Run>,
}

/// What a job holds while it runs: the manifest, and one verdict for each row that it has done.
#[derive(Debug, Default)]
struct Run {
    rows: Rows,
    verdicts: Vec<Verdict>,
}
