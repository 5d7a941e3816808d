//! What a test asks of the emulator itself, under `/_resilver/`, which no bucket can be called:
//!
//! | | |
//! |---|---|
//! | `GET`, `POST clock` | the world's time; `{"advance_ms": n}` moves it on |
//! | `GET`, `POST`, `DELETE faults` | faults as data: adds, or forgets all |
//! | `GET`, `POST settings` | the delays, and the answers to what AWS leaves open |
//! | `POST reset` | an empty world with the settings of its beginning, at the time that it is |
//! | `GET unimplemented` | what was asked for and is not emulated, and how often |
//!
//! Requests are not signed: whoever can reach the port can do this.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::message::set;
use super::operation::Asked;
use crate::world::fault::{Rule, Service, Verdict};
use crate::world::notification::stamp::iso;
use crate::world::{Config, Millis, World, jobs};

/// The path of everything here.
pub(super) const PREFIX: &str = "/_resilver/";

/// The longest jump of the clock: a hundred years.
const JUMP_MAX: Millis = 100 * 366 * 86_400_000;

/// The longest delay: a year.
const DELAY_MAX: Millis = 366 * 86_400_000;

/// What was asked for and is not emulated.
#[derive(Debug, Default)]
pub(super) struct Unimplemented(BTreeMap<(Service, String), u64>);

impl Unimplemented {
    /// Counts a request that was answered `NotImplemented`.
    pub(super) fn count(&mut self, asked: &Asked) {
        let operation = match asked.operation.as_str() {
            "" => asked.path.clone(),
            name => name.to_owned(),
        };
        *self.0.entry((asked.service, operation)).or_default() += 1;
    }

    fn told(&self) -> Value {
        let each = self.0.iter().map(|((service, operation), times)| {
            json!({ "service": service, "operation": operation, "times": times })
        });
        Value::Array(each.collect())
    }
}

/// An order to move the clock.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: Millis,
}

/// Faults to add.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Faults {
    rules: Vec<Rule>,
    duplicate_per_mille: Option<u64>,
    reorder_per_mille: Option<u64>,
}

/// What can be set while a world runs. What is not given stays as it is.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    trail: Option<bool>,
    replication_delay_ms: Option<Millis>,
    notification_delay_ms: Option<Millis>,
    trail_delay_ms: Option<Millis>,
    job_step_ms: Option<Millis>,
    job_tasks_per_step: Option<usize>,
    active_jobs_max: Option<usize>,
    report_rows_per_file: Option<usize>,
    batch_failure_events: Option<bool>,
    succeeded_means_initiated: Option<bool>,
    not_pending_is_reported: Option<bool>,
}

impl Settings {
    fn of(world: &World) -> Self {
        let (config, jobs) = (&world.config, &world.jobs);
        Self {
            trail: Some(config.trail),
            replication_delay_ms: Some(config.replication_delay),
            notification_delay_ms: Some(config.notification_delay),
            trail_delay_ms: Some(config.trail_delay),
            job_step_ms: Some(config.job_step),
            job_tasks_per_step: Some(config.job_tasks_per_step),
            active_jobs_max: Some(config.active_jobs_max),
            report_rows_per_file: Some(jobs.report_rows_per_file),
            batch_failure_events: Some(jobs.batch_failure_events),
            succeeded_means_initiated: Some(jobs.succeeded_means_initiated),
            not_pending_is_reported: Some(jobs.not_pending_is_reported),
        }
    }

    fn check(&self) -> Result<(), Wrong> {
        let delays = [
            self.replication_delay_ms,
            self.notification_delay_ms,
            self.trail_delay_ms,
            self.job_step_ms,
        ];
        if delays.into_iter().flatten().all(|delay| delay <= DELAY_MAX) {
            return Ok(());
        }
        let message = format!("a delay has at most {DELAY_MAX} milliseconds");
        Err((StatusCode::BAD_REQUEST, message, "give a shorter one"))
    }

    fn apply(self, world: &mut World) {
        fn put<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        let (config, jobs) = (&mut world.config, &mut world.jobs);
        put(&mut config.trail, self.trail);
        put(&mut config.replication_delay, self.replication_delay_ms);
        put(&mut config.notification_delay, self.notification_delay_ms);
        put(&mut config.trail_delay, self.trail_delay_ms);
        // A step that took no time would never let the clock go on.
        put(&mut config.job_step, self.job_step_ms.map(|ms| ms.max(1)));
        put(&mut config.job_tasks_per_step, self.job_tasks_per_step);
        put(&mut config.active_jobs_max, self.active_jobs_max);
        put(&mut jobs.report_rows_per_file, self.report_rows_per_file);
        put(&mut jobs.batch_failure_events, self.batch_failure_events);
        put(&mut jobs.succeeded_means_initiated, self.succeeded_means_initiated);
        put(&mut jobs.not_pending_is_reported, self.not_pending_is_reported);
    }
}

/// Answers one request.
pub(super) fn handle(
    world: &mut World,
    unimplemented: &mut Unimplemented,
    initial: &Config,
    request: &Request<Bytes>,
) -> Response<Bytes> {
    let what = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let (status, body) =
        match run(world, unimplemented, initial, (request.method(), what), request.body()) {
            Ok(body) => (StatusCode::OK, body),
            Err((status, message, next)) => {
                (status, json!({ "error": { "message": message, "next": next } }))
            }
        };
    let mut response = Response::new(Bytes::from(format!("{body}\n")));
    *response.status_mut() = status;
    set(&mut response, "content-type", "application/json");
    response
}

/// What is wrong, and what to send instead.
type Wrong = (StatusCode, String, &'static str);

fn run(
    world: &mut World,
    unimplemented: &mut Unimplemented,
    initial: &Config,
    (method, what): (&Method, &str),
    body: &[u8],
) -> Result<Value, Wrong> {
    match (method, what) {
        (&Method::GET, "clock") => Ok(clock(world)),
        (&Method::POST, "clock") => {
            let asked: Advance = read(body, "send {\"advance_ms\": 60000}")?;
            world.advance_to(world.now().saturating_add(asked.advance_ms.min(JUMP_MAX)));
            Ok(clock(world))
        }
        (&Method::GET, "faults") => Ok(faults(world)),
        (&Method::POST, "faults") => {
            let next = "send {\"rules\": [{\"service\": \"s3\", \"operation\": \"PutObject\", \"verdict\": {\"refuse\": {\"code\": \"SlowDown\", \"status\": 503}}, \"times\": 2}]}";
            let asked: Faults = read(body, next)?;
            let odd = |rule: &&Rule| matches!(rule.verdict, Verdict::Refuse { status, .. } if !(400..600).contains(&status));
            if asked.rules.iter().find(odd).is_some() {
                let message = "a refusal has a status from 400 to 599".to_owned();
                return Err((StatusCode::BAD_REQUEST, message, next));
            }
            let rates = [asked.duplicate_per_mille, asked.reorder_per_mille];
            if rates.into_iter().flatten().any(|rate| rate > 1_000) {
                let message = "a rate has 1000 per mille at most".to_owned();
                return Err((StatusCode::BAD_REQUEST, message, next));
            }
            world.faults.rules.extend(asked.rules);
            let (duplicate, reorder) = (asked.duplicate_per_mille, asked.reorder_per_mille);
            world.faults.duplicate_per_mille =
                duplicate.unwrap_or(world.faults.duplicate_per_mille);
            world.faults.reorder_per_mille = reorder.unwrap_or(world.faults.reorder_per_mille);
            Ok(faults(world))
        }
        (&Method::DELETE, "faults") => {
            world.faults = Default::default();
            Ok(faults(world))
        }
        (&Method::GET, "settings") => Ok(json!(Settings::of(world))),
        (&Method::POST, "settings") => {
            let next = "GET /_resilver/settings names them all";
            let settings: Settings = read(body, next)?;
            settings.check()?;
            settings.apply(world);
            // There may be more places for jobs than before.
            jobs::wake(world);
            Ok(json!(Settings::of(world)))
        }
        (&Method::POST, "reset") => {
            *world = World::new(Config { start: world.now(), ..initial.clone() });
            *unimplemented = Unimplemented::default();
            Ok(clock(world))
        }
        (&Method::GET, "unimplemented") => Ok(unimplemented.told()),
        _ => Err((
            StatusCode::NOT_FOUND,
            format!("there is no {method} {PREFIX}{what}"),
            "there are clock, faults, settings, reset and unimplemented",
        )),
    }
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8], next: &'static str) -> Result<T, Wrong> {
    serde_json::from_slice(body).map_err(|why| (StatusCode::BAD_REQUEST, why.to_string(), next))
}

fn clock(world: &World) -> Value {
    json!({ "now_ms": world.now(), "now": iso(world.now()), "next_due_ms": world.next_due() })
}

fn faults(world: &World) -> Value {
    json!({
        "rules": world.faults.rules,
        "duplicate_per_mille": world.faults.duplicate_per_mille,
        "reorder_per_mille": world.faults.reorder_per_mille,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn ask(world: &mut World, method: &str, what: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(format!("{PREFIX}{what}"));
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let initial = Config::default();
        let response = handle(world, &mut Unimplemented::default(), &initial, &request);
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
    }

    #[test]
    fn the_clock_moves_on_and_never_back() {
        let mut world = World::new(Config::default());
        let before = world.now();
        let (status, told) = ask(&mut world, "POST", "clock", r#"{"advance_ms": 60000}"#);
        assert_eq!((status, told["now_ms"].as_u64()), (200, Some(before + 60_000)));
        assert_eq!(ask(&mut world, "POST", "clock", r#"{"advance_ms": -1}"#).0, 400);
        let far = ask(&mut world, "POST", "clock", r#"{"advance_ms": 18446744073709551615}"#);
        assert_eq!(far.0, 200, "a jump has an end");
    }

    #[test]
    fn faults_are_data_there_and_back() {
        let mut world = World::new(Config::default());
        let rules = r#"{"rules":[
            {"service":"s3","operation":"PutObject","verdict":{"refuse":{"code":"SlowDown","status":503}},"times":2},
            {"service":"sqs","verdict":{"delay_ms":5}},
            {"service":"s3control","verdict":"lose_reply","skip":1}],"duplicate_per_mille":1000}"#;
        let (status, told) = ask(&mut world, "POST", "faults", rules);
        assert_eq!((status, told["rules"].as_array().map(Vec::len)), (200, Some(3)), "{told}");
        assert_eq!(world.faults.rules[1].verdict, Verdict::Delay(5));
        assert_eq!((world.faults.rules[2].times, world.faults.duplicate_per_mille), (1, 1_000));
        let (status, told) = ask(&mut world, "POST", "faults", r#"{"rules":[{"service":"ec2"}]}"#);
        assert_eq!(status, 400, "{told}");
        assert!(told["error"]["next"].as_str().unwrap().contains("\"verdict\""));
        assert_eq!(ask(&mut world, "DELETE", "faults", "").1["rules"], json!([]));
    }

    #[test]
    fn settings_that_are_not_given_stay() {
        let mut world = World::new(Config::default());
        let before = Settings::of(&world);
        let (status, _) = ask(&mut world, "POST", "settings", r#"{"trail": false}"#);
        assert_eq!(status, 200);
        assert_eq!(Settings::of(&world), Settings { trail: Some(false), ..before });
        assert_eq!(ask(&mut world, "POST", "settings", r#"{"trial": false}"#).0, 400);
    }
}
