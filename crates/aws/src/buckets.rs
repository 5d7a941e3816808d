//! Buckets that are healed: where they are, what is asked of them by tag, and their notification
//! documents, which are read and written as the bytes that they are. The SDK's types would drop every
//! field that they do not know, and the document belongs to others too. A bucket of the same name that
//! is another account's is refused: nobody else is told of our failures, nor we of theirs.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::AsyncSleep;
use aws_sdk_s3::types::NotificationConfiguration;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;

use crate::{AwsError, Clients, Kind};

/// The Region that the clients are in.
pub fn own_region(clients: &Clients) -> String {
    clients.s3.config().region().map(ToString::to_string).unwrap_or_default()
}

/// The Region of a bucket; `None` if there is no such bucket. S3 answers from another Region with a
/// redirection, and says where the bucket is even to whom it refuses (S3 API Reference: HeadBucket).
pub async fn region(clients: &Clients, bucket: &str) -> Result<Option<String>, AwsError> {
    let request = clients.s3.head_bucket().bucket(bucket);
    let error = match request.expected_bucket_owner(&clients.account).send().await {
        Ok(output) => {
            let own = || own_region(clients);
            return Ok(Some(output.bucket_region().map_or_else(own, str::to_owned)));
        }
        Err(error) => error,
    };
    let header =
        |response: &HttpResponse| response.headers().get("x-amz-bucket-region").map(str::to_owned);
    let elsewhere = error.raw_response().and_then(header);
    let elsewhere = elsewhere.filter(|region| *region != own_region(clients));
    let problem = AwsError::of("HeadBucket", format!("s3://{bucket}"), &error);
    match (problem.kind, elsewhere) {
        (Kind::NotFound, _) => Ok(None),
        (_, Some(region)) => Ok(Some(region)),
        _ => Err(problem),
    }
}

/// The status of a bucket's versioning: `Enabled`, `Suspended`, or `off`.
pub async fn versioning(clients: &Clients, bucket: &str) -> Result<String, AwsError> {
    let sent = clients.s3.get_bucket_versioning().bucket(bucket).send().await;
    let output = sent
        .map_err(|error| AwsError::of("GetBucketVersioning", format!("s3://{bucket}"), &error))?;
    Ok(output.status().map_or("off", |status| status.as_str()).to_owned())
}

/// The names of the account's buckets in the clients' Region.
pub async fn list(clients: &Clients) -> Result<Vec<String>, AwsError> {
    let region = own_region(clients);
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let request = clients.s3.list_buckets().bucket_region(&region).max_buckets(1_000);
        let sent = request.set_continuation_token(token).send().await;
        let output = sent.map_err(|error| AwsError::of("ListBuckets", &region, &error))?;
        let buckets = output.buckets().iter();
        names.extend(buckets.filter_map(|bucket| bucket.name().map(str::to_owned)));
        token = output.continuation_token().map(str::to_owned);
        if token.is_none() {
            return Ok(names);
        }
    }
}

/// The tags of a bucket, each with its value; `None` if there is no such bucket.
pub async fn tags(
    clients: &Clients,
    bucket: &str,
) -> Result<Option<Vec<(String, String)>>, AwsError> {
    let error = match clients.s3.get_bucket_tagging().bucket(bucket).send().await {
        Ok(output) => {
            let tags = output.tag_set().iter();
            return Ok(Some(tags.map(|tag| (tag.key().into(), tag.value().into())).collect()));
        }
        Err(error) => AwsError::of("GetBucketTagging", format!("s3://{bucket}"), &error),
    };
    match error.code.as_deref() {
        Some("NoSuchTagSet") => Ok(Some(Vec::new())),
        Some("NoSuchBucket") => Ok(None),
        _ => Err(error),
    }
}

/// The notification document of a bucket, byte for byte.
pub async fn notifications(clients: &Clients, bucket: &str) -> Result<Bytes, AwsError> {
    let kept = Kept::default();
    let request = clients.s3.get_bucket_notification_configuration().bucket(bucket);
    let request = request.expected_bucket_owner(&clients.account);
    let sent = request.customize().interceptor(kept.clone()).send().await;
    let kept = kept.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (sent, kept) {
        // Whether the SDK can read it does not matter.
        (_, Some(document)) => Ok(document),
        (Err(error), None) => Err(AwsError::of(
            "GetBucketNotificationConfiguration",
            format!("s3://{bucket}"),
            &error,
        )),
        (Ok(_), None) => Err(AwsError::local(
            "GetBucketNotificationConfiguration",
            format!("s3://{bucket}"),
            "the answer had no document",
        )),
    }
}

/// Replaces the notification document of a bucket. S3 sends a test message to every destination in it
/// and refuses it if one cannot be reached, unless it is `unasked` (S3 API Reference:
/// PutBucketNotificationConfiguration). What S3 says of the destinations is in the error's message.
pub async fn put_notifications(
    clients: &Clients,
    bucket: &str,
    document: String,
    unasked: bool,
) -> Result<(), AwsError> {
    let request = clients.s3.put_bucket_notification_configuration().bucket(bucket);
    let request = request.expected_bucket_owner(&clients.account);
    let request = request.notification_configuration(NotificationConfiguration::builder().build());
    // The operation has no checksum of its own; the signature is made after this.
    let sent = request
        .set_skip_destination_validation(unasked.then_some(true))
        .customize()
        .mutate_request(move |request| {
            request.headers_mut().insert("content-length", document.len().to_string());
            *request.body_mut() = SdkBody::from(document.as_str());
        })
        .send()
        .await;
    let Err(error) = sent else { return Ok(()) };
    let target = format!("s3://{bucket}");
    let mut problem = AwsError::of("PutBucketNotificationConfiguration", target, &error);
    let said = error.raw_response().and_then(|response| response.body().bytes());
    let more = said.map(String::from_utf8_lossy).map(|body| arguments(&body)).unwrap_or_default();
    if !more.is_empty() {
        problem.message = format!("{}: {more}", problem.message);
    }
    Err(problem)
}

/// What an error document says of arguments: `ArgumentName1` is the ARN of a destination,
/// `ArgumentValue1` what is wrong with it. S3 sends both and documents neither.
fn arguments(body: &str) -> String {
    let parts = body.split("<Argument").skip(1);
    let values = parts.filter_map(|part| Some(part.split_once('>')?.1.split_once('<')?.0.trim()));
    values.filter(|value| !value.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Waits, on the clients' own clock: an emulator's does not.
pub async fn pause(clients: &Clients, ms: u64) {
    if let Some(sleep) = clients.s3.config().sleep_impl().filter(|_| ms > 0) {
        sleep.sleep(Duration::from_millis(ms)).await;
    }
}

/// Keeps the body of an answer that is a success.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Option<Bytes>>>);

impl Intercept for Kept {
    fn name(&self) -> &'static str {
        "KeepTheDocument"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().filter(|_| response.status().is_success());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body.map(Bytes::copy_from_slice);
        Ok(())
    }
}
