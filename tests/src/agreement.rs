//! What has to be so between a template and the code that it deploys: settings, events, schedules, and that
//! nothing in it is left over. Each check gives what is wrong, so that a template with a fault in it can
//! be shown to be noticed. Permissions are elsewhere: they are seen in what the functions do.

use std::collections::BTreeSet;

use resilver::app::settings_of;
use resilver_aws::Woken;
use resilver_emulator::stack::{Resource, Template};
use resilver_emulator::world::bus::pattern::Pattern;
use resilver_heal::notice::{NOTICE_DETAIL_TYPE, NOTICE_SOURCE};
use resilver_heal::summary::Ended;
use serde_json::{Map, Value};

use crate::stack::BUS;

/// The type of a function.
pub const FUNCTION: &str = "AWS::Serverless::Function";
const RULE: &str = "EventBridgeRule";
const SCHEDULE: &str = "ScheduleV2";
/// What a schedule fills in (EventBridge Scheduler User Guide: adding context attributes).
const SCHEDULED: &str = "<aws.scheduler.scheduled-time>";

/// An event, with its bus.
pub type Event = (String, Value);

/// Everything that is wrong with a template, as these events show it.
pub fn problems(template: &Template, events: &[Event]) -> Vec<String> {
    let mut problems = settings(template);
    problems.extend(rules(template, events));
    problems.extend(schedules(template));
    problems.extend(left_over(template));
    problems
}

fn of_kind<'a>(
    template: &'a Template,
    kind: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Resource)> {
    template.resources().filter(move |(_, resource)| resource.kind == kind)
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().into_iter().flat_map(Map::keys).cloned().collect()
}

/// Every function is given what it asks for, and nothing else.
pub fn settings(template: &Template) -> Vec<String> {
    let mut problems = Vec::new();
    for (id, function) in of_kind(template, FUNCTION) {
        let binary = function.binary.as_deref().unwrap_or_default();
        let asks = settings_of(binary);
        if asks.is_empty() {
            problems.push(format!("{id}: there is no function {binary}"));
        }
        let given = keys(&function.properties["Environment"]["Variables"]);
        problems.extend(asks.difference(&given).map(|it| format!("{id} is not given {it}")));
        problems.extend(given.difference(&asks).map(|it| format!("{id} does not ask for {it}")));
    }
    problems
}

/// Calls that may repair what versions are held for, by the service that takes them: launch tries again at
/// once. Which of them does, `resilver_heal::change` decides by the service and the bucket.
pub const REPAIRS: [(&str, &[&str]); 3] = [
    (
        "s3",
        &[
            "CreateBucket",
            "PutBucketPolicy",
            "DeleteBucketPolicy",
            "PutBucketVersioning",
            "PutBucketReplication",
            "PutBucketEncryption",
            "PutBucketOwnershipControls",
            "PutBucketObjectLockConfiguration",
        ],
    ),
    ("kms", &["PutKeyPolicy", "EnableKey", "CancelKeyDeletion"]),
    (
        "iam",
        &[
            "CreateRole",
            "UpdateAssumeRolePolicy",
            "PutRolePolicy",
            "DeleteRolePolicy",
            "AttachRolePolicy",
            "DetachRolePolicy",
            "PutRolePermissionsBoundary",
            "DeleteRolePermissionsBoundary",
            "CreatePolicyVersion",
            "DeletePolicyVersion",
            "SetDefaultPolicyVersion",
        ],
    ),
];

/// Which functions an event is for.
fn functions_for((bus, event): &Event) -> BTreeSet<&'static str> {
    if bus == BUS {
        let ours = event["source"] == NOTICE_SOURCE && event["detail-type"] == NOTICE_DETAIL_TYPE;
        return ours.then_some("resilver-notify").into_iter().collect();
    }
    let (detail, name) = (&event["detail"], event["detail"]["eventName"].as_str());
    let name = name.unwrap_or_default();
    if detail.get("errorCode").is_some() {
        return BTreeSet::new();
    }
    let mut functions = BTreeSet::new();
    let source = event["source"].as_str().and_then(|it| it.strip_prefix("aws."));
    if REPAIRS.iter().any(|(service, calls)| source == Some(*service) && calls.contains(&name)) {
        functions.insert("resilver-launch");
    }
    let status = detail["serviceEventDetails"]["status"].as_str().unwrap_or_default();
    functions.extend(match name {
        "JobStatusChanged" => Ended::parse(status).map(|_| "resilver-settle"),
        "PutBucketNotification" => Some("resilver-enroll"),
        "PutBucketReplication"
        | "DeleteBucketReplication"
        | "PutBucketVersioning"
        | "PutBucketLifecycle"
        | "DeleteBucketLifecycle" => Some("resilver-backfill"),
        _ => None,
    });
    functions
}

/// A rule of the template.
struct Rule<'a> {
    id: &'a str,
    bus: &'static str,
    pattern: &'a Value,
    function: &'a str,
}

impl Rule<'_> {
    fn matches(&self, pattern: &Value, (bus, event): &Event) -> bool {
        let pattern = Pattern::parse(&pattern.to_string());
        bus == self.bus && pattern.is_ok_and(|pattern| pattern.matches(event))
    }
}

fn all_rules(template: &Template) -> Vec<Rule<'_>> {
    of_kind(template, RULE)
        .map(|(id, resource)| {
            let own = resource.properties.get("EventBusName").is_some();
            let bus = if own { BUS } else { "default" };
            let woken = resource.properties["Function"]["Fn::GetAtt"][0].as_str();
            let function = of_kind(template, FUNCTION).find(|(name, _)| Some(*name) == woken);
            let function = function.and_then(|(_, it)| it.binary.as_deref()).unwrap_or_default();
            Rule { id, bus, pattern: &resource.properties["Pattern"], function }
        })
        .collect()
}

/// Every value of every rule matches an event that comes; every event that is for a function is matched by a rule of
/// it, and no other is.
pub fn rules(template: &Template, events: &[Event]) -> Vec<String> {
    let mut problems = Vec::new();
    let rules = all_rules(template);
    for rule in &rules {
        for narrow in each_alone(rule.pattern) {
            if !events.iter().any(|event| rule.matches(&narrow, event)) {
                problems.push(format!("{}: no event is {narrow}", rule.id));
            }
        }
    }
    for event in events {
        let by: BTreeSet<&str> = rules
            .iter()
            .filter(|rule| rule.matches(rule.pattern, event))
            .map(|rule| rule.function)
            .collect();
        let expected = functions_for(event);
        if by != expected {
            let (name, status) = (&event.1["detail"]["eventName"], &event.1["detail-type"]);
            problems.push(format!("{status} {name} wakes {by:?} and is for {expected:?}"));
        }
    }
    problems
}

/// A pattern once for each of its values, with that one alone in its place.
pub fn each_alone(pattern: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for place in places(pattern, "") {
        let list = pattern.pointer(&place).and_then(Value::as_array).cloned().unwrap_or_default();
        for one in list {
            let mut narrow = pattern.clone();
            narrow
                .pointer_mut(&place)
                .into_iter()
                .for_each(|it| *it = Value::Array(vec![one.clone()]));
            all.push(narrow);
        }
    }
    all
}

/// Where the lists of a pattern are, as JSON pointers.
pub fn places(pattern: &Value, at: &str) -> Vec<String> {
    match pattern {
        Value::Object(fields) => {
            let below = |(name, value): (&String, &Value)| places(value, &format!("{at}/{name}"));
            fields.iter().flat_map(below).collect()
        }
        _ => vec![at.to_owned()],
    }
}

/// What a schedule gives is what woke the function: its time is the occurrence's.
pub fn schedules(template: &Template) -> Vec<String> {
    let time = "2026-03-04T05:06:07Z";
    let wakes = |schedule: &Resource| {
        let given = schedule.properties["Input"].as_str().unwrap_or_default();
        let given: Value = serde_json::from_str(&given.replace(SCHEDULED, time)).ok()?;
        let woken = Woken::of(&given, "id").ok()?;
        (woken.now.to_string().starts_with("2026-03-04T05:06:07")).then_some(())
    };
    let wrong = of_kind(template, SCHEDULE).filter(|(_, schedule)| wakes(schedule).is_none());
    wrong.map(|(id, _)| format!("{id} does not give its function the scheduled time")).collect()
}

/// Every parameter and condition is used, every resource is for something, and every output names one.
pub fn left_over(template: &Template) -> Vec<String> {
    let document = template.document();
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for section in ["Globals", "Resources", "Outputs", "Conditions", "Rules"] {
        named(&document[section], &mut names);
    }
    for section in ["Parameters", "Conditions"] {
        let unused = keys(&document[section]).into_iter().filter(|name| !names.contains(name));
        problems.extend(unused.map(|name| format!("{section}.{name} is not used")));
    }
    let grouped = &document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let grouped =
        grouped.as_array().into_iter().flatten().flat_map(|it| it["Parameters"].as_array());
    let mut grouped: Vec<&str> = grouped.flatten().filter_map(Value::as_str).collect();
    grouped.sort_unstable();
    if !grouped.iter().copied().eq(template.parameters()) {
        problems.push("each parameter has its place in one of the groups".to_owned());
    }
    for id in keys(&document["Resources"]) {
        if !is_for_something(document, &id) {
            problems.push(format!("{id} is for nothing"));
        }
    }
    for (name, output) in document["Outputs"].as_object().into_iter().flatten() {
        let mut names = BTreeSet::new();
        named(output, &mut names);
        if !names.iter().any(|it| document["Resources"].get(it).is_some()) {
            problems.push(format!("the output {name} names nothing of the stack"));
        }
    }
    problems
}

/// Policies and custom resources act by themselves, and a function if something wakes it. Everything else
/// has to be used by another resource that is no policy about it.
fn is_for_something(document: &Value, id: &str) -> bool {
    let resources = &document["Resources"];
    let kind = |id: &str| resources[id]["Type"].as_str().unwrap_or_default().to_owned();
    let acts = |kind: &str| kind.ends_with("Policy") || kind.starts_with("Custom::");
    let own = kind(id);
    let events = &resources[id]["Properties"]["Events"];
    if acts(&own) || (own == FUNCTION && events.as_object().is_some_and(|it| !it.is_empty())) {
        return true;
    }
    let mut names = BTreeSet::new();
    named(&document["Globals"], &mut names);
    for other in keys(resources).into_iter().filter(|it| it != id && !kind(it).ends_with("Policy"))
    {
        named(&resources[&other], &mut names);
    }
    names.contains(id)
}

/// The names that an expression refers to.
fn named(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| named(one, names)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("Ref" | "Condition", Value::String(text)) => drop(names.insert(text.clone())),
                    ("Fn::GetAtt", Value::Array(list)) => {
                        names.extend(list.first().and_then(Value::as_str).map(str::to_owned));
                    }
                    ("Fn::If", Value::Array(list)) => {
                        names.extend(list.first().and_then(Value::as_str).map(str::to_owned));
                    }
                    ("Fn::Sub", Value::String(text)) => substituted(text, names),
                    ("Fn::Sub", Value::Array(list)) => {
                        list.first()
                            .and_then(Value::as_str)
                            .into_iter()
                            .for_each(|it| substituted(it, names));
                    }
                    _ => {}
                }
                named(value, names);
            }
        }
        _ => {}
    }
}

fn substituted(text: &str, names: &mut BTreeSet<String>) {
    let inner = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    names.extend(inner.filter_map(|name| name.split('.').next()).map(str::to_owned));
}
