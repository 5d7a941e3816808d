//! The rows of a manifest, read where they lie: the bytes of the manifest are the only copy of them, and
//! a job keeps a place in those bytes and nothing for each row.

use std::borrow::Cow;

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
    /// Keys are encoded as a form is: a space is a plus.
    form: bool,
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
        let version = place("VersionId");
        Ok(Self { columns: fields.len(), bucket, key, version, form: false })
    }

    /// The layout of an inventory, in which a space is a plus; of a CSV manifest the documentation shows `%20`.
    pub(super) fn of_inventory(schema: &str) -> Result<Self, JobFailure> {
        Ok(Self { form: true, ..Self::of(schema.split(',').map(str::trim))? })
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
    form: bool,
}

impl Row<'_> {
    /// The key itself; `None` if its text is not encoded as it should, or what is encoded is not UTF-8.
    pub(super) fn key(&self) -> Option<String> {
        let is_hex = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
        if !self.key_text.split('%').skip(1).all(is_hex) {
            return None;
        }
        let text = match self.form {
            true => Cow::Owned(self.key_text.replace('+', " ")),
            false => Cow::Borrowed(self.key_text),
        };
        percent_decode_str(&text).decode_utf8().ok().map(Into::into)
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
            form: self.form,
        })
    }
}

/// An empty line is a row without fields, and a byte order mark is part of the first bucket's name (S3 User Guide:
/// troubleshooting Batch Operations); the CSV reader would pass over both.
fn check_lines(chunk: &Bytes) -> Result<(), JobFailure> {
    let wrong = |message: &str| Err(JobFailure::new("InvalidManifestContent", message));
    if chunk.starts_with(b"\xef\xbb\xbf") {
        return wrong("The manifest begins with a byte order mark");
    }
    // Where a line begins, where a field does, and whether a quote is open.
    let (mut line, mut field, mut quoted) = (true, true, false);
    for byte in chunk.iter() {
        match byte {
            // One that closes may be the first of two that stand for one.
            b'"' if quoted || field => (quoted, line, field) = (!quoted, false, quoted),
            _ if quoted => {}
            b'\n' if line => return wrong("Unexpected number of task fields"),
            b'\n' => (line, field) = (true, true),
            // The first half of a line's end.
            b'\r' => {}
            b',' => (line, field) = (false, true),
            _ => (line, field) = (false, false),
        }
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
