//! Manifests in the shape of an inventory: a `manifest.json` that names CSV files (S3 User Guide:
//! inventory manifest; specifying a manifest for a Batch Operations job).

use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::manifest::{body_of, decryptable, open};
use super::rows::{Layout, Rows};
use super::{Generated, JobFailure};
use crate::gzip;
use crate::world::object::Encryption;
use crate::world::{Answer, World, ops};

/// The most bytes that the files of one inventory may come to unpacked. S3 takes more; here they lie in memory.
const INFLATED_MAX: u64 = 4 << 30;

/// The columns of the files that a generator writes.
pub(super) const SCHEMA: &str = "Bucket, Key, VersionId";

/// The rows of all files that a `manifest.json` names, in its order.
pub(super) fn read(
    world: &World,
    role: &str,
    manifest_bucket: &str,
    document: &[u8],
) -> Result<(Rows, u64), JobFailure> {
    let document: Value = serde_json::from_slice(document).map_err(|_| wrong())?;
    let schema = document.get("fileSchema").and_then(Value::as_str).ok_or_else(wrong)?;
    let layout = Layout::of_inventory(schema)?;
    let format = document.get("fileFormat").and_then(Value::as_str).unwrap_or("CSV");
    if format != "CSV" {
        let message = format!("The inventory's fileFormat must be CSV, and is {format}");
        return Err(JobFailure::new("InvalidManifestContent", message));
    }
    let bucket = document
        .get("destinationBucket")
        .and_then(Value::as_str)
        .map_or(manifest_bucket, |arn| arn.strip_prefix("arn:aws:s3:::").unwrap_or(arn));
    let files = document.get("files").and_then(Value::as_array).ok_or_else(wrong)?;
    let (mut chunks, mut left) = (Vec::with_capacity(files.len().min(1_000)), INFLATED_MAX);
    for file in files {
        let key = file.get("key").and_then(Value::as_str).ok_or_else(wrong)?;
        let object = open(world, role, bucket, key, None)?;
        let body = body_of(decryptable(world, role, (bucket, key), object)?)?;
        let told = file.get("MD5checksum").and_then(Value::as_str);
        if told.is_some_and(|told| !told.eq_ignore_ascii_case(&hex::encode(Md5::digest(&body)))) {
            return Err(JobFailure::new(
                "InvalidManifestContent",
                "A file of the inventory does not have the MD5 checksum that the manifest states",
            ));
        }
        let inflated = gzip::inflated(body, left).ok_or_else(too_large)?;
        left = left.saturating_sub(inflated.len() as u64);
        chunks.push(inflated);
    }
    Rows::checked(chunks, layout)
}

/// Writes a manifest of one file and returns where it lies.
///
/// # Errors
/// What the bucket refuses.
pub(super) fn write(
    world: &mut World,
    source: &str,
    (bucket, folder): (&str, &str),
    encryption: &Encryption,
    rows: &Bytes,
) -> Answer<Generated> {
    let store = |world: &mut World, key: &str, body: Bytes, kind: &str| {
        ops::put::store_under(world, (bucket, key), body, kind, encryption.clone())
    };
    let file = format!("{folder}/files/{}.csv", world.rng.uuid());
    store(world, &file, rows.clone(), "text/csv")?;
    let document = json!({
        "sourceBucket": source,
        "destinationBucket": format!("arn:aws:s3:::{bucket}"),
        "version": "2021-11-30",
        "creationTimestamp": world.now().to_string(),
        "fileFormat": "CSV",
        "fileSchema": SCHEMA,
        "files": [{ "key": file, "size": rows.len(), "MD5checksum": hex::encode(Md5::digest(rows)) }],
    });
    let key = format!("{folder}/manifest.json");
    let document = Bytes::from(document.to_string());
    let checksum = hex::encode(Md5::digest(&document));
    let etag = store(world, &key, document, "application/json")?;
    store(world, &format!("{folder}/manifest.checksum"), checksum.into(), "text/plain")?;
    Ok(Generated { object: format!("arn:aws:s3:::{bucket}/{key}"), etag })
}

fn too_large() -> JobFailure {
    JobFailure::new(
        "InvalidManifestContent",
        "The files of the inventory cannot be unpacked, or come to more than 4 GiB",
    )
}

fn wrong() -> JobFailure {
    JobFailure::new("InvalidManifestContent", "The inventory manifest cannot be read")
}
