//! The notification document of a bucket, and what `PutBucketNotificationConfiguration` says of it.

use std::collections::BTreeSet;

use serde_json::json;

use super::stamp::iso;
use crate::world::parcel::{self, Sender};
use crate::world::{Answer, Refusal, World, queue};

/// The most configurations of one bucket (AWS General Reference: S3 quotas).
const ENTRIES_MAX: usize = 100;

/// The events that may be configured (S3 API Reference: `Event`).
const EVENTS: [&str; 30] = [
    "s3:ReducedRedundancyLostObject",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Post",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationReplicatedAfterThreshold",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectAcl:Put",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Put",
    "s3:ObjectTagging:Delete",
    "s3:ObjectAnnotation:*",
    "s3:ObjectAnnotation:Put",
    "s3:ObjectAnnotation:Delete",
];

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationConfig {
    /// Queues, topics and functions, in the order given.
    pub entries: Vec<Entry>,
    /// `EventBridgeConfiguration` is there.
    pub event_bridge: bool,
}

/// Where an entry sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `QueueConfigurations`: delivered.
    Queue,
    /// `TopicConfigurations`: kept, not delivered.
    Topic,
    /// `LambdaFunctionConfigurations`: kept, not delivered.
    Function,
}

/// One configuration of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Unique in the document; made when not given.
    pub id: String,
    /// What kind of destination.
    pub target: Target,
    /// The destination.
    pub arn: String,
    /// `s3:Replication:OperationFailedReplication`, `s3:ObjectCreated:*`, …
    pub events: Vec<String>,
    /// The filter's rules, (`prefix` or `suffix` in any case, value); `None` where there is no filter.
    pub filter: Option<Vec<(String, String)>>,
}

impl Entry {
    /// A queue that listens to `events` of every key.
    pub fn queue(id: &str, arn: &str, events: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            target: Target::Queue,
            arn: arn.to_owned(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            filter: None,
        }
    }

    /// Whether the entry wants the event `name` (without `s3:`) of `key`.
    pub(super) fn wants(&self, name: &str, key: &str) -> bool {
        key.starts_with(self.bound("prefix"))
            && key.ends_with(self.bound("suffix"))
            && self.events.iter().any(|event| {
                let event = event.strip_prefix("s3:").unwrap_or(event);
                covers(event, name)
            })
    }

    fn bound(&self, name: &str) -> &str {
        let rules = self.filter.iter().flatten();
        rules
            .into_iter()
            .find(|(rule, _)| rule.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (prefix, suffix) = (self.bound("prefix"), self.bound("suffix"));
        let (its_prefix, its_suffix) = (other.bound("prefix"), other.bound("suffix"));
        let keys = (prefix.starts_with(its_prefix) || its_prefix.starts_with(prefix))
            && (suffix.ends_with(its_suffix) || its_suffix.ends_with(suffix));
        let events = |a: &String| other.events.iter().any(|b| covers(a, b) || covers(b, a));
        keys && self.events.iter().any(events)
    }
}

/// Whether the configured event `pattern` means the event `name`.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => pattern == name,
    }
}

/// Replaces the document of a bucket. Unless told to skip it, every queue gets an `s3:TestEvent`, and one
/// that cannot be reached refuses the whole document (S3 API Reference:
/// PutBucketNotificationConfiguration).
///
/// # Errors
/// 404 `NoSuchBucket`; 400 `InvalidArgument` for unknown events, equal ids, overlapping entries, FIFO
/// destinations and queues that are not there. A refused document leaves the old one.
pub fn set(
    world: &mut World,
    bucket: &str,
    mut config: NotificationConfig,
    skip_validation: bool,
) -> Answer<()> {
    if !world.buckets.contains_key(bucket) {
        return Err(Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist"));
    }
    for entry in config.entries.iter_mut().filter(|entry| entry.id.is_empty()) {
        entry.id = world.rng.uuid();
    }
    check(&config)?;
    for entry in &mut config.entries {
        // There are few events; a document may name one of them as often as it likes.
        let mut seen = BTreeSet::new();
        entry.events.retain(|event| seen.insert(event.clone()));
    }
    if config
        .entries
        .iter()
        .enumerate()
        .any(|(at, entry)| config.entries.iter().skip(at + 1).any(|other| entry.overlaps(other)))
    {
        return refuse(
            "Configurations overlap. Configurations on the same bucket cannot share a common event type",
        );
    }
    if !skip_validation {
        for entry in config.entries.iter().filter(|entry| entry.target == Target::Queue) {
            test(world, bucket, &entry.arn)?;
        }
    }
    if let Some(bucket) = world.buckets.get_mut(bucket) {
        bucket.notification = config;
    }
    Ok(())
}

fn check(config: &NotificationConfig) -> Answer<()> {
    if config.entries.len() > ENTRIES_MAX {
        return refuse("A bucket has at most 100 notification configurations");
    }
    let mut ids = BTreeSet::new();
    for entry in &config.entries {
        if !ids.insert(&entry.id) {
            return refuse("Same ID used for multiple configurations. IDs must be unique");
        }
        if entry.arn.ends_with(".fifo") {
            return refuse("FIFO queues and topics are not supported as a destination");
        }
        if entry.events.is_empty() || !entry.events.iter().all(|event| EVENTS.contains(&&**event)) {
            return refuse("The event is not supported for notifications");
        }
        let filter = entry.filter.iter().flatten();
        let known =
            |name: &str| ["prefix", "suffix"].iter().any(|it| name.eq_ignore_ascii_case(it));
        if !filter.into_iter().all(|(name, _)| known(name)) {
            return refuse("filter rule name must be either prefix or suffix");
        }
        for name in ["prefix", "suffix"] {
            let filter = entry.filter.iter().flatten();
            if filter.filter(|(given, _)| given.eq_ignore_ascii_case(name)).count() > 1 {
                return refuse(&format!("Cannot specify more than one {name} rule in a filter."));
            }
        }
    }
    Ok(())
}

fn test(world: &mut World, bucket: &str, arn: &str) -> Answer<()> {
    let message = json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": iso(world.now()),
        "Bucket": bucket,
        "RequestId": world.rng.token(16).to_uppercase(),
        "HostId": world.rng.token(48),
    });
    // The whole ARN: another Region's queue, or a topic of the same name, is none of this account's.
    let is_ours = world.queues.get(arn).is_some_and(|queue| queue.arn == arn);
    let source = format!("arn:aws:s3:::{bucket}");
    let sender = Sender { service: "s3.amazonaws.com", source: &source };
    let open = is_ours && queue::admits(world, arn, sender.service, sender.source);
    if !open && !world.config.queues_elsewhere {
        return refuse("Unable to validate the following destination configurations");
    }
    parcel::hand(world, sender, arn, message.to_string());
    Ok(())
}

fn refuse(message: &str) -> Answer<()> {
    Err(Refusal::new(400, "InvalidArgument", message))
}
