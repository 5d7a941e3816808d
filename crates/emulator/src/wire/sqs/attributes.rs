//! The attributes of a queue: read, checked, set and told (SQS API Reference: SetQueueAttributes).

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::wire::json::{number, text, texts};
use crate::world::bucket::Policy;
use crate::world::policy;
use crate::world::queue::{MESSAGE_MAX, Queue};
use crate::world::refusal::{Answer, Refusal};
use crate::world::{Millis, World};

/// Attributes of FIFO queues, which are not emulated.
const FIFO: [&str; 4] =
    ["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"];

/// Attributes that are kept and told, and have no effect: nothing is encrypted here.
const KEPT: [&str; 4] = [
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

/// The most seconds that a message may be hidden (SQS Developer Guide: quotas).
pub(super) const VISIBILITY_MAX_S: u64 = 12 * 60 * 60;
/// The most seconds that a message may be delayed.
pub(super) const DELAY_MAX_S: u64 = 15 * 60;
/// The most seconds that a client may be kept waiting.
pub(super) const WAIT_MAX_S: u64 = 20;

/// The attributes that a call sets, in the queue's own units.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) visibility: Option<Millis>,
    retention: Option<Millis>,
    delay: Option<Millis>,
    message_max: Option<u64>,
    wait: Option<Millis>,
    /// `Some(None)` takes it away.
    pub(super) redrive: Option<Option<(String, u32)>>,
    policy: Option<Policy>,
    kept: Vec<(String, String)>,
}

impl Settings {
    /// Reads `Attributes` of a call.
    ///
    /// # Errors
    /// 400 for an attribute that is unknown, cannot be set, or has a value that it cannot have.
    pub(super) fn read(input: &Value, queue: &str) -> Answer<Self> {
        let mut set = Self::default();
        let Some(given) = input.get("Attributes").and_then(Value::as_object) else {
            return Ok(set);
        };
        let attributes = Value::Object(given.clone());
        let seconds = |name, range| {
            let seconds = within(&attributes, name, range)?;
            Ok(seconds.map(|seconds| seconds * 1_000))
        };
        for name in given.keys() {
            match name.as_str() {
                "VisibilityTimeout" => set.visibility = seconds(name, 0..=VISIBILITY_MAX_S)?,
                "MessageRetentionPeriod" => set.retention = seconds(name, 60..=1_209_600)?,
                "DelaySeconds" => set.delay = seconds(name, 0..=DELAY_MAX_S)?,
                "ReceiveMessageWaitTimeSeconds" => set.wait = seconds(name, 0..=WAIT_MAX_S)?,
                "MaximumMessageSize" => {
                    set.message_max = within(&attributes, name, 1_024..=MESSAGE_MAX)?;
                }
                "RedrivePolicy" => set.redrive = Some(redrive(&attributes)?),
                "Policy" => set.policy = Some(policy(text(&attributes, name), queue)?),
                name if KEPT.contains(&name) => {
                    set.kept.push((name.to_owned(), text(&attributes, name).to_owned()));
                }
                name if FIFO.contains(&name) => {
                    let message = "FIFO queues are not emulated: leave the FIFO attributes out";
                    return Err(Refusal::new(501, "NotImplemented", message));
                }
                name => return Err(unknown(name)),
            }
        }
        Ok(set)
    }

    /// Sets them.
    pub(super) fn apply(self, queue: &mut Queue, now: Millis) {
        queue.visibility = self.visibility.unwrap_or(queue.visibility);
        queue.retention = self.retention.unwrap_or(queue.retention);
        queue.delay = self.delay.unwrap_or(queue.delay);
        queue.message_max = self.message_max.unwrap_or(queue.message_max);
        queue.wait = self.wait.unwrap_or(queue.wait);
        queue.policy = self.policy.or(queue.policy.take());
        if let Some(redrive) = self.redrive {
            queue.redrive = redrive;
        }
        queue.kept.extend(self.kept);
        queue.kept.retain(|_, value| !value.is_empty());
        queue.dates.1 = now;
    }

    /// An attribute in which a queue differs from these.
    pub(super) fn differs(&self, queue: &Queue) -> Option<&'static str> {
        let other = |given: Option<Millis>, is: Millis| given.is_some_and(|given| given != is);
        let text = |policy: &Policy| policy.text.clone();
        let (policy, is) = (self.policy.as_ref().map(text), queue.policy.as_ref().map(text));
        let kept = |(name, value): &(String, String)| queue.kept.get(name) != Some(value);
        [
            ("VisibilityTimeout", other(self.visibility, queue.visibility)),
            ("MessageRetentionPeriod", other(self.retention, queue.retention)),
            ("DelaySeconds", other(self.delay, queue.delay)),
            ("MaximumMessageSize", other(self.message_max, queue.message_max)),
            ("ReceiveMessageWaitTimeSeconds", other(self.wait, queue.wait)),
            ("RedrivePolicy", self.redrive.as_ref().is_some_and(|it| *it != queue.redrive)),
            ("Policy", policy.is_some_and(|text| text != is.unwrap_or_default())),
            ("encryption", self.kept.iter().any(kept)),
        ]
        .into_iter()
        .find_map(|(name, differs)| differs.then_some(name))
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(400, "InvalidAttributeName", format!("Unknown Attribute {name}."))
}

/// A whole number that may be left out, and is within its range otherwise.
///
/// # Errors
/// 400 `InvalidParameterValue`.
pub(super) fn within(input: &Value, name: &str, range: RangeInclusive<u64>) -> Answer<Option<u64>> {
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
fn policy(text: &str, queue: &str) -> Answer<Policy> {
    if text.is_empty() {
        return Ok(Policy::default());
    }
    let wrong = |refusal: Refusal| Refusal::new(400, "InvalidAttributeValue", refusal.message);
    let statements = policy::parse(text, queue).map_err(wrong)?;
    Ok(Policy { text: text.to_owned(), statements })
}

/// `RedrivePolicy`; an empty one is none.
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

/// The attributes of a queue that a call asks for by `AttributeNames`; without any it is told none.
///
/// # Errors
/// 400 where there is no such attribute.
pub(super) fn told(queue: &Queue, input: &Value, now: Millis) -> Answer<Map<String, Value>> {
    let asked = texts(input, "AttributeNames");
    let all = all(queue, now);
    // Those that a queue may have and this one has not.
    let absent = |name: &str| ["Policy", "RedrivePolicy"].contains(&name) || KEPT.contains(&name);
    let strange = |name: &&&str| {
        **name != "All" && !all.contains_key(**name) && !absent(name) && !FIFO.contains(*name)
    };
    if let Some(name) = asked.iter().find(strange) {
        return Err(unknown(name));
    }
    let wanted = |name: &str| asked.iter().any(|it| *it == "All" || *it == name);
    Ok(all.into_iter().filter(|(name, _)| wanted(name)).collect())
}

fn all(queue: &Queue, now: Millis) -> Map<String, Value> {
    let (waiting, delayed, hidden) = queue.counts(now);
    let mut all = Map::new();
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), Value::String(value));
    set("ApproximateNumberOfMessages", waiting.to_string());
    set("ApproximateNumberOfMessagesDelayed", delayed.to_string());
    set("ApproximateNumberOfMessagesNotVisible", hidden.to_string());
    set("CreatedTimestamp", (queue.dates.0 / 1_000).to_string());
    set("DelaySeconds", (queue.delay / 1_000).to_string());
    set("LastModifiedTimestamp", (queue.dates.1 / 1_000).to_string());
    set("MaximumMessageSize", queue.message_max.to_string());
    set("MessageRetentionPeriod", (queue.retention / 1_000).to_string());
    set("QueueArn", queue.arn.clone());
    set("ReceiveMessageWaitTimeSeconds", (queue.wait / 1_000).to_string());
    set("VisibilityTimeout", (queue.visibility / 1_000).to_string());
    if let Some((arn, most)) = &queue.redrive {
        let policy = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": most});
        set("RedrivePolicy", policy.to_string());
    }
    if let Some(policy) = queue.policy.as_ref().filter(|policy| !policy.text.is_empty()) {
        set("Policy", policy.text.clone());
    }
    for (name, value) in &queue.kept {
        set(name, value.clone());
    }
    let keyed = queue.kept.contains_key("KmsMasterKeyId");
    all.entry("SqsManagedSseEnabled").or_insert_with(|| Value::String((!keyed).to_string()));
    all
}

/// Milliseconds of the wall clock that a call which receives is kept waiting for a message.
pub(super) fn wait(world: &World, input: &Value) -> Millis {
    let asked = number(input, "WaitTimeSeconds").map(|seconds| seconds.min(WAIT_MAX_S) * 1_000);
    let queue = || world.queues.get(text(input, "QueueUrl")).map(|queue| queue.wait);
    asked.or_else(queue).unwrap_or_default()
}
