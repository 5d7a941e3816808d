//! ACLs, public access blocks and ownership: what setup scripts write and read back. Nothing in the
//! emulated account is public and every object is its bucket's owner's, so that none of it has an effect;
//! a grant to anybody else answers `NotImplemented`.

use s3s::{S3Request, S3Response, S3Result, dto};

use super::buckets::owner;
use super::plain;
use crate::world::ops::{bucket, bucket_mut, get};
use crate::world::{Answer, Refusal, World};

/// The canned ACLs that say no more than that the owner owns.
const OWNED: [&str; 3] = ["private", "bucket-owner-full-control", "bucket-owner-read"];

pub(super) fn get_bucket_acl(
    world: &mut World,
    request: S3Request<dto::GetBucketAclInput>,
) -> S3Result<S3Response<dto::GetBucketAclOutput>> {
    let account = bucket(world, &request.input.bucket)?.owner.clone();
    plain(dto::GetBucketAclOutput { grants: Some(grants(&account)), owner: Some(owner(&account)) })
}

pub(super) fn get_object_acl(
    world: &mut World,
    request: S3Request<dto::GetObjectAclInput>,
) -> S3Result<S3Response<dto::GetObjectAclOutput>> {
    let input = request.input;
    get::version(world, &input.bucket, &input.key, input.version_id.as_deref())?;
    let account = bucket(world, &input.bucket)?.owner.clone();
    plain(dto::GetObjectAclOutput {
        grants: Some(grants(&account)),
        owner: Some(owner(&account)),
        ..Default::default()
    })
}

fn grants(account: &str) -> Vec<dto::Grant> {
    let grantee = dto::Grantee {
        display_name: None,
        email_address: None,
        id: Some(account.to_owned()),
        type_: dto::Type::from_static("CanonicalUser"),
        uri: None,
    };
    vec![dto::Grant {
        grantee: Some(grantee),
        permission: Some(dto::Permission::from_static("FULL_CONTROL")),
    }]
}

pub(super) fn put_bucket_acl(
    world: &mut World,
    request: S3Request<dto::PutBucketAclInput>,
) -> S3Result<S3Response<dto::PutBucketAclOutput>> {
    let input = request.input;
    check(world, &input.bucket, input.acl.as_ref().map(|acl| acl.as_str()))?;
    plain(dto::PutBucketAclOutput::default())
}

pub(super) fn put_object_acl(
    world: &mut World,
    request: S3Request<dto::PutObjectAclInput>,
) -> S3Result<S3Response<dto::PutObjectAclOutput>> {
    let input = request.input;
    get::version(world, &input.bucket, &input.key, input.version_id.as_deref())?;
    check(world, &input.bucket, input.acl.as_ref().map(|acl| acl.as_str()))?;
    plain(dto::PutObjectAclOutput::default())
}

/// A bucket whose owner owns all that is in it, as every new one, takes no ACL but the one that says so (S3 User
/// Guide: controlling ownership of objects).
fn check(world: &World, name: &str, canned: Option<&str>) -> Answer<()> {
    let enforced = bucket(world, name)?.ownership.as_deref() == Some("BucketOwnerEnforced");
    if enforced && canned != Some("bucket-owner-full-control") {
        let message = "The bucket does not allow ACLs";
        return Err(Refusal::new(400, "AccessControlListNotSupported", message));
    }
    if canned.is_some_and(|canned| OWNED.contains(&canned)) {
        return Ok(());
    }
    let message = "this emulator does not do ACLs, but for private and bucket-owner-full-control";
    Err(Refusal::new(501, "NotImplemented", message))
}

pub(super) fn put_public_access_block(
    world: &mut World,
    request: S3Request<dto::PutPublicAccessBlockInput>,
) -> S3Result<S3Response<dto::PutPublicAccessBlockOutput>> {
    let input = request.input;
    let asked = input.public_access_block_configuration;
    let switches = [
        asked.block_public_acls,
        asked.ignore_public_acls,
        asked.block_public_policy,
        asked.restrict_public_buckets,
    ];
    bucket_mut(world, &input.bucket)?.public_access_block =
        Some(switches.map(|switch| switch == Some(true)));
    plain(dto::PutPublicAccessBlockOutput::default())
}

pub(super) fn get_public_access_block(
    world: &mut World,
    request: S3Request<dto::GetPublicAccessBlockInput>,
) -> S3Result<S3Response<dto::GetPublicAccessBlockOutput>> {
    let [acls, ignored, policies, buckets] =
        bucket(world, &request.input.bucket)?.public_access_block.ok_or_else(|| {
            let message = "The public access block configuration was not found";
            Refusal::new(404, "NoSuchPublicAccessBlockConfiguration", message)
        })?;
    plain(dto::GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(dto::PublicAccessBlockConfiguration {
            block_public_acls: Some(acls),
            block_public_policy: Some(policies),
            ignore_public_acls: Some(ignored),
            restrict_public_buckets: Some(buckets),
        }),
    })
}

pub(super) fn delete_public_access_block(
    world: &mut World,
    request: S3Request<dto::DeletePublicAccessBlockInput>,
) -> S3Result<S3Response<dto::DeletePublicAccessBlockOutput>> {
    bucket_mut(world, &request.input.bucket)?.public_access_block = None;
    plain(dto::DeletePublicAccessBlockOutput::default())
}

pub(super) fn put_ownership(
    world: &mut World,
    request: S3Request<dto::PutBucketOwnershipControlsInput>,
) -> S3Result<S3Response<dto::PutBucketOwnershipControlsOutput>> {
    let input = request.input;
    let [rule] = input.ownership_controls.rules.as_slice() else {
        return Err(Refusal::new(400, "MalformedXML", "There is exactly one rule").into());
    };
    let ownership = rule.object_ownership.as_str().to_owned();
    bucket_mut(world, &input.bucket)?.ownership = Some(ownership);
    plain(dto::PutBucketOwnershipControlsOutput::default())
}

pub(super) fn get_ownership(
    world: &mut World,
    request: S3Request<dto::GetBucketOwnershipControlsInput>,
) -> S3Result<S3Response<dto::GetBucketOwnershipControlsOutput>> {
    let ownership = bucket(world, &request.input.bucket)?.ownership.clone().ok_or_else(|| {
        let message = "The bucket ownership controls were not found";
        Refusal::new(404, "OwnershipControlsNotFoundError", message)
    })?;
    plain(dto::GetBucketOwnershipControlsOutput {
        ownership_controls: Some(dto::OwnershipControls {
            rules: vec![dto::OwnershipControlsRule { object_ownership: ownership.into() }],
        }),
    })
}

pub(super) fn delete_ownership(
    world: &mut World,
    request: S3Request<dto::DeleteBucketOwnershipControlsInput>,
) -> S3Result<S3Response<dto::DeleteBucketOwnershipControlsOutput>> {
    bucket_mut(world, &request.input.bucket)?.ownership = None;
    plain(dto::DeleteBucketOwnershipControlsOutput::default())
}
