#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;

use super::stamp::form_encoded;
use super::{Entry, NotificationConfig, Target, set};
use crate::world::replication::lab::Lab;
use crate::world::{ops, queue};

fn config(entries: Vec<Entry>) -> NotificationConfig {
    NotificationConfig { entries, event_bridge: true }
}

fn filtered(id: &str, event: &str, prefix: &str, suffix: &str) -> Entry {
    let arn = "arn:aws:sqs:us-east-1:111122223333:failures";
    let rules =
        vec![("Prefix".to_owned(), prefix.to_owned()), ("suffix".to_owned(), suffix.to_owned())];
    Entry { filter: Some(rules), ..Entry::queue(id, arn, &[event]) }
}

#[test]
fn a_failure_is_told_in_the_published_shape() {
    let mut lab = Lab::new();
    lab.deny("s3:ReplicateObject");
    let id = lab.put("a dir/ü+1.txt");
    lab.settle();
    let records = lab.records();
    let record = &records[0];
    let check = |pointer: &str, expected: &str| {
        assert_eq!(record.pointer(pointer).and_then(Value::as_str), Some(expected), "{pointer}");
    };
    check("/eventVersion", "2.2");
    check("/eventSource", "aws:s3");
    check("/awsRegion", "us-east-1");
    check("/eventTime", "2026-01-01T00:00:02.000Z");
    check("/eventName", "Replication:OperationFailedReplication");
    check("/userIdentity/principalId", "s3.amazonaws.com");
    check("/requestParameters/sourceIPAddress", "s3.amazonaws.com");
    check("/s3/configurationId", "failures");
    check("/s3/bucket/name", "src");
    check("/s3/bucket/arn", "arn:aws:s3:::src");
    check("/s3/bucket/ownerIdentity/principalId", "111122223333");
    check("/s3/object/key", "a+dir/%C3%BC%2B1.txt");
    check("/s3/object/versionId", &id);
    check("/replicationEventData/replicationRuleId", "r1");
    check("/replicationEventData/destinationBucket", "arn:aws:s3:::dst");
    check("/replicationEventData/s3Operation", "OBJECT_PUT");
    check("/replicationEventData/requestTime", "2026-01-01T00:00:00.000Z");
    check("/replicationEventData/failureReason", "DstPutObjectNotPermitted");
    let request = record["responseElements"]["x-amz-request-id"].as_str().unwrap();
    assert_eq!((request.len(), request.matches('-').count()), (36, 4), "a UUID");
    assert_eq!(record["s3"]["object"]["size"], 22);
}

#[test]
fn faults_double_and_delay_messages() {
    let mut lab = Lab::new();
    lab.deny("s3:ReplicateObject");
    lab.world.faults.duplicate_per_mille = 1_000;
    lab.put("k");
    lab.settle();
    lab.world.faults.duplicate_per_mille = 0;
    assert_eq!(lab.reasons().len(), 2);
    lab.world.faults.reorder_per_mille = 500;
    for at in 0..50 {
        lab.put(&format!("{at:02}"));
    }
    lab.settle();
    lab.world.faults.reorder_per_mille = 0;
    let records = lab.records();
    let keys: Vec<_> =
        records.iter().map(|it| it["s3"]["object"]["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 50);
    assert!(!keys.is_sorted(), "some came out of order");
}

#[test]
fn a_document_is_refused_for_what_is_wrong_in_it() {
    let check = |code: &str, entries: Vec<Entry>| {
        let mut lab = Lab::new();
        let before = lab.world.buckets["src"].notification.clone();
        let answer = set(&mut lab.world, "src", config(entries), false);
        assert_eq!(answer.err().map_or(String::new(), |refusal| refusal.code), code);
        assert_eq!(lab.world.buckets["src"].notification == before, !code.is_empty());
    };
    let failed = "s3:Replication:OperationFailedReplication";
    check("", vec![filtered("a", failed, "a/", ""), filtered("b", failed, "b/", "")]);
    check("", vec![filtered("a", failed, "a/", ".x"), filtered("b", failed, "a/", ".y")]);
    check("", vec![filtered("a", failed, "", ""), filtered("b", "s3:ObjectCreated:*", "", "")]);
    let bad = "InvalidArgument";
    check(bad, vec![filtered("a", failed, "a/", ""), filtered("b", "s3:Replication:*", "a/b", "")]);
    check(bad, vec![filtered("a", failed, "a/", ""), filtered("a", failed, "b/", "")]);
    check(bad, vec![filtered("a", "s3:Replicated:*", "", "")]);
    check(bad, vec![filtered("a", "s3:Replication:OperationFailed", "", "")]);
    check(bad, vec![Entry::queue("a", "arn:aws:sqs:eu-west-1:111122223333:failures", &[failed])]);
    check(bad, vec![Entry::queue("a", "arn:aws:sns:us-east-1:111122223333:failures", &[failed])]);
    check(bad, vec![Entry::queue("a", "arn:aws:sqs:us-east-1:111122223333:q.fifo", &[failed])]);
    check(bad, vec![Entry::queue("a", "arn:aws:sqs:us-east-1:111122223333:none", &[failed])]);
    let topic = Entry {
        target: Target::Topic,
        arn: "arn:aws:sns:x:1:t".into(),
        ..filtered("t", failed, "", "")
    };
    check("", vec![topic.clone()]);
    check(bad, vec![topic, filtered("q", failed, "", "")]);
}

#[test]
fn a_document_has_a_hundred_entries_at_most() {
    let entry = |n: usize| filtered(&n.to_string(), "s3:ObjectCreated:*", &format!("{n:03}/"), "");
    for (entries, fits) in [(100, true), (101, false)] {
        let mut lab = Lab::new();
        let answer = set(&mut lab.world, "src", config((0..entries).map(entry).collect()), true);
        assert_eq!(answer.is_ok(), fits, "{entries}: {answer:?}");
    }
}

#[test]
fn a_new_document_sends_a_test_event_unless_told_not_to() {
    let mut lab = Lab::new();
    let arn = "arn:aws:sqs:us-east-1:111122223333:failures";
    let entries = || config(vec![Entry::queue("", arn, &["s3:ObjectCreated:*"])]);
    set(&mut lab.world, "src", entries(), true).unwrap();
    assert!(queue::receive(&mut lab.world, arn, 1, None).unwrap().is_empty());
    set(&mut lab.world, "src", entries(), false).unwrap();
    let messages = queue::receive(&mut lab.world, arn, 10, None).unwrap();
    let body: Value = serde_json::from_str(&messages[0].0.body).unwrap();
    assert_eq!(
        (body["Event"].as_str(), body["Bucket"].as_str()),
        (Some("s3:TestEvent"), Some("src"))
    );
    assert!(body.get("Records").is_none());
    assert!(!lab.world.buckets["src"].notification.entries[0].id.is_empty(), "an id was made");
}

#[test]
fn ordinary_events_reach_the_queue_too() {
    let mut lab = Lab::new();
    let arn = "arn:aws:sqs:us-east-1:111122223333:failures";
    let entry = Entry::queue("all", arn, &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]);
    set(&mut lab.world, "dst", config(vec![entry]), true).unwrap();
    let id = lab.put("k");
    lab.settle();
    let records = lab.records();
    assert_eq!(
        records[0]["eventName"], "ObjectCreated:Put",
        "the replica is an object like any other"
    );
    assert_eq!(records[0]["s3"]["object"]["versionId"], id.as_str());
    assert!(records[0].get("replicationEventData").is_none());
    ops::delete::key(&mut lab.world, "dst", "k", &Default::default()).unwrap();
    lab.settle();
    assert_eq!(lab.records()[0]["eventName"], "ObjectRemoved:DeleteMarkerCreated");
}

#[test]
fn keys_are_form_encoded() {
    let check = |key: &str, expected: &str| assert_eq!(form_encoded(key), expected);
    check("red flower.jpg", "red+flower.jpg");
    check("a+b/c", "a%2Bb/c");
    check("ü,\"\n", "%C3%BC%2C%22%0A");
    check("100%", "100%25");
}
