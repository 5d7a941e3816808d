//! A circuit: one thing that stands in the way of many versions, and how it is tried. While it is
//! open its versions are held and nothing is retried blindly; now and then a canary of a few rows
//! goes up, and when one of them heals the circuit closes and lets the rest go.

use serde::{Deserialize, Serialize};

use crate::entry::Cause;
use crate::limits::{EARLY_PROBE_PAUSES_MS, PROBE_CADENCE_MS, cadence};
use crate::plan::PlanId;
use crate::time::Timestamp;

/// What a circuit is open for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Versions fail for a cause that a person has to repair. Holds those versions.
    Cause(Cause),
    /// S3 refuses to start our jobs, with this code. Holds every launch of the bucket.
    Launch(String),
    /// Our jobs fail as a whole, with this code. Holds every launch of the bucket.
    Job(String),
}

/// An open circuit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// What it is open for.
    pub fault: Fault,
    /// Since when.
    pub opened: Timestamp,
    /// Canaries sent so far.
    pub probes: u32,
    /// No canary before this.
    pub next_probe: Timestamp,
    /// The plan that carries the canary that is out.
    pub probe: Option<PlanId>,
    /// Rows of that canary that healed.
    pub healed: u64,
    /// Rows of that canary that failed with this very cause.
    pub failed: u64,
    /// What changes that may be the repair have done to the cadence.
    #[serde(default)]
    pub hurry: Hurry,
}

/// Canaries ahead of their turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hurry {
    /// When a change was seen that no canary has tried yet.
    pub seen: Option<Timestamp>,
    /// When the last canary went up, whichever it was: it has tried all changes up to then.
    pub tried: Option<Timestamp>,
    /// When the last one ahead of its turn went up.
    pub last: Option<Timestamp>,
    /// How many were ahead of their turn.
    pub sent: u32,
    /// The canary that is out is one of them.
    pub out: bool,
}

/// What has come of the canary that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// None is out.
    None,
    /// Rows of it are still in flight or being confirmed.
    Out,
    /// It healed: the circuit closes.
    Healed,
    /// It failed as before: wait for the next turn.
    Failed,
    /// It proved nothing: its rows were gone, or failed of something else.
    Nothing,
}

impl Circuit {
    /// A circuit that opens now; its first canary goes up after the first pause.
    pub fn open(fault: Fault, now: Timestamp) -> Self {
        Self {
            fault,
            opened: now,
            probes: 0,
            next_probe: now.plus_ms(cadence(&PROBE_CADENCE_MS, 0)),
            probe: None,
            healed: 0,
            failed: 0,
            hurry: Hurry::default(),
        }
    }

    /// The cause, if the circuit holds versions.
    pub fn cause(&self) -> Option<&Cause> {
        match &self.fault {
            Fault::Cause(cause) => Some(cause),
            Fault::Launch(_) | Fault::Job(_) => None,
        }
    }

    /// Whether every launch of the bucket waits for it: until the next probe is due, and while the job
    /// that is the probe has not ended.
    pub fn holds_launches(&self, now: Timestamp) -> bool {
        self.cause().is_none() && (self.probe.is_some() || self.due_at() > now)
    }

    /// Whether a canary is to go up.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.probe.is_none() && self.due_at() <= now
    }

    /// When the next canary is due: in its turn, or sooner if a change was seen.
    pub fn due_at(&self) -> Timestamp {
        let Some(seen) = self.hurry.seen else { return self.next_probe };
        let rested = self.hurry.last.map(|last| {
            last.plus_ms(cadence(&EARLY_PROBE_PAUSES_MS, self.hurry.sent.saturating_sub(1)))
        });
        rested.map_or(seen, |rested| rested.max(seen)).min(self.next_probe)
    }

    /// A change was seen that may be the repair; it came about at `at`. Says whether that is news: it is
    /// not if a canary has gone up since, or will for a change that was seen before.
    pub fn saw_change(&mut self, at: Timestamp, now: Timestamp) -> bool {
        let tried = self.hurry.tried.is_some_and(|tried| at <= tried);
        if tried || self.hurry.seen.is_some() {
            return false;
        }
        self.hurry.seen = Some(now);
        true
    }

    /// A canary went up in `plan`.
    pub fn sent(&mut self, plan: PlanId, now: Timestamp) {
        self.hurry.out = self.next_probe > now;
        if self.hurry.out {
            self.hurry.last = Some(now);
            self.hurry.sent += 1;
        }
        (self.hurry.tried, self.hurry.seen) = (Some(now), None);
        self.probe = Some(plan);
        self.probes += 1;
        self.healed = 0;
        self.failed = 0;
    }

    /// What has come of the canary, `out` of whose rows have no answer yet.
    pub fn probe(&self, out: u64) -> Probe {
        match &self.probe {
            None => Probe::None,
            Some(_) if self.failed > 0 => Probe::Failed,
            Some(_) if out > 0 => Probe::Out,
            Some(_) if self.healed > 0 => Probe::Healed,
            Some(_) => Probe::Nothing,
        }
    }

    /// The canary is done with and the cause stands: the next one goes up a longer pause later. One that
    /// went up ahead of its turn makes the next one no later than it would have been.
    pub fn wait(&mut self, now: Timestamp) {
        self.probe = None;
        let turns = self.probes.saturating_sub(self.hurry.sent);
        self.next_probe = if std::mem::take(&mut self.hurry.out) {
            self.next_probe.max(now.plus_ms(cadence(&PROBE_CADENCE_MS, 0)))
        } else {
            now.plus_ms(cadence(&PROBE_CADENCE_MS, turns))
        };
    }

    /// The canary proved nothing: another, of other rows, goes up after the shortest pause.
    pub fn replace(&mut self, now: Timestamp) {
        self.probe = None;
        self.hurry.out = false;
        self.next_probe = now.plus_ms(cadence(&PROBE_CADENCE_MS, 0));
    }
}
