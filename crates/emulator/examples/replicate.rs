//! How fast a batch job replicates inside the emulator, and what a world weighs:
//!
//! ```text
//! cargo run --release -p resilver-emulator --example replicate -- 200000
//! ```
//!
//! Writes that many versions of 1 KiB that all fail to replicate, repairs the cause, runs one batch job over
//! them, and prints objects a second of processor time and the peak of memory. Ends with 1 if a version was
//! not replicated, or if the peak is above a gibibyte for 200,000 versions (in proportion for others).
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::process::ExitCode;
use std::time::Instant;

use resilver_emulator::world::bucket::Versioning;
use resilver_emulator::world::iam::Role;
use resilver_emulator::world::jobs::operation::Operation;
use resilver_emulator::world::jobs::request::{Manifest, Report, Request, Source};
use resilver_emulator::world::jobs::{self, Status};
use resilver_emulator::world::object::ReplicationStatus;
use resilver_emulator::world::ops::{self, put};
use resilver_emulator::world::replication::rules::{ReplicationConfig, Rule};
use resilver_emulator::world::{Config, World};

const REPLICATION: &str = "arn:aws:iam::111122223333:role/replication";
const JOB: &str = "arn:aws:iam::111122223333:role/job";

/// The bound: so many bytes of peak for so many versions, each with its replica.
const PEAK_MAX: u64 = 1 << 30;
const VERSIONS: u64 = 200_000;

fn main() -> ExitCode {
    let count: u64 = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(VERSIONS);
    let mut world = world();
    let started = Instant::now();
    for at in 0..count {
        // Bytes of its own for each: nothing is shared but between a source and its replica.
        let mut body = vec![0u8; 1_024];
        body.iter_mut().zip(at.to_le_bytes()).for_each(|(byte, of)| *byte = of);
        let key = format!("objects/{at:08}");
        put::store(&mut world, "src", &key, body.into(), "text/plain")
            .expect("the bucket is there");
    }
    settle(&mut world);
    let written = started.elapsed();
    assert!(world.iam.revoke(REPLICATION, "broken"), "the cause is there to be repaired");
    let request = request(&mut world);
    let id = jobs::create(&mut world, request).expect("the request is good");
    let started = Instant::now();
    settle(&mut world);
    let took = started.elapsed();

    let job = world.jobs.job(&id).expect("the job is known");
    let complete = job.status == Status::Complete && job.succeeded == count;
    let replicas = world.buckets.get("dst").map_or(0, |bucket| bucket.keys.len() as u64);
    let whole = complete && replicas == count && all_completed(&world);
    let (peak, bound) = (peak_bytes(), PEAK_MAX / VERSIONS * count.max(VERSIONS));
    println!("{count} versions of 1 KiB written, failed and told of in {written:.2?}");
    println!(
        "{count} replicated by one batch job in {took:.2?}: {:.0} a second",
        count as f64 / took.as_secs_f64()
    );
    println!("peak {} MiB, bound {} MiB", peak >> 20, bound >> 20);
    if whole && peak <= bound {
        return ExitCode::SUCCESS;
    }
    println!("not as it should be: complete {complete}, {replicas} replicas");
    ExitCode::FAILURE
}

fn world() -> World {
    let mut world = World::new(Config::default());
    for name in ["src", "dst", "state"] {
        ops::bucket::create(&mut world, name, "111122223333", "us-east-1").expect("a new bucket");
        ops::bucket::put_versioning(&mut world, name, Versioning::Enabled).expect("it is there");
    }
    world.iam.put(Role::replication(REPLICATION, "src", &["dst"]));
    world.iam.put(Role::batch(JOB, "src", "state"));
    assert!(world.iam.deny(REPLICATION, "broken", &["s3:ReplicateObject"], &["*"]));
    let rules = vec![Rule::to_bucket("r", 1, "dst").into()];
    let config = ReplicationConfig { role: REPLICATION.into(), rules };
    ops::bucket::put_replication(&mut world, "src", Some(config)).expect("the rule is good");
    world
}

fn settle(world: &mut World) {
    while let Some(due) = world.next_due() {
        world.advance_to(due);
    }
}

/// A job over every version of the source.
fn request(world: &mut World) -> Request {
    let source = world.buckets.get("src").expect("it was made");
    let mut lines = String::new();
    for (key, versions) in &source.keys {
        for version in versions {
            lines.push_str(&format!("src,{key},{}\n", version.id));
        }
    }
    let etag = put::store(world, "state", "manifest.csv", lines.into(), "text/csv");
    let text = |text: &str| Some(text.to_owned());
    Request {
        operation: Operation::Replicate,
        confirmation_required: false,
        report: Report {
            enabled: true,
            bucket: text("arn:aws:s3:::state"),
            format: text("Report_CSV_20180820"),
            prefix: text("reports"),
            scope: text("AllTasks"),
            expected_owner: None,
        },
        token: "token".to_owned(),
        source: Source::Manifest(Manifest {
            format: "S3BatchOperations_CSV_20180820".to_owned(),
            fields: ["Bucket", "Key", "VersionId"].map(str::to_owned).to_vec(),
            object: "arn:aws:s3:::state/manifest.csv".to_owned(),
            version_id: None,
            etag: etag.expect("the bucket is there"),
        }),
        description: None,
        priority: 1,
        role: JOB.to_owned(),
        tags: Vec::new(),
    }
}

fn all_completed(world: &World) -> bool {
    let completed = Some(ReplicationStatus::Completed);
    world.buckets.get("src").is_some_and(|bucket| {
        bucket.keys.values().flatten().all(|version| version.replication == completed)
    })
}

/// `VmHWM` of this process; 0 where there is no such thing.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or_default() * 1_024
}
