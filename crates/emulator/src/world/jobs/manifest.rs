//! Reading the manifest that a client points at: a CSV of its own, or an inventory's `manifest.json`.

use bytes::{Bytes, BytesMut};

use super::request::{Manifest, object_of};
use super::rows::{Layout, Rows};
use super::{JobFailure, inventory};
use crate::world::iam::BATCH_SERVICE;
use crate::world::object::{Encryption, Version};
use crate::world::ops::{self, archive::archived};
use crate::world::{World, access};

/// The rows of the manifest and their number.
pub(super) fn read(
    world: &World,
    role: &str,
    manifest: &Manifest,
) -> Result<(Rows, u64), JobFailure> {
    let is_inventory = manifest.format.starts_with("S3InventoryReport");
    let (bucket, key) = object_of(&manifest.object).ok_or_else(forbidden)?;
    let version = open(world, role, bucket, key, manifest.version_id.as_deref())?;
    check_etag(version, &manifest.etag)?;
    if is_inventory {
        let document = body_of(decryptable(world, role, (bucket, key), version)?)?;
        return inventory::read(world, role, bucket, &document);
    }
    if matches!(version.encryption, Encryption::Kms { .. }) {
        return Err(JobFailure::new(
            "InvalidManifestContent",
            "Manifests in this format cannot be read when they are encrypted with SSE-KMS",
        ));
    }
    let layout = Layout::of(manifest.fields.iter().map(String::as_str))?;
    Rows::checked(vec![body_of(version)?], layout)
}

/// An object that the job's role may read. A missing one looks forbidden, as it does to a role that may
/// not list the bucket.
pub(super) fn open<'a>(
    world: &'a World,
    role: &str,
    bucket: &str,
    key: &str,
    version_id: Option<&str>,
) -> Result<&'a Version, JobFailure> {
    let action = if version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    if !world.iam.trusts(role, BATCH_SERVICE) || !access::object(world, role, action, bucket, key) {
        return Err(forbidden());
    }
    let version = match version_id {
        Some(_) => ops::get::version(world, bucket, key, version_id),
        None => ops::get::current(world, bucket, key),
    };
    let version = version.map_err(|_| forbidden())?;
    let lies = world.buckets.get(bucket);
    if lies.is_some_and(|lies| archived(lies, key, version, world.now()).is_some()) {
        let message = "Reading the manifest is forbidden: InvalidObjectState";
        return Err(JobFailure::new("ManifestReadForbidden", message));
    }
    Ok(version)
}

/// The same object, if the role may decrypt it (S3 User Guide: specifying a manifest).
pub(super) fn decryptable<'a>(
    world: &World,
    role: &str,
    (bucket, name): (&str, &str),
    version: &'a Version,
) -> Result<&'a Version, JobFailure> {
    let Encryption::Kms { key, bucket_key, .. } = &version.encryption else {
        return Ok(version);
    };
    let object = access::encrypted(bucket, name, *bucket_key);
    let allowed =
        access::is_usable(world, key) && access::key(world, role, "kms:Decrypt", key, &object);
    if allowed { Ok(version) } else { Err(forbidden()) }
}

/// The whole object in one piece; no copy unless it came in parts.
pub(super) fn body_of(version: &Version) -> Result<Bytes, JobFailure> {
    if matches!(version.encryption, Encryption::Customer { .. }) {
        return Err(forbidden());
    }
    let pieces = version.content.as_ref().map_or(&[][..], |content| content.body.pieces.as_slice());
    Ok(match pieces {
        [piece] => piece.clone(),
        pieces => pieces
            .iter()
            .fold(BytesMut::new(), |mut whole, piece| {
                whole.extend_from_slice(piece);
                whole
            })
            .freeze(),
    })
}

/// Quotes around the ETag make no difference.
fn check_etag(version: &Version, etag: &str) -> Result<(), JobFailure> {
    let etag = etag.trim_matches('"');
    let hash = etag.split_once('-').map_or(etag, |(hash, _)| hash);
    if hash.len() != 32 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(JobFailure::new("InvalidManifestContent", "ETag format is invalid"));
    }
    let actual = version.content.as_ref().map_or("", |content| content.etag.as_str());
    if actual == etag {
        Ok(())
    } else {
        Err(JobFailure::new(
            "InvalidManifest",
            "The ETag of the manifest object is not the one in the job's manifest location",
        ))
    }
}

fn forbidden() -> JobFailure {
    JobFailure::new("ManifestReadForbidden", "Reading the manifest is forbidden: AccessDenied")
}
