//! What the terminal shows: a line a step, a table of what was broken and healed, and the chat
//! message as it was posted.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::HumanCount;
use resilver_emulator::wire::outbox::Posted;
use resilver_heal::entry::Cause;
use resilver_heal::ledger::Head;
use serde_json::Value;

use super::Shown;
use super::document::Document;
use crate::progress::count;

/// The end of a *fail* step.
pub(super) fn failed(causes: &BTreeMap<Cause, u64>) -> String {
    let causes: Vec<String> =
        causes.iter().map(|(cause, n)| format!("{} × {cause}", HumanCount(*n))).collect();
    let causes = if causes.is_empty() { "nothing failed".to_owned() } else { causes.join(", ") };
    format!("{causes}; now repaired")
}

/// The end of the *heal* step.
pub(super) fn healed(head: &Head, quiet: bool) -> String {
    let totals = &head.totals;
    let healed = totals.healed + totals.unproved;
    let done = format!("{} in {}", count(healed, "version"), count(totals.jobs, "job"));
    let end = if quiet { "nothing is left to do" } else { "time is up" };
    match head.counts.present() {
        0 => format!("{done}; {end}"),
        rest => format!("{done}, {} left; {end}", HumanCount(rest)),
    }
}

/// The end of the *verify* step.
pub(super) fn verified(verified: u64, mismatches: &[String]) -> String {
    let same = format!("{} compared and the same, byte for byte", count(verified, "replica"));
    match mismatches.len() as u64 {
        0 => same,
        different => format!("{same}; {} not", HumanCount(different)),
    }
}

/// The last message that was posted about a finished job, in words.
pub(super) fn last_message(posted: &[Posted]) -> Option<String> {
    let bodies =
        posted.iter().rev().filter_map(|posted| serde_json::from_slice::<Value>(&posted.body).ok());
    bodies.filter_map(|body| message(&body)).next()
}

/// A Slack message as its blocks read.
fn message(body: &Value) -> Option<String> {
    let mut text = String::new();
    for block in body.get("blocks")?.as_array()? {
        let single = block.pointer("/text/text").into_iter();
        let several = block.get("elements").and_then(Value::as_array).into_iter().flatten();
        let several = several.filter_map(|element| element.get("text"));
        for line in single.chain(several).filter_map(Value::as_str) {
            for line in line.lines() {
                let _ = writeln!(text, "  │ {line}");
            }
        }
    }
    Some(text)
}

/// The summary.
pub(super) fn text(document: &Document, shown: &Shown) -> String {
    let mut text = String::from("\n");
    let _ = writeln!(text, "{}\n", table(document));
    let _ = writeln!(text, "{}", sums(document));
    for mismatch in &document.mismatches {
        let _ = writeln!(text, "  differs  {mismatch}");
    }
    for skipped in &document.skipped {
        let _ = writeln!(text, "  skipped  {:?}: {}", skipped.path, skipped.why);
    }
    if let Some(message) = &shown.message {
        let _ = write!(
            text,
            "\n  The last of {} chat messages, as posted to Slack:\n\n{message}",
            shown.messages
        );
    }
    let _ = writeln!(text, "\n{}", verdict(document));
    text
}

/// A rule below the header, and no others.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

fn table(document: &Document) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["what failed", "where", "versions", "what was done"]);
    for cause in &document.causes {
        let done = match cause.repaired {
            true => "held, probed, replicated by batch jobs",
            false => "held: the cause stands",
        };
        let versions = HumanCount(cause.versions).to_string();
        table.add_row([&cause.reason, &cause.destination, &versions, done]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn sums(document: &Document) -> String {
    let hours = document.virtual_ms as f64 / 3_600_000.0;
    let seconds = document.wall_ms as f64 / 1_000.0;
    let (objects, failed) = (count(document.objects, "object"), HumanCount(document.failed));
    let (healed, verified) = (HumanCount(document.healed), count(document.verified, "replica"));
    let (jobs, rows) = (count(document.jobs, "job"), count(document.rows, "row"));
    let dollars = document.cost_usd;
    format!(
        "  {objects}, {failed} failed, {healed} healed in {jobs} of {rows} for ${dollars:.4}\n  \
         {verified} verified; {hours:.1} hours on the embedded AWS, {seconds:.1} seconds here"
    )
}

fn verdict(document: &Document) -> String {
    match document.all_healed() {
        true => "  All of it healed.".to_owned(),
        false if !document.skipped.is_empty() && document.mismatched == 0 && document.held == 0 => {
            format!(
                "  All that was uploaded healed; {} not uploaded.",
                count(document.skipped.len() as u64, "file")
            )
        }
        false => format!(
            "  Not healed: {} held, {} quarantined, {} replicas differ.",
            document.held, document.quarantined, document.mismatched
        ),
    }
}
