//! What a launch holds of a million failures: its buffers. It folds failures and ledger as streams; measured
//! is the process that Lambda starts. `ROWS=1000000` takes so many.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fmt::Write;
use std::time::Duration;

use resilver_lambda::{Answer, Aws, JOB_ROLE, Process, rows};
use serde_json::{Value, json};

/// Segments that are folded together. Each has a buffer of at most 4 MiB, so 64 MiB of what is measured.
const SEGMENTS: usize = 16;
/// The most that the process may have held, in bytes, of however many rows. The template gives it 1,769 MB.
const PEAK_MAX: u64 = 160 << 20;
/// The function's timeout in the template.
const TIMEOUT: Duration = Duration::from_secs(900);
const HEAD: &str = "ledger/photos/head.json";

/// Segments whose versions are interleaved, so that all of them are read at once.
fn fail(aws: &Aws, rows: usize, at: &str) {
    for segment in 0..SEGMENTS {
        let mut lines = String::new();
        for n in (segment..rows).step_by(SEGMENTS) {
            let key = format!("photos/2026/album-{:04}/image-{n:08}.jpeg", n / 1_000);
            writeln!(lines, "{key},{n:032},failed,{at},BrandNew,replica").unwrap();
        }
        aws.keep(&format!("failures/photos/{at}-{segment:02}.csv"), &lines);
    }
}

async fn tick(process: &mut Process, time: &str, outcome: &str) {
    let answer = process.invoke_within(TIMEOUT, &json!({ "time": time })).await;
    let Answer::Done(answer) = answer else { panic!("{answer:?} {}", process.log()) };
    assert_eq!(answer["launched"][0]["outcome"], outcome, "{answer} {}", process.log());
}

#[tokio::test]
async fn it_folds_a_million_failures_in_the_memory_of_a_few() {
    let rows = rows();
    let aws = Aws::replicating().await;
    let settings = [("RESILVER_JOB_ROLE_ARN", JOB_ROLE)];
    let launch = aws.function(env!("CARGO_BIN_EXE_resilver-launch"), &settings);
    let mut process = launch.start().await;

    fail(&aws, rows, "2026-01-01T00:00:00.000Z");
    tick(&mut process, "2026-01-01T01:00:00Z", "started").await;
    let folded = process.peak_bytes();

    // Now all of them are in the ledger, too.
    fail(&aws, rows, "2026-01-01T01:30:00.000Z");
    tick(&mut process, "2026-01-01T02:00:00Z", "folded").await;
    let again = process.peak_bytes();

    let head: Value = serde_json::from_str(&aws.state(HEAD)[HEAD]).unwrap();
    assert_eq!(head["counts"]["in_flight"], rows, "{head}");
    assert_eq!(head["totals"]["collected"], rows, "{head}");
    assert_eq!(aws.state("failures/").len(), 0, "all of them are folded");
    println!(
        "{rows} failures: {} MiB for their fold, {} MiB with as many in the ledger",
        folded >> 20,
        again >> 20
    );
    assert!(again <= folded + folded / 4, "the ledger is read as a stream, too");
    assert!(again <= PEAK_MAX);
}
