//! The completion report: a `manifest.json`, its MD5, and result files in CSV (S3 User Guide: examples of
//! completion reports).
//!
//! The schema line states the documented order of columns; the rows have the real one, in which the HTTP
//! status stands before the error code. The key is the manifest's own text.

use bytes::Bytes;
use csv::{Terminator, Writer, WriterBuilder};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::rows::Row;
use super::task::{REFUSALS, Verdict};
use super::{JobFailure, Run};
use crate::world::iam::BATCH_SERVICE;
use crate::world::notification::stamp::iso;
use crate::world::{Refusal, World, access, ops};

const SCHEMA: &str = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage";

/// Writes the report of what a job has done, if one was asked for.
pub(super) fn write(world: &mut World, id: &str, mut run: Run) -> Result<(), JobFailure> {
    let Some(job) = world.jobs.jobs.get(id) else {
        return Ok(());
    };
    let (report, role) = (job.request.report.clone(), job.request.role.clone());
    let Some(bucket) = report.bucket_name() else {
        return Ok(());
    };
    let folder = match report.prefix.as_deref() {
        Some(prefix) => format!("{}/job-{id}", prefix.trim_end_matches('/')),
        None => format!("job-{id}"),
    };
    let owned = world.buckets.get(bucket).is_some_and(|bucket| {
        // A PUT into a bucket that locks what is written needs a Content-MD5, which S3 does not send here.
        let locks = bucket.lock.is_some_and(|lock| lock.default.is_some());
        !locks && report.expected_owner.as_ref().is_none_or(|owner| *owner == bucket.owner)
    });
    let may = |name: &str| {
        access::object(world, &role, "s3:PutObject", bucket, &format!("{folder}/{name}"))
    };
    let allowed = world.iam.trusts(&role, BATCH_SERVICE)
        && ["manifest.json", "manifest.json.md5", &result_name(&"0".repeat(40))]
            .into_iter()
            .all(may);
    if !owned || !allowed {
        return Err(unwritten());
    }
    let files = files(&mut run, report.failed_only(), world.jobs.report_rows_per_file.max(1))?;
    store(world, bucket, &folder, files).map_err(|_| unwritten())
}

fn result_name(hash: &str) -> String {
    format!("results/{hash}.csv")
}

fn store(
    world: &mut World,
    bucket: &str,
    folder: &str,
    files: Vec<(&'static str, Bytes)>,
) -> Result<(), Refusal> {
    let mut results: Vec<Value> = Vec::with_capacity(files.len());
    for (status, body) in files {
        let name: String = world.rng.uuid().replace('-', "") + &world.rng.uuid();
        let key = format!("{folder}/{}", result_name(&name.chars().take(40).collect::<String>()));
        results.push(json!({
            "TaskExecutionStatus": status,
            "Bucket": bucket,
            "MD5Checksum": hex::encode(Md5::digest(&body)),
            "Key": key,
        }));
        ops::put::store(world, bucket, &key, body, "text/csv")?;
    }
    let document = Bytes::from(
        json!({
            "Format": "Report_CSV_20180820",
            "ReportCreationDate": iso(world.now()),
            "Results": results,
            "ReportSchema": SCHEMA,
        })
        .to_string(),
    );
    let checksum = hex::encode(Md5::digest(&document));
    let key = format!("{folder}/manifest.json");
    ops::put::store(world, bucket, &format!("{key}.md5"), checksum.into(), "text/plain")?;
    // Last, so that whoever finds it finds everything that it names.
    ops::put::store(world, bucket, &key, document, "application/json")?;
    Ok(())
}

/// The result files, succeeded rows and failed rows apart, in the order in which they were filled.
fn files(
    run: &mut Run,
    failed_only: bool,
    rows_max: usize,
) -> Result<Vec<(&'static str, Bytes)>, JobFailure> {
    let mut files = Vec::new();
    let (mut good, mut bad) = (ResultFile::new("succeeded"), ResultFile::new("failed"));
    let mut verdicts = run.verdicts.iter();
    run.rows.rewind();
    run.rows.read(usize::MAX, |row| {
        let Some(verdict) = verdicts.next() else {
            return false;
        };
        let is_good = *verdict == Verdict::Succeeded;
        if !(is_good && failed_only) {
            let file = if is_good { &mut good } else { &mut bad };
            file.push(&row, *verdict);
            if file.rows >= rows_max {
                files.extend(file.take());
            }
        }
        true
    })?;
    files.extend(good.take());
    files.extend(bad.take());
    Ok(files)
}

struct ResultFile {
    status: &'static str,
    rows: usize,
    writer: Writer<Vec<u8>>,
}

impl ResultFile {
    fn new(status: &'static str) -> Self {
        let writer =
            WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(Vec::new());
        Self { status, rows: 0, writer }
    }

    /// A vector takes every byte, so that there is no error to pass on.
    fn push(&mut self, row: &Row<'_>, verdict: Verdict) {
        let http_text;
        let (http, code, message) = match verdict {
            Verdict::Succeeded => ("200", "", "success"),
            Verdict::Failed(reason) => ("500", reason.code(), reason.sentence()),
            Verdict::NoVersion => ("400", "InvalidRequest", "Task failed due to missing VersionId"),
            Verdict::Refused(at) => {
                let [first, ..] = REFUSALS;
                let (status, code, message) = REFUSALS.get(usize::from(at)).unwrap_or(&first);
                http_text = status.to_string();
                (http_text.as_str(), *code, *message)
            }
        };
        let version = row.version.unwrap_or_default();
        let fields = [row.bucket, row.key_text, version, self.status, http, code, message];
        self.rows += usize::from(self.writer.write_record(fields).is_ok());
    }

    fn take(&mut self) -> Option<(&'static str, Bytes)> {
        let full = std::mem::replace(self, Self::new(self.status));
        (full.rows > 0).then(|| (full.status, full.writer.into_inner().unwrap_or_default().into()))
    }
}

fn unwritten() -> JobFailure {
    JobFailure::new(
        "JobReportWriteFailed",
        "The job report could not be written to your report bucket. Please check your permissions",
    )
}
