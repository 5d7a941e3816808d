//! What nothing may break, as predicates: asserted by the code that could break them, and checked
//! after every step of a simulation.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Account;
use crate::entry::{Entry, State};
use crate::ledger::Head;
use crate::limits::Limits;
use crate::plan::PlanId;
use crate::run::ObjectVersion;
use crate::time::{Timestamp, days};

/// A law that does not hold: a defect of Resilver. Nothing is written when one is found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the law '{law}' does not hold: {how}; please report this, nothing was written")]
pub struct Broken {
    /// Which.
    pub law: &'static str,
    /// In what way.
    pub how: String,
}

fn broken(law: &'static str, how: String) -> Result<(), Broken> {
    Err(Broken { law, how })
}

/// **Nowhere is nowhere.** Every failure once collected is in exactly one state or has left, and is
/// counted.
pub fn nowhere_is_nowhere(head: &Head) -> Result<(), Broken> {
    let (counts, totals) = (&head.counts, &head.totals);
    if totals.collected != counts.present() + totals.left() {
        return broken("nowhere is nowhere", format!("{totals:?} does not add up to {counts:?}"));
    }
    let rows = head.run.as_ref().map_or(0, |run| run.rows);
    if rows != counts.rows() {
        return broken("nowhere is nowhere", format!("the run has {rows} rows, not {counts:?}"));
    }
    Ok(())
}

/// **Nothing flies alone.** Every row in flight is in a flight that the head names, and a flight that
/// the head names has no more rows than its manifest.
pub fn nothing_flies_alone(head: &Head, flying: &BTreeMap<PlanId, u64>) -> Result<(), Broken> {
    for (plan, rows) in flying {
        let known = head.flights.get(plan).map_or(0, |flight| flight.rows);
        if *rows > known {
            let how = format!("{rows} rows fly under plan {plan}, which has {known}");
            return broken("nothing flies alone", how);
        }
    }
    Ok(())
}

/// **One job at a time.** No object version is in two running jobs.
pub fn one_job_at_a_time<'a>(
    manifests: impl IntoIterator<Item = &'a [ObjectVersion]>,
) -> Result<(), Broken> {
    let mut seen = std::collections::BTreeSet::new();
    for id in manifests.into_iter().flatten() {
        if !seen.insert(id) {
            return broken("one job at a time", format!("{id:?} is in two running jobs"));
        }
    }
    Ok(())
}

/// **Bounded.** Attempts of a version.
pub fn attempts_are_bounded(entry: &Entry, limits: &Limits) -> Result<(), Broken> {
    let flying = matches!(entry.state, State::InFlight { .. });
    // A canary's last success may add one to a row that was held with all its attempts but one.
    let most = limits.attempts_max + u32::from(!flying);
    if entry.attempts > most {
        return broken("bounded", format!("{:?} was tried {} times", entry.id, entry.attempts));
    }
    Ok(())
}

/// **Bounded.** Active jobs, and the jobs, rows and dollars of any one day: a change takes no more than there
/// is. What was taken while a limit was higher stays as it is.
pub fn spending_is_bounded(
    before: &Account,
    after: &Account,
    limits: &Limits,
) -> Result<(), Broken> {
    let active =
        |account: &Account| account.reservations.values().filter(|r| r.takes_slot()).count();
    let over = |before: u64, after: u64, most: u64| after > before && after > most;
    let (was, is) = (active(before) as u64, active(after) as u64);
    if over(was, is, u64::from(limits.jobs_active_max)) {
        return broken("bounded", format!("{is} jobs are active"));
    }
    let times = after.reservations.values().flat_map(|r| [Some(r.at), r.let_go]).flatten();
    let met: BTreeSet<u64> = times.map(|at| at.0 / days(1)).collect();
    for day in met {
        let (was, (jobs, rows, micro_usd)) = (before.of_day(day), after.of_day(day));
        if over(was.0.into(), jobs.into(), limits.day_jobs_max.into())
            || over(was.1, rows, limits.day_rows_max)
            || over(was.2, micro_usd, limits.day_micro_usd_max)
        {
            let how = format!("{jobs} jobs, {rows} rows, {micro_usd} µ$ on day {day}");
            return broken("bounded", how);
        }
    }
    Ok(())
}

/// **It ends.** Nothing is left to do: no row waits, flies, is confirmed or held, and nothing is unsaid.
pub fn it_has_ended(head: &Head) -> Result<(), Broken> {
    let counts = &head.counts;
    let open = counts.waiting + counts.in_flight + counts.confirming + counts.held;
    if open > 0 || !head.outbox.is_empty() || !head.flights.is_empty() {
        let how = format!("{counts:?}, {} notices unsaid", head.outbox.len());
        return broken("it ends", how);
    }
    Ok(())
}

/// **Time never goes back.**
pub fn time_goes_on(head: &Head, now: Timestamp) -> Result<(), Broken> {
    if now < head.now {
        return broken("time goes on", format!("{now} is before {}", head.now));
    }
    Ok(())
}
