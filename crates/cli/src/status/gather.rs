//! What is read for a status: the head of each bucket's ledger, and its rows, which alone say since when
//! the oldest of them has waited and how many each cause holds.

use std::collections::BTreeMap;

use resilver_aws::Kind;
use resilver_heal::account::Account;
use resilver_heal::circuit::{Circuit, Fault};
use resilver_heal::enrolment::{By, Unenrolled};
use resilver_heal::entry::{Cause, Entry, State};
use resilver_heal::key::{Bucket, JobId};
use resilver_heal::ledger::{Counts, Head, Totals};
use resilver_heal::plan::PlanId;
use resilver_heal::reason::Reason;
use resilver_heal::scan::{Purpose, Stage};
use resilver_heal::state::{StateKey, StatePrefix};
use resilver_heal::summary::job_micro_usd;
use resilver_heal::time::{Timestamp, days};
use serde::Serialize;

use crate::app::AppError;
use crate::backfill;
use crate::desk::{Desk, entries};
use crate::error::CliError;

/// How often a ledger is read again that a launch replaced meanwhile.
const TRIES: usize = 5;

/// How a stack stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The stack.
    pub stack: String,
    /// Its account.
    pub account: String,
    /// Its state bucket.
    pub state_bucket: String,
    /// When it was deleted, if it was.
    pub deleted: Option<Timestamp>,
    /// What all buckets share.
    pub today: Today,
    /// Each bucket.
    pub buckets: Vec<BucketStatus>,
}

/// What was taken of the day's budget (UTC).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Today {
    /// Jobs.
    pub jobs: u32,
    /// Rows.
    pub rows: u64,
    /// Millionths of a dollar.
    pub micro_usd: u64,
    /// Jobs that take one of the account's six places.
    pub active: usize,
}

/// How a bucket stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BucketStatus {
    /// The bucket.
    pub bucket: Bucket,
    /// Since when it is enrolled, if it is.
    pub enrolled: Option<Timestamp>,
    /// Who asked for that.
    pub by: Option<By>,
    /// A word for what keeps it from being enrolled, if it should be.
    pub obstacle: Option<&'static str>,
    /// Why nothing is launched.
    pub paused: Option<String>,
    /// Until when.
    pub resume_at: Option<Timestamp>,
    /// Versions by state.
    pub counts: Counts,
    /// What ever came and went.
    pub totals: Totals,
    /// When the oldest failure was seen of a version that is not healed and no person's.
    pub oldest_unhealed: Option<Timestamp>,
    /// Segments of failures that launch has not folded yet.
    pub segments: usize,
    /// What stands in the way.
    pub circuits: Vec<CircuitStatus>,
    /// Versions that no retry heals, by reason.
    pub quarantined: Vec<Quarantined>,
    /// Jobs.
    pub flights: Vec<FlightStatus>,
    /// The job whose manifest S3 makes.
    pub scan: Option<ScanStatus>,
    /// Ids of the backfills that are asked for and not begun.
    pub backfills: Vec<String>,
    /// Notices that are not said everywhere yet.
    pub unsaid: usize,
    /// Older ones that were given up.
    pub given_up: u64,
}

/// Something that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CircuitStatus {
    /// What it is: S3's reason, or the code with which a job was refused or failed.
    pub cause: String,
    /// Whether it holds versions, or every launch of the bucket.
    pub holds: &'static str,
    /// Versions that it holds.
    pub versions: u64,
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried.
    pub probes: u32,
    /// When it is tried again; `None` while a try is out.
    pub next_probe: Option<Timestamp>,
    /// What a person does about it.
    pub remedy: String,
}

/// Versions that no retry heals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Why.
    pub reason: Reason,
    /// How many.
    pub versions: u64,
    /// What a person does about it.
    pub remedy: &'static str,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlightStatus {
    /// Its plan.
    pub plan: PlanId,
    /// The job, once S3 has given one.
    pub job: Option<JobId>,
    /// Since when.
    pub since: Timestamp,
    /// Versions in it.
    pub rows: u64,
    /// What it costs.
    pub micro_usd: u64,
    /// What S3 said when it refused it.
    pub refused: Option<String>,
}

/// A job whose manifest S3 makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanStatus {
    /// Its plan: one of the flights.
    pub plan: PlanId,
    /// The backfill that it is for; `None` is a sweep.
    pub backfill: Option<String>,
    /// How far it is: `lists`, `waits`, `goes`, `dropped`.
    pub stage: &'static str,
    /// Versions that S3 has listed, if it has.
    pub versions: Option<u64>,
    /// What it costs.
    pub micro_usd: u64,
    /// A person has said that it may go.
    pub confirmed: bool,
}

/// Everything that is known, or everything of one bucket.
pub(super) async fn all(desk: &Desk, bucket: Option<&Bucket>) -> Result<Status, CliError> {
    let known = desk.known().await?;
    let which = match bucket {
        None => known,
        Some(bucket) if known.contains(bucket) => [bucket.clone()].into(),
        Some(bucket) => {
            desk.is_enrolled(bucket).await?;
            [bucket.clone()].into()
        }
    };
    let mut buckets = Vec::new();
    for bucket in which {
        buckets.push(one(desk, bucket).await?);
    }
    let account = desk.store.get_json::<Account>(&StateKey::Account.to_string()).await?;
    Ok(Status {
        stack: desk.stack.clone(),
        account: desk.clients.account.clone(),
        state_bucket: desk.store.bucket.clone(),
        deleted: desk.deleted().await?,
        today: account.map(|account| today(&account.value, desk.now)).unwrap_or_default(),
        buckets,
    })
}

fn today(account: &Account, now: Timestamp) -> Today {
    let (jobs, rows, micro_usd) = account.of_day(now.0 / days(1));
    let active = account.reservations.values().filter(|taken| taken.takes_slot()).count();
    Today { jobs, rows, micro_usd, active }
}

async fn one(desk: &Desk, bucket: Bucket) -> Result<BucketStatus, CliError> {
    let (head, rows) = ledger(desk, &bucket).await?;
    let enrolled = desk.enrolled(&bucket).await?;
    let key = StateKey::Unenrolled(&bucket).to_string();
    let obstacle = desk.store.get_json::<Unenrolled>(&key).await?;
    let segments = desk.store.list(&StatePrefix::Failures(&bucket).to_string(), usize::MAX).await?;
    let mut backfills = backfill::waiting(desk, &bucket).await?;
    backfills.extend(head.backfills.iter().cloned());
    let mut backfills: Vec<String> = backfills.into_iter().map(|backfill| backfill.id).collect();
    backfills.sort();
    backfills.dedup();
    let now = desk.now.max(head.now);
    let paused = head.paused(now).map(str::to_owned);
    Ok(BucketStatus {
        enrolled: enrolled.as_ref().map(|enrolled| enrolled.since),
        by: enrolled.as_ref().map(|enrolled| enrolled.by),
        obstacle: obstacle.map(|obstacle| obstacle.value.code.as_str()),
        resume_at: head.resume_at.filter(|_| paused.is_some()),
        paused,
        counts: head.counts,
        totals: head.totals,
        oldest_unhealed: rows.oldest,
        segments: segments.len(),
        circuits: head.circuits.iter().map(|circuit| rows.circuit(circuit)).collect(),
        quarantined: rows.quarantined(),
        flights: flights(&head),
        scan: scan(&head),
        backfills,
        unsaid: head.outbox.len(),
        given_up: head.given_up,
        bucket,
    })
}

/// The head and what its rows say. A launch may replace both while the rows are read.
async fn ledger(desk: &Desk, bucket: &Bucket) -> Result<(Head, Rows), CliError> {
    for _ in 0..TRIES {
        let Some(head) = desk.head(bucket).await?.map(|loaded| loaded.value) else { break };
        let mut rows = Rows::default();
        let Some(run) = &head.run else { return Ok((head, rows)) };
        match entries(&desk.store, run, |entry| rows.take(&entry)).await {
            Ok(()) => return Ok((head, rows)),
            Err(AppError::Aws(problem)) if problem.kind == Kind::NotFound => {}
            Err(AppError::Aws(problem)) => return Err(problem.into()),
            Err(problem) => return Err(problem.into()),
        }
    }
    match desk.head(bucket).await? {
        None => Ok((Head::new(bucket.clone(), Timestamp::default()), Rows::default())),
        Some(_) => Err(CliError::unknown(format!("the ledger of {bucket} changes all the time"))),
    }
}

/// What the rows of a ledger say that its head does not.
#[derive(Debug, Default)]
struct Rows {
    oldest: Option<Timestamp>,
    held: BTreeMap<Cause, u64>,
    quarantined: BTreeMap<Reason, u64>,
}

impl Rows {
    fn take(&mut self, entry: &Entry) {
        match entry.state {
            State::Left { .. } => return,
            State::Quarantined { .. } => {
                let latest = entry.blames.iter().max_by_key(|blame| blame.at);
                let reason = latest.map_or_else(Reason::unspecified, |blame| blame.reason.clone());
                *self.quarantined.entry(reason).or_default() += 1;
                return;
            }
            State::Held => {
                for cause in entry.causes() {
                    *self.held.entry(cause).or_default() += 1;
                }
            }
            State::Waiting { .. } | State::InFlight { .. } | State::Confirming { .. } => {}
        }
        let oldest = self.oldest.get_or_insert(entry.first_seen);
        *oldest = entry.first_seen.min(*oldest);
    }

    fn quarantined(&self) -> Vec<Quarantined> {
        let of = |(reason, versions): (&Reason, &u64)| Quarantined {
            reason: reason.clone(),
            versions: *versions,
            remedy: reason.remedy(),
        };
        self.quarantined.iter().map(of).collect()
    }

    fn circuit(&self, circuit: &Circuit) -> CircuitStatus {
        let refused = "repair what S3 names; launch tries it again by itself";
        let (cause, holds, versions, remedy) = match &circuit.fault {
            Fault::Cause(cause) => {
                let versions = self.held.get(cause).copied().unwrap_or_default();
                (cause.to_string(), "versions", versions, cause.reason.remedy())
            }
            Fault::Launch(code) => (format!("S3 refuses to start jobs: {code}"), "all", 0, refused),
            Fault::Job(code) => (format!("jobs fail as a whole: {code}"), "all", 0, refused),
        };
        CircuitStatus {
            cause,
            holds,
            versions,
            since: circuit.opened,
            probes: circuit.probes,
            next_probe: Some(circuit.next_probe).filter(|_| circuit.probe.is_none()),
            remedy: remedy.to_owned(),
        }
    }
}

fn flights(head: &Head) -> Vec<FlightStatus> {
    let of = |(plan, flight): (&PlanId, &resilver_heal::ledger::Flight)| FlightStatus {
        plan: plan.clone(),
        job: flight.job.clone(),
        since: flight.at,
        rows: flight.rows,
        micro_usd: flight.micro_usd(),
        refused: flight.refused.as_ref().map(|(code, why)| format!("{code}: {why}")),
    };
    head.flights.iter().map(of).collect()
}

fn scan(head: &Head) -> Option<ScanStatus> {
    let scan = head.scan.as_ref()?;
    let (stage, versions) = match &scan.stage {
        Stage::Lists => ("lists", None),
        Stage::Listed { rows, .. } | Stage::Alone { rows } => ("waits", Some(*rows)),
        Stage::Goes | Stage::GoesAlone => ("goes", None),
        Stage::Drops => ("dropped", None),
    };
    let flight = head.flights.get(&scan.plan);
    let versions = versions.or_else(|| flight.map(|flight| flight.rows).filter(|rows| *rows > 0));
    let fee = flight.map_or(0, |flight| flight.fee_micro_usd);
    let (backfill, confirmed) = match &scan.purpose {
        Purpose::Sweep => (None, false),
        Purpose::Backfill(backfill) => (Some(backfill.id.clone()), backfill.confirmed),
    };
    let micro_usd = job_micro_usd(versions.unwrap_or_default()) + fee;
    Some(ScanStatus { plan: scan.plan.clone(), backfill, stage, versions, micro_usd, confirmed })
}
