//! The binary that Lambda starts, woken by its schedule and by the trail: a configuration is remembered, and a
//! process that is killed in the middle changes nothing of what comes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use resilver_emulator::world::fault::Service;
use resilver_emulator::world::ops::bucket;
use resilver_emulator::world::replication::rules::{ReplicationConfig, Rule};
use resilver_lambda::{ACCOUNT, Answer, Aws, Function, REGION};
use serde_json::{Value, json};

fn backfill(aws: &Aws) -> Function {
    aws.function(env!("CARGO_BIN_EXE_resilver-backfill"), &[])
}

fn tick(minute: u32) -> Value {
    json!({ "time": format!("2026-01-01T01:{minute:02}:00Z") })
}

/// The bucket is enrolled, its configuration is known, and then it gets another destination.
async fn changed() -> Aws {
    let aws = Aws::replicating().await;
    // Only the name says what is enrolled.
    aws.keep("enrolled/photos.json", "{}");
    let mut process = backfill(&aws).start().await;
    for minute in [0, 5, 10] {
        assert_eq!(process.done(&tick(minute)).await, json!({"buckets": 1}));
    }
    assert_eq!(
        aws.state("backfills/"),
        BTreeMap::new(),
        "the first configuration asks for nothing"
    );
    aws.with(|world| {
        bucket::create(world, "second", ACCOUNT, REGION).unwrap();
        let on = resilver_emulator::world::bucket::Versioning::Enabled;
        bucket::put_versioning(world, "second", on).unwrap();
        let role = format!("arn:aws:iam::{ACCOUNT}:role/replication").into();
        let rules = [Rule::to_bucket("all", 1, "replica"), Rule::to_bucket("more", 2, "second")];
        let config = ReplicationConfig { role, rules: rules.map(Into::into).into() };
        bucket::put_replication(world, "photos", Some(config)).unwrap();
    });
    aws
}

/// What it leaves behind once the change is believed.
fn left(aws: &Aws) -> BTreeMap<String, String> {
    ["backfills/", "outbox/"].iter().flat_map(|prefix| aws.state(prefix)).collect()
}

async fn undisturbed() -> BTreeMap<String, String> {
    let aws = changed().await;
    let mut process = backfill(&aws).start().await;
    process.done(&tick(15)).await;
    assert_eq!(aws.state("backfills/"), BTreeMap::new(), "not believed yet");
    process.done(&tick(20)).await;
    assert_eq!(aws.state("backfills/photos/").len(), 1);
    left(&aws)
}

#[tokio::test]
async fn a_function_that_cannot_start_names_every_setting_that_it_misses() {
    let aws = Aws::new().await;
    let broken = [("RESILVER_LIMITS", "{\"sweep\": 7}")];
    let said = backfill(&aws).but_with(&broken).fails_to_start().await;
    for what in [
        "RESILVER_ACCOUNT is not set",
        "RESILVER_STATE_BUCKET is not set",
        "RESILVER_LIMITS cannot be read",
    ] {
        assert!(said.contains(what), "{said}");
    }
}

#[tokio::test]
async fn an_event_of_the_trail_makes_it_look_at_one_bucket_and_one_of_others_at_none() {
    let aws = changed().await;
    let mut process = backfill(&aws).start().await;
    for (bucket, buckets) in [("photos", 1), ("somebody-elses", 0)] {
        let event = json!({
            "version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3",
            "time": "2026-01-01T01:15:00Z", "region": REGION, "account": ACCOUNT, "resources": [],
            "detail": {"eventSource": "s3.amazonaws.com", "eventName": "PutBucketReplication",
                "requestParameters": {"bucketName": bucket}},
        });
        assert_eq!(process.done(&event).await, json!({ "buckets": buckets }));
    }
}

#[tokio::test]
async fn killed_at_any_of_its_requests_the_next_plans_the_same_once() {
    let wanted = undisturbed().await;
    let mut killed = 0;
    loop {
        let aws = changed().await;
        backfill(&aws).start().await.done(&tick(15)).await;
        aws.hold(Service::S3, None, killed);
        let mut process = backfill(&aws).start().await;
        if process.invoke_until(&tick(20), || aws.holds()).await.is_some() {
            break;
        }
        killed += 1;
        backfill(&aws).start().await.done(&tick(20)).await;
        assert_eq!(left(&aws), wanted, "killed at request {killed}");
    }
    assert!(killed >= 5, "it reads the bucket and writes a plan: {killed}");
}

#[tokio::test]
async fn a_look_whose_time_is_over_is_made_again() {
    let aws = changed().await;
    backfill(&aws).start().await.done(&tick(15)).await;
    aws.hold(Service::S3, Some("PutObject"), 0);
    let mut process = backfill(&aws).start().await;
    let time = Duration::from_millis(1_500);
    assert_eq!(process.invoke_within(time, &tick(20)).await, Answer::TimedOut);
    backfill(&aws).start().await.done(&tick(25)).await;
    assert_eq!(aws.state("backfills/photos/").len(), 1);
}
