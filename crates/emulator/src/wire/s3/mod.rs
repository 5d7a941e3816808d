//! S3 on the wire: the `s3s` crate parses requests and prints answers, and each operation calls the
//! world once, under its lock.
//!
//! An operation that is not in the table below answers `NotImplemented`.

mod archive;
mod attributes;
mod buckets;
mod checksum;
mod fields;
mod lifecycle;
mod lists;
mod lock;
mod notification;
mod objects;
mod ownership;
mod reads;
mod replication;
mod tags;
mod unset;
mod uploads;

use std::sync::{Arc, Mutex, PoisonError};

use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures::StreamExt;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto};

use super::caller::{Caller, secret_of};
use super::host::Hosts;
use super::signature::MISMATCH;
use crate::world::{Refusal, World};

/// Marks an answer that is to be 202: `s3s` prints the answer to a restoration with its own status. The
/// router takes the mark off.
pub(super) const BEGUN: &str = "x-resilver-begun";

/// The S3 service over this world. Where it is `secured`, every request must be signed.
pub(super) fn service(world: Arc<Mutex<World>>, secured: bool) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Wire { world: Arc::clone(&world) });
    builder.set_host(Hosts);
    if secured {
        builder.set_auth(Keys { world });
    }
    builder.build()
}

/// The secrets of the access keys.
struct Keys {
    world: Arc<Mutex<World>>,
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || {
            let message = "The AWS Access Key Id you provided does not exist in our records.";
            S3Error::with_message(S3ErrorCode::InvalidAccessKeyId, message)
        };
        secret_of(&world, access_key).map(SecretKey::from).ok_or_else(unknown)
    }
}

/// The account that sent a request.
fn account_of<I>(world: &World, request: &S3Request<I>) -> String {
    let caller = request.extensions.get::<Caller>();
    caller.map_or_else(|| world.config.account.clone(), |caller| caller.account.clone())
}

/// The one implementor of `s3s::S3`.
struct Wire {
    world: Arc<Mutex<World>>,
}

impl Wire {
    /// One operation, under the world's lock.
    fn answer<I, O>(
        &self,
        request: S3Request<I>,
        act: impl FnOnce(&mut World, S3Request<I>) -> S3Result<S3Response<O>>,
    ) -> S3Result<S3Response<O>> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut world, request)
    }
}

/// Writes the trait from a table: operation, input, output, and the function that answers.
macro_rules! speak {
    ($($operation:ident($input:ident) -> $output:ident = $act:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Wire {
            $(
                async fn $operation(
                    &self,
                    request: S3Request<dto::$input>,
                ) -> S3Result<S3Response<dto::$output>> {
                    self.answer(request, $act)
                }
            )*

            async fn put_object(
                &self,
                mut request: S3Request<dto::PutObjectInput>,
            ) -> S3Result<S3Response<dto::PutObjectOutput>> {
                let body = collect(request.input.body.take()).await?;
                self.answer(request, |world, request| objects::put(world, request, body))
            }

            async fn upload_part(
                &self,
                mut request: S3Request<dto::UploadPartInput>,
            ) -> S3Result<S3Response<dto::UploadPartOutput>> {
                let body = collect(request.input.body.take()).await?;
                self.answer(request, |world, request| uploads::part(world, request, body))
            }
        }
    };
}

speak! {
    list_buckets(ListBucketsInput) -> ListBucketsOutput = buckets::list;
    create_bucket(CreateBucketInput) -> CreateBucketOutput = buckets::create;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = buckets::head;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = buckets::delete;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = buckets::location;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = buckets::get_versioning;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput = buckets::put_versioning;
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput = buckets::get_policy;
    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput = buckets::put_policy;
    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput = buckets::delete_policy;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput = buckets::get_tags;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput = buckets::put_tags;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput = buckets::delete_tags;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput = buckets::get_encryption;
    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput = buckets::put_encryption;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput = buckets::delete_encryption;
    get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput = buckets::get_replication;
    put_bucket_replication(PutBucketReplicationInput) -> PutBucketReplicationOutput = buckets::put_replication;
    delete_bucket_replication(DeleteBucketReplicationInput) -> DeleteBucketReplicationOutput = buckets::delete_replication;
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput = buckets::get_notification;
    put_bucket_notification_configuration(PutBucketNotificationConfigurationInput) -> PutBucketNotificationConfigurationOutput = buckets::put_notification;
    restore_object(RestoreObjectInput) -> RestoreObjectOutput = archive::restore;
    put_bucket_intelligent_tiering_configuration(PutBucketIntelligentTieringConfigurationInput) -> PutBucketIntelligentTieringConfigurationOutput = archive::put_tiering;
    get_bucket_intelligent_tiering_configuration(GetBucketIntelligentTieringConfigurationInput) -> GetBucketIntelligentTieringConfigurationOutput = archive::get_tiering;
    list_bucket_intelligent_tiering_configurations(ListBucketIntelligentTieringConfigurationsInput) -> ListBucketIntelligentTieringConfigurationsOutput = archive::list_tierings;
    delete_bucket_intelligent_tiering_configuration(DeleteBucketIntelligentTieringConfigurationInput) -> DeleteBucketIntelligentTieringConfigurationOutput = archive::delete_tiering;
    put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput = lock::put_configuration;
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput = lock::get_configuration;
    put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput = lock::put_retention;
    get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput = lock::get_retention;
    put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput = lock::put_legal_hold;
    get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput = lock::get_legal_hold;
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput = lifecycle::put;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput = lifecycle::get;
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput = lifecycle::delete;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput = ownership::get_bucket_acl;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput = ownership::put_bucket_acl;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput = ownership::get_object_acl;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput = ownership::put_object_acl;
    put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput = ownership::put_public_access_block;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput = ownership::get_public_access_block;
    delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput = ownership::delete_public_access_block;
    put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput = ownership::put_ownership;
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput = ownership::get_ownership;
    delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput = ownership::delete_ownership;
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput = unset::cors;
    delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput = unset::delete_cors;
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput = unset::website;
    delete_bucket_website(DeleteBucketWebsiteInput) -> DeleteBucketWebsiteOutput = unset::delete_website;
    get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput = unset::acceleration;
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput = unset::logging;
    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput = unset::payer;
    get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput = unset::policy_status;
    get_bucket_metrics_configuration(GetBucketMetricsConfigurationInput) -> GetBucketMetricsConfigurationOutput = unset::metrics;
    list_bucket_metrics_configurations(ListBucketMetricsConfigurationsInput) -> ListBucketMetricsConfigurationsOutput = unset::list_metrics;
    get_bucket_analytics_configuration(GetBucketAnalyticsConfigurationInput) -> GetBucketAnalyticsConfigurationOutput = unset::analytics;
    list_bucket_analytics_configurations(ListBucketAnalyticsConfigurationsInput) -> ListBucketAnalyticsConfigurationsOutput = unset::list_analytics;
    get_bucket_inventory_configuration(GetBucketInventoryConfigurationInput) -> GetBucketInventoryConfigurationOutput = unset::inventory;
    list_bucket_inventory_configurations(ListBucketInventoryConfigurationsInput) -> ListBucketInventoryConfigurationsOutput = unset::list_inventories;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = attributes::get;
    get_object(GetObjectInput) -> GetObjectOutput = reads::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = reads::head;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = objects::delete;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = objects::delete_many;
    copy_object(CopyObjectInput) -> CopyObjectOutput = objects::copy;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput = tags::get;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput = tags::put;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput = tags::delete;
    list_objects(ListObjectsInput) -> ListObjectsOutput = lists::objects;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = lists::objects_v2;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = lists::versions;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = uploads::create;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = uploads::part_copy;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = uploads::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = uploads::abort;
    list_parts(ListPartsInput) -> ListPartsOutput = uploads::list_parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = uploads::list;
}

/// The whole body, in a buffer of its own size: what is stored must not hold on to the request.
async fn collect(body: Option<dto::StreamingBlob>) -> S3Result<Bytes> {
    let mut bytes = Vec::new();
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            // A body that is not what was signed or announced fails here.
            let piece = piece.map_err(|source| broken(&source.to_string()))?;
            bytes.extend_from_slice(&piece);
        }
    }
    bytes.shrink_to_fit();
    Ok(bytes.into())
}

/// What is said of a body that is not what was signed or announced; the crate tells only by its words.
fn broken(why: &str) -> Refusal {
    if why.contains("Sha256Mismatch") {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Refusal::new(400, "XAmzContentSHA256Mismatch", message);
    }
    if why.contains("SignatureMismatch") {
        return Refusal::new(403, "SignatureDoesNotMatch", MISMATCH);
    }
    Refusal::new(400, "IncompleteBody", why)
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        let code =
            S3ErrorCode::from_bytes(refusal.code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
        let mut error = Self::with_message(code, refusal.message);
        if let Ok(status) = StatusCode::from_u16(refusal.status) {
            error.set_status_code(status);
        }
        error
    }
}

/// An answer with headers beside those that the output implies.
fn with_headers<O>(output: O, headers: HeaderMap) -> S3Result<S3Response<O>> {
    Ok(S3Response::with_headers(output, headers))
}

fn plain<O>(output: O) -> S3Result<S3Response<O>> {
    Ok(S3Response::new(output))
}
