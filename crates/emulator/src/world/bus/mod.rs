//! The default event bus: rules with patterns, and targets. An event is matched a moment after it was
//! put; every target of every rule that matches gets the whole envelope.

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

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Which events.
    pub pattern: Pattern,
    /// The pattern as it was given.
    pub text: String,
    /// A disabled rule matches nothing.
    pub enabled: bool,
    /// Target id to the ARN of a queue or function.
    pub targets: BTreeMap<String, String>,
}

/// The rules of the bus, by name.
#[derive(Debug, Default)]
pub struct Bus {
    /// The rules.
    pub rules: BTreeMap<String, Rule>,
    /// Events that were matched so far, and deliveries that came of them.
    pub matched: (u64, u64),
}

/// Makes a rule, or changes its pattern and keeps its targets.
pub fn put_rule(world: &mut World, name: &str, text: &str, enabled: bool) -> Answer<()> {
    let pattern = Pattern::parse(text)?;
    let targets = world.bus.rules.remove(name).map(|rule| rule.targets).unwrap_or_default();
    let rule = Rule { pattern, text: text.to_owned(), enabled, targets };
    world.bus.rules.insert(name.to_owned(), rule);
    Ok(())
}

/// Adds a target to a rule: the ARN of a queue, or of a function.
pub fn put_target(world: &mut World, rule: &str, id: &str, arn: &str) -> Answer<()> {
    let rule = world.bus.rules.get_mut(rule).ok_or_else(|| missing(rule))?;
    rule.targets.insert(id.to_owned(), arn.to_owned());
    Ok(())
}

/// What is said of a rule that is not there.
pub fn missing(rule: &str) -> Refusal {
    let message = format!("Rule {rule} does not exist on EventBus default.");
    Refusal::new(400, "ResourceNotFoundException", message)
}

/// Puts an event on the bus.
pub fn put(world: &mut World, event: BusEvent) {
    world.later(DELAY, Task::BusEvent(event));
}

/// Matches an event and hands it to the targets.
pub fn deliver(world: &mut World, event: BusEvent) {
    let envelope = event.to_json();
    let rules = world.bus.rules.iter();
    if world.config.bus_elsewhere {
        world.parcels.event(envelope);
        return;
    }
    let (account, region) = (&world.config.account, &world.config.region);
    let mut targets: Vec<(String, String)> = Vec::new();
    for (name, rule) in rules {
        if rule.enabled && rule.pattern.matches(&envelope) {
            let source = format!("arn:aws:events:{region}:{account}:rule/{name}");
            targets.extend(rule.targets.values().map(|arn| (source.clone(), arn.clone())));
        }
    }
    world.bus.matched.0 += 1;
    for (source, arn) in targets {
        world.bus.matched.1 += 1;
        let twice = world.faults.duplicate_per_mille;
        let twice = twice > 0 && world.rng.below(1_000) < twice;
        for _ in 0..=u8::from(twice) {
            if arn.contains(":sqs:") {
                // A queue that is gone loses the event, as a target without dead letters does.
                let sender = Sender { service: "events.amazonaws.com", source: &source };
                parcel::hand(world, sender, &arn, envelope.to_string());
            } else {
                lambda::invoke(world, lambda::function_of(&arn), envelope.clone());
            }
        }
    }
}
