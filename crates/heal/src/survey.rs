//! A survey: what a fold saw, in numbers and small samples, enough to decide what to launch. It
//! keeps no rows but the few that will be looked at or sent as canaries.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{Cause, Entry, Outcome, State};
use crate::fold::{Folded, Listed, spread};
use crate::key::Key;
use crate::ledger::{Counts, Totals};
use crate::limits::UNREAD_LOOKS;
use crate::plan::PlanId;
use crate::reason::Reason;
use crate::run::ObjectVersion;
use crate::time::Timestamp;
use crate::transition::{Effect, Given, Status};

/// What was seen.
#[derive(Debug, Default)]
pub struct Survey {
    /// Rows by state.
    pub counts: Counts,
    /// What came and went in this fold.
    pub totals: Totals,
    /// Waiting rows that may go now.
    pub due_rows: u64,
    /// When the first waiting row may go.
    pub first_due: Option<Timestamp>,
    /// When the first confirming row is to be looked at.
    pub first_look: Option<Timestamp>,
    /// When the first of the unhealed versions failed.
    pub oldest_unhealed: Option<Timestamp>,
    /// Held rows by the set of their causes.
    pub held: BTreeMap<Vec<Cause>, u64>,
    /// Held causes, with a sample of their rows.
    pub causes: BTreeMap<Cause, Sample>,
    /// Canaries without an answer yet, by plan and cause.
    pub out: BTreeMap<(PlanId, Cause), u64>,
    /// Canaries that answered in this fold, by plan and cause: healed, failed as before.
    pub answers: BTreeMap<(PlanId, Cause), (u64, u64)>,
    /// Rows that were proved in this fold, by plan.
    pub proved: BTreeMap<PlanId, u64>,
    /// Rows put into quarantine in this fold: how many, and one key.
    pub quarantined: BTreeMap<Reason, (u64, Option<Key>)>,
    /// Entries whose status is to be read before the decision.
    pub looks: Vec<Entry>,
    /// Rows whose status was asked for in vain, again: how many, and one key.
    pub unread: (u64, Option<Key>),
    /// Rows in flight, by plan.
    pub flying: BTreeMap<PlanId, u64>,
    /// Whether any row changed.
    pub changed: bool,
    /// Versions that S3 has listed for the scan: those that the ledger does not have, and those that
    /// it has.
    pub listed: (u64, u64),
}

/// The held rows of one cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many there are.
    pub rows: u64,
    /// A few of them: those with the fewest causes first, then spread evenly.
    pub some: BTreeMap<(usize, u64), ObjectVersion>,
}

impl Survey {
    /// Takes in a folded version. `turn` says how often a cause was probed, so that each canary is
    /// made of other rows.
    pub fn take(
        &mut self,
        given: &Given<'_>,
        folded: Folded,
        effects: &[Effect],
        turn: &dyn Fn(&Cause) -> u32,
    ) {
        match folded.listed {
            Some(Listed::New) => self.listed.0 += 1,
            // One that left may come back any time, and then must not be in the scan's job.
            Some(Listed::Known | Listed::Left) => self.listed.1 += 1,
            None => {}
        }
        let entry = folded.entry;
        for effect in effects {
            self.effect(effect, entry.as_ref());
        }
        let Some(entry) = entry else { return };
        let due =
            matches!(&entry.state, State::Confirming { look_at, .. } if *look_at <= given.now);
        if due && self.looks.len() < given.limits.looks_per_tick {
            self.looks.push(entry);
        } else {
            self.see(given, &entry, turn);
        }
    }

    /// Takes in the statuses of [`Survey::looks`], in their order, and gives them as rows for the
    /// second fold.
    pub fn looked(
        &mut self,
        given: &Given<'_>,
        statuses: Vec<Status>,
        turn: &dyn Fn(&Cause) -> u32,
    ) -> Vec<(ObjectVersion, Status)> {
        let mut seen = Vec::new();
        for (entry, status) in std::mem::take(&mut self.looks).into_iter().zip(statuses) {
            let looks = match entry.state {
                State::Confirming { looks, .. } => looks,
                _ => 0,
            };
            if status == Status::Unread && looks >= UNREAD_LOOKS {
                self.unread.0 += 1;
                self.unread.1.get_or_insert_with(|| entry.id.key.clone());
            }
            seen.push((entry.id.clone(), status));
            let mut effects = Vec::new();
            let entry =
                given.apply(Some(entry), crate::transition::Fact::Seen(status), &mut effects);
            for effect in &effects {
                self.effect(effect, entry.as_ref());
            }
            if let Some(entry) = entry {
                self.see(given, &entry, turn);
            }
            self.changed = true;
        }
        seen
    }

    /// Counts one row as it stands.
    pub fn see(&mut self, given: &Given<'_>, entry: &Entry, turn: &dyn Fn(&Cause) -> u32) {
        self.counts.count(entry);
        if entry.is_unhealed() {
            self.oldest_unhealed = earliest(self.oldest_unhealed, entry.first_seen);
        }
        match &entry.state {
            State::Waiting { not_before } => {
                self.due_rows += u64::from(*not_before <= given.now);
                self.first_due = earliest(self.first_due, *not_before);
            }
            State::InFlight { plan, canary, .. } => {
                *self.flying.entry(plan.clone()).or_default() += 1;
                if *canary {
                    self.still_out(plan, entry);
                }
            }
            State::Confirming { plan, look_at, looks } => {
                self.first_look = earliest(self.first_look, *look_at);
                // One that does not answer must not keep the others' answers from counting.
                if let Some(plan) = plan.as_ref().filter(|_| *looks < UNREAD_LOOKS) {
                    self.still_out(plan, entry);
                }
            }
            State::Held => self.hold(given, entry, turn),
            State::Quarantined { .. } | State::Left { .. } => {}
        }
    }

    fn still_out(&mut self, plan: &PlanId, entry: &Entry) {
        for cause in entry.causes() {
            *self.out.entry((plan.clone(), cause)).or_default() += 1;
        }
    }

    fn hold(&mut self, given: &Given<'_>, entry: &Entry, turn: &dyn Fn(&Cause) -> u32) {
        let causes = entry.causes();
        for cause in &causes {
            let place = (causes.len(), spread(&entry.id, turn(cause)));
            let sample = self.causes.entry(cause.clone()).or_default();
            sample.rows += 1;
            sample.some.insert(place, entry.id.clone());
            if sample.some.len() > given.limits.canary_rows {
                sample.some.pop_last();
            }
        }
        *self.held.entry(causes).or_default() += 1;
    }

    fn effect(&mut self, effect: &Effect, entry: Option<&Entry>) {
        self.changed |= *effect == Effect::Changed;
        self.totals.count(effect);
        match effect {
            Effect::Quarantined(reason) => {
                let slot = self.quarantined.entry(reason.clone()).or_default();
                slot.0 += 1;
                slot.1 = slot.1.take().or_else(|| entry.map(|entry| entry.id.key.clone()));
            }
            Effect::Failed { plan: Some(plan), tried, causes } => {
                for cause in tried {
                    let same = causes.iter().any(|now| now.reason == cause.reason);
                    let slot = self.answers.entry((plan.clone(), cause.clone())).or_default();
                    slot.1 += u64::from(same);
                }
            }
            Effect::Left { outcome, plan: Some(plan), tried } if *outcome != Outcome::Gone => {
                for cause in tried {
                    self.answers.entry((plan.clone(), cause.clone())).or_default().0 += 1;
                }
                if *outcome == Outcome::Healed {
                    *self.proved.entry(plan.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// Held rows that no open circuit keeps back.
    pub fn released(&self, open: &BTreeSet<Cause>) -> u64 {
        let free =
            self.held.iter().filter(|(set, _)| !set.iter().any(|cause| open.contains(cause)));
        free.map(|(_, rows)| rows).sum()
    }
}

/// The earlier of a time and another that may not be known.
pub(crate) fn earliest(known: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(other, |known| known.min(other)))
}
