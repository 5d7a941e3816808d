//! The life of an object version: what each fact makes of each state. The table is total. A fact that
//! means nothing in a state changes nothing there, so that a repeat, a late arrival and another order
//! come to the same end.
//!
//! It does not choose: which rows fly and which circuits are open is decided in [`crate::plan`] and
//! arrives here as facts.

use crate::entry::{Blame, Cause, Entry, Outcome, State};
use crate::limits::{CONFIRM_CADENCE_MS, Limits, RETRY_CADENCE_MS, cadence};
use crate::plan::PlanId;
use crate::reason::{Class, Reason};
use crate::run::ObjectVersion;
use crate::segment::{FailureRow, Said};
use crate::time::Timestamp;

/// What S3 says of a version's replication (`x-amz-replication-status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// COMPLETED, or REPLICA: every destination has it.
    Completed,
    /// PENDING.
    Pending,
    /// FAILED.
    Failed,
    /// No status: no rule applies to it.
    Absent,
    /// The version no longer exists.
    Gone,
    /// It could not be read.
    Unread,
    /// S3 calls the question itself wrong (400, 405), and will for ever if the version is a delete marker
    /// or only its customer's key opens it.
    Unreadable,
}

impl Status {
    /// The status that a version's header says; S3 also knew `COMPLETE` for COMPLETED.
    pub fn of_header(status: Option<&str>) -> Self {
        match status {
            None => Self::Absent,
            Some("COMPLETED" | "COMPLETE" | "REPLICA") => Self::Completed,
            Some("PENDING") => Self::Pending,
            Some("FAILED") => Self::Failed,
            Some(_) => Self::Unread,
        }
    }
}

/// One thing that is known about one object version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An event told of it.
    Told(FailureRow),
    /// Its job's report has a row for it.
    Judged {
        /// The plan of the job.
        plan: PlanId,
        /// When the job ended.
        ended: Timestamp,
        /// `None` is *succeeded*.
        failed: Option<Reason>,
        /// The version's own status has to be read before *succeeded* is believed.
        prove: bool,
    },
    /// Its job ended and no report has a row for it.
    Unreported {
        /// The plan of the job.
        plan: PlanId,
        /// The job is Complete: only its report is missing, or this row of it.
        complete: bool,
    },
    /// Its replication status was read.
    Seen(Status),
    /// No circuit holds it any longer.
    Released,
    /// It goes into this plan's manifest.
    Launched {
        /// The plan.
        plan: PlanId,
        /// It is there to try a held cause.
        canary: bool,
    },
    /// S3 has listed it for a scan, and the ledger does not have it.
    Listed {
        /// Which version.
        id: ObjectVersion,
        /// Since when it is listed.
        at: Timestamp,
        /// The plan of the scan, if the scan's own job takes it.
        plan: Option<PlanId>,
    },
    /// Time passes.
    Aged,
}

/// What came of a fact, for whoever counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A version came in, new or again after it had left.
    Collected,
    /// An event that was known, or older than what is known.
    Duplicate,
    /// A version was put into quarantine.
    Quarantined(Reason),
    /// A job attempt failed.
    Failed {
        /// The plan of the job.
        plan: Option<PlanId>,
        /// What the version was held for when it went up.
        tried: Vec<Cause>,
        /// What it is held for now.
        causes: Vec<Cause>,
    },
    /// A version left.
    Left {
        /// How.
        outcome: Outcome,
        /// The plan of the job that did it, if one did.
        plan: Option<PlanId>,
        /// What it was held for when it went up.
        tried: Vec<Cause>,
    },
    /// A row that its job never reached came back.
    Returned,
    /// The row is not what the ledger has: what was folded must not be deleted before it is written.
    Changed,
}

/// What time it is and what the limits are.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Now.
    pub now: Timestamp,
    /// The limits in force.
    pub limits: &'a Limits,
}

impl Given<'_> {
    /// Applies one fact to a version's entry, `None` being a version that nobody knows.
    pub fn apply(
        &self,
        entry: Option<Entry>,
        fact: Fact,
        effects: &mut Vec<Effect>,
    ) -> Option<Entry> {
        match (entry, fact) {
            (entry, Fact::Told(row)) => Some(self.told(entry, row, effects)),
            (entry, Fact::Listed { id, at, plan }) => {
                Some(self.listed(entry, id, at, plan, effects))
            }
            (None, _) => None,
            (Some(entry), Fact::Judged { plan, ended, failed, prove }) => {
                Some(self.judged(entry, &plan, ended, failed, prove, effects))
            }
            (Some(entry), Fact::Unreported { plan, complete }) => {
                Some(self.unreported(entry, &plan, complete, effects))
            }
            (Some(entry), Fact::Seen(status)) => Some(self.seen(entry, status, effects)),
            (Some(entry), Fact::Released) => Some(released(entry)),
            (Some(entry), Fact::Launched { plan, canary }) => {
                Some(self.launched(entry, plan, canary))
            }
            (Some(entry), Fact::Aged) => self.aged(entry),
        }
    }

    fn told(&self, entry: Option<Entry>, row: FailureRow, effects: &mut Vec<Effect>) -> Entry {
        let FailureRow { id, said, blame } = row;
        let Some(mut entry) = entry else {
            effects.push(Effect::Collected);
            return self.arrived(Entry::new(id, blame.at), said, &blame, effects);
        };
        match entry.state {
            State::Left { at, .. } if blame.at > at => {
                effects.push(Effect::Collected);
                entry.blames.clear();
                entry.first_seen = blame.at;
                if blame.at <= entry.judged {
                    return self.doubted(entry, said, &blame);
                }
                self.arrived(entry, said, &blame, effects)
            }
            State::Left { .. } => {
                effects.push(Effect::Duplicate);
                entry
            }
            _ if said == Said::NotTracked || blame.at <= entry.judged => {
                effects.push(Effect::Duplicate);
                entry
            }
            _ => self.blamed(entry, &blame, effects),
        }
    }

    /// A version that a scan brings in, new or back after it had left.
    fn listed(
        &self,
        entry: Option<Entry>,
        id: ObjectVersion,
        at: Timestamp,
        plan: Option<PlanId>,
        effects: &mut Vec<Effect>,
    ) -> Entry {
        let mut entry = entry.unwrap_or_else(|| {
            let left = State::Left { outcome: Outcome::Unproved, at: Timestamp::default() };
            Entry { state: left, ..Entry::new(id, at) }
        });
        if !matches!(entry.state, State::Left { at: left, .. } if left < at) {
            return entry;
        }
        effects.push(Effect::Collected);
        entry.blames.clear();
        entry.first_seen = at;
        entry.last_failure = entry.last_failure.max(at);
        entry.state = match plan {
            Some(plan) => State::InFlight { plan, since: self.now, canary: false },
            None => State::Waiting { not_before: at },
        };
        entry
    }

    /// A version that is new here, or is back after it had left: with the attempts it had.
    fn arrived(
        &self,
        mut entry: Entry,
        said: Said,
        blame: &Blame,
        effects: &mut Vec<Effect>,
    ) -> Entry {
        entry.last_failure = entry.last_failure.max(blame.at);
        match said {
            Said::NotTracked => {
                entry.state = State::Confirming { plan: None, look_at: self.now, looks: 0 };
                entry
            }
            Said::Failed => {
                entry.blame(blame);
                self.sorted(entry, effects)
            }
        }
    }

    /// A version that left on the word of a report, and of whose job a failure is told late: its status
    /// decides.
    fn doubted(&self, mut entry: Entry, said: Said, blame: &Blame) -> Entry {
        entry.last_failure = entry.last_failure.max(blame.at);
        if said == Said::Failed {
            entry.blame(blame);
        }
        entry.state = State::Confirming { plan: None, look_at: self.now, looks: 0 };
        entry
    }

    /// One more failure of a version that is here: time and reason change, never attempts.
    fn blamed(&self, mut entry: Entry, blame: &Blame, effects: &mut Vec<Effect>) -> Entry {
        if !entry.blame(blame) {
            effects.push(Effect::Duplicate);
            return entry;
        }
        entry.last_failure = entry.last_failure.max(blame.at);
        match &mut entry.state {
            State::Waiting { not_before } => {
                let not_before = *not_before;
                let mut entry = self.sorted(entry, effects);
                if let State::Waiting { not_before: later } = &mut entry.state {
                    *later = not_before;
                }
                entry
            }
            State::Confirming { look_at, .. } => {
                *look_at = self.now.min(*look_at);
                entry
            }
            _ => entry,
        }
    }

    fn judged(
        &self,
        mut entry: Entry,
        of: &PlanId,
        ended: Timestamp,
        failed: Option<Reason>,
        prove: bool,
        effects: &mut Vec<Effect>,
    ) -> Entry {
        let State::InFlight { plan, since, canary } = entry.state.clone() else {
            return entry;
        };
        if plan != *of {
            return entry;
        }
        let tried = entry.causes();
        entry.judged = ended;
        let echoes = entry.blames.iter().any(|blame| blame.at >= since);
        let done = failed.as_ref().is_some_and(|reason| reason.class() == Class::Done);
        if done {
            // It had healed before, and proves nothing about what it was held for.
            entry.blames.retain(|blame| blame.at >= since);
        }
        let (failed, tried) = if done { (None, Vec::new()) } else { (failed, tried) };
        let Some(reason) = failed else {
            entry.attempts += 1;
            if prove || echoes {
                entry.state = State::Confirming { plan: Some(plan), look_at: self.now, looks: 0 };
                return entry;
            }
            // *Succeeded* may mean begun: a failure since its launch, told late, is not old news.
            return left(entry, Outcome::Unproved, since, Some(plan), tried, effects);
        };
        let own = tried.iter().any(|cause| cause.reason == reason);
        if !(canary && own) {
            entry.attempts += 1;
        }
        entry.blames.retain(|blame| blame.at >= since || blame.reason == reason);
        if !entry.blames.iter().any(|blame| blame.reason == reason) {
            entry.blame(&Blame { reason, destination: None, at: ended });
        }
        self.failed_again(entry, Some(plan), tried, effects)
    }

    fn failed_again(
        &self,
        mut entry: Entry,
        plan: Option<PlanId>,
        tried: Vec<Cause>,
        effects: &mut Vec<Effect>,
    ) -> Entry {
        if entry.blames.iter().any(|blame| blame.reason.class() == Class::Gone) {
            let at = entry.judged;
            return left(entry, Outcome::Gone, at, plan, tried, effects);
        }
        entry = self.sorted(entry, effects);
        effects.push(Effect::Failed { plan, tried, causes: entry.causes() });
        entry
    }

    fn unreported(
        &self,
        mut entry: Entry,
        of: &PlanId,
        complete: bool,
        effects: &mut Vec<Effect>,
    ) -> Entry {
        let State::InFlight { plan, .. } = &entry.state else {
            return entry;
        };
        if plan != of {
            return entry;
        }
        if complete {
            // It was tried; what of it failed, only its status tells.
            entry.attempts += 1;
            let plan = Some(plan.clone());
            entry.state = State::Confirming { plan, look_at: self.now, looks: 0 };
            return entry;
        }
        effects.push(Effect::Returned);
        let mut entry = self.sorted(entry, effects);
        if let State::Waiting { not_before } = &mut entry.state {
            *not_before = self.now;
        }
        entry
    }

    fn seen(&self, mut entry: Entry, status: Status, effects: &mut Vec<Effect>) -> Entry {
        let State::Confirming { plan, looks, .. } = entry.state.clone() else {
            return entry;
        };
        let tried = entry.causes();
        // Up to then failures are known; a younger one that is still on its way is news.
        let told = entry.judged.max(entry.last_failure);
        match status {
            Status::Completed => left(entry, Outcome::Healed, self.now, plan, tried, effects),
            Status::Gone => left(entry, Outcome::Gone, self.now, plan, tried, effects),
            Status::Absent => left(entry, Outcome::Unproved, told, plan, tried, effects),
            Status::Pending | Status::Unread | Status::Unreadable => {
                // What may yet be read proves nothing, however long.
                if status != Status::Unread && looks as usize >= CONFIRM_CADENCE_MS.len() {
                    return left(entry, Outcome::Unproved, told, plan, tried, effects);
                }
                let look_at = self.now.plus_ms(cadence(&CONFIRM_CADENCE_MS, looks));
                entry.state = State::Confirming { plan, look_at, looks: looks.saturating_add(1) };
                entry
            }
            Status::Failed => {
                entry.judged = entry.judged.max(entry.last_failure);
                if entry.blames.is_empty() {
                    let reason = Reason::unspecified();
                    entry.blame(&Blame { reason, destination: None, at: self.now });
                }
                self.failed_again(entry, plan, tried, effects)
            }
        }
    }

    fn launched(&self, mut entry: Entry, plan: PlanId, canary: bool) -> Entry {
        if matches!(entry.state, State::Waiting { .. } | State::Held) {
            entry.state = State::InFlight { plan, since: self.now, canary };
        }
        entry
    }

    fn aged(&self, entry: Entry) -> Option<Entry> {
        match entry.state {
            State::Left { at, .. } if self.now.since(at) > crate::limits::TOMBSTONE_MS => None,
            _ => Some(entry),
        }
    }

    /// Puts a failed version where its blames send it.
    fn sorted(&self, mut entry: Entry, effects: &mut Vec<Effect>) -> Entry {
        let worst = entry.blames.iter().map(|b| (self.place(&entry, &b.reason), &b.reason)).min();
        let (place, reason) = match worst {
            Some((place, reason)) => (place, reason.clone()),
            None => (Place::Retry, Reason::unspecified()),
        };
        match place {
            Place::Leave => {
                let at = entry.last_failure;
                return left(entry, Outcome::Gone, at, None, Vec::new(), effects);
            }
            Place::Quarantine => {
                effects.push(Effect::Quarantined(reason));
                entry.state = State::Quarantined { since: self.now };
            }
            Place::Hold => entry.state = State::Held,
            Place::Look => {
                entry.state = State::Confirming { plan: None, look_at: self.now, looks: 0 };
            }
            Place::Retry => {
                let not_before = match entry.attempts {
                    0 => entry.last_failure,
                    n => self.now.plus_ms(cadence(&RETRY_CADENCE_MS, n - 1)),
                };
                entry.state = State::Waiting { not_before };
            }
        }
        entry
    }

    fn place(&self, entry: &Entry, reason: &Reason) -> Place {
        let spent = entry.attempts >= self.limits.attempts_max;
        match reason.class() {
            Class::Gone => Place::Leave,
            Class::Stuck => Place::Quarantine,
            Class::Done => Place::Look,
            _ if spent => Place::Quarantine,
            Class::Fix => Place::Hold,
            Class::Race if entry.attempts < RACE_ATTEMPTS => Place::Retry,
            Class::Race if *reason == Reason::replication_config_missing() => Place::Hold,
            Class::Race => Place::Quarantine,
            Class::Unknown => Place::Retry,
        }
    }
}

/// Attempts after which a reason that usually passes is taken at its word.
const RACE_ATTEMPTS: u32 = 3;

/// Where a blame sends its version. Of several blames the first in this order decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Leave,
    Quarantine,
    Hold,
    Look,
    Retry,
}

fn left(
    mut entry: Entry,
    outcome: Outcome,
    at: Timestamp,
    plan: Option<PlanId>,
    tried: Vec<Cause>,
    effects: &mut Vec<Effect>,
) -> Entry {
    effects.push(Effect::Left { outcome, plan, tried });
    entry.blames.clear();
    entry.state = State::Left { outcome, at };
    entry
}

/// A version that no circuit holds any longer has waited long enough. What it was held for is
/// repaired, so the blames go, and an event of then that is delivered again is old news: either would
/// hold it again.
fn released(mut entry: Entry) -> Entry {
    if entry.state == State::Held {
        entry.blames.clear();
        entry.judged = entry.judged.max(entry.last_failure);
        entry.state = State::Waiting { not_before: entry.last_failure };
    }
    entry
}

#[cfg(test)]
#[path = "transition/tests.rs"]
mod tests;
