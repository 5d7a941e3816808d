//! The tags of a bucket by S3 Control, which newer tools ask for in place of S3's own operations (S3 API Reference:
//! TagResource, UntagResource, ListTagsForResource). Only buckets have tags here.

use super::{Query, bad};
use crate::wire::xml::Element;
use crate::world::bucket::Bucket;
use crate::world::jobs::request::bucket_of;
use crate::world::ops::bucket::put_tags;
use crate::world::{Answer, Refusal, World};

pub(super) fn list(world: &mut World, arn: &str) -> Answer<Element> {
    let tags = found(world, arn)?.tags.iter();
    let tags = tags.map(|(key, value)| Element::new("Tag").text("Key", key).text("Value", value));
    Ok(Element::new("ListTagsForResourceResult").with(Element::new("Tags").all(tags)))
}

pub(super) fn add(world: &mut World, arn: &str, body: &str) -> Answer<()> {
    let root = Element::parse(body).filter(|root| root.name == "TagResourceRequest");
    let root = root.ok_or_else(|| bad("The body is no TagResourceRequest"))?;
    let added = super::read::read_tags(&root)?;
    let bucket = found(world, arn)?;
    let (name, mut tags) = (bucket.name.clone(), bucket.tags.clone());
    tags.extend(added);
    put_tags(world, &name, tags, "TagResource")
}

pub(super) fn remove(world: &mut World, arn: &str, query: &Query) -> Answer<()> {
    let names: Vec<&str> = query.all("tagKeys").collect();
    let bucket = found(world, arn)?;
    let (bucket, mut tags) = (bucket.name.clone(), bucket.tags.clone());
    tags.retain(|name, _| !names.contains(&name.as_str()));
    put_tags(world, &bucket, tags, "UntagResource")
}

fn found<'a>(world: &'a mut World, arn: &str) -> Answer<&'a mut Bucket> {
    let Some(name) = bucket_of(arn) else {
        let message = format!("this emulator keeps the tags of buckets, and not of {arn}");
        return Err(Refusal::new(501, "NotImplemented", message));
    };
    let missing = || Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist");
    let account = world.config.account.clone();
    let bucket = world.buckets.get_mut(name).ok_or_else(missing)?;
    if bucket.owner == account {
        return Ok(bucket);
    }
    Err(Refusal::new(403, "AccessDenied", "Access Denied"))
}
