//! A scan: a job whose manifest S3 makes, for a sweep over what failed or for a backfill. S3 calls
//! versions FAILED that are held, quarantined or in flight here, so its manifest is looked at before
//! the job may go: the job stops, suspended, once its manifest is made and kept.
//!
//! * Where the ledger has none of its versions, the ledger takes them in as being in flight, and the
//!   job goes as it is: no second job has to be paid for.
//! * Where the ledger has some, or the rest are more than a day allows, it takes them in as waiting, and
//!   the job is cancelled: they go in pieces.
//! * Where the manifest cannot be read, or is longer than the ledger should be, the job goes *alone*:
//!   once the bucket has nothing in flight and no open circuit, and nothing else starts until it ends.
//!   A sweep that no day lets go so is cancelled and told.
//!
//! A large backfill waits for a person first. One bucket has one scan at a time.

use serde::{Deserialize, Serialize};

use crate::account::Room;
use crate::backfill::{Backfill, ObjectStatus, Scope};
use crate::circuit::{Circuit, Fault};
use crate::ledger::{Flight, Head, RunRef};
use crate::limits::{LISTING_MICRO_USD_A_MILLION, Limits, ROW_MICRO_USD};
use crate::notice::{Notice, NoticeFact};
use crate::plan::PlanId;
use crate::summary::{Ended, Settled, job_micro_usd};
use crate::time::{Timestamp, days};

/// The job, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// Its plan; one of the head's flights.
    pub plan: PlanId,
    /// Since when: a version that left later than this is not looked at again.
    pub at: Timestamp,
    /// What it is for.
    pub purpose: Purpose,
    /// How far it is.
    pub stage: Stage,
}

/// What a scan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// What failed and no event told of.
    Sweep,
    /// What existed before.
    Backfill(Backfill),
}

/// How far a scan is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// S3 makes the manifest.
    Lists,
    /// The manifest is read: its versions are in these runs.
    Listed {
        /// The runs, each sorted.
        runs: Vec<RunRef>,
        /// Versions in them.
        rows: u64,
    },
    /// The manifest cannot be read, or is too long: the job is to go alone.
    Alone {
        /// Tasks of the job, as S3 counts them.
        rows: u64,
    },
    /// The job is to go: the ledger has its versions in flight.
    Goes,
    /// The job is to go, and nothing beside it.
    GoesAlone,
    /// The job is to be cancelled: the ledger has what is to be done.
    Drops,
}

/// What the ledger does with the versions of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// They are in flight under the scan's own plan.
    Fly,
    /// They wait, for a manifest of ours.
    Wait,
}

/// What the scans of a bucket come to in one launch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanning {
    /// The scan from now on.
    pub scan: Option<Scan>,
    /// It begins now: its job has to be asked for.
    pub begins: bool,
    /// What the ledger does with its versions.
    pub take: Option<Take>,
    /// The backfills that are asked for and not begun.
    pub backfills: Vec<Backfill>,
    /// When the last sweep began.
    pub swept: Option<Timestamp>,
}

impl Scanning {
    /// Puts it into the head that is to be, of whose rows so many were taken in.
    pub fn commit(self, next: &mut Head, now: Timestamp, taken: u64, limits: &Limits) {
        let goes = |scan: &Scan| match scan.stage {
            Stage::Goes if self.take == Some(Take::Fly) => Some(taken),
            _ => None,
        };
        if let Some(scan) = &self.scan {
            if self.begins {
                let fee_micro_usd = fee_micro_usd(limits.bucket_objects);
                let flight = Flight { fee_micro_usd, ..Flight::new(now, 0) };
                next.flights.insert(scan.plan.clone(), flight);
                next.launching = Some(scan.plan.clone());
            }
            let alone = match (&next.scan, &scan.stage) {
                (Some(Scan { stage: Stage::Alone { rows }, .. }), Stage::GoesAlone) => Some(*rows),
                _ => None,
            };
            if let Some(rows) = goes(scan).or(alone)
                && let Some(flight) = next.flights.get_mut(&scan.plan)
            {
                flight.rows = rows;
                next.totals.launched += rows;
                next.totals.micro_usd += rows * ROW_MICRO_USD;
            }
        }
        next.scan = self.scan;
        next.backfills = self.backfills;
        next.swept = self.swept;
    }
}

impl Purpose {
    /// What S3 is asked to list.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Sweep => Scope {
                statuses: [ObjectStatus::Failed].into(),
                prefix: None,
                created_before: None,
            },
            Self::Backfill(backfill) => backfill.scope.clone(),
        }
    }

    /// Whether so many versions may go without asking anybody.
    fn may_go(&self, rows: u64, limits: &Limits) -> bool {
        match self {
            Self::Sweep => true,
            Self::Backfill(backfill) => {
                let small = rows <= limits.backfill_rows_unconfirmed_max;
                backfill.confirmed || (small && limits.a_day_allows(rows))
            }
        }
    }

    /// Whether a person has said that it may go, whatever it costs.
    pub fn by_person(&self) -> bool {
        matches!(self, Self::Backfill(backfill) if backfill.confirmed)
    }
}

impl Scan {
    /// The runs to fold in this launch, if its versions are to be taken in.
    pub fn runs(&self, head: &Head, now: Timestamp, limits: &Limits) -> &[RunRef] {
        match &self.stage {
            Stage::Listed { runs, rows }
                if self.purpose.may_go(*rows, limits) && head.paused(now).is_none() =>
            {
                runs
            }
            _ => &[],
        }
    }

    /// Whether nothing else may start in the bucket.
    pub fn excludes(&self, circuits: &[Circuit], limits: &Limits, room: &Room) -> bool {
        match self.stage {
            Stage::GoesAlone => true,
            // What is in flight lands first. With a circuit open, its canaries go on; and so does all
            // else while there is no room for the scan, which may be until tomorrow.
            Stage::Alone { rows } => {
                circuits.is_empty()
                    && self.purpose.may_go(rows, limits)
                    && room.goes(rows, self.purpose.by_person())
            }
            _ => false,
        }
    }

    /// Whether its rows are more than any day lets go, and no person has said that they may.
    fn is_too_much(&self, rows: u64, limits: &Limits) -> bool {
        self.purpose == Purpose::Sweep && !limits.a_day_allows(rows)
    }

    /// Whether the ledger never had its rows: what its report says failed comes in now. A job that still
    /// waited for us was let go by a person, in the console.
    pub(crate) fn is_beside_the_ledger(&self) -> bool {
        !matches!(self.stage, Stage::Goes | Stage::Drops)
    }

    /// Whether a job that ended so has only been declined: by who cancelled it while it waited, or by
    /// who was to confirm it within S3's 30 days.
    pub(crate) fn is_declined(&self, ended: Ended, limits: &Limits) -> bool {
        match self.stage {
            Stage::Listed { rows, .. } | Stage::Alone { rows } => match ended {
                Ended::Cancelled => true,
                Ended::Failed => !self.purpose.may_go(rows, limits),
                Ended::Complete | Ended::Lost => false,
            },
            Stage::Drops => matches!(ended, Ended::Failed | Ended::Cancelled),
            Stage::Lists => ended == Ended::Cancelled,
            Stage::Goes | Stage::GoesAlone => false,
        }
    }

    /// Whether the job waits for us, and not for somebody to look after it.
    pub fn waits_for_us(&self, plan: &PlanId) -> bool {
        self.plan == *plan && !matches!(self.stage, Stage::Goes | Stage::GoesAlone)
    }
}

/// The manifest is made: it is read, or cannot be. S3 has started the job, so what stood in the way of
/// that is repaired. A large backfill asks a person, once.
pub fn listed(head: &mut Head, stage: Stage, now: Timestamp, limits: &Limits) {
    let Some(scan) = &mut head.scan else { return };
    scan.stage = stage;
    head.circuits.retain(|circuit| !matches!(circuit.fault, Fault::Launch(_)));
    for circuit in head.circuits.iter_mut().filter(|c| c.probe.as_ref() == Some(&scan.plan)) {
        circuit.replace(now);
    }
    let (Stage::Listed { rows, .. } | Stage::Alone { rows }) = scan.stage else { return };
    if !scan.purpose.may_go(rows, limits) {
        let scan = scan.clone();
        head.tell(awaits(head, &scan, rows, now));
    }
}

fn awaits(head: &Head, scan: &Scan, versions: u64, now: Timestamp) -> Option<Notice> {
    let Purpose::Backfill(backfill) = &scan.purpose else { return None };
    let flight = head.flights.get(&scan.plan)?;
    let fact = NoticeFact::BackfillAwaits {
        backfill: backfill.id.clone(),
        job: flight.job.clone()?,
        versions,
        micro_usd: job_micro_usd(versions) + flight.fee_micro_usd,
        why: backfill.why.clone(),
    };
    Some(Notice::new(&head.bucket, now, scan.at, fact))
}

/// A person says that the backfill that waits may go. Says whether one waited.
pub fn confirm(head: &mut Head) -> bool {
    match head.scan.as_mut().map(|scan| &mut scan.purpose) {
        Some(Purpose::Backfill(backfill)) => !std::mem::replace(&mut backfill.confirmed, true),
        _ => false,
    }
}

/// A person gives up the backfills of the bucket that have not gone yet: the one that S3 lists or that
/// waits, whose job is cancelled by the next launch, and those that are not begun. Gives them.
pub fn give_up(head: &mut Head) -> Vec<Backfill> {
    let mut given_up = Vec::new();
    if let Some(Scan { purpose: Purpose::Backfill(backfill), stage, .. }) = &mut head.scan
        && matches!(stage, Stage::Lists | Stage::Listed { .. } | Stage::Alone { .. })
    {
        *stage = Stage::Drops;
        given_up.push(backfill.clone());
    }
    given_up.append(&mut head.backfills);
    given_up
}

/// What S3 takes for making a manifest of a bucket with so many objects, in millionths of a dollar.
pub fn fee_micro_usd(objects: u64) -> u64 {
    (objects * LISTING_MICRO_USD_A_MILLION).div_ceil(1_000_000)
}

/// From one sweep to the next, in milliseconds: as often as is wished, or as rarely as the fees make
/// it. `None` is never.
pub fn sweep_every_ms(limits: &Limits) -> Option<u64> {
    let month = limits.sweep_month_micro_usd_max;
    if limits.sweep_days == 0 || month == 0 {
        return None;
    }
    let fee = fee_micro_usd(limits.bucket_objects) + job_micro_usd(0);
    Some(days(limits.sweep_days).max((days(30) / 1_000 * fee).div_ceil(month) * 1_000))
}

/// When the next sweep of an enrolled bucket is due.
pub fn next_sweep(head: &Head, limits: &Limits) -> Option<Timestamp> {
    let every = sweep_every_ms(limits)?;
    Some(head.swept.map_or(Timestamp::default(), |swept| swept.plus_ms(every)))
}

/// Whether it is due at `now`.
pub fn sweep_is_due(head: &Head, now: Timestamp, limits: &Limits) -> bool {
    next_sweep(head, limits).is_some_and(|due| due <= now)
}

/// Whether a scan asks for a decision at `now`, if nothing else does.
pub fn is_due(head: &Head, now: Timestamp, limits: &Limits, sweeps: bool) -> bool {
    if head.paused(now).is_some() {
        return false;
    }
    let others = head.flights.len() > usize::from(head.scan.is_some());
    match &head.scan {
        None => {
            let sweep = sweeps && sweep_is_due(head, now, limits);
            let held = head.circuits.iter().any(|circuit| circuit.holds_launches(now));
            !held && (sweep || !head.backfills.is_empty())
        }
        Some(Scan { stage: Stage::Listed { rows, .. }, purpose, .. }) => {
            purpose.may_go(*rows, limits)
        }
        Some(scan @ Scan { stage: Stage::Alone { rows }, purpose, .. }) => {
            let alone = head.circuits.is_empty() && !others;
            purpose.may_go(*rows, limits) && (alone || scan.is_too_much(*rows, limits))
        }
        Some(_) => false,
    }
}

/// What is known when the scans of a bucket are decided.
#[derive(Debug)]
pub(crate) struct Scans<'a> {
    pub(crate) now: Timestamp,
    pub(crate) limits: &'a Limits,
    pub(crate) head: &'a Head,
    pub(crate) room: Room,
    pub(crate) sweeps: bool,
    /// Versions of the scan's runs: those that the ledger does not have, and those that it has.
    pub(crate) listed: (u64, u64),
    pub(crate) circuits: &'a [Circuit],
}

impl Scans<'_> {
    /// How things stand before anything is decided.
    pub(crate) fn begin(&self) -> Scanning {
        Scanning {
            scan: self.head.scan.clone(),
            backfills: self.head.backfills.clone(),
            swept: self.head.swept,
            ..Scanning::default()
        }
    }

    /// The job of the scan has ended, or S3 refused it. Says whether that is all there is to say of it:
    /// the end was ours, or nothing.
    pub(crate) fn ended(
        &self,
        scanning: &mut Scanning,
        ended: Option<&Settled>,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let Some(scan) = scanning.scan.take() else {
            return false;
        };
        let whole = ended.is_some_and(|settled| settled.ended == Ended::Complete);
        let nothing = ended.is_some_and(Settled::found_nothing);
        let declined = ended.is_some_and(|settled| scan.is_declined(settled.ended, self.limits));
        let unlistable = scan.stage == Stage::Lists
            && ended.is_some_and(|settled| settled.ended == Ended::Failed);
        let cancelled = ended.is_some_and(|settled| settled.ended == Ended::Cancelled);
        let again = match scan.stage {
            Stage::Goes | Stage::Drops => false,
            // Whole: a person let it go in the console.
            Stage::Listed { .. } | Stage::Alone { .. } | Stage::Lists => {
                !nothing && !declined && !whole
            }
            Stage::GoesAlone => !whole && !cancelled,
        };
        match (&scan.purpose, again) {
            (Purpose::Backfill(backfill), true) => {
                // What a person let go is paid for, and was not to be paid for twice.
                let confirmed = backfill.confirmed && scan.stage != Stage::GoesAlone;
                scanning.backfills.insert(0, Backfill { confirmed, ..backfill.clone() });
            }
            // One that S3 cannot list is told, and looked at again when the next sweep is due.
            (Purpose::Sweep, true) if !unlistable => scanning.swept = None,
            (Purpose::Backfill(backfill), false) if nothing => {
                let fact = NoticeFact::BackfillEmpty { backfill: backfill.id.clone() };
                notices.push(Notice::new(&self.head.bucket, self.now, backfill.at, fact));
            }
            _ => {}
        }
        nothing || (scan.stage == Stage::Drops && !whole)
    }

    /// What becomes of the scan, or which one begins. `plan` is the id that a new one would have;
    /// `launches` says that a manifest of ours goes up in this launch.
    pub(crate) fn decide(
        &self,
        scanning: &mut Scanning,
        plan: &PlanId,
        launches: bool,
        notices: &mut Vec<Notice>,
    ) {
        match scanning.scan.clone() {
            Some(scan) => scanning.scan = Some(self.goes_on(scan, scanning, notices)),
            None if !launches => self.starts(scanning, plan, notices),
            None => {}
        }
    }

    fn goes_on(&self, scan: Scan, scanning: &mut Scanning, notices: &mut Vec<Notice>) -> Scan {
        let (new, known) = self.listed;
        let by_person = scan.purpose.by_person();
        let stage = match scan.stage.clone() {
            Stage::Listed { .. } if scan.runs(self.head, self.now, self.limits).is_empty() => {
                scan.stage.clone()
            }
            Stage::Listed { .. } if known > 0 || new == 0 || scan.is_too_much(new, self.limits) => {
                scanning.take = Some(Take::Wait);
                self.found(&scan, new, notices);
                Stage::Drops
            }
            Stage::Listed { .. } if self.room.goes(new, by_person) => {
                scanning.take = Some(Take::Fly);
                self.found(&scan, new, notices);
                Stage::Goes
            }
            Stage::Alone { rows } if scan.is_too_much(rows, self.limits) => {
                notices.push(self.too_much(&scan, rows));
                Stage::Drops
            }
            Stage::Alone { rows }
                if scan.purpose.may_go(rows, self.limits)
                    && self.circuits.is_empty()
                    && self.is_alone(&scan.plan)
                    && self.room.goes(rows, by_person) =>
            {
                Stage::GoesAlone
            }
            stage => stage,
        };
        Scan { stage, ..scan }
    }

    /// Whether nothing of ours is in flight but the scan itself.
    fn is_alone(&self, plan: &PlanId) -> bool {
        self.head.launching.is_none() && self.head.flights.keys().all(|other| other == plan)
    }

    fn starts(&self, scanning: &mut Scanning, plan: &PlanId, notices: &mut Vec<Notice>) {
        let fee = fee_micro_usd(self.limits.bucket_objects);
        if let Some(first) = scanning.backfills.first()
            && job_micro_usd(0) + fee > self.limits.day_micro_usd_max
        {
            notices.push(self.too_dear(first));
        }
        let held = self.circuits.iter().any(|circuit| circuit.holds_launches(self.now));
        if self.head.paused(self.now).is_some() || held || !self.room.lists(fee) {
            return;
        }
        let sweep = self.sweeps && sweep_is_due(self.head, self.now, self.limits);
        let purpose = match scanning.backfills.is_empty() {
            false => Purpose::Backfill(scanning.backfills.remove(0)),
            true if sweep && self.room.leaves_half(self.limits) => {
                scanning.swept = Some(self.now);
                Purpose::Sweep
            }
            true => return,
        };
        let (plan, at, stage) = (plan.clone(), self.now, Stage::Lists);
        scanning.scan = Some(Scan { plan, at, purpose, stage });
        scanning.begins = true;
    }

    /// A sweep that cannot go in pieces, since its list cannot be read, and is too much for a day.
    fn too_much(&self, scan: &Scan, rows: u64) -> Notice {
        let fact = NoticeFact::Found {
            code: "sweep-too-large".to_owned(),
            subject: self.head.bucket.to_string(),
            what: format!("a sweep found {rows} versions, more than the limits of a day allow"),
            remedy: "raise the rows and dollars of a day; or let launch read generated/ in the \
                     state bucket, and job_rows_max be as many, so that they go in pieces"
                .to_owned(),
        };
        Notice::new(&self.head.bucket, self.now, scan.at, fact)
    }

    /// A backfill that can never begin: to make its list costs more than a day may.
    fn too_dear(&self, backfill: &Backfill) -> Notice {
        let fact = NoticeFact::Found {
            code: "listing-too-dear".to_owned(),
            subject: self.head.bucket.to_string(),
            what: "a backfill waits, whose list alone costs more than a day may".to_owned(),
            remedy: "raise the dollars of a day".to_owned(),
        };
        Notice::new(&self.head.bucket, self.now, backfill.at, fact)
    }

    /// A sweep that found something says so.
    fn found(&self, scan: &Scan, versions: u64, notices: &mut Vec<Notice>) {
        if scan.purpose == Purpose::Sweep && versions > 0 {
            let fact = NoticeFact::Swept { versions };
            notices.push(Notice::new(&self.head.bucket, self.now, scan.at, fact));
        }
    }
}
