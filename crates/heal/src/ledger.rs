//! The head of a bucket's ledger: the one document that says what is true. It names the run that
//! holds the rows, the jobs in flight, the open circuits and what has yet to be said; it is only ever
//! replaced whole, by compare-and-swap. It decides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backfill::Backfill;
use crate::circuit::Circuit;
use crate::entry::{Entry, Outcome, State};
use crate::key::{Bucket, JobId};
use crate::limits::OUTBOX_MAX;
use crate::notice::Notice;
use crate::plan::PlanId;
use crate::scan::Scan;
use crate::summary::job_micro_usd;
use crate::time::Timestamp;
use crate::transition::Effect;

/// The head's format number.
pub const HEAD_FORMAT: u32 = 2;

/// `ledger/<bucket>/head.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`HEAD_FORMAT`].
    pub format: u32,
    /// The source bucket.
    pub bucket: Bucket,
    /// Grows with every swap.
    pub generation: u64,
    /// The id of the launch that wrote it: whoever finds its own here has won.
    pub writer: String,
    /// The latest *now* of any launch; time never goes back.
    pub now: Timestamp,
    /// The run of rows; `None` before the first failure.
    pub run: Option<RunRef>,
    /// The plan whose job is being asked for.
    pub launching: Option<PlanId>,
    /// Plans whose rows are in flight.
    pub flights: BTreeMap<PlanId, Flight>,
    /// Open circuits.
    pub circuits: Vec<Circuit>,
    /// Notices that are not yet said everywhere.
    pub outbox: Vec<Notice>,
    /// Notices that no chat took and that made way for younger ones.
    #[serde(default)]
    pub given_up: u64,
    /// Rows of the run by state.
    pub counts: Counts,
    /// What ever came and went.
    pub totals: Totals,
    /// When there is something to do even if nothing new comes.
    pub next_due: Option<Timestamp>,
    /// Why nothing is launched, if the bucket is paused.
    pub paused: Option<String>,
    /// When the bucket is resumed by itself, if a person has said so.
    #[serde(default)]
    pub resume_at: Option<Timestamp>,
    /// The job whose manifest S3 makes, if there is one.
    #[serde(default)]
    pub scan: Option<Scan>,
    /// Backfills that are asked for and not begun.
    #[serde(default)]
    pub backfills: Vec<Backfill>,
    /// When the last sweep began.
    #[serde(default)]
    pub swept: Option<Timestamp>,
    /// When the first of the versions failed that are to be healed and are not, quarantined ones aside.
    #[serde(default)]
    pub oldest_unhealed: Option<Timestamp>,
    /// How much of [`Head::totals`] the metrics were told.
    #[serde(default)]
    pub counted: Totals,
}

/// A run that the head names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRef {
    /// Its key in the state bucket.
    pub key: String,
    /// Its rows, tombstones included.
    pub rows: u64,
    /// Its stored length.
    pub bytes: u64,
    /// Its ETag.
    pub etag: String,
}

/// A plan whose rows are in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// When it was planned; from when its job is there, when that was.
    pub at: Timestamp,
    /// Rows of its manifest.
    pub rows: u64,
    /// Its job, once S3 has given one.
    pub job: Option<JobId>,
    /// S3 would not start it: code and sentence. Its rows return at the next fold.
    pub refused: Option<(String, String)>,
    /// What S3 takes for making its manifest, in millionths of a dollar.
    #[serde(default)]
    pub fee_micro_usd: u64,
}

impl Flight {
    /// A flight as it begins.
    pub fn new(at: Timestamp, rows: u64) -> Self {
        Self { at, rows, job: None, refused: None, fee_micro_usd: 0 }
    }

    /// What its job costs, in millionths of a dollar.
    pub fn micro_usd(&self) -> u64 {
        job_micro_usd(self.rows) + self.fee_micro_usd
    }
}

/// Rows by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// For the next job.
    pub waiting: u64,
    /// In a job.
    pub in_flight: u64,
    /// Their status has to be read.
    pub confirming: u64,
    /// Kept back by an open circuit.
    pub held: u64,
    /// A person decides.
    pub quarantined: u64,
    /// They left; remembered for a while.
    pub tombstones: u64,
}

/// What ever came and went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Versions collected; one that comes back after it left counts again.
    pub collected: u64,
    /// Left, with the status that says so.
    pub healed: u64,
    /// Left on the word of a report.
    pub unproved: u64,
    /// Left because they no longer exist.
    pub gone: u64,
    /// Events that told nothing new.
    pub duplicates: u64,
    /// Rows launched, in all jobs.
    pub launched: u64,
    /// Jobs asked for and given.
    pub jobs: u64,
    /// Spent on jobs and rows, in millionths of a dollar.
    pub micro_usd: u64,
    /// Pieces of events and reports that could not be read, and were told of.
    #[serde(default)]
    pub rejects: u64,
}

impl Head {
    /// The head of a bucket that nobody has heard of.
    pub fn new(bucket: Bucket, now: Timestamp) -> Self {
        Self {
            format: HEAD_FORMAT,
            bucket,
            generation: 0,
            writer: String::new(),
            now,
            run: None,
            launching: None,
            flights: BTreeMap::new(),
            circuits: Vec::new(),
            outbox: Vec::new(),
            given_up: 0,
            counts: Counts::default(),
            totals: Totals::default(),
            next_due: None,
            paused: None,
            resume_at: None,
            scan: None,
            backfills: Vec::new(),
            swept: None,
            oldest_unhealed: None,
            counted: Totals::default(),
        }
    }

    /// Why nothing is launched at `now`, if the bucket is paused then.
    pub fn paused(&self, now: Timestamp) -> Option<&str> {
        let over = self.resume_at.is_some_and(|resume| resume <= now);
        self.paused.as_deref().filter(|_| !over)
    }

    /// Puts notices into the outbox; one that is there already is the same one. If they are too many the
    /// oldest are given up, and counted.
    pub fn tell(&mut self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            if !self.outbox.iter().any(|other| other.id == notice.id) {
                self.outbox.push(notice);
            }
        }
        let over = self.outbox.len().saturating_sub(OUTBOX_MAX);
        self.outbox.drain(..over);
        self.given_up += over as u64;
    }

    /// Whether there is nothing to do at `now` unless something new has come.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.launching.is_none() && self.outbox.is_empty() && self.is_quiet(now)
    }

    /// Whether no row is due at `now`.
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        let refused = self.flights.values().any(|flight| flight.refused.is_some());
        !refused && self.next_due.is_none_or(|due| due > now)
    }
}

impl Counts {
    /// Rows that have not left.
    pub fn present(&self) -> u64 {
        self.waiting + self.in_flight + self.confirming + self.held + self.quarantined
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.present() + self.tombstones
    }

    /// Counts one row.
    pub fn count(&mut self, entry: &Entry) {
        let slot = match entry.state {
            State::Waiting { .. } => &mut self.waiting,
            State::InFlight { .. } => &mut self.in_flight,
            State::Confirming { .. } => &mut self.confirming,
            State::Held => &mut self.held,
            State::Quarantined { .. } => &mut self.quarantined,
            State::Left { .. } => &mut self.tombstones,
        };
        *slot += 1;
    }
}

impl Totals {
    /// Counts what came of a fact.
    pub fn count(&mut self, effect: &Effect) {
        match effect {
            Effect::Collected => self.collected += 1,
            Effect::Duplicate => self.duplicates += 1,
            Effect::Left { outcome: Outcome::Healed, .. } => self.healed += 1,
            Effect::Left { outcome: Outcome::Unproved, .. } => self.unproved += 1,
            Effect::Left { outcome: Outcome::Gone, .. } => self.gone += 1,
            Effect::Quarantined(_) | Effect::Failed { .. } => {}
            Effect::Returned | Effect::Changed => {}
        }
    }

    /// Adds what came and went in one fold.
    pub fn add(&mut self, other: &Self) {
        self.collected += other.collected;
        self.healed += other.healed;
        self.unproved += other.unproved;
        self.gone += other.gone;
        self.duplicates += other.duplicates;
        self.launched += other.launched;
        self.jobs += other.jobs;
        self.micro_usd += other.micro_usd;
        self.rejects += other.rejects;
    }

    /// Versions that left, one way or another.
    pub fn left(&self) -> u64 {
        self.healed + self.unproved + self.gone
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::notice::NoticeFact;

    #[test]
    fn the_oldest_of_too_many_notices_are_given_up_and_counted() {
        let bucket = Bucket::try_from("photos".to_owned()).unwrap();
        let mut head = Head::new(bucket.clone(), Timestamp(0));
        let notice = |n: u64| {
            let fact = NoticeFact::BudgetSpent { limit: n.to_string(), rows: n };
            Notice::new(&bucket, Timestamp(n), Timestamp(n), fact)
        };
        head.tell((0..OUTBOX_MAX as u64 + 30).map(notice));
        head.tell([notice(OUTBOX_MAX as u64 + 29)]);
        assert_eq!((head.outbox.len(), head.given_up), (OUTBOX_MAX, 30));
        assert_eq!(head.outbox.first(), Some(&notice(30)));
    }
}
