#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::key::{Bucket, Key, VersionId};
use crate::run::ObjectVersion;

const T: u64 = 1_767_225_600_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp(T + seconds * 1_000)
}

fn id() -> ObjectVersion {
    ObjectVersion {
        key: Key::try_from("a key".to_owned()).unwrap(),
        version: VersionId::try_from("v1".to_owned()).unwrap(),
    }
}

fn plan(n: u32) -> PlanId {
    PlanId::try_from(format!("plan-000{n}")).unwrap()
}

fn told(reason: &str, destination: &str, seconds: u64) -> Fact {
    let destination = Some(Bucket::try_from(destination.to_owned()).unwrap());
    let blame = Blame { reason: Reason::parse(reason), destination, at: at(seconds) };
    Fact::Told(FailureRow { id: id(), said: Said::Failed, blame })
}

fn not_tracked(seconds: u64) -> Fact {
    let blame = Blame { reason: Reason::unspecified(), destination: None, at: at(seconds) };
    Fact::Told(FailureRow { id: id(), said: Said::NotTracked, blame })
}

fn launched(n: u32, canary: bool) -> Fact {
    Fact::Launched { plan: plan(n), canary }
}

fn judged(n: u32, ended: u64, failed: Option<&str>, prove: bool) -> Fact {
    let failed = failed.map(Reason::parse);
    Fact::Judged { plan: plan(n), ended: at(ended), failed, prove }
}

/// Applies facts at the second that goes with each, and gives the entry as a line.
fn live(facts: &[(u64, Fact)]) -> (Option<Entry>, Vec<Effect>) {
    let limits = Limits::default();
    let mut entry = None;
    let mut effects = Vec::new();
    for (seconds, fact) in facts {
        let given = Given { now: at(*seconds), limits: &limits };
        entry = given.apply(entry, fact.clone(), &mut effects);
        if let Some(entry) = &entry {
            assert_eq!(Entry::decode(entry.line().trim_end()).as_ref(), Ok(entry));
            crate::laws::attempts_are_bounded(entry, &limits).unwrap();
        }
    }
    (entry, effects)
}

fn state(facts: &[(u64, Fact)]) -> State {
    live(facts).0.unwrap().state
}

/// The word for a state, with nothing of its content.
fn word(state: &State) -> &'static str {
    match state {
        State::Waiting { .. } => "waiting",
        State::InFlight { .. } => "in flight",
        State::Confirming { .. } => "confirming",
        State::Held => "held",
        State::Quarantined { .. } => "quarantined",
        State::Left { outcome, .. } => outcome.as_str(),
    }
}

fn check(facts: &[(u64, Fact)], expected: &str) {
    assert_eq!(word(&state(facts)), expected, "{facts:?}");
}

#[test]
fn a_reason_sends_its_version_to_its_place() {
    for (reason, expected) in [
        ("DstPutObjectNotPermitted", "held"),
        ("DstBucketUnversioned", "held"),
        ("DstVersionNotFound", "waiting"),
        ("SrcBucketReplicationConfigMissing", "waiting"),
        ("SrcVersionNotFound", "gone"),
        ("DstObjectHardDeleted", "quarantined"),
        ("SrcObjectNotEligible", "quarantined"),
        ("SrcReplicationNotPending", "confirming"),
        ("SomethingNew", "waiting"),
    ] {
        check(&[(5, told(reason, "dst-a", 1))], expected);
    }
    check(&[(5, not_tracked(1))], "confirming");
}

#[test]
fn the_straight_way_home() {
    let mut way = vec![(5, told("Odd", "dst-a", 1)), (10, launched(1, false))];
    check(&way, "in flight");
    way.push((99, judged(1, 90, None, true)));
    check(&way, "confirming");
    way.push((99, Fact::Seen(Status::Completed)));
    check(&way, "healed");
    let (entry, effects) = live(&way);
    assert_eq!(entry.unwrap().attempts, 1);
    assert_eq!(effects.iter().filter(|e| matches!(e, Effect::Left { .. })).count(), 1);
}

#[test]
fn without_proof_the_report_is_taken_at_its_word_and_said_to_be() {
    let way =
        [(5, told("Odd", "dst-a", 1)), (10, launched(1, false)), (99, judged(1, 90, None, false))];
    check(&way, "unproved");
}

#[test]
fn an_echo_makes_the_status_decide() {
    let echo = told("Odd", "dst-a", 50);
    let way = [
        (5, told("Odd", "dst-a", 1)),
        (10, launched(1, false)),
        (60, echo),
        (99, judged(1, 90, None, false)),
    ];
    check(&way, "confirming");
}

#[test]
fn events_that_come_again_change_nothing() {
    for way in [
        vec![(5, told("Odd", "dst-a", 1))],
        vec![(5, told("DstBucketNotFound", "dst-a", 1))],
        vec![(5, told("DstBucketNotFound", "dst-a", 1)), (9, Fact::Released)],
        vec![(5, told("Odd", "dst-a", 1)), (10, launched(1, false))],
        vec![
            (5, told("Odd", "dst-a", 1)),
            (10, launched(1, false)),
            (99, judged(1, 90, None, true)),
        ],
        vec![
            (5, told("Odd", "dst-a", 1)),
            (10, launched(1, false)),
            (99, judged(1, 90, None, false)),
        ],
        vec![
            (5, told("Odd", "dst-a", 1)),
            (10, launched(1, false)),
            (99, judged(1, 90, Some("Odd"), false)),
        ],
    ] {
        let before = live(&way).0;
        let mut again = way.clone();
        let first = way[0].1.clone();
        again.push((200, first));
        assert_eq!(live(&again).0, before, "{way:?}");
    }
}

#[test]
fn a_younger_failure_after_it_left_keeps_the_attempts() {
    let way = [
        (5, told("Odd", "dst-a", 1)),
        (10, launched(1, false)),
        (99, judged(1, 90, None, false)),
        (200, told("Odd", "dst-a", 150)),
    ];
    let entry = live(&way).0.unwrap();
    assert_eq!((word(&entry.state), entry.attempts), ("waiting", 1));
}

#[test]
fn a_failure_within_its_job_that_is_told_after_the_verdict_makes_the_status_decide() {
    let verdict = [
        (0, told("DstPutObjectNotPermitted", "dst-b", 0)),
        (9, Fact::Released),
        (10, launched(1, false)),
        (30, judged(1, 20, None, false)),
    ];
    let late = |seconds| {
        [&verdict[..], &[(40, told("DstPutObjectNotPermitted", "dst-b", seconds))]].concat()
    };
    check(&late(9), "unproved");
    check(&late(15), "confirming");
    check(&late(25), "held");
    let gone = [&verdict[..], &[(40, told("SrcVersionNotFound", "dst-b", 15))]].concat();
    let effects = live(&gone).1;
    let left = effects.iter().filter(|effect| matches!(effect, Effect::Left { .. })).count();
    let collected = effects.iter().filter(|effect| **effect == Effect::Collected).count();
    assert_eq!((left, collected), (1, 2), "it is here again, and has not left again: {effects:?}");
    check(&[&gone[..], &[(41, Fact::Seen(Status::Gone))]].concat(), "gone");
    check(&[&late(15)[..], &[(41, Fact::Seen(Status::Completed))]].concat(), "healed");
    check(&[&late(15)[..], &[(41, Fact::Seen(Status::Failed))]].concat(), "held");
}

#[test]
fn attempts_end_in_quarantine_and_never_in_a_loop() {
    let mut way = vec![(1, told("Odd", "dst-a", 1))];
    let mut seconds = 10;
    for n in 0..Limits::default().attempts_max {
        way.push((seconds, launched(n, false)));
        way.push((seconds + 5, judged(n, seconds + 4, Some("Odd"), false)));
        seconds += 1_000_000;
    }
    check(&way, "quarantined");
    let succeeds_and_fails = |n: u32, from: u64| {
        [
            (from, launched(n, false)),
            (from + 9, judged(n, from + 8, None, false)),
            (from + 20, told("Odd", "dst-a", from + 15)),
        ]
    };
    let mut way = vec![(1, told("Odd", "dst-a", 1))];
    for n in 0..Limits::default().attempts_max {
        way.extend(succeeds_and_fails(n, 10 + u64::from(n) * 100));
    }
    check(&way, "quarantined");
}

#[test]
fn a_canary_that_fails_with_its_own_cause_is_counted_on_the_circuit() {
    let way = [
        (5, told("DstBucketUnversioned", "dst-a", 1)),
        (10, launched(1, true)),
        (99, judged(1, 90, Some("DstBucketUnversioned"), true)),
    ];
    let (entry, effects) = live(&way);
    let entry = entry.unwrap();
    assert_eq!((word(&entry.state), entry.attempts), ("held", 0));
    assert!(
        matches!(effects.last(), Some(Effect::Failed { tried, causes, .. }) if tried == causes)
    );
    let other =
        [way[0].clone(), way[1].clone(), (99, judged(1, 90, Some("DstKmsKeyNotFound"), true))];
    assert_eq!(live(&other).0.unwrap().attempts, 1);
}

#[test]
fn a_canary_that_was_replicated_already_proves_nothing() {
    let held = told("DstPutObjectNotPermitted", "dst-a", 1);
    let done = judged(1, 90, Some("SrcReplicationNotPending"), true);
    let way = [(5, held), (10, launched(1, true)), (99, done)];
    check(&way, "confirming");
    let (_, effects) = live(&[&way[..], &[(100, Fact::Seen(Status::Completed))]].concat());
    let left = effects.iter().find(|effect| matches!(effect, Effect::Left { .. }));
    assert!(matches!(left, Some(Effect::Left { tried, .. }) if tried.is_empty()), "{effects:?}");
}

#[test]
fn a_verdict_changes_only_the_row_that_flies_under_its_job() {
    let way =
        [(5, told("Odd", "dst-a", 1)), (10, launched(1, false)), (99, judged(2, 90, None, false))];
    check(&way, "in flight");
    check(&[(5, told("Odd", "dst-a", 1)), (99, judged(1, 90, None, false))], "waiting");
}

#[test]
fn a_row_that_its_job_never_reached_returns_without_an_attempt() {
    let unreported = |complete| Fact::Unreported { plan: plan(1), complete };
    let way = vec![(5, told("Odd", "dst-a", 1)), (10, launched(1, false))];
    let mut failed = way.clone();
    failed.push((99, unreported(false)));
    let entry = live(&failed).0.unwrap();
    assert_eq!((entry.state, entry.attempts), (State::Waiting { not_before: at(99) }, 0));
    let mut complete = way;
    complete.push((99, unreported(true)));
    check(&complete, "confirming");
    // Else a report that can never be read would buy job after job.
    assert_eq!(live(&complete).0.unwrap().attempts, 1);
}

#[test]
fn a_status_that_stays_pending_is_asked_for_later_and_later_and_not_for_ever() {
    let mut way = vec![(5, not_tracked(1))];
    for n in 0..CONFIRM_CADENCE_MS.len() as u64 {
        way.push((100_000 * (n + 1), Fact::Seen(Status::Pending)));
        check(&way, "confirming");
    }
    let unread = |n: u64| (9_000_000 + n, Fact::Seen(Status::Unread));
    check(&[&way[..], &[(9_000_000, Fact::Seen(Status::Pending))]].concat(), "unproved");
    // What cannot be read proves nothing, however long.
    check(&[&way[..], &(0..50).map(unread).collect::<Vec<_>>()].concat(), "confirming");
}

#[test]
fn a_tombstone_is_forgotten_only_when_no_queue_can_hold_its_event() {
    let way =
        |days: u64| vec![(5, told("SrcKeyNotFound", "dst-a", 1)), (days * 86_400, Fact::Aged)];
    assert!(live(&way(14)).0.is_some());
    assert!(live(&way(16)).0.is_none());
}

/// Every state meets every fact: none panics, and what means nothing changes nothing.
#[test]
fn the_table_is_total() {
    let states = [
        vec![],
        vec![(5, told("Odd", "dst-a", 1))],
        vec![(5, told("DstBucketNotFound", "dst-a", 1))],
        vec![(5, told("DstObjectHardDeleted", "dst-a", 1))],
        vec![(5, told("SrcKeyNotFound", "dst-a", 1))],
        vec![(5, told("Odd", "dst-a", 1)), (10, launched(1, false))],
        vec![(5, not_tracked(1))],
    ];
    let mut facts = vec![Fact::Released, launched(2, true), Fact::Aged, told("Odd", "dst-b", 500)];
    facts.push(not_tracked(500));
    facts.extend(
        [None, Some("Odd"), Some("SrcKeyNotFound"), Some("SrcReplicationNotPending")]
            .map(|reason| judged(1, 90, reason, true)),
    );
    facts.extend([true, false].map(|complete| Fact::Unreported { plan: plan(1), complete }));
    for status in [
        Status::Completed,
        Status::Pending,
        Status::Failed,
        Status::Absent,
        Status::Gone,
        Status::Unread,
        Status::Unreadable,
    ] {
        facts.push(Fact::Seen(status));
    }
    let mut changed = 0;
    for state in &states {
        let before = live(state).0;
        for fact in &facts {
            let mut way = state.clone();
            way.push((600, fact.clone()));
            changed += u32::from(live(&way).0 != before);
        }
    }
    // By hand, from the rules: released 1 (held), launched 2 (waiting, held), aged 0, told of a failure
    // 7 (all), of no tracking 2 (unknown, left), judged 4 x 1 and unreported 2 x 1 (in flight), seen
    // 7 x 1 (confirming).
    assert_eq!(changed, 25);
}
