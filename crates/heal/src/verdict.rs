//! A verdict: what a job's report says of one version. The verdicts of one chunk of a result file are
//! a sorted run, a pure function of the report's bytes, so that whoever reads the chunk again writes
//! the same object. What a verdict does to a version is [`crate::transition`]'s.

use std::collections::BTreeMap;

use crate::entry::{escape, unescape};
use crate::limits::REASONS_MAX;
use crate::reason::Reason;
use crate::report::ReportRow;
use crate::run::{Corrupt, Fields, ObjectVersion, Row};

/// What the report says of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRow {
    /// Which version.
    pub id: ObjectVersion,
    /// `None` is *succeeded*.
    pub failed: Option<Reason>,
}

impl Row for VerdictRow {
    fn id(&self) -> &ObjectVersion {
        &self.id
    }
}

impl VerdictRow {
    /// The row as a line, line end included.
    pub fn line(&self) -> String {
        let (word, reason) = match &self.failed {
            None => ("succeeded", String::new()),
            Some(reason) => ("failed", escape(reason.as_str())),
        };
        format!("{},{},{word},{reason}\n", self.id.key.to_manifest(), self.id.version)
    }

    /// Reads a line back.
    pub fn decode(line: &str) -> Result<Self, Corrupt> {
        let mut fields = Fields::of(line);
        let id = fields.id()?;
        let failed = match fields.text()? {
            "succeeded" => None,
            "failed" => Some(Reason::parse(&unescape(fields.text()?))),
            _ => return Err(fields.complain("neither succeeded nor failed")),
        };
        Ok(Self { id, failed })
    }
}

/// What the reasons after the first [`REASONS_MAX`] are counted as.
const OTHER_REASONS: &str = "OtherReasons";

/// How a chunk's, or a whole job's, rows came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that succeeded.
    pub succeeded: u64,
    /// Rows that failed, by reason.
    pub failed: BTreeMap<Reason, u64>,
    /// Rows that could not be read.
    pub unreadable: u64,
}

impl Tally {
    /// Counts a row that failed. A report with more reasons than there are is of no known shape, and
    /// must not make the summary as long as itself.
    fn fail(&mut self, reason: Reason) {
        let known = self.failed.contains_key(&reason) || self.failed.len() < REASONS_MAX;
        let reason = if known { reason } else { Reason::parse(OTHER_REASONS) };
        *self.failed.entry(reason).or_default() += 1;
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.succeeded + self.failed.values().sum::<u64>() + self.unreadable
    }
}

/// The verdicts of one chunk: a first line that counts what could not be read, then the run. The line
/// begins with `#`, which no percent-encoded key does.
pub fn write_chunk(rows: Vec<ReportRow>, unreadable: u64) -> Vec<u8> {
    let mut verdicts: BTreeMap<ObjectVersion, Option<Reason>> = BTreeMap::new();
    for row in rows {
        let id = ObjectVersion { key: row.key, version: row.version };
        let failed = match row.succeeded {
            true => None,
            false => Some(row.reason.unwrap_or_else(Reason::unspecified)),
        };
        // Two rows of one version: the failure is what has to be looked at.
        let slot = verdicts.entry(id).or_insert(None);
        *slot = failed.or(slot.take());
    }
    let mut bytes = format!("#unreadable,{unreadable}\n").into_bytes();
    for (id, failed) in verdicts {
        bytes.extend_from_slice(VerdictRow { id, failed }.line().as_bytes());
    }
    bytes
}

/// Counts the verdicts of a stored chunk into `tally`.
pub fn count_chunk(bytes: &[u8], tally: &mut Tally) -> Result<(), Corrupt> {
    let text = std::str::from_utf8(bytes).map_err(|_| Corrupt::new("", "not UTF-8"))?;
    for line in text.lines() {
        if let Some(count) = line.strip_prefix("#unreadable,") {
            tally.unreadable += count.parse().unwrap_or(0);
            continue;
        }
        match VerdictRow::decode(line)?.failed {
            None => tally.succeeded += 1,
            Some(reason) => tally.fail(reason),
        }
    }
    Ok(())
}

/// Decodes a page of a stored chunk.
pub fn decode_page(page: &[u8]) -> Result<Vec<VerdictRow>, Corrupt> {
    let text = std::str::from_utf8(page).map_err(|_| Corrupt::new("", "not UTF-8"))?;
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(VerdictRow::decode).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_no_more_reasons_than_there_can_be() {
        let line = |n: usize| format!("k{n:05},v,failed,Reason{}\n", n % 5_000);
        let chunk: String = (0..10_000).map(line).collect();
        let mut tally = Tally::default();
        count_chunk(chunk.as_bytes(), &mut tally).unwrap();
        assert_eq!((tally.rows(), tally.failed.len()), (10_000, REASONS_MAX + 1));
        assert_eq!(tally.failed.get(&Reason::parse(OTHER_REASONS)), Some(&9_800));
    }
}
