//! Small translations between headers, the types of `s3s` and the world's.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_smithy_types::base64;
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest, Md5};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use s3s::dto::{self, ETag, ETagCondition, Timestamp};
use time::OffsetDateTime;

use super::archive;
use crate::world::lifecycle;
use crate::world::object::{Encryption, Fields, Tags};
use crate::world::ops::condition::{ReadIf, WriteIf};
use crate::world::ops::copy::Source;
use crate::world::ops::encryption::key_arn;
use crate::world::{Answer, Millis, PATH, Refusal, World};

/// The headers that S3 keeps with an object and gives back.
const STORED: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
];

/// What S3 calls bytes whose type nobody named.
const UNTYPED: &str = "binary/octet-stream";

/// The headers of a request that are stored with its object.
pub(super) fn stored(headers: &HeaderMap) -> Fields {
    let mut stored = BTreeMap::new();
    for name in STORED {
        let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else {
            continue;
        };
        let value =
            if name == "content-encoding" { without_chunks(value) } else { value.to_owned() };
        if !value.is_empty() {
            stored.insert(name.to_owned(), value);
        }
    }
    stored.entry("content-type".to_owned()).or_insert_with(|| UNTYPED.to_owned());
    stored.into_iter().collect()
}

/// `aws-chunked` says how the request came, not what the object is.
fn without_chunks(encoding: &str) -> String {
    let names = encoding.split(',').filter(|name| name.trim() != "aws-chunked");
    names.collect::<Vec<_>>().join(",").trim().to_owned()
}

/// Adds a header, unless its value cannot be one.
pub(super) fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    let value = HeaderValue::from_str(value);
    if let (Ok(name), Ok(value)) = (name, value) {
        headers.insert(name, value);
    }
}

/// An ETag without quotes.
pub(super) fn etag(tag: &str) -> ETag {
    ETag::Strong(tag.to_owned())
}

/// What an `If-Match` names: an ETag without quotes, or `*`.
pub(super) fn tag_of(condition: Option<ETagCondition>) -> Option<String> {
    condition.map(|condition| match condition.into_etag() {
        Some(tag) => tag.into_value(),
        None => "*".to_owned(),
    })
}

/// The condition of a write.
///
/// # Errors
/// 501 `NotImplemented` for an `If-None-Match` other than `*`, as S3 does.
pub(super) fn write_if(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> Answer<WriteIf> {
    if if_none_match.as_ref().is_some_and(|condition| !condition.is_any()) {
        return Err(Refusal::new(
            501,
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
        ));
    }
    Ok(WriteIf { matches: tag_of(if_match), absent: if_none_match.is_some() })
}

/// The world's time as a timestamp.
pub(super) fn timestamp(at: Millis) -> Option<Timestamp> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).ok()?;
    Some(Timestamp::from(time))
}

/// [`timestamp`] as S3 tells it of objects and buckets: in whole seconds, so that a listing and a header agree.
pub(super) fn second(at: Millis) -> Option<Timestamp> {
    timestamp(at / 1_000 * 1_000)
}

/// A timestamp as the world's time; what lies before 1970 is 1970.
pub(super) fn millis(timestamp: Timestamp) -> Millis {
    let time = OffsetDateTime::from(timestamp);
    Millis::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// The conditions of a read.
pub(super) fn read_if(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    modified_since: Option<Timestamp>,
    unmodified_since: Option<Timestamp>,
) -> ReadIf {
    ReadIf {
        matches: tag_of(if_match),
        differs: tag_of(if_none_match),
        modified_since: modified_since.map(millis),
        unmodified_since: unmodified_since.map(millis),
    }
}

/// Tags in the form of a query: `a=b&c=d`.
///
/// # Errors
/// 400 `InvalidArgument` when it is none, or when a key comes twice.
pub(super) fn tags_of_query(query: Option<&str>) -> Answer<Tags> {
    let mut tags = Tags::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(key), Some(value)) = (form_decoded(key), form_decoded(value)) else {
            return Err(bad_tags());
        };
        if tags.insert(key, value).is_some() {
            return Err(bad_tags());
        }
    }
    Ok(tags)
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

fn bad_tags() -> Refusal {
    let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.";
    Refusal::new(400, "InvalidArgument", message)
}

/// Tags from a document.
///
/// # Errors
/// 400 `InvalidTag` when a key comes twice or is missing.
pub(super) fn tags_of_set(set: Vec<dto::Tag>) -> Answer<Tags> {
    let refuse =
        || Refusal::new(400, "InvalidTag", "Cannot provide multiple Tags with the same key");
    let mut tags = Tags::new();
    for tag in set {
        let key = tag.key.filter(|key| !key.is_empty()).ok_or_else(refuse)?;
        if tags.insert(key, tag.value.unwrap_or_default()).is_some() {
            return Err(refuse());
        }
    }
    Ok(tags)
}

/// Tags as a document.
pub(super) fn tag_set(tags: &Tags) -> Vec<dto::Tag> {
    tags.iter()
        .map(|(key, value)| dto::Tag { key: Some(key.clone()), value: Some(value.clone()) })
        .collect()
}

/// The encryption headers of a request, read from the headers themselves: five operations carry them.
///
/// # Errors
/// 400 `InvalidArgument` for an unknown algorithm or an SSE-C key whose MD5 is not the one given.
pub(super) fn encryption(world: &World, headers: &HeaderMap) -> Answer<Option<Encryption>> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(key_md5) = customer_key(headers, "x-amz-server-side-encryption-customer-")? {
        return Ok(Some(Encryption::Customer { key_md5 }));
    }
    let Some(algorithm) = header("x-amz-server-side-encryption") else {
        return Ok(None);
    };
    let key = header("x-amz-server-side-encryption-aws-kms-key-id");
    let bucket_key = header("x-amz-server-side-encryption-bucket-key-enabled")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    match algorithm {
        "AES256" => Ok(Some(Encryption::S3)),
        "aws:kms" | "aws:kms:dsse" => Ok(Some(Encryption::Kms {
            key: key_arn(world, key),
            dual: algorithm == "aws:kms:dsse",
            bucket_key,
        })),
        _ => Err(argument("The encryption method specified is not supported")),
    }
}

/// The MD5 of the SSE-C key that the headers with this prefix carry, if they do.
///
/// # Errors
/// 400 `InvalidArgument` when key and MD5 do not fit together.
pub(super) fn customer_key(headers: &HeaderMap, prefix: &str) -> Answer<Option<String>> {
    let header =
        |name: &str| headers.get(format!("{prefix}{name}")).and_then(|value| value.to_str().ok());
    let Some(key) = header("key") else {
        return Ok(None);
    };
    let bytes = base64::decode(key).ok().filter(|bytes| bytes.len() == 32);
    let md5 = bytes.map(|bytes| base64::encode(Md5::digest(bytes)));
    match (md5, header("key-md5")) {
        (Some(md5), Some(given)) if md5 == given => Ok(Some(md5)),
        _ => Err(argument(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        )),
    }
}

/// Adds what an answer says of the encryption of a version.
pub(super) fn add_encryption(headers: &mut HeaderMap, encryption: &Encryption) {
    match encryption {
        Encryption::S3 => add(headers, "x-amz-server-side-encryption", "AES256"),
        Encryption::Kms { key, dual, bucket_key } => {
            let algorithm = if *dual { "aws:kms:dsse" } else { "aws:kms" };
            add(headers, "x-amz-server-side-encryption", algorithm);
            add(headers, "x-amz-server-side-encryption-aws-kms-key-id", key);
            if *bucket_key {
                add(headers, "x-amz-server-side-encryption-bucket-key-enabled", "true");
            }
        }
        Encryption::Customer { key_md5 } => {
            add(headers, "x-amz-server-side-encryption-customer-algorithm", "AES256");
            add(headers, "x-amz-server-side-encryption-customer-key-md5", key_md5);
        }
    }
}

/// The headers of an answer about a version: its encryption, and its id where the bucket has versions.
pub(super) fn of_version(encryption: &Encryption, version_id: Option<&Arc<str>>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    add_encryption(&mut headers, encryption);
    if let Some(id) = version_id {
        add(&mut headers, "x-amz-version-id", id);
    }
    headers
}

/// Adds when and by which lifecycle rule the current version of a key will expire, if it is this one.
pub(super) fn add_expiration(
    headers: &mut HeaderMap,
    world: &World,
    (bucket, key): (&str, &str),
    id: Option<&str>,
) {
    let found = world.buckets.get(bucket);
    let current = found.and_then(|bucket| Some((bucket, bucket.keys.get(key)?.first()?)));
    let Some((bucket, version)) = current.filter(|(_, it)| id.is_none_or(|id| &*it.id == id))
    else {
        return;
    };
    if let Some((at, rule)) = lifecycle::expiration_of(&bucket.lifecycle, key, version) {
        let (date, rule) = (archive::http_date(at), utf8_percent_encode(rule, PATH));
        let told = format!("expiry-date=\"{date}\", rule-id=\"{rule}\"");
        add(headers, "x-amz-expiration", &told);
    }
}

/// The source of a copy.
///
/// # Errors
/// 501 `NotImplemented` for access points and Outposts; those of the SSE-C headers.
pub(super) fn source(
    source: dto::CopySource,
    condition: ReadIf,
    headers: &HeaderMap,
) -> Answer<Source> {
    // A plus as it stands is a space, as in a form; the crate takes it for a plus.
    let spelt = headers.get("x-amz-copy-source").and_then(|it| it.to_str().ok());
    let spelt = spelt.filter(|it| it.contains('+')).map(|it| it.replace('+', "%20"));
    let source = spelt.and_then(|it| dto::CopySource::parse(&it).ok()).unwrap_or(source);
    let dto::CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(Refusal::new(501, "NotImplemented", "Access points are not emulated"));
    };
    Ok(Source {
        bucket: bucket.into(),
        key: key.into(),
        version_id: version_id.map(Into::into),
        condition,
        key_md5: customer_key(headers, "x-amz-copy-source-server-side-encryption-customer-")?,
    })
}

/// 400 `InvalidArgument`.
pub(super) fn argument(message: &str) -> Refusal {
    Refusal::new(400, "InvalidArgument", message)
}
