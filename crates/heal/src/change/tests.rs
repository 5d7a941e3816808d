//! Which change may repair what, and that a storm of changes costs little.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::circuit::{Circuit, Probe};
use crate::limits::{EARLY_PROBE_PAUSES_MS, PROBE_CADENCE_MS};
use crate::plan::PlanId;
use crate::reason::Reason;
use crate::time::{days, hours, minutes};

const T: Timestamp = Timestamp(1_767_225_600_000);

fn bucket(name: &str) -> Bucket {
    Bucket::try_from(name.to_owned()).unwrap()
}

fn cause(reason: &str, destination: Option<&str>) -> Fault {
    Fault::Cause(Cause { reason: Reason::parse(reason), destination: destination.map(bucket) })
}

fn plan(n: u64) -> PlanId {
    PlanId::of(T.plus_ms(n), &bucket("src"), "launch")
}

#[test]
fn a_change_tries_what_it_may_repair() {
    let denied = cause("DstPutObjectNotPermitted", Some("dst"));
    let denied_somewhere = cause("DstPutObjectNotPermitted", None);
    let unversioned = cause("DstBucketUnversioned", Some("dst"));
    let disabled = cause("DstKmsKeyInvalidState", Some("dst"));
    let unread = cause("SrcGetObjectNotPermitted", None);
    let tags = cause("SrcGetTaggingNotPermitted", None);
    let missing = cause("SrcBucketReplicationConfigMissing", None);
    let launch = Fault::Launch("AccessDenied".to_owned());
    let all =
        [&denied, &denied_somewhere, &unversioned, &disabled, &unread, &tags, &missing, &launch];
    for (change, tries) in [
        (Change::Bucket(bucket("dst")), vec![&denied, &denied_somewhere, &unversioned, &disabled]),
        (Change::Bucket(bucket("other")), vec![&denied_somewhere]),
        (Change::Bucket(bucket("src")), all[..7].to_vec()),
        (Change::Key, vec![&denied, &denied_somewhere, &disabled, &unread]),
        (Change::Role, vec![&denied, &denied_somewhere, &unread, &tags, &launch]),
    ] {
        let tried = all.into_iter().filter(|fault| change.may_repair(&bucket("src"), fault));
        assert_eq!(tried.collect::<Vec<_>>(), tries, "{change:?}");
    }
    for (service, named, change) in [
        ("s3.amazonaws.com", Some("dst"), Some(Change::Bucket(bucket("dst")))),
        ("s3.amazonaws.com", None, None),
        ("s3.amazonaws.com", Some("../x"), None),
        ("kms.amazonaws.com", None, Some(Change::Key)),
        ("iam.amazonaws.com", None, Some(Change::Role)),
        ("ec2.amazonaws.com", None, None),
    ] {
        assert_eq!(Change::of(service, named), change, "{service} {named:?}");
    }
}

#[test]
fn a_change_makes_a_canary_due_and_keeps_the_cadence() {
    let mut circuit = Circuit::open(cause("DstBucketUnversioned", Some("dst")), T);
    for n in 0..4 {
        circuit.sent(plan(n), circuit.next_probe);
        circuit.wait(circuit.next_probe);
    }
    let regular = circuit.next_probe;
    let seen = Timestamp(regular.0 - hours(2));
    assert!(!circuit.is_due(seen));
    assert!(circuit.saw_change(seen, seen));
    assert!(circuit.is_due(seen));
    circuit.sent(plan(9), seen);
    circuit.failed = 1;
    assert_eq!(circuit.probe(0), Probe::Failed);
    circuit.wait(seen.plus_ms(minutes(5)));
    assert_eq!(circuit.next_probe, regular, "it comes as if there had been no change");
    circuit.sent(plan(10), regular);
    circuit.wait(regular);
    assert_eq!(circuit.next_probe, regular.plus_ms(PROBE_CADENCE_MS[5]));
}

#[test]
fn a_change_while_a_canary_is_out_is_tried_after_it() {
    let mut circuit = Circuit::open(cause("DstBucketUnversioned", Some("dst")), T);
    let sent = circuit.next_probe;
    circuit.sent(plan(1), sent);
    assert!(!circuit.saw_change(sent, sent), "the canary has gone up after it");
    let later = sent.plus_ms(minutes(1));
    assert!(circuit.saw_change(later, later));
    assert!(!circuit.saw_change(later, later), "once");
    assert!(!circuit.is_due(later), "one canary at a time");
    circuit.wait(later.plus_ms(minutes(1)));
    assert!(circuit.is_due(later.plus_ms(minutes(1))));
}

#[test]
fn a_storm_of_changes_costs_a_few_canaries_a_day() {
    let mut circuit = Circuit::open(cause("DstPutObjectNotPermitted", None), T);
    let (mut early, mut all) = (0, 0);
    // A change a minute, for ten days; every canary fails two minutes later.
    for minute in 0..10 * 24 * 60 {
        let now = T.plus_ms(minutes(minute));
        circuit.saw_change(now, now);
        if circuit.is_due(now) {
            early += u64::from(circuit.next_probe > now);
            all += 1;
            circuit.sent(plan(minute), now);
        } else if circuit.probe.is_some() && minute % 2 == 0 {
            circuit.wait(now);
        }
    }
    let most = days(10) / EARLY_PROBE_PAUSES_MS.last().unwrap();
    let few = EARLY_PROBE_PAUSES_MS.len() as u64;
    assert!(early <= most + few, "{early} of {all}");
    assert!(all - early <= 10 + PROBE_CADENCE_MS.len() as u64, "{early} of {all}");
}

#[test]
fn a_head_says_when_the_canary_is_due() {
    let mut head = Head::new(bucket("src"), T);
    head.circuits.push(Circuit::open(cause("DstBucketUnversioned", Some("dst")), T));
    head.next_due = Some(T.plus_ms(minutes(15)));
    let at = T.plus_ms(minutes(1));
    assert!(!Change::Role.note(&mut head, at, at));
    assert!(!Change::Bucket(bucket("other")).note(&mut head, at, at));
    assert_eq!(head.next_due, Some(T.plus_ms(minutes(15))));
    assert!(Change::Bucket(bucket("dst")).note(&mut head, at, at));
    assert_eq!(head.next_due, Some(at));
    assert!(!Change::Bucket(bucket("dst")).note(&mut head, at, at), "it is known");
}
