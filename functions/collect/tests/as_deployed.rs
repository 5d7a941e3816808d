//! The binary that Lambda starts, with a batch of messages as Lambda hands it over: what it answers for each,
//! and that nothing is lost of a batch whose process ends in the middle.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_lambda::{Answer, Aws, Function};
use serde_json::{Value, json};

const EVENT: &str = include_str!("../../../tests/recorded/failure-event.json");
const BY_SNS: &str = include_str!("../../../tests/recorded/failure-event-by-sns.json");
const BROKEN: &str = "{\"Records\": [half a message";
const NOTHING_FAILED: [&str; 0] = [];

fn collect(aws: &Aws) -> Function {
    aws.function(env!("CARGO_BIN_EXE_resilver-collect"), &[])
}

/// Three messages, one of which nobody can read.
fn batch() -> Value {
    let bodies = [EVENT, BROKEN, BY_SNS];
    let records = bodies.iter().enumerate().map(|(n, body)| {
        json!({
            "messageId": format!("m-{n}"), "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:failures", "awsRegion": "us-east-1",
            "attributes": {"SentTimestamp": "1725570275000", "ApproximateReceiveCount": "1"},
            "messageAttributes": {}, "md5OfBody": "0",
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

fn again(ids: &[&str]) -> Value {
    let ids: Vec<Value> = ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": ids })
}

/// The state of a batch that went well.
async fn undisturbed() -> BTreeMap<String, String> {
    let aws = Aws::new().await;
    let answer = collect(&aws).start().await.done(&batch()).await;
    assert_eq!(answer, again(&NOTHING_FAILED), "what cannot be read would be no better next time");
    stored(&aws)
}

/// What is in the state bucket; of notices their names, since they tell when they came to be.
fn stored(aws: &Aws) -> BTreeMap<String, String> {
    let mut state = aws.state("");
    state
        .iter_mut()
        .filter(|(key, _)| key.starts_with("outbox/"))
        .for_each(|(_, text)| text.clear());
    state
}

#[tokio::test]
async fn a_function_that_cannot_start_names_every_setting_that_it_misses() {
    let aws = Aws::new().await;
    let said = collect(&aws).but_with(&[]).fails_to_start().await;
    for name in ["RESILVER_ACCOUNT", "RESILVER_STATE_BUCKET"] {
        assert!(said.contains(&format!("{name} is not set")), "{said}");
    }
}

#[tokio::test]
async fn of_three_messages_one_is_broken_and_kept_and_the_others_are_stored() {
    let state = undisturbed().await;
    let texts = |prefix: &str| {
        let found = state.iter().filter(|(key, _)| key.starts_with(prefix));
        found.map(|(_, text)| text.as_str()).collect::<Vec<_>>()
    };
    let segments = texts("failures/amzn-s3-demo-bucket1/");
    assert_eq!(segments.len(), 1, "{state:#?}");
    assert!(segments[0].contains("AssumeRoleNotPermitted"), "{segments:?}");
    assert_eq!(segments[0].lines().count(), 1, "the same event by two ways is one failure");
    assert_eq!(texts("rejects/events/"), [BROKEN], "byte for byte");
    assert_eq!(texts("outbox/").len(), 1, "and people hear of it");
}

#[tokio::test]
async fn what_cannot_be_stored_comes_again_and_is_stored_by_the_same_process() {
    let aws = Aws::new().await;
    let refuse = Verdict::Refuse { code: "AccessDenied".to_owned(), status: 403 };
    aws.with(|world| {
        world.faults.add(Rule::once(Service::S3, "PutObject", refuse).on("/failures/"))
    });
    let mut process = collect(&aws).start().await;
    assert_eq!(process.done(&batch()).await, again(&["m-0", "m-1", "m-2"]));
    assert_eq!(aws.state("failures/"), BTreeMap::new());
    assert_eq!(process.done(&batch()).await, again(&NOTHING_FAILED));
    assert_eq!(stored(&aws), undisturbed().await);
}

#[tokio::test]
async fn killed_at_any_of_its_requests_the_batch_comes_again_and_is_stored_once() {
    let wanted = undisturbed().await;
    let mut killed = 0;
    loop {
        let aws = Aws::new().await;
        aws.hold(Service::S3, None, killed);
        let mut process = collect(&aws).start().await;
        if process.invoke_until(&batch(), || aws.holds()).await.is_some() {
            break;
        }
        killed += 1;
        assert_eq!(collect(&aws).start().await.done(&batch()).await, again(&NOTHING_FAILED));
        assert_eq!(stored(&aws), wanted, "killed at request {killed}");
    }
    assert!(killed >= 3, "a segment, a reject and a notice are written: {killed}");
}

#[tokio::test]
async fn a_batch_whose_time_is_over_comes_again_and_is_stored_once() {
    let aws = Aws::new().await;
    aws.hold(Service::S3, Some("PutObject"), 1);
    let mut process = collect(&aws).start().await;
    let time = Duration::from_millis(1_500);
    assert_eq!(process.invoke_within(time, &batch()).await, Answer::TimedOut);
    assert_eq!(collect(&aws).start().await.done(&batch()).await, again(&NOTHING_FAILED));
    assert_eq!(stored(&aws), undisturbed().await);
}
