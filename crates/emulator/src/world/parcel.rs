//! Events on their way to somebody else's queues and bus: what S3 tells, where the queues that it tells
//! it to are not emulated here but by another server.

use std::collections::VecDeque;

use serde_json::Value;

use super::{World, queue};

/// One thing to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Parcel {
    /// A message for the queue of this ARN.
    Message {
        /// The queue's ARN.
        queue: String,
        /// The text.
        body: String,
    },
    /// An event for the default bus, in its envelope.
    Event(Value),
}

/// What waits to be sent, oldest first.
#[derive(Debug, Default)]
pub struct Parcels {
    messages: VecDeque<Parcel>,
    events: VecDeque<Parcel>,
}

impl Parcels {
    /// Takes the oldest of the messages, or of the events.
    pub fn take(&mut self, messages: bool) -> Option<Parcel> {
        if messages { self.messages.pop_front() } else { self.events.pop_front() }
    }

    /// Forgets what waits: it was sent in another life.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.events.clear();
    }

    /// Puts an event for the bus at the end.
    pub(super) fn event(&mut self, envelope: Value) {
        self.events.push_back(Parcel::Event(envelope));
    }
}

/// Who hands a message to a queue, and on behalf of what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    /// The service, as a policy names it.
    pub(super) service: &'a str,
    /// The ARN of the bucket or the rule.
    pub(super) source: &'a str,
}

/// Hands a message to the queue of an ARN, wherever that is. One that is not there, or that does not let
/// the sender in, loses it: false.
pub(super) fn hand(world: &mut World, sender: Sender<'_>, arn: &str, body: String) -> bool {
    if world.config.queues_elsewhere {
        world.parcels.messages.push_back(Parcel::Message { queue: arn.to_owned(), body });
    } else if !queue::admits(world, arn, sender.service, sender.source) {
        tracing::debug!(queue = arn, service = sender.service, "an event was not let in");
        return false;
    } else if let Err(refusal) = queue::send(world, arn, body) {
        tracing::debug!(queue = arn, %refusal, "an event found no queue");
        return false;
    }
    true
}
