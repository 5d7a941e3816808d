//! EventBridge's wire: AWS JSON 1.1, the operation in `X-Amz-Target`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::json::{Call, answer, refuse, tags, text, texts};
use crate::world::bus::pattern::Pattern;
use crate::world::bus::{self, BusEvent, Target};
use crate::world::refusal::{Answer, Refusal};
use crate::world::{Millis, World};

/// Entries that one PutEvents takes (EventBridge User Guide).
const ENTRIES_MAX: usize = 10;
/// The longest pattern of a rule, in characters (EventBridge User Guide: quotas).
const PATTERN_MAX: usize = 4_096;
/// Bytes that the entries of one PutEvents may have together.
const ENTRIES_BYTES: usize = 256 * 1024;

/// What the halves of a tag are called.
const TAG: (&str, &str) = ("Key", "Value");

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
    match operation {
        "PutEvents" => put_events(world, input),
        "PutRule" => put_rule(world, input),
        "PutTargets" => put_targets(world, input),
        "RemoveTargets" => remove_targets(world, input),
        "DescribeRule" => describe(world, input),
        "DeleteRule" => delete(world, input),
        "EnableRule" => switch(world, input, true),
        "DisableRule" => switch(world, input, false),
        "ListRules" => {
            let prefix = text(input, "NamePrefix");
            let mut told = rules(world, bus_of(input))?;
            told.retain(|rule| text(rule, "Name").starts_with(prefix));
            Ok(json!({ "Rules": told }))
        }
        "ListTargetsByRule" => {
            let targets = find(world, input, "Rule")?.targets.iter();
            Ok(json!({ "Targets": targets.map(|(id, it)| told(id, it)).collect::<Vec<_>>() }))
        }
        "ListRuleNamesByTarget" => {
            let arn = text(input, "TargetArn");
            let hands = |rule: &bus::Rule| rule.targets.values().any(|target| target.arn == arn);
            let rules = world.bus.rules(bus_of(input))?.iter();
            let names: Vec<&String> =
                rules.filter(|(_, rule)| hands(rule)).map(|(name, _)| name).collect();
            Ok(json!({ "RuleNames": names }))
        }
        "TestEventPattern" => test(input),
        "TagResource" => {
            let tags = tags(input, TAG);
            tags_of(world, input)?.extend(tags);
            Ok(json!({}))
        }
        "UntagResource" => {
            let names = texts(input, "TagKeys");
            tags_of(world, input)?.retain(|name, _| !names.contains(&name.as_str()));
            Ok(json!({}))
        }
        "ListTagsForResource" => {
            let tags = tags_of(world, input)?.iter();
            let tags = tags.map(|(name, value)| json!({ "Key": name, "Value": value }));
            Ok(json!({ "Tags": tags.collect::<Vec<_>>() }))
        }
        "CreateEventBus" => create_bus(world, input),
        "DeleteEventBus" => bus::delete(world, text(input, "Name")).map(|()| json!({})),
        "DescribeEventBus" => describe_bus(world, text(input, "Name")),
        "ListEventBuses" => list_buses(world),
        other => Err(Refusal::new(501, "NotImplemented", format!("{other} is not emulated"))),
    }
}

fn bus_of(input: &Value) -> &str {
    text(input, "EventBusName")
}

fn create_bus(world: &mut World, input: &Value) -> Answer<Value> {
    let name = text(input, "Name");
    if !is_name(name, 256) || name == bus::DEFAULT {
        let message =
            "Name must have 1 to 256 characters of [A-Za-z0-9._-], and be another than default";
        return Err(Refusal::new(400, "ValidationException", message));
    }
    bus::create(world, name)?;
    world.bus.tags.insert(name.to_owned(), tags(input, TAG));
    Ok(json!({ "EventBusArn": bus::bus_arn(world, name) }))
}

fn describe_bus(world: &World, name: &str) -> Answer<Value> {
    world.bus.rules(name)?;
    Ok(json!({"Name": bus::name_of(name), "Arn": bus::bus_arn(world, name)}))
}

fn list_buses(world: &World) -> Answer<Value> {
    let all: Answer<Vec<Value>> = world.bus.names().map(|name| describe_bus(world, name)).collect();
    Ok(json!({ "EventBuses": all? }))
}

/// Whether a name has as many characters as it may, and none that it may not.
fn is_name(name: &str, most: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=most).contains(&name.len()) && name.bytes().all(fits)
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
    let bus = bus_of(entry);
    if let Err(refusal) = world.bus.rules(bus) {
        return json!({"ErrorCode": refusal.code, "ErrorMessage": refusal.message});
    }
    let id = world.rng.uuid();
    let seconds = entry.get("Time").and_then(Value::as_f64);
    let event = BusEvent {
        bus: bus.to_owned(),
        id: id.clone(),
        source: source.to_owned(),
        detail_type: kind.to_owned(),
        account: world.config.account.clone(),
        region: world.config.region.clone(),
        time: seconds.map_or(world.now(), |seconds| (seconds * 1_000.0) as Millis),
        detail,
        resources: texts(entry, "Resources").into_iter().map(str::to_owned).collect(),
    };
    bus::put(world, event);
    json!({ "EventId": id })
}

fn put_rule(world: &mut World, input: &Value) -> Answer<Value> {
    let name = text(input, "Name");
    if !is_name(name, 64) {
        let message = "Name must have 1 to 64 characters of [A-Za-z0-9._-]";
        return Err(Refusal::new(400, "ValidationException", message));
    }
    if !text(input, "ScheduleExpression").is_empty() {
        let message = "this emulator does not do rules with a schedule: ScheduleExpression";
        return Err(Refusal::new(501, "NotImplemented", message));
    }
    if text(input, "EventPattern").len() > PATTERN_MAX {
        let message = "EventPattern is longer than 4,096 characters";
        return Err(Refusal::new(400, "InvalidEventPatternException", message));
    }
    let enabled = match text(input, "State") {
        "" | "ENABLED" => true,
        "DISABLED" => false,
        state => {
            let message = format!("this emulator does not do rules of the state {state}");
            return Err(Refusal::new(501, "NotImplemented", message));
        }
    };
    let bus = bus_of(input);
    let new = !world.bus.rules(bus)?.contains_key(name);
    let rule = bus::put_rule(world, bus, name, text(input, "EventPattern"), enabled)?;
    text(input, "Description").clone_into(&mut rule.description);
    if new {
        rule.tags = tags(input, TAG);
    }
    Ok(json!({ "RuleArn": bus::rule_arn(world, bus, name) }))
}

fn put_targets(world: &mut World, input: &Value) -> Answer<Value> {
    find(world, input, "Rule")?;
    let targets = || input.get("Targets").and_then(Value::as_array).into_iter().flatten();
    // All of them are looked at before the first is taken.
    for target in targets() {
        if text(target, "Id").is_empty() || !text(target, "Arn").starts_with("arn:") {
            let message = "A target needs an Id and an Arn";
            return Err(Refusal::new(400, "ValidationException", message));
        }
        let shaped = ["InputPath", "InputTransformer"];
        if let Some(name) = shaped.iter().find(|name| target.get(**name).is_some()) {
            return Err(Refusal::new(501, "NotImplemented", format!("{name} is not emulated")));
        }
        given(target)?;
    }
    for target in targets() {
        let rule = (bus_of(input), text(input, "Rule"));
        let dead_letters = target.pointer("/DeadLetterConfig/Arn").and_then(Value::as_str);
        let made = Target {
            arn: text(target, "Arn").to_owned(),
            input: given(target)?,
            dead_letters: dead_letters.map(str::to_owned),
        };
        bus::put_target(world, rule, text(target, "Id"), made)?;
    }
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
}

/// `Input`: the JSON text that a target is given instead of the event.
fn given(target: &Value) -> Answer<Option<Value>> {
    let Some(text) = target.get("Input").and_then(Value::as_str) else { return Ok(None) };
    let wrong = |why: serde_json::Error| {
        let message = format!("Input is no JSON text: {why}");
        Refusal::new(400, "ValidationException", message)
    };
    serde_json::from_str(text).map(Some).map_err(wrong)
}

fn remove_targets(world: &mut World, input: &Value) -> Answer<Value> {
    let rule = find(world, input, "Rule")?;
    for id in input.get("Ids").and_then(Value::as_array).into_iter().flatten() {
        rule.targets.remove(id.as_str().unwrap_or_default());
    }
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
}

fn describe(world: &mut World, input: &Value) -> Answer<Value> {
    find(world, input, "Name")?;
    let name = text(input, "Name");
    let found = rules(world, bus_of(input))?.into_iter().find(|rule| text(rule, "Name") == name);
    Ok(found.unwrap_or_default())
}

fn delete(world: &mut World, input: &Value) -> Answer<Value> {
    let name = text(input, "Name");
    let rules = world.bus.rules_mut(bus_of(input))?;
    if rules.get(name).is_some_and(|rule| !rule.targets.is_empty()) {
        let message = "Rule can't be deleted since it has targets.";
        return Err(Refusal::new(400, "ValidationException", message));
    }
    rules.remove(name);
    Ok(json!({}))
}

fn switch(world: &mut World, input: &Value, enabled: bool) -> Answer<Value> {
    find(world, input, "Name")?.enabled = enabled;
    Ok(json!({}))
}

/// A target as it was put.
fn told(id: &str, target: &Target) -> Value {
    let mut told = json!({ "Id": id, "Arn": target.arn });
    if let (Some(input), Some(told)) = (&target.input, told.as_object_mut()) {
        told.insert("Input".to_owned(), input.to_string().into());
    }
    if let (Some(arn), Some(told)) = (&target.dead_letters, told.as_object_mut()) {
        told.insert("DeadLetterConfig".to_owned(), json!({ "Arn": arn }));
    }
    told
}

/// Whether an event would match a pattern (EventBridge API Reference: TestEventPattern).
fn test(input: &Value) -> Answer<Value> {
    let pattern = Pattern::parse(text(input, "EventPattern"))?;
    let needed = ["id", "account", "source", "time", "region", "resources", "detail-type"];
    let event: Option<Value> = serde_json::from_str(text(input, "Event")).ok();
    let whole = |event: &Value| needed.iter().all(|name| event.get(*name).is_some());
    let Some(event) = event.filter(whole) else {
        let message = format!("Event must be a JSON object with {}", needed.join(", "));
        return Err(Refusal::new(400, "ValidationException", message));
    };
    Ok(json!({ "Result": pattern.matches(&event) }))
}

/// The tags of the rule or the bus that an ARN names.
fn tags_of<'a>(world: &'a mut World, input: &Value) -> Answer<&'a mut BTreeMap<String, String>> {
    let arn = text(input, "ResourceARN");
    if arn.contains(":event-bus/") {
        world.bus.rules(arn)?;
        return Ok(world.bus.tags.entry(bus::name_of(arn).to_owned()).or_default());
    }
    let path = arn.split_once(":rule/").map_or(arn, |(_, path)| path);
    let (bus, rule) = path.rsplit_once('/').unwrap_or((bus::DEFAULT, path));
    let found = world.bus.rules_mut(bus)?.get_mut(rule);
    found.map(|rule| &mut rule.tags).ok_or_else(|| bus::missing(bus, rule))
}

fn find<'a>(world: &'a mut World, input: &Value, field: &str) -> Answer<&'a mut bus::Rule> {
    let (bus, name) = (bus_of(input), text(input, field));
    world.bus.rules_mut(bus)?.get_mut(name).ok_or_else(|| bus::missing(bus, name))
}

fn rules(world: &World, bus: &str) -> Answer<Vec<Value>> {
    let rules = world.bus.rules(bus)?.iter();
    let told = rules.map(|(name, rule)| {
        let mut told = json!({
            "Name": name,
            "Arn": bus::rule_arn(world, bus, name),
            "EventPattern": rule.text,
            "State": if rule.enabled { "ENABLED" } else { "DISABLED" },
            "EventBusName": bus::name_of(bus),
        });
        if let (false, Some(told)) = (rule.description.is_empty(), told.as_object_mut()) {
            told.insert("Description".to_owned(), rule.description.as_str().into());
        }
        told
    });
    Ok(told.collect())
}
