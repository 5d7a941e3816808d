//! What `PutBucketReplication` accepts, and the code with which it refuses the rest (S3 API Reference:
//! PutBucketReplication, and S3 User Guide: replication configuration file elements).
//!
//! Shapes that XML alone decides (an unknown status word, two predicates without `And`) are refused on
//! the wire. The replica's key is not checked: a bad one shows up as failed replications.

use std::collections::BTreeSet;

use super::rules::{Destination, Filter, ReplicationConfig, Rule, Switch};
use crate::world::bucket::Versioning;
use crate::world::jobs::request::is_role;
use crate::world::ops::put::CLASSES;
use crate::world::{Answer, Refusal, World};

/// The most rules of one configuration (S3 User Guide: replication configuration).
const RULES_MAX: usize = 1_000;
/// The longest rule id, in characters.
const ID_LEN_MAX: usize = 255;
/// The only threshold that S3 takes (S3 User Guide: replication time control).
const THRESHOLD_MINUTES: i32 = 15;

/// Whether the bucket `source` may have this configuration.
///
/// # Errors
/// 404 `NoSuchBucket`; 400 `InvalidRequest`, `InvalidArgument` or `MalformedXML` with the first thing
/// that is wrong.
pub fn validate(world: &World, source: &str, config: &ReplicationConfig) -> Answer<()> {
    let bucket = world
        .buckets
        .get(source)
        .ok_or_else(|| Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist"))?;
    if bucket.versioning != Versioning::Enabled {
        return request(
            "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
        );
    }
    if config.rules.is_empty() || config.rules.len() > RULES_MAX {
        return malformed("A replication configuration has 1 to 1000 rules");
    }
    if !is_role(&config.role) {
        return argument("Role must be the ARN of an IAM role");
    }
    for rule in &config.rules {
        check_id(rule)?;
        check_filter(rule)?;
        check_version(rule)?;
        check_destination(world, source, &rule.destination)?;
        check_timing(&rule.destination)?;
        if rule.sse_kms == Some(true) && rule.destination.kms_key().is_none() {
            return request(
                "SseKmsEncryptedObjects needs EncryptionConfiguration with ReplicaKmsKeyID",
            );
        }
    }
    check_together(config)
}

fn check_id(rule: &Rule) -> Answer<()> {
    if rule.id.chars().count() > ID_LEN_MAX {
        return argument("The maximum length of a rule ID is 255 characters");
    }
    if !rule.id.is_ascii() {
        return argument("A rule ID may only contain ASCII characters");
    }
    Ok(())
}

fn check_filter(rule: &Rule) -> Answer<()> {
    let within = |(key, value): &(String, String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256
    };
    let tags = match &rule.filter {
        Filter::Tag(key, value) => vec![(key.clone(), value.clone())],
        Filter::And { tags, .. } => tags.clone(),
        _ => Vec::new(),
    };
    if !tags.iter().all(within) || rule.filter.prefix().len() > 1_024 {
        return malformed(
            "A prefix has up to 1024 bytes, a tag's key 1 to 128 characters, and its value up to 256",
        );
    }
    if let Filter::And { prefix, tags } = &rule.filter {
        if usize::from(prefix.is_some()) + tags.len() < 2 {
            return malformed("And needs at least two predicates");
        }
        let keys: BTreeSet<&String> = tags.iter().map(|(key, _)| key).collect();
        if keys.len() < tags.len() {
            return request("Duplicate tag keys are not allowed");
        }
    }
    Ok(())
}

fn check_version(rule: &Rule) -> Answer<()> {
    if rule.priority.is_some_and(|priority| priority < 0) {
        return request("Priority must be a number from 0 to 2147483647");
    }
    // The sentences are S3's own.
    let newer = [
        (rule.delete_markers.is_some(), "DeleteMarkerReplication"),
        (rule.priority.is_some(), "Priority"),
        (rule.destination.time_control.is_some(), "ReplicationTime"),
        (rule.replica_modifications.is_some(), "ReplicaModifications"),
    ];
    if let Some((_, name)) = newer.iter().find(|(given, _)| *given && !rule.filter.is_v2()) {
        return request(&format!(
            "{name} cannot be used for this version of Cross Region Replication configuration schema. Please refer to S3 Developer Guide for more information."
        ));
    }
    if rule.filter.is_v2() && rule.priority.is_none() {
        return request("Priority must be specified when Filter is");
    }
    if rule.filter.is_v2() && rule.delete_markers.is_none() {
        return request("DeleteMarkerReplication must be specified when Filter is");
    }
    if rule.delete_markers == Some(true) && rule.filter.is_tagged() {
        return request("Delete marker replication is not supported with a tag filter");
    }
    Ok(())
}

fn check_destination(world: &World, source: &str, destination: &Destination) -> Answer<()> {
    let name = destination.name();
    if name.is_empty() || name.contains('/') {
        return argument("Destination bucket must be the ARN of a bucket");
    }
    if name == source {
        return request("Destination bucket cannot be the same as the source bucket");
    }
    let Some(bucket) = world.buckets.get(name) else {
        return request("Destination bucket must exist");
    };
    if bucket.versioning != Versioning::Enabled {
        return request("Destination bucket must have versioning enabled");
    }
    let class = destination.storage_class.as_deref().unwrap_or("STANDARD");
    if !CLASSES.contains(&class) {
        return malformed("StorageClass is none that a replica can have");
    }
    match destination.account.as_deref() {
        Some("") => argument("Destination account must be 12 digits"),
        Some(account) if account != bucket.owner => {
            argument("Account must be the owner of the destination bucket")
        }
        None if destination.owner_override => {
            request("Account must be specified with AccessControlTranslation")
        }
        _ => Ok(()),
    }
}

fn check_timing(destination: &Destination) -> Answer<()> {
    let wrong = |switch: Switch| switch.minutes.is_some_and(|minutes| minutes != THRESHOLD_MINUTES);
    if destination.metrics.is_some_and(wrong) || destination.time_control.is_some_and(wrong) {
        return argument("Minutes must be 15");
    }
    let Some(control) = destination.time_control else {
        return Ok(());
    };
    let Some(metrics) = destination.metrics else {
        return request("ReplicationTime needs Metrics");
    };
    if control.enabled != metrics.enabled {
        return request("ReplicationTime and Metrics must have the same status");
    }
    if control.enabled && (control.minutes.is_none() || metrics.minutes.is_none()) {
        return argument("ReplicationTime needs Time and EventThreshold");
    }
    Ok(())
}

fn check_together(config: &ReplicationConfig) -> Answer<()> {
    let (mut ids, mut priorities) = (BTreeSet::new(), BTreeSet::new());
    for rule in &config.rules {
        if !rule.id.is_empty() && !ids.insert(rule.id.as_str()) {
            return argument("Rule IDs must be unique");
        }
        if rule.priority.is_some_and(|it| !priorities.insert((&rule.destination.bucket, it))) {
            return request("Rules with the same destination must have different priorities");
        }
    }
    let older = config.rules.iter().filter(|rule| !rule.filter.is_v2()).count();
    if older > 0 && older < config.rules.len() {
        return request("Rules with Prefix and rules with Filter cannot be mixed");
    }
    let destinations: BTreeSet<&String> =
        config.rules.iter().map(|rule| &rule.destination.bucket).collect();
    if older > 0 && destinations.len() > 1 {
        return request("Number of distinct destination bucket ARNs cannot exceed 1");
    }
    Ok(())
}

fn request(message: &str) -> Answer<()> {
    Err(Refusal::new(400, "InvalidRequest", message))
}

fn argument(message: &str) -> Answer<()> {
    Err(Refusal::new(400, "InvalidArgument", message))
}

fn malformed(message: &str) -> Answer<()> {
    Err(Refusal::new(400, "MalformedXML", message))
}
