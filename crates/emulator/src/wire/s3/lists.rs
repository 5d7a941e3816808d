//! Listings of objects and versions. Continuation tokens carry the last entry, in hexadecimal.

use s3s::{S3Request, S3Response, S3Result, dto};

use super::buckets::owner;
use super::fields::{argument, etag, second};
use super::plain;
use crate::world::notification::stamp::form_encoded;
use crate::world::object::Version;
use crate::world::ops::list::{self, After, Page, Request};
use crate::world::ops::versions;
use crate::world::{Answer, World};

/// The most entries of one page (S3 API Reference: ListObjectsV2).
const PAGE_MAX: i32 = 1_000;

/// How the names in an answer are spelled.
struct Spelling {
    url: bool,
}

impl Spelling {
    fn of(encoding: Option<&dto::EncodingType>) -> Self {
        Self { url: encoding.is_some_and(|encoding| encoding.as_str() == "url") }
    }

    fn name(&self, name: &str) -> String {
        if self.url { form_encoded(name) } else { name.to_owned() }
    }

    fn names(&self, prefixes: &[String]) -> Option<Vec<dto::CommonPrefix>> {
        let spelled = prefixes.iter().map(|it| dto::CommonPrefix { prefix: Some(self.name(it)) });
        (!prefixes.is_empty()).then(|| spelled.collect())
    }
}

/// Whose bucket it is; what lies in it is its owner's, whoever wrote it.
fn owner_of<'a>(world: &'a World, bucket: &str) -> &'a str {
    world.buckets.get(bucket).map_or("", |bucket| &bucket.owner)
}

fn page_size(asked: Option<i32>) -> Answer<i32> {
    match asked.unwrap_or(PAGE_MAX) {
        size if size < 0 => {
            Err(argument("Argument maxKeys must be an integer between 0 and 2147483647"))
        }
        size => Ok(size.min(PAGE_MAX)),
    }
}

pub(super) fn objects_v2(
    world: &mut World,
    request: S3Request<dto::ListObjectsV2Input>,
) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
    let mut input = request.input;
    // An empty one is none.
    input.delimiter = input.delimiter.filter(|it| !it.is_empty());
    let size = page_size(input.max_keys)?;
    let after = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => token_read(token)?,
        (None, Some(key)) => After::Key(key.clone()),
        (None, None) => After::Nothing,
    };
    let asked = Request {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after,
        max: size as usize,
    };
    let page = list::current(world, &input.bucket, &asked)?;
    let spelling = Spelling::of(input.encoding_type.as_ref());
    let account = (input.fetch_owner == Some(true)).then_some(owner_of(world, &input.bucket));
    plain(dto::ListObjectsV2Output {
        key_count: Some((page.keys.len() + page.common_prefixes.len()) as i32),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(token_written),
        contents: contents(&page, &spelling, account),
        common_prefixes: spelling.names(&page.common_prefixes),
        name: Some(input.bucket),
        prefix: Some(spelling.name(&asked.prefix)),
        max_keys: Some(size),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter.map(|it| spelling.name(&it)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|it| spelling.name(&it)),
        ..Default::default()
    })
}

pub(super) fn objects(
    world: &mut World,
    request: S3Request<dto::ListObjectsInput>,
) -> S3Result<S3Response<dto::ListObjectsOutput>> {
    let mut input = request.input;
    // An empty one is none.
    input.delimiter = input.delimiter.filter(|it| !it.is_empty());
    let size = page_size(input.max_keys)?;
    let asked = Request {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: marker(input.marker.as_deref(), input.delimiter.as_deref()),
        max: size as usize,
    };
    let page = list::current(world, &input.bucket, &asked)?;
    let spelling = Spelling::of(input.encoding_type.as_ref());
    // Without a delimiter the client goes on from the last key by itself.
    let next = page.next.as_ref().filter(|_| input.delimiter.is_some());
    plain(dto::ListObjectsOutput {
        is_truncated: Some(page.next.is_some()),
        next_marker: next.map(|after| spelling.name(text(after))),
        contents: contents(&page, &spelling, Some(owner_of(world, &input.bucket))),
        common_prefixes: spelling.names(&page.common_prefixes),
        name: Some(input.bucket),
        prefix: Some(spelling.name(&asked.prefix)),
        marker: Some(spelling.name(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(size),
        delimiter: input.delimiter.map(|it| spelling.name(&it)),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// A marker that ends in the delimiter is a common prefix that was shown: none of its keys follow.
fn marker(marker: Option<&str>, delimiter: Option<&str>) -> After {
    match (marker.filter(|marker| !marker.is_empty()), delimiter) {
        (None, _) => After::Nothing,
        (Some(marker), Some(delimiter)) if !delimiter.is_empty() && marker.ends_with(delimiter) => {
            After::Prefix(marker.to_owned())
        }
        (Some(marker), _) => After::Key(marker.to_owned()),
    }
}

fn text(after: &After) -> &str {
    match after {
        After::Nothing => "",
        After::Key(text) | After::Prefix(text) => text,
    }
}

fn token_written(after: &After) -> String {
    let kind = if matches!(after, After::Prefix(_)) { "p" } else { "k" };
    format!("{kind}{}", hex::encode(text(after)))
}

fn token_read(token: &str) -> Answer<After> {
    let after = || {
        let (kind, rest) = token.split_at_checked(1)?;
        let text = String::from_utf8(hex::decode(rest).ok()?).ok()?;
        match kind {
            "k" => Some(After::Key(text)),
            "p" => Some(After::Prefix(text)),
            _ => None,
        }
    };
    after().ok_or_else(|| argument("The continuation token provided is incorrect"))
}

fn contents(
    page: &Page<'_>,
    spelling: &Spelling,
    account: Option<&str>,
) -> Option<Vec<dto::Object>> {
    let object = |(key, version): &(&str, &Version)| dto::Object {
        e_tag: version.content.as_ref().map(|content| etag(&content.etag)),
        key: Some(spelling.name(key)),
        last_modified: second(version.modified),
        owner: account.map(owner),
        size: Some(version.size() as i64),
        storage_class: Some(version.storage_class.to_string().into()),
        ..Default::default()
    };
    (!page.keys.is_empty()).then(|| page.keys.iter().map(object).collect())
}

pub(super) fn versions(
    world: &mut World,
    request: S3Request<dto::ListObjectVersionsInput>,
) -> S3Result<S3Response<dto::ListObjectVersionsOutput>> {
    let mut input = request.input;
    // An empty one is none.
    input.delimiter = input.delimiter.filter(|it| !it.is_empty());
    let size = page_size(input.max_keys)?;
    // The SDKs send an empty marker for the first page.
    let version_marker = input.version_id_marker.as_deref().filter(|id| !id.is_empty());
    let key_marker = input.key_marker.as_deref().filter(|key| !key.is_empty());
    let after = match (key_marker, version_marker) {
        (Some(key), Some(_)) => After::Key(key.to_owned()),
        _ => marker(key_marker, input.delimiter.as_deref()),
    };
    let asked = Request {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after,
        max: size as usize,
    };
    let page = versions::page(world, &input.bucket, &asked, version_marker)?;
    let spelling = Spelling::of(input.encoding_type.as_ref());
    let account = owner_of(world, &input.bucket);
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for line in &page.lines {
        match line.version.is_delete_marker() {
            true => markers.push(delete_marker(line, &spelling, account)),
            false => versions.push(object_version(line, &spelling, account)),
        }
    }
    let (next_key, next_version) = page.next.clone().unzip();
    plain(dto::ListObjectVersionsOutput {
        is_truncated: Some(page.next.is_some()),
        next_key_marker: next_key.map(|key| spelling.name(&key)),
        next_version_id_marker: next_version.flatten(),
        versions: Some(versions),
        delete_markers: Some(markers),
        common_prefixes: spelling.names(&page.common_prefixes),
        name: Some(input.bucket),
        prefix: Some(spelling.name(&asked.prefix)),
        key_marker: Some(spelling.name(key_marker.unwrap_or_default())),
        version_id_marker: input.version_id_marker,
        max_keys: Some(size),
        delimiter: input.delimiter.map(|it| spelling.name(&it)),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

fn object_version(
    line: &versions::Line<'_>,
    spelling: &Spelling,
    account: &str,
) -> dto::ObjectVersion {
    let version = line.version;
    dto::ObjectVersion {
        e_tag: version.content.as_ref().map(|content| etag(&content.etag)),
        is_latest: Some(line.latest),
        key: Some(spelling.name(line.key)),
        last_modified: second(version.modified),
        owner: Some(owner(account)),
        size: Some(version.size() as i64),
        storage_class: Some(version.storage_class.to_string().into()),
        version_id: Some(version.id.to_string()),
        ..Default::default()
    }
}

fn delete_marker(
    line: &versions::Line<'_>,
    spelling: &Spelling,
    account: &str,
) -> dto::DeleteMarkerEntry {
    dto::DeleteMarkerEntry {
        is_latest: Some(line.latest),
        key: Some(spelling.name(line.key)),
        last_modified: second(line.version.modified),
        owner: Some(owner(account)),
        version_id: Some(line.version.id.to_string()),
    }
}
