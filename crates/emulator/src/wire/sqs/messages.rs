//! Messages: sent, received, deleted, hidden; alone and in batches.

use aws_smithy_types::base64;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::attributes::{DELAY_MAX_S, VISIBILITY_MAX_S, WAIT_MAX_S, within};
use crate::wire::json::{text, texts};
use crate::world::lambda::md5;
use crate::world::queue::{self, Draft, Message};
use crate::world::refusal::{Answer, Refusal};
use crate::world::{Millis, World};

/// Messages that one call sends, receives or deletes.
const BATCH_MAX: usize = 10;
/// Bytes that the messages of one batch may have together (SQS Developer Guide: quotas).
const BATCH_BYTES_MAX: u64 = 1_048_576;
/// Attributes that a message may have.
const ATTRIBUTES_MAX: usize = 10;

pub(super) fn send(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    let body = text(input, "MessageBody").to_owned();
    if body.is_empty() {
        let message = "The request must contain the parameter MessageBody.";
        return Err(Refusal::new(400, "MissingParameter", message));
    }
    check_text(&body)?;
    let attributes = attributes(input)?;
    let delay = within(input, "DelaySeconds", 0..=DELAY_MAX_S)?.map(|seconds| seconds * 1_000);
    let mut answer = json!({ "MD5OfMessageBody": md5(&body) });
    if let (Some(hash), Some(answer)) = (md5_of(&attributes), answer.as_object_mut()) {
        answer.insert("MD5OfMessageAttributes".to_owned(), hash.into());
    }
    let id = queue::post(world, url, Draft { body, attributes, delay })?;
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("MessageId".to_owned(), id.into());
    }
    Ok(answer)
}

fn check_text(body: &str) -> Answer<()> {
    let odd = |it: char| {
        (it < ' ' && !matches!(it, '\t' | '\n' | '\r')) || it > '\u{fffd}' && it < '\u{10000}'
    };
    if !body.contains(odd) {
        return Ok(());
    }
    let message = "The message contains characters outside the allowed set.";
    Err(Refusal::new(400, "InvalidMessageContents", message))
}

/// `MessageAttributes` (SQS Developer Guide: message metadata).
fn attributes(input: &Value) -> Answer<Map<String, Value>> {
    let wrong = |message: String| Refusal::new(400, "InvalidParameterValue", message);
    let given = input.get("MessageAttributes").and_then(Value::as_object);
    let given = given.cloned().unwrap_or_default();
    if given.len() > ATTRIBUTES_MAX {
        let count = given.len();
        let message = format!(
            "Number of message attributes [{count}] exceeds the allowed maximum [{ATTRIBUTES_MAX}]."
        );
        return Err(wrong(message));
    }
    for (name, attribute) in &given {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = (1..=256).contains(&name.len())
            && name.bytes().all(fits)
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..");
        if !is_name {
            return Err(wrong(format!("Invalid message attribute name '{name}'.")));
        }
        let kind = text(attribute, "DataType");
        let value = match kind.split('.').next().unwrap_or_default() {
            "String" | "Number" => text(attribute, "StringValue"),
            "Binary" => text(attribute, "BinaryValue"),
            _ => {
                let message = format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
                );
                return Err(wrong(message));
            }
        };
        if value.is_empty() {
            let message = format!(
                "The message attribute '{name}' must contain a non-empty value of its type '{kind}'."
            );
            return Err(wrong(message));
        }
        check_text(value)?;
        let number = || value.parse::<f64>().is_ok_and(f64::is_finite);
        if kind.starts_with("Number") && !number() {
            let message =
                format!("Can't cast the value of message (user) attribute '{name}' to a number.");
            return Err(wrong(message));
        }
    }
    Ok(given)
}

/// The MD5 over the attributes, which clients compare; `None` where there are none (SQS Developer Guide:
/// calculating the MD5 message digest for message attributes).
fn md5_of(attributes: &Map<String, Value>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by_key(|(name, _)| name.as_str());
    let mut hash = Md5::new();
    for (name, attribute) in sorted {
        let kind = text(attribute, "DataType");
        let is_binary = kind.starts_with("Binary");
        let value = match is_binary {
            true => base64::decode(text(attribute, "BinaryValue")).unwrap_or_default(),
            false => text(attribute, "StringValue").as_bytes().to_vec(),
        };
        counted(&mut hash, name.as_bytes());
        counted(&mut hash, kind.as_bytes());
        hash.update([if is_binary { 2 } else { 1 }]);
        counted(&mut hash, &value);
    }
    Some(hex::encode(hash.finalize()))
}

fn counted(hash: &mut Md5, bytes: &[u8]) {
    hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(bytes);
}

pub(super) fn receive(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    within(input, "WaitTimeSeconds", 0..=WAIT_MAX_S)?;
    let most = within(input, "MaxNumberOfMessages", 1..=BATCH_MAX as u64)?.unwrap_or(1) as usize;
    let handed = queue::receive(world, url, most, visibility(input)?)?;
    // Newer clients ask by the first name, older ones by the second.
    let mut asked = texts(input, "MessageSystemAttributeNames");
    asked.extend(texts(input, "AttributeNames"));
    let names = texts(input, "MessageAttributeNames");
    let account = &world.config.account;
    let told = |(message, receipt)| told(account, message, receipt, &asked, &names);
    let messages: Vec<Value> = handed.into_iter().map(told).collect();
    Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
}

/// A message as who receives it is told of it: of its attributes only what was asked for.
fn told(account: &str, message: Message, receipt: String, asked: &[&str], names: &[&str]) -> Value {
    let mut told = Map::new();
    told.insert("MessageId".to_owned(), message.id.into());
    told.insert("ReceiptHandle".to_owned(), receipt.into());
    told.insert("MD5OfBody".to_owned(), md5(&message.body).into());
    told.insert("Body".to_owned(), message.body.into());
    let system = [
        ("ApproximateFirstReceiveTimestamp", message.first.map(|at| at.to_string())),
        ("ApproximateReceiveCount", Some(message.received.to_string())),
        ("DeadLetterQueueSourceArn", message.aside),
        ("SenderId", Some(account.to_owned())),
        ("SentTimestamp", Some(message.sent.to_string())),
    ];
    let wanted = |name: &str| asked.iter().any(|it| *it == "All" || *it == name);
    let system: Map<String, Value> = system
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
        .filter(|(name, _)| wanted(name))
        .collect();
    if !system.is_empty() {
        told.insert("Attributes".to_owned(), system.into());
    }
    let wanted = |name: &str| {
        names.iter().any(|it| match it.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => *it == "All" || *it == name,
        })
    };
    let attributes: Map<String, Value> =
        message.attributes.into_iter().filter(|(name, _)| wanted(name)).collect();
    if let Some(hash) = md5_of(&attributes) {
        told.insert("MD5OfMessageAttributes".to_owned(), hash.into());
        told.insert("MessageAttributes".to_owned(), attributes.into());
    }
    told.into()
}

pub(super) fn delete(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    queue::remove(world, url, text(input, "ReceiptHandle")).map(|()| json!({}))
}

pub(super) fn change(world: &mut World, url: &str, input: &Value) -> Answer<Value> {
    let visibility = visibility(input)?.unwrap_or_default();
    queue::change_visibility(world, url, text(input, "ReceiptHandle"), visibility)?;
    Ok(json!({}))
}

/// `VisibilityTimeout` of a call, in milliseconds.
fn visibility(input: &Value) -> Answer<Option<Millis>> {
    let seconds = within(input, "VisibilityTimeout", 0..=VISIBILITY_MAX_S)?;
    Ok(seconds.map(|seconds| seconds * 1_000))
}

/// Each entry by itself: one that fails does not keep the others from being done.
pub(super) fn batch(
    world: &mut World,
    url: &str,
    input: &Value,
    each: impl Fn(&mut World, &str, &Value) -> Answer<Value>,
) -> Answer<Value> {
    world.queues.get(url).ok_or_else(|| queue::missing(url))?;
    let entries = input.get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
    check_batch(&entries)?;
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for entry in &entries {
        let id = text(entry, "Id");
        match each(world, url, entry) {
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

fn check_batch(entries: &[Value]) -> Answer<()> {
    let refuse = |name: &str, message: String| {
        Err(Refusal::new(400, &format!("AWS.SimpleQueueService.{name}"), message))
    };
    if entries.is_empty() {
        return refuse("EmptyBatchRequest", "There should be at least one entry.".to_owned());
    }
    if entries.len() > BATCH_MAX {
        let message = format!("Maximum number of entries per request are {BATCH_MAX}.");
        return refuse("TooManyEntriesInBatchRequest", message);
    }
    let mut ids: Vec<&str> = entries.iter().map(|entry| text(entry, "Id")).collect();
    ids.sort_unstable();
    let twice = ids.windows(2).any(|pair| pair.first() == pair.last());
    if twice || ids.iter().any(|id| id.is_empty()) {
        let message = "Each entry needs an Id of its own.".to_owned();
        return refuse("BatchEntryIdsNotDistinct", message);
    }
    let none = Map::new();
    let size = |entry: &Value| {
        let attributes = entry.get("MessageAttributes").and_then(Value::as_object);
        queue::size(text(entry, "MessageBody"), attributes.unwrap_or(&none))
    };
    if entries.iter().map(size).sum::<u64>() > BATCH_BYTES_MAX {
        let message = format!(
            "Batch requests cannot be longer than {BATCH_BYTES_MAX} bytes. The entries have more."
        );
        return refuse("BatchRequestTooLong", message);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_over_attributes_is_that_of_the_sdks() {
        assert_eq!(md5_of(&Map::new()), None);
        let attributes = json!({
            "b": {"DataType": "Number.int", "StringValue": "42"},
            "a": {"DataType": "String", "StringValue": "text"},
            "c": {"DataType": "Binary", "BinaryValue": "AAEC"},
        });
        let hash = md5_of(attributes.as_object().unwrap());
        assert_eq!(hash.as_deref(), Some("97801c5a9ba393d38599750db69e0c07"));
    }
}
