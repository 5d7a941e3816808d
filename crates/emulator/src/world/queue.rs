//! SQS standard queues, as far as event delivery needs them: at least once, in about the order of
//! arrival, with visibility timeouts and a dead-letter queue. FIFO queues are not emulated.

use std::collections::{BTreeMap, VecDeque};

use super::bucket::Policy;
use super::policy::{self, Decision, Question};
use super::refusal::{Answer, Refusal};
use super::{Millis, World};

/// How long a message is kept unless the queue says otherwise: as long as SQS allows.
const RETENTION: Millis = 14 * 24 * 3_600_000;
/// Bytes that a message may have (SQS quotas).
const MESSAGE_MAX: usize = 1_048_576;

/// A message that waits, or is being worked on.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Its text.
    pub body: String,
    /// When it came.
    pub sent: Millis,
    /// How often it was handed out.
    pub received: u32,
}

/// One queue.
#[derive(Debug, Default)]
pub struct Queue {
    /// Its ARN.
    pub arn: String,
    /// Milliseconds that a message stays hidden once it is handed out.
    pub visibility: Millis,
    /// How long a message is kept when nobody takes it, in milliseconds.
    pub retention: Millis,
    /// Where a message goes that was handed out too often: ARN, and how often is too often.
    pub redrive: Option<(String, u32)>,
    /// Whom its policy lets send; `None` is everybody, for queues that were made behind AWS's back.
    pub policy: Option<Policy>,
    waiting: VecDeque<Message>,
    hidden: BTreeMap<(Millis, String), Message>,
    receipts: BTreeMap<String, (Millis, String)>,
}

/// All queues, by name.
#[derive(Debug, Default)]
pub struct Queues {
    queues: BTreeMap<String, Queue>,
}

impl Queue {
    /// Whether somebody who asked now would be handed a message.
    pub fn has_message(&self, now: Millis) -> bool {
        let shown = |((until, _), _): ((&Millis, &String), &Message)| *until <= now;
        let first = self.hidden.first_key_value().map(|((until, id), it)| ((until, id), it));
        !self.waiting.is_empty() || first.is_some_and(shown)
    }
}

impl Queues {
    /// The queue of this ARN, or of this name.
    pub fn get(&self, arn: &str) -> Option<&Queue> {
        self.queues.get(name_of(arn))
    }

    /// The queue of this ARN, or of this name.
    pub fn get_mut(&mut self, arn: &str) -> Option<&mut Queue> {
        self.queues.get_mut(name_of(arn))
    }

    /// The names of all queues, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.queues.keys().map(String::as_str)
    }
}

/// The name of a queue, from its ARN, its URL or itself.
pub fn name_of(arn: &str) -> &str {
    arn.rsplit([':', '/']).next().unwrap_or(arn)
}

/// Makes a queue, or finds the one of this name; gives its ARN.
pub fn create(
    world: &mut World,
    name: &str,
    visibility: Millis,
    redrive: Option<(String, u32)>,
) -> Answer<String> {
    let fits = (1..=80).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !fits {
        let message =
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(Refusal::new(400, "InvalidParameterValue", message));
    }
    let arn = format!("arn:aws:sqs:{}:{}:{name}", world.config.region, world.config.account);
    check_redrive(world, name, redrive.as_ref())?;
    let queue = world.queues.queues.entry(name.to_owned()).or_default();
    if queue.arn.is_empty() {
        let retention = RETENTION;
        *queue = Queue { arn: arn.clone(), visibility, retention, redrive, ..Queue::default() };
    }
    Ok(arn)
}

/// Whether a queue may put messages aside so: after 1 to 1,000 receives, into another queue.
///
/// # Errors
/// 400 `InvalidParameterValue`.
pub fn check_redrive(world: &World, name: &str, redrive: Option<&(String, u32)>) -> Answer<()> {
    let Some((dead, most)) = redrive else { return Ok(()) };
    let other = world.queues.get(dead).is_some() && name_of(dead) != name_of(name);
    if other && (1..=1_000).contains(most) {
        return Ok(());
    }
    let message = "RedrivePolicy needs the ARN of another queue that exists, and a maxReceiveCount of 1 to 1000";
    Err(Refusal::new(400, "InvalidParameterValue", message))
}

/// Whether the queue's policy lets a service send to it, `source` being the ARN of what makes it send
/// (S3 User Guide: granting permissions to publish event notifications).
pub fn admits(world: &World, arn: &str, service: &str, source: &str) -> bool {
    let account = world.config.account.as_str();
    let context = [("aws:sourcearn", source), ("aws:sourceaccount", account)];
    let question = Question {
        principal: service,
        action: "sqs:SendMessage",
        resource: arn,
        context: &context,
    };
    world.queues.get(arn).is_some_and(|queue| {
        let policy = queue.policy.as_ref();
        policy.is_none_or(|it| policy::decide(&it.statements, &question) == Decision::Allowed)
    })
}

/// Deletes a queue with everything in it.
pub fn delete(world: &mut World, arn: &str) -> Answer<()> {
    world.queues.queues.remove(name_of(arn)).map(drop).ok_or_else(|| missing(arn))
}

/// Puts a message into a queue that shows it so many milliseconds later.
///
/// # Errors
/// Those of [`send`].
pub fn send_later(world: &mut World, arn: &str, body: String, delay: Millis) -> Answer<String> {
    if delay == 0 {
        return send(world, arn, body);
    }
    check_length(&body)?;
    let (id, now) = (world.rng.uuid(), world.now);
    let queue = world.queues.get_mut(arn).ok_or_else(|| missing(arn))?;
    let message = Message { id: id.clone(), body, sent: now, received: 0 };
    queue.hidden.insert((now + delay, id.clone()), message);
    Ok(id)
}

fn check_length(body: &str) -> Answer<()> {
    if body.len() > MESSAGE_MAX {
        let message = "the message is longer than 1 MiB";
        return Err(Refusal::new(400, "InvalidMessageContents", message));
    }
    Ok(())
}

/// Puts a message into a queue, and wakes whoever polls it. Gives the message's id.
pub fn send(world: &mut World, arn: &str, body: String) -> Answer<String> {
    check_length(&body)?;
    let id = world.rng.uuid();
    let sent = world.now;
    let queue = world.queues.get_mut(arn).ok_or_else(|| missing(arn))?;
    queue.waiting.push_back(Message { id: id.clone(), body, sent, received: 0 });
    super::lambda::wake(world, name_of(arn).to_owned());
    Ok(id)
}

/// Hands out up to `max` messages, each with the receipt that deletes it.
pub fn receive(
    world: &mut World,
    arn: &str,
    max: usize,
    visibility: Option<Millis>,
) -> Answer<Vec<(Message, String)>> {
    let now = world.now;
    let rates = (world.faults.duplicate_per_mille, world.faults.reorder_per_mille);
    let mut handed = Vec::new();
    // Once, so that what is hidden for no time at all is handed out once a call.
    world.queues.get_mut(arn).ok_or_else(|| missing(arn))?.show(now);
    while handed.len() < max {
        let reorder = rates.1 > 0 && world.rng.below(1_000) < rates.1;
        let duplicate = rates.0 > 0 && world.rng.below(1_000) < rates.0;
        let receipt = world.rng.token(32);
        let queue = world.queues.get_mut(arn).ok_or_else(|| missing(arn))?;
        let Some(mut message) = queue.take(now, reorder) else {
            break;
        };
        message.received += 1;
        // A dead-letter queue that is gone takes nothing: the message stays.
        if let Some(dead) = queue.dead(&message).filter(|dead| world.queues.get(dead).is_some()) {
            send(world, &dead, message.body)?;
            continue;
        }
        let queue = world.queues.get_mut(arn).ok_or_else(|| missing(arn))?;
        // One copy of a message, and in another batch: a copy of each copy would never come to an end.
        if duplicate && message.received == 1 {
            queue.hidden.insert((now + 1, receipt.clone()), message.clone());
        }
        let until = now + visibility.unwrap_or(queue.visibility);
        queue.receipts.insert(receipt.clone(), (until, receipt.clone()));
        queue.hidden.insert((until, receipt.clone()), message.clone());
        handed.push((message, receipt));
    }
    Ok(handed)
}

/// Deletes a message that was handed out. An unknown receipt is as good as deleted.
pub fn remove(world: &mut World, arn: &str, receipt: &str) -> Answer<()> {
    let queue = world.queues.get_mut(arn).ok_or_else(|| missing(arn))?;
    if let Some(place) = queue.receipts.remove(receipt) {
        queue.hidden.remove(&place);
    }
    Ok(())
}

/// Hides a message that was handed out for so much longer from now on; 0 gives it back.
pub fn change_visibility(
    world: &mut World,
    arn: &str,
    receipt: &str,
    visibility: Millis,
) -> Answer<()> {
    let until = world.now + visibility;
    let queue = world.queues.get_mut(arn).ok_or_else(|| missing(arn))?;
    let message = queue.receipts.remove(receipt).and_then(|place| queue.hidden.remove(&place));
    let Some(message) = message else {
        let sentence = "the receipt handle is not that of a message in flight";
        return Err(Refusal::new(400, "ReceiptHandleIsInvalid", sentence));
    };
    queue.receipts.insert(receipt.to_owned(), (until, receipt.to_owned()));
    queue.hidden.insert((until, receipt.to_owned()), message);
    Ok(())
}

/// Drops every message of a queue.
pub fn purge(world: &mut World, arn: &str) -> Answer<()> {
    let queue = world.queues.get_mut(arn).ok_or_else(|| missing(arn))?;
    queue.waiting.clear();
    queue.hidden.clear();
    queue.receipts.clear();
    Ok(())
}

fn missing(arn: &str) -> Refusal {
    let message = format!("The specified queue does not exist: {}", name_of(arn));
    Refusal::new(400, "AWS.SimpleQueueService.NonExistentQueue", message)
}

impl Queue {
    /// Messages that may be handed out now, and those that are being worked on.
    pub fn depth(&self) -> (usize, usize) {
        (self.waiting.len(), self.hidden.len())
    }

    /// When there is something to hand out: now, or when the first hidden message shows again.
    pub fn next_visible(&self, now: Millis) -> Option<Millis> {
        if self.waiting.is_empty() {
            self.hidden.first_key_value().map(|((until, _), _)| *until)
        } else {
            Some(now)
        }
    }

    /// Brings back what was hidden until now.
    fn show(&mut self, now: Millis) {
        while let Some(entry) = self.hidden.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((_, receipt), message) = entry.remove_entry();
            self.receipts.remove(&receipt);
            self.waiting.push_back(message);
        }
    }

    fn take(&mut self, now: Millis, reorder: bool) -> Option<Message> {
        while self.waiting.front().is_some_and(|message| now - message.sent > self.retention) {
            self.waiting.pop_front();
        }
        if reorder { self.waiting.pop_back() } else { self.waiting.pop_front() }
    }

    fn dead(&self, message: &Message) -> Option<String> {
        let (arn, most) = self.redrive.as_ref()?;
        (message.received > *most).then(|| arn.clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::world::config::Config;

    #[test]
    fn a_doubled_delivery_comes_twice_and_the_queue_comes_to_an_end() {
        let mut world = World::new(Config::default());
        let arn = create(&mut world, "q", 1_000, None).unwrap();
        world.faults.duplicate_per_mille = 1_000;
        for at in 0..5 {
            send(&mut world, &arn, at.to_string()).unwrap();
        }
        let mut handed = 0;
        for _ in 0..3 {
            for (_, receipt) in receive(&mut world, &arn, 10, None).unwrap() {
                remove(&mut world, &arn, &receipt).unwrap();
                handed += 1;
            }
            let next = world.now + 1;
            world.advance_to(next);
        }
        assert_eq!(handed, 10, "each and its copy");
        assert_eq!(world.queues.get(&arn).unwrap().depth(), (0, 0));
    }

    #[test]
    fn what_is_hidden_for_no_time_is_handed_out_once_a_call() {
        let mut world = World::new(Config::default());
        let arn = create(&mut world, "q", 1_000, None).unwrap();
        send(&mut world, &arn, "a".into()).unwrap();
        for _ in 0..3 {
            assert_eq!(receive(&mut world, &arn, 10, Some(0)).unwrap().len(), 1);
        }
    }

    #[test]
    fn a_message_goes_aside_into_another_queue_that_exists() {
        let mut world = World::new(Config::default());
        let dead = create(&mut world, "dead", 1_000, None).unwrap();
        for (to, most) in [("arn:aws:sqs:us-east-1:111122223333:q", 3), ("none", 3), (&*dead, 0)] {
            assert!(
                create(&mut world, "q", 0, Some((to.to_owned(), most))).is_err(),
                "{to} {most}"
            );
        }
        let arn = create(&mut world, "q", 0, Some((dead.clone(), 2))).unwrap();
        send(&mut world, &arn, "a".into()).unwrap();
        for left in [1, 1, 0] {
            assert_eq!(receive(&mut world, &arn, 10, None).unwrap().len(), left);
        }
        assert_eq!(world.queues.get(&dead).unwrap().depth(), (1, 0));
        delete(&mut world, &dead).unwrap();
        send(&mut world, &arn, "b".into()).unwrap();
        for _ in 0..5 {
            assert_eq!(receive(&mut world, &arn, 10, None).unwrap().len(), 1, "nowhere to go");
        }
    }
}
