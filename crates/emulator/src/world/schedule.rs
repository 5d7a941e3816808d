//! EventBridge Scheduler: `rate(…)` schedules that wake a function. `cron(…)` and `at(…)` are refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::agenda::Task;
use super::refusal::{Answer, Refusal};
use super::{Millis, World, lambda};

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
    /// What the function is given; without it, a scheduled event with the occurrence's time.
    pub input: Option<Value>,
}

/// All schedules, by name.
#[derive(Debug, Default)]
pub struct Schedules {
    schedules: BTreeMap<String, Schedule>,
}

/// Makes a schedule; its first occurrence is one period from now.
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
    let due = world.now + every;
    let schedule = Schedule { every, due, function: function.to_owned(), input };
    world.schedules.schedules.insert(name.to_owned(), schedule);
    world.later(every, Task::Schedule(name.to_owned()));
    Ok(())
}

/// Deletes a schedule; occurrences that are due are forgotten.
pub fn delete(world: &mut World, name: &str) -> bool {
    world.schedules.schedules.remove(name).is_some()
}

/// One occurrence.
pub fn fire(world: &mut World, name: &str) {
    let now = world.now;
    let Some(schedule) = world.schedules.schedules.get_mut(name).filter(|s| s.due <= now) else {
        return;
    };
    schedule.due = now + schedule.every;
    let Schedule { every, function, input, .. } = schedule.clone();
    let id = world.rng.uuid();
    let payload = input.unwrap_or_else(|| {
        json!({
            "version": "0",
            "id": id,
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": world.config.account,
            "time": lambda::rfc3339(world.now),
            "region": world.config.region,
            "resources": [format!("arn:aws:scheduler:{}:{}:schedule/default/{name}", world.config.region, world.config.account)],
            "detail": {},
        })
    });
    lambda::invoke(world, &function, payload);
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
    fn a_schedule_that_was_made_again_fires_once_a_period() {
        let mut world = World::new(Config::default());
        let from = world.now;
        create(&mut world, "s", "rate(1 hour)", "f", None).unwrap();
        assert!(delete(&mut world, "s"));
        world.advance_to(from + 60_000);
        create(&mut world, "s", "rate(1 hour)", "f", None).unwrap();
        world.advance_to(from + 3 * 3_600_000 + 60_000);
        let fired = std::iter::from_fn(|| world.take_invocation()).count();
        assert_eq!(fired, 3);
    }
}
