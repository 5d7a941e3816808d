//! The binary that Lambda starts, on the wire from end to end: a Runtime API that hands it its events,
//! settings from the environment, and the AWS SDK over a socket to an endpoint that is set as for any
//! AWS tool. S3 Control is among what it calls, whose host names no loopback address survives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use resilver_emulator::world::fault::Service;
use resilver_lambda::{Answer, Aws, Function, JOB_ROLE};
use serde_json::{Value, json};

const HEAD: &str = "ledger/photos/head.json";

fn launch(aws: &Aws) -> Function {
    let settings = [("RESILVER_JOB_ROLE_ARN", JOB_ROLE)];
    aws.function(env!("CARGO_BIN_EXE_resilver-launch"), &settings)
}

/// A bucket one of whose versions failed, of something that nobody knows: it is tried again.
async fn failed() -> Aws {
    let aws = Aws::replicating().await;
    let row = "a%20b,v1,failed,2026-01-01T00:00:00.000Z,BrandNew,\n";
    aws.keep("failures/photos/1.csv", row);
    aws
}

/// The schedule, every five minutes.
fn tick(n: u32) -> Value {
    json!({ "time": format!("2026-01-01T01:{:02}:00Z", n * 5) })
}

#[track_caller]
fn is_one_job(aws: &Aws, why: &str) {
    aws.with(|world| {
        let jobs: Vec<_> = world.jobs.iter().collect();
        let [job] = jobs.as_slice() else { panic!("{why}: {} jobs", jobs.len()) };
        let description = job.request.description.as_deref().unwrap();
        assert!(description.starts_with("resilver/photos/"), "{description}");
    });
    let manifests: String = aws.state("manifests/").into_values().collect();
    assert!(manifests.contains("photos,a%20b,v1"), "{why}: {manifests}");
    let head: Value = serde_json::from_str(&aws.state(HEAD)[HEAD]).unwrap();
    assert_eq!(head["flights"].as_object().map(|it| it.len()), Some(1), "{why}: {head}");
    assert_eq!(head["launching"], Value::Null, "{why}: {head}");
    assert_eq!(head["counts"]["in_flight"], 1, "{why}: {head}");
}

#[tokio::test]
async fn a_function_that_cannot_start_names_every_setting_that_it_misses() {
    let aws = Aws::new().await;
    let said = launch(&aws).but_with(&[("RESILVER_LIMITS", "{\"day_jobs\": 1}")]);
    let said = said.fails_to_start().await;
    for name in ["RESILVER_ACCOUNT", "RESILVER_STATE_BUCKET", "RESILVER_JOB_ROLE_ARN"] {
        assert!(said.contains(&format!("{name} is not set")), "{said}");
    }
    assert!(said.contains("RESILVER_LIMITS cannot be read"), "{said}");
}

#[tokio::test]
async fn it_answers_the_runtime_and_starts_a_job() {
    let aws = failed().await;
    let mut process = launch(&aws).start().await;
    let answer = process.done(&tick(0)).await;
    assert_eq!(answer["launched"][0]["outcome"], "started", "{answer} {}", process.log());
    is_one_job(&aws, "undisturbed");
    let answer = process.done(&tick(1)).await;
    assert_eq!(answer, json!({"launched": []}), "the process goes on");
}

#[tokio::test]
async fn an_event_without_a_time_is_an_error_and_the_process_goes_on() {
    let aws = failed().await;
    let mut process = launch(&aws).start().await;
    let Answer::Failed(error) =
        process.invoke(&json!({"time": "<aws.scheduler.scheduled-time>"})).await
    else {
        panic!("what time is it?")
    };
    assert!(
        error["errorMessage"].as_str().unwrap().contains("no time that can be read"),
        "{error}"
    );
    process.done(&tick(0)).await;
    is_one_job(&aws, "after an error");
}

/// Kills it at the `n`th request to a service, and lets others finish; false if it makes fewer.
async fn killed_at(service: Service, n: u32) -> bool {
    let aws = failed().await;
    aws.hold(service, None, n);
    let mut process = launch(&aws).start().await;
    if process.invoke_until(&tick(0), || aws.holds()).await.is_some() {
        return false;
    }
    let mut other = launch(&aws).start().await;
    for n in 1..3 {
        other.done(&tick(n)).await;
    }
    is_one_job(&aws, &format!("killed at request {n} to {service:?}"));
    assert_eq!(aws.state("failures/"), Default::default(), "what is folded is deleted");
    true
}

#[tokio::test]
async fn killed_at_any_of_its_requests_to_s3_it_loses_nothing_and_starts_one_job() {
    let mut n = 0;
    while killed_at(Service::S3, n).await {
        n += 1;
    }
    assert!(n > 10, "it reads and writes more than {n} times");
}

#[tokio::test]
async fn killed_at_any_of_its_requests_about_jobs_it_starts_one_job() {
    let mut n = 0;
    while killed_at(Service::Control, n).await {
        n += 1;
    }
    assert!(n > 0, "it asks for a job");
}

#[tokio::test]
async fn a_launch_whose_time_is_over_is_finished_by_the_next() {
    let aws = failed().await;
    aws.hold(Service::Control, Some("CreateJob"), 0);
    let mut process = launch(&aws).start().await;
    let time = Duration::from_millis(2_500);
    assert_eq!(process.invoke_within(time, &tick(0)).await, Answer::TimedOut);
    assert!(aws.holds(), "{}", process.log());
    launch(&aws).start().await.done(&tick(1)).await;
    is_one_job(&aws, "after a timeout");
}
