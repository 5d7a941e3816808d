//! A manifest that S3 made: an inventory's `manifest.json`, which names CSV files and their columns
//! (S3 User Guide: storage-inventory-location; S3 API Reference: S3ManifestOutputLocation). Foreign
//! data: what cannot be read whole is not used at all, since a row that is missed would fly twice.
//!
//! Its rows are cut into bounded chunks that are sorted, each written as a run ([`ListedRow`]).

use std::collections::BTreeMap;

use crate::key::{Bucket, Key, VersionId};
use crate::run::{Corrupt, Fields, ObjectVersion, Row};

/// Rows that are sorted in memory at a time, about 50 MB of them.
pub const LISTED_CHUNK_ROWS: usize = 200_000;

/// Why a manifest that S3 made is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifest that S3 made cannot be read: {0}")]
pub struct Unreadable(pub String);

/// `manifest.json`, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingManifest {
    /// Keys of its CSV files, in the bucket where it lies itself.
    pub files: Vec<String>,
    columns: Columns,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    bucket: usize,
    key: usize,
    version: usize,
}

impl ListingManifest {
    /// Reads the document.
    ///
    /// # Errors
    /// It is not one, or its files lack a column that is needed.
    pub fn parse(document: &[u8]) -> Result<Self, Unreadable> {
        let unreadable = |why: &str| Unreadable(why.to_owned());
        let document: serde_json::Value =
            serde_json::from_slice(document).map_err(|why| Unreadable(why.to_string()))?;
        let text = |name: &str| document.get(name).and_then(serde_json::Value::as_str);
        if text("fileFormat").is_some_and(|format| format != "CSV") {
            return Err(unreadable("its files are not CSV"));
        }
        let schema = text("fileSchema").ok_or_else(|| unreadable("it has no fileSchema"))?;
        let columns: BTreeMap<&str, usize> =
            schema.split(',').enumerate().map(|(at, name)| (name.trim(), at)).collect();
        let column = |name: &str| {
            let at = columns.get(name).copied();
            at.ok_or_else(|| Unreadable(format!("its files have no column {name}")))
        };
        let columns = Columns {
            bucket: column("Bucket")?,
            key: column("Key")?,
            version: column("VersionId")?,
        };
        let files = document.get("files").and_then(serde_json::Value::as_array);
        let files = files.ok_or_else(|| unreadable("it names no files"))?.iter();
        let key = |file: &serde_json::Value| {
            let key = file.get("key").and_then(serde_json::Value::as_str);
            key.map(str::to_owned).ok_or_else(|| unreadable("one of its files has no key"))
        };
        Ok(Self { files: files.map(key).collect::<Result<_, _>>()?, columns })
    }

    /// The rows of whole lines of a file.
    ///
    /// # Errors
    /// One of them cannot be read, or is of another bucket.
    pub fn rows(&self, lines: &[u8], bucket: &Bucket) -> Result<Vec<ObjectVersion>, Unreadable> {
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader.has_headers(false).flexible(true).from_reader(lines);
        let mut rows = Vec::new();
        for record in reader.into_byte_records() {
            let record = record.map_err(|why| Unreadable(why.to_string()))?;
            let row = self.row(&record, bucket);
            let shown = || record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
            rows.push(row.ok_or_else(|| Unreadable(format!("its row {:?}", shown())))?);
        }
        Ok(rows)
    }

    fn row(&self, record: &csv::ByteRecord, bucket: &Bucket) -> Option<ObjectVersion> {
        let text = |at: usize| std::str::from_utf8(record.get(at)?).ok();
        if text(self.columns.bucket)? != bucket.as_str() {
            return None;
        }
        let key = Key::from_listing(text(self.columns.key)?).ok()?;
        // What was never versioned has no id in an inventory, and `null` in a manifest.
        let version = match text(self.columns.version)? {
            "" => "null",
            version => version,
        };
        Some(ObjectVersion { key, version: VersionId::try_from(version.to_owned()).ok()? })
    }
}

/// One row of a run of listed versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedRow(pub ObjectVersion);

impl Row for ListedRow {
    fn id(&self) -> &ObjectVersion {
        &self.0
    }
}

impl ListedRow {
    /// The row as a line, line end included.
    pub fn line(&self) -> String {
        format!("{},{}\n", self.0.key.to_manifest(), self.0.version)
    }

    /// Reads a line back.
    ///
    /// # Errors
    /// It is not one.
    pub fn decode(line: &str) -> Result<Self, Corrupt> {
        Fields::of(line).id().map(Self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    const DOCUMENT: &str = r#"{"sourceBucket":"src","destinationBucket":"arn:aws:s3:::state",
        "fileFormat":"CSV","fileSchema":"Bucket, Key, VersionId, IsLatest",
        "files":[{"key":"g/a.csv.gz","size":1},{"key":"g/b.csv.gz","size":2}]}"#;

    fn bucket() -> Bucket {
        Bucket::try_from("src".to_owned()).unwrap()
    }

    #[test]
    fn rows_are_read_as_inventories_write_them() {
        let manifest = ListingManifest::parse(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(manifest.files, ["g/a.csv.gz", "g/b.csv.gz"]);
        let lines = b"\"src\",\"a+b%2Bc\",\"v1\",\"true\"\nsrc,d/e,,true\n";
        let rows = manifest.rows(lines, &bucket()).unwrap();
        let shown: Vec<_> = rows.iter().map(|id| (id.key.as_str(), id.version.as_str())).collect();
        assert_eq!(shown, [("a b+c", "v1"), ("d/e", "null")]);
        let line = ListedRow(rows[0].clone()).line();
        assert_eq!(ListedRow::decode(line.trim_end()).unwrap().0, rows[0]);
    }

    #[test]
    fn what_cannot_be_read_whole_is_not_used() {
        for (from, to) in [
            ("fileSchema", "schema"),
            ("VersionId", "ETag"),
            ("CSV", "ORC"),
            ("\"files\"", "\"parts\""),
            ("\"key\"", "\"name\""),
            ("{", "["),
        ] {
            let document = DOCUMENT.replace(from, to);
            assert!(ListingManifest::parse(document.as_bytes()).is_err(), "{document}");
        }
        let manifest = ListingManifest::parse(DOCUMENT.as_bytes()).unwrap();
        for lines in ["other,k,v\n", "src,k\n", "src,%FF,v\n", "src,\"k,v\n"] {
            assert!(manifest.rows(lines.as_bytes(), &bucket()).is_err(), "{lines}");
        }
    }
}
