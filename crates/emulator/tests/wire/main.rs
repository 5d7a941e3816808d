//! The S3 wire under the real SDK, in process and over a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod buckets;
mod faults;
mod listing;
mod objects;
mod socket;
mod uploads;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use resilver_emulator::Emulator;
use resilver_emulator::world::Config;

/// A client of an endpoint with a secret; in process where an emulator is given.
fn client_of(endpoint: &str, secret: &str, emulator: Option<&Emulator>) -> Client {
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIARESILVERLOCAL000", secret, None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true);
    if let Some(emulator) = emulator {
        config = config.http_client(emulator.http_client());
    }
    Client::from_conf(config.build())
}

/// An emulator and a client in the same process.
fn in_process() -> (Emulator, Client) {
    let emulator = Emulator::new(Config::default());
    let client = client_of(Emulator::ENDPOINT, "resilver-local-secret", Some(&emulator));
    (emulator, client)
}

/// An emulator with a versioned bucket `src`.
async fn versioned() -> (Emulator, Client) {
    let (emulator, client) = in_process();
    client.create_bucket().bucket("src").send().await.unwrap();
    let enabled =
        VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let put = client.put_bucket_versioning().bucket("src").versioning_configuration(enabled);
    put.send().await.unwrap();
    (emulator, client)
}

/// Writes an object to `src` and returns its version id.
async fn put(client: &Client, key: &str, body: &str) -> String {
    let body = ByteStream::from(body.as_bytes().to_vec());
    let put = client.put_object().bucket("src").key(key).body(body).send().await.unwrap();
    put.version_id().unwrap_or("null").to_owned()
}

/// The code and status of a refusal.
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> (String, u16) {
    let error = result.unwrap_err();
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (error.code().unwrap_or_default().to_owned(), status)
}

fn refused(code: &str, status: u16) -> (String, u16) {
    (code.to_owned(), status)
}
