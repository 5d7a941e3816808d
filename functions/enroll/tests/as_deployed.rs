//! The binary that Lambda starts, asked by CloudFormation, which waits at a ResponseURL: it hears how it went, of broken
//! settings and of too little time as well; and what a killed process began, the schedule finishes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use resilver_emulator::world::fault::Service;
use resilver_emulator::world::queue;
use resilver_lambda::web::Web;
use resilver_lambda::{Answer, Aws, Function};
use serde_json::{Value, json};

const QUEUE: &str = "arn:aws:sqs:us-east-1:111122223333:failures";
const ENROLLED: &str = "enrolled/photos.json";

async fn account() -> Aws {
    let aws = Aws::replicating().await;
    aws.with(|world| queue::create(world, "failures", 30_000, None)).unwrap();
    aws
}

fn enroll(aws: &Aws) -> Function {
    let settings =
        [("RESILVER_QUEUE_ARN", QUEUE), ("RESILVER_BUCKETS", "photos"), ("RESILVER_STACK", "heal")];
    aws.function(env!("CARGO_BIN_EXE_resilver-enroll"), &settings)
}

/// What CloudFormation asks (CloudFormation User Guide: crpg-ref-requesttypes).
fn request(kind: &str, answer_at: &Web) -> Value {
    json!({
        "RequestType": kind, "ResponseURL": answer_at.url, "RequestId": "r-1",
        "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/heal/1",
        "ResourceType": "Custom::ResilverEnrolment", "LogicalResourceId": "Enrolment",
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:…", "Buckets": ["photos"], "Tag": "", "QueueArn": QUEUE},
    })
}

/// The queues that the bucket tells of its failures.
fn told(aws: &Aws) -> Vec<String> {
    aws.with(|world| {
        let entries = &world.buckets["photos"].notification.entries;
        entries.iter().map(|entry| entry.arn.clone()).collect()
    })
}

#[tokio::test]
async fn cloud_formation_hears_that_the_buckets_are_enrolled_and_that_they_are_let_go() {
    let (aws, stack) = (account().await, Web::new().await);
    let mut process = enroll(&aws).start().await;
    assert_eq!(process.done(&request("Create", &stack)).await, json!({"success": true}));
    assert_eq!(told(&aws), [QUEUE]);
    assert_eq!(process.done(&request("Delete", &stack)).await, json!({"success": true}));
    assert_eq!(told(&aws), [""; 0]);
    let heard = stack.taken();
    assert_eq!(heard.len(), 2, "{heard:?}");
    for answer in &heard {
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        for name in ["StackId", "RequestId", "LogicalResourceId"] {
            assert_eq!(answer[name], request("Create", &stack)[name]);
        }
    }
    assert_eq!(heard[0]["Data"]["Enrolled"], "photos");
    assert_eq!(heard[0]["PhysicalResourceId"], heard[1]["PhysicalResourceId"]);
}

#[tokio::test]
async fn with_settings_missing_it_starts_all_the_same_and_cloud_formation_hears_their_names() {
    let (aws, stack) = (account().await, Web::new().await);
    let mut process = enroll(&aws).but_with(&[("RESILVER_BUCKET_TAG", "heal")]).start().await;
    assert_eq!(process.done(&request("Create", &stack)).await, json!({"success": false}));
    let heard = &stack.taken()[0];
    let reason = heard["Reason"].as_str().unwrap();
    let missing =
        ["RESILVER_ACCOUNT", "RESILVER_STATE_BUCKET", "RESILVER_QUEUE_ARN", "RESILVER_STACK"];
    for name in missing {
        assert!(reason.contains(&format!("{name} is not set")), "{reason}");
    }
    assert!(reason.contains("RESILVER_BUCKET_TAG: write it as key=value"), "{reason}");
    assert_eq!(heard["Status"], "FAILED");
    let tick = json!({"time": "2026-01-01T01:00:00Z"});
    assert!(matches!(process.invoke(&tick).await, Answer::Failed(_)), "nobody else waits for it");
}

#[tokio::test]
async fn when_its_time_runs_out_cloud_formation_hears_that_before_it_does() {
    let (aws, stack) = (account().await, Web::new().await);
    aws.hold(Service::S3, Some("PutBucketNotificationConfiguration"), 0);
    let mut process = enroll(&aws).start().await;
    // Of which the last 15 seconds are for the answer.
    let answer = process.invoke_within(Duration::from_secs(18), &request("Create", &stack)).await;
    assert_eq!(answer, Answer::Done(json!({"success": false})), "{}", process.log());
    let heard = &stack.taken()[0];
    assert_eq!(heard["Status"], "FAILED");
    assert!(heard["Reason"].as_str().unwrap().contains("do it again"), "{heard}");
    assert!(aws.holds(), "it waited for S3");
    // Which is what a person does.
    process.done(&request("Update", &stack)).await;
    assert_eq!(stack.taken()[1]["Status"], "SUCCESS");
    assert_eq!(told(&aws), [QUEUE]);
}

#[tokio::test]
async fn killed_at_any_of_its_requests_the_schedule_finishes_it() {
    let tick = json!({"time": "2026-01-01T01:00:00Z"});
    let mut killed = 0;
    loop {
        let (aws, stack) = (account().await, Web::new().await);
        aws.hold(Service::S3, None, killed);
        let mut process = enroll(&aws).start().await;
        if process.invoke_until(&request("Create", &stack), || aws.holds()).await.is_some() {
            break;
        }
        killed += 1;
        assert_eq!(
            stack.taken(),
            [Value::Null; 0],
            "CloudFormation waits for the second try of Lambda"
        );
        let mut next = enroll(&aws).start().await;
        next.done(&request("Create", &stack)).await;
        assert_eq!(stack.taken()[0]["Status"], "SUCCESS", "killed at request {killed}");
        next.done(&tick).await;
        assert_eq!(told(&aws), [QUEUE], "killed at request {killed}");
        assert!(aws.state("").contains_key(ENROLLED), "killed at request {killed}");
    }
    assert!(killed >= 5, "{killed}");
}
