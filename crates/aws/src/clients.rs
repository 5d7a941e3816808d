//! The AWS clients of one function, made once.
//!
//! Local endpoints are set as for any AWS tool: `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`,
//! `AWS_ENDPOINT_URL_S3_CONTROL`, `AWS_ENDPOINT_URL_EVENTBRIDGE`. S3 Control puts the account id before
//! the host's name, which no loopback address survives; with a local endpoint it is left out here (it
//! goes along in `x-amz-account-id` all the same), so nobody edits a hosts file.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::AwsError;

/// The clients.
#[derive(Debug, Clone)]
pub struct Clients {
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// S3 Control.
    pub s3control: aws_sdk_s3control::Client,
    /// EventBridge.
    pub events: aws_sdk_eventbridge::Client,
    /// What they all speak through; webhooks too.
    pub http: SharedHttpClient,
    /// The account of the jobs: 12 digits.
    pub account: String,
}

/// A place to sign in, for [`Clients::at`].
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The endpoint of all services.
    pub endpoint: &'a str,
    /// The Region.
    pub region: &'a str,
    /// The account: 12 digits.
    pub account: &'a str,
    /// The access key id and its secret.
    pub keys: (&'a str, &'a str),
}

impl Clients {
    /// From the environment, as every AWS tool reads it.
    pub async fn from_env(account: String) -> Self {
        let (config, http) = environment().await;
        Self::of(&config, http, account)
    }

    /// From the environment, in the account of its credentials (STS API Reference: GetCallerIdentity).
    ///
    /// # Errors
    /// With the code [`NO_REGION`] where no Region is set.
    pub async fn of_caller() -> Result<Self, AwsError> {
        let (config, http) = environment().await;
        if config.region().is_none_or(|region| region.as_ref().is_empty()) {
            let problem = AwsError::local("GetCallerIdentity", "", "no Region is set");
            return Err(AwsError { code: Some(NO_REGION.to_owned()), ..problem });
        }
        let sent = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await;
        let output = sent.map_err(|error| AwsError::of("GetCallerIdentity", "", &error))?;
        let account = output.account().unwrap_or_default().to_owned();
        Ok(Self::of(&config, http, account))
    }

    /// For an emulator at `place`, through `http`: retries do not wait and nothing times out, since
    /// its clock is not the wall's.
    pub fn at(place: &Place<'_>, http: SharedHttpClient) -> Self {
        let (id, secret) = place.keys;
        let credentials = Credentials::new(id, secret, None, None, "resilver");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(place.region.to_owned()))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                credentials,
            ))
            .endpoint_url(place.endpoint)
            .http_client(http.clone())
            .sleep_impl(SharedAsyncSleep::new(NoSleep))
            .time_source(aws_smithy_async::time::SystemTimeSource::new())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(
                aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled(),
            )
            .build();
        Self::of(&config, http, place.account.to_owned())
    }

    fn of(config: &SdkConfig, http: SharedHttpClient, account: String) -> Self {
        let mut s3 = aws_sdk_s3::config::Builder::from(config);
        if config.endpoint_url().is_some() || set("AWS_ENDPOINT_URL_S3") {
            s3 = s3.force_path_style(true);
        }
        let mut control = aws_sdk_s3control::config::Builder::from(config);
        let local = std::env::var("AWS_ENDPOINT_URL_S3_CONTROL").ok();
        if let Some(url) = local.or_else(|| config.endpoint_url().map(str::to_owned)) {
            control = control.endpoint_resolver(AsGiven(url));
        }
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            s3control: aws_sdk_s3control::Client::from_conf(control.build()),
            events: aws_sdk_eventbridge::Client::new(config),
            http,
            account,
        }
    }
}

/// Our own code for an environment without a Region.
pub const NO_REGION: &str = "NoRegion";

async fn environment() -> (SdkConfig, SharedHttpClient) {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .retry_config(RetryConfig::standard().with_max_attempts(5))
        .load()
        .await;
    (config, http)
}

fn set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// S3 Control's endpoint, without the account id before the host.
#[derive(Debug)]
struct AsGiven(String);

impl ResolveEndpoint for AsGiven {
    fn resolve_endpoint<'a>(&'a self, _params: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

/// A sleep that is over at once.
#[derive(Debug)]
struct NoSleep;

impl AsyncSleep for NoSleep {
    fn sleep(&self, _duration: Duration) -> Sleep {
        Sleep::new(std::future::ready(()))
    }
}
