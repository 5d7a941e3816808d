//! EventBridge Scheduler: `rate(…)` schedules that wake a function. `cron(…)` and `at(…)` are refused.
//!
//! An input may name what only the occurrence knows: `<aws.scheduler.scheduled-time>`,
//! `<aws.scheduler.execution-id>`, `<aws.scheduler.attempt-number>` and `<aws.scheduler.schedule-arn>`
//! (EventBridge Scheduler User Guide: adding context attributes).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::agenda::Task;
use super::refusal::{Answer, Refusal};
use super::{Millis, World, access, lambda};

/// One schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Milliseconds from one occurrence to the next.
    pub every: Millis,
    /// The next occurrence: what the agenda has of a schedule of this name that was deleted comes at
    /// another time.
    due: Millis,
    /// The function that it wakes.
    pub function: String,
    /// What the function is given, with what only the occurrence knows left open; without it, a scheduled
    /// event with the occurrence's time.
    pub input: Option<Value>,
    /// The role under which the function is called, an ARN; without one, nobody asks.
    pub role: Option<String>,
}

/// All schedules, by name.
#[derive(Debug, Default)]
pub struct Schedules {
    schedules: BTreeMap<String, Schedule>,
}

impl Schedules {
    /// All schedules, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Schedule)> {
        self.schedules.iter().map(|(name, schedule)| (name.as_str(), schedule))
    }
}

/// Makes a schedule; its first occurrence is at once (EventBridge Scheduler User Guide: schedule-types).
pub fn create(
    world: &mut World,
    name: &str,
    expression: &str,
    function: &str,
    input: Option<Value>,
) -> Answer<()> {
    let every = rate(expression)?;
    if world.schedules.schedules.contains_key(name) {
        let message = format!("Schedule {name} already exists.");
        return Err(Refusal::new(409, "ConflictException", message));
    }
    let due = world.now;
    let function = function.to_owned();
    let schedule = Schedule { every, due, function, input, role: None };
    world.schedules.schedules.insert(name.to_owned(), schedule);
    world.later(0, Task::Schedule(name.to_owned()));
    Ok(())
}

/// Lets a schedule call its function under a role. False if there is no such schedule.
pub fn assume(world: &mut World, name: &str, role: &str) -> bool {
    let schedule = world.schedules.schedules.get_mut(name);
    schedule.map(|schedule| schedule.role = Some(role.to_owned())).is_some()
}

/// Whether the role of a schedule, if it has one, lets it call the function.
fn may_call(world: &World, role: Option<&str>, function: &str) -> bool {
    let Some(role) = role else { return true };
    let (region, account) = (&world.config.region, &world.config.account);
    let arn = format!("arn:aws:lambda:{region}:{account}:function:{function}");
    world.iam.trusts(role, "scheduler.amazonaws.com")
        && access::own(world, role, ("lambda:InvokeFunction", &arn), &[])
}

/// Deletes a schedule; occurrences that are due are forgotten.
pub fn delete(world: &mut World, name: &str) -> bool {
    world.schedules.schedules.remove(name).is_some()
}

/// The texts of an input, with what only the occurrence knows.
fn filled(input: &Value, attributes: &[(&str, &str)]) -> Value {
    match input {
        Value::String(text) => {
            let fill = |text: String, (name, value): &(&str, &str)| {
                text.replace(&format!("<aws.scheduler.{name}>"), value)
            };
            Value::String(attributes.iter().fold(text.clone(), fill))
        }
        Value::Array(list) => list.iter().map(|one| filled(one, attributes)).collect(),
        Value::Object(fields) => {
            let each = |(name, value): (&String, &Value)| (name.clone(), filled(value, attributes));
            Value::Object(fields.iter().map(each).collect())
        }
        other => other.clone(),
    }
}

/// One occurrence.
pub fn fire(world: &mut World, name: &str) {
    let now = world.now;
    let Some(schedule) = world.schedules.schedules.get_mut(name).filter(|s| s.due <= now) else {
        return;
    };
    schedule.due = now + schedule.every;
    let Schedule { every, function, input, role, .. } = schedule.clone();
    let id = world.rng.uuid();
    let time = lambda::rfc3339(now);
    let (region, account) = (&world.config.region, &world.config.account);
    let arn = format!("arn:aws:scheduler:{region}:{account}:schedule/default/{name}");
    let attributes = [
        ("scheduled-time", time.as_str()),
        ("execution-id", &id),
        ("attempt-number", "1"),
        ("schedule-arn", &arn),
    ];
    let payload = input.map(|input| filled(&input, &attributes)).unwrap_or_else(|| {
        json!({
            "version": "0",
            "id": id,
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": account,
            "time": time,
            "region": region,
            "resources": [arn],
            "detail": {},
        })
    });
    if lambda::is_there(world, &function) && may_call(world, role.as_deref(), &function) {
        lambda::invoke(world, &function, payload);
    } else {
        tracing::debug!(schedule = name, function, "a schedule could not call its function");
    }
    world.later(every, Task::Schedule(name.to_owned()));
}

fn rate(expression: &str) -> Answer<Millis> {
    let refuse = || {
        let message = format!("{expression} is not rate(<number> minutes|hours|days)");
        Refusal::new(400, "ValidationException", message)
    };
    let inner = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
    let (number, unit) = inner.and_then(|inner| inner.split_once(' ')).ok_or_else(refuse)?;
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let unit = match unit {
        "minute" | "minutes" => 60_000,
        "hour" | "hours" => 3_600_000,
        "day" | "days" => 86_400_000,
        _ => return Err(refuse()),
    };
    if number == 0 { Err(refuse()) } else { Ok(number * unit) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::world::Config;

    #[test]
    fn an_input_is_given_what_only_the_occurrence_knows() {
        let mut world = World::new(Config::default());
        let input = json!({"time": "<aws.scheduler.scheduled-time>", "list": ["<x>", 1]});
        create(&mut world, "s", "rate(1 hour)", "f", Some(input)).unwrap();
        world.advance_to(world.now + 3_600_000);
        for hour in ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"] {
            let given = world.take_invocation().unwrap().payload;
            assert_eq!(given, json!({"time": hour, "list": ["<x>", 1]}));
        }
    }

    #[test]
    fn a_schedule_that_was_made_again_fires_once_a_period() {
        let mut world = World::new(Config::default());
        let from = world.now;
        create(&mut world, "s", "rate(1 hour)", "f", None).unwrap();
        assert!(delete(&mut world, "s"));
        world.advance_to(from + 60_000);
        create(&mut world, "s", "rate(1 hour)", "f", None).unwrap();
        world.advance_to(from + 3 * 3_600_000 + 60_000);
        let fired = std::iter::from_fn(|| world.take_invocation()).count();
        assert_eq!(fired, 4, "at once, and three times more");
    }
}
