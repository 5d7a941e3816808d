//! What S3 does with buckets and objects, one module an operation. Every write ends in the same two
//! calls: replication hears of the version, and then the bucket's listeners.
//!
//! It refuses to know who asks: callers are not authorised here, bucket policies are kept but not
//! evaluated. Signatures are the wire's.

pub mod archive;
pub mod bucket;
pub mod condition;
pub mod copy;
pub mod delete;
pub mod encryption;
pub mod get;
pub mod list;
pub mod lock;
pub mod multipart;
pub mod put;
pub mod tags;
mod trail;
pub mod versions;

use super::{Answer, Bucket, Refusal, World};

/// The bucket, or 404 `NoSuchBucket`.
pub(crate) fn bucket<'a>(world: &'a World, name: &str) -> Answer<&'a Bucket> {
    world.buckets.get(name).ok_or_else(no_such_bucket)
}

/// The bucket to be changed, or 404 `NoSuchBucket`.
pub(crate) fn bucket_mut<'a>(world: &'a mut World, name: &str) -> Answer<&'a mut Bucket> {
    world.buckets.get_mut(name).ok_or_else(no_such_bucket)
}

fn no_such_bucket() -> Refusal {
    Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist")
}

pub(crate) fn no_such_key() -> Refusal {
    Refusal::new(404, "NoSuchKey", "The specified key does not exist.")
}

pub(crate) fn no_such_version() -> Refusal {
    Refusal::new(404, "NoSuchVersion", "The specified version does not exist.")
}
