//! Folding: what the ledger, new segments, the verdicts of ended jobs and statuses that were read
//! make of each version together. The same fold runs twice in a launch: once to *survey* (nothing is
//! written; a decision is made of what was seen) and once to *write*, with the decision's marks.
//! Both times each version is folded from the same facts, so both see the same.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::entry::{Blame, Cause, Entry, State};
use crate::ledger::Flight;
use crate::limits::REPORT_ROW_BYTES;
use crate::listing::ListedRow;
use crate::plan::PlanId;
use crate::reason::Reason;
use crate::run::{ObjectVersion, Row};
use crate::scan::{Scan, Take};
use crate::segment::{FailureRow, Said};
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
    /// Of the manifest that S3 made for the scan.
    Listed(ListedRow),
}

impl Row for Record {
    fn id(&self) -> &ObjectVersion {
        match self {
            Self::Entry(entry) => &entry.id,
            Self::Told(row) => &row.id,
            Self::Judged(_, row) => &row.id,
            Self::Seen(id, _) => id,
            Self::Listed(row) => &row.0,
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
    /// Rows that succeeded: decides how many are proved.
    pub succeeded: u64,
    /// The report has only what failed: a row of a Complete job that it does not have succeeded.
    pub failures_only: bool,
    /// The ledger did not have its rows: what failed of them comes in now.
    pub alone: bool,
}

impl Landing {
    /// The landing of a job that was settled; `scan` if it was one.
    pub fn of(settled: &Settled, flight: &Flight, scan: Option<&Scan>) -> Self {
        let complete = matches!(settled.ended, Ended::Complete | Ended::Lost);
        let failures_only = scan.is_some() && settled.report && settled.ended == Ended::Complete;
        let succeeded = match failures_only {
            true => flight.rows.saturating_sub(settled.reported()),
            false => settled.succeeded,
        };
        let alone = scan.is_some_and(Scan::is_beside_the_ledger);
        Self { at: settled.at, complete, succeeded, failures_only, alone }
    }

    /// The landing of a plan that never became a job.
    pub fn refused(now: Timestamp) -> Self {
        Self { at: now, complete: false, succeeded: 0, failures_only: false, alone: false }
    }
}

/// A fold: the time, the limits, and the flights that are over.
#[derive(Debug, Clone, Copy)]
pub struct Folding<'a> {
    /// The time and the limits.
    pub given: Given<'a>,
    /// Flights that ended since the last fold.
    pub landings: &'a BTreeMap<PlanId, Landing>,
    /// When S3 was asked for the manifest of the scan.
    pub listed_at: Timestamp,
}

/// What the ledger makes of a version that S3 has listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// It does not have it.
    New,
    /// It has it: a job of ours has it, or will, or shall not.
    Known,
    /// It left since it was listed.
    Left,
}

/// What the rows of one version make together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Which version.
    pub id: Option<ObjectVersion>,
    /// Its entry, if the ledger has one.
    pub entry: Option<Entry>,
    /// S3 has listed it.
    pub listed: Option<Listed>,
}

impl Folding<'_> {
    /// What the rows of one version make together.
    pub fn fold(&self, group: Vec<Record>, effects: &mut Vec<Effect>) -> Folded {
        let id = group.first().map(|record| record.id().clone());
        let (mut entry, mut told, mut judged, mut seen, mut listed) =
            (None, Vec::new(), Vec::new(), Vec::new(), false);
        for record in group {
            match record {
                Record::Entry(row) => entry = Some(row),
                Record::Told(row) => told.push(row),
                Record::Judged(plan, row) => judged.push((plan, row)),
                Record::Seen(_, status) => seen.push(status),
                Record::Listed(_) => listed = true,
            }
        }
        let known = entry.clone();
        told.extend(self.brought_in(&judged));
        told.sort_by(|a, b| a.blame.cmp_by_time(&b.blame));
        let landing = self.landing(entry.as_ref());
        let ended = landing.as_ref().map_or(Timestamp::default(), |(_, landing)| landing.at);
        let later = told.partition_point(|row| row.blame.at <= ended);
        let later = told.split_off(later);
        let mut apply = |entry, fact| self.given.apply(entry, fact, effects);
        for row in told {
            entry = apply(entry, Fact::Told(row));
        }
        if let Some((plan, landing)) = landing {
            entry = apply(entry, self.verdict(plan, landing, id.as_ref(), judged));
        }
        for row in later {
            entry = apply(entry, Fact::Told(row));
        }
        for status in seen {
            entry = apply(entry, Fact::Seen(status));
        }
        let mut entry = apply(entry, Fact::Aged);
        if let Some(spent) = self.spent(entry.as_ref()).filter(|_| listed) {
            entry = apply(entry, Fact::Told(spent));
        }
        if entry != known {
            effects.push(Effect::Changed);
        }
        let listed = listed.then(|| self.listed(entry.as_ref()));
        Folded { id, entry, listed }
    }

    /// What failed in a job whose rows the ledger did not have.
    fn brought_in(&self, judged: &[(PlanId, VerdictRow)]) -> Vec<FailureRow> {
        let alone = judged.iter().filter_map(|(plan, row)| {
            let landing = self.landings.get(plan).filter(|landing| landing.alone)?;
            let blame = Blame { reason: row.failed.clone()?, destination: None, at: landing.at };
            Some(FailureRow { id: row.id.clone(), said: Said::Failed, blame })
        });
        alone.collect()
    }

    /// A version that left, and is listed again with all its attempts gone: no job takes it any more.
    fn spent(&self, entry: Option<&Entry>) -> Option<FailureRow> {
        let entry = entry.filter(|entry| entry.attempts >= self.given.limits.attempts_max)?;
        let new = self.listed(Some(entry)) == Listed::New;
        let blame = Blame { reason: Reason::unspecified(), destination: None, at: self.listed_at };
        new.then(|| FailureRow { id: entry.id.clone(), said: Said::Failed, blame })
    }

    fn listed(&self, entry: Option<&Entry>) -> Listed {
        match entry.map(|entry| &entry.state) {
            None => Listed::New,
            Some(State::Left { at, .. }) if *at < self.listed_at => Listed::New,
            Some(State::Left { .. }) => Listed::Left,
            Some(_) => Listed::Known,
        }
    }

    fn landing(&self, entry: Option<&Entry>) -> Option<(PlanId, &Landing)> {
        let State::InFlight { plan, .. } = &entry?.state else {
            return None;
        };
        self.landings.get(plan).map(|landing| (plan.clone(), landing))
    }

    fn verdict(
        &self,
        plan: PlanId,
        landing: &Landing,
        id: Option<&ObjectVersion>,
        judged: Vec<(PlanId, VerdictRow)>,
    ) -> Fact {
        let mut own = judged.into_iter().filter(|(of, _)| *of == plan).map(|(_, row)| row);
        // Several rows of one version, in several chunks: a failure is what has to be looked at.
        let Some(first) = own.next() else {
            if let Some(id) = id.filter(|_| landing.failures_only) {
                let prove = self.proves(id, landing.succeeded);
                return Fact::Judged { plan, ended: landing.at, failed: None, prove };
            }
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
    /// Bytes that the report of those that the plan has taken will have, about.
    pub report_bytes: u64,
    /// What becomes of versions that S3 has listed and the ledger does not have, since when they are
    /// listed, and the plan of the scan.
    pub take: Option<(Take, Timestamp, PlanId)>,
    /// Versions that were taken in so.
    pub taken: u64,
}

impl Marks {
    /// Applies the decision to one version. Says whether its row goes into the manifest.
    pub fn mark(&mut self, given: &Given<'_>, folded: Folded) -> (Option<Entry>, bool) {
        if let (Some(Listed::New), Some((take, at, plan)), Some(id)) =
            (folded.listed, &self.take, folded.id)
        {
            self.taken += 1;
            let plan = (*take == Take::Fly).then(|| plan.clone());
            let fact = Fact::Listed { id, at: *at, plan };
            return (given.apply(folded.entry, fact, &mut Vec::new()), false);
        }
        match folded.entry {
            Some(entry) => {
                let (entry, goes_up) = self.mark_entry(given, entry);
                (Some(entry), goes_up)
            }
            None => (None, false),
        }
    }

    fn mark_entry(&mut self, given: &Given<'_>, entry: Entry) -> (Entry, bool) {
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
        let texts = entry.id.key.manifest_len() + entry.id.version.as_str().len();
        let bytes = texts as u64 + REPORT_ROW_BYTES;
        if self.report_bytes > 0 && self.report_bytes + bytes > given.limits.job_report_bytes_max {
            // The rest waits for the next job.
            *left = 0;
            return (entry, false);
        }
        self.report_bytes += bytes;
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
