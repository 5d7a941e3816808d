//! Folding: what the ledger, new segments, the verdicts of ended jobs and statuses that were read
//! make of each version together. The same fold runs twice in a launch: once to *survey* (nothing is
//! written; a decision is made of what was seen) and once to *write*, with the decision's marks.
//! Both times each version is folded from the same facts, so both see the same.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::entry::{Cause, Entry, State};
use crate::plan::PlanId;
use crate::run::{ObjectVersion, Row};
use crate::segment::FailureRow;
use crate::summary::{Ended, Settled};
use crate::time::Timestamp;
use crate::transition::{Effect, Fact, Given, Status};
use crate::verdict::VerdictRow;

/// One row of any run that a fold reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Of the ledger.
    Entry(Entry),
    /// Of a segment.
    Told(FailureRow),
    /// Of the verdicts on this plan's job.
    Judged(PlanId, VerdictRow),
    /// A status that was read in this launch.
    Seen(ObjectVersion, Status),
}

impl Row for Record {
    fn id(&self) -> &ObjectVersion {
        match self {
            Self::Entry(entry) => &entry.id,
            Self::Told(row) => &row.id,
            Self::Judged(_, row) => &row.id,
            Self::Seen(id, _) => id,
        }
    }
}

/// A flight that is over, as far as its rows care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// When it ended.
    pub at: Timestamp,
    /// The job is Complete, or nobody knows: a row without a verdict asks its own status.
    pub complete: bool,
    /// Rows that the report calls succeeded: decides how many are proved.
    pub succeeded: u64,
}

impl Landing {
    /// The landing of a job that was settled.
    pub fn of(settled: &Settled) -> Self {
        let complete = matches!(settled.ended, Ended::Complete | Ended::Lost);
        Self { at: settled.at, complete, succeeded: settled.succeeded }
    }

    /// The landing of a plan that never became a job.
    pub fn refused(now: Timestamp) -> Self {
        Self { at: now, complete: false, succeeded: 0 }
    }
}

/// A fold: the time, the limits, and the flights that are over.
#[derive(Debug, Clone, Copy)]
pub struct Folding<'a> {
    /// The time and the limits.
    pub given: Given<'a>,
    /// Flights that ended since the last fold.
    pub landings: &'a BTreeMap<PlanId, Landing>,
}

impl Folding<'_> {
    /// What the rows of one version make together.
    pub fn fold(&self, group: Vec<Record>, effects: &mut Vec<Effect>) -> Option<Entry> {
        let (mut entry, mut told, mut judged, mut seen) =
            (None, Vec::new(), Vec::new(), Vec::new());
        for record in group {
            match record {
                Record::Entry(row) => entry = Some(row),
                Record::Told(row) => told.push(row),
                Record::Judged(plan, row) => judged.push((plan, row)),
                Record::Seen(_, status) => seen.push(status),
            }
        }
        told.sort_by(|a, b| a.blame.cmp_by_time(&b.blame));
        let known = entry.clone();
        let landing = self.landing(entry.as_ref());
        let ended = landing.as_ref().map_or(Timestamp::default(), |(_, landing)| landing.at);
        let later = told.partition_point(|row| row.blame.at <= ended);
        let later = told.split_off(later);
        let mut apply = |entry, fact| self.given.apply(entry, fact, effects);
        for row in told {
            entry = apply(entry, Fact::Told(row));
        }
        if let Some((plan, landing)) = landing {
            entry = apply(entry, self.verdict(plan, landing, judged));
        }
        for row in later {
            entry = apply(entry, Fact::Told(row));
        }
        for status in seen {
            entry = apply(entry, Fact::Seen(status));
        }
        let entry = apply(entry, Fact::Aged);
        if entry != known {
            effects.push(Effect::Changed);
        }
        entry
    }

    fn landing(&self, entry: Option<&Entry>) -> Option<(PlanId, &Landing)> {
        let State::InFlight { plan, .. } = &entry?.state else {
            return None;
        };
        self.landings.get(plan).map(|landing| (plan.clone(), landing))
    }

    fn verdict(&self, plan: PlanId, landing: &Landing, judged: Vec<(PlanId, VerdictRow)>) -> Fact {
        let mut own = judged.into_iter().filter(|(of, _)| *of == plan).map(|(_, row)| row);
        // Several rows of one version, in several chunks: a failure is what has to be looked at.
        let Some(first) = own.next() else {
            return Fact::Unreported { plan, complete: landing.complete };
        };
        let worst = own.fold(first, |worst, row| if worst.failed.is_some() { worst } else { row });
        let prove = self.proves(&worst.id, landing.succeeded);
        Fact::Judged { plan, ended: landing.at, failed: worst.failed, prove }
    }

    /// Of a small job every row is proved, of a large one a sample that does not depend on order.
    fn proves(&self, id: &ObjectVersion, succeeded: u64) -> bool {
        let sample = self.given.limits.proof_rows_max;
        succeeded <= sample || spread(id, 0) % succeeded < sample
    }
}

/// What a decision lets happen to the rows, in the second fold.
#[derive(Debug, Default)]
pub struct Marks {
    /// Causes whose circuits are open.
    pub open: BTreeSet<Cause>,
    /// Held rows that go up as canaries.
    pub canaries: BTreeSet<ObjectVersion>,
    /// The plan that takes rows, and how many it may yet take besides the canaries.
    pub plan: Option<(PlanId, u64)>,
}

impl Marks {
    /// Applies the decision to one entry. Says whether the row goes into the manifest.
    pub fn mark(&mut self, given: &Given<'_>, entry: Entry) -> (Entry, bool) {
        let apply = |entry: Entry, fact| {
            given.apply(Some(entry.clone()), fact, &mut Vec::new()).unwrap_or(entry)
        };
        let canary = self.canaries.contains(&entry.id);
        if entry.state == State::Held {
            if let Some((plan, _)) = self.plan.as_ref().filter(|_| canary) {
                return (apply(entry, Fact::Launched { plan: plan.clone(), canary }), true);
            }
            if entry.causes().iter().any(|cause| self.open.contains(cause)) {
                return (entry, false);
            }
            return self.take(given, apply(entry, Fact::Released));
        }
        self.take(given, entry)
    }

    fn take(&mut self, given: &Given<'_>, entry: Entry) -> (Entry, bool) {
        let State::Waiting { not_before } = entry.state else {
            return (entry, false);
        };
        let Some((plan, left)) = &mut self.plan else {
            return (entry, false);
        };
        if *left == 0 || not_before > given.now {
            return (entry, false);
        }
        *left -= 1;
        let fact = Fact::Launched { plan: plan.clone(), canary: false };
        match given.apply(Some(entry.clone()), fact, &mut Vec::new()) {
            Some(entry) => (entry, true),
            None => (entry, false),
        }
    }
}

/// A number that spreads versions evenly, the same for the same version and turn.
pub(crate) fn spread(id: &ObjectVersion, turn: u32) -> u64 {
    let mut hash = Sha256::new();
    hash.update(turn.to_be_bytes());
    hash.update(id.key.as_str().as_bytes());
    hash.update([0]);
    hash.update(id.version.as_str().as_bytes());
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
#[path = "fold/tests.rs"]
mod tests;
