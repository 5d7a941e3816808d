//! Event notifications of a bucket: the document, its validation, and the way of an event to its queue.
//!
//! Delivery is at least once, unordered and late, as much as the world's faults say. Topics, functions
//! and EventBridge are kept in the document and validated, but nothing is delivered to them: only queues
//! receive.

mod config;
mod record;
pub(crate) mod stamp;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use config::{Entry, NotificationConfig, Target, set};
pub use record::{Happening, Record, ReplicationEvent};

use self::record::{ObjectFacts, ReplicationFacts};
use super::parcel::{self, Sender};
use super::replication::find;
use super::{Millis, Task, World};

/// The most that a duplicate or a reordered message comes later than the first, in milliseconds.
const STRAGGLE_MAX: Millis = 60_000;

/// One message on its way to one queue.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The queue's ARN.
    pub queue: Arc<str>,
    /// What it will say; printed only when it arrives.
    pub record: Arc<Record>,
}

/// Tells the bucket's queues that listen to replication events. The events of rules without metrics are
/// the caller's to leave out.
pub fn emit(world: &mut World, event: &ReplicationEvent<'_>) {
    let name = event.happening.event_name();
    let queues = listeners(world, event.source, name, event.key);
    if queues.is_empty() {
        return;
    }
    let facts = ReplicationFacts {
        rule: event.rule.id.clone(),
        destination: event.rule.destination.bucket.clone(),
        operation: event.operation,
        requested: event.version.modified,
        happening: event.happening,
    };
    let object = ObjectFacts::of(world, event.source, event.key, event.version);
    dispatch(world, &queues, name, object, Some(facts));
}

/// Tells the bucket's queues of an ordinary event (`ObjectCreated:Put`, …) of a version.
pub fn on_object(world: &mut World, bucket: &str, key: &str, version_id: &str, event_name: &str) {
    let queues = listeners(world, bucket, event_name, key);
    if queues.is_empty() {
        return;
    }
    let Some(object) = find(world, bucket, key, version_id)
        .map(|version| ObjectFacts::of(world, bucket, key, version))
    else {
        return;
    };
    dispatch(world, &queues, event_name, object, None);
}

/// Hands a message to its queue. One whose queue is gone by now is lost, as it is with S3.
pub fn deliver(world: &mut World, delivery: Delivery) {
    let body = delivery.record.message();
    let source = delivery.record.source();
    let sender = Sender { service: "s3.amazonaws.com", source: &source };
    parcel::hand(world, sender, &delivery.queue, body);
}

/// The queues that want this event of this key, each with the id of its configuration.
fn listeners(world: &World, bucket: &str, event: &str, key: &str) -> Vec<(Arc<str>, String)> {
    let Some(bucket) = world.buckets.get(bucket) else {
        return Vec::new();
    };
    let entries = bucket.notification.entries.iter();
    entries
        .filter(|entry| entry.target == Target::Queue && entry.wants(event, key))
        .map(|entry| (Arc::from(entry.arn.as_str()), entry.id.clone()))
        .collect()
}

fn dispatch(
    world: &mut World,
    queues: &[(Arc<str>, String)],
    name: &str,
    object: ObjectFacts,
    replication: Option<ReplicationFacts>,
) {
    for (queue, configuration) in queues {
        let record = Arc::new(Record {
            name: name.to_owned(),
            region: world.config.region.clone(),
            time: world.now(),
            request_id: world.rng.uuid(),
            host_id: world.rng.token(48),
            configuration: configuration.clone(),
            object: object.clone(),
            replication: replication.clone(),
        });
        let delivery = Delivery { queue: Arc::clone(queue), record };
        let mut delay = world.config.notification_delay;
        if chance(world, world.faults.reorder_per_mille) {
            delay = delay.saturating_add(1 + world.rng.below(STRAGGLE_MAX));
        }
        if chance(world, world.faults.duplicate_per_mille) {
            let later = delay.saturating_add(1 + world.rng.below(STRAGGLE_MAX));
            world.later(later, Task::Notify(delivery.clone()));
        }
        world.later(delay, Task::Notify(delivery));
    }
}

/// Draws only where there is something to win, so that a world without faults stays the same world.
fn chance(world: &mut World, per_mille: u64) -> bool {
    per_mille > 0 && world.rng.below(1_000) < per_mille
}
