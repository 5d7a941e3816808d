//! What is chosen when a world is made.

use super::Millis;

/// The account, the Region, and the delays of everything that AWS does in the background.
#[derive(Debug, Clone)]
pub struct Config {
    /// The account that owns every bucket made without another owner: 12 digits.
    pub account: String,
    /// The Region of the account's buckets.
    pub region: String,
    /// Seeds version ids, request ids, job ids and every delay that varies.
    pub seed: u64,
    /// The world's time at its beginning.
    pub start: Millis,
    /// The access key that requests must be signed with; `None` accepts any and checks nothing.
    pub credentials: Option<(String, String)>,
    /// From a write to its first replication attempt.
    pub replication_delay: Millis,
    /// From a failure to its event in the queue (AWS: usually seconds, sometimes minutes).
    pub notification_delay: Millis,
    /// Between two steps of a batch job's life (New, Preparing, Ready, …).
    pub job_step: Millis,
    /// Tasks that a batch job runs in one step.
    pub job_tasks_per_step: usize,
    /// From a job's change of status to its event on the bus (CloudTrail: seconds to minutes).
    pub trail_delay: Millis,
    /// Whether a CloudTrail trail exists: without one, job and configuration events never arrive.
    pub trail: bool,
    /// The queues that S3 tells are another server's: what it tells becomes parcels.
    pub queues_elsewhere: bool,
    /// The bus is another server's.
    pub bus_elsewhere: bool,
    /// Batch Replication jobs that may be active at a time (AWS: 6 an account).
    pub active_jobs_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account: "111122223333".into(),
            region: "us-east-1".into(),
            seed: 1,
            start: 1_767_225_600_000, // 2026-01-01T00:00:00Z
            credentials: Some(("AKIARESILVERLOCAL000".into(), "resilver-local-secret".into())),
            replication_delay: 2_000,
            notification_delay: 3_000,
            job_step: 5_000,
            job_tasks_per_step: 10_000,
            trail_delay: 20_000,
            trail: true,
            queues_elsewhere: false,
            bus_elsewhere: false,
            active_jobs_max: 6,
        }
    }
}
