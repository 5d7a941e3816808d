//! Operations on buckets and their sub-resources.

use s3s::{S3Request, S3Response, S3Result, dto};

use super::fields::{self, second};
use super::{account_of, notification, plain, replication};
use crate::wire::authorize::may_pass;
use crate::wire::caller::Caller;
use crate::world::bucket::{DefaultEncryption, Versioning};
use crate::world::object::Tags;
use crate::world::ops::encryption::key_arn;
use crate::world::ops::{self, bucket as buckets};
use crate::world::{Bucket, Refusal, World};

/// The most buckets of one page (S3 API Reference: ListBuckets).
const BUCKETS_MAX: i32 = 10_000;

/// The Region that answers `GetBucketLocation` with nothing.
const FIRST_REGION: &str = "us-east-1";

pub(super) fn list(
    world: &mut World,
    request: S3Request<dto::ListBucketsInput>,
) -> S3Result<S3Response<dto::ListBucketsOutput>> {
    let account = account_of(world, &request);
    let dto::ListBucketsInput { bucket_region, continuation_token, max_buckets, prefix } =
        request.input;
    let most = usize::try_from(max_buckets.unwrap_or(BUCKETS_MAX)).unwrap_or(0);
    if most == 0 {
        return Err(fields::argument("MaxBuckets must be between 1 and 10000").into());
    }
    // The token is the last bucket of the page before.
    let after = continuation_token.map(|token| hex::decode(token).map(String::from_utf8));
    let after = match after {
        None => None,
        Some(Ok(Ok(name))) => Some(name),
        Some(_) => return Err(fields::argument("The continuation token is not valid").into()),
    };
    let mut mine: Vec<&Bucket> = world
        .buckets
        .values()
        .filter(|bucket| bucket.owner == account)
        .filter(|bucket| prefix.as_ref().is_none_or(|prefix| bucket.name.starts_with(prefix)))
        .filter(|bucket| bucket_region.as_ref().is_none_or(|region| *region == bucket.region))
        .filter(|bucket| after.as_ref().is_none_or(|after| bucket.name > *after))
        .take(most + 1)
        .collect();
    let more = mine.len() > most;
    mine.truncate(most);
    let next = mine.last().filter(|_| more).map(|bucket| hex::encode(&bucket.name));
    let told = |bucket: &&Bucket| dto::Bucket {
        bucket_region: Some(bucket.region.clone()),
        creation_date: second(bucket.created),
        name: Some(bucket.name.clone()),
    };
    plain(dto::ListBucketsOutput {
        buckets: Some(mine.iter().map(told).collect()),
        continuation_token: next,
        owner: Some(owner(&account)),
        prefix,
    })
}

/// The owner of objects and buckets, as listings name it.
pub(super) fn owner(account: &str) -> dto::Owner {
    dto::Owner { display_name: None, id: Some(account.to_owned()) }
}

pub(super) fn create(
    world: &mut World,
    request: S3Request<dto::CreateBucketInput>,
) -> S3Result<S3Response<dto::CreateBucketOutput>> {
    let account = account_of(world, &request);
    let input = request.input;
    let asked = input.create_bucket_configuration.and_then(|it| it.location_constraint);
    let region =
        asked.map_or_else(|| world.config.region.clone(), |region| region.as_str().to_owned());
    let is_new = !world.buckets.contains_key(&input.bucket);
    buckets::create(world, &input.bucket, &account, &region)?;
    if is_new && input.object_lock_enabled_for_bucket == Some(true) {
        buckets::put_versioning(world, &input.bucket, Versioning::Enabled)?;
        ops::lock::configure(world, &input.bucket, Default::default())?;
    }
    plain(dto::CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
}

pub(super) fn head(
    world: &mut World,
    request: S3Request<dto::HeadBucketInput>,
) -> S3Result<S3Response<dto::HeadBucketOutput>> {
    let region = ops::bucket(world, &request.input.bucket)?.region.clone();
    plain(dto::HeadBucketOutput { bucket_region: Some(region), ..Default::default() })
}

pub(super) fn delete(
    world: &mut World,
    request: S3Request<dto::DeleteBucketInput>,
) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
    buckets::delete(world, &request.input.bucket)?;
    plain(dto::DeleteBucketOutput::default())
}

pub(super) fn location(
    world: &mut World,
    request: S3Request<dto::GetBucketLocationInput>,
) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
    let region = ops::bucket(world, &request.input.bucket)?.region.clone();
    plain(dto::GetBucketLocationOutput {
        location_constraint: (region != FIRST_REGION).then(|| region.into()),
    })
}

pub(super) fn get_versioning(
    world: &mut World,
    request: S3Request<dto::GetBucketVersioningInput>,
) -> S3Result<S3Response<dto::GetBucketVersioningOutput>> {
    let status = match ops::bucket(world, &request.input.bucket)?.versioning {
        Versioning::Unversioned => None,
        Versioning::Enabled => Some(dto::BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(dto::BucketVersioningStatus::SUSPENDED),
    };
    plain(dto::GetBucketVersioningOutput {
        status: status.map(dto::BucketVersioningStatus::from_static),
        mfa_delete: None,
    })
}

pub(super) fn put_versioning(
    world: &mut World,
    request: S3Request<dto::PutBucketVersioningInput>,
) -> S3Result<S3Response<dto::PutBucketVersioningOutput>> {
    let input = request.input;
    let status = input.versioning_configuration.status;
    let versioning = match status.as_ref().map(|status| status.as_str()) {
        Some("Enabled") => Versioning::Enabled,
        Some("Suspended") => Versioning::Suspended,
        _ => {
            return Err(Refusal::new(400, "MalformedXML", "Status is Enabled or Suspended").into());
        }
    };
    buckets::put_versioning(world, &input.bucket, versioning)?;
    plain(dto::PutBucketVersioningOutput::default())
}

pub(super) fn get_policy(
    world: &mut World,
    request: S3Request<dto::GetBucketPolicyInput>,
) -> S3Result<S3Response<dto::GetBucketPolicyOutput>> {
    let policy = ops::bucket(world, &request.input.bucket)?.policy.clone();
    let policy = policy.ok_or_else(|| {
        Refusal::new(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
    })?;
    plain(dto::GetBucketPolicyOutput { policy: Some(policy.text) })
}

pub(super) fn put_policy(
    world: &mut World,
    request: S3Request<dto::PutBucketPolicyInput>,
) -> S3Result<S3Response<dto::PutBucketPolicyOutput>> {
    buckets::put_policy(world, &request.input.bucket, Some(request.input.policy))?;
    plain(dto::PutBucketPolicyOutput::default())
}

pub(super) fn delete_policy(
    world: &mut World,
    request: S3Request<dto::DeleteBucketPolicyInput>,
) -> S3Result<S3Response<dto::DeleteBucketPolicyOutput>> {
    buckets::put_policy(world, &request.input.bucket, None)?;
    plain(dto::DeleteBucketPolicyOutput::default())
}

pub(super) fn get_tags(
    world: &mut World,
    request: S3Request<dto::GetBucketTaggingInput>,
) -> S3Result<S3Response<dto::GetBucketTaggingOutput>> {
    let tags = &ops::bucket(world, &request.input.bucket)?.tags;
    if tags.is_empty() {
        return Err(Refusal::new(404, "NoSuchTagSet", "The TagSet does not exist").into());
    }
    plain(dto::GetBucketTaggingOutput { tag_set: fields::tag_set(tags) })
}

pub(super) fn put_tags(
    world: &mut World,
    request: S3Request<dto::PutBucketTaggingInput>,
) -> S3Result<S3Response<dto::PutBucketTaggingOutput>> {
    let input = request.input;
    let tags = fields::tags_of_set(input.tagging.tag_set)?;
    buckets::put_tags(world, &input.bucket, tags, "PutBucketTagging")?;
    plain(dto::PutBucketTaggingOutput::default())
}

pub(super) fn delete_tags(
    world: &mut World,
    request: S3Request<dto::DeleteBucketTaggingInput>,
) -> S3Result<S3Response<dto::DeleteBucketTaggingOutput>> {
    buckets::put_tags(world, &request.input.bucket, Tags::new(), "DeleteBucketTagging")?;
    plain(dto::DeleteBucketTaggingOutput::default())
}

pub(super) fn get_encryption(
    world: &mut World,
    request: S3Request<dto::GetBucketEncryptionInput>,
) -> S3Result<S3Response<dto::GetBucketEncryptionOutput>> {
    let bucket = ops::bucket(world, &request.input.bucket)?;
    // What a template or a test has set has no words of its own.
    let plain_key = || DefaultEncryption {
        algorithm: if bucket.default_kms_key.is_some() { "aws:kms" } else { "AES256" }.to_owned(),
        key: bucket.default_kms_key.clone(),
        bucket_key: false,
    };
    let set = bucket.encryption.clone().unwrap_or_else(plain_key);
    let rule = dto::ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(dto::ServerSideEncryptionByDefault {
            kms_master_key_id: set.key,
            sse_algorithm: set.algorithm.into(),
        }),
        bucket_key_enabled: Some(set.bucket_key),
    };
    plain(dto::GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(dto::ServerSideEncryptionConfiguration {
            rules: vec![rule],
        }),
    })
}

pub(super) fn put_encryption(
    world: &mut World,
    request: S3Request<dto::PutBucketEncryptionInput>,
) -> S3Result<S3Response<dto::PutBucketEncryptionOutput>> {
    let input = request.input;
    let malformed = |message: &str| Refusal::new(400, "MalformedXML", message);
    let mut rules = input.server_side_encryption_configuration.rules.into_iter();
    let (Some(rule), None) = (rules.next(), rules.next()) else {
        return Err(malformed("There is exactly one rule").into());
    };
    let default = rule.apply_server_side_encryption_by_default;
    let default = default.ok_or_else(|| malformed("A rule names an algorithm"))?;
    let set = DefaultEncryption {
        algorithm: default.sse_algorithm.as_str().to_owned(),
        key: default.kms_master_key_id,
        bucket_key: rule.bucket_key_enabled == Some(true),
    };
    let key = match set.algorithm.as_str() {
        "AES256" if set.key.is_some() => {
            let message = "a KMS key cannot be given with AES256";
            return Err(Refusal::new(400, "InvalidArgument", message).into());
        }
        "AES256" => None,
        "aws:kms" | "aws:kms:dsse" => Some(key_arn(world, set.key.as_deref())),
        _ => return Err(malformed("The algorithm is none that is known").into()),
    };
    buckets::put_encryption(world, &input.bucket, key)?;
    ops::bucket_mut(world, &input.bucket)?.encryption = Some(set);
    plain(dto::PutBucketEncryptionOutput::default())
}

pub(super) fn delete_encryption(
    world: &mut World,
    request: S3Request<dto::DeleteBucketEncryptionInput>,
) -> S3Result<S3Response<dto::DeleteBucketEncryptionOutput>> {
    buckets::put_encryption(world, &request.input.bucket, None)?;
    ops::bucket_mut(world, &request.input.bucket)?.encryption = None;
    plain(dto::DeleteBucketEncryptionOutput::default())
}

pub(super) fn get_replication(
    world: &mut World,
    request: S3Request<dto::GetBucketReplicationInput>,
) -> S3Result<S3Response<dto::GetBucketReplicationOutput>> {
    let config = ops::bucket(world, &request.input.bucket)?.replication.as_ref();
    let config = config.ok_or_else(|| {
        let message = "The replication configuration was not found";
        Refusal::new(404, "ReplicationConfigurationNotFoundError", message)
    })?;
    plain(dto::GetBucketReplicationOutput {
        replication_configuration: Some(replication::to_dto(config)),
    })
}

pub(super) fn put_replication(
    world: &mut World,
    request: S3Request<dto::PutBucketReplicationInput>,
) -> S3Result<S3Response<dto::PutBucketReplicationOutput>> {
    let caller = request.extensions.get::<Caller>().cloned();
    let input = request.input;
    let config = replication::from_dto(input.replication_configuration)?;
    if let Some(caller) = caller {
        may_pass(world, &caller, &config.role)?;
    }
    buckets::put_replication(world, &input.bucket, Some(config))?;
    plain(dto::PutBucketReplicationOutput::default())
}

pub(super) fn delete_replication(
    world: &mut World,
    request: S3Request<dto::DeleteBucketReplicationInput>,
) -> S3Result<S3Response<dto::DeleteBucketReplicationOutput>> {
    buckets::put_replication(world, &request.input.bucket, None)?;
    plain(dto::DeleteBucketReplicationOutput::default())
}

pub(super) fn get_notification(
    world: &mut World,
    request: S3Request<dto::GetBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<dto::GetBucketNotificationConfigurationOutput>> {
    let bucket = ops::bucket(world, &request.input.bucket)?;
    let config = notification::to_dto(&bucket.notification);
    plain(dto::GetBucketNotificationConfigurationOutput {
        event_bridge_configuration: config.event_bridge_configuration,
        lambda_function_configurations: config.lambda_function_configurations,
        queue_configurations: config.queue_configurations,
        topic_configurations: config.topic_configurations,
    })
}

pub(super) fn put_notification(
    world: &mut World,
    request: S3Request<dto::PutBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<dto::PutBucketNotificationConfigurationOutput>> {
    let input = request.input;
    let config = notification::from_dto(input.notification_configuration);
    let skip = input.skip_destination_validation == Some(true);
    buckets::put_notification(world, &input.bucket, config, skip)?;
    plain(dto::PutBucketNotificationConfigurationOutput::default())
}
