//! The `Operation` of a job, there and back. What an operation can say that the emulator does not do is
//! refused by name.

use super::read::{bad, flag, missing, moment, number};
use crate::wire::xml::Element;
use crate::world::Answer;
use crate::world::jobs::operation::{CopySpec, Operation, RestoreSpec};
use crate::world::notification::stamp::iso;
use crate::world::ops::put::check_metadata;

/// The members of `S3PutObjectCopy` that are emulated.
const COPY: [&str; 10] = [
    "BucketKeyEnabled",
    "MetadataDirective",
    "ModifiedSinceConstraint",
    "NewObjectMetadata",
    "NewObjectTagging",
    "SSEAwsKmsKeyId",
    "StorageClass",
    "TargetKeyPrefix",
    "TargetResource",
    "UnModifiedSinceConstraint",
];

/// The members of `NewObjectMetadata` that are, beside [`HEADERS`].
const METADATA: [&str; 2] = ["SSEAlgorithm", "UserMetadata"];

/// The stored headers in `NewObjectMetadata`, as the operation and as HTTP name them.
const HEADERS: [(&str, &str); 5] = [
    ("CacheControl", "cache-control"),
    ("ContentDisposition", "content-disposition"),
    ("ContentEncoding", "content-encoding"),
    ("ContentLanguage", "content-language"),
    ("ContentType", "content-type"),
];

/// The operation that the one child of `Operation` names.
pub(super) fn read(operation: &Element) -> Answer<Operation> {
    match operation.name.as_str() {
        "S3ReplicateObject" => Ok(Operation::Replicate),
        "S3PutObjectCopy" => Ok(Operation::Copy(Box::new(read_copy(operation)?))),
        "S3InitiateRestoreObject" => Ok(Operation::Restore(RestoreSpec {
            days: number(operation, "ExpirationInDays")?,
            tier: operation.text_of("GlacierJobTier"),
        })),
        other => Err(missing(&format!("the operation {other}"))),
    }
}

fn read_copy(copy: &Element) -> Answer<CopySpec> {
    // Empty strings and false say nothing: the CLI's skeletons are full of them.
    let says = |it: &&Element| !it.children.is_empty() || !matches!(it.text.as_str(), "" | "false");
    let empty = Element::default();
    let metadata = copy.child("NewObjectMetadata").unwrap_or(&empty);
    let is_header = |name: &str| HEADERS.iter().any(|(known, _)| *known == name);
    let known = |name: &str| METADATA.contains(&name) || is_header(name);
    let told = copy.children.iter().filter(|it| !COPY.contains(&it.name.as_str()));
    let mut told = told.chain(metadata.children.iter().filter(|it| !known(&it.name)));
    if let Some(strange) = told.find(says) {
        return Err(missing(&format!("{} of S3PutObjectCopy", strange.name)));
    }
    let header =
        |(name, header): &(&str, &str)| Some(((*header).to_owned(), metadata.text_of(name)?));
    let pairs = |list: Option<&Element>, key: &str, value: &str| {
        let members = list.map_or(&[][..], |list| list.children.as_slice());
        let pair = |it: &Element| {
            (it.text_of(key).unwrap_or_default(), it.text_of(value).unwrap_or_default())
        };
        members.iter().map(pair).collect::<Vec<_>>()
    };
    let user = pairs(metadata.child("UserMetadata"), "key", "value");
    check_metadata(&user.iter().cloned().collect()).map_err(|refusal| bad(&refusal.message))?;
    let directive = copy.text_of("MetadataDirective").unwrap_or_else(|| "COPY".to_owned());
    if !matches!(directive.as_str(), "COPY" | "REPLACE") {
        return Err(bad("MetadataDirective must be COPY or REPLACE"));
    }
    Ok(CopySpec {
        target: copy.text_of("TargetResource").unwrap_or_default(),
        prefix: copy.text_of("TargetKeyPrefix"),
        replaces_metadata: directive == "REPLACE",
        headers: HEADERS.iter().filter_map(header).collect(),
        metadata: user,
        tags: pairs(copy.child("NewObjectTagging"), "Key", "Value"),
        storage_class: copy.text_of("StorageClass"),
        algorithm: metadata.text_of("SSEAlgorithm"),
        kms_key: copy.text_of("SSEAwsKmsKeyId"),
        bucket_key: flag(copy, "BucketKeyEnabled")?,
        modified_since: moment(copy, "ModifiedSinceConstraint")?,
        unmodified_since: moment(copy, "UnModifiedSinceConstraint")?,
    })
}

/// `Operation`, as DescribeJob tells it.
pub(super) fn write(operation: &Operation) -> Element {
    let told = match operation {
        Operation::Replicate => Element::new(operation.name()),
        Operation::Restore(spec) => Element::new(operation.name())
            .maybe("ExpirationInDays", spec.days)
            .maybe("GlacierJobTier", spec.tier.as_ref()),
        Operation::Copy(spec) => write_copy(spec),
    };
    Element::new("Operation").with(told)
}

fn write_copy(spec: &CopySpec) -> Element {
    let pair = |parent: &'static str, names: (&'static str, &'static str)| {
        move |(key, value): &(String, String)| {
            Element::new(parent).text(names.0, key).text(names.1, value)
        }
    };
    let mut metadata =
        Element::new("NewObjectMetadata").maybe("SSEAlgorithm", spec.algorithm.as_ref());
    for (name, header) in HEADERS {
        let value = spec.headers.iter().find(|(known, _)| known == header).map(|(_, value)| value);
        metadata = metadata.maybe(name, value);
    }
    if !spec.metadata.is_empty() {
        let entries = spec.metadata.iter().map(pair("entry", ("key", "value")));
        metadata = metadata.with(Element::new("UserMetadata").all(entries));
    }
    let mut told = Element::new("S3PutObjectCopy")
        .text("TargetResource", &spec.target)
        .text("MetadataDirective", if spec.replaces_metadata { "REPLACE" } else { "COPY" })
        .maybe("ModifiedSinceConstraint", spec.modified_since.map(iso))
        .maybe("UnModifiedSinceConstraint", spec.unmodified_since.map(iso))
        .maybe("StorageClass", spec.storage_class.as_ref())
        .maybe("SSEAwsKmsKeyId", spec.kms_key.as_ref())
        .maybe("TargetKeyPrefix", spec.prefix.as_ref())
        .maybe("BucketKeyEnabled", spec.bucket_key);
    if !metadata.children.is_empty() {
        told = told.with(metadata);
    }
    if !spec.tags.is_empty() {
        let tags = spec.tags.iter().map(pair("member", ("Key", "Value")));
        told = told.with(Element::new("NewObjectTagging").all(tags));
    }
    told
}
