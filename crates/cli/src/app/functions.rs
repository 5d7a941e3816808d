//! The functions, in process: which binary of a template is which handler, and its cold start from nothing
//! but the environment and the session that the template gives it.

use std::collections::BTreeSet;

use resilver_aws::clients::Place;
use resilver_aws::{Clients, Metrics, Settings, SettingsError, Woken};
use resilver_emulator::Emulator;
use resilver_emulator::world::Config;
use resilver_emulator::world::lambda::{Function, Invocation};
use resilver_heal::limits::Limits;
use resilver_heal::time::Timestamp;
use serde_json::{Value, json};

/// What the name of every binary begins with.
const BINARY: &str = "resilver-";

/// A function that has started.
#[derive(Debug, Clone)]
pub(super) enum Handler {
    Collect(resilver_collect::Ctx),
    Launch(resilver_launch::Ctx),
    Settle(resilver_settle::Ctx),
    Notify(resilver_notify::Ctx),
    Enroll(resilver_enroll::Ctx),
    Backfill(resilver_backfill::Ctx),
}

/// What a function is called among people: `launch`.
pub(super) fn short(binary: &str) -> &str {
    binary.strip_prefix(BINARY).unwrap_or(binary)
}

impl Handler {
    /// The cold start of a function, as its `main` has it.
    ///
    /// # Errors
    /// When a setting is missing or wrong, or there is no such binary.
    pub(super) fn start(
        emulator: &Emulator,
        function: &Function,
        metrics: &Metrics,
    ) -> Result<Self, SettingsError> {
        let mut settings = Settings::given(function.environment.clone());
        let handler = Self::begin(emulator, (&function.code, &function.keys), &mut settings);
        let handler = handler.ok_or_else(|| {
            let what = format!("{} is none of Resilver's functions", function.code);
            SettingsError(vec![what])
        })?;
        settings.finish()?;
        Ok(match handler {
            Self::Launch(ctx) => Self::Launch(ctx.measured(metrics.clone())),
            other => other,
        })
    }

    fn begin(
        emulator: &Emulator,
        (code, (key, secret)): (&str, &(String, String)),
        settings: &mut Settings,
    ) -> Option<Self> {
        let account = settings.required("RESILVER_ACCOUNT");
        let region = emulator.with(|world| world.config.region.clone());
        let place = Place {
            endpoint: Emulator::ENDPOINT,
            region: &region,
            account: &account,
            keys: (key, secret),
        };
        let clients = Clients::at(&place, emulator.http_client());
        Some(match short(code) {
            "collect" => Self::Collect(resilver_collect::Ctx::new(clients, settings)),
            "launch" => Self::Launch(resilver_launch::Ctx::new(clients, settings)),
            "settle" => Self::Settle(resilver_settle::Ctx::new(clients, settings)),
            "notify" => Self::Notify(resilver_notify::Ctx::new(clients, settings)),
            "enroll" => Self::Enroll(resilver_enroll::Ctx::new(clients, settings)),
            "backfill" => Self::Backfill(resilver_backfill::Ctx::new(clients, settings)),
            _ => return None,
        })
    }

    /// Runs it once.
    pub(super) async fn run(&self, invocation: &Invocation) -> Result<Value, String> {
        let Invocation { id, payload, time, .. } = invocation;
        let woken = || Woken::of(payload, id).map_err(|why| why.to_string());
        match self {
            Self::Collect(ctx) => {
                let batch =
                    serde_json::from_value(payload.clone()).map_err(|why| why.to_string())?;
                let woken = Woken::at(Timestamp(*time), id);
                Ok(json!(resilver_collect::handle(ctx, &woken, batch).await))
            }
            Self::Launch(ctx) => {
                // What it holds while it waits is too large for the stack of a test.
                text(Box::pin(resilver_launch::handle(ctx, &woken()?, payload)).await)
            }
            Self::Settle(ctx) => text(resilver_settle::handle(ctx, &woken()?, payload).await),
            Self::Notify(ctx) => {
                text(resilver_notify::handle(ctx, Timestamp(*time), payload).await)
            }
            Self::Enroll(ctx) => {
                let woken = resilver_enroll::woken(payload, id, Timestamp(*time));
                text(resilver_enroll::handle(ctx, &woken, payload).await)
            }
            Self::Backfill(ctx) => text(resilver_backfill::handle(ctx, &woken()?, payload).await),
        }
    }
}

/// The settings of ours that a binary asks for at its cold start; none if there is no such binary.
pub fn settings_of(binary: &str) -> BTreeSet<String> {
    let mut settings = Settings::default();
    let emulator = Emulator::new(Config::default());
    let nobody = (String::new(), String::new());
    if Handler::begin(&emulator, (binary, &nobody), &mut settings).is_none() {
        return BTreeSet::new();
    }
    let ours = settings.asked().iter().filter(|name| name.starts_with("RESILVER_"));
    ours.cloned().collect()
}

fn text<E: std::fmt::Display>(done: Result<Value, E>) -> Result<Value, String> {
    done.map_err(|why| why.to_string())
}

/// The limits that a function is given, if it is given any that can be read.
pub(super) fn limits_of(function: &Function) -> Option<Limits> {
    serde_json::from_str(function.environment.get(LIMITS)?).ok()
}

/// The setting of limits.
pub(super) const LIMITS: &str = "RESILVER_LIMITS";
