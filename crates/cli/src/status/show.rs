//! A status as a person reads it: a table of numbers, and below it, bucket by bucket, only what calls for
//! attention or explains a number.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::HumanCount;

use super::{BucketStatus, CircuitStatus, ScanStatus, Status};
use crate::progress::count;
use crate::words::{at, money, row};

/// A rule below the header, and no others.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

const HEADER: [&str; 9] = [
    "bucket",
    "waiting",
    "in flight",
    "confirming",
    "held",
    "quarantined",
    "healed",
    "oldest unhealed",
    "spent",
];

pub(super) fn text(status: &Status) -> String {
    let Status { stack, state_bucket, today, buckets, .. } = status;
    let mut text = format!("Stack {stack}, state in s3://{state_bucket}\n");
    if let Some(deleted) = status.deleted {
        text += &format!("The stack was deleted {}: nothing runs any more.\n", at(deleted));
    }
    if buckets.is_empty() {
        text += "\nNo bucket is enrolled, and none has failed. To enrol one: resilver enroll s3://BUCKET\n";
        return text;
    }
    text += &format!("\n{}\n", table(buckets));
    for bucket in buckets {
        let lines = lines(bucket);
        if !lines.is_empty() {
            text += &format!("\ns3://{}\n{lines}", bucket.bucket);
        }
    }
    let (jobs, rows) = (count(today.jobs.into(), "job"), count(today.rows, "version"));
    text += &format!(
        "\nOf today's budget (UTC), all buckets together: {jobs}, {rows}, {}; now {} active.\n",
        money(today.micro_usd),
        count(today.active as u64, "job"),
    );
    text
}

fn table(buckets: &[BucketStatus]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(HEADER);
    for bucket in buckets {
        let (counts, totals) = (&bucket.counts, &bucket.totals);
        let number = |n: u64| HumanCount(n).to_string();
        table.add_row([
            bucket.bucket.to_string(),
            number(counts.waiting),
            number(counts.in_flight),
            number(counts.confirming),
            number(counts.held),
            number(counts.quarantined),
            number(totals.healed + totals.unproved),
            bucket.oldest_unhealed.map_or_else(|| "–".to_owned(), at),
            money(totals.micro_usd),
        ]);
    }
    for column in (1..HEADER.len()).filter(|column| *column != 7) {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What there is to say of a bucket beside its numbers.
fn lines(status: &BucketStatus) -> String {
    let bucket = &status.bucket;
    let mut text = String::new();
    if status.enrolled.is_none() {
        let why = status.obstacle.map_or_else(String::new, |code| format!(" ({code})"));
        text += &row("enrolled", &format!("no{why}: its failures are not heard of"));
        text += &row("", &format!("to see why, type: resilver doctor s3://{bucket}"));
    }
    if let Some(reason) = &status.paused {
        let until =
            status.resume_at.map_or_else(String::new, |time| format!(" until {}", at(time)));
        text += &row("paused", &format!("{reason}{until}; nothing is launched"));
        text += &row("", &format!("to go on, type: resilver resume s3://{bucket}"));
    }
    if status.segments > 0 {
        let segments = count(status.segments as u64, "segment");
        text += &row("collected", &format!("{segments} of failures that launch has not seen yet"));
    }
    for circuit in &status.circuits {
        text += &circuit_lines(circuit);
    }
    for quarantined in &status.quarantined {
        let versions = count(quarantined.versions, "version");
        text += &row("quarantined", &format!("{versions}: {}", quarantined.reason));
        text += &row("", &format!("no retry heals this; {}", quarantined.remedy));
    }
    if let Some(scan) = &status.scan {
        text += &scan_lines(bucket.as_str(), scan);
    }
    text += &flight_lines(status);
    for id in &status.backfills {
        text += &row("backfill", &format!("{id}: asked for, and not begun"));
    }
    let gone = status.totals.gone;
    if gone > 0 {
        text += &row("gone", &format!("{} deleted before it was healed", count(gone, "version")));
    }
    if status.unsaid > 0 {
        let unsaid = count(status.unsaid as u64, "notice");
        let older = match status.given_up {
            0 => String::new(),
            older => format!("; {older} older ones were given up"),
        };
        text += &row("unsaid", &format!("{unsaid} that no chat has taken yet{older}"));
    }
    text
}

fn circuit_lines(circuit: &CircuitStatus) -> String {
    let held = match circuit.holds {
        "versions" => format!("{}: {}", count(circuit.versions, "version"), circuit.cause),
        _ => format!("everything: {}", circuit.cause),
    };
    let mut text = row("held", &held);
    let tries = match circuit.probes {
        0 => "not tried yet".to_owned(),
        1 => "tried once".to_owned(),
        times => format!("tried {times} times"),
    };
    let next = match circuit.next_probe {
        Some(time) => format!("next try at {}", at(time)),
        None => "a try is out now".to_owned(),
    };
    text += &row("", &format!("since {}; {tries}, {next}", at(circuit.since)));
    text += &row("", &format!("to repair it, {}", circuit.remedy));
    text
}

fn scan_lines(bucket: &str, scan: &ScanStatus) -> String {
    let what = match &scan.backfill {
        Some(id) => id.as_str(),
        None => "for failures that no event told of",
    };
    let (name, cost) = (if scan.backfill.is_some() { "backfill" } else { "sweep" }, scan.micro_usd);
    let versions = scan.versions.map(|versions| count(versions, "version")).unwrap_or_default();
    match scan.stage {
        "lists" => row(name, &format!("{what}: S3 lists what it takes")),
        "waits" if scan.backfill.is_some() && !scan.confirmed => {
            let mut text = row(name, &format!("{what}: {versions} for {}", money(cost)));
            let yes = format!("resilver backfill s3://{bucket} --confirm");
            text += &row("", &format!("it waits for you; to let it go, type: {yes}"));
            text +=
                &row("", &format!("to give it up, type: resilver backfill s3://{bucket} --drop"));
            text
        }
        "waits" => row(name, &format!("{what}: {versions} for {}, about to go", money(cost))),
        "goes" => row(name, &format!("{what}: its job runs, {versions} for {}", money(cost))),
        _ => row(name, &format!("{what}: its job is cancelled, and nothing is lost")),
    }
}

fn flight_lines(status: &BucketStatus) -> String {
    let of_scan = |plan| status.scan.as_ref().is_some_and(|scan| scan.plan == plan);
    let others = status.flights.iter().filter(|flight| !of_scan(flight.plan.clone()));
    let mut text = String::new();
    for flight in others {
        let job = flight.job.as_ref().map_or("not there yet", |job| job.as_str());
        let rows = count(flight.rows, "version");
        let since = at(flight.since);
        text += &row("job", &format!("{job}: {rows} for {}, {since}", money(flight.micro_usd)));
        if let Some(why) = &flight.refused {
            text += &row("", &format!("S3 refused it: {why}"));
        }
    }
    text
}
