//! SQS standard queues, as far as event delivery needs them: at least once, in about the order of
//! arrival, with visibility timeouts and a dead-letter queue. FIFO queues are not emulated.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value};

use super::bucket::Policy;
use super::policy::{self, Decision, Question};
use super::refusal::{Answer, Refusal};
use super::{Millis, World};

/// How long a message is kept unless the queue says otherwise (SQS Developer Guide: quotas).
const RETENTION: Millis = 4 * 24 * 3_600_000;
/// Bytes that a message may have (SQS quotas).
pub const MESSAGE_MAX: u64 = 1_048_576;

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
    /// When it was handed out for the first time.
    pub first: Option<Millis>,
    /// Its attributes, by name, each as the JSON protocol writes it.
    pub attributes: Map<String, Value>,
    /// The ARN of the queue that put it aside.
    pub aside: Option<String>,
}

/// A message that is to be sent.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Its text.
    pub body: String,
    /// Its attributes, as in [`Message`].
    pub attributes: Map<String, Value>,
    /// Milliseconds until it shows; `None` is as the queue says.
    pub delay: Option<Millis>,
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
    /// Milliseconds until a message shows, unless it says so itself.
    pub delay: Millis,
    /// Bytes that a message may have.
    pub message_max: u64,
    /// Milliseconds of the wall clock that an empty answer is held back, unless the call says so itself.
    pub wait: Millis,
    /// Attributes without an effect here, as they were set.
    pub kept: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made, and when its attributes were last set.
    pub dates: (Millis, Millis),
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
    /// What moved messages back out of dead-letter queues, the newest last.
    pub moves: Vec<Move>,
}

/// One move of all messages of a dead-letter queue.
#[derive(Debug, Clone)]
pub struct Move {
    /// The ARN of the queue that they were in.
    pub source: String,
    /// The ARN of the queue that they went to; `None` is each to where it came from.
    pub destination: Option<String>,
    /// How many they were.
    pub moved: usize,
    /// When.
    pub at: Millis,
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

    /// The queues that put messages aside into the one of this ARN.
    pub fn feeding(&self, dead: &str) -> impl Iterator<Item = &Queue> {
        let to = move |queue: &&Queue| queue.redrive.as_ref().is_some_and(|(arn, _)| arn == dead);
        self.queues.values().filter(to)
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
        *queue = Queue {
            arn: arn.clone(),
            visibility,
            retention: RETENTION,
            message_max: MESSAGE_MAX,
            redrive,
            dates: (world.now, world.now),
            ..Queue::default()
        };
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

/// Puts a message into a queue, and wakes whoever polls it. Gives the message's id.
///
/// # Errors
/// 400 where there is no such queue, or the message is too long for it.
pub fn send(world: &mut World, arn: &str, body: String) -> Answer<String> {
    post(world, arn, Draft { body, ..Draft::default() })
}

/// [`send`], for who has more to say than a text.
///
/// # Errors
/// Those of [`send`].
pub fn post(world: &mut World, arn: &str, draft: Draft) -> Answer<String> {
    let Draft { body, attributes, delay } = draft;
    let most = world.queues.get(arn).ok_or_else(|| missing(arn))?.message_max;
    if size(&body, &attributes) > most {
        let message = format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
        );
        return Err(Refusal::new(400, "InvalidParameterValue", message));
    }
    // What is refused must not use up chance: it is not done again from a journal.
    let (id, now) = (world.rng.uuid(), world.now);
    let queue = world.queues.get_mut(arn).ok_or_else(|| missing(arn))?;
    let sent = Message {
        id: id.clone(),
        body,
        sent: now,
        received: 0,
        first: None,
        attributes,
        aside: None,
    };
    match delay.unwrap_or(queue.delay) {
        0 => queue.waiting.push_back(sent),
        delay => drop(queue.hidden.insert((now + delay, id.clone()), sent)),
    }
    super::lambda::wake(world, name_of(arn).to_owned());
    Ok(id)
}

/// The bytes of a message: its text, and of its attributes names, types and values (SQS quotas).
pub fn size(body: &str, attributes: &Map<String, Value>) -> u64 {
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let of = |(name, value): (&String, &Value)| {
        name.len() + value.as_object().map_or(0, |fields| fields.values().map(text).sum())
    };
    (body.len() + attributes.iter().map(of).sum::<usize>()) as u64
}

/// Moves all messages of a dead-letter queue, each to where it came from, or all of them to `destination`.
/// Those that are being worked on stay, and those whose queue has gone.
///
/// # Errors
/// 404 where one of the queues is not there; 400 where the first is nobody's dead-letter queue.
pub fn move_all(world: &mut World, source: &str, destination: Option<&str>) -> Answer<()> {
    let gone = |arn: &str| {
        let message = format!("The resource that you specified for the queue {arn} doesn't exist.");
        Refusal::new(404, "ResourceNotFoundException", message)
    };
    for arn in [Some(source), destination].into_iter().flatten() {
        world.queues.get(arn).filter(|queue| queue.arn == arn).ok_or_else(|| gone(arn))?;
    }
    if destination == Some(source) {
        let message = "The source and the destination must be different queues.";
        return Err(Refusal::new(400, "InvalidParameterValue", message));
    }
    if world.queues.feeding(source).next().is_none() {
        let message = "Source queue must be configured as a Dead Letter Queue.";
        return Err(Refusal::new(400, "InvalidParameterValue", message));
    }
    let now = world.now;
    let queue = world.queues.get_mut(source).ok_or_else(|| gone(source))?;
    queue.show(now);
    let (mut moved, mut stay) = (0, VecDeque::new());
    for message in std::mem::take(&mut queue.waiting) {
        let id = world.rng.uuid();
        let to = destination.map(str::to_owned).or_else(|| message.aside.clone());
        let there = to.and_then(|to| world.queues.get_mut(&to).map(|queue| (to, queue)));
        let Some((to, queue)) = there else {
            stay.push_back(message);
            continue;
        };
        // As if it were sent anew (SQS Developer Guide: configure a dead-letter queue redrive).
        let fresh = Message { id, sent: now, received: 0, first: None, aside: None, ..message };
        queue.waiting.push_back(fresh);
        moved += 1;
        super::lambda::wake(world, name_of(&to).to_owned());
    }
    if let Some(queue) = world.queues.get_mut(source) {
        queue.waiting = stay;
    }
    let (source, destination) = (source.to_owned(), destination.map(str::to_owned));
    world.queues.moves.push(Move { source, destination, moved, at: now });
    Ok(())
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
        let (dead, aside) = (queue.dead(&message), Some(queue.arn.clone()));
        // A dead-letter queue that is gone takes nothing: the message stays.
        if let Some(dead) = dead.as_deref().and_then(|arn| world.queues.get_mut(arn)) {
            // Under the id and the date that it has (SQS Developer Guide: dead-letter queues).
            dead.waiting.push_back(Message { received: 0, first: None, aside, ..message });
            let name = name_of(&dead.arn).to_owned();
            super::lambda::wake(world, name);
            continue;
        }
        message.first.get_or_insert(now);
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

/// What is said of a queue that is not there.
pub fn missing(arn: &str) -> Refusal {
    let message = format!("The specified queue does not exist: {}", name_of(arn));
    Refusal::new(400, "AWS.SimpleQueueService.NonExistentQueue", message)
}

impl Queue {
    /// Messages that wait, and those that are hidden, or were when somebody asked for messages last.
    pub fn depth(&self) -> (usize, usize) {
        (self.waiting.len(), self.hidden.len())
    }

    /// Messages that may be handed out at `now`, those that do not show yet and were never handed out, and those
    /// that are being worked on.
    pub fn counts(&self, now: Millis) -> (usize, usize, usize) {
        let shown = self.hidden.range(..=(now, char::MAX.to_string())).count();
        let hidden = self.hidden.iter().skip(shown);
        let delayed = hidden.filter(|(_, message)| message.received == 0).count();
        (self.waiting.len() + shown, delayed, self.hidden.len() - shown - delayed)
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
