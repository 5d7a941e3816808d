//! Every limit of Resilver, in one place, with its unit in its name. A limit that a user may move is
//! a field of [`Limits`] with a safe default; one that AWS sets, or that a format fixes, is a constant.

use serde::{Deserialize, Serialize};

use crate::time::{days, hours, minutes};

/// What one Batch Operations job costs, in millionths of a dollar (S3 pricing: $0.25 a job).
pub const JOB_MICRO_USD: u64 = 250_000;
/// What one manifest row costs, in millionths of a dollar (S3 pricing: $1.00 per million objects,
/// charged for every row whether or not it succeeds).
pub const ROW_MICRO_USD: u64 = 1;
/// What S3 takes for making a manifest, in millionths of a dollar for each million objects in the
/// bucket, those included that it does not list (S3 pricing: $0.015).
pub const LISTING_MICRO_USD_A_MILLION: u64 = 15_000;
/// A replication configuration that was read is believed once it was read again, unchanged, so much
/// later: S3 answers with an old one for a while (S3 User Guide: Welcome, on consistency).
pub const CONFIG_SETTLES_MS: u64 = minutes(5);
/// Configurations that came and went before one settled and are kept, to find what each of them left
/// out; the oldest are forgotten.
pub const CONFIGS_PASSED_MAX: usize = 8;
/// Covers of former configurations that are remembered; past that they are taken for whole buckets.
pub const COVERS_REMEMBERED_MAX: usize = 1_000;
/// Clauses that one backfill carries as its reasons.
pub const BACKFILL_REASONS_MAX: usize = 20;
/// A changed configuration that no event has told of for so long means that there is no trail.
/// CloudTrail takes minutes, and promises nothing.
pub const TRAIL_HEARD_MS: u64 = hours(1);
/// How often blind spots are looked for where nothing changed.
pub const FINDINGS_EVERY_MS: u64 = hours(1);
/// A finding that was gone for so long is told anew when it is back.
pub const FINDING_GONE_MS: u64 = days(1);
/// Active Batch Replication jobs that AWS allows an account (S3 User Guide: batch-ops).
pub const ACCOUNT_JOBS_MAX: u32 = 6;
/// Bytes of a result file that one verdict chunk covers.
pub const CHUNK_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes past the end of a chunk that are read so that its last row is whole: two keys of 1,024
/// bytes, percent-encoded, and a message.
pub const CHUNK_LOOKAHEAD_BYTES: u64 = 64 * 1024;
/// Chunks of one report that one invocation of `settle` works through; the next one goes on.
pub const CHUNKS_PER_SETTLE: usize = 64;
/// Reasons that are counted apart in the summary of one job.
pub const REASONS_MAX: usize = 100;
/// Notices of one bucket that wait for a chat. Of more the oldest are given up: a chat that is gone for
/// good must not make the head grow for ever.
pub const OUTBOX_MAX: usize = 200;
/// Segments that one fold takes up; the rest wait for the next tick.
pub const SEGMENTS_PER_FOLD: usize = 256;
/// Once a fold takes up so many chunks of reports, no other job lands in it: that waits for the next
/// tick.
pub const CHUNKS_PER_FOLD: usize = 64;

/// Bytes of a row of a report beside its key and version: the bucket's name, and what became of it.
pub const REPORT_ROW_BYTES: u64 = 96;

/// How long a row that left is remembered: longer than a queue can hold an event (14 days).
pub const TOMBSTONE_MS: u64 = days(15);
/// An event that is dated so much later than its message was sent is not believed.
pub const FUTURE_MS: u64 = hours(1);
/// Causes that one row remembers; S3 allows 28 destinations a rule set.
pub const BLAMES_MAX: usize = 28;
/// A ledger run that no head names is a leftover of a launch that was cut short or lost, and is
/// deleted when it is this old.
pub const LEFTOVER_MS: u64 = days(7);
/// Every so many generations of a head, leftovers are looked for.
pub const LEFTOVERS_EVERY: u64 = 50;
/// A reservation that no ledger head names is taken for abandoned after this.
pub const RESERVATION_ORPHAN_MS: u64 = hours(1);
/// A job that AWS does not know is lag until it is this old; then it is lost.
pub const JOB_UNKNOWN_MS: u64 = hours(1);
/// A job that ended without a report is told about after this.
pub const REPORT_LATE_MS: u64 = hours(1);
/// A job that ended without a report is settled without one after this.
pub const REPORT_LOST_MS: u64 = days(1);
/// A job that waits for a confirmation or is paused is told about after this.
pub const JOB_STALLED_MS: u64 = days(1);
/// Pauses between two canaries of an open circuit; the last one repeats.
pub const PROBE_CADENCE_MS: [u64; 6] =
    [minutes(15), minutes(30), hours(1), hours(3), hours(8), hours(24)];
/// Pauses between two canaries that go up ahead of their turn, since a change was seen that may be the
/// repair; the last one repeats. Somebody who changes roles all day buys eight a day at most.
pub const EARLY_PROBE_PAUSES_MS: [u64; 4] = [minutes(10), minutes(30), hours(1), hours(3)];
/// A status that cannot be read is told about after this many looks: over an hour.
pub const UNREAD_LOOKS: u32 = 3;

/// Whoever claimed a notice and has not said it after this was cut short; another says it.
pub const CLAIM_MS: u64 = minutes(4);

/// Rows of a job that is there to try whether jobs go at all, after S3 refused or failed one as a whole.
pub const PROBE_ROWS_MAX: u64 = 1_000;

/// Pauses before a status that is still PENDING (or could not be read) is asked for again; after the
/// last one the row leaves unproved.
pub const CONFIRM_CADENCE_MS: [u64; 8] =
    [minutes(1), minutes(5), minutes(15), hours(1), hours(3), hours(8), hours(12), hours(24)];
/// Pauses before a failed row whose reason may pass is tried again, by attempts so far.
pub const RETRY_CADENCE_MS: [u64; 5] = [minutes(5), minutes(30), hours(2), hours(8), hours(24)];

/// Entries that S3 takes in one bucket's notification document (AWS General Reference: S3 quotas).
pub const NOTIFICATION_ENTRIES_MAX: usize = 100;
/// How often one run of `enroll` writes a document that another tool overwrites meanwhile.
pub const ENROLL_WRITES_MAX: usize = 5;
/// Pauses before a document is read again that does not show what was written: S3 may answer with an
/// older one for a moment.
pub const ENROLL_READ_PAUSES_MS: [u64; 2] = [0, 2_000];
/// Pauses before S3 is asked again that could not send to our queue, or that does not know yet what our
/// role may do: a queue's policy takes up to 60 seconds to arrive (SQS Developer Guide:
/// sqs-basic-examples-of-sqs-policies).
pub const ENROLL_QUEUE_PAUSES_MS: [u64; 5] = [2_000, 4_000, 8_000, 16_000, 30_000];
/// Buckets that `enroll` works on at the same time.
pub const ENROLL_AT_ONCE: usize = 8;
/// What is left of the function's time when CloudFormation is answered, done or not.
pub const ENROLL_ANSWER_MS: u64 = 15_000;
/// Characters of the sentence that CloudFormation is told; its answers have 4,096 bytes at most
/// (CloudFormation User Guide: crpg-ref-responses).
pub const ENROLL_REASON_MAX: usize = 1_000;

/// The limits that a user may move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Launch when this many rows wait, however young.
    pub launch_rows_min: u64,
    /// Launch when the oldest waiting row has waited so many minutes, however few they are.
    pub launch_wait_minutes: u64,
    /// Rows in one job.
    pub job_rows_max: u64,
    /// Bytes that the report of one job may come to: all of its chunks are folded together, beside each
    /// other ([`CHUNKS_PER_FOLD`]).
    pub job_report_bytes_max: u64,
    /// Of the account's [`ACCOUNT_JOBS_MAX`] active jobs, how many may be ours.
    pub jobs_active_max: u32,
    /// Jobs started in one day (UTC).
    pub day_jobs_max: u32,
    /// Rows launched in one day (UTC).
    pub day_rows_max: u64,
    /// Money spent in one day (UTC), in millionths of a dollar.
    pub day_micro_usd_max: u64,
    /// Job verdicts over one version's whole life; canaries that fail with their own cause are
    /// counted on the circuit instead.
    pub attempts_max: u32,
    /// Rows of one cause that a canary carries.
    pub canary_rows: usize,
    /// Jobs up to this size are proved row by row; of larger ones a sample of this size is.
    pub proof_rows_max: u64,
    /// Replication statuses read in one tick.
    pub looks_per_tick: usize,
    /// Days from one sweep of a bucket to the next; 0 is never.
    pub sweep_days: u64,
    /// What the sweeps of one bucket may cost in 30 days, in millionths of a dollar: where the fees
    /// of listing and of the job are more, sweeps are rarer.
    pub sweep_month_micro_usd_max: u64,
    /// Objects that a bucket is taken to have: S3 charges a listing by them and does not say how many
    /// there are.
    pub bucket_objects: u64,
    /// A backfill of more versions than this waits for a person.
    pub backfill_rows_unconfirmed_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            launch_rows_min: 100_000,
            launch_wait_minutes: 15,
            job_rows_max: 5_000_000,
            job_report_bytes_max: CHUNKS_PER_FOLD as u64 * CHUNK_BYTES,
            jobs_active_max: 4,
            day_jobs_max: 96,
            day_rows_max: 50_000_000,
            day_micro_usd_max: 100_000_000,
            attempts_max: 6,
            canary_rows: 5,
            proof_rows_max: 1_000,
            looks_per_tick: 2_000,
            sweep_days: 7,
            sweep_month_micro_usd_max: 10_000_000,
            bucket_objects: 10_000_000,
            backfill_rows_unconfirmed_max: 1_000_000,
        }
    }
}

impl Limits {
    /// How long the oldest waiting row waits for company, in milliseconds.
    pub fn launch_wait_ms(&self) -> u64 {
        minutes(self.launch_wait_minutes)
    }

    /// Whether so many rows may go in one day, if nothing else does: if not, one job never has room for
    /// them, however long it waits.
    pub fn a_day_allows(&self, rows: u64) -> bool {
        rows <= self.day_rows_max && rows.saturating_mul(ROW_MICRO_USD) <= self.day_micro_usd_max
    }

    /// What makes no sense in them: with it nothing would ever be launched, or AWS would have to
    /// refuse.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let one = [
            ("job_rows_max", self.job_rows_max),
            ("job_report_bytes_max", self.job_report_bytes_max),
            ("jobs_active_max", u64::from(self.jobs_active_max)),
            ("day_jobs_max", u64::from(self.day_jobs_max)),
            ("day_rows_max", self.day_rows_max),
            ("attempts_max", u64::from(self.attempts_max)),
            ("canary_rows", self.canary_rows as u64),
            ("looks_per_tick", self.looks_per_tick as u64),
        ];
        problems.extend(
            one.iter()
                .filter(|(_, n)| *n == 0)
                .map(|(name, _)| format!("{name} has to be at least 1")),
        );
        if self.jobs_active_max > ACCOUNT_JOBS_MAX {
            problems.push(format!("jobs_active_max may be {ACCOUNT_JOBS_MAX}, as AWS allows"));
        }
        if self.day_micro_usd_max < JOB_MICRO_USD + ROW_MICRO_USD {
            let least = JOB_MICRO_USD + ROW_MICRO_USD;
            problems
                .push(format!("day_micro_usd_max has to be at least {least}, what one job costs"));
        }
        problems
    }
}

/// The element of a cadence for the `n`th time; the last one repeats.
pub fn cadence(table: &[u64], n: u32) -> u64 {
    let index = (n as usize).min(table.len().saturating_sub(1));
    table.get(index).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_stop_everything_are_problems() {
        assert_eq!(Limits::default().problems(), Vec::<String>::new());
        let zero = Limits {
            job_rows_max: 0,
            jobs_active_max: 7,
            day_micro_usd_max: 250_000,
            ..Limits::default()
        };
        let problems = zero.problems().join("; ");
        for name in ["job_rows_max", "jobs_active_max", "day_micro_usd_max"] {
            assert!(problems.contains(name), "{problems}");
        }
        assert_eq!(zero.problems().len(), 3);
    }
}
