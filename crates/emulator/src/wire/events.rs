//! EventBridge's wire: AWS JSON 1.1, the operation in `X-Amz-Target`. Only the default bus.

use bytes::Bytes;
use serde_json::{Value, json};

use super::json::{Call, answer, refuse, text};
use crate::world::bus::{self, BusEvent};
use crate::world::refusal::{Answer, Refusal};
use crate::world::{Millis, World};

/// Entries that one PutEvents takes (EventBridge User Guide).
const ENTRIES_MAX: usize = 10;
/// The longest pattern of a rule, in characters (EventBridge User Guide: quotas).
const PATTERN_MAX: usize = 4_096;
/// Bytes that the entries of one PutEvents may have together.
const ENTRIES_BYTES: usize = 256 * 1024;

/// Answers one request.
pub fn handle(world: &mut World, request: &http::Request<Bytes>) -> http::Response<Bytes> {
    let call = match Call::read(request, "AWSEvents.") {
        Ok(call) => call,
        Err(refusal) => return refuse(&refusal, "1.1"),
    };
    match run(world, &call.operation, &call.input) {
        Ok(output) => answer(&output, "1.1"),
        Err(refusal) => refuse(&refusal, "1.1"),
    }
}

fn run(world: &mut World, operation: &str, input: &Value) -> Answer<Value> {
    let bus = text(input, "EventBusName");
    if !matches!(bus, "" | "default") && !bus.ends_with(":event-bus/default") {
        let message = format!("there is no event bus {bus}: only the default one is emulated");
        return Err(Refusal::new(400, "ResourceNotFoundException", message));
    }
    match operation {
        "PutEvents" => put_events(world, input),
        "PutRule" => put_rule(world, input),
        "PutTargets" => put_targets(world, input),
        "RemoveTargets" => remove_targets(world, input),
        "DescribeRule" => describe(world, input),
        "DeleteRule" => delete(world, input),
        "EnableRule" => switch(world, input, true),
        "DisableRule" => switch(world, input, false),
        "ListRules" => Ok(json!({ "Rules": rules(world) })),
        other => Err(Refusal::new(501, "NotImplemented", format!("{other} is not emulated"))),
    }
}

fn put_events(world: &mut World, input: &Value) -> Answer<Value> {
    let entries = input.get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        let message = format!("PutEvents takes 1 to {ENTRIES_MAX} entries, not {}", entries.len());
        return Err(Refusal::new(400, "ValidationException", message));
    }
    let bytes: usize = entries.iter().map(|entry| entry.to_string().len()).sum();
    if bytes > ENTRIES_BYTES {
        let message = format!("the entries have {bytes} bytes, more than {ENTRIES_BYTES}");
        return Err(Refusal::new(400, "ValidationException", message));
    }
    let results: Vec<Value> = entries.iter().map(|entry| put_event(world, entry)).collect();
    let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
    Ok(json!({"FailedEntryCount": failed, "Entries": results}))
}

/// One entry: a bad one does not keep the others from being put.
fn put_event(world: &mut World, entry: &Value) -> Value {
    let (source, kind, detail) =
        (text(entry, "Source"), text(entry, "DetailType"), text(entry, "Detail"));
    let detail: Result<Value, _> = serde_json::from_str(detail);
    let detail = detail.ok().filter(Value::is_object);
    let (false, false, Some(detail)) = (source.is_empty(), kind.is_empty(), detail) else {
        let message = "Source, DetailType and Detail, a JSON object, are required";
        return json!({"ErrorCode": "MalformedDetail", "ErrorMessage": message});
    };
    let id = world.rng.uuid();
    let seconds = entry.get("Time").and_then(Value::as_f64);
    let event = BusEvent {
        id: id.clone(),
        source: source.to_owned(),
        detail_type: kind.to_owned(),
        account: world.config.account.clone(),
        region: world.config.region.clone(),
        time: seconds.map_or(world.now(), |seconds| (seconds * 1_000.0) as Millis),
        detail,
        resources: texts(entry, "Resources"),
    };
    bus::put(world, event);
    json!({ "EventId": id })
}

fn texts(input: &Value, name: &str) -> Vec<String> {
    let texts = input.get(name).and_then(Value::as_array).into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn put_rule(world: &mut World, input: &Value) -> Answer<Value> {
    let name = text(input, "Name");
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
        let message = "Name must have 1 to 64 characters of [A-Za-z0-9._-]";
        return Err(Refusal::new(400, "ValidationException", message));
    }
    if text(input, "EventPattern").len() > PATTERN_MAX {
        let message = "EventPattern is longer than 4,096 characters";
        return Err(Refusal::new(400, "InvalidEventPatternException", message));
    }
    let enabled = text(input, "State") != "DISABLED";
    bus::put_rule(world, name, text(input, "EventPattern"), enabled)?;
    Ok(json!({ "RuleArn": arn(world, name) }))
}

fn put_targets(world: &mut World, input: &Value) -> Answer<Value> {
    find(world, text(input, "Rule"))?;
    let targets = || input.get("Targets").and_then(Value::as_array).into_iter().flatten();
    // All of them are looked at before the first is taken.
    for target in targets() {
        if text(target, "Id").is_empty() || !text(target, "Arn").starts_with("arn:") {
            let message = "A target needs an Id and an Arn";
            return Err(Refusal::new(400, "ValidationException", message));
        }
        let shaped = ["Input", "InputPath", "InputTransformer"];
        if let Some(name) = shaped.iter().find(|name| target.get(**name).is_some()) {
            return Err(Refusal::new(501, "NotImplemented", format!("{name} is not emulated")));
        }
    }
    for target in targets() {
        bus::put_target(world, text(input, "Rule"), text(target, "Id"), text(target, "Arn"))?;
    }
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
}

fn remove_targets(world: &mut World, input: &Value) -> Answer<Value> {
    let rule = find(world, text(input, "Rule"))?;
    for id in input.get("Ids").and_then(Value::as_array).into_iter().flatten() {
        rule.targets.remove(id.as_str().unwrap_or_default());
    }
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
}

fn describe(world: &mut World, input: &Value) -> Answer<Value> {
    find(world, text(input, "Name"))?;
    let name = text(input, "Name");
    let found = rules(world).into_iter().find(|rule| text(rule, "Name") == name);
    Ok(found.unwrap_or_default())
}

fn delete(world: &mut World, input: &Value) -> Answer<Value> {
    let name = text(input, "Name");
    if world.bus.rules.get(name).is_some_and(|rule| !rule.targets.is_empty()) {
        let message = "Rule can't be deleted since it has targets.";
        return Err(Refusal::new(400, "ValidationException", message));
    }
    world.bus.rules.remove(name);
    Ok(json!({}))
}

fn switch(world: &mut World, input: &Value, enabled: bool) -> Answer<Value> {
    find(world, text(input, "Name"))?.enabled = enabled;
    Ok(json!({}))
}

fn find<'a>(world: &'a mut World, name: &str) -> Answer<&'a mut bus::Rule> {
    world.bus.rules.get_mut(name).ok_or_else(|| bus::missing(name))
}

fn rules(world: &World) -> Vec<Value> {
    let rules = world.bus.rules.iter();
    rules
        .map(|(name, rule)| {
            json!({
                "Name": name,
                "Arn": arn(world, name),
                "EventPattern": rule.text,
                "State": if rule.enabled { "ENABLED" } else { "DISABLED" },
                "EventBusName": "default",
            })
        })
        .collect()
}

fn arn(world: &World, rule: &str) -> String {
    format!("arn:aws:events:{}:{}:rule/{rule}", world.config.region, world.config.account)
}
