//! Who may ask for what. The account itself may do anything with what is its own; a role session may do
//! what the role's policies and the resource's allow; another account what a bucket's policy allows it
//! (Service Authorization Reference: actions, resources, and condition keys for Amazon S3).

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::caller::Caller;
use super::kms;
use super::operation::{Asked, Query, header};
use super::query::{self, Form};
use super::sqs;
use crate::world::fault::Service;
use crate::world::object::Encryption;
use crate::world::policy::Decision;
use crate::world::{Answer, Refusal, World, access, bus, ops};

/// Operations whose action has another name. What is not here is called as its operation.
const ACTIONS: [(&str, &str); 40] = [
    ("CompleteMultipartUpload", "PutObject"),
    ("CopyObject", "PutObject"),
    ("CreateMultipartUpload", "PutObject"),
    ("DeleteBucketCors", "PutBucketCORS"),
    ("DeleteBucketEncryption", "PutEncryptionConfiguration"),
    ("DeleteBucketIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    ("DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("DeleteBucketOwnershipControls", "PutBucketOwnershipControls"),
    ("DeleteBucketReplication", "PutReplicationConfiguration"),
    ("DeleteBucketTagging", "PutBucketTagging"),
    ("DeleteObjects", "DeleteObject"),
    ("DeletePublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("GetBucketAccelerateConfiguration", "GetAccelerateConfiguration"),
    ("GetBucketAnalyticsConfiguration", "GetAnalyticsConfiguration"),
    ("GetBucketEncryption", "GetEncryptionConfiguration"),
    ("GetBucketIntelligentTieringConfiguration", "GetIntelligentTieringConfiguration"),
    ("GetBucketInventoryConfiguration", "GetInventoryConfiguration"),
    ("GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"),
    ("GetBucketMetricsConfiguration", "GetMetricsConfiguration"),
    ("GetBucketNotificationConfiguration", "GetBucketNotification"),
    ("GetBucketReplication", "GetReplicationConfiguration"),
    ("GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"),
    ("GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    ("HeadBucket", "ListBucket"),
    ("HeadObject", "GetObject"),
    ("ListBuckets", "ListAllMyBuckets"),
    ("ListMultipartUploads", "ListBucketMultipartUploads"),
    ("ListObjectVersions", "ListBucketVersions"),
    ("ListObjects", "ListBucket"),
    ("ListObjectsV2", "ListBucket"),
    ("ListParts", "ListMultipartUploadParts"),
    ("PutBucketEncryption", "PutEncryptionConfiguration"),
    ("PutBucketIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    ("PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"),
    ("PutBucketNotificationConfiguration", "PutBucketNotification"),
    ("PutBucketReplication", "PutReplicationConfiguration"),
    ("PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"),
    ("PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("UploadPart", "PutObject"),
    ("UploadPartCopy", "PutObject"),
];

/// Headers that need an action beside that of the operation.
const HEADERS: [(&str, &str); 4] = [
    ("x-amz-bypass-governance-retention", "s3:BypassGovernanceRetention"),
    ("x-amz-object-lock-legal-hold", "s3:PutObjectLegalHold"),
    ("x-amz-object-lock-mode", "s3:PutObjectRetention"),
    ("x-amz-tagging", "s3:PutObjectTagging"),
];

/// Actions that have a name of their own when a version is named.
const VERSIONED: [&str; 7] = [
    "DeleteObject",
    "DeleteObjectTagging",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectTagging",
    "PutObjectTagging",
];

/// Whether the caller may do what is asked; of S3 is told whether a version is named, and what a copy
/// reads, as `bucket/key`, and whether that names a version.
///
/// # Errors
/// 403 `AccessDenied`.
pub(super) fn check(
    world: &World,
    caller: &Caller,
    asked: &Asked,
    request: &Request<Bytes>,
    (versioned, source): (bool, Option<(&str, bool)>),
) -> Answer<()> {
    if asked.service != Service::S3 {
        return check_service(world, caller, asked, request);
    }
    let (bucket, key) = asked.place();
    if !is_judged(world, caller, bucket) && source.is_none() {
        return Ok(());
    }
    let brought = brought(world, asked, request);
    let context: Vec<(&str, &str)> =
        brought.iter().map(|(key, value)| (*key, value.as_str())).collect();
    for (name, action) in HEADERS {
        if request.headers().contains_key(name) {
            allowed(world, caller, action, (bucket, key), &context)?;
        }
    }
    // Of these each entry is judged by itself, where it is read.
    if asked.operation == "DeleteObjects" {
        return Ok(());
    }
    let action = action_of(&asked.operation, versioned);
    allowed(world, caller, &action, (bucket, key), &context)?;
    if READS.contains(&asked.operation.as_str()) && !is_there(world, request, (bucket, key)) {
        allowed(world, caller, "s3:ListBucket", (bucket, ""), &[])?;
    }
    if asked.operation == "GetObjectAttributes" {
        let read = action_of("GetObject", versioned);
        allowed(world, caller, &read, (bucket, key), &context)?;
    }
    let Some((source, versioned)) = source else {
        return Ok(());
    };
    let (bucket, key) = source.split_once('/').unwrap_or((source, ""));
    allowed(world, caller, &action_of("GetObject", versioned), (bucket, key), &[])
}

/// Operations that answer 404 for what is missing only to who may list the bucket, and 403 to others (S3 API
/// Reference: GetObject, HeadObject, GetObjectAttributes).
const READS: [&str; 5] =
    ["GetObject", "GetObjectAcl", "GetObjectAttributes", "GetObjectTagging", "HeadObject"];

fn is_there(world: &World, request: &Request<Bytes>, (bucket, key): (&str, &str)) -> bool {
    let version = Query(request.uri().query().unwrap_or_default()).value("versionId");
    ops::get::version(world, bucket, key, version.as_deref()).is_ok()
}

/// Whether any policy has a say: the account does as it likes with what is its own, unless its bucket's
/// policy denies it.
fn is_judged(world: &World, caller: &Caller, bucket: &str) -> bool {
    let bucket = world.buckets.get(bucket);
    let guarded = bucket.is_some_and(|it| it.policy.is_some() || it.owner != caller.account);
    caller.role.is_some() || guarded
}

/// Headers and parameters that conditions may be about, with their condition keys (Service Authorization
/// Reference: condition keys for Amazon S3).
const CONDITIONS: [(&str, &str); 5] = [
    ("x-amz-acl", "s3:x-amz-acl"),
    ("x-amz-copy-source", "s3:x-amz-copy-source"),
    ("x-amz-metadata-directive", "s3:x-amz-metadata-directive"),
    ("x-amz-storage-class", "s3:x-amz-storage-class"),
    ("x-amz-server-side-encryption", ENCRYPTION),
];
const PARAMETERS: [(&str, &str); 4] = [
    ("prefix", "s3:prefix"),
    ("delimiter", "s3:delimiter"),
    ("max-keys", "s3:max-keys"),
    ("versionId", "s3:versionid"),
];
const ENCRYPTION: &str = "s3:x-amz-server-side-encryption";
const KEY: (&str, &str) = (
    "x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
);

/// What a request brings for conditions.
fn brought(world: &World, asked: &Asked, request: &Request<Bytes>) -> Vec<(&'static str, String)> {
    let query = Query(request.uri().query().unwrap_or_default());
    let of_header = |(name, key): &(&str, &'static str)| {
        Some((*key, header(request.headers(), name)?.to_owned()))
    };
    let of_query = |(name, key): &(&str, &'static str)| Some((*key, query.value(name)?));
    let mut brought: Vec<_> = CONDITIONS.iter().chain([&KEY]).filter_map(of_header).collect();
    brought.extend(PARAMETERS.iter().filter_map(of_query));
    // A part is encrypted as its upload said.
    let (bucket, _) = asked.place();
    let uploads = world.buckets.get(bucket).map(|bucket| &bucket.uploads);
    let upload = query.value("uploadId").and_then(|id| uploads?.get(&id));
    match upload.and_then(|upload| upload.encryption.as_ref()) {
        Some(Encryption::S3) => brought.push((ENCRYPTION, "AES256".to_owned())),
        Some(Encryption::Kms { key, dual, .. }) => {
            let algorithm = if *dual { "aws:kms:dsse" } else { "aws:kms" };
            brought.extend([(ENCRYPTION, algorithm.to_owned()), (KEY.1, key.clone())]);
        }
        _ => {}
    }
    brought
}

/// Whether the caller may delete this entry of a `DeleteObjects`.
///
/// # Errors
/// 403 `AccessDenied`.
pub(super) fn may_delete(
    world: &World,
    caller: &Caller,
    (bucket, key): (&str, &str),
    versioned: bool,
) -> Answer<()> {
    allowed(world, caller, &action_of("DeleteObject", versioned), (bucket, key), &[])
}

fn action_of(operation: &str, versioned: bool) -> String {
    let name = ACTIONS.iter().find(|(known, _)| *known == operation);
    let name = name.map_or(operation, |(_, action)| action);
    match versioned && VERSIONED.contains(&name) {
        true => format!("s3:{}", name.replacen("Object", "ObjectVersion", 1)),
        false => format!("s3:{name}"),
    }
}

fn allowed(
    world: &World,
    caller: &Caller,
    action: &str,
    (bucket, key): (&str, &str),
    context: &[(&str, &str)],
) -> Answer<()> {
    if !is_judged(world, caller, bucket) {
        return Ok(());
    }
    let resource = match (bucket, key) {
        ("", _) => "*".to_owned(),
        (bucket, "") => format!("arn:aws:s3:::{bucket}"),
        (bucket, key) => format!("arn:aws:s3:::{bucket}/{key}"),
    };
    let root = format!("arn:aws:iam::{}:root", caller.account);
    let place = (action, bucket, resource.as_str());
    let theirs = || access::decisions(world, &root, place, context).1;
    let fine = match (&caller.role, world.buckets.get(bucket)) {
        (Some(role), _) => access::session(world, role, place, context),
        // Whose name it is, CreateBucket finds out itself.
        (None, _) if action == "s3:CreateBucket" => true,
        (None, Some(owned)) if owned.owner != caller.account => theirs() == Decision::Allowed,
        // What a bucket's policy denies everybody, it denies the account too, which can still change it.
        (None, Some(_)) if !action.ends_with("BucketPolicy") => theirs() != Decision::Denied,
        // What is not there is refused in its own words.
        (None, _) => true,
    };
    if fine { Ok(()) } else { Err(Refusal::new(403, "AccessDenied", "Access Denied")) }
}

/// The other services: a role session needs the action on the resource that it names.
fn check_service(
    world: &World,
    caller: &Caller,
    asked: &Asked,
    request: &Request<Bytes>,
) -> Answer<()> {
    let shared = matches!(asked.service, Service::Sqs | Service::Events | Service::Control);
    if shared && caller.account != world.config.account {
        // Neither queues nor the bus have policies for other accounts here.
        return Err(Refusal::new(403, "AccessDenied", "Access Denied"));
    }
    let service = match asked.service {
        Service::S3 | Service::Control => "s3",
        Service::Sqs => "sqs",
        Service::Events => "events",
        Service::Iam => "iam",
        Service::Kms => "kms",
        // Everybody may ask who they are, and an assumed role's trust is asked for itself.
        Service::Sts => return Ok(()),
    };
    let action = format!("{service}:{}", asked.operation);
    if asked.service == Service::Events && asked.operation == "PutEvents" {
        return buses(request)
            .iter()
            .try_for_each(|bus| permitted(world, caller, &action, &bus::bus_arn(world, bus)));
    }
    permitted(world, caller, &action, &resource_of(world, asked, request))
}

/// The buses that a PutEvents is about, each once.
fn buses(request: &Request<Bytes>) -> BTreeSet<String> {
    let input = serde_json::from_slice::<Value>(request.body()).unwrap_or_default();
    let entries = input.get("Entries").and_then(Value::as_array).into_iter().flatten();
    let named =
        |entry: &Value| entry.get("EventBusName").and_then(Value::as_str).map(str::to_owned);
    entries.map(|entry| named(entry).unwrap_or_default()).collect()
}

/// The ARN of what a call is about; `*` where it is about nothing that has one.
fn resource_of(world: &World, asked: &Asked, request: &Request<Bytes>) -> String {
    let (region, account) = (&world.config.region, &world.config.account);
    let input = || serde_json::from_slice::<Value>(request.body()).unwrap_or_default();
    let named = |names: &[&str]| {
        let input = input();
        let found = names.iter().find_map(|name| input.get(*name).and_then(Value::as_str));
        found.map(str::to_owned)
    };
    let form = |name: &str| Form::of(request).and_then(|form| form.value(name));
    let found = match asked.service {
        Service::Sqs => {
            sqs::queue_of(request).map(|queue| format!("arn:aws:sqs:{region}:{account}:{queue}"))
        }
        Service::Events if asked.operation.contains("EventBus") => {
            named(&["Name"]).map(|bus| bus::bus_arn(world, &bus))
        }
        Service::Events => named(&["Rule", "Name"])
            .map(|rule| bus::rule_arn(world, &named(&["EventBusName"]).unwrap_or_default(), &rule)),
        Service::Kms => named(&["KeyId", "TargetKeyId"])
            .map(|key| world.kms.resolve(&kms::arn_of(world, &key, caller_of(request))).to_owned()),
        Service::Iam => form("PolicyArn")
            .or_else(|| form("RoleName").map(|role| format!("arn:aws:iam::{account}:role/{role}"))),
        Service::Control => {
            if let Some(arn) = asked.path.strip_prefix("/v20180820/tags/") {
                return arn.to_owned();
            }
            let id = asked.path.strip_prefix("/v20180820/jobs/");
            let id = id.and_then(|rest| rest.split('/').next()).filter(|id| !id.is_empty());
            id.map(|id| format!("arn:aws:s3:{region}:{account}:job/{id}"))
        }
        Service::S3 | Service::Sts => None,
    };
    found.unwrap_or_else(|| "*".to_owned())
}

fn caller_of(request: &Request<Bytes>) -> &str {
    request.extensions().get::<Caller>().map_or("", |caller| &caller.account)
}

/// Whether a session's role allows this; whoever is no session may do it anyway.
fn permitted(world: &World, caller: &Caller, action: &str, resource: &str) -> Answer<()> {
    match &caller.role {
        Some(role) if !access::own(world, role, (action, resource), &[]) => {
            let (who, _) = query::identity(world, caller);
            let message = format!(
                "User: {who} is not authorized to perform: {action} on resource: {resource}"
            );
            Err(Refusal::new(403, "AccessDenied", message))
        }
        _ => Ok(()),
    }
}

/// Whether the caller may hand this role to S3. S3 is not said to bring `iam:PassedToService` for a job, so a
/// condition on it is not met.
///
/// # Errors
/// 403 `AccessDenied`.
pub(super) fn may_pass(world: &World, caller: &Caller, role: &str) -> Answer<()> {
    permitted(world, caller, "iam:PassRole", role)
}

/// Whether the caller may tag the job that it creates.
///
/// # Errors
/// 403 `AccessDenied`.
pub(super) fn may_tag(world: &World, caller: &Caller) -> Answer<()> {
    let (region, account) = (&world.config.region, &world.config.account);
    // It has no id yet; a policy names all of them.
    let jobs = format!("arn:aws:s3:{region}:{account}:job/*");
    permitted(world, caller, "s3:PutJobTagging", &jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_the_names_of_the_reference() {
        for (operation, versioned, action) in [
            ("PutObject", false, "s3:PutObject"),
            ("HeadObject", true, "s3:GetObjectVersion"),
            ("GetObjectTagging", true, "s3:GetObjectVersionTagging"),
            ("DeleteObject", true, "s3:DeleteObjectVersion"),
            ("ListObjectsV2", false, "s3:ListBucket"),
            ("GetBucketReplication", false, "s3:GetReplicationConfiguration"),
            ("GetBucketPolicy", false, "s3:GetBucketPolicy"),
        ] {
            assert_eq!(action_of(operation, versioned), action);
        }
    }
}
