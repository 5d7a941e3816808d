//! What the account and Region share, however many buckets and launchers there are: job slots, and
//! the day's jobs, rows and dollars. Each is reserved by a plan's id before its job is asked for, in
//! one document that is swapped, so no limit is ever exceeded by a race.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::Bucket;
use crate::limits::{Limits, RESERVATION_ORPHAN_MS};
use crate::plan::PlanId;
use crate::summary::job_micro_usd;
use crate::time::{Timestamp, days};

/// Format number of `account.json`.
pub const ACCOUNT_FORMAT: u32 = 1;

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
}

/// What is left to reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Jobs that may start now.
    pub jobs: u32,
    /// Rows that the next job may have.
    pub rows: u64,
    /// The limit that is met, if one is: `slots`, `jobs`, `rows` or `dollars`.
    pub met: Option<&'static str>,
}

impl Default for Account {
    fn default() -> Self {
        Self { format: ACCOUNT_FORMAT, reservations: BTreeMap::new() }
    }
}

impl Account {
    /// What `limits` leave at `now`.
    pub fn room(&self, now: Timestamp, limits: &Limits) -> Room {
        let day = |r: &&Reservation| r.at.0 / days(1) == now.0 / days(1);
        let active = self.reservations.values().filter(|r| !r.ended).count() as u32;
        let today: Vec<&Reservation> = self.reservations.values().filter(day).collect();
        let jobs = today.len() as u32;
        let rows: u64 = today.iter().map(|r| r.rows).sum();
        let spent: u64 = today.iter().map(|r| job_micro_usd(r.rows)).sum();
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
        let affordable = dollars.saturating_sub(job_micro_usd(0)) / crate::limits::ROW_MICRO_USD;
        Room {
            jobs: limits
                .jobs_active_max
                .saturating_sub(active)
                .min(limits.day_jobs_max - jobs.min(limits.day_jobs_max)),
            rows: rows_left.min(affordable).min(limits.job_rows_max),
            met,
        }
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
        let reservation = Reservation { bucket: bucket.clone(), at: now, rows, ended: false };
        self.reservations.insert(plan.clone(), reservation);
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

    /// Forgets what no longer counts: ended reservations of earlier days, and `orphans`. Says whether
    /// there was any.
    pub fn forget(&mut self, orphans: &[PlanId], now: Timestamp) -> bool {
        let before = self.reservations.len();
        self.reservations.retain(|plan, r| {
            let counts = !r.ended || r.at.0 / days(1) >= now.0 / days(1);
            counts && !orphans.contains(plan)
        });
        before != self.reservations.len()
    }
}

#[cfg(test)]
#[path = "account/tests.rs"]
mod tests;
