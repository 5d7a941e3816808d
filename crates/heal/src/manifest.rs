//! The manifest that S3 Batch Operations reads: `Bucket,Key,VersionId`, no header, keys
//! percent-encoded, every row with its version id (S3 User Guide: batch-ops-create-job).

use crate::key::{Bucket, Key, VersionId};

/// One row, line end included.
pub fn row(bucket: &Bucket, key: &Key, version: &VersionId) -> String {
    format!("{bucket},{},{version}\n", key.to_manifest())
}

/// Reads a row back, without its line end; `None` if it is not one of ours.
pub fn parse_line(line: &str) -> Option<(Bucket, Key, VersionId)> {
    let mut fields = line.split(',');
    let bucket = Bucket::try_from(fields.next()?.to_owned()).ok()?;
    let key = Key::from_manifest(fields.next()?).ok()?;
    let version = VersionId::try_from(fields.next()?.to_owned()).ok()?;
    fields.next().is_none().then_some((bucket, key, version))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rows_read_as_they_were_written() {
        let bucket = Bucket::try_from("my-src".to_owned()).unwrap();
        let key = Key::try_from("object key,with \"all\"\n+%".to_owned()).unwrap();
        let version = VersionId::try_from("null".to_owned()).unwrap();
        let line = row(&bucket, &key, &version);
        assert_eq!(line, "my-src,object%20key%2Cwith%20%22all%22%0A%2B%25,null\n");
        assert_eq!(parse_line(line.trim_end()), Some((bucket, key, version)));
        assert_eq!(parse_line("my-src,key"), None);
        assert_eq!(parse_line("my-src,key,v,more"), None);
    }
}
