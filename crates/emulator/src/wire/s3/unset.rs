//! What a bucket here never has: CORS rules, a website, logging, acceleration, metrics, analytics, inventories.
//! Setting one answers `NotImplemented`. Asking for it answers as S3 does of a bucket that has none, because tools
//! that describe buckets ask for all of them, whatever they were told to make.

use s3s::{S3Request, S3Response, S3Result, dto};

use super::plain;
use crate::world::World;
use crate::world::ops::bucket;
use crate::world::refusal::{Answer, Refusal};

/// 404 with this code, of a bucket that is there.
fn none<O>(world: &World, name: &str, code: &str, message: &str) -> S3Result<S3Response<O>> {
    bucket(world, name)?;
    Err(Refusal::new(404, code, message).into())
}

/// This, of a bucket that is there.
fn told<O>(world: &World, name: &str, output: O) -> S3Result<S3Response<O>> {
    bucket(world, name)?;
    plain(output)
}

const NO_CONFIGURATION: (&str, &str) =
    ("NoSuchConfiguration", "The specified configuration does not exist.");

pub(super) fn cors(
    world: &mut World,
    request: S3Request<dto::GetBucketCorsInput>,
) -> S3Result<S3Response<dto::GetBucketCorsOutput>> {
    let message = "The CORS configuration does not exist";
    none(world, &request.input.bucket, "NoSuchCORSConfiguration", message)
}

pub(super) fn website(
    world: &mut World,
    request: S3Request<dto::GetBucketWebsiteInput>,
) -> S3Result<S3Response<dto::GetBucketWebsiteOutput>> {
    let message = "The specified bucket does not have a website configuration";
    none(world, &request.input.bucket, "NoSuchWebsiteConfiguration", message)
}

pub(super) fn delete_cors(
    world: &mut World,
    request: S3Request<dto::DeleteBucketCorsInput>,
) -> S3Result<S3Response<dto::DeleteBucketCorsOutput>> {
    told(world, &request.input.bucket, dto::DeleteBucketCorsOutput::default())
}

pub(super) fn delete_website(
    world: &mut World,
    request: S3Request<dto::DeleteBucketWebsiteInput>,
) -> S3Result<S3Response<dto::DeleteBucketWebsiteOutput>> {
    told(world, &request.input.bucket, dto::DeleteBucketWebsiteOutput::default())
}

pub(super) fn acceleration(
    world: &mut World,
    request: S3Request<dto::GetBucketAccelerateConfigurationInput>,
) -> S3Result<S3Response<dto::GetBucketAccelerateConfigurationOutput>> {
    told(world, &request.input.bucket, dto::GetBucketAccelerateConfigurationOutput::default())
}

pub(super) fn logging(
    world: &mut World,
    request: S3Request<dto::GetBucketLoggingInput>,
) -> S3Result<S3Response<dto::GetBucketLoggingOutput>> {
    told(world, &request.input.bucket, dto::GetBucketLoggingOutput::default())
}

pub(super) fn payer(
    world: &mut World,
    request: S3Request<dto::GetBucketRequestPaymentInput>,
) -> S3Result<S3Response<dto::GetBucketRequestPaymentOutput>> {
    let payer = Some(dto::Payer::from_static(dto::Payer::BUCKET_OWNER));
    told(world, &request.input.bucket, dto::GetBucketRequestPaymentOutput { payer })
}

/// Nothing in the emulated account is public, whatever a policy says.
pub(super) fn policy_status(
    world: &mut World,
    request: S3Request<dto::GetBucketPolicyStatusInput>,
) -> S3Result<S3Response<dto::GetBucketPolicyStatusOutput>> {
    let has_none: Answer<bool> = bucket(world, &request.input.bucket).map(|it| it.policy.is_none());
    if has_none? {
        let message = "The bucket policy does not exist";
        return Err(Refusal::new(404, "NoSuchBucketPolicy", message).into());
    }
    let policy_status = Some(dto::PolicyStatus { is_public: Some(false) });
    plain(dto::GetBucketPolicyStatusOutput { policy_status })
}

pub(super) fn metrics(
    world: &mut World,
    request: S3Request<dto::GetBucketMetricsConfigurationInput>,
) -> S3Result<S3Response<dto::GetBucketMetricsConfigurationOutput>> {
    none(world, &request.input.bucket, NO_CONFIGURATION.0, NO_CONFIGURATION.1)
}

pub(super) fn analytics(
    world: &mut World,
    request: S3Request<dto::GetBucketAnalyticsConfigurationInput>,
) -> S3Result<S3Response<dto::GetBucketAnalyticsConfigurationOutput>> {
    none(world, &request.input.bucket, NO_CONFIGURATION.0, NO_CONFIGURATION.1)
}

pub(super) fn inventory(
    world: &mut World,
    request: S3Request<dto::GetBucketInventoryConfigurationInput>,
) -> S3Result<S3Response<dto::GetBucketInventoryConfigurationOutput>> {
    none(world, &request.input.bucket, NO_CONFIGURATION.0, NO_CONFIGURATION.1)
}

pub(super) fn list_metrics(
    world: &mut World,
    request: S3Request<dto::ListBucketMetricsConfigurationsInput>,
) -> S3Result<S3Response<dto::ListBucketMetricsConfigurationsOutput>> {
    let is_truncated = Some(false);
    let output = dto::ListBucketMetricsConfigurationsOutput { is_truncated, ..Default::default() };
    told(world, &request.input.bucket, output)
}

pub(super) fn list_analytics(
    world: &mut World,
    request: S3Request<dto::ListBucketAnalyticsConfigurationsInput>,
) -> S3Result<S3Response<dto::ListBucketAnalyticsConfigurationsOutput>> {
    let is_truncated = Some(false);
    let output =
        dto::ListBucketAnalyticsConfigurationsOutput { is_truncated, ..Default::default() };
    told(world, &request.input.bucket, output)
}

pub(super) fn list_inventories(
    world: &mut World,
    request: S3Request<dto::ListBucketInventoryConfigurationsInput>,
) -> S3Result<S3Response<dto::ListBucketInventoryConfigurationsOutput>> {
    let is_truncated = Some(false);
    let output =
        dto::ListBucketInventoryConfigurationsOutput { is_truncated, ..Default::default() };
    told(world, &request.input.bucket, output)
}
