#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::laws::spending_is_bounded;
use crate::time::hours;

const NOON: Timestamp = Timestamp(1_767_225_600_000 + hours(12));

fn plan(n: u32) -> PlanId {
    PlanId::try_from(format!("plan-000{n}")).unwrap()
}

fn bucket() -> Bucket {
    Bucket::try_from("source".to_owned()).unwrap()
}

fn account(limits: &Limits, reserved: &[(u32, u64, u64)]) -> Account {
    let mut account = Account::default();
    for (n, rows, hour) in reserved {
        let at = NOON.plus_ms(hours(*hour));
        assert!(account.reserve(&plan(*n), &bucket(), *rows, at, limits), "{n}");
        spending_is_bounded(&Account::default(), &account, limits).unwrap();
        account.end(&plan(*n));
    }
    account
}

#[test]
fn every_limit_is_met_and_none_exceeded() {
    let generous = Limits::default();
    let check = |limits: Limits, met: Option<&str>, rows: u64| {
        let mut account = account(&limits, &[(1, 500, 0), (2, 500, 1)]);
        let room = account.room(NOON.plus_ms(hours(2)), &limits);
        assert_eq!((room.met, room.rows), (met, rows), "{limits:?}");
        let fits = account.reserve(&plan(3), &bucket(), rows, NOON.plus_ms(hours(2)), &limits);
        assert_eq!(fits, met.is_none());
        spending_is_bounded(&Account::default(), &account, &limits).unwrap();
        assert!(!account.reserve(&plan(4), &bucket(), rows + 1, NOON.plus_ms(hours(2)), &limits));
    };
    check(generous.clone(), None, generous.job_rows_max);
    check(Limits { day_jobs_max: 2, ..generous.clone() }, Some("jobs"), generous.job_rows_max);
    check(Limits { day_rows_max: 1_000, ..generous.clone() }, Some("rows"), 0);
    check(Limits { day_rows_max: 1_007, ..generous.clone() }, None, 7);
    check(Limits { day_micro_usd_max: 751_009, ..generous.clone() }, None, 9);
    check(Limits { day_micro_usd_max: 751_000, ..generous }, Some("dollars"), 0);
}

#[test]
fn a_slot_is_free_again_when_its_job_has_ended_or_was_refused() {
    let limits = Limits { jobs_active_max: 1, ..Limits::default() };
    let mut account = Account::default();
    for (n, end) in [(1, true), (2, false), (3, true)] {
        assert!(account.reserve(&plan(n), &bucket(), 5, NOON, &limits));
        assert!(account.reserve(&plan(n), &bucket(), 5, NOON, &limits), "its share stays its own");
        assert_eq!(account.room(NOON, &limits).met, Some("slots"));
        assert!(!account.reserve(&plan(9), &bucket(), 5, NOON, &limits));
        assert!(if end { account.end(&plan(n)) } else { account.refund(&plan(n)) });
    }
    assert_eq!(account.reservations.len(), 2);
}

#[test]
fn a_new_day_has_a_new_budget_and_a_late_event_takes_nothing_from_it() {
    let limits = Limits { day_jobs_max: 1, ..Limits::default() };
    let mut account = account(&limits, &[(1, 500, 0), (2, 500, 24)]);
    let (today, tomorrow) = (NOON, NOON.plus_ms(hours(24)));
    assert!(!account.forget(&[], today), "what is of a later day is kept");
    assert_eq!(account.room(tomorrow, &limits).met, Some("jobs"));
    assert!(!account.forget(&[], tomorrow), "a launch of yesterday may be late");
    assert!(account.forget(&[], NOON.plus_ms(hours(48))));
    assert_eq!(account.reservations.keys().collect::<Vec<_>>(), [&plan(2)]);
}

#[test]
fn what_a_launch_left_behind_is_doubtful_after_an_hour() {
    let mut account = Account::default();
    account.reserve(&plan(1), &bucket(), 5, NOON, &Limits::default());
    assert_eq!(account.doubtful(NOON.plus_ms(hours(1))), []);
    assert_eq!(account.doubtful(NOON.plus_ms(hours(1) + 1)), [(bucket(), plan(1))]);
    assert!(account.forget(&[plan(1)], NOON));
    assert!(account.reservations.is_empty());
}

#[test]
fn a_launch_that_midnight_overtook_still_sees_what_its_day_has_spent() {
    let limits = Limits { day_jobs_max: 1, ..Limits::default() };
    let mut account = account(&limits, &[(1, 500, 0)]);
    account.forget(&[], NOON.plus_ms(hours(12)));
    assert!(!account.reserve(&plan(2), &bucket(), 5, NOON.plus_ms(hours(11)), &limits));
}

#[test]
fn a_limit_that_was_lowered_forbids_what_is_new_and_not_what_was_taken_before() {
    let mut before = Account::default();
    for n in 1..=3 {
        assert!(before.reserve_suspended(&plan(n), &bucket(), 150_000, NOON, &Limits::default()));
    }
    let lower = Limits { day_jobs_max: 2, day_micro_usd_max: 600_000, ..Limits::default() };
    let mut after = before.clone();
    for n in 4..=5 {
        assert!(after.reserve(&plan(n), &bucket(), 5, NOON.plus_ms(hours(24)), &lower));
        spending_is_bounded(&before, &after, &lower).unwrap();
    }
    let one_more = NOON.plus_ms(hours(24));
    assert!(!after.reserve(&plan(6), &bucket(), 5, one_more, &lower));
    assert!(after.reserve(&plan(6), &bucket(), 5, one_more, &Limits::default()));
    spending_is_bounded(&before, &after, &lower).unwrap_err();
}

#[test]
fn sweeps_leave_half_of_a_day_to_what_has_failed() {
    let limits = Limits { day_jobs_max: 4, ..Limits::default() };
    let left = |spent: &[(u32, u64, u64)], limits: &Limits| {
        account(limits, spent).room(NOON, limits).leaves_half(limits)
    };
    assert!(left(&[(1, 5, 0)], &limits));
    assert!(!left(&[(1, 5, 0), (2, 5, 0)], &limits));
    let dear = Limits { day_micro_usd_max: 1_000_000, ..limits };
    assert!(!left(&[(1, 250_000, 0)], &dear));
    let one = Limits { day_jobs_max: 1, ..Limits::default() };
    assert!(left(&[], &one), "it may be the only job of the day");
}
