//! Functions: the role, the environment and what becomes of what they do not manage. Their code is somebody
//! else's.

use std::collections::BTreeMap;

use super::storage::end;
use super::{Made, Site};
use crate::stack::error::{Done, StackError};
use crate::stack::fields::{Fields, text_of};
use crate::world::iam::Session;
use crate::world::lambda::{self, Function};
use crate::world::{World, queue};

/// Unless a function says otherwise: seconds that it may run (SAM: Timeout).
const TIMEOUT_S: u64 = 3;
/// Seconds from the first attempt to the second and to the third (Lambda Developer Guide:
/// invocation-async-error-handling).
const ATTEMPTS_S: [u64; 2] = [60, 180];
/// Seconds that an event waits at most, unless the function says otherwise: six hours.
const AGE_S: u64 = 21_600;

pub(super) fn put(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let name = site.physical(fields, "FunctionName", 64)?;
    let role = fields.required("Role")?;
    if !world.iam.trusts(&role, "lambda.amazonaws.com") {
        let what = "The role defined for the function cannot be assumed by Lambda.";
        return Err(fields.wrong("Role", what));
    }
    let Some(code) = site.resource.binary.clone() else {
        let at = format!("{}.Metadata.BuildProperties.Binary", site.id);
        return Err(StackError::new(at, "it is missing; name the binary that the function is"));
    };
    let timeout = fields.number("Timeout")?.unwrap_or(TIMEOUT_S) * 1_000;
    let traced = match fields.text("Tracing")?.as_deref() {
        Some("Active") => true,
        None | Some("PassThrough") => false,
        Some(other) => return Err(fields.wrong("Tracing", format!("{other} is not emulated"))),
    };
    let log_group = match fields.object("LoggingConfig")? {
        None => format!("/aws/lambda/{name}"),
        Some(mut logging) => {
            let group = logging.required("LogGroup")?;
            logging.pass(&["ApplicationLogLevel", "LogFormat", "SystemLogLevel"]);
            logging.finish()?;
            group
        }
    };
    let environment = environment(fields)?;
    let (retries, on_failure) = invocations(world, fields)?;
    let dead_letters = match fields.object("DeadLetterQueue")? {
        None => None,
        Some(dead) => Some(sqs(world, dead, "TargetArn")?),
    };
    fields.pass(&["Architectures", "CodeUri", "Description", "Handler", "MemorySize", "Runtime"]);
    fields.pass(&["Tags"]);
    end(fields)?;
    let key = format!("ASIA{}", super::super::digest(&[&role, &name], 16));
    let secret = super::super::digest(&[&role, &name, "secret"], 32);
    let session = Session { role: role.clone(), name: name.clone(), secret: secret.clone() };
    world.iam.open_session(key.clone(), session);
    let function = Function {
        name: name.clone(),
        role,
        keys: (key, secret),
        code,
        environment,
        timeout,
        traced,
        log_group,
        retries,
        on_failure,
        dead_letters,
    };
    let arn = function.arn(&world.config.region);
    lambda::put(world, function);
    Ok(Made::named(&name).with("Arn", arn))
}

fn environment(fields: &mut Fields) -> Done<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    let Some(mut environment) = fields.object("Environment")? else { return Ok(all) };
    let at = environment.at("Variables");
    if let Some(variables) = environment.object("Variables")? {
        for (name, value) in variables.rest() {
            let no_text = || StackError::new(format!("{at}.{name}"), "it must be a text");
            let text = text_of(&value).ok_or_else(no_text)?;
            all.insert(name, text);
        }
    }
    environment.finish()?;
    Ok(all)
}

/// How often an asynchronous invocation is tried again, and who is told when that is over.
fn invocations(world: &World, fields: &mut Fields) -> Done<(usize, Option<String>)> {
    let Some(mut config) = fields.object("EventInvokeConfig")? else {
        return Ok((ATTEMPTS_S.len(), None));
    };
    let retries = config.number("MaximumRetryAttempts")?.unwrap_or(ATTEMPTS_S.len() as u64);
    if retries > ATTEMPTS_S.len() as u64 {
        return Err(config.wrong("MaximumRetryAttempts", "it must be 0, 1 or 2"));
    }
    let age = config.number("MaximumEventAgeInSeconds")?.unwrap_or(AGE_S);
    let young = ATTEMPTS_S.iter().take_while(|at| **at <= age).count();
    let retries = young.min(usize::try_from(retries).unwrap_or_default());
    let mut on_failure = None;
    if let Some(mut destinations) = config.object("DestinationConfig")? {
        if let Some(failure) = destinations.object("OnFailure")? {
            on_failure = Some(sqs(world, failure, "Destination")?);
        }
        destinations.finish()?;
    }
    config.finish()?;
    Ok((retries, on_failure))
}

/// A queue that takes what went wrong; other services do not.
fn sqs(world: &World, mut fields: Fields, name: &str) -> Done<String> {
    let kind = fields.text("Type")?.unwrap_or_else(|| "SQS".to_owned());
    if kind != "SQS" {
        return Err(fields.wrong("Type", format!("{kind} is not emulated; SQS is")));
    }
    let arn = fields.required(name)?;
    known_queue(world, &arn).map_err(|what| fields.wrong(name, what))?;
    fields.finish()?;
    Ok(arn)
}

/// Whether an ARN is that of a queue that is there.
pub(super) fn known_queue(world: &World, arn: &str) -> Result<(), String> {
    match world.queues.get(arn).filter(|queue: &&queue::Queue| queue.arn == arn) {
        Some(_) => Ok(()),
        None => Err(format!("there is no queue {arn}")),
    }
}

pub(super) fn remove(world: &mut World, made: &Made) -> Done<()> {
    lambda::delete(world, &made.name);
    Ok(())
}
