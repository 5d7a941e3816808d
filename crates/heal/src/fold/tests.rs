#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::entry::{Blame, Outcome};
use crate::key::{Bucket, Key, VersionId};
use crate::limits::{Limits, TOMBSTONE_MS};
use crate::reason::Reason;
use crate::segment::Said;

const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn id() -> ObjectVersion {
    ObjectVersion {
        key: Key::try_from("a key".to_owned()).unwrap(),
        version: VersionId::try_from("v1".to_owned()).unwrap(),
    }
}

fn plan() -> PlanId {
    PlanId::try_from("plan-0001".to_owned()).unwrap()
}

fn told(at: Timestamp) -> Record {
    let destination = Bucket::try_from("replica-a".to_owned()).ok();
    let blame = Blame { reason: Reason::parse("DstBucketUnversioned"), destination, at };
    Record::Told(FailureRow { id: id(), said: Said::Failed, blame })
}

fn entry(state: State) -> Entry {
    Entry { state, ..Entry::new(id(), NOW.minus_ms(9)) }
}

fn fold(group: Vec<Record>) -> (Option<Entry>, Vec<Effect>) {
    let landings = BTreeMap::new();
    let limits = Limits::default();
    let given = Given { now: NOW, limits: &limits };
    let folding = Folding { given, landings: &landings, listed_at: NOW };
    let mut effects = Vec::new();
    let folded = folding.fold(group, &mut effects);
    (folded.entry, effects)
}

#[track_caller]
fn check(group: Vec<Record>, changed: bool) {
    let (entry, effects) = fold(group);
    assert_eq!(effects.contains(&Effect::Changed), changed, "{entry:#?} {effects:#?}");
}

#[test]
fn whatever_changes_a_row_says_so_and_nothing_else_does() {
    let flying = State::InFlight { plan: plan(), since: NOW.minus_ms(5), canary: true };
    let left = |ago| State::Left { outcome: Outcome::Healed, at: NOW.minus_ms(ago) };
    check(vec![told(NOW)], true);
    check(vec![Record::Entry(entry(State::Held))], false);
    // An echo of a row's own attempt changes nothing that is counted, and yet has to be written.
    check(vec![Record::Entry(entry(flying.clone())), told(NOW)], true);
    let (echoed, _) = fold(vec![Record::Entry(entry(flying)), told(NOW)]);
    check(vec![Record::Entry(echoed.unwrap()), told(NOW)], false);
    check(vec![Record::Entry(entry(left(3))), told(NOW.minus_ms(4))], false);
    check(vec![Record::Entry(entry(left(TOMBSTONE_MS)))], false);
    check(vec![Record::Entry(entry(left(TOMBSTONE_MS + 1)))], true);
}

#[test]
fn a_job_takes_no_more_rows_than_its_report_may_have_bytes() {
    let limits = Limits { job_report_bytes_max: 1_000, ..Limits::default() };
    let given = Given { now: NOW, limits: &limits };
    let goes_up = |length: usize| {
        let mut marks = Marks { plan: Some((plan(), 100)), ..Marks::default() };
        let row = |n: usize| {
            let key = Key::try_from(format!("{n:0length$}")).unwrap();
            let waiting = entry(State::Waiting { not_before: NOW });
            let entry = Some(Entry { id: ObjectVersion { key, ..id() }, ..waiting });
            Folded { entry, listed: None, id: None }
        };
        (0..100).filter(|n| marks.mark(&given, row(*n)).1).count()
    };
    assert_eq!(goes_up(2), 10, "100 bytes each: 2 and 2 of the row, and what S3 says of it");
    assert_eq!(goes_up(102), 5);
    assert_eq!(goes_up(1_000), 1, "one goes up however long it is");
}
