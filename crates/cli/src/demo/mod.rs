//! `resilver demo`: the whole loop on the embedded AWS. Real objects are replicated to two buckets;
//! three causes break replication for part of them, each for a while, and are repaired. S3 does
//! nothing about the versions that failed in between. Resilver heals them, and every replica is
//! compared with its source, byte for byte.

mod document;
mod objects;
mod scene;
mod show;
mod upload;
mod verify;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use resilver_emulator::Emulator;
use resilver_emulator::world::Config;
use resilver_heal::entry::{Cause, State};
use resilver_heal::ledger::Head;
use resilver_heal::time::{Timestamp, days, hours, minutes};

pub use document::{CauseFound, Document};
pub use objects::{Objects, Skipped};
use scene::{Break, Scene};

use crate::app::{App, Options};
use crate::args::DemoArgs;
use crate::error::{CliError, Exit};
use crate::progress::{Step, count};

/// Objects that are made up unless told otherwise.
const OBJECTS: usize = 1_000;
/// Virtual time in which failures have to arrive, and in which all has to be healed.
const ARRIVE_MS: u64 = hours(4);
const HEAL_MS: u64 = days(14);

/// Runs the demo and prints what came of it.
pub async fn run(args: &DemoArgs) -> Result<Exit, CliError> {
    let objects = objects(args)?;
    let (document, shown) = heal(objects, args.seed).await?;
    let text = match args.json {
        true => document.to_json(),
        false => show::text(&document, &shown),
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|why| CliError::unknown(format!("stdout is closed: {why}")))?;
    Ok(if document.all_healed() { Exit::Done } else { Exit::Found })
}

fn objects(args: &DemoArgs) -> Result<Objects, CliError> {
    let causes = Break::ALL.len();
    if let Some(directory) = &args.from {
        let objects = Objects::of_directory(directory)?;
        if objects.len() < causes {
            let files = count(objects.len() as u64, "file");
            let message = format!(
                "{} has {files} to upload, fewer than the {causes} causes",
                directory.display()
            );
            let next =
                format!("name a directory with at least {causes} files, or try `resilver demo`");
            return Err(CliError::path(message, next));
        }
        return Ok(objects);
    }
    let number = args.objects.unwrap_or(OBJECTS);
    if number < causes {
        let objects = count(number as u64, "object");
        let message = format!("{objects} cannot be broken by {causes} causes");
        return Err(CliError::usage(message, format!("type `--objects {causes}` or more")));
    }
    Ok(Objects::made_up(number, args.seed))
}

/// What only the terminal shows.
#[derive(Debug, Default)]
struct Shown {
    /// The last chat message, as it was posted, in words.
    message: Option<String>,
    /// How many messages were posted.
    messages: usize,
}

async fn heal(mut objects: Objects, seed: u64) -> Result<(Document, Shown), CliError> {
    let begun = Instant::now();
    let emulator = Emulator::new(Config { seed, ..Config::default() });
    let app = App::deploy(emulator, &Options::default()).await?;
    let started = app.emulator.now();
    let scene = Scene::set(&app).await?;
    let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
    let mut written = scene.upload(&mut objects, None).await?;
    scene.replicated(written).await?;
    for broken in Break::ALL {
        let (uploaded, found) = break_and_repair(&scene, &mut objects, broken).await?;
        written += uploaded;
        for (cause, versions) in found {
            *causes.entry(cause).or_default() += versions;
        }
    }
    let failed: u64 = scene.ever_failed().await?;
    let step = Step::begin("heal", failed);
    let watch = |head: &Head| {
        step.at(head.totals.left());
        step.say(format!("{} held, {} in flight", head.counts.held, head.counts.in_flight));
    };
    let quiet = app.run_until_quiet(&scene.bucket, HEAL_MS, watch).await?;
    let head = app
        .head(&scene.bucket)
        .await?
        .unwrap_or_else(|| Head::new(scene.bucket.clone(), Timestamp(0)));
    step.done(&show::healed(&head, quiet));
    let step = Step::begin("verify", 2 * written);
    let (verified, mismatches) = verify::all(&scene, |done| step.at(done)).await?;
    step.done(&show::verified(verified, &mismatches));
    let virtual_ms = app.emulator.now() - started;
    let times = (begun.elapsed().as_millis() as u64, virtual_ms);
    let document = Document::of(
        (written, objects.skipped()),
        &head,
        causes,
        (verified, mismatches),
        times,
        seed,
    );
    let posted = app.emulator.outbox();
    let shown = Shown { message: show::last_message(&posted), messages: posted.len() };
    Ok((document, shown))
}

/// Breaks one thing, uploads its part of the objects, waits until every failure has arrived, and
/// repairs it. Gives how many went up, and the causes as Resilver sees them.
async fn break_and_repair(
    scene: &Scene<'_>,
    objects: &mut Objects,
    broken: Break,
) -> Result<(u64, BTreeMap<Cause, u64>), CliError> {
    let since = Timestamp(scene.app.emulator.now());
    let before = scene.ever_failed().await?;
    scene.break_it(broken).await?;
    let uploaded = scene.upload(objects, Some(broken)).await?;
    let step = Step::begin("fail", 0);
    step.say(broken.what());
    let until = scene.app.emulator.now() + ARRIVE_MS;
    while scene.app.emulator.now() < until {
        scene.app.run_for(minutes(1)).await;
        let (pending, failed) = scene.in_s3(since);
        if pending == 0 && scene.ever_failed().await? >= before + failed {
            break;
        }
    }
    let causes = causes_since(scene, since).await?;
    scene.repair(broken).await?;
    step.done(&show::failed(&causes));
    Ok((uploaded, causes))
}

async fn causes_since(
    scene: &Scene<'_>,
    since: Timestamp,
) -> Result<BTreeMap<Cause, u64>, CliError> {
    let mut causes = BTreeMap::new();
    let Some(head) = scene.app.head(&scene.bucket).await? else {
        return Ok(causes);
    };
    let count = |entry: resilver_heal::entry::Entry| {
        if entry.first_seen >= since && entry.state == State::Held {
            for cause in entry.causes() {
                *causes.entry(cause).or_default() += 1;
            }
        }
    };
    scene.app.entries(&head, count).await?;
    Ok(causes)
}
