//! Resilver as it is deployed, on the embedded AWS: the state bucket, the queue, the schedules, the
//! rules and the functions, wired as in an account. The functions are the real handlers; the embedded
//! AWS offers them invocations, and [`App::turn`] runs what is offered.

use std::collections::BTreeSet;

use futures::future::join_all;
use resilver_aws::clients::Place;
use resilver_aws::{AwsError, Clients, LineReader, Settings, SettingsError, Store, Woken};
use resilver_emulator::Emulator;
use resilver_emulator::world::agenda::Task;
use resilver_emulator::world::iam::Role;
use resilver_emulator::world::lambda::{Invocation, Mapping};
use resilver_emulator::world::refusal::Refusal;
use resilver_emulator::world::{Millis, World, bus, lambda, queue, schedule};
use resilver_heal::entry::Entry;
use resilver_heal::key::Bucket;
use resilver_heal::laws;
use resilver_heal::ledger::Head;
use resilver_heal::limits::Limits;
use resilver_heal::notice::{NOTICE_DETAIL_TYPE, NOTICE_SOURCE};
use resilver_heal::run::{Corrupt, decode_page};
use resilver_heal::state::{StateKey, StatePrefix};
use resilver_heal::time::Timestamp;
use serde_json::{Value, json};

/// How an installation differs from another.
#[derive(Debug, Clone)]
pub struct Options {
    /// The limits in force.
    pub limits: Limits,
    /// Chats, as the setting `RESILVER_CHATS` has them.
    pub chats: Value,
    /// How long failures are gathered into a batch, in milliseconds.
    pub window: Millis,
    /// How often `launch` is woken, as a schedule has it.
    pub launch_every: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        let chats = json!([{"name": "slack", "kind": "slack", "url": SLACK}]);
        Self { limits: Limits::default(), chats, window: 60_000, launch_every: "rate(5 minutes)" }
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
    /// The embedded AWS refused something.
    #[error("the embedded AWS refused: {0}")]
    Refused(#[from] Refusal),
    /// An S3 call of the set-up failed.
    #[error("{0} failed: {1}")]
    Setup(&'static str, String),
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
    collect: resilver_collect::Ctx,
    launch: resilver_launch::Ctx,
    settle: resilver_settle::Ctx,
    notify: resilver_notify::Ctx,
    enroll: resilver_enroll::Ctx,
}

const STATE_BUCKET: &str = "resilver-state";
const QUEUE: &str = "resilver-failures";
const STACK: &str = "local";
/// Six times the function's timeout and the window, as Lambda recommends.
const VISIBILITY: Millis = 660_000;
/// How often a message may come before it is put aside. What cannot be read is acknowledged by
/// `collect` itself, so a message that keeps coming could not be *stored*, and should for days.
const RECEIVES_MAX: u32 = 500;

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

    /// Deploys: makes what the functions need, and wires them.
    pub async fn deploy(emulator: Emulator, options: &Options) -> Result<Self, AppError> {
        let clients = Self::clients(&emulator);
        let made = clients.s3.create_bucket().bucket(STATE_BUCKET).send().await;
        made.map_err(|why| AppError::Setup("CreateBucket", format!("{why:?}")))?;
        emulator.with(|world| wire(world, options))?;
        let (role, queue) = emulator.with(|world| (role_arn(world), queue_arn(world)));
        let (chats, limits) = (options.chats.to_string(), json!(options.limits).to_string());
        let mut settings = Settings::of([
            ("RESILVER_STATE_BUCKET", STATE_BUCKET),
            ("RESILVER_JOB_ROLE_ARN", &role),
            ("RESILVER_LIMITS", &limits),
            ("RESILVER_CHATS", &chats),
            ("RESILVER_QUEUE_ARN", &queue),
            ("RESILVER_STACK", STACK),
        ]);
        let app = Self {
            collect: resilver_collect::Ctx::new(clients.clone(), &mut settings),
            launch: resilver_launch::Ctx::new(clients.clone(), &mut settings),
            settle: resilver_settle::Ctx::new(clients.clone(), &mut settings),
            notify: resilver_notify::Ctx::new(clients.clone(), &mut settings),
            enroll: resilver_enroll::Ctx::new(clients.clone(), &mut settings),
            store: Store::new(clients.clone(), STATE_BUCKET.to_owned()),
            clients,
            emulator,
        };
        settings.finish()?;
        Ok(app)
    }

    /// Enrols a bucket: its failures go to the queue, and the job role may heal it.
    pub async fn enroll(&self, bucket: &str) -> Result<(), AppError> {
        let now = self.emulator.with(|world| {
            let arn = role_arn(world);
            let role = Role::batch(&arn, bucket, STATE_BUCKET);
            match world.iam.role_mut(&arn) {
                Some(known) => known.statements.extend(role.statements),
                None => world.iam.put(role),
            }
            world.now()
        });
        let bucket = Bucket::try_from(bucket.to_owned());
        let bucket = bucket.map_err(|why| AppError::Setup("enroll", why.to_string()))?;
        let woken = Woken::at(Timestamp(now), "enroll");
        let done = resilver_enroll::enroll(&self.enroll, &woken, &bucket).await;
        done.map_err(|why| AppError::Setup("enroll", why.to_string()))
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
                self.emulator.with(|world| world.finish_invocation(&invocation.id, answer));
                ran.insert(invocation.function);
            }
        }
    }

    /// Runs one function.
    pub async fn invoke(&self, invocation: &Invocation) -> Result<Value, String> {
        let Invocation { id, function, payload, time, .. } = invocation;
        let woken = Woken::of(payload, id);
        match function.as_str() {
            "collect" => {
                let batch =
                    serde_json::from_value(payload.clone()).map_err(|why| why.to_string())?;
                let woken = Woken::at(Timestamp(*time), id);
                Ok(json!(resilver_collect::handle(&self.collect, &woken, batch).await))
            }
            "launch" => self.launch(&woken.map_err(|why| why.to_string())?).await,
            "settle" => {
                let woken = woken.map_err(|why| why.to_string())?;
                let done = resilver_settle::handle(&self.settle, &woken, payload).await;
                done.map_err(|why| why.to_string())
            }
            "notify" => self.notify(Timestamp(*time), payload).await,
            "enroll" => {
                let woken = resilver_enroll::woken(payload, id, Timestamp(*time));
                let done = resilver_enroll::handle(&self.enroll, &woken, payload).await;
                done.map_err(|why| why.to_string())
            }
            other => Err(format!("there is no function {other}")),
        }
    }

    /// Installs other limits.
    pub fn limit(&mut self, limits: Limits) {
        self.launch.limits = limits;
    }

    /// Runs `launch` once.
    pub async fn launch(&self, woken: &Woken) -> Result<Value, String> {
        resilver_launch::handle(&self.launch, woken).await.map_err(|why| why.to_string())
    }

    /// Runs `notify` on one event.
    pub async fn notify(&self, now: Timestamp, event: &Value) -> Result<Value, String> {
        resilver_notify::handle(&self.notify, now, event).await.map_err(|why| why.to_string())
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
            let queue = world.queues.get(QUEUE).map(queue::Queue::depth).unwrap_or_default();
            let agenda = world.agenda.iter().all(|(_, task)| matches!(task, Task::Schedule(_)));
            agenda && queue == (0, 0) && world.lambda.is_idle()
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
    pub async fn entries(&self, head: &Head, mut each: impl FnMut(Entry)) -> Result<(), AppError> {
        let Some(run) = &head.run else { return Ok(()) };
        let mut reader = LineReader::new(self.store.clone(), run.key.clone());
        while let Some(page) = reader.next().await? {
            decode_page(&page, Entry::decode)?.into_iter().for_each(&mut each);
        }
        Ok(())
    }
}

fn role_arn(world: &World) -> String {
    format!("arn:aws:iam::{}:role/resilver-batch", world.config.account)
}

fn queue_arn(world: &World) -> String {
    world.queues.get(QUEUE).map(|queue| queue.arn.clone()).unwrap_or_default()
}

/// The queue, the schedules and the rules.
fn wire(world: &mut World, options: &Options) -> Result<(), Refusal> {
    let dead = queue::create(world, "resilver-failures-dead", VISIBILITY, None)?;
    let failures = queue::create(world, QUEUE, VISIBILITY, Some((dead, RECEIVES_MAX)))?;
    let mapping = Mapping {
        queue: failures,
        function: "collect".to_owned(),
        batch_size: 10_000,
        window: options.window,
        report_failures: true,
    };
    lambda::map(world, mapping);
    schedule::create(world, "resilver-launch", options.launch_every, "launch", None)?;
    schedule::create(world, "resilver-settle", "rate(15 minutes)", "settle", None)?;
    let jobs = json!({
        "source": ["aws.s3"],
        "detail-type": ["AWS Service Event via CloudTrail"],
        "detail": {
            "eventSource": ["s3.amazonaws.com"],
            "eventName": ["JobStatusChanged"],
            "serviceEventDetails": {"status": ["Complete", "Failed", "Cancelled", "Suspended"]},
        },
    });
    let notices = json!({"source": [NOTICE_SOURCE], "detail-type": [NOTICE_DETAIL_TYPE]});
    for (rule, pattern, function) in
        [("resilver-jobs", jobs, "settle"), ("resilver-notices", notices, "notify")]
    {
        bus::put_rule(world, rule, &pattern.to_string(), true)?;
        let arn = format!(
            "arn:aws:lambda:{}:{}:function:{function}",
            world.config.region, world.config.account
        );
        bus::put_target(world, rule, function, &arn)?;
    }
    Ok(())
}
