//! What the account and Region share, however many buckets and launchers there are: job slots, and
//! the day's jobs, rows and dollars. Each is reserved by a plan's id before its job is asked for, in
//! one document that is swapped, so no limit is ever exceeded by a race.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::Bucket;
use crate::limits::{Limits, RESERVATION_ORPHAN_MS, ROW_MICRO_USD};
use crate::plan::PlanId;
use crate::summary::job_micro_usd;
use crate::time::{Timestamp, days};

/// Format number of `account.json`.
pub const ACCOUNT_FORMAT: u32 = 2;

/// `account.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// [`ACCOUNT_FORMAT`].
    pub format: u32,
    /// What was reserved, by plan.
    pub reservations: BTreeMap<PlanId, Reservation>,
}

/// One plan's share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The source bucket.
    pub bucket: Bucket,
    /// When.
    pub at: Timestamp,
    /// Rows of the manifest.
    pub rows: u64,
    /// The job ended: it counts for its day, and no longer for the slots.
    pub ended: bool,
    /// What S3 takes for making the manifest, in millionths of a dollar.
    #[serde(default)]
    pub fee_micro_usd: u64,
    /// S3 makes the manifest, or waits for a confirmation: no slot is taken.
    #[serde(default)]
    pub suspended: bool,
    /// When a job that was suspended was let go: its rows count for that day.
    #[serde(default)]
    pub let_go: Option<Timestamp>,
    /// A person let it go: its rows count for no day.
    #[serde(default)]
    pub by_person: bool,
}

impl Reservation {
    fn new(bucket: &Bucket, at: Timestamp, rows: u64) -> Self {
        Self {
            bucket: bucket.clone(),
            at,
            rows,
            ended: false,
            fee_micro_usd: 0,
            suspended: false,
            let_go: None,
            by_person: false,
        }
    }

    /// What it takes of one day, UTC: jobs, rows and millionths of a dollar.
    pub fn of_day(&self, day: u64) -> (u32, u64, u64) {
        let is = |at: Timestamp| at.0 / days(1) == day;
        let rows = match is(self.let_go.unwrap_or(self.at)) && !self.by_person {
            true => self.rows,
            false => 0,
        };
        match is(self.at) {
            true => (1, rows, job_micro_usd(rows) + self.fee_micro_usd),
            false => (0, rows, rows * ROW_MICRO_USD),
        }
    }

    /// Whether it takes one of the account's active jobs.
    pub fn takes_slot(&self) -> bool {
        !self.ended && !self.suspended
    }
}

/// What is left to reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Jobs that may be active beside those that are.
    pub slots: u32,
    /// Jobs that may be made today.
    pub jobs: u32,
    /// Rows that the next job may have.
    pub rows: u64,
    /// Rows that may be launched today.
    pub rows_left: u64,
    /// What may be spent today, in millionths of a dollar.
    pub dollars: u64,
    /// The limit that is met, if one is: `slots`, `jobs`, `rows` or `dollars`.
    pub met: Option<&'static str>,
}

impl Room {
    /// Whether a job may be asked for whose manifest S3 makes for this fee.
    pub fn lists(&self, fee_micro_usd: u64) -> bool {
        self.jobs > 0 && self.dollars >= job_micro_usd(0) + fee_micro_usd
    }

    /// Whether more than half of the day's jobs and dollars are left. Sweeps of many buckets come due
    /// together, and leave the other half to what has failed.
    pub fn leaves_half(&self, limits: &Limits) -> bool {
        self.jobs > limits.day_jobs_max / 2 && self.dollars > limits.day_micro_usd_max / 2
    }

    /// What is left beside a job of so many rows that starts at the same time.
    #[must_use]
    pub fn less(self, rows: u64) -> Self {
        Self {
            slots: self.slots.saturating_sub(1),
            jobs: self.jobs.saturating_sub(1),
            rows_left: self.rows_left.saturating_sub(rows),
            dollars: self.dollars.saturating_sub(job_micro_usd(rows)),
            ..self
        }
    }

    /// Whether a suspended job of so many rows, whose fee is paid, may go.
    pub fn goes(&self, rows: u64, by_person: bool) -> bool {
        self.slots > 0
            && (by_person || (rows <= self.rows_left && rows * ROW_MICRO_USD <= self.dollars))
    }
}

impl Default for Account {
    fn default() -> Self {
        Self { format: ACCOUNT_FORMAT, reservations: BTreeMap::new() }
    }
}

impl Account {
    /// What `limits` leave at `now`.
    pub fn room(&self, now: Timestamp, limits: &Limits) -> Room {
        let active = self.reservations.values().filter(|r| r.takes_slot()).count() as u32;
        let (jobs, rows, spent) = self.of_day(now.0 / days(1));
        let dollars = limits.day_micro_usd_max.saturating_sub(spent);
        let rows_left = limits.day_rows_max.saturating_sub(rows);
        let met = if active >= limits.jobs_active_max {
            Some("slots")
        } else if jobs >= limits.day_jobs_max {
            Some("jobs")
        } else if rows_left == 0 {
            Some("rows")
        } else if dollars <= job_micro_usd(0) {
            Some("dollars")
        } else {
            None
        };
        let affordable = dollars.saturating_sub(job_micro_usd(0)) / ROW_MICRO_USD;
        Room {
            slots: limits.jobs_active_max.saturating_sub(active),
            jobs: limits.day_jobs_max.saturating_sub(jobs),
            rows: rows_left.min(affordable).min(limits.job_rows_max),
            rows_left,
            dollars,
            met,
        }
    }

    /// What all reservations take of one day, UTC: jobs, rows and millionths of a dollar.
    pub fn of_day(&self, day: u64) -> (u32, u64, u64) {
        let all = self.reservations.values().map(|reservation| reservation.of_day(day));
        all.fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2))
    }

    /// Reserves a job whose manifest S3 makes, until it is let go: it takes no slot, and has no rows.
    /// Says no, and changes nothing, where the day's jobs or dollars would be exceeded.
    pub fn reserve_suspended(
        &mut self,
        plan: &PlanId,
        bucket: &Bucket,
        fee_micro_usd: u64,
        now: Timestamp,
        limits: &Limits,
    ) -> bool {
        if self.reservations.contains_key(plan) {
            return true;
        }
        if !self.room(now, limits).lists(fee_micro_usd) {
            return false;
        }
        let reservation =
            Reservation { fee_micro_usd, suspended: true, ..Reservation::new(bucket, now, 0) };
        self.reservations.insert(plan.clone(), reservation);
        true
    }

    /// Lets a suspended job go, with its rows. Says no, and changes nothing, where a limit would be
    /// exceeded; what a person lets go needs only a slot.
    pub fn let_go(
        &mut self,
        plan: &PlanId,
        rows: u64,
        by_person: bool,
        now: Timestamp,
        limits: &Limits,
    ) -> bool {
        let room = self.room(now, limits);
        let Some(reservation) = self.reservations.get_mut(plan) else {
            return false;
        };
        if !reservation.suspended {
            return true;
        }
        if !room.goes(rows, by_person) {
            return false;
        }
        *reservation = Reservation {
            rows,
            suspended: false,
            let_go: Some(now),
            by_person,
            ..reservation.clone()
        };
        true
    }

    /// Takes back what [`Account::let_go`] did.
    pub fn suspend(&mut self, plan: &PlanId) -> bool {
        let Some(reservation) = self.reservations.get_mut(plan).filter(|r| !r.suspended) else {
            return false;
        };
        (reservation.rows, reservation.suspended, reservation.let_go) = (0, true, None);
        reservation.by_person = false;
        true
    }

    /// Reserves a plan's share; says no, and changes nothing, where a limit would be exceeded. A plan
    /// that has its share keeps it.
    pub fn reserve(
        &mut self,
        plan: &PlanId,
        bucket: &Bucket,
        rows: u64,
        now: Timestamp,
        limits: &Limits,
    ) -> bool {
        if self.reservations.contains_key(plan) {
            return true;
        }
        let room = self.room(now, limits);
        if room.met.is_some() || rows > room.rows {
            return false;
        }
        self.reservations.insert(plan.clone(), Reservation::new(bucket, now, rows));
        true
    }

    /// The plan's job ended, and was paid for.
    pub fn end(&mut self, plan: &PlanId) -> bool {
        let Some(reservation) = self.reservations.get_mut(plan) else {
            return false;
        };
        !std::mem::replace(&mut reservation.ended, true)
    }

    /// The plan never became a job: nothing was spent. One whose job ended was paid for.
    pub fn refund(&mut self, plan: &PlanId) -> bool {
        let unspent = self.reservations.get(plan).is_some_and(|reservation| !reservation.ended);
        unspent && self.reservations.remove(plan).is_some()
    }

    /// Reservations that are older than any launch and whose job has not ended: a launch that was cut
    /// short may have left them, and then no head names them.
    pub fn doubtful(&self, now: Timestamp) -> Vec<(Bucket, PlanId)> {
        let old = |r: &Reservation| !r.ended && now.since(r.at) > RESERVATION_ORPHAN_MS;
        let doubtful = self.reservations.iter().filter(|(_, r)| old(r));
        doubtful.map(|(plan, r)| (r.bucket.clone(), plan.clone())).collect()
    }

    /// Forgets what no longer counts: ended reservations of days before yesterday, and `orphans`. Says
    /// whether there was any. A launch that began yesterday may be reserving for that day still.
    pub fn forget(&mut self, orphans: &[PlanId], now: Timestamp) -> bool {
        let before = self.reservations.len();
        self.reservations.retain(|plan, r| {
            let counts = !r.ended || r.let_go.unwrap_or(r.at).0 / days(1) + 1 >= now.0 / days(1);
            counts && !orphans.contains(plan)
        });
        before != self.reservations.len()
    }
}

#[cfg(test)]
#[path = "account/tests.rs"]
mod tests;
