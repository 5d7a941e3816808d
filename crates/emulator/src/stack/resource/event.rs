//! Buses, and what wakes a function: a queue, a schedule, a rule.

use serde_json::Value;

use super::function::known_queue;
use super::storage::end;
use super::{Made, Site};
use crate::stack::error::{Done, StackError};
use crate::stack::fields::Fields;
use crate::stack::template::{self, WAKES};
use crate::world::bus::{self, Target};
use crate::world::lambda::{self, Mapping};
use crate::world::{World, schedule};

/// More messages in a batch need a window (Lambda: CreateEventSourceMapping).
const BATCH_WITHOUT_WINDOW: u64 = 10;
const BATCH_MAX: u64 = 10_000;
const WINDOW_MAX_S: u64 = 300;

pub(super) fn bus(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let name = site.physical(fields, "Name", 256)?;
    fields.pass(&["Description", "Tags"]);
    end(fields)?;
    if site.old.is_none() {
        bus::create(world, &name).map_err(|refusal| site.refused(&refusal))?;
    }
    let arn = bus::bus_arn(world, &name);
    Ok(Made::named(&name).with("Arn", arn).with("Name", name))
}

pub(super) fn remove_bus(world: &mut World, id: &str, made: &Made) -> Done<()> {
    bus::delete(world, &made.name).map_err(|refusal| StackError::refused(id, &refusal))
}

/// The name of the function that an event wakes, and its ARN.
fn woken(fields: &mut Fields) -> Done<(String, String)> {
    let arn = fields.required(WAKES)?;
    Ok((lambda::function_of(&arn).to_owned(), arn))
}

pub(super) fn mapping(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let queue = fields.required("Queue")?;
    known_queue(world, &queue).map_err(|what| fields.wrong("Queue", what))?;
    let (function, _) = woken(fields)?;
    let size = fields.number("BatchSize")?.unwrap_or(BATCH_WITHOUT_WINDOW);
    let window = fields.number("MaximumBatchingWindowInSeconds")?.unwrap_or(0);
    if !(1..=BATCH_MAX).contains(&size) || (size > BATCH_WITHOUT_WINDOW && window == 0) {
        let what = "it must be 1 to 10000, and more than 10 need MaximumBatchingWindowInSeconds";
        return Err(fields.wrong("BatchSize", what));
    }
    if window > WINDOW_MAX_S {
        return Err(fields.wrong("MaximumBatchingWindowInSeconds", "it must be 0 to 300"));
    }
    let mut report_failures = false;
    for answer in fields.texts("FunctionResponseTypes")? {
        if answer != "ReportBatchItemFailures" {
            return Err(fields.wrong("FunctionResponseTypes", format!("{answer} is unknown")));
        }
        report_failures = true;
    }
    // Batches come one after the other here, which is within every limit that a mapping can have.
    if let Some(mut scaling) = fields.object("ScalingConfig")? {
        let most = scaling.number("MaximumConcurrency")?.unwrap_or(2);
        if !(2..=1_000).contains(&most) {
            return Err(scaling.wrong("MaximumConcurrency", "it must be 2 to 1000"));
        }
        scaling.finish()?;
    }
    end(fields)?;
    let hidden = world.queues.get(&queue).map_or(0, |queue| queue.visibility);
    let runs = world.lambda.function(&function).map_or(0, |function| function.timeout);
    if hidden < runs {
        let what = format!(
            "Queue visibility timeout: {} seconds is less than Function timeout: {} seconds",
            hidden / 1_000,
            runs / 1_000
        );
        return Err(StackError::new(&site.resource.at, what));
    }
    if site.old.is_none() && world.lambda.mappings().any(|it| it.queue == queue) {
        return Err(StackError::new(&site.resource.at, "the queue wakes a function already"));
    }
    let batch_size = usize::try_from(size).unwrap_or(usize::MAX);
    let window = window * 1_000;
    let mapping = Mapping { queue: queue.clone(), function, batch_size, window, report_failures };
    lambda::map(world, mapping).map_err(|refusal| site.refused(&refusal))?;
    Ok(Made::named(&queue))
}

pub(super) fn schedule(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let name = fields.text("Name")?.unwrap_or_else(|| site.name(64));
    let (function, _) = woken(fields)?;
    let expression = fields.required("ScheduleExpression")?;
    let input = given(fields)?;
    if let Some(mut window) = fields.object("FlexibleTimeWindow")? {
        let mode = window.required("Mode")?;
        if mode != "OFF" {
            return Err(window.wrong("Mode", format!("{mode} is not emulated; OFF is")));
        }
        window.finish()?;
    }
    let enabled = is_enabled(fields)?;
    dead_letters(world, fields)?;
    let role = fields.text("RoleArn")?;
    if role.as_ref().is_some_and(|role| !world.iam.trusts(role, "scheduler.amazonaws.com")) {
        let what = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.";
        return Err(fields.wrong("RoleArn", what));
    }
    // A function takes every asynchronous call, so that there is nothing to try again.
    fields.pass(&["Description", "OmitName", "RetryPolicy"]);
    end(fields)?;
    schedule::delete(world, &name);
    if enabled {
        let made = schedule::create(world, &name, &expression, &function, input);
        made.map_err(|refusal| site.refused(&refusal))?;
        if let Some(role) = role {
            schedule::assume(world, &name, &role);
        }
    }
    Ok(Made::named(&name))
}

pub(super) fn rule(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let name = fields.text("RuleName")?.unwrap_or_else(|| site.name(64));
    let (_, function) = woken(fields)?;
    let bus = fields.text("EventBusName")?.unwrap_or_default();
    let pattern = fields.take("Pattern").unwrap_or_default().to_string();
    let input = given(fields)?;
    let enabled = is_enabled(fields)?;
    let target = Target { arn: function, input, dead_letters: dead_letters(world, fields)? };
    fields.pass(&["RetryPolicy"]);
    end(fields)?;
    if let Some(old) = site.old {
        remove_rule(world, old);
    }
    let refused = |refusal| site.refused(&refusal);
    bus::put_rule(world, &bus, &name, &pattern, enabled).map_err(refused)?;
    bus::put_target(world, (&bus, &name), site.id, target).map_err(refused)?;
    let arn = bus::rule_arn(world, &bus, &name);
    let made = Made::named(&name).with("Arn", arn).with("Name", name);
    Ok(made.with("EventBusName", bus::name_of(&bus)))
}

/// What the function is given instead of the event.
fn given(fields: &mut Fields) -> Done<Option<Value>> {
    let Some(text) = fields.text("Input")? else { return Ok(None) };
    let input = serde_json::from_str::<Value>(&text);
    input.map(Some).map_err(|why| fields.wrong("Input", format!("it is no JSON: {why}")))
}

fn is_enabled(fields: &mut Fields) -> Done<bool> {
    match fields.text("State")?.as_deref() {
        None | Some("ENABLED") => Ok(true),
        Some("DISABLED") => Ok(false),
        Some(other) => Err(fields.wrong("State", format!("{other} is not emulated"))),
    }
}

/// The queue of what could not be handed over.
fn dead_letters(world: &World, fields: &mut Fields) -> Done<Option<String>> {
    let Some(mut config) = fields.object("DeadLetterConfig")? else { return Ok(None) };
    let arn = config.required("Arn")?;
    known_queue(world, &arn).map_err(|what| config.wrong("Arn", what))?;
    config.finish()?;
    Ok(Some(arn))
}

fn remove_rule(world: &mut World, made: &Made) {
    let bus = made.attributes.get("EventBusName").and_then(Value::as_str).unwrap_or_default();
    if let Ok(rules) = world.bus.rules_mut(bus) {
        rules.remove(&made.name);
    }
}

pub(super) fn remove(world: &mut World, made: &Made) -> Done<()> {
    match made.kind.as_str() {
        template::MAPPING => lambda::unmap(world, &made.name),
        template::SCHEDULE => {
            schedule::delete(world, &made.name);
        }
        _ => remove_rule(world, made),
    }
    Ok(())
}
