//! Deciding a launch: of what the head says and the survey saw, which circuits close and open, which
//! held rows go up as canaries, whether there is a plan and how many rows it may take, and what people
//! are told. One call, no side effect: the caller writes what is decided.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Room;
use crate::circuit::{Circuit, Fault, Probe};
use crate::entry::Cause;
use crate::fold::{Landing, Marks};
use crate::ledger::{Flight, Head};
use crate::limits::{Limits, PROBE_ROWS_MAX};
use crate::notice::{JobFinished, Notice, NoticeFact};
use crate::plan::PlanId;
use crate::run::ObjectVersion;
use crate::scan::{Scan, Scanning, Scans};
use crate::summary::{Ended, Settled};
use crate::survey::{Survey, earliest};
use crate::time::{Timestamp, days};

/// What a decision is made of.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Now, never less than the head's.
    pub now: Timestamp,
    /// The limits in force.
    pub limits: &'a Limits,
    /// The head as it was read.
    pub head: &'a Head,
    /// What the first fold saw.
    pub survey: &'a Survey,
    /// Jobs that ended since the last fold.
    pub settled: &'a BTreeMap<PlanId, Settled>,
    /// What the account has left.
    pub room: Room,
    /// The id that a plan would have.
    pub plan: PlanId,
    /// Whether the bucket is one to sweep when its time has come: enrolled, with something that replicates.
    pub sweeps: bool,
}

/// What is decided.
#[derive(Debug, Default)]
pub struct Decision {
    /// The circuits that stay open, and those that open.
    pub circuits: Vec<Circuit>,
    /// What the second fold does to the rows.
    pub marks: Marks,
    /// What people are told.
    pub notices: Vec<Notice>,
    /// Why nothing more is launched in this bucket, from now on.
    pub paused: Option<String>,
    /// What becomes of the scan.
    pub scanning: Scanning,
}

impl Asked<'_> {
    /// Decides.
    pub fn decide(&self) -> Decision {
        let paused = self.head.paused(self.now).map(str::to_owned);
        let scanning = self.scans(&[]).begin();
        let mut decision = Decision { paused, scanning, ..Decision::default() };
        let (mut circuits, closed) = self.tried(&mut decision.notices);
        self.open_causes(&mut circuits, &closed, &mut decision.notices);
        self.ended(&mut circuits, &mut decision);
        self.refused(&mut circuits, &mut decision);
        self.quarantined(&mut decision.notices);
        self.unread(&mut decision.notices);
        let causes = circuits.iter().filter_map(|circuit| circuit.cause().cloned());
        decision.marks.open = causes.collect();
        self.plan(&mut circuits, &mut decision);
        self.scan(&mut circuits, &mut decision);
        decision.circuits = circuits;
        decision
    }

    fn scans<'c>(&'c self, circuits: &'c [Circuit]) -> Scans<'c> {
        Scans {
            now: self.now,
            limits: self.limits,
            head: self.head,
            room: self.room,
            sweeps: self.sweeps,
            listed: self.survey.listed,
            circuits,
        }
    }

    /// Last of all, since what failed is more urgent than what nobody has missed yet.
    fn scan(&self, circuits: &mut [Circuit], decision: &mut Decision) {
        if self.head.launching.is_some() || decision.paused.is_some() {
            return;
        }
        let Decision { scanning, notices, marks, .. } = decision;
        let mut scans = self.scans(circuits);
        if let Some((_, rows)) = &marks.plan {
            scans.room = scans.room.less(rows + marks.canaries.len() as u64);
        }
        scans.decide(scanning, &self.plan, marks.plan.is_some(), notices);
        if scanning.begins {
            for circuit in circuits.iter_mut().filter(|c| c.cause().is_none() && c.is_due(self.now))
            {
                circuit.sent(self.plan.clone(), self.now);
            }
        }
        if let (Some(take), Some(scan)) = (scanning.take, &scanning.scan) {
            marks.take = Some((take, scan.at, scan.plan.clone()));
        }
    }

    fn notice(&self, since: Timestamp, fact: NoticeFact) -> Notice {
        Notice::new(&self.head.bucket, self.now, since, fact)
    }

    /// The circuits after what their canaries answered, and the causes that are repaired.
    fn tried(&self, notices: &mut Vec<Notice>) -> (Vec<Circuit>, BTreeSet<Cause>) {
        let (mut still, mut closed) = (Vec::new(), BTreeSet::new());
        for mut circuit in self.head.circuits.clone() {
            let Some(cause) = circuit.cause().cloned() else {
                // Its probe has ended in another way than by this fault: the next one is due soon. What
                // came of it by this fault, or that nothing did, is said in `ended`.
                if circuit.probe.as_ref().is_some_and(|plan| self.has_landed(plan)) {
                    circuit.replace(self.now);
                }
                still.push(circuit);
                continue;
            };
            let out = self.answers(&mut circuit, &cause);
            let held = self.survey.causes.get(&cause).map_or(0, |sample| sample.rows);
            match circuit.probe(out) {
                Probe::Healed => {
                    let (held_since, versions) = (circuit.opened, held + circuit.healed);
                    closed.insert(cause.clone());
                    let fact = NoticeFact::Repaired { cause, versions, held_since };
                    notices.push(self.notice(held_since, fact));
                    continue;
                }
                Probe::Failed => circuit.wait(self.now),
                Probe::Nothing => circuit.replace(self.now),
                Probe::Out => {}
                // Its rows have all gone another way.
                Probe::None if held == 0 => continue,
                Probe::None => {}
            }
            still.push(circuit);
        }
        (still, closed)
    }

    /// Whether a plan's job has ended, or was refused.
    fn has_landed(&self, plan: &PlanId) -> bool {
        let refused = |flight: &Flight| flight.refused.is_some();
        self.settled.contains_key(plan) || self.head.flights.get(plan).is_none_or(refused)
    }

    /// Counts the answers of a circuit's canary; gives how many are still out.
    fn answers(&self, circuit: &mut Circuit, cause: &Cause) -> u64 {
        let Some(plan) = circuit.probe.clone() else {
            return 0;
        };
        let at = (plan, cause.clone());
        let (healed, failed) = self.survey.answers.get(&at).copied().unwrap_or_default();
        circuit.healed += healed;
        circuit.failed += failed;
        self.survey.out.get(&at).copied().unwrap_or_default()
    }

    /// Opens a circuit for every held cause that has none. The rows of a cause that was just found
    /// repaired are still held in the survey; they go with the second fold.
    fn open_causes(
        &self,
        circuits: &mut Vec<Circuit>,
        closed: &BTreeSet<Cause>,
        notices: &mut Vec<Notice>,
    ) {
        for (cause, sample) in &self.survey.causes {
            let known = circuits.iter().any(|circuit| circuit.cause() == Some(cause));
            if known || closed.contains(cause) {
                continue;
            }
            circuits.push(Circuit::open(Fault::Cause(cause.clone()), self.now));
            let example = sample.some.values().next().map(|id| id.key.clone());
            let fact = NoticeFact::Held { cause: cause.clone(), versions: sample.rows, example };
            notices.push(self.notice(self.now, fact));
        }
    }

    /// What the jobs that ended mean for the bucket.
    fn ended(&self, circuits: &mut Vec<Circuit>, decision: &mut Decision) {
        for settled in self.settled.values() {
            let scan = decision.scanning.scan.clone().filter(|scan| scan.plan == settled.plan);
            if scan.is_some() {
                let Decision { scanning, notices, .. } = &mut *decision;
                if self.scans(&[]).ended(scanning, Some(settled), notices) {
                    circuits.retain(|circuit| circuit.cause().is_some());
                    continue;
                }
            }
            if settled.ended != Ended::Lost {
                decision.notices.push(self.finished(settled, scan.as_ref()));
            }
            let declined =
                scan.as_ref().is_some_and(|scan| scan.is_declined(settled.ended, self.limits));
            match settled.ended {
                Ended::Complete => circuits.retain(|circuit| circuit.cause().is_some()),
                Ended::Failed | Ended::Cancelled if declined => {}
                Ended::Failed => {
                    let code = settled.code.clone().unwrap_or_else(|| "Unknown".into());
                    self.trip(circuits, Fault::Job(code));
                }
                Ended::Cancelled => {
                    let why = settled.why.clone().unwrap_or_default();
                    let job = settled.job.clone();
                    decision.paused = Some(format!("job {job} was cancelled: {why}"));
                    let fact = NoticeFact::Paused { job, why };
                    decision.notices.push(self.notice(settled.at, fact));
                }
                Ended::Lost => {
                    let (job, plan) = (settled.job.clone(), settled.plan.clone());
                    let fact = NoticeFact::JobLost { job, plan };
                    decision.notices.push(self.notice(settled.at, fact));
                }
            }
        }
    }

    /// What the jobs that S3 refused mean for the bucket.
    fn refused(&self, circuits: &mut Vec<Circuit>, decision: &mut Decision) {
        for (plan, flight) in &self.head.flights {
            let Some((code, message)) = &flight.refused else { continue };
            if decision.scanning.scan.as_ref().is_some_and(|scan| scan.plan == *plan) {
                let Decision { scanning, notices, .. } = &mut *decision;
                self.scans(&[]).ended(scanning, None, notices);
            }
            self.trip(circuits, Fault::Launch(code.clone()));
            let (code, message) = (code.clone(), message.clone());
            let fact = NoticeFact::JobRefused { plan: plan.clone(), code, message };
            decision.notices.push(self.notice(flight.at, fact));
        }
    }

    /// Opens a circuit that holds launches, or lets one that is open wait longer.
    fn trip(&self, circuits: &mut Vec<Circuit>, fault: Fault) {
        match circuits.iter_mut().find(|circuit| circuit.fault == fault) {
            Some(circuit) => circuit.wait(self.now),
            None => circuits.push(Circuit::open(fault, self.now)),
        }
    }

    fn finished(&self, settled: &Settled, scan: Option<&Scan>) -> Notice {
        let flight = self.head.flights.get(&settled.plan);
        let rows = flight.map_or(0, |flight| flight.rows);
        let succeeded = match flight {
            Some(flight) => Landing::of(settled, flight, scan).succeeded,
            None => settled.succeeded,
        };
        let fact = NoticeFact::JobFinished(JobFinished {
            job: settled.job.clone(),
            plan: settled.plan.clone(),
            status: settled.ended.as_str().to_owned(),
            rows,
            succeeded,
            proved: self.survey.proved.get(&settled.plan).copied().unwrap_or_default(),
            failed: settled.failed.clone(),
            unreadable: settled.unreadable,
            why: settled.why.clone(),
            micro_usd: flight.map_or(0, Flight::micro_usd),
        });
        self.notice(settled.at, fact)
    }

    fn quarantined(&self, notices: &mut Vec<Notice>) {
        for (reason, (versions, example)) in &self.survey.quarantined {
            let (reason, versions) = (reason.clone(), *versions);
            let fact = NoticeFact::Quarantined { reason, versions, example: example.clone() };
            notices.push(self.notice(self.now, fact));
        }
    }

    /// Told once a day.
    fn unread(&self, notices: &mut Vec<Notice>) {
        let (versions, example) = self.survey.unread.clone();
        if versions > 0 {
            let fact = NoticeFact::StatusUnread { versions, example };
            notices.push(self.notice(self.today(), fact));
        }
    }

    fn today(&self) -> Timestamp {
        Timestamp(self.now.0 - self.now.0 % days(1))
    }

    fn plan(&self, circuits: &mut [Circuit], decision: &mut Decision) {
        let scan = decision.scanning.scan.as_ref();
        let busy = self.head.launching.is_some()
            || decision.paused.is_some()
            || scan.is_some_and(|scan| scan.excludes(circuits, self.limits, &self.room));
        if busy || circuits.iter().any(|circuit| circuit.holds_launches(self.now)) {
            return;
        }
        let probe = circuits.iter().any(|circuit| circuit.cause().is_none());
        let due = self.canaries(circuits);
        let released = self.survey.released(&decision.marks.open);
        let rows = self.survey.due_rows + released;
        let waited = self.survey.first_due.is_some_and(|due| self.waited(due));
        let many = rows >= self.limits.launch_rows_min;
        if due.is_empty() && released == 0 && !many && !(waited && rows > 0) {
            return;
        }
        if let Some(limit) = self.room.met {
            self.no_room(limit, rows, decision);
            return;
        }
        // More causes than a job has rows: the later ones stay due.
        let mut room = self.room.rows;
        for (circuit, canaries) in due {
            let canaries = canaries.into_iter().take(usize::try_from(room).unwrap_or(usize::MAX));
            let canaries: Vec<_> = canaries.collect();
            // A version that fails for several causes is the canary of each.
            if !canaries.is_empty() {
                circuit.sent(self.plan.clone(), self.now);
            }
            let before = decision.marks.canaries.len();
            decision.marks.canaries.extend(canaries);
            room -= (decision.marks.canaries.len() - before) as u64;
        }
        if probe {
            room = room.min(PROBE_ROWS_MAX.saturating_sub(decision.marks.canaries.len() as u64));
        }
        decision.marks.plan = Some((self.plan.clone(), room.min(rows)));
        for circuit in circuits.iter_mut().filter(|c| c.cause().is_none() && c.is_due(self.now)) {
            circuit.sent(self.plan.clone(), self.now);
        }
    }

    /// Whether a row that may go since `due` has waited for company long enough.
    fn waited(&self, due: Timestamp) -> bool {
        due.plus_ms(self.limits.launch_wait_ms()) <= self.now
    }

    /// The circuits that are due for a probe, and the held rows to try each with.
    fn canaries<'c>(
        &self,
        circuits: &'c mut [Circuit],
    ) -> Vec<(&'c mut Circuit, Vec<ObjectVersion>)> {
        let due = circuits.iter_mut().filter(|circuit| circuit.is_due(self.now));
        let samples = due.filter_map(|circuit| {
            let sample = self.survey.causes.get(circuit.cause()?)?;
            Some((circuit, sample.some.values().cloned().collect()))
        });
        samples.collect()
    }

    /// Being out of slots passes by itself within the hour; being out of budget is told once a day.
    fn no_room(&self, limit: &str, rows: u64, decision: &mut Decision) {
        if limit != "slots" {
            let fact = NoticeFact::BudgetSpent { limit: limit.to_owned(), rows };
            decision.notices.push(self.notice(self.today(), fact));
        }
    }
}

/// When a bucket with these circuits and these rows, as the second fold left them, has to be looked
/// at even if nothing new comes.
pub fn next_due(
    now: Timestamp,
    limits: &Limits,
    circuits: &[Circuit],
    after: &Survey,
) -> Option<Timestamp> {
    let mut next = after.first_look;
    // While a job that is a probe has not ended, its end is what wakes the bucket.
    let probed =
        circuits.iter().any(|circuit| circuit.cause().is_none() && circuit.probe.is_some());
    if let Some(due) = after.first_due.filter(|_| !probed) {
        let blocked = circuits.iter().filter(|circuit| circuit.holds_launches(now));
        let from = blocked.map(Circuit::due_at).max().unwrap_or_default();
        let due = due.plus_ms(limits.launch_wait_ms()).max(from);
        next = earliest(next, due);
    }
    for circuit in circuits.iter().filter(|c| c.cause().is_some() && c.probe.is_none()) {
        next = earliest(next, circuit.due_at());
    }
    next
}
