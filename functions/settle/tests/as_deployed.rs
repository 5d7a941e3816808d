//! The binary that Lambda starts, woken by the event that AWS documents: our jobs are settled, others' are left
//! alone, and whoever goes on after a process that was killed comes to the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use resilver_aws::clients::Place;
use resilver_aws::{Clients, Settings, Woken};
use resilver_emulator::Emulator;
use resilver_emulator::world::Config;
use resilver_emulator::world::fault::Service;
use resilver_heal::time::Timestamp;
use resilver_lambda::{ACCOUNT, Answer, Aws, Function, JOB_ROLE, REGION, STATE, rows};
use serde_json::{Value, json};

/// The most that the process may have held, in bytes, of however many rows: the report of 100,000 has two
/// chunks. The template gives it 512 MB.
const PEAK_MAX: u64 = 128 << 20;
const RECORDED: &str = include_str!("../../../tests/recorded/job-status-changed.json");

fn settle(aws: &Aws) -> Function {
    aws.function(env!("CARGO_BIN_EXE_resilver-settle"), &[])
}

/// An account in which a job of ours has ended; its id.
async fn ended() -> (Aws, String) {
    let aws = Aws::replicating().await;
    let row = "a%20b,v1,failed,2026-01-01T00:00:00.000Z,BrandNew,\n";
    aws.keep("failures/photos/1.csv", row);
    let (key, secret) = Config::default().credentials.unwrap();
    let keys = (key.as_str(), secret.as_str());
    let place = Place { endpoint: Emulator::ENDPOINT, region: REGION, account: ACCOUNT, keys };
    let clients = Clients::at(&place, aws.emulator.http_client());
    let settings = [("RESILVER_STATE_BUCKET", STATE), ("RESILVER_JOB_ROLE_ARN", JOB_ROLE)];
    let launch = resilver_launch::Ctx::new(clients, &mut Settings::of(settings));
    let now = Timestamp::parse("2026-01-01T01:00:00Z").unwrap();
    resilver_launch::handle(&launch, &Woken::at(now, "tick"), &json!({})).await.unwrap();
    aws.emulator.advance(600_000);
    let job = aws.with(|world| world.jobs.iter().next().map(|job| job.id.to_string()));
    let job = job.expect("a job");
    assert!(!aws.state("reports/").is_empty(), "the job has ended");
    (aws, job)
}

/// The event of AWS's documentation, about this job.
fn event(job: &str) -> Value {
    let mut event: Value = serde_json::from_str(RECORDED).unwrap();
    event["detail"]["serviceEventDetails"]["jobId"] = json!(job);
    event["time"] = json!("2026-01-01T02:00:00Z");
    event
}

/// What settle leaves behind of a job; job ids and times are the same in every world.
fn left(aws: &Aws) -> BTreeMap<String, String> {
    ["settling/", "verdicts/", "settled/", "outbox/", "rejects/"]
        .iter()
        .flat_map(|it| aws.state(it))
        .collect()
}

/// The same, where nothing was in the way.
async fn undisturbed() -> BTreeMap<String, String> {
    let (aws, job) = ended().await;
    assert_eq!(settle(&aws).start().await.done(&event(&job)).await, json!({"jobs": 1}));
    let left = left(&aws);
    assert!(left.contains_key(&format!("settled/photos/{job}.json")), "{left:#?}");
    assert!(
        left.iter().any(|(key, rows)| key.starts_with("verdicts/") && rows.contains("a%20b")),
        "{left:#?}"
    );
    left
}

#[tokio::test]
async fn a_function_that_cannot_start_names_every_setting_that_it_misses() {
    let aws = Aws::new().await;
    let said = settle(&aws).but_with(&[]).fails_to_start().await;
    for name in ["RESILVER_ACCOUNT", "RESILVER_STATE_BUCKET"] {
        assert!(said.contains(&format!("{name} is not set")), "{said}");
    }
}

#[tokio::test]
async fn the_event_as_aws_documents_it_settles_our_job_and_the_poll_finds_it_settled() {
    let wanted = undisturbed().await;
    let (aws, job) = ended().await;
    let mut process = settle(&aws).start().await;
    // The documented event itself is about a job that this account does not have.
    let foreign: Value = serde_json::from_str(RECORDED).unwrap();
    assert_eq!(process.done(&foreign).await, json!({"jobs": 1}));
    assert_eq!(left(&aws), BTreeMap::new());
    for event in [event(&job), event(&job), json!({"time": "2026-01-01T02:15:00Z"})] {
        process.done(&event).await;
        assert_eq!(left(&aws), wanted);
    }
}

#[tokio::test]
async fn without_an_event_the_poll_settles_it() {
    let (aws, _) = ended().await;
    let tick = json!({"time": "2026-01-01T02:00:00Z"});
    assert_eq!(settle(&aws).start().await.done(&tick).await, json!({"jobs": 1}));
    assert_eq!(left(&aws), undisturbed().await);
}

#[tokio::test]
async fn killed_at_any_of_its_requests_it_is_settled_once_by_the_next() {
    let wanted = undisturbed().await;
    let mut killed = 0;
    loop {
        let (aws, job) = ended().await;
        aws.hold(Service::S3, None, killed);
        let mut process = settle(&aws).start().await;
        if process.invoke_until(&event(&job), || aws.holds()).await.is_some() {
            break;
        }
        killed += 1;
        settle(&aws).start().await.done(&json!({"time": "2026-01-01T02:15:00Z"})).await;
        assert_eq!(left(&aws), wanted, "killed at request {killed}");
    }
    assert!(killed >= 5, "a report is read, verdicts are written: {killed}");
}

#[tokio::test]
async fn a_job_whose_settling_ran_out_of_time_is_settled_by_the_poll() {
    let (aws, job) = ended().await;
    aws.hold(Service::S3, Some("PutObject"), 1);
    let mut process = settle(&aws).start().await;
    let time = Duration::from_millis(1_500);
    assert_eq!(process.invoke_within(time, &event(&job)).await, Answer::TimedOut);
    settle(&aws).start().await.done(&json!({"time": "2026-01-01T02:15:00Z"})).await;
    assert_eq!(left(&aws), undisturbed().await);
}

#[tokio::test]
async fn a_report_of_a_million_rows_is_settled_in_the_memory_of_a_chunk() {
    let rows = rows();
    let (aws, job) = ended().await;
    let results = aws.state("reports/").into_keys().find(|key| key.contains("/results/")).unwrap();
    let mut report = String::new();
    for n in 0..rows {
        let said = if n % 4 == 0 { "failed,500,DstKmsKeyInvalidState" } else { "succeeded,200," };
        writeln!(report, "photos,photos/2026/album/image-{n:08}.jpeg,{n:032},{said},why").unwrap();
    }
    aws.keep(&results, &report);
    let mut process = settle(&aws).start().await;
    process.done(&event(&job)).await;
    let settled = aws.state("settled/").into_values().next().unwrap_or_default();
    let settled: Value = serde_json::from_str(&settled).unwrap();
    let failed = rows.div_ceil(4);
    assert_eq!(settled["succeeded"], rows - failed, "{settled}");
    assert_eq!(settled["failed"], json!([["DstKmsKeyInvalidState", failed]]), "{settled}");
    let peak = process.peak_bytes();
    println!("{rows} rows of a report: {} MiB", peak >> 20);
    assert!(peak <= PEAK_MAX);
}
