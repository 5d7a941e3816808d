#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::json;

use super::*;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/recorded/", $name))
    };
}

fn record() -> Value {
    let message: Value = serde_json::from_str(recorded!("failure-event.json")).unwrap();
    message["Records"][0].clone()
}

fn documented() -> Failure {
    Failure {
        bucket: Bucket::try_from("amzn-s3-demo-bucket1".to_owned()).unwrap(),
        key: Key::try_from("replication-object-put-test.png".to_owned()).unwrap(),
        version: VersionId::try_from("abcdeH0Xp66ep__QDjR76LK7Gc9X4wKO".to_owned()).unwrap(),
        at: Timestamp::parse("2024-09-05T21:04:32.527Z").unwrap(),
        reason: Reason::parse("AssumeRoleNotPermitted"),
        destination: Some(Bucket::try_from("amzn-s3-demo-bucket2".to_owned()).unwrap()),
        rule: Some("notification-test-replication-rule".to_owned()),
        operation: Some("OBJECT_PUT".to_owned()),
    }
}

#[test]
fn the_documented_event_is_read_bare_and_wrapped() {
    let bare = recorded!("failure-event.json");
    for body in [bare, recorded!("failure-event-by-sns.json")] {
        let reading = read_message(body);
        assert_eq!(reading.events, [Event::Failed(documented())]);
        assert_eq!(reading.rejects, []);
    }
}

#[test]
fn a_test_event_is_counted() {
    let reading = read_message(recorded!("test-event.json"));
    assert_eq!(reading, Reading { test_events: 1, ..Reading::default() });
}

/// Changes one field of the documented record.
fn check(pointer: &str, value: Value, expected: Result<Event, &str>) {
    let mut record = record();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = record.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => parent.remove(field),
        value => parent.insert(field.to_owned(), value),
    };
    let body = json!({"Records": [record, self::record()]}).to_string();
    let reading = read_message(&body);
    assert_eq!(reading.events.last(), Some(&Event::Failed(documented())), "the neighbour is read");
    match expected {
        Ok(event) => assert_eq!(reading.events[0], event, "{pointer}"),
        Err(why) => {
            assert_eq!(reading.events.len(), 1);
            assert_eq!(reading.rejects[0].text, record.to_string());
            assert!(reading.rejects[0].why.contains(why), "{:?}", reading.rejects[0]);
        }
    }
}

#[test]
fn a_record_is_read_whatever_it_has_besides_what_we_need() {
    let same = documented();
    let unknown = Failure { reason: Reason::parse("BrandNew"), ..same.clone() };
    let silent = Failure { reason: Reason::unspecified(), ..same.clone() };
    let nowhere = Failure { destination: None, ..same.clone() };
    let data = "/replicationEventData";
    check("/eventVersion", json!("2.6"), Ok(Event::Failed(same.clone())));
    check("/somethingNew", json!({"a": 1}), Ok(Event::Failed(same.clone())));
    check(
        "/eventName",
        json!("s3:Replication:OperationFailedReplication"),
        Ok(Event::Failed(same.clone())),
    );
    check("/eventName", json!("Replication:OperationNotTracked"), Ok(Event::NotTracked(same)));
    check("/eventName", json!("Replication:OperationMissedThreshold"), Ok(Event::MissedThreshold));
    check("/eventName", json!("ObjectCreated:Put"), Ok(Event::Other("ObjectCreated:Put".into())));
    check(&format!("{data}/failureReason"), json!("BrandNew"), Ok(Event::Failed(unknown)));
    check(&format!("{data}/failureReason"), Value::Null, Ok(Event::Failed(silent)));
    for odd in [json!("?"), json!(7), Value::Null] {
        check(&format!("{data}/destinationBucket"), odd, Ok(Event::Failed(nowhere.clone())));
    }
    let bare = Failure { reason: Reason::unspecified(), rule: None, operation: None, ..nowhere };
    for odd in [json!([]), json!("?"), Value::Null] {
        check(data, odd, Ok(Event::Failed(bare.clone())));
    }
}

#[test]
fn a_record_that_cannot_be_read_is_kept_and_its_neighbour_collected() {
    check("/eventVersion", json!("3.0"), Err("3.0 is not 2.x"));
    check("/eventTime", json!("noon"), Err("no time"));
    check("/eventName", Value::Null, Err("no eventName"));
    check("/s3/object/versionId", Value::Null, Err("no versionId"));
    check("/s3/object/key", json!("%"), Err("not encoded"));
    check("/s3/bucket/name", json!("X"), Err("no bucket name"));
    check("/s3/object", json!(7), Err("expected struct"));
}

#[test]
fn a_message_that_cannot_be_read_is_kept_byte_for_byte() {
    let alone = r#"{ "Records": [ {"eventName": "Replication:OperationFailedReplication"} ] }"#;
    for body in [alone, "", "{", "null", "[]", "{\"Records\": 3}", "{\"Message\": \"{\"}", "\u{0}é"]
    {
        let reading = read_message(body);
        assert_eq!(reading.rejects[0].text, body);
        assert_eq!(reading.events, []);
    }
}

#[test]
fn an_event_of_the_future_is_dated_by_its_message() {
    let sent = Timestamp::parse("2024-09-05T21:05:00Z").unwrap();
    let late = Failure { at: Timestamp::parse("9999-01-01T00:00:00Z").unwrap(), ..documented() };
    let expected = Event::Failed(Failure { at: sent, ..documented() });
    assert_eq!(Event::Failed(late).no_later_than(sent), expected);
    assert_eq!(Event::Failed(documented()).no_later_than(sent), Event::Failed(documented()));
}
