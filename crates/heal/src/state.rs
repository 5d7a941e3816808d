//! The data model of the state bucket: every object in it is one variant of [`StateKey`]. No other
//! line of code spells a key.

use std::fmt;

use crate::key::{Bucket, JobId};
use crate::plan::PlanId;
use crate::time::Timestamp;

/// An object of the state bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateKey<'a> {
    /// `failures/<bucket>/<time>-<hash>.csv`: a segment. Written by collect, read and deleted by
    /// launch once folded.
    Failures(&'a Bucket, Timestamp, &'a str),
    /// `settling/<bucket>/<job>.json`: how a job ended and which chunks its report has. Written by
    /// settle, only if absent; deleted by launch with its verdicts.
    Settling(&'a Bucket, &'a JobId),
    /// `verdicts/<bucket>/<job>/<file>-<chunk>.csv`: one chunk of a report. Written by settle, only
    /// if absent; read and deleted by launch once folded.
    Verdicts(&'a Bucket, &'a JobId, usize, u64),
    /// `settled/<bucket>/<job>.json`: the summary, once every chunk is there. Written by settle, only
    /// if absent; read by launch; expires after 120 days, longer than S3 remembers a job.
    Settled(&'a Bucket, &'a JobId),
    /// `ledger/<bucket>/head.json`: the commit point. Written by launch, by compare-and-swap.
    Head(&'a Bucket),
    /// `ledger/<bucket>/<n>-<launch>.csv.zst`: a ledger run. Written by launch; deleted by the launch
    /// that replaced it, or a week later if no head came to name it.
    Ledger(&'a Bucket, u64, &'a str),
    /// `plans/<bucket>/<plan>.json`: the intent of a job. Written by launch, only if absent; expires.
    Plan(&'a Bucket, &'a PlanId),
    /// `manifests/<bucket>/<plan>.csv`: what S3 reads. Written by launch; expires.
    Manifest(&'a Bucket, &'a PlanId),
    /// `account.json`: the slots, rows and dollars that the account and Region share. Written by
    /// launch, by compare-and-swap.
    Account,
    /// `outbox/<bucket>/<id>.json`: a notice that came up outside a commit of the ledger. Written by
    /// collect, settle and backfill, only if absent; deleted by launch once it is said.
    Outbox(&'a Bucket, &'a str),
    /// `enrolled/<bucket>.json`: what was merged into the bucket's notification document. Written by
    /// enroll, by compare-and-swap; read by backfill, launch and doctor; deleted when it leaves.
    Enrolled(&'a Bucket),
    /// `unenrolled/<bucket>.json`: why a bucket that should be enrolled is not, so that it is told once.
    /// Written by enroll; deleted when the bucket is enrolled or no longer wanted.
    Unenrolled(&'a Bucket),
    /// `enrolment.json`: whether the stack is installed. Written by enroll when CloudFormation says so.
    Enrolment,
    /// `configs/<bucket>.json`: the last replication configuration that was acted on, and what was
    /// found amiss; of the state bucket, only that. Written by backfill, by compare-and-swap.
    Config(&'a Bucket),
    /// `backfills/<bucket>/<id>.json`: a backfill that is asked for. Written by backfill and people,
    /// only if absent; deleted by launch once its head has it.
    Backfill(&'a Bucket, &'a str),
    /// `generated/<bucket>`: the prefix under which S3 keeps the manifests that it makes; read by
    /// launch, expires.
    Generated(&'a Bucket),
    /// `listed/<bucket>/<plan>-<n>.csv.zst`: rows of a manifest that S3 made, as a run, one of
    /// several. Written and deleted by launch; expires.
    Listed(&'a Bucket, &'a PlanId, usize),
    /// `notices/<id>/<target>`: said there. Written by notify; expires. The target
    /// [`SAID`] means: said everywhere.
    Notice(&'a str, &'a str),
    /// `reports/<bucket>`: the prefix under which S3 writes the bucket's reports; read by settle,
    /// expires.
    Reports(&'a Bucket),
    /// `rejects/<from>/<bucket or ->/<name>`: input that could not be read, byte for byte. Written by
    /// collect and settle; read by people; expires.
    Rejects(&'a str, &'a str, &'a str),
}

/// The target under which a notice is marked as said everywhere.
pub const SAID: &str = "all";

impl fmt::Display for StateKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures(bucket, first, hash) => {
                write!(f, "failures/{bucket}/{}-{hash}.csv", first.compact())
            }
            Self::Settling(bucket, job) => write!(f, "settling/{bucket}/{job}.json"),
            Self::Verdicts(bucket, job, file, chunk) => {
                write!(f, "verdicts/{bucket}/{job}/{file}-{chunk}.csv")
            }
            Self::Settled(bucket, job) => write!(f, "settled/{bucket}/{job}.json"),
            Self::Head(bucket) => write!(f, "ledger/{bucket}/head.json"),
            Self::Ledger(bucket, n, launch) => write!(f, "ledger/{bucket}/{n}-{launch}.csv.zst"),
            Self::Plan(bucket, plan) => write!(f, "plans/{bucket}/{plan}.json"),
            Self::Manifest(bucket, plan) => write!(f, "manifests/{bucket}/{plan}.csv"),
            Self::Account => write!(f, "account.json"),
            Self::Outbox(bucket, id) => write!(f, "outbox/{bucket}/{id}.json"),
            Self::Enrolled(bucket) => write!(f, "enrolled/{bucket}.json"),
            Self::Unenrolled(bucket) => write!(f, "unenrolled/{bucket}.json"),
            Self::Enrolment => write!(f, "enrolment.json"),
            Self::Config(bucket) => write!(f, "configs/{bucket}.json"),
            Self::Backfill(bucket, id) => write!(f, "backfills/{bucket}/{id}.json"),
            Self::Generated(bucket) => write!(f, "generated/{bucket}"),
            Self::Listed(bucket, plan, n) => write!(f, "listed/{bucket}/{plan}-{n}.csv.zst"),
            Self::Notice(id, target) => write!(f, "notices/{id}/{target}"),
            Self::Reports(bucket) => write!(f, "reports/{bucket}"),
            Self::Rejects(from, bucket, name) => write!(f, "rejects/{from}/{bucket}/{name}"),
        }
    }
}

/// A prefix of the state bucket that is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatePrefix<'a> {
    /// Segments of every bucket: its common prefixes are the buckets that have failures.
    AllFailures,
    /// Ledgers of every bucket: its common prefixes are the buckets that are known.
    AllLedgers,
    /// Notices in any bucket's outbox: its common prefixes are the buckets that have some.
    AllOutboxes,
    /// Every bucket that is enrolled, one document each.
    AllEnrolled,
    /// Every bucket that should be enrolled and is not, one document each.
    AllUnenrolled,
    /// Backfills of every bucket: its common prefixes are the buckets that have some asked for.
    AllBackfills,
    /// Segments of one bucket.
    Failures(&'a Bucket),
    /// One bucket's ledger: its head and its runs.
    Ledger(&'a Bucket),
    /// Chunks of one job's report.
    Verdicts(&'a Bucket, &'a JobId),
    /// Notices of one bucket's outbox.
    Outbox(&'a Bucket),
    /// Backfills that are asked for in one bucket.
    Backfills(&'a Bucket),
}

impl fmt::Display for StatePrefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllFailures => write!(f, "failures/"),
            Self::AllLedgers => write!(f, "ledger/"),
            Self::AllOutboxes => write!(f, "outbox/"),
            Self::AllEnrolled => write!(f, "enrolled/"),
            Self::AllUnenrolled => write!(f, "unenrolled/"),
            Self::AllBackfills => write!(f, "backfills/"),
            Self::Failures(bucket) => write!(f, "failures/{bucket}/"),
            Self::Ledger(bucket) => write!(f, "ledger/{bucket}/"),
            Self::Verdicts(bucket, job) => write!(f, "verdicts/{bucket}/{job}/"),
            Self::Outbox(bucket) => write!(f, "outbox/{bucket}/"),
            Self::Backfills(bucket) => write!(f, "backfills/{bucket}/"),
        }
    }
}

/// The bucket that a common prefix such as `failures/<bucket>/`, or a document such as
/// `enrolled/<bucket>.json`, names.
pub fn bucket_of(key: &str) -> Option<Bucket> {
    // A bucket's own name may end in `.json`, too: of a prefix that is left.
    let path = key.strip_suffix('/').or_else(|| key.strip_suffix(".json")).unwrap_or(key);
    Bucket::try_from(path.rsplit('/').next()?.to_owned()).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::bucket_of;

    #[test]
    fn a_bucket_is_told_by_its_prefix_and_by_its_document_whatever_its_name() {
        for (key, bucket) in [
            ("ledger/photos/", "photos"),
            ("enrolled/photos.json", "photos"),
            ("ledger/data.json/", "data.json"),
            ("enrolled/data.json.json", "data.json"),
            ("enrolled/data.json", "data"),
        ] {
            assert_eq!(bucket_of(key).unwrap().as_str(), bucket, "{key}");
        }
        assert_eq!(bucket_of("ledger/No Bucket/"), None);
    }
}
