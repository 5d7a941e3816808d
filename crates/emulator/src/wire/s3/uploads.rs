//! Multipart uploads.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use percent_encoding::utf8_percent_encode;
use s3s::{S3Request, S3Response, S3Result, dto};

use super::fields::{self, argument, etag, second};
use super::{checksum, lock, plain, with_headers};
use crate::wire::host::{HOST, bucket_of};
use crate::world::object::Fields;
use crate::world::ops::encryption::choose;
use crate::world::ops::get::Span;
use crate::world::ops::multipart::{self, Upload};
use crate::world::ops::{self, put::storage_class};
use crate::world::{PATH, World};

/// The most entries of one page of parts or uploads (S3 API Reference: ListParts).
const PAGE_MAX: i32 = 1_000;

pub(super) fn create(
    world: &mut World,
    request: S3Request<dto::CreateMultipartUploadInput>,
) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
    let S3Request { input, headers, .. } = request;
    let checksum = checksum::of_upload(&headers)?;
    let mut told = HeaderMap::new();
    if let Some((algorithm, composite)) = &checksum {
        fields::add(&mut told, "x-amz-checksum-algorithm", algorithm);
        let kind = if *composite { "COMPOSITE" } else { "FULL_OBJECT" };
        fields::add(&mut told, "x-amz-checksum-type", kind);
    }
    let upload = Upload {
        checksum,
        key: input.key.clone(),
        initiated: world.now(),
        headers: fields::stored(&headers),
        metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        tags: fields::tags_of_query(input.tagging.as_deref())?,
        storage_class: storage_class(input.storage_class.as_ref().map(|class| class.as_str())),
        encryption: fields::encryption(world, &headers)?,
        lock: lock::asked(&headers)?,
        parts: BTreeMap::new(),
    };
    let chosen = choose(ops::bucket(world, &input.bucket)?, upload.encryption.clone());
    fields::add_encryption(&mut told, &chosen);
    let id = multipart::create(world, &input.bucket, upload)?;
    let output = dto::CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        ..Default::default()
    };
    with_headers(output, told)
}

pub(super) fn part(
    world: &mut World,
    request: S3Request<dto::UploadPartInput>,
    body: Bytes,
) -> S3Result<S3Response<dto::UploadPartOutput>> {
    let checksums = checksum::verified(&request, &body)?;
    let S3Request { input, headers, .. } = request;
    let (bucket, key, id) = (&input.bucket, &input.key, &input.upload_id);
    let mut headers = encrypted(world, (bucket, key, id), &headers)?;
    let part = (body, checksums.clone());
    let tag = multipart::put_part(world, bucket, key, id, input.part_number, part)?;
    checksum::add(&mut headers, &checksums);
    headers.remove("x-amz-checksum-type");
    with_headers(dto::UploadPartOutput { e_tag: Some(etag(&tag)), ..Default::default() }, headers)
}

pub(super) fn part_copy(
    world: &mut World,
    request: S3Request<dto::UploadPartCopyInput>,
) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
    let S3Request { input, headers, .. } = request;
    let condition = fields::read_if(
        input.copy_source_if_match,
        input.copy_source_if_none_match,
        input.copy_source_if_modified_since,
        input.copy_source_if_unmodified_since,
    );
    let source = fields::source(input.copy_source, condition, &headers)?;
    let span = match input.copy_source_range.as_deref().map(dto::Range::parse) {
        None => None,
        Some(Ok(dto::Range::Int { first, last: Some(last) })) => {
            Some(Span::From(first, Some(last)))
        }
        Some(_) => {
            return Err(argument(
                "The x-amz-copy-source-range value must be of the form bytes=first-last",
            )
            .into());
        }
    };
    let bytes = multipart::copied_bytes(world, &source, span)?;
    let (bucket, key, id) = (&input.bucket, &input.key, &input.upload_id);
    let told = encrypted(world, (bucket, key, id), &headers)?;
    let part = (bytes, Fields::default());
    let tag = multipart::put_part(world, bucket, key, id, input.part_number, part)?;
    let result = dto::CopyPartResult {
        e_tag: Some(etag(&tag)),
        last_modified: second(world.now()),
        ..Default::default()
    };
    let output = dto::UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() };
    with_headers(output, told)
}

/// What is told of the encryption of an upload with each of its parts, if the part brings the key that the
/// upload was begun with (S3 User Guide: server-side encryption with customer-provided keys).
fn encrypted(
    world: &World,
    (bucket, key, id): (&str, &str, &str),
    headers: &HeaderMap,
) -> S3Result<HeaderMap> {
    let upload = multipart::find(world, bucket, key, id)?;
    let given = fields::customer_key(headers, "x-amz-server-side-encryption-customer-")?;
    upload.check_key(given.as_deref())?;
    let mut told = HeaderMap::new();
    fields::add_encryption(
        &mut told,
        &choose(ops::bucket(world, bucket)?, upload.encryption.clone()),
    );
    Ok(told)
}

pub(super) fn complete(
    world: &mut World,
    request: S3Request<dto::CompleteMultipartUploadInput>,
) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
    let S3Request { input, headers, .. } = request;
    let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let number = |part: &dto::CompletedPart| part.part_number.unwrap_or_default();
    let stated: Vec<_> = named.iter().map(|it| (number(it), checksum::of_named(it))).collect();
    let parts: Vec<(i32, Option<String>)> = named
        .into_iter()
        .map(|part| (number(&part), part.e_tag.map(|it| it.into_value())))
        .collect();
    let condition = fields::write_if(input.if_match, input.if_none_match)?;
    let (bucket, key, id) = (&input.bucket, &input.key, &input.upload_id);
    let (written, checksums) = match multipart::completed(world, bucket, key, id) {
        Some(before) => before,
        None => {
            let upload = multipart::find(world, bucket, key, id)?;
            let given = fields::customer_key(&headers, "x-amz-server-side-encryption-customer-")?;
            // Without a checksum nothing is computed at the end, and the key is not needed.
            if upload.checksum.is_some() || given.is_some() {
                upload.check_key(given.as_deref())?;
            }
            let numbers = parts.iter().map(|(number, _)| *number);
            let made = checksum::of_parts(upload, numbers, &headers)?;
            checksum::check_named(upload, &stated)?;
            let checksums = made.0.clone();
            (multipart::complete(world, bucket, key, id, &parts, made, &condition)?, checksums)
        }
    };
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or(HOST);
    let root = match bucket_of(host) {
        Some(_) => format!("http://{host}"),
        None => format!("http://{host}/{bucket}"),
    };
    let location = format!("{root}/{}", utf8_percent_encode(key, PATH));
    let mut headers = fields::of_version(&written.encryption, written.version_id.as_ref());
    fields::add_expiration(&mut headers, world, (bucket, key), None);
    let of = |name: &str| checksums.get(name).map(str::to_owned);
    let output = dto::CompleteMultipartUploadOutput {
        location: Some(location),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(etag(&written.etag)),
        checksum_crc32: of("CRC32"),
        checksum_crc32c: of("CRC32C"),
        checksum_crc64nvme: of("CRC64NVME"),
        checksum_sha1: of("SHA1"),
        checksum_sha256: of("SHA256"),
        checksum_type: (!checksums.is_empty())
            .then(|| dto::ChecksumType::from_static(checksum::type_of(&checksums))),
        ..Default::default()
    };
    with_headers(output, headers)
}

pub(super) fn abort(
    world: &mut World,
    request: S3Request<dto::AbortMultipartUploadInput>,
) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
    let input = request.input;
    multipart::abort(world, &input.bucket, &input.key, &input.upload_id)?;
    plain(dto::AbortMultipartUploadOutput::default())
}

pub(super) fn list_parts(
    world: &mut World,
    request: S3Request<dto::ListPartsInput>,
) -> S3Result<S3Response<dto::ListPartsOutput>> {
    let input = request.input;
    let upload = multipart::find(world, &input.bucket, &input.key, &input.upload_id)?;
    let size = input.max_parts.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
    let after = input.part_number_marker.unwrap_or_default();
    let mut behind = upload.parts.range(after.saturating_add(1)..);
    let parts: Vec<dto::Part> = behind
        .by_ref()
        .take(size as usize)
        .map(|(number, part)| dto::Part {
            e_tag: Some(etag(&part.etag)),
            last_modified: second(part.modified),
            part_number: Some(*number),
            size: Some(part.bytes.len() as i64),
            ..Default::default()
        })
        .collect();
    // A page of nothing has nothing behind it to ask for.
    let truncated = size > 0 && behind.next().is_some();
    plain(dto::ListPartsOutput {
        is_truncated: Some(truncated),
        next_part_number_marker: parts.last().and_then(|part| part.part_number),
        parts: Some(parts),
        max_parts: Some(size),
        part_number_marker: input.part_number_marker,
        storage_class: Some(upload.storage_class.to_string().into()),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        ..Default::default()
    })
}

pub(super) fn list(
    world: &mut World,
    request: S3Request<dto::ListMultipartUploadsInput>,
) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
    let input = request.input;
    let bucket = ops::bucket(world, &input.bucket)?;
    let size = input.max_uploads.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
    let prefix = input.prefix.clone().unwrap_or_default();
    let key_marker = input.key_marker.as_deref().unwrap_or_default();
    let id_marker = input.upload_id_marker.as_deref().unwrap_or_default();
    let behind = |key: &str, id: &str| {
        key > key_marker || (key == key_marker && !id_marker.is_empty() && id > id_marker)
    };
    // Uploads are few: they are sorted anew for each page.
    let mut sorted: Vec<(&str, &str, &Upload)> = bucket
        .uploads
        .iter()
        .map(|(id, upload)| (upload.key.as_str(), id.as_str(), upload))
        .filter(|(key, id, _)| key.starts_with(&prefix) && behind(key, id))
        .collect();
    sorted.sort_unstable_by_key(|(key, id, _)| (*key, *id));
    let truncated = size > 0 && sorted.len() > size as usize;
    sorted.truncate(size as usize);
    let uploads = sorted.iter().map(|(key, id, upload)| dto::MultipartUpload {
        initiated: second(upload.initiated),
        key: Some((*key).to_owned()),
        storage_class: Some(upload.storage_class.to_string().into()),
        upload_id: Some((*id).to_owned()),
        ..Default::default()
    });
    let last = sorted.last().filter(|_| truncated);
    plain(dto::ListMultipartUploadsOutput {
        is_truncated: Some(truncated),
        next_key_marker: last.map(|(key, _, _)| (*key).to_owned()),
        next_upload_id_marker: last.map(|(_, id, _)| (*id).to_owned()),
        uploads: Some(uploads.collect()),
        max_uploads: Some(size),
        prefix: Some(prefix),
        key_marker: input.key_marker,
        upload_id_marker: input.upload_id_marker,
        bucket: Some(input.bucket.clone()),
        ..Default::default()
    })
}
