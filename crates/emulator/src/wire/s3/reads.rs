//! Reading one object: get and head, which differ in the bytes alone.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use s3s::{Body, S3Error, S3Request, S3Response, S3Result, dto};

use super::fields::{self, add, second};
use super::{archive, checksum, lock};
use crate::world::bucket::Versioning;
use crate::world::object::{Content, Version};
use crate::world::ops::archive as touching;
use crate::world::ops::condition::ReadIf;
use crate::world::ops::get::{self as getting, Span};
use crate::world::ops::put::status_name;
use crate::world::{Millis, Refusal, World};

/// The headers that carry the key of an SSE-C object.
const CUSTOMER: &str = "x-amz-server-side-encryption-customer-";

/// What a read asks for, be it with GET or with HEAD.
struct Read<'a> {
    bucket: &'a str,
    key: &'a str,
    version_id: Option<&'a str>,
    part: Option<i32>,
    span: Option<Span>,
    condition: ReadIf,
    checksums: bool,
}

/// What a read finds.
struct Found {
    content: Arc<Content>,
    headers: HeaderMap,
    modified: Millis,
    id: Arc<str>,
    /// The bytes asked for, and their first and last offset, where a stretch was asked for.
    stretch: Option<(Bytes, u64, u64)>,
}

pub(super) fn get(
    world: &mut World,
    request: S3Request<dto::GetObjectInput>,
) -> S3Result<S3Response<dto::GetObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    let found = read(
        world,
        &headers,
        true,
        &Read {
            bucket: &input.bucket,
            key: &input.key,
            version_id: input.version_id.as_deref(),
            part: input.part_number,
            span: input.range.map(span),
            condition: fields::read_if(
                input.if_match,
                input.if_none_match,
                input.if_modified_since,
                input.if_unmodified_since,
            ),
            checksums: input.checksum_mode.is_some(),
        },
    )?;
    touching::touch(world, &input.bucket, &input.key, &found.id);
    let (range, bytes) = found.cut();
    let output = dto::GetObjectOutput {
        content_length: Some(bytes.len() as i64),
        body: Some(Body::from(bytes).into()),
        last_modified: second(found.modified),
        metadata: metadata(&found.content),
        content_range: range.clone(),
        ..Default::default()
    };
    let mut told = found.headers;
    // What the query overrides is printed by the crate below.
    for (name, overridden) in [
        ("content-type", input.response_content_type.is_some()),
        ("content-language", input.response_content_language.is_some()),
        ("cache-control", input.response_cache_control.is_some()),
        ("content-disposition", input.response_content_disposition.is_some()),
        ("content-encoding", input.response_content_encoding.is_some()),
        ("expires", input.response_expires.is_some()),
    ] {
        if overridden {
            told.remove(name);
        }
    }
    let mut answer = S3Response::with_headers(output, told);
    answer.status = range.map(|_| StatusCode::PARTIAL_CONTENT);
    Ok(answer)
}

pub(super) fn head(
    world: &mut World,
    request: S3Request<dto::HeadObjectInput>,
) -> S3Result<S3Response<dto::HeadObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    let found = read(
        world,
        &headers,
        false,
        &Read {
            bucket: &input.bucket,
            key: &input.key,
            version_id: input.version_id.as_deref(),
            part: input.part_number,
            span: input.range.map(span),
            condition: fields::read_if(
                input.if_match,
                input.if_none_match,
                input.if_modified_since,
                input.if_unmodified_since,
            ),
            checksums: input.checksum_mode.is_some(),
        },
    )?;
    let (range, bytes) = found.cut();
    let output = dto::HeadObjectOutput {
        content_length: Some(bytes.len() as i64),
        last_modified: second(found.modified),
        metadata: metadata(&found.content),
        content_range: range.clone(),
        ..Default::default()
    };
    let mut answer = S3Response::with_headers(output, found.headers);
    answer.status = range.map(|_| StatusCode::PARTIAL_CONTENT);
    Ok(answer)
}

fn read(world: &World, headers: &HeaderMap, bytes: bool, read: &Read<'_>) -> S3Result<Found> {
    let version = find(world, read)?;
    let key_md5 = fields::customer_key(headers, CUSTOMER)?;
    if bytes {
        getting::readable(world, (read.bucket, read.key), version, key_md5.as_deref())?;
    } else {
        getting::customer_key(version, key_md5.as_deref())?;
    }
    let Some(content) = version.content.clone() else {
        return Err(marker(version, 405));
    };
    read.condition.check(&content.etag, version.modified).map_err(|refusal| {
        let mut headers = HeaderMap::new();
        if refusal.status == 304 {
            add(&mut headers, "etag", &format!("\"{}\"", content.etag));
            add(&mut headers, "last-modified", &archive::http_date(version.modified));
        }
        let mut error = S3Error::from(refusal);
        error.set_headers(headers);
        error
    })?;
    let stretch = match (read.part, read.span) {
        (Some(_), Some(_)) => {
            let message = "Cannot specify both Range header and partNumber query parameter";
            return Err(Refusal::new(400, "InvalidRequest", message).into());
        }
        (Some(part), None) => getting::part(&content, part)?,
        (None, Some(span)) => Some(getting::slice(&content.body, span)?),
        (None, None) => None,
    };
    let versioned = world
        .buckets
        .get(read.bucket)
        .is_some_and(|bucket| bucket.versioning != Versioning::Unversioned);
    let mut headers = describe(version, &content, versioned);
    archive::add_headers(&mut headers, world, (read.bucket, read.key), version);
    lock::add_headers(&mut headers, version);
    fields::add_expiration(&mut headers, world, (read.bucket, read.key), Some(&version.id));
    if read.part.is_some()
        && let Some(parts) = getting::parts(&content)
    {
        add(&mut headers, "x-amz-mp-parts-count", &parts.to_string());
    }
    if read.checksums && read.span.is_none() {
        checksum::add_of(&mut headers, &content, read.part);
    }
    Ok(Found { content, headers, modified: version.modified, id: version.id.clone(), stretch })
}

/// The version that a read is about. A delete marker refuses it in its own words.
fn find<'a>(world: &'a World, read: &Read<'_>) -> S3Result<&'a Version> {
    if read.version_id.is_none()
        && let Some(newest) = getting::newest(world, read.bucket, read.key)?
        && newest.is_delete_marker()
    {
        return Err(marker(newest, 404));
    }
    Ok(getting::version(world, read.bucket, read.key, read.version_id)?)
}

/// The refusal of a delete marker: 404 where it is the current version, 405 where it was named.
fn marker(version: &Version, status: u16) -> S3Error {
    let refusal = if status == 404 {
        Refusal::new(404, "NoSuchKey", "The specified key does not exist.")
    } else {
        Refusal::new(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        )
    };
    let mut headers = HeaderMap::new();
    add(&mut headers, "content-type", "application/xml");
    add(&mut headers, "x-amz-delete-marker", "true");
    add(&mut headers, "x-amz-version-id", &version.id);
    let mut error = S3Error::from(refusal);
    error.set_headers(headers);
    error
}

/// The headers that describe a version.
fn describe(version: &Version, content: &Content, versioned: bool) -> HeaderMap {
    let mut headers = fields::of_version(&version.encryption, versioned.then_some(&version.id));
    for (name, value) in content.headers.iter() {
        add(&mut headers, name, value);
    }
    add(&mut headers, "etag", &format!("\"{}\"", content.etag));
    add(&mut headers, "accept-ranges", "bytes");
    if let Some(status) = version.replication {
        add(&mut headers, "x-amz-replication-status", status_name(status));
    }
    if &*version.storage_class != "STANDARD" {
        add(&mut headers, "x-amz-storage-class", &version.storage_class);
    }
    if !version.tags.is_empty() {
        add(&mut headers, "x-amz-tagging-count", &version.tags.len().to_string());
    }
    headers
}

impl Found {
    /// `Content-Range` where a stretch was asked for, and the bytes.
    fn cut(&self) -> (Option<String>, Bytes) {
        let length = self.content.body.len();
        match &self.stretch {
            Some((bytes, first, last)) => {
                (Some(format!("bytes {first}-{last}/{length}")), bytes.clone())
            }
            None => (None, getting::whole(&self.content.body)),
        }
    }
}

fn metadata(content: &Content) -> Option<dto::Metadata> {
    let pairs = content.metadata.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    (!content.metadata.is_empty()).then(|| pairs.collect())
}

fn span(range: dto::Range) -> Span {
    match range {
        dto::Range::Int { first, last } => Span::From(first, last),
        dto::Range::Suffix { length } => Span::Last(length),
    }
}
