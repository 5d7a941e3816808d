//! Reading completion reports of S3 Batch Operations. Foreign data: the reader is total. Columns are
//! told apart by content, since S3 writes two of them in another order than its schema line declares;
//! fields are read by RFC 4180; and one bad row sinks nothing, not even one whose quote never closes.

use serde::Deserialize;

use crate::key::{Bucket, Key, VersionId};
use crate::reason::Reason;

/// A report's `manifest.json` (S3 User Guide: batch-ops-examples-reports).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReportManifest {
    /// `Report_CSV_20180820`.
    pub format: String,
    /// The result files; none if no task is reported.
    #[serde(default)]
    pub results: Vec<ResultFile>,
}

/// One result file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResultFile {
    /// `succeeded` or `failed`: what its rows are.
    pub task_execution_status: String,
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// MD5 of its bytes, in hex.
    #[serde(default, rename = "MD5Checksum")]
    pub md5: Option<String>,
}

/// A report whose manifest cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It is not JSON, or not of its shape.
    #[error("the report's manifest cannot be read: {0}")]
    Shape(String),
    /// It is of another format.
    #[error("the report has format {0:?}; only Report_CSV_20180820 is known")]
    Format(String),
}

impl ReportManifest {
    /// Reads it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|why| ReportError::Shape(why.to_string()))?;
        if manifest.format == "Report_CSV_20180820" {
            Ok(manifest)
        } else {
            Err(ReportError::Format(manifest.format))
        }
    }
}

/// One row of a result file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// The source bucket.
    pub bucket: Bucket,
    /// The object.
    pub key: Key,
    /// The version.
    pub version: VersionId,
    /// Whether the task succeeded.
    pub succeeded: bool,
    /// An HTTP status; 500 says nothing about whether it will pass.
    pub http: Option<u16>,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// S3's sentence.
    pub message: String,
}

/// A piece of a result file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReject {
    /// The piece, byte for byte, line end included.
    pub raw: Vec<u8>,
    /// What is wrong with it.
    pub why: String,
}

/// What was read of a stretch of a result file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Its rows, in order.
    pub rows: Vec<ReportRow>,
    /// What could not be read.
    pub rejects: Vec<RowReject>,
}

/// Reads whole rows of one bucket's report; a row of another bucket is none that was asked for.
pub fn read_rows(bytes: &[u8], bucket: &Bucket) -> Rows {
    let mut rows = Rows::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (sound, broken) = up_to_broken(rest);
        read_sound(sound, bucket, &mut rows);
        if !broken.is_empty() {
            let why = "a quote that never closes".to_owned();
            rows.rejects.push(RowReject { raw: broken.to_vec(), why });
        }
        rest = rest.get(sound.len() + broken.len()..).unwrap_or_default();
    }
    rows
}

/// Cuts off what comes before the first record whose quote never closes, and that record, which ends
/// where a line is a row by itself: left to a CSV parser it would take in all rows up to the next
/// quote, unseen. One pass over the bytes, however many quotes are broken.
fn up_to_broken(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (mut record, mut at, mut quote) = (0, 0, Quote::FieldStart);
    for line in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        if quote == Quote::Open && is_row(line) {
            break;
        }
        quote = line.iter().fold(quote, |quote, byte| quote.after(*byte));
        at += line.len();
        if quote != Quote::Open {
            record = at;
        }
    }
    let sound = bytes.get(..record).unwrap_or_default();
    (sound, bytes.get(record..at).unwrap_or_default())
}

/// Where a place in a CSV file stands towards quotes (RFC 4180).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    /// A field begins: a quote here opens.
    FieldStart,
    /// In a field, where a quote is a character like any other.
    Bare,
    /// Between quotes: commas and line ends are text.
    Open,
    /// After a quote between quotes: one more is text, anything else lies outside.
    Closing,
}

impl Quote {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::FieldStart | Self::Closing, b'"') => Self::Open,
            (Self::Open, b'"') => Self::Closing,
            (Self::Open, _) => Self::Open,
            (_, b',' | b'\n' | b'\r') => Self::FieldStart,
            _ => Self::Bare,
        }
    }
}

/// Whether a line reads as a row, or as the beginning of one whose message goes on.
fn is_row(line: &[u8]) -> bool {
    let mut record = csv::ByteRecord::new();
    matches!(csv_reader(line).read_byte_record(&mut record), Ok(true)) && read_row(&record).is_ok()
}

fn csv_reader(bytes: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes)
}

/// Reads rows of which every quote closes.
fn read_sound(bytes: &[u8], bucket: &Bucket, rows: &mut Rows) {
    let mut reader = csv_reader(bytes);
    let mut record = csv::ByteRecord::new();
    loop {
        let from = reader.position().byte() as usize;
        let Ok(true) = reader.read_byte_record(&mut record) else { return };
        let to = reader.position().byte() as usize;
        let row = read_row(&record).and_then(|row| match row.bucket == *bucket {
            true => Ok(row),
            false => Err(format!("it is of the bucket {}", row.bucket)),
        });
        match row {
            Ok(row) => rows.rows.push(row),
            Err(why) => rows.rejects.push(RowReject { raw: raw_line(bytes, from, to), why }),
        }
    }
}

/// The bytes of one record: without the blank lines before it, which the reader skips, and with the
/// second half of a CRLF, which it leaves for later.
fn raw_line(bytes: &[u8], from: usize, to: usize) -> Vec<u8> {
    let raw = bytes.get(from..to).unwrap_or_default();
    let start = raw.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
    let mut raw = raw.get(start..).unwrap_or_default().to_vec();
    if raw.ends_with(b"\r") && bytes.get(to) == Some(&b'\n') {
        raw.push(b'\n');
    }
    raw
}

fn read_row(record: &csv::ByteRecord) -> Result<ReportRow, String> {
    if record.len() != 7 {
        return Err(format!("it has {} fields, not 7", record.len()));
    }
    let field = |n: usize| {
        let bytes = record.get(n).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| format!("field {} is not UTF-8", n + 1))
    };
    let (fifth, sixth) = (field(4)?, field(5)?);
    // Documented: ErrorCode, HTTPStatusCode. Written: the other way round.
    let (http, code) = match (status(fifth), status(sixth)) {
        (None, Some(http)) => (Some(http), fifth),
        (http, _) => (http, sixth),
    };
    let succeeded = match field(3)? {
        "succeeded" => true,
        "failed" => false,
        other => {
            return Err(format!("its status {other:?} is neither succeeded nor failed"));
        }
    };
    let name = |why: crate::key::KeyError| why.to_string();
    Ok(ReportRow {
        bucket: Bucket::try_from(field(0)?.to_owned()).map_err(name)?,
        key: Key::from_report(field(1)?).map_err(name)?,
        version: VersionId::try_from(field(2)?.to_owned()).map_err(name)?,
        succeeded,
        http,
        reason: (!code.is_empty()).then(|| Reason::parse(code)),
        message: field(6)?.to_owned(),
    })
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (100..600).contains(status))
}

/// The rows that *begin* in one chunk of a result file. `window` is the chunk with the byte before it
/// (none before the first) and a stretch after it; a row begins where a line begins with the bucket's
/// name, quoted or not. So every row is in exactly one chunk, and quoted line ends part nothing.
pub fn rows_of_chunk<'a>(
    window: &'a [u8],
    is_first: bool,
    chunk_bytes: usize,
    bucket: &Bucket,
) -> &'a [u8] {
    let starts = [format!("\n{bucket},"), format!("\n\"{bucket}\",")];
    let chunk = usize::from(!is_first);
    let from = if is_first { Some(0) } else { row_from(window, chunk, &starts) };
    let to = row_from(window, chunk + chunk_bytes, &starts).unwrap_or(window.len());
    from.filter(|from| *from < to).and_then(|from| window.get(from..to)).unwrap_or_default()
}

/// Where the first row begins at or after `at`.
fn row_from(window: &[u8], at: usize, starts: &[String; 2]) -> Option<usize> {
    let before = at.checked_sub(1)?;
    let line_ends = window.iter().enumerate().skip(before).filter(|(_, byte)| **byte == b'\n');
    let begins = |at: &usize| {
        let line = window.get(*at..).unwrap_or_default();
        starts.iter().any(|start| line.starts_with(start.as_bytes()))
    };
    line_ends.map(|(at, _)| at).find(begins).map(|at| at + 1)
}

#[cfg(test)]
#[path = "report/tests.rs"]
mod tests;
