//! The tags of a bucket by S3 Control, which newer tools ask for in place of S3's own operations (S3 API Reference:
//! TagResource, UntagResource, ListTagsForResource). Only buckets have tags here.

use super::{Query, bad};
use crate::wire::xml::Element;
use crate::world::bucket::Bucket;
use crate::world::jobs::request::bucket_of;
use crate::world::{Answer, Refusal, World};

/// The most tags of a bucket (S3 User Guide: using cost allocation tags).
const TAGS_MAX: usize = 50;

pub(super) fn list(world: &mut World, arn: &str) -> Answer<Element> {
    let tags = found(world, arn)?.tags.iter();
    let tags = tags.map(|(key, value)| Element::new("Tag").text("Key", key).text("Value", value));
    Ok(Element::new("ListTagsForResourceResult").with(Element::new("Tags").all(tags)))
}

pub(super) fn add(world: &mut World, arn: &str, body: &str) -> Answer<()> {
    let root = Element::parse(body).filter(|root| root.name == "TagResourceRequest");
    let root = root.ok_or_else(|| bad("The body is no TagResourceRequest"))?;
    let tags = super::read::read_tags(&root)?;
    if tags.iter().any(|(key, _)| key.is_empty() || key.starts_with("aws:")) {
        return Err(bad("The key of a tag must not be empty, nor begin with aws:"));
    }
    let bucket = found(world, arn)?;
    let new = tags.iter().filter(|(key, _)| !bucket.tags.contains_key(key)).count();
    if bucket.tags.len() + new > TAGS_MAX {
        return Err(bad("A bucket has at most 50 tags"));
    }
    bucket.tags.extend(tags);
    Ok(())
}

pub(super) fn remove(world: &mut World, arn: &str, query: &Query) -> Answer<()> {
    let names: Vec<&str> = query.all("tagKeys").collect();
    found(world, arn)?.tags.retain(|name, _| !names.contains(&name.as_str()));
    Ok(())
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
