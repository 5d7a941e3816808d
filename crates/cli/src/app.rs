//! Resilver as it is deployed, on the embedded AWS: the state bucket, the queue, the schedules, the
//! rules and the functions, wired as in an account. The functions are the real handlers; the embedded
//! AWS offers them invocations, and [`App::turn`] runs what is offered.

mod functions;
mod install;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use resilver_aws::clients::Place;
use resilver_aws::{AwsError, Clients, Metrics, SettingsError, Store, Woken};
use resilver_emulator::Emulator;
use resilver_emulator::stack::{Answers, Stack, StackError};
use resilver_emulator::world::agenda::Task;
use resilver_emulator::world::lambda::{Function, Invocation};
use resilver_emulator::world::{Millis, World};
use resilver_heal::entry::Entry;
use resilver_heal::key::Bucket;
use resilver_heal::laws;
use resilver_heal::ledger::Head;
use resilver_heal::limits::Limits;
use resilver_heal::run::Corrupt;
use resilver_heal::state::{StateKey, StatePrefix};
use resilver_heal::time::Timestamp;
use serde_json::{Value, json};

use functions::Handler;
pub use functions::settings_of;
pub use install::{STACK, template};

/// How an installation differs from another.
#[derive(Debug, Clone)]
pub struct Options {
    /// The limits in force.
    pub limits: Limits,
    /// Chats, as the setting `RESILVER_CHATS` has them: one of a kind.
    pub chats: Value,
    /// The source buckets, which have to be there. More of them are enrolled later.
    pub buckets: Vec<String>,
    /// How long failures are gathered into a batch, in milliseconds, if not as the template says.
    pub window: Option<Millis>,
    /// How often `launch` is woken, as a schedule has it, if not as the template says.
    pub launch_every: Option<&'static str>,
    /// How often `backfill` and `enroll` look around, likewise.
    pub look_every: Option<&'static str>,
    /// Where the metrics of the functions go.
    pub metrics: Metrics,
}

impl Default for Options {
    fn default() -> Self {
        let chats = json!([{"name": "slack", "kind": "slack", "url": SLACK}]);
        // No sweeps: what a scene counts are the jobs that its failures make.
        let limits = Limits { sweep_days: 0, ..Limits::default() };
        let (buckets, window, metrics) = (Vec::new(), None, Metrics::default());
        Self { limits, chats, buckets, window, launch_every: None, look_every: None, metrics }
    }
}

/// The webhook of the default chat: nobody is there, the embedded AWS keeps what is posted.
pub const SLACK: &str = "https://hooks.slack.com/services/T000/B000/XXXX";

/// Why an installation does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An AWS call failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The template is not deployed.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The functions' settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A ledger run cannot be read.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// One installation.
#[derive(Debug, Clone)]
pub struct App {
    /// The AWS that it runs on.
    pub emulator: Emulator,
    /// Clients of its account.
    pub clients: Clients,
    /// Its state bucket.
    pub store: Store,
    stack: Arc<Mutex<Stack>>,
    answers: Arc<Mutex<Answers>>,
    /// The limits in force, where they are not those of the template.
    limits: Option<Limits>,
    /// Where metrics go.
    metrics: Metrics,
    /// Functions that have started, with what they were when they did.
    warm: Arc<Mutex<BTreeMap<String, (Function, Handler)>>>,
}

impl App {
    /// Clients of the embedded AWS's account.
    pub fn clients(emulator: &Emulator) -> Clients {
        let config = emulator.with(|world| world.config.clone());
        let (id, secret) = config.credentials.unwrap_or_default();
        let place = Place {
            endpoint: Emulator::ENDPOINT,
            region: &config.region,
            account: &config.account,
            keys: (&id, &secret),
        };
        Clients::at(&place, emulator.http_client())
    }

    /// Runs every invocation that is offered, at the same time as Lambda does, and those that come of
    /// them; gives the names of the functions that ran.
    pub async fn turn(&self) -> BTreeSet<String> {
        let mut ran = BTreeSet::new();
        loop {
            let take = || self.emulator.with(World::take_invocation);
            let offered: Vec<_> = std::iter::from_fn(take).collect();
            if offered.is_empty() {
                return ran;
            }
            let answers = join_all(offered.iter().map(|invocation| self.invoke(invocation))).await;
            for (invocation, answer) in offered.into_iter().zip(answers) {
                if let Err(why) = &answer {
                    tracing::warn!(function = invocation.function, why, "the function failed");
                }
                let name = self.function(&invocation.function).map(|function| function.code);
                let name = name.map(|code| functions::short(&code).to_owned());
                self.emulator.with(|world| world.finish_invocation(&invocation.id, answer));
                ran.insert(name.unwrap_or(invocation.function));
            }
        }
    }

    /// Runs one function, which its name in the account or among people names.
    ///
    /// # Errors
    /// Its own, in words.
    pub async fn invoke(&self, invocation: &Invocation) -> Result<Value, String> {
        let name = &invocation.function;
        let function = self.function(name).ok_or_else(|| format!("there is no function {name}"))?;
        let handler = self.start(&function).map_err(|why| why.to_string())?;
        handler.run(invocation).await
    }

    /// A function of the stack.
    fn function(&self, name: &str) -> Option<Function> {
        self.emulator.with(|world| {
            let known = world.lambda.function(name);
            let mut all = world.lambda.functions();
            known.or_else(|| all.find(|it| functions::short(&it.code) == name)).cloned()
        })
    }

    /// The handler of a function: one that has started as the function is now, or one that starts.
    fn start(&self, function: &Function) -> Result<Handler, SettingsError> {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, handler)) =
            warm.get(&function.name).filter(|(as_it_was, _)| as_it_was == function)
        {
            return Ok(handler.clone());
        }
        let handler = Handler::start(&self.emulator, function, &self.metrics)?;
        warm.insert(function.name.clone(), (function.clone(), handler.clone()));
        Ok(handler)
    }

    /// Starts every function, so that what is wrong with one is said at once.
    fn start_all(&self) -> Result<(), AppError> {
        let all = |world: &mut World| world.lambda.functions().cloned().collect::<Vec<_>>();
        for function in self.emulator.with(all) {
            self.start(&function)?;
        }
        Ok(())
    }

    /// Runs `launch` once.
    ///
    /// # Errors
    /// Its own, in words.
    pub async fn launch(&self, woken: &Woken) -> Result<Value, String> {
        let time = woken.now.to_string();
        self.call("launch", &woken.id, woken.now, json!({ "time": time })).await
    }

    /// Runs `notify` on one event.
    ///
    /// # Errors
    /// Its own, in words.
    pub async fn notify(&self, now: Timestamp, event: &Value) -> Result<Value, String> {
        self.call("notify", "notify", now, event.clone()).await
    }

    async fn call(
        &self,
        function: &str,
        id: &str,
        now: Timestamp,
        payload: Value,
    ) -> Result<Value, String> {
        let (id, function) = (id.to_owned(), function.to_owned());
        self.invoke(&Invocation { id, function, payload, time: now.0, attempt: 0 }).await
    }

    /// Lets time pass, the functions at work.
    pub async fn run_for(&self, ms: Millis) {
        let until = self.emulator.now() + ms;
        self.turn().await;
        while self.emulator.next_due().is_some_and(|due| due <= until) {
            self.emulator.step();
            self.turn().await;
        }
        self.emulator.with(|world| world.advance_to(until));
    }

    /// Lets time pass until nothing is left to do for the bucket, at most `ms`; says whether it got
    /// there. `watch` sees every head on the way.
    pub async fn run_until_quiet(
        &self,
        bucket: &Bucket,
        ms: Millis,
        mut watch: impl FnMut(&Head),
    ) -> Result<bool, AppError> {
        let until = self.emulator.now() + ms;
        loop {
            let ran = self.turn().await;
            if ran.contains("launch") || ran.is_empty() {
                let head = self.head(bucket).await?;
                if let Some(head) = &head {
                    watch(head);
                }
                if self.is_quiet(bucket, head.as_ref()).await? {
                    return Ok(true);
                }
            }
            if self.emulator.next_due().is_none_or(|due| due > until) {
                return Ok(false);
            }
            self.emulator.step();
        }
    }

    /// Whether nothing is left to do: nothing replicates, no event is on its way, every version has
    /// left or is a person's, and all is said.
    async fn is_quiet(&self, bucket: &Bucket, head: Option<&Head>) -> Result<bool, AppError> {
        let still = self.emulator.with(|world| {
            let queues = world.lambda.mappings().map(|mapping| world.queues.get(&mapping.queue));
            let mut queues = queues.flatten();
            let agenda = world.agenda.iter().all(|(_, task)| matches!(task, Task::Schedule(_)));
            agenda && queues.all(|queue| queue.depth() == (0, 0)) && world.lambda.is_idle()
        });
        if !still || head.is_some_and(|head| laws::it_has_ended(head).is_err()) {
            return Ok(false);
        }
        for prefix in [StatePrefix::Failures(bucket), StatePrefix::AllOutboxes] {
            if !self.store.list(&prefix.to_string(), 1).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The head of a bucket's ledger, if it has one.
    pub async fn head(&self, bucket: &Bucket) -> Result<Option<Head>, AppError> {
        let head = self.store.get_json::<Head>(&StateKey::Head(bucket).to_string()).await?;
        Ok(head.map(|loaded| loaded.value))
    }

    /// Every entry of a head's run, in order.
    pub async fn entries(&self, head: &Head, each: impl FnMut(Entry)) -> Result<(), AppError> {
        match &head.run {
            Some(run) => crate::desk::entries(&self.store, run, each).await,
            None => Ok(()),
        }
    }
}
