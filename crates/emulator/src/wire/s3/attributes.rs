//! `GetObjectAttributes`: what is known of a version without its bytes.

use std::collections::BTreeSet;

use http::HeaderMap;
use s3s::{S3Request, S3Response, S3Result, dto};

use super::fields::{add, etag, second};
use crate::world::World;
use crate::world::bucket::Versioning;
use crate::world::object::Content;
use crate::world::ops::{self, get};

/// The most parts of one page (S3 API Reference: GetObjectAttributes).
const PARTS_MAX: i32 = 1_000;

pub(super) fn get(
    world: &mut World,
    request: S3Request<dto::GetObjectAttributesInput>,
) -> S3Result<S3Response<dto::GetObjectAttributesOutput>> {
    let input = request.input;
    let version = get::version(world, &input.bucket, &input.key, input.version_id.as_deref())?;
    let content = version.content.as_ref().ok_or_else(ops::no_such_key)?;
    let wanted: BTreeSet<&str> = input
        .object_attributes
        .iter()
        .flat_map(|names| names.as_str().split(','))
        .map(str::trim)
        .collect();
    let wants = |name: &str| wanted.contains(name);
    let size = i64::try_from(version.size()).unwrap_or(i64::MAX);
    let output = dto::GetObjectAttributesOutput {
        checksum: wants("Checksum").then(|| checksum(content)).flatten(),
        e_tag: wants("ETag").then(|| etag(&content.etag)),
        last_modified: second(version.modified),
        object_parts: wants("ObjectParts")
            .then(|| parts(content, input.max_parts, input.part_number_marker))
            .flatten(),
        object_size: wants("ObjectSize").then_some(size),
        storage_class: wants("StorageClass")
            .then(|| dto::StorageClass::from(version.storage_class.to_string())),
        ..Default::default()
    };
    let mut headers = HeaderMap::new();
    let bucket = world.buckets.get(&input.bucket);
    if bucket.is_some_and(|bucket| bucket.versioning != Versioning::Unversioned) {
        add(&mut headers, "x-amz-version-id", &version.id);
    }
    Ok(S3Response::with_headers(output, headers))
}

fn checksum(content: &Content) -> Option<dto::Checksum> {
    let of = |name: &str| content.checksums.get(name).map(str::to_owned);
    (!content.checksums.is_empty()).then(|| dto::Checksum {
        checksum_crc32: of("CRC32"),
        checksum_crc32c: of("CRC32C"),
        checksum_crc64nvme: of("CRC64NVME"),
        checksum_sha1: of("SHA1"),
        checksum_sha256: of("SHA256"),
        checksum_type: Some(dto::ChecksumType::from_static(super::checksum::type_of(
            &content.checksums,
        ))),
    })
}

/// A part with nothing but its checksum.
fn checked(content: &Content, number: i32) -> dto::ObjectPart {
    let checksums = super::checksum::of_part(content, number).unwrap_or_default();
    let of = |name: &str| checksums.get(name).map(str::to_owned);
    dto::ObjectPart {
        checksum_crc32: of("CRC32"),
        checksum_crc32c: of("CRC32C"),
        checksum_crc64nvme: of("CRC64NVME"),
        checksum_sha1: of("SHA1"),
        checksum_sha256: of("SHA256"),
        ..Default::default()
    }
}

fn parts(
    content: &Content,
    max: Option<i32>,
    marker: Option<i32>,
) -> Option<dto::GetObjectAttributesParts> {
    let total = i32::try_from(get::parts(content)?).ok()?;
    let max = max.unwrap_or(PARTS_MAX).clamp(0, PARTS_MAX);
    let after = marker.unwrap_or_default().max(0);
    let shown = content.body.pieces.iter().zip(1..).filter(|(_, number)| *number > after);
    let parts: Vec<dto::ObjectPart> = shown
        .take(usize::try_from(max).unwrap_or_default())
        .map(|(piece, number)| dto::ObjectPart {
            part_number: Some(number),
            size: i64::try_from(piece.len()).ok(),
            ..checked(content, number)
        })
        .collect();
    let last = parts.last().and_then(|part| part.part_number).unwrap_or(after);
    Some(dto::GetObjectAttributesParts {
        is_truncated: Some(max > 0 && last < total),
        max_parts: Some(max),
        next_part_number_marker: Some(last),
        part_number_marker: Some(after),
        parts: Some(parts),
        total_parts_count: Some(total),
    })
}
