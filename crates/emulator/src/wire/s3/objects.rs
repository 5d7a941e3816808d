//! Writing objects: put, copy, delete.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use s3s::{S3Request, S3Response, S3Result, dto};

use super::fields::{self, etag, second};
use super::{checksum, lock, plain, with_headers};
use crate::wire::authorize::may_delete;
use crate::wire::caller::Caller;
use crate::world::object::Content;
use crate::world::ops::condition::WriteIf;
use crate::world::ops::copy::Changes;
use crate::world::ops::put::{Draft, md5_hex, storage_class};
use crate::world::ops::{copy as copying, delete as deleting, put as putting};
use crate::world::{Answer, Refusal, World};

pub(super) fn put(
    world: &mut World,
    request: S3Request<dto::PutObjectInput>,
    body: Bytes,
) -> S3Result<S3Response<dto::PutObjectOutput>> {
    let checksums = checksum::verified(&request, &body)?;
    let S3Request { input, headers, .. } = request;
    let mut told = HeaderMap::new();
    checksum::add(&mut told, &checksums);
    let content = Content {
        etag: md5_hex(&body),
        body: body.into(),
        headers: fields::stored(&headers),
        metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        checksums,
        part_checksums: Vec::new(),
    };
    let draft = Draft {
        content: Arc::new(content),
        tags: fields::tags_of_query(input.tagging.as_deref())?,
        storage_class: storage_class(input.storage_class.as_ref().map(|class| class.as_str())),
        encryption: fields::encryption(world, &headers)?,
        lock: lock::asked(&headers)?,
    };
    let condition = fields::write_if(input.if_match, input.if_none_match)?;
    let event = "ObjectCreated:Put";
    let written = putting::object(world, &input.bucket, &input.key, draft, &condition, event)?;
    told.extend(fields::of_version(&written.encryption, written.version_id.as_ref()));
    fields::add_expiration(&mut told, world, (&input.bucket, &input.key), None);
    let output = dto::PutObjectOutput { e_tag: Some(etag(&written.etag)), ..Default::default() };
    with_headers(output, told)
}

pub(super) fn delete(
    world: &mut World,
    request: S3Request<dto::DeleteObjectInput>,
) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
    let input = request.input;
    no_such_condition(
        input.if_match_size.is_some() || input.if_match_last_modified_time.is_some(),
    )?;
    if input.version_id.is_some() && input.if_match.is_some() {
        let message = "A header you provided implies functionality that is not implemented: a version is deleted without a condition";
        return Err(Refusal::new(501, "NotImplemented", message).into());
    }
    let condition = WriteIf { matches: fields::tag_of(input.if_match), absent: false };
    let deleted = match &input.version_id {
        Some(id) => {
            let bypass = input.bypass_governance_retention == Some(true);
            deleting::version(world, (&input.bucket, &input.key), id, &condition, bypass)?
        }
        None => deleting::key(world, &input.bucket, &input.key, &condition)?,
    };
    plain(dto::DeleteObjectOutput {
        delete_marker: deleted.delete_marker.then_some(true),
        version_id: deleted.version_id.map(|id| id.to_string()),
        ..Default::default()
    })
}

/// Conditions on size and date are for directory buckets; a condition that is passed over would delete what was
/// to be kept.
fn no_such_condition(is_asked: bool) -> Answer<()> {
    if !is_asked {
        return Ok(());
    }
    let message = "A header you provided implies functionality that is not implemented: deletes are conditional on ETags only";
    Err(Refusal::new(501, "NotImplemented", message))
}

pub(super) fn delete_many(
    world: &mut World,
    request: S3Request<dto::DeleteObjectsInput>,
) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
    let caller = request.extensions.get::<Caller>().cloned();
    let bypass = request.input.bypass_governance_retention == Some(true);
    let dto::DeleteObjectsInput { bucket, delete, .. } = request.input;
    if delete.objects.is_empty() || delete.objects.len() > 1_000 {
        return Err(
            Refusal::new(400, "MalformedXML", "A delete request names 1 to 1000 objects").into()
        );
    }
    let of_directories =
        |it: &dto::ObjectIdentifier| it.size.is_some() || it.last_modified_time.is_some();
    no_such_condition(delete.objects.iter().any(of_directories))?;
    let quiet = delete.quiet == Some(true);
    let (mut gone, mut errors) = (Vec::new(), Vec::new());
    for object in delete.objects {
        let condition =
            WriteIf { matches: object.e_tag.map(|tag| tag.into_value()), absent: false };
        let place = (bucket.as_str(), object.key.as_str());
        let allowed = caller
            .as_ref()
            .map_or(Ok(()), |caller| may_delete(world, caller, place, object.version_id.is_some()));
        let deleted = allowed.and_then(|()| match &object.version_id {
            Some(id) => deleting::version(world, place, id, &condition, bypass),
            None => deleting::key(world, &bucket, &object.key, &condition),
        });
        match deleted {
            Ok(deleted) => gone.push(dto::DeletedObject {
                delete_marker: deleted.delete_marker.then_some(true),
                delete_marker_version_id: deleted
                    .version_id
                    .filter(|_| deleted.delete_marker)
                    .map(|id| id.to_string()),
                key: Some(object.key),
                version_id: object.version_id,
            }),
            Err(refusal) if refusal.code == "NoSuchBucket" => return Err(refusal.into()),
            Err(refusal) => errors.push(dto::Error {
                code: Some(refusal.code),
                message: Some(refusal.message),
                key: Some(object.key),
                version_id: object.version_id,
            }),
        }
    }
    plain(dto::DeleteObjectsOutput {
        deleted: (!quiet).then_some(gone),
        errors: (!errors.is_empty()).then_some(errors),
        ..Default::default()
    })
}

pub(super) fn copy(
    world: &mut World,
    request: S3Request<dto::CopyObjectInput>,
) -> S3Result<S3Response<dto::CopyObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    let condition = fields::read_if(
        input.copy_source_if_match,
        input.copy_source_if_none_match,
        input.copy_source_if_modified_since,
        input.copy_source_if_unmodified_since,
    );
    let source = fields::source(input.copy_source, condition, &headers)?;
    let replaces =
        |directive: Option<&str>| directive.is_some_and(|it| it.eq_ignore_ascii_case("REPLACE"));
    let new_metadata = replaces(input.metadata_directive.as_ref().map(|it| it.as_str()));
    let new_tags = replaces(input.tagging_directive.as_ref().map(|it| it.as_str()));
    let tag = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let unquoted = |value: &str| value.trim_matches('"').to_owned();
    let changes = Changes {
        metadata: new_metadata.then(|| {
            (fields::stored(&headers), input.metadata.unwrap_or_default().into_iter().collect())
        }),
        tags: if new_tags { Some(fields::tags_of_query(input.tagging.as_deref())?) } else { None },
        storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
        encryption: fields::encryption(world, &headers)?,
        lock: lock::asked(&headers)?,
        // The crate's copy does not know these two yet.
        condition: WriteIf {
            matches: tag("if-match").map(unquoted),
            absent: tag("if-none-match").is_some(),
        },
    };
    let copied = copying::object(world, &source, &input.bucket, &input.key, changes)?;
    let told = fields::of_version(&copied.written.encryption, copied.written.version_id.as_ref());
    let output = dto::CopyObjectOutput {
        copy_object_result: Some(dto::CopyObjectResult {
            e_tag: Some(etag(&copied.written.etag)),
            last_modified: second(copied.modified),
            ..Default::default()
        }),
        copy_source_version_id: copied.source_version.map(|id| id.to_string()),
        ..Default::default()
    };
    with_headers(output, told)
}
