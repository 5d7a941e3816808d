//! SQS's wire: AWS JSON 1.0, the operation in `X-Amz-Target`. Standard queues only.

use std::ops::RangeInclusive;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::json::{Call, answer, number, refuse, text};
use crate::world::World;
use crate::world::bucket::Policy;
use crate::world::lambda::md5;
use crate::world::policy;
use crate::world::queue::{self, name_of};
use crate::world::refusal::{Answer, Refusal};

/// Messages that one batch call takes.
const BATCH_MAX: usize = 10;
/// Milliseconds that a message stays hidden unless its queue says otherwise.
const VISIBILITY: u64 = 30_000;

/// The longest that a message may be hidden, in seconds.
const VISIBILITY_MAX_S: u64 = 12 * 60 * 60;

/// The longest that a message may be delayed, in seconds.
const DELAY_MAX_S: u64 = 15 * 60;
/// The longest that a client may be kept waiting, in seconds (SQS Developer Guide: long polling).
const WAIT_MAX_S: u64 = 20;
/// The answer to a client whose queue is empty.
pub(super) const NOTHING: &str = "{}";

/// How long a `ReceiveMessage` may be kept waiting for a message.
pub(super) fn wait(request: &http::Request<Bytes>) -> std::time::Duration {
    let polls = request.headers().get("x-amz-target");
    if polls.is_none_or(|target| target.as_bytes() != b"AmazonSQS.ReceiveMessage") {
        return std::time::Duration::ZERO;
    }
    let call = Call::read(request, "AmazonSQS.").ok();
    let seconds = call.and_then(|call| number(&call.input, "WaitTimeSeconds")).unwrap_or_default();
    std::time::Duration::from_secs(seconds.min(WAIT_MAX_S))
}

/// The URL of the queue that a request is about.
pub(super) fn queue_of(request: &http::Request<Bytes>) -> String {
    let call = Call::read(request, "AmazonSQS.").ok();
    call.map_or_else(String::new, |call| text(&call.input, "QueueUrl").to_owned())
}

/// Answers one request.
pub fn handle(world: &mut World, request: &http::Request<Bytes>) -> http::Response<Bytes> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    let base = format!("http://{}/{}", host.unwrap_or("localhost"), world.config.account);
    let call = match Call::read(request, "AmazonSQS.") {
        Ok(call) => call,
        Err(refusal) => return refuse(&refusal, "1.0"),
    };
    match run(world, &call.operation, &call.input, &base) {
        Ok(output) => answer(&output, "1.0"),
        Err(refusal) => refuse(&refusal, "1.0"),
    }
}

fn run(world: &mut World, operation: &str, input: &Value, base: &str) -> Answer<Value> {
    let url = text(input, "QueueUrl");
    match operation {
        "CreateQueue" => create(world, input, base),
        "GetQueueUrl" => {
            let name = text(input, "QueueName");
            exists(world, name)?;
            Ok(json!({ "QueueUrl": format!("{base}/{name}") }))
        }
        "ListQueues" => {
            let prefix = text(input, "QueueNamePrefix");
            let names = world.queues.names().filter(|name| name.starts_with(prefix));
            let urls: Vec<String> = names.map(|name| format!("{base}/{name}")).collect();
            Ok(json!({ "QueueUrls": urls }))
        }
        "GetQueueAttributes" => attributes(world, url),
        "SetQueueAttributes" => set_attributes(world, url, input),
        "DeleteQueue" => queue::delete(world, url).map(|()| json!({})),
        "PurgeQueue" => queue::purge(world, url).map(|()| json!({})),
        "SendMessage" => send(world, url, input),
        "SendMessageBatch" => batch(world, input, |world, entry| send(world, url, entry)),
        "ReceiveMessage" => receive(world, url, input),
        "DeleteMessage" => delete(world, url, input),
        "DeleteMessageBatch" => batch(world, input, |world, entry| delete(world, url, entry)),
        "ChangeMessageVisibility" => change(world, url, input),
        "ChangeMessageVisibilityBatch" => {
            batch(world, input, |world, entry| change(world, url, entry))
        }
        other => Err(Refusal::new(501, "NotImplemented", format!("{other} is not emulated"))),
    }
}

fn exists(world: &World, url: &str) -> Answer<()> {
    match world.queues.get(url) {
        Some(_) => Ok(()),
        None => {
            let message = format!("The specified queue does not exist: {}", name_of(url));
            Err(Refusal::new(400, "AWS.SimpleQueueService.NonExistentQueue", message))
        }
    }
}

fn create(world: &mut World, input: &Value, base: &str) -> Answer<Value> {
    let name = text(input, "QueueName");
    let none = Value::Null;
    let attributes = input.get("Attributes").unwrap_or(&none);
    let visibility = visibility(attributes)?.unwrap_or(VISIBILITY);
    let policy = policy(attributes, name)?;
    let is_new = world.queues.get(name).is_none();
    queue::create(world, name, visibility, redrive(attributes)?)?;
    if let Some(queue) = world.queues.get_mut(name).filter(|_| is_new) {
        // A queue that a client makes lets nobody in but its account.
        queue.policy = Some(policy.unwrap_or_default());
    }
    Ok(json!({ "QueueUrl": format!("{base}/{name}") }))
}

/// `VisibilityTimeout`, in milliseconds (SQS Developer Guide: quotas, 0 seconds to 12 hours).
fn visibility(input: &Value) -> Answer<Option<u64>> {
    let seconds = within(input, "VisibilityTimeout", 0..=VISIBILITY_MAX_S)?;
    Ok(seconds.map(|seconds| seconds * 1_000))
}

/// A whole number that may be left out, and is within its range otherwise.
fn within(input: &Value, name: &str, range: RangeInclusive<u64>) -> Answer<Option<u64>> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => match number(input, name).filter(|it| range.contains(it)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (least, most) = range.into_inner();
                let message = format!("{name} must be a number from {least} to {most}");
                Err(Refusal::new(400, "InvalidParameterValue", message))
            }
        },
    }
}

/// `Policy`; an empty one is none.
fn policy(attributes: &Value, queue: &str) -> Answer<Option<Policy>> {
    match attributes.get("Policy").and_then(Value::as_str) {
        None => Ok(None),
        Some("") => Ok(Some(Policy::default())),
        Some(text) => {
            let wrong =
                |refusal: Refusal| Refusal::new(400, "InvalidAttributeValue", refusal.message);
            let statements = policy::parse(text, queue).map_err(wrong)?;
            Ok(Some(Policy { text: text.to_owned(), statements }))
        }
    }
}

fn redrive(attributes: &Value) -> Answer<Option<(String, u32)>> {
    let policy = text(attributes, "RedrivePolicy");
    if policy.is_empty() {
        return Ok(None);
    }
    let refuse = || {
        let message = "RedrivePolicy must name deadLetterTargetArn and maxReceiveCount";
        Refusal::new(400, "InvalidAttributeValue", message)
    };
    let policy: Value = serde_json::from_str(policy).map_err(|_| refuse())?;
    let most = number(&policy, "maxReceiveCount").and_then(|most| u32::try_from(most).ok());
    let arn = text(&policy, "deadLetterTargetArn").to_owned();
    if arn.is_empty() { Err(refuse()) } else { Ok(Some((arn, most.ok_or_else(refuse)?))) }
}

fn attributes(world: &World, url: &str) -> Answer<Value> {
    exists(world, url)?;
    let Some(queue) = world.queues.get(url) else {
        return Ok(json!({}));
    };
    let (waiting, hidden) = queue.depth();
    let mut all = Map::new();
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), Value::String(value));
    set("QueueArn", queue.arn.clone());
    set("ApproximateNumberOfMessages", waiting.to_string());
    set("ApproximateNumberOfMessagesNotVisible", hidden.to_string());
    set("VisibilityTimeout", (queue.visibility / 1_000).to_string());
    if let Some((arn, most)) = &queue.redrive {
        let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": most});
        set("RedrivePolicy", policy.to_string());
    }
    if let Some(policy) = queue.policy.as_ref().filter(|policy| !policy.text.is_empty()) {
        set("Policy", policy.text.clone());
    }
    Ok(json!({ "Attributes": all }))
}

fn set_attributes(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    exists(world, url)?;
    let none = Value::Null;
    let attributes = input.get("Attributes").unwrap_or(&none);
    let (redrive, visibility) = (redrive(attributes)?, visibility(attributes)?);
    let policy = policy(attributes, name_of(url))?;
    queue::check_redrive(world, name_of(url), redrive.as_ref())?;
    if let Some(queue) = world.queues.get_mut(url) {
        queue.visibility = visibility.unwrap_or(queue.visibility);
        queue.redrive = redrive.or(queue.redrive.take());
        queue.policy = policy.or(queue.policy.take());
    }
    Ok(json!({}))
}

fn send(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    let body = text(input, "MessageBody").to_owned();
    if body.is_empty() {
        return Err(Refusal::new(
            400,
            "MissingParameter",
            "The request must contain the parameter MessageBody.",
        ));
    }
    if body.chars().any(|it| {
        (it < ' ' && !matches!(it, '\t' | '\n' | '\r')) || it > '\u{fffd}' && it < '\u{10000}'
    }) {
        let message = "The message contains characters outside the allowed set.";
        return Err(Refusal::new(400, "InvalidMessageContents", message));
    }
    let delay = within(input, "DelaySeconds", 0..=DELAY_MAX_S)?.unwrap_or_default();
    let hash = md5(&body);
    let id = queue::send_later(world, url, body, delay * 1_000)?;
    Ok(json!({"MessageId": id, "MD5OfMessageBody": hash}))
}

fn receive(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    within(input, "WaitTimeSeconds", 0..=WAIT_MAX_S)?;
    let most = within(input, "MaxNumberOfMessages", 1..=BATCH_MAX as u64)?.unwrap_or(1) as usize;
    let handed = queue::receive(world, url, most, visibility(input)?)?;
    let messages: Vec<Value> = handed
        .into_iter()
        .map(|(message, receipt)| {
            json!({
                "MessageId": message.id,
                "ReceiptHandle": receipt,
                "MD5OfBody": md5(&message.body),
                "Body": message.body,
                "Attributes": {
                    "ApproximateReceiveCount": message.received.to_string(),
                    "SentTimestamp": message.sent.to_string(),
                },
            })
        })
        .collect();
    Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
}

fn delete(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    queue::remove(world, url, text(input, "ReceiptHandle")).map(|()| json!({}))
}

fn change(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    let visibility = visibility(input)?.unwrap_or_default();
    queue::change_visibility(world, url, text(input, "ReceiptHandle"), visibility)?;
    Ok(json!({}))
}

/// Each entry by itself: one that fails does not keep the others from being done.
fn batch(
    world: &mut World,
    input: &Value,
    each: impl Fn(&mut World, &Value) -> Answer<Value>,
) -> Answer<Value> {
    let entries = input.get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
    if entries.is_empty() || entries.len() > BATCH_MAX {
        let code = if entries.is_empty() {
            "AWS.SimpleQueueService.EmptyBatchRequest"
        } else {
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
        };
        return Err(Refusal::new(400, code, format!("a batch has 1 to {BATCH_MAX} entries")));
    }
    let mut ids: Vec<&str> = entries.iter().map(|entry| text(entry, "Id")).collect();
    ids.sort_unstable();
    if ids.iter().any(|id| id.is_empty()) || ids.windows(2).any(|pair| pair.first() == pair.last())
    {
        let code = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
        return Err(Refusal::new(400, code, "Each entry needs an Id of its own"));
    }
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for entry in &entries {
        let id = text(entry, "Id");
        match each(world, entry) {
            Ok(Value::Object(mut output)) => {
                output.insert("Id".to_owned(), json!(id));
                done.push(Value::Object(output));
            }
            Ok(_) => done.push(json!({ "Id": id })),
            Err(refusal) => failed.push(json!({
                "Id": id, "Code": refusal.code, "Message": refusal.message, "SenderFault": true,
            })),
        }
    }
    Ok(json!({"Successful": done, "Failed": failed}))
}
