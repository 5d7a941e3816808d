//! Tags of an object.

use std::sync::Arc;

use s3s::{S3Request, S3Response, S3Result, dto};

use super::{fields, plain};
use crate::world::World;
use crate::world::bucket::Versioning;
use crate::world::ops::tags;

/// The id of a version, where its bucket has versions.
fn shown(world: &World, bucket: &str, id: Arc<str>) -> Option<String> {
    let bucket = world.buckets.get(bucket)?;
    (bucket.versioning != Versioning::Unversioned).then(|| id.to_string())
}

pub(super) fn get(
    world: &mut World,
    request: S3Request<dto::GetObjectTaggingInput>,
) -> S3Result<S3Response<dto::GetObjectTaggingOutput>> {
    let input = request.input;
    let (id, tags) = tags::read(world, &input.bucket, &input.key, input.version_id.as_deref())?;
    plain(dto::GetObjectTaggingOutput {
        tag_set: fields::tag_set(&tags),
        version_id: shown(world, &input.bucket, id),
    })
}

pub(super) fn put(
    world: &mut World,
    request: S3Request<dto::PutObjectTaggingInput>,
) -> S3Result<S3Response<dto::PutObjectTaggingOutput>> {
    let input = request.input;
    let tags = fields::tags_of_set(input.tagging.tag_set)?;
    let version_id = input.version_id.as_deref();
    let id = tags::replace(world, &input.bucket, &input.key, version_id, tags)?;
    plain(dto::PutObjectTaggingOutput { version_id: shown(world, &input.bucket, id) })
}

pub(super) fn delete(
    world: &mut World,
    request: S3Request<dto::DeleteObjectTaggingInput>,
) -> S3Result<S3Response<dto::DeleteObjectTaggingOutput>> {
    let input = request.input;
    let version_id = input.version_id.as_deref();
    let id = tags::replace(world, &input.bucket, &input.key, version_id, Default::default())?;
    plain(dto::DeleteObjectTaggingOutput { version_id: shown(world, &input.bucket, id) })
}
