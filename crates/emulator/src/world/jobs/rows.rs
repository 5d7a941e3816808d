//! The rows of a manifest, read where they lie: the bytes of the manifest are the only copy of them, and
//! a job keeps a place in those bytes and nothing for each row.

use bytes::Bytes;
use csv::{ReaderBuilder, StringRecord};
use percent_encoding::percent_decode_str;

use super::JobFailure;

/// Which column says what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Layout {
    columns: usize,
    bucket: usize,
    key: usize,
    version: Option<usize>,
}

impl Layout {
    /// The layout of a schema, whose names may stand in any order.
    pub(super) fn of<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Self, JobFailure> {
        let fields: Vec<&str> = fields.collect();
        let place = |name: &str| fields.iter().position(|field| *field == name);
        let missing: Vec<&str> =
            ["Bucket", "Key"].into_iter().filter(|name| place(name).is_none()).collect();
        let (Some(bucket), Some(key)) = (place("Bucket"), place("Key")) else {
            return Err(JobFailure::new(
                "InvalidManifestContent",
                format!("Required fields are missing in the schema: {}", missing.join(", ")),
            ));
        };
        Ok(Self { columns: fields.len(), bucket, key, version: place("VersionId") })
    }
}

/// All rows of a manifest, and how far they have been read.
#[derive(Debug, Default)]
pub(super) struct Rows {
    chunks: Vec<Bytes>,
    layout: Layout,
    place: Place,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    chunk: usize,
    byte: usize,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// The bucket's name.
    pub(super) bucket: &'a str,
    /// The key as the manifest spells it.
    pub(super) key_text: &'a str,
    /// The version id; `None` where the manifest has no such column.
    pub(super) version: Option<&'a str>,
}

impl Row<'_> {
    /// The key itself; `None` if what is encoded is not UTF-8.
    pub(super) fn key(&self) -> Option<String> {
        percent_decode_str(self.key_text).decode_utf8().ok().map(Into::into)
    }
}

impl Rows {
    /// Reads every row once, so that a manifest is refused as a whole before the first task runs.
    /// Returns the rows with their number.
    pub(super) fn checked(chunks: Vec<Bytes>, layout: Layout) -> Result<(Self, u64), JobFailure> {
        let mut rows = Self { chunks, layout, place: Place::default() };
        for chunk in &rows.chunks {
            check_lines(chunk)?;
        }
        let (mut count, mut wrong) = (0, None);
        rows.read(usize::MAX, |row| {
            count += 1;
            wrong = check_row(&row).err();
            wrong.is_none()
        })?;
        rows.rewind();
        wrong.map_or(Ok((rows, count)), Err)
    }

    /// Starts again at the first row.
    pub(super) fn rewind(&mut self) {
        self.place = Place::default();
    }

    /// Hands at most `limit` rows to `each`, from where the last call ended, until it returns false.
    pub(super) fn read(
        &mut self,
        mut limit: usize,
        mut each: impl FnMut(Row<'_>) -> bool,
    ) -> Result<(), JobFailure> {
        let mut record = StringRecord::new();
        while let Some(chunk) = self.chunks.get(self.place.chunk) {
            let start = self.place.byte;
            let rest = chunk.get(start..).unwrap_or_default();
            let mut reader =
                ReaderBuilder::new().has_headers(false).flexible(true).from_reader(rest);
            while limit > 0 {
                if !reader.read_record(&mut record).map_err(|_| unreadable())? {
                    break;
                }
                limit -= 1;
                let go_on = each(self.layout.row(&record)?);
                self.place.byte =
                    start + usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
                if !go_on {
                    return Ok(());
                }
            }
            if limit == 0 {
                return Ok(());
            }
            self.place = Place { chunk: self.place.chunk + 1, byte: 0 };
        }
        Ok(())
    }
}

impl Layout {
    fn row<'a>(&self, record: &'a StringRecord) -> Result<Row<'a>, JobFailure> {
        if record.len() != self.columns {
            return Err(JobFailure::new(
                "InvalidManifestContent",
                "Unexpected number of task fields",
            ));
        }
        let field = |at: usize| record.get(at).unwrap_or_default();
        Ok(Row {
            bucket: field(self.bucket),
            key_text: field(self.key),
            version: self.version.map(field),
        })
    }
}

/// An empty line is a row without fields; the CSV reader would pass over it.
fn check_lines(chunk: &Bytes) -> Result<(), JobFailure> {
    let blank = |lines: &[u8]| matches!(lines, [b'\n', b'\n'] | [b'\n', b'\r']);
    let starts_blank = chunk.first().is_some_and(|byte| matches!(byte, b'\n' | b'\r'));
    if starts_blank || (!chunk.contains(&b'"') && chunk.windows(2).any(blank)) {
        return Err(JobFailure::new("InvalidManifestContent", "Unexpected number of task fields"));
    }
    Ok(())
}

fn check_row(row: &Row<'_>) -> Result<(), JobFailure> {
    if row.key().is_none_or(|key| key.is_empty() || key.len() > 1_024) {
        return Err(JobFailure::new("InvalidManifestContent", "Invalid object key format"));
    }
    let fits = |id: &str| id.len() <= 1_024 && id.bytes().all(|byte| byte.is_ascii_graphic());
    if !row.version.is_none_or(fits) {
        return Err(JobFailure::new("InvalidManifestContent", "Invalid version ID format"));
    }
    Ok(())
}

fn unreadable() -> JobFailure {
    JobFailure::new("InvalidManifestContent", "The manifest is not UTF-8 text in CSV")
}
