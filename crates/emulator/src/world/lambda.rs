//! Lambda, as far as it decides who is woken with what: event source mappings that poll a queue in
//! batches, and asynchronous invocations with retries. It runs no code: an [`Invocation`] is offered,
//! somebody outside takes it, runs the function, and says how it ended.
//!
//! A function may be declared with its role and environment ([`Function`]); a world that was told of none
//! takes every name for a function that somebody outside runs.

mod function;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use self::function::Function;
use super::agenda::Task;
use super::queue::{self, Message};
use super::{Answer, Millis, World};

/// Pauses before an asynchronous invocation that failed is tried again; then it is given up (Lambda
/// Developer Guide: invocation-async-error-handling).
const RETRIES: [Millis; 2] = [60_000, 120_000];
/// Between two attempts to read a queue that the function's role may not read any more.
const UNREADABLE: Millis = 60_000;
/// Bytes of bodies that a batch takes (Lambda Developer Guide: services-sqs).
const BATCH_BYTES: usize = 6 * 1024 * 1024;

/// Lets a function be woken by a queue.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The queue's ARN.
    pub queue: String,
    /// The function's name.
    pub function: String,
    /// Messages in a batch, at most.
    pub batch_size: usize,
    /// How long a batch is gathered for, in milliseconds.
    pub window: Millis,
    /// `ReportBatchItemFailures`: the answer names the messages that have to come again.
    pub report_failures: bool,
}

/// One call of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// Its id, which no other has.
    pub id: String,
    /// The function's name.
    pub function: String,
    /// What it is given.
    pub payload: Value,
    /// When it was offered.
    pub time: Millis,
    /// How often it was tried before.
    pub attempt: usize,
}

#[derive(Debug)]
struct Polled {
    mapping: Mapping,
    /// A poll is on the agenda, or a batch is being worked on.
    busy: bool,
}

/// Mappings, and invocations that wait for an answer.
#[derive(Debug, Default)]
pub struct Lambda {
    functions: BTreeMap<String, Function>,
    mappings: BTreeMap<String, Polled>,
    offered: VecDeque<Invocation>,
    /// With the queue that it is a batch of.
    running: BTreeMap<String, (Invocation, Option<String>)>,
    /// Of a batch: each message's id with its receipt. A message may be in a batch twice.
    origins: BTreeMap<String, Vec<(String, String)>>,
    /// Asynchronous invocations that failed for good.
    pub dropped: u64,
}

impl Lambda {
    /// A function that was declared.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    /// As [`Self::function`], to change what it is given.
    pub fn function_mut(&mut self, name: &str) -> Option<&mut Function> {
        self.functions.get_mut(name)
    }

    /// The functions that were declared, in order of name.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.values()
    }

    /// The mappings, in order of queue.
    pub fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.values().map(|polled| &polled.mapping)
    }

    /// Whether nothing is offered and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.offered.is_empty() && self.running.is_empty()
    }
}

/// Lets a function be woken by a queue; the mapping's id is the queue's name.
///
/// # Errors
/// 400 `InvalidParameterValueException` when the function's role may not read the queue.
pub fn map(world: &mut World, mapping: Mapping) -> Answer<()> {
    function::check_reader(world, &mapping)?;
    let queue = queue::name_of(&mapping.queue).to_owned();
    let busy = world.lambda.mappings.get(&queue).is_some_and(|polled| polled.busy);
    world.lambda.mappings.insert(queue.clone(), Polled { mapping, busy });
    wake(world, queue);
    Ok(())
}

/// Lets the queue wake nobody any more.
pub fn unmap(world: &mut World, queue: &str) {
    world.lambda.mappings.remove(queue::name_of(queue));
}

/// Declares a function, or changes it.
pub fn put(world: &mut World, function: Function) {
    world.lambda.functions.insert(function.name.clone(), function);
}

/// Forgets a function.
pub fn delete(world: &mut World, name: &str) {
    world.lambda.functions.remove(name);
}

/// Whether there is such a function, as far as the world was told.
pub fn is_there(world: &World, name: &str) -> bool {
    world.lambda.functions.is_empty() || world.lambda.functions.contains_key(name)
}

/// The name of a function, from its ARN or itself.
pub fn function_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// Calls a function without waiting for its answer.
pub fn invoke(world: &mut World, function: &str, payload: Value) {
    let id = world.rng.uuid();
    let function = function.to_owned();
    offer(world, Invocation { id, function, payload, time: world.now, attempt: 0 });
}

/// A message came: its queue is polled when the batching window is over.
pub(crate) fn wake(world: &mut World, queue: String) {
    let Some(polled) = world.lambda.mappings.get_mut(&queue) else {
        return;
    };
    if !std::mem::replace(&mut polled.busy, true) {
        let window = polled.mapping.window;
        world.later(window, Task::Poll(queue));
    }
}

/// Takes a batch from a queue and offers it.
pub fn poll(world: &mut World, queue: &str) {
    let Some(polled) = world.lambda.mappings.get(queue) else {
        return;
    };
    let mapping = polled.mapping.clone();
    if function::check_reader(world, &mapping).is_err() {
        world.later(UNREADABLE, Task::Poll(queue.to_owned()));
        return;
    }
    let mut records = Vec::new();
    let mut receipts = Vec::new();
    let mut bytes = 0;
    while receipts.len() < mapping.batch_size && bytes < BATCH_BYTES {
        let Ok(mut handed) = queue::receive(world, &mapping.queue, 1, None) else {
            break;
        };
        let Some((message, receipt)) = handed.pop() else {
            break;
        };
        bytes += message.body.len();
        records.push(record(world, &mapping.queue, &message, &receipt));
        receipts.push((message.id, receipt));
    }
    if records.is_empty() {
        settle(world, queue);
        return;
    }
    let id = world.rng.uuid();
    world.lambda.origins.insert(id.clone(), receipts);
    let payload = json!({ "Records": records });
    let function = mapping.function;
    offer(world, Invocation { id, function, payload, time: world.now, attempt: 0 });
}

/// A batch is done with: polls again when something is there to be taken.
fn settle(world: &mut World, queue: &str) {
    let now = world.now;
    let due = world.queues.get(queue).and_then(|queue| queue.next_visible(now));
    let Some(polled) = world.lambda.mappings.get_mut(queue) else {
        return;
    };
    polled.busy = due.is_some();
    let window = polled.mapping.window;
    if let Some(due) = due {
        let wait = if due > now { due - now } else { window };
        world.later(wait, Task::Poll(queue.to_owned()));
    }
}

fn record(world: &World, arn: &str, message: &Message, receipt: &str) -> Value {
    json!({
        "messageId": message.id,
        "receiptHandle": receipt,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": message.received.to_string(),
            "SentTimestamp": message.sent.to_string(),
            "SenderId": "AIDAISMY3EXAMPLE",
            "ApproximateFirstReceiveTimestamp": message.first.unwrap_or(world.now).to_string(),
        },
        "messageAttributes": attributes(message),
        "md5OfBody": md5(&message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": world.config.region,
    })
}

/// The attributes of a message, with the names that functions know (Lambda Developer Guide: example SQS event).
fn attributes(message: &Message) -> Map<String, Value> {
    const NAMES: [(&str, &str); 3] =
        [("StringValue", "stringValue"), ("BinaryValue", "binaryValue"), ("DataType", "dataType")];
    let one = |(name, given): (&String, &Value)| {
        let fields = NAMES.iter().filter_map(|(theirs, ours)| {
            given.get(*theirs).map(|value| ((*ours).to_owned(), value.clone()))
        });
        (name.clone(), Value::Object(fields.collect()))
    };
    message.attributes.iter().map(one).collect()
}

/// MD5 in hex, as SQS gives it for a body.
pub(crate) fn md5(text: &str) -> String {
    use md5::Digest;
    hex::encode(md5::Md5::digest(text.as_bytes()))
}

/// Offers an invocation to whoever runs the functions.
pub fn offer(world: &mut World, mut invocation: Invocation) {
    invocation.time = world.now;
    world.audit.call(|| format!("Lambda {}", invocation.function));
    world.lambda.offered.push_back(invocation);
}

impl World {
    /// Takes the next invocation that is offered; it runs until [`World::finish_invocation`].
    pub fn take_invocation(&mut self) -> Option<Invocation> {
        let invocation = self.lambda.offered.pop_front()?;
        function::logs(self, &invocation.function);
        let queue = self.queue_of(&invocation);
        let running = (invocation.clone(), queue);
        self.lambda.running.insert(invocation.id.clone(), running);
        Some(invocation)
    }

    fn queue_of(&self, invocation: &Invocation) -> Option<String> {
        self.lambda.origins.get(&invocation.id)?;
        let arn = invocation.payload.pointer("/Records/0/eventSourceARN")?.as_str()?;
        Some(queue::name_of(arn).to_owned())
    }

    /// Says how an invocation ended: with an answer, or with an error.
    pub fn finish_invocation(&mut self, id: &str, answer: Result<Value, String>) {
        let Some((invocation, queue)) = self.lambda.running.remove(id) else {
            return;
        };
        let receipts = self.lambda.origins.remove(id);
        match receipts.zip(queue) {
            Some((receipts, queue)) => {
                finish_batch(self, &queue, &receipts, answer);
                settle(self, &queue);
            }
            None => finish_async(self, invocation, answer),
        }
    }
}

fn finish_async(world: &mut World, mut invocation: Invocation, answer: Result<Value, String>) {
    let Err(why) = answer else { return };
    let function = world.lambda.functions.get(&invocation.function);
    let retries = function.map_or(RETRIES.len(), |function| function.retries);
    match RETRIES.get(invocation.attempt).filter(|_| invocation.attempt < retries) {
        Some(pause) => {
            invocation.attempt += 1;
            world.later(*pause, Task::Invoke(invocation));
        }
        None => {
            world.lambda.dropped += 1;
            function::give_up(world, &invocation, &why);
        }
    }
}

/// Deletes what the function has done with. What it has not comes again when it shows again; an answer
/// that names an unknown message means all of them (Lambda Developer Guide: services-sqs-errorhandling).
fn finish_batch(
    world: &mut World,
    queue: &str,
    receipts: &[(String, String)],
    answer: Result<Value, String>,
) {
    let Ok(answer) = answer else { return };
    let reports = world.lambda.mappings.get(queue).is_some_and(|p| p.mapping.report_failures);
    let named = answer.get("batchItemFailures").and_then(Value::as_array).cloned();
    let named = if reports { named.unwrap_or_default() } else { Vec::new() };
    let known: BTreeSet<&str> = receipts.iter().map(|(id, _)| id.as_str()).collect();
    let failed: Option<BTreeSet<&str>> = named
        .iter()
        .map(|item| item.get("itemIdentifier").and_then(Value::as_str))
        .map(|id| id.filter(|id| known.contains(id)))
        .collect();
    let Some(failed) = failed else { return };
    for (id, receipt) in receipts {
        if !failed.contains(id.as_str()) {
            // The queue may have been deleted meanwhile, and the message with it.
            let _ = queue::remove(world, queue, receipt);
        }
    }
}

/// RFC 3339 in UTC, to the second, as event envelopes have it.
pub(crate) fn rfc3339(at: Millis) -> String {
    let seconds = i64::try_from(at / 1_000).unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp(seconds);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}
