//! Event buses: rules with patterns, and targets. An event is matched a moment after it was put, with the
//! rules of the bus that it was put on; every target of every rule that matches gets the whole envelope, or
//! the text that the target has instead. AWS's own events come on the default bus only.

pub mod pattern;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::pattern::Pattern;
use super::agenda::Task;
use super::parcel::{self, Sender};
use super::refusal::{Answer, Refusal};
use super::{Millis, World, lambda};

/// From an event's being put to its being matched.
const DELAY: Millis = 500;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct BusEvent {
    /// The bus that it was put on.
    pub bus: String,
    /// Its id.
    pub id: String,
    /// Its source: `aws.s3`.
    pub source: String,
    /// Its detail type.
    pub detail_type: String,
    /// The account it is from.
    pub account: String,
    /// The Region it is from.
    pub region: String,
    /// When it happened.
    pub time: Millis,
    /// What happened: an object.
    pub detail: Value,
    /// ARNs of what it is about.
    pub resources: Vec<String>,
}

impl BusEvent {
    /// The envelope that targets get (EventBridge User Guide: event structure).
    pub fn to_json(&self) -> Value {
        json!({
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": self.account,
            "time": super::lambda::rfc3339(self.time),
            "region": self.region,
            "resources": self.resources,
            "detail": self.detail,
        })
    }
}

/// The bus that every account has.
pub const DEFAULT: &str = "default";

/// Where a rule hands an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The ARN of a queue or a function.
    pub arn: String,
    /// What it is given instead of the event.
    pub input: Option<Value>,
    /// The queue that takes what could not be handed over, an ARN.
    pub dead_letters: Option<String>,
}

impl Target {
    /// A target that is given the event.
    pub fn of(arn: &str) -> Self {
        Self { arn: arn.to_owned(), input: None, dead_letters: None }
    }
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Which events.
    pub pattern: Pattern,
    /// The pattern as it was given.
    pub text: String,
    /// A disabled rule matches nothing.
    pub enabled: bool,
    /// Free text.
    pub description: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Targets by id.
    pub targets: BTreeMap<String, Target>,
}

/// The rules of one bus, by name.
pub type Rules = BTreeMap<String, Rule>;

/// The buses of the account.
#[derive(Debug)]
pub struct Buses {
    buses: BTreeMap<String, Rules>,
    /// The tags of each bus that has any, by its name.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// Events that were matched so far, and deliveries that came of them.
    pub matched: (u64, u64),
}

impl Default for Buses {
    fn default() -> Self {
        let buses = [(DEFAULT.to_owned(), Rules::new())].into();
        Self { buses, tags: BTreeMap::new(), matched: (0, 0) }
    }
}

impl Buses {
    /// The rules of a bus, which its name or its ARN names.
    ///
    /// # Errors
    /// 400 `ResourceNotFoundException`.
    pub fn rules(&self, bus: &str) -> Answer<&Rules> {
        let name = name_of(bus);
        self.buses.get(name).ok_or_else(|| no_bus(name))
    }

    /// As [`Self::rules`], to change them.
    ///
    /// # Errors
    /// 400 `ResourceNotFoundException`.
    pub fn rules_mut(&mut self, bus: &str) -> Answer<&mut Rules> {
        let name = name_of(bus);
        self.buses.get_mut(name).ok_or_else(|| no_bus(name))
    }

    /// The names of all buses, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.buses.keys().map(String::as_str)
    }
}

/// The name of a bus, from its ARN or itself; nothing is the default bus.
pub fn name_of(bus: &str) -> &str {
    match bus.rsplit_once(":event-bus/").map_or(bus, |(_, name)| name) {
        "" => DEFAULT,
        name => name,
    }
}

/// The ARN of a rule (Service Authorization Reference: Amazon EventBridge).
pub fn rule_arn(world: &World, bus: &str, rule: &str) -> String {
    let (region, account) = (&world.config.region, &world.config.account);
    match name_of(bus) {
        DEFAULT => format!("arn:aws:events:{region}:{account}:rule/{rule}"),
        bus => format!("arn:aws:events:{region}:{account}:rule/{bus}/{rule}"),
    }
}

/// The ARN of a bus.
pub fn bus_arn(world: &World, bus: &str) -> String {
    let (region, account) = (&world.config.region, &world.config.account);
    format!("arn:aws:events:{region}:{account}:event-bus/{}", name_of(bus))
}

/// Makes a bus.
///
/// # Errors
/// 400 `ResourceAlreadyExistsException`.
pub fn create(world: &mut World, name: &str) -> Answer<()> {
    if world.bus.buses.contains_key(name) {
        let message = format!("Event bus {name} already exists.");
        return Err(Refusal::new(400, "ResourceAlreadyExistsException", message));
    }
    world.bus.buses.insert(name.to_owned(), Rules::new());
    Ok(())
}

/// Deletes a bus with all its rules. One that is not there is as good as deleted, and the default one stays.
///
/// # Errors
/// 400 `ValidationException` for the default bus.
pub fn delete(world: &mut World, name: &str) -> Answer<()> {
    if name_of(name) == DEFAULT {
        return Err(Refusal::new(400, "ValidationException", "Cannot delete event bus default."));
    }
    world.bus.buses.remove(name_of(name));
    world.bus.tags.remove(name_of(name));
    Ok(())
}

/// Makes a rule, or changes its pattern and keeps its targets and tags. What else there is to say of it is the
/// caller's to set.
///
/// # Errors
/// 400 for a pattern that is none and for a bus that is not there.
pub fn put_rule<'a>(
    world: &'a mut World,
    bus: &str,
    name: &str,
    text: &str,
    enabled: bool,
) -> Answer<&'a mut Rule> {
    let pattern = Pattern::parse(text)?;
    let text = text.to_owned();
    let rules = world.bus.rules_mut(bus)?;
    let (targets, tags) = rules.remove(name).map(|it| (it.targets, it.tags)).unwrap_or_default();
    let rule = Rule { pattern, text, enabled, description: String::new(), tags, targets };
    Ok(rules.entry(name.to_owned()).or_insert(rule))
}

/// Adds a target to a rule.
///
/// # Errors
/// 400 `ResourceNotFoundException`.
pub fn put_target(
    world: &mut World,
    (bus, rule): (&str, &str),
    id: &str,
    target: Target,
) -> Answer<()> {
    let known = world.bus.rules_mut(bus)?.get_mut(rule);
    known.ok_or_else(|| missing(bus, rule))?.targets.insert(id.to_owned(), target);
    Ok(())
}

/// What is said of a rule that is not there.
pub fn missing(bus: &str, rule: &str) -> Refusal {
    let message = format!("Rule {rule} does not exist on EventBus {}.", name_of(bus));
    Refusal::new(400, "ResourceNotFoundException", message)
}

fn no_bus(name: &str) -> Refusal {
    let message = format!("Event bus {name} does not exist.");
    Refusal::new(400, "ResourceNotFoundException", message)
}

/// Puts an event on its bus.
pub fn put(world: &mut World, event: BusEvent) {
    world.later(DELAY, Task::BusEvent(event));
}

/// Matches an event and hands it to the targets.
pub fn deliver(world: &mut World, event: BusEvent) {
    let envelope = event.to_json();
    world.audit.event(name_of(&event.bus), &envelope);
    if world.config.bus_elsewhere {
        world.parcels.event(envelope);
        return;
    }
    let mut targets: Vec<(String, Target)> = Vec::new();
    // A bus that is gone by now has no rules.
    for (name, rule) in world.bus.rules(&event.bus).into_iter().flatten() {
        if rule.enabled && rule.pattern.matches(&envelope) {
            let source = rule_arn(world, &event.bus, name);
            targets.extend(rule.targets.values().map(|target| (source.clone(), target.clone())));
        }
    }
    world.bus.matched.0 += 1;
    for (source, target) in targets {
        world.bus.matched.1 += 1;
        let twice = world.faults.duplicate_per_mille;
        let twice = twice > 0 && world.rng.below(1_000) < twice;
        for _ in 0..=u8::from(twice) {
            hand(world, &source, &target, &envelope);
        }
    }
}

/// Hands an event to one target. What a queue does not take, and a function that is not there, goes to the
/// dead letters of the target, or is lost (EventBridge User Guide: using dead-letter queues).
fn hand(world: &mut World, source: &str, target: &Target, envelope: &Value) {
    let sender = Sender { service: "events.amazonaws.com", source };
    let given = target.input.as_ref().unwrap_or(envelope);
    let taken = if target.arn.contains(":sqs:") {
        parcel::hand(world, sender, &target.arn, given.to_string())
    } else {
        let function = lambda::function_of(&target.arn);
        let there = lambda::is_there(world, function);
        if there {
            lambda::invoke(world, function, given.clone());
        }
        there
    };
    if let Some(dead) = target.dead_letters.as_ref().filter(|_| !taken) {
        parcel::hand(world, sender, dead, given.to_string());
    }
}
