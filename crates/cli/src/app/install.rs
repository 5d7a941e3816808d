//! The installation from its template: what a person would answer to the parameters, and a stack that is
//! taken through its changes while the functions of its custom resources run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use resilver_aws::{Metrics, Store};
use resilver_emulator::Emulator;
use resilver_emulator::stack::{Answers, Progress, Stack, StackError, Template};
use resilver_emulator::world::lambda;
use resilver_heal::limits::Limits;
use resilver_heal::time::hours;
use serde_json::{Value, json};

use super::functions::{LIMITS, limits_of};
use super::{App, AppError, Options};

/// The template that this release is deployed by.
const TEMPLATE: &str = include_str!("../../../../template.yaml");
/// The stack's name, unless somebody gives it another.
pub const STACK: &str = "resilver";
/// How long a custom resource is waited for (CloudFormation User Guide: ServiceTimeout).
const ANSWER_MS: u64 = hours(1);
/// Until a bucket is named, the stack is there for buckets with this tag: it has to be for something.
const NOBODY_YET: &str = "resilver=enrolled";

/// The repository's own template.
///
/// # Errors
/// Never in a release: a test reads it.
pub fn template() -> Result<Arc<Template>, StackError> {
    static TEMPLATE_READ: OnceLock<Result<Arc<Template>, StackError>> = OnceLock::new();
    TEMPLATE_READ.get_or_init(|| Template::read(TEMPLATE).map(Arc::new)).clone()
}

impl Options {
    /// What a person would answer to the template's parameters to get this. A limit that the template does
    /// not ask for, or asks for in other units, is set as an operator would, in the environment.
    pub fn answers(&self) -> Answers {
        let limits = &self.limits;
        let mut answers = BTreeMap::new();
        let mut answer = |name: &str, value: String| answers.insert(name.to_owned(), value);
        for (kind, name) in
            [("slack", "SlackWebhookUrl"), ("teams", "TeamsWebhookUrl"), ("webhook", "WebhookUrl")]
        {
            let chats = self.chats.as_array().into_iter().flatten();
            let url =
                chats.filter(|chat| chat["kind"] == kind).find_map(|chat| chat["url"].as_str());
            answer(name, url.unwrap_or_default().to_owned());
        }
        match self.buckets.as_slice() {
            [] => answer("BucketTag", NOBODY_YET.to_owned()),
            buckets => answer("Buckets", buckets.join(",")),
        };
        for (name, value, most) in [
            ("WaitMinutes", limits.launch_wait_minutes, 1_440),
            ("LaunchRows", limits.launch_rows_min, 999_999_999),
            ("DayJobs", u64::from(limits.day_jobs_max), 9_999),
            ("ActiveJobs", u64::from(limits.jobs_active_max), 6),
        ] {
            if (1..=most).contains(&value) {
                answer(name, value.to_string());
            }
        }
        answers
    }

    /// The template with what differs from it: how long a batch is gathered for, how often launch is woken.
    fn template(&self) -> Result<Arc<Template>, StackError> {
        let template = template()?;
        if (self.window, self.launch_every, self.look_every) == (None, None, None) {
            return Ok(template);
        }
        let mut template = (*template).clone();
        if let Some(window) = self.window {
            let seconds = json!(window / 1_000);
            template.set("CollectFunctionFailures", "MaximumBatchingWindowInSeconds", seconds);
        }
        for (tick, every) in [
            ("LaunchFunctionTick", self.launch_every),
            ("BackfillFunctionTick", self.look_every),
            ("EnrollFunctionTick", self.look_every),
        ] {
            if let Some(every) = every {
                template.set(tick, "ScheduleExpression", json!(every));
            }
        }
        Ok(Arc::new(template))
    }
}

impl App {
    /// Deploys the repository's own template.
    ///
    /// # Errors
    /// When the template is not deployed, or a function does not start.
    pub async fn deploy(emulator: Emulator, options: &Options) -> Result<Self, AppError> {
        let mut app =
            Self::install(emulator, options.template()?, STACK, &options.answers()).await?;
        app.metrics = options.metrics.clone();
        // Those that have started measure nothing.
        app.warm = Arc::default();
        app.limit(options.limits.clone());
        Ok(app)
    }

    /// Deploys a template of Resilver's functions.
    ///
    /// # Errors
    /// When it is not deployed, or a function does not start.
    pub async fn install(
        emulator: Emulator,
        template: Arc<Template>,
        name: &str,
        answers: &Answers,
    ) -> Result<Self, AppError> {
        let clients = Self::clients(&emulator);
        let stack = emulator.with(|world| Stack::deploy(world, name, template, answers))?;
        let mut app = Self {
            // Where its state is, it says itself once it is there.
            store: Store::new(clients.clone(), String::new()),
            clients,
            emulator,
            stack: Arc::new(Mutex::new(stack)),
            answers: Arc::new(Mutex::new(answers.clone())),
            limits: None,
            metrics: Metrics::default(),
            warm: Arc::default(),
        };
        app.settle_stack().await?;
        app.store = Store::new(app.clients.clone(), app.state_bucket()?);
        app.start_all()?;
        Ok(app)
    }

    /// The state bucket, as the functions are told of it.
    fn state_bucket(&self) -> Result<String, AppError> {
        let named = self.emulator.with(|world| {
            let mut functions = world.lambda.functions();
            functions.find_map(|it| it.environment.get("RESILVER_STATE_BUCKET").cloned())
        });
        let missing = "it has no function that is given RESILVER_STATE_BUCKET";
        named.ok_or_else(|| StackError::new("the template", missing).into())
    }

    /// Looks at the stack, or begins a change of it.
    pub fn with_stack<R>(&self, act: impl FnOnce(&mut Stack) -> R) -> R {
        act(&mut self.stack.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the answers to the template's parameters, and the stack with them.
    ///
    /// # Errors
    /// When the stack does not get there.
    pub async fn reconfigure(
        &self,
        change: impl FnOnce(&mut Answers) + Send,
    ) -> Result<(), AppError> {
        let answers = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut answers);
            answers.clone()
        };
        self.with_stack(|stack| {
            let template = Arc::clone(stack.template());
            stack.update(template, &answers)
        })?;
        self.settle_stack().await
    }

    /// Deletes the stack.
    ///
    /// # Errors
    /// When something of it cannot be deleted.
    pub async fn uninstall(&self) -> Result<(), AppError> {
        self.with_stack(Stack::delete);
        self.settle_stack().await
    }

    /// Enrols a bucket, by its name among those that the stack is for.
    ///
    /// # Errors
    /// When the stack does not get there; the function's own reason where that failed.
    pub async fn enroll(&self, bucket: &str) -> Result<(), AppError> {
        self.reconfigure(|answers| {
            answers.remove("BucketTag");
            let buckets = answers.entry("Buckets".to_owned()).or_default();
            if !buckets.is_empty() {
                buckets.push(',');
            }
            buckets.push_str(bucket);
        })
        .await
    }

    /// Takes the stack through what was begun, the functions at work.
    async fn settle_stack(&self) -> Result<(), AppError> {
        let until = self.emulator.now() + ANSWER_MS;
        loop {
            let progress =
                self.emulator.with(|world| self.with_stack(|stack| stack.go_on(world)))?;
            let Progress::Waiting { url, .. } = progress else {
                self.apply_limits();
                return Ok(());
            };
            let answer = loop {
                self.turn().await;
                if let Some(answer) = self.emulator.take_posted(&url) {
                    break answer;
                }
                if self.emulator.next_due().is_none_or(|due| due > until) {
                    return Err(self.with_stack(Stack::give_up).into());
                }
                self.emulator.step();
            };
            self.with_stack(|stack| stack.answer(&answer))?;
        }
    }

    /// Installs other limits.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = Some(limits);
        self.apply_limits();
    }

    /// Sets the limits of the functions that have some, where they are others.
    fn apply_limits(&self) {
        let Some(limits) = &self.limits else { return };
        self.emulator.with(|world| {
            let others = world.lambda.functions().filter(|it| {
                it.environment.contains_key(LIMITS) && limits_of(it).as_ref() != Some(limits)
            });
            let others: Vec<String> = others.map(|function| function.name.clone()).collect();
            for name in others {
                if let Some(function) = world.lambda.function_mut(&name) {
                    let limits: Value = json!(limits);
                    function.environment.insert(LIMITS.to_owned(), limits.to_string());
                }
            }
        });
    }

    /// What woke up a function, in a line for each, for people.
    pub fn wiring(&self) -> Vec<String> {
        self.emulator.with(|world| {
            let mut lines = Vec::new();
            for mapping in world.lambda.mappings() {
                lines.push(format!("{} wakes {}", mapping.queue, mapping.function));
            }
            for (name, schedule) in world.schedules.iter() {
                let minutes = schedule.every / 60_000;
                lines.push(format!("{name} wakes {} every {minutes} minutes", schedule.function));
            }
            for bus in world.bus.names() {
                for (name, rule) in world.bus.rules(bus).into_iter().flatten() {
                    for target in rule.targets.values() {
                        let function = lambda::function_of(&target.arn);
                        lines.push(format!("{name} on the bus {bus} wakes {function}"));
                    }
                }
            }
            lines
        })
    }
}
