//! The state bucket: whole objects, read and written, with the conditions that S3 keeps. Every object
//! is encrypted with SSE-S3 by name, even in a bucket whose default is a KMS key: S3 Batch Operations
//! refuses a CSV manifest that is encrypted with KMS (S3 User Guide: batch-ops-create-job).

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{Delete, ObjectIdentifier, ServerSideEncryption};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{AwsError, Clients, Kind};

/// The state bucket.
#[derive(Debug, Clone)]
pub struct Store {
    /// The clients.
    pub clients: Clients,
    /// Its name.
    pub bucket: String,
}

/// An object that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its ETag, with the quotes that conditions take.
    pub etag: String,
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<T> {
    /// What it says.
    pub value: T,
    /// Its ETag, for a swap.
    pub etag: String,
}

/// An object that was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written, in milliseconds since the epoch.
    pub modified_ms: u64,
}

/// What came of writing only if absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    Written {
        /// Its ETag.
        etag: String,
    },
    /// There was one; it is as it was.
    Exists,
}

/// What came of a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swapped {
    /// It is replaced.
    Won {
        /// The new ETag.
        etag: String,
    },
    /// It was no longer the expected one; it is as it was.
    Lost,
}

/// Keys that one DeleteObjects request takes (S3 API Reference).
const DELETE_MAX: usize = 1_000;
/// Tries of a conditional write that meets another one (409).
const CONFLICT_TRIES: usize = 4;

enum Condition<'a> {
    None,
    Absent,
    Is(&'a str),
}

impl Store {
    /// The bucket of this name.
    pub fn new(clients: Clients, bucket: String) -> Self {
        Self { clients, bucket }
    }

    /// Reads an object; `None` if there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, AwsError> {
        let sent = self.clients.s3.get_object().bucket(&self.bucket).key(key).send().await;
        let output = match sent {
            Ok(output) => output,
            Err(error) => return none_if_missing(self.error("GetObject", key, &error)),
        };
        let etag = output.e_tag().unwrap_or_default().to_owned();
        Ok(Some(Object { bytes: self.body(output, key).await?, etag }))
    }

    /// Reads the bytes of an object from `from` up to `to`, which it may end before; `None` if there
    /// is no object. `etag`, if given, has to be the object's.
    pub async fn get_range(
        &self,
        key: &str,
        from: u64,
        to: u64,
        etag: Option<&str>,
    ) -> Result<Option<Object>, AwsError> {
        let range = format!("bytes={from}-{}", to.saturating_sub(1).max(from));
        let request = self.clients.s3.get_object().bucket(&self.bucket).key(key).range(range);
        let output = match request.set_if_match(etag.map(str::to_owned)).send().await {
            Ok(output) => output,
            Err(error) => {
                let problem = self.error("GetObject", key, &error);
                // A range past the end: nothing is there.
                if problem.code.as_deref() == Some("InvalidRange") {
                    let etag = etag.unwrap_or_default().to_owned();
                    return Ok(Some(Object { bytes: Bytes::new(), etag }));
                }
                return none_if_missing(problem);
            }
        };
        let etag = output.e_tag().unwrap_or_default().to_owned();
        Ok(Some(Object { bytes: self.body(output, key).await?, etag }))
    }

    async fn body(&self, output: GetObjectOutput, key: &str) -> Result<Bytes, AwsError> {
        let collected = output.body.collect().await;
        let target = format!("s3://{}/{key}", self.bucket);
        collected
            .map(aws_smithy_types::byte_stream::AggregatedBytes::into_bytes)
            .map_err(|why| AwsError::local("GetObject", target, why))
    }

    /// Reads a JSON document; `None` if there is none.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<Loaded<T>>, AwsError> {
        let Some(Object { bytes, etag }) = self.get(key).await? else {
            return Ok(None);
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(Loaded { value, etag })),
            Err(why) => Err(AwsError {
                kind: Kind::Invalid,
                operation: "GetObject",
                target: format!("s3://{}/{key}", self.bucket),
                code: Some("UnreadableDocument".to_owned()),
                message: format!("{why}; leave it as it is and update this release"),
            }),
        }
    }

    /// Whether there is an object.
    pub async fn exists(&self, key: &str) -> Result<bool, AwsError> {
        match self.clients.s3.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                none_if_missing::<()>(self.error("HeadObject", key, &error)).map(|_| false)
            }
        }
    }

    /// Writes an object, whatever was there; gives its ETag.
    pub async fn put(&self, key: &str, body: Bytes, kind: &str) -> Result<String, AwsError> {
        self.write(key, body, kind, &Condition::None).await
    }

    /// Writes an object if there is none.
    pub async fn put_new(&self, key: &str, body: Bytes, kind: &str) -> Result<Written, AwsError> {
        match self.write(key, body, kind, &Condition::Absent).await {
            Ok(etag) => Ok(Written::Written { etag }),
            Err(problem) if problem.kind == Kind::Precondition => Ok(Written::Exists),
            Err(problem) => Err(problem),
        }
    }

    /// Writes a JSON document if there is none.
    pub async fn put_json_new<T: Serialize>(
        &self,
        key: &str,
        value: &T,
    ) -> Result<Written, AwsError> {
        self.put_new(key, self.json(key, value)?, JSON).await
    }

    /// Replaces a JSON document if its ETag is the expected one, or writes it if none is expected and
    /// there is none.
    pub async fn swap_json<T: Serialize>(
        &self,
        key: &str,
        value: &T,
        expected: Option<&str>,
    ) -> Result<Swapped, AwsError> {
        let condition = expected.map_or(Condition::Absent, Condition::Is);
        match self.write(key, self.json(key, value)?, JSON, &condition).await {
            Ok(etag) => Ok(Swapped::Won { etag }),
            // Expected to be there and gone: somebody else was at it.
            Err(problem) if matches!(problem.kind, Kind::Precondition | Kind::NotFound) => {
                Ok(Swapped::Lost)
            }
            Err(problem) => Err(problem),
        }
    }

    fn json<T: Serialize>(&self, key: &str, value: &T) -> Result<Bytes, AwsError> {
        let target = format!("s3://{}/{key}", self.bucket);
        let bytes = serde_json::to_vec_pretty(value);
        bytes.map(Bytes::from).map_err(|why| AwsError::local("PutObject", target, why))
    }

    async fn write(
        &self,
        key: &str,
        body: Bytes,
        kind: &str,
        condition: &Condition<'_>,
    ) -> Result<String, AwsError> {
        let mut tries = CONFLICT_TRIES;
        loop {
            tries -= 1;
            match self.write_once(key, body.clone(), kind, condition).await {
                Err(problem) if problem.kind == Kind::Conflict && tries > 0 => {}
                written => return written,
            }
        }
    }

    async fn write_once(
        &self,
        key: &str,
        body: Bytes,
        kind: &str,
        condition: &Condition<'_>,
    ) -> Result<String, AwsError> {
        let request = self.clients.s3.put_object().bucket(&self.bucket).key(key);
        let request = request.content_type(kind).body(ByteStream::from(body));
        let request = request.server_side_encryption(ServerSideEncryption::Aes256);
        let request = match condition {
            Condition::None => request,
            Condition::Absent => request.if_none_match("*"),
            Condition::Is(etag) => request.if_match(*etag),
        };
        match Box::pin(request.send()).await {
            Ok(output) => Ok(output.e_tag().unwrap_or_default().to_owned()),
            Err(error) => Err(self.error("PutObject", key, &error)),
        }
    }

    /// Lists the objects under a prefix in order of key, at most `max` of them.
    pub async fn list(&self, prefix: &str, max: usize) -> Result<Vec<Listed>, AwsError> {
        let mut listed = Vec::new();
        let mut token = None;
        while listed.len() < max {
            let request = self.clients.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix);
            let page = i32::try_from((max - listed.len()).min(1_000)).unwrap_or(1_000);
            let sent = request.max_keys(page).set_continuation_token(token).send().await;
            let output = sent.map_err(|error| self.error("ListObjectsV2", prefix, &error))?;
            for object in output.contents() {
                let key = object.key().unwrap_or_default().to_owned();
                let size = object.size().unwrap_or_default().unsigned_abs();
                let modified = object.last_modified().and_then(|at| at.to_millis().ok());
                let modified_ms = u64::try_from(modified.unwrap_or_default()).unwrap_or_default();
                listed.push(Listed { key, size, modified_ms });
            }
            token = output.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(listed)
    }

    /// The common prefixes under a prefix, up to the next slash.
    pub async fn list_prefixes(&self, prefix: &str) -> Result<Vec<String>, AwsError> {
        let mut prefixes = Vec::new();
        let mut token = None;
        loop {
            let request = self.clients.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix);
            let sent = request.delimiter("/").set_continuation_token(token).send().await;
            let output = sent.map_err(|error| self.error("ListObjectsV2", prefix, &error))?;
            let found = output.common_prefixes().iter().filter_map(|common| common.prefix());
            prefixes.extend(found.map(str::to_owned));
            token = output.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                return Ok(prefixes);
            }
        }
    }

    /// Deletes objects; those that are gone are deleted already.
    pub async fn delete(&self, keys: &[String]) -> Result<(), AwsError> {
        for keys in keys.chunks(DELETE_MAX) {
            let identifiers =
                keys.iter().filter_map(|key| ObjectIdentifier::builder().key(key).build().ok());
            let delete = Delete::builder().set_objects(Some(identifiers.collect())).quiet(true);
            let first = keys.first().map(String::as_str).unwrap_or_default();
            let delete =
                delete.build().map_err(|why| AwsError::local("DeleteObjects", first, why))?;
            let request = self.clients.s3.delete_objects().bucket(&self.bucket).delete(delete);
            let output = Box::pin(request.send())
                .await
                .map_err(|error| self.error("DeleteObjects", first, &error))?;
            if let Some(error) = output.errors().first() {
                let target = format!("s3://{}/{}", self.bucket, error.key().unwrap_or_default());
                let why = error.message().unwrap_or("not deleted");
                return Err(AwsError::local("DeleteObjects", target, why));
            }
        }
        Ok(())
    }

    pub(crate) fn error<E>(
        &self,
        operation: &'static str,
        key: &str,
        error: &aws_smithy_runtime_api::client::result::SdkError<
            E,
            aws_smithy_runtime_api::client::orchestrator::HttpResponse,
        >,
    ) -> AwsError
    where
        E: aws_smithy_types::error::metadata::ProvideErrorMetadata,
    {
        AwsError::of(operation, format!("s3://{}/{key}", self.bucket), error)
    }
}

const JSON: &str = "application/json";

/// A missing object is an answer; a missing bucket is not.
fn none_if_missing<T>(problem: AwsError) -> Result<Option<T>, AwsError> {
    let bucket = problem.code.as_deref() == Some("NoSuchBucket");
    if problem.kind == Kind::NotFound && !bucket { Ok(None) } else { Err(problem) }
}
