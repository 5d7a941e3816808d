//! SQS's wire: AWS JSON 1.0, the operation in `X-Amz-Target`, and the query protocol of older clients. Standard
//! queues only.

mod attributes;
pub(super) mod form;
mod messages;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value, json};

use self::attributes::Settings;
use super::json::{Call, answer, refuse, text, texts};
use super::operation;
use super::query::Form;
use crate::world::World;
use crate::world::bucket::Policy;
use crate::world::queue::{self, Queue, name_of};
use crate::world::refusal::{Answer, Refusal};

/// Milliseconds that a message stays hidden unless its queue says otherwise.
const VISIBILITY: u64 = 30_000;
/// Queues that one call tells of.
const PAGE_MAX: usize = 1_000;
/// Tags that a queue may have.
const TAGS_MAX: usize = 50;
/// Moves that are told of (SQS API Reference: ListMessageMoveTasks).
const MOVES_MAX: usize = 10;

/// Marks an answer without a message, which a client may wait a while longer for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Empty {
    /// Nor did a message go elsewhere.
    pub(super) untouched: bool,
}

/// A call in either protocol, as the JSON protocol would have it; true where it came as a form.
fn read(request: &Request<Bytes>) -> Answer<(Call, bool)> {
    if request.headers().contains_key("x-amz-target") {
        return Call::read(request, "AmazonSQS.").map(|call| (call, false));
    }
    let unknown = || Refusal::new(400, "InvalidAction", "The request names no Action.");
    let form = Form::of(request).ok_or_else(unknown)?;
    let input = form::input(&form, request.uri().path());
    Ok((Call { operation: form.action().to_owned(), input }, true))
}

/// Whether a request may be one that waits for a message: told without reading it.
pub(super) fn may_poll(request: &Request<Bytes>) -> bool {
    match request.headers().get("x-amz-target") {
        Some(target) => target.as_bytes() == b"AmazonSQS.ReceiveMessage",
        None => operation::may_be_form(request),
    }
}

/// How long a `ReceiveMessage` may be kept waiting for a message, and on which queue.
pub(super) fn wait(world: &World, request: &Request<Bytes>) -> Option<(Duration, String)> {
    let (call, _) = read(request).ok().filter(|(call, _)| call.operation == "ReceiveMessage")?;
    let wait = Duration::from_millis(attributes::wait(world, &call.input));
    (!wait.is_zero()).then(|| (wait, text(&call.input, "QueueUrl").to_owned()))
}

/// The name of the queue that a request is about.
pub(super) fn queue_of(request: &Request<Bytes>) -> Option<String> {
    let (call, _) = read(request).ok()?;
    let names = ["QueueUrl", "QueueName", "SourceArn"];
    let named = names.into_iter().map(|name| text(&call.input, name)).find(|it| !it.is_empty());
    named.map(|queue| name_of(queue).to_owned())
}

/// Answers one request.
pub(super) fn handle(world: &mut World, request: &Request<Bytes>) -> Response<Bytes> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    let base = format!("http://{}/{}", host.unwrap_or("localhost"), world.config.account);
    let (call, is_form) = match read(request) {
        Ok(read) => read,
        Err(refusal) => return refuse(&refusal, "1.0"),
    };
    let url = text(&call.input, "QueueUrl");
    let before = world.queues.get(url).map(Queue::depth);
    let done = run(world, &call.operation, &call.input, &base);
    let untouched = world.queues.get(url).map(Queue::depth) == before;
    let empty =
        call.operation == "ReceiveMessage" && done.as_ref().is_ok_and(|it| *it == json!({}));
    let mut response = match (&done, is_form) {
        (Ok(output), false) => answer(output, "1.0"),
        (Err(refusal), false) => refuse(refusal, "1.0"),
        (Ok(output), true) => form::answer(&call.operation, output),
        (Err(refusal), true) => form::refused(refusal),
    };
    if empty {
        response.extensions_mut().insert(Empty { untouched });
    }
    response
}

fn run(world: &mut World, operation: &str, input: &Value, base: &str) -> Answer<Value> {
    let url = text(input, "QueueUrl");
    match operation {
        "CreateQueue" => create(world, input, base),
        "GetQueueUrl" => {
            let name = text(input, "QueueName");
            found(world, name)?;
            Ok(json!({ "QueueUrl": format!("{base}/{name}") }))
        }
        "ListQueues" => list(world, input, base),
        "GetQueueAttributes" => {
            let told = attributes::told(found(world, url)?, input, world.now())?;
            Ok(if told.is_empty() { json!({}) } else { json!({ "Attributes": told }) })
        }
        "SetQueueAttributes" => {
            found(world, url)?;
            let settings = Settings::read(input, name_of(url))?;
            let redrive = settings.redrive.as_ref().and_then(Option::as_ref);
            queue::check_redrive(world, name_of(url), redrive)?;
            let now = world.now();
            settings.apply(found_mut(world, url)?, now);
            Ok(json!({}))
        }
        "DeleteQueue" => queue::delete(world, url).map(|()| json!({})),
        "PurgeQueue" => queue::purge(world, url).map(|()| json!({})),
        "TagQueue" => {
            let tags = tags(input.get("Tags"));
            let kept = &mut found_mut(world, url)?.tags;
            let more = tags.keys().filter(|name| !kept.contains_key(*name)).count();
            if kept.len() + more > TAGS_MAX {
                let message = format!("Too many tags added for queue {}.", name_of(url));
                return Err(Refusal::new(400, "InvalidParameterValue", message));
            }
            kept.extend(tags);
            Ok(json!({}))
        }
        "UntagQueue" => {
            let names = texts(input, "TagKeys");
            found_mut(world, url)?.tags.retain(|name, _| !names.contains(&name.as_str()));
            Ok(json!({}))
        }
        "ListQueueTags" => {
            let tags = &found(world, url)?.tags;
            Ok(if tags.is_empty() { json!({}) } else { json!({ "Tags": tags }) })
        }
        "ListDeadLetterSourceQueues" => {
            let feeding = world.queues.feeding(&found(world, url)?.arn);
            let urls = feeding.map(|queue| format!("{base}/{}", name_of(&queue.arn)));
            Ok(json!({ "queueUrls": urls.collect::<Vec<_>>() }))
        }
        "StartMessageMoveTask" => {
            let destination = text(input, "DestinationArn");
            let destination = Some(destination).filter(|arn| !arn.is_empty());
            queue::move_all(world, text(input, "SourceArn"), destination)?;
            Ok(json!({ "TaskHandle": handle_of(world.queues.moves.len()) }))
        }
        "ListMessageMoveTasks" => moves(world, input),
        "CancelMessageMoveTask" => {
            // What moves, moves at once: none is ever found running.
            let message = "The task is not running, or does not exist.";
            Err(Refusal::new(404, "ResourceNotFoundException", message))
        }
        _ => messages(world, operation, url, input),
    }
}

fn messages(world: &mut World, operation: &str, url: &str, input: &Value) -> Answer<Value> {
    match operation {
        "SendMessage" => messages::send(world, url, input),
        "SendMessageBatch" => messages::batch(world, url, input, messages::send),
        "ReceiveMessage" => messages::receive(world, url, input),
        "DeleteMessage" => messages::delete(world, url, input),
        "DeleteMessageBatch" => messages::batch(world, url, input, messages::delete),
        "ChangeMessageVisibility" => messages::change(world, url, input),
        "ChangeMessageVisibilityBatch" => messages::batch(world, url, input, messages::change),
        other => Err(Refusal::new(501, "NotImplemented", format!("{other} is not emulated"))),
    }
}

fn found<'a>(world: &'a World, url: &str) -> Answer<&'a Queue> {
    world.queues.get(url).ok_or_else(|| queue::missing(url))
}

fn found_mut<'a>(world: &'a mut World, url: &str) -> Answer<&'a mut Queue> {
    world.queues.get_mut(url).ok_or_else(|| queue::missing(url))
}

fn tags(given: Option<&Value>) -> std::collections::BTreeMap<String, String> {
    let pairs = given.and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// A queue that is there already is found again, if nothing is said of it that is not so.
fn create(world: &mut World, input: &Value, base: &str) -> Answer<Value> {
    let name = text(input, "QueueName");
    let settings = Settings::read(input, name)?;
    if let Some(queue) = world.queues.get(name) {
        if let Some(attribute) = settings.differs(queue) {
            let message = format!(
                "A queue already exists with the same name and a different value for attribute {attribute}"
            );
            return Err(Refusal::new(400, "QueueAlreadyExists", message));
        }
        return Ok(json!({ "QueueUrl": format!("{base}/{name}") }));
    }
    let visibility = settings.visibility.unwrap_or(VISIBILITY);
    queue::create(world, name, visibility, settings.redrive.clone().flatten())?;
    let now = world.now();
    let queue = found_mut(world, name)?;
    settings.apply(queue, now);
    // A queue that a client makes lets nobody in but its account.
    queue.policy = Some(queue.policy.take().unwrap_or_else(Policy::default));
    queue.tags = tags(input.get("tags").or_else(|| input.get("Tags")));
    Ok(json!({ "QueueUrl": format!("{base}/{name}") }))
}

/// Queues in order of name; a page ends with the name of its last, where there are more.
fn list(world: &World, input: &Value, base: &str) -> Answer<Value> {
    let most = attributes::within(input, "MaxResults", 1..=PAGE_MAX as u64)?;
    let (prefix, after) = (text(input, "QueueNamePrefix"), text(input, "NextToken"));
    let behind = |name: &&str| name.starts_with(prefix) && (after.is_empty() || *name > after);
    let names: Vec<&str> = world.queues.names().filter(behind).collect();
    let page = names.get(..most.map_or(PAGE_MAX, |most| most as usize)).unwrap_or(&names);
    let mut told = Map::new();
    if !page.is_empty() {
        let urls: Vec<String> = page.iter().map(|name| format!("{base}/{name}")).collect();
        told.insert("QueueUrls".to_owned(), urls.into());
    }
    // Only who asks for pages is told that there is another (SQS API Reference: ListQueues).
    if let (Some(_), true, Some(last)) = (most, page.len() < names.len(), page.last()) {
        told.insert("NextToken".to_owned(), (*last).into());
    }
    Ok(told.into())
}

/// The handle of the move of this number.
fn handle_of(number: usize) -> String {
    format!("move-{number}")
}

/// The latest moves out of a queue, each of which was over as soon as it began.
fn moves(world: &World, input: &Value) -> Answer<Value> {
    let most = attributes::within(input, "MaxResults", 1..=MOVES_MAX as u64)?.unwrap_or(1) as usize;
    let source = text(input, "SourceArn");
    let all = world.queues.moves.iter().rev();
    let told = all.filter(|one| one.source == source).take(most).map(|one| {
        let mut told = Map::new();
        let mut set = |name: &str, value: Value| told.insert(name.to_owned(), value);
        set("Status", "COMPLETED".into());
        set("SourceArn", one.source.clone().into());
        if let Some(arn) = &one.destination {
            set("DestinationArn", arn.clone().into());
        }
        set("ApproximateNumberOfMessagesMoved", one.moved.into());
        set("ApproximateNumberOfMessagesToMove", one.moved.into());
        set("StartedTimestamp", one.at.into());
        Value::Object(told)
    });
    Ok(json!({ "Results": told.collect::<Vec<_>>() }))
}
