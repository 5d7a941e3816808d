//! Buckets and their sub-resources: versioning, policy, tags, default encryption, replication.
//!
//! The tags are kept verbatim and mean nothing here. The notification document has its
//! own home in [`crate::world::notification`].

use serde_json::{Value, json};

use super::{bucket, bucket_mut, trail};
use crate::world::bucket::{Policy, Versioning};
use crate::world::lifecycle;
use crate::world::notification::{self, NotificationConfig};
use crate::world::object::Tags;
use crate::world::policy::{self, Principal};
use crate::world::replication::rules::{ReplicationConfig, validate};
use crate::world::{Answer, Bucket, Refusal, World};

/// Makes a bucket.
///
/// # Errors
/// 409 `BucketAlreadyOwnedByYou` when `owner` has one of this name, but in us-east-1, where that is as
/// good as made (S3 API Reference: CreateBucket); 409 `BucketAlreadyExists` when somebody else has.
pub fn create(world: &mut World, name: &str, owner: &str, region: &str) -> Answer<()> {
    if let Some(taken) = world.buckets.get(name) {
        if taken.owner == owner && taken.region == "us-east-1" && region == "us-east-1" {
            return Ok(());
        }
        let (code, message) = if taken.owner == owner {
            (
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
            )
        } else {
            ("BucketAlreadyExists", "The requested bucket name is not available.")
        };
        return Err(Refusal::new(409, code, message));
    }
    let made = Bucket {
        name: name.to_owned(),
        owner: owner.to_owned(),
        region: region.to_owned(),
        created: world.now(),
        versioning: Versioning::default(),
        keys: Default::default(),
        uploads: Default::default(),
        completed: Default::default(),
        replication: None,
        notification: NotificationConfig::default(),
        policy: None,
        tags: Tags::new(),
        default_kms_key: None,
        encryption: None,
        lifecycle_varies: false,
        lifecycle: Vec::new(),
        lock: None,
        public_access_block: None,
        // What a bucket has since 2023 unless told otherwise.
        ownership: Some("BucketOwnerEnforced".to_owned()),
        tierings: Vec::new(),
        hard_deleted: Default::default(),
    };
    world.buckets.insert(name.to_owned(), made);
    Ok(())
}

/// Removes an empty bucket.
///
/// # Errors
/// 404 `NoSuchBucket`; 409 `BucketNotEmpty` while a version or a delete marker is left.
pub fn delete(world: &mut World, name: &str) -> Answer<()> {
    if !bucket(world, name)?.keys.is_empty() {
        let message = "The bucket you tried to delete is not empty. You must delete all versions in the bucket.";
        return Err(Refusal::new(409, "BucketNotEmpty", message));
    }
    world.buckets.remove(name);
    trail::record(world, "DeleteBucket", name, "", None);
    Ok(())
}

/// Enables or suspends versioning.
///
/// # Errors
/// 404 `NoSuchBucket`; 409 `InvalidBucketState` for suspending it under a replication configuration
/// (S3 User Guide: replication requirements); 400 for going back to unversioned.
pub fn put_versioning(world: &mut World, name: &str, versioning: Versioning) -> Answer<()> {
    let bucket = bucket_mut(world, name)?;
    let (status, refusal) = match versioning {
        Versioning::Enabled => ("Enabled", None),
        Versioning::Suspended if bucket.lock.is_some() => ("", Some(locked())),
        Versioning::Suspended => ("Suspended", bucket.replication.as_ref().map(|_| suspended())),
        Versioning::Unversioned => (
            "",
            Some(Refusal::new(
                400,
                "IllegalVersioningConfigurationException",
                "Versioning can be suspended, not removed",
            )),
        ),
    };
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    bucket.versioning = versioning;
    let body = json!({ "Status": status, "xmlns": XMLNS });
    trail::record(
        world,
        "PutBucketVersioning",
        name,
        "versioning",
        Some(("VersioningConfiguration", body)),
    );
    Ok(())
}

fn locked() -> Refusal {
    Refusal::new(
        409,
        "InvalidBucketState",
        "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
    )
}

fn suspended() -> Refusal {
    Refusal::new(
        409,
        "InvalidBucketState",
        "A replication configuration is present on this bucket, so the versioning state cannot be changed.",
    )
}

/// Sets or removes the policy.
///
/// # Errors
/// 404 `NoSuchBucket`; 400 `MalformedPolicy` when it is none.
pub fn put_policy(world: &mut World, name: &str, policy: Option<String>) -> Answer<()> {
    let bucket = bucket_mut(world, name)?;
    let malformed = |message: &str| Refusal::new(400, "MalformedPolicy", message);
    let body = match policy.as_deref().map(serde_json::from_str::<Value>) {
        None => None,
        Some(Ok(policy @ Value::Object(_))) => Some(("bucketPolicy", policy)),
        Some(_) => {
            return Err(malformed("Policies must be valid JSON and the first byte must be '{'"));
        }
    };
    let call = if policy.is_some() { "PutBucketPolicy" } else { "DeleteBucketPolicy" };
    bucket.policy = match policy {
        None => None,
        Some(text) => {
            let statements =
                policy::parse(&text, name).map_err(|refusal| malformed(&refusal.message))?;
            if statements.iter().any(|one| one.is_of_another_bucket(name)) {
                return Err(malformed("Policy has invalid resource"));
            }
            if statements.iter().any(|statement| statement.principal == Principal::Owner) {
                return Err(malformed("Missing required field Principal"));
            }
            Some(Policy { text, statements })
        }
    };
    trail::record(world, call, name, "policy", body);
    Ok(())
}

/// Whether a bucket may have these tags.
///
/// # Errors
/// 400 `InvalidTag` for more than 50, and for those that no object may have.
pub fn check_tags(tags: &Tags) -> Answer<()> {
    if tags.len() > TAGS_MAX {
        return Err(Refusal::new(400, "InvalidTag", "A bucket has at most 50 tags"));
    }
    super::tags::check_each(tags)
}

/// Replaces the bucket's tags by a call of this name.
///
/// # Errors
/// 404 `NoSuchBucket`; those of [`check_tags`].
pub fn put_tags(world: &mut World, name: &str, tags: Tags, call: &str) -> Answer<()> {
    check_tags(&tags)?;
    bucket_mut(world, name)?.tags = tags;
    trail::record(world, call, name, "tagging", None);
    Ok(())
}

/// Sets the key of the default encryption; `None` is SSE-S3.
///
/// # Errors
/// 404 `NoSuchBucket`.
pub fn put_encryption(world: &mut World, name: &str, key: Option<String>) -> Answer<()> {
    bucket_mut(world, name)?.default_kms_key = key;
    trail::record(world, "PutBucketEncryption", name, "encryption", None);
    Ok(())
}

/// Replaces the lifecycle rules; none at all removes them.
///
/// # Errors
/// 404 `NoSuchBucket`; those of [`lifecycle::validate`].
pub fn put_lifecycle(world: &mut World, name: &str, rules: Vec<lifecycle::Rule>) -> Answer<()> {
    bucket(world, name)?;
    let call = if rules.is_empty() { "DeleteBucketLifecycle" } else { "PutBucketLifecycle" };
    if !rules.is_empty() {
        lifecycle::validate(&rules)?;
    }
    bucket_mut(world, name)?.lifecycle = rules;
    trail::record(world, call, name, "lifecycle", None);
    Ok(())
}

/// Replaces the notification document, as [`notification::set`] does, and tells of it.
///
/// # Errors
/// Those of [`notification::set`].
pub fn put_notification(
    world: &mut World,
    name: &str,
    config: NotificationConfig,
    skip_validation: bool,
) -> Answer<()> {
    notification::set(world, name, config, skip_validation)?;
    trail::record(world, "PutBucketNotification", name, "notification", None);
    Ok(())
}

/// Sets or removes the replication configuration. Rules without an id get one.
///
/// # Errors
/// Those of [`validate`]; the old configuration stays.
pub fn put_replication(
    world: &mut World,
    name: &str,
    config: Option<ReplicationConfig>,
) -> Answer<()> {
    bucket(world, name)?;
    let Some(mut config) = config else {
        bucket_mut(world, name)?.replication = None;
        trail::record(world, "DeleteBucketReplication", name, "replication", None);
        return Ok(());
    };
    if let Err(refusal) = validate(world, name, &config) {
        trail::record_refused(world, "PutBucketReplication", name, "replication", &refusal);
        return Err(refusal);
    }
    for rule in config.rules.iter_mut().filter(|rule| rule.id.is_empty()) {
        std::sync::Arc::make_mut(rule).id = world.rng.uuid();
    }
    let body = told(&config);
    bucket_mut(world, name)?.replication = Some(config);
    let body = Some(("ReplicationConfiguration", body));
    trail::record(world, "PutBucketReplication", name, "replication", body);
    Ok(())
}

/// The most tags of a bucket (S3 API Reference: PutBucketTagging).
const TAGS_MAX: usize = 50;

const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The configuration as CloudTrail tells it: XML turned into JSON by machine, so that one rule is an
/// object and several are an array.
fn told(config: &ReplicationConfig) -> Value {
    let mut rules: Vec<Value> = config
        .rules
        .iter()
        .map(|rule| {
            json!({
                "ID": rule.id,
                "Status": if rule.enabled { "Enabled" } else { "Disabled" },
                "Destination": { "Bucket": rule.destination.bucket },
            })
        })
        .collect();
    let rules = if rules.len() == 1 { rules.remove(0) } else { Value::Array(rules) };
    json!({ "xmlns": XMLNS, "Role": &*config.role, "Rule": rules })
}
