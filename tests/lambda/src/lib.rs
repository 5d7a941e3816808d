//! Lambda, as far as a function's binary can tell: its environment, its Runtime API, its end when the time
//! is over; and an AWS on a socket for it to speak to. The tests of the functions run their binaries here.
//!
//! It knows nothing of what a function does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod http;
pub mod web;

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use resilver_emulator::Emulator;
use resilver_emulator::wire::server::Server;
use resilver_emulator::world::bucket::Versioning;
use resilver_emulator::world::fault::{self, Service, Verdict};
use resilver_emulator::world::iam::Role;
use resilver_emulator::world::ops::{bucket, put};
use resilver_emulator::world::replication::rules::{ReplicationConfig, Rule};
use resilver_emulator::world::{Config, World};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use http::Request;
use http::{Reply, listen};

/// The state bucket.
pub const STATE: &str = "resilver-state";
/// The account of everything.
pub const ACCOUNT: &str = "111122223333";
/// Its Region.
pub const REGION: &str = "us-east-1";
/// The role of jobs.
pub const JOB_ROLE: &str = "arn:aws:iam::111122223333:role/resilver-batch";
/// How long a test waits for what takes no time.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The longest that a held request waits for its answer, in milliseconds.
const HELD_MS: u64 = 120_000;

/// An AWS on a socket, with a state bucket.
pub struct Aws {
    /// What it does.
    pub emulator: Emulator,
    server: Server,
}

impl Aws {
    /// One with nothing but the state bucket.
    pub async fn new() -> Self {
        let emulator = Emulator::new(Config::default());
        emulator.with(|world| bucket::create(world, STATE, ACCOUNT, REGION)).unwrap();
        let server = emulator.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self { emulator, server }
    }

    /// One with a bucket `photos` that replicates to `replica`, and with the role of its jobs.
    pub async fn replicating() -> Self {
        let aws = Self::new().await;
        aws.with(|world| {
            for name in ["photos", "replica"] {
                bucket::create(world, name, ACCOUNT, REGION).unwrap();
                bucket::put_versioning(world, name, Versioning::Enabled).unwrap();
            }
            let role = format!("arn:aws:iam::{ACCOUNT}:role/replication");
            world.iam.put(Role::replication(&role, "photos", &["replica"]));
            world.iam.put(Role::batch(JOB_ROLE, "photos", STATE));
            let rules = vec![Rule::to_bucket("all", 1, "replica").into()];
            let config = ReplicationConfig { role: role.into(), rules };
            bucket::put_replication(world, "photos", Some(config)).unwrap();
        });
        aws
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// Puts an object into the state bucket.
    pub fn keep(&self, key: &str, body: &str) {
        let body = body.to_owned().into();
        self.with(|world| put::store(world, STATE, key, body, "application/json")).unwrap();
    }

    /// What lies under a prefix of the state bucket: keys and texts.
    pub fn state(&self, prefix: &str) -> BTreeMap<String, String> {
        self.with(|world| {
            let keys: Vec<String> = world.buckets[STATE].keys.keys().cloned().collect();
            let texts = keys.into_iter().filter(|key| key.starts_with(prefix)).filter_map(|key| {
                let newest = world.buckets[STATE].keys[&key].first()?;
                let bytes = newest.content.as_ref()?.body.pieces.concat();
                Some((key, String::from_utf8_lossy(&bytes).into_owned()))
            });
            texts.collect()
        })
    }

    /// Looks at the world, or changes it.
    pub fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        self.emulator.with(act)
    }

    /// Lets `skip` requests to a service pass and keeps the answer to the next one back.
    pub fn hold(&self, service: Service, operation: Option<&str>, skip: u32) {
        let verdict = Verdict::Delay(HELD_MS);
        let rule = fault::Rule::once(service, "", verdict).after(skip);
        let rule = fault::Rule { operation: operation.map(str::to_owned), ..rule };
        self.with(|world| world.faults.add(rule));
    }

    /// Whether a request is held.
    pub fn holds(&self) -> bool {
        self.with(|world| world.faults.rules.is_empty())
    }

    /// A function as the template deploys it, but for its settings.
    pub fn function(&self, binary: &'static str, settings: &[(&str, &str)]) -> Function {
        let (id, secret) = Config::default().credentials.unwrap();
        let endpoint = self.endpoint();
        let own = [
            ("AWS_LAMBDA_FUNCTION_NAME", "resilver"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/resilver"),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", &id),
            ("AWS_SECRET_ACCESS_KEY", &secret),
            ("RESILVER_ACCOUNT", ACCOUNT),
            ("RESILVER_STATE_BUCKET", STATE),
        ];
        let all = own.iter().chain(settings);
        let environment = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Function { binary, environment: environment.collect() }
    }
}

/// A function that can be started, as often as Lambda likes.
#[derive(Debug, Clone)]
pub struct Function {
    binary: &'static str,
    environment: BTreeMap<String, String>,
}

impl Function {
    /// The same function without any of Resilver's settings but these.
    #[must_use]
    pub fn but_with(mut self, settings: &[(&str, &str)]) -> Self {
        self.environment.retain(|name, _| !name.starts_with("RESILVER_"));
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.extend(settings);
        self
    }

    /// A cold start.
    pub async fn start(&self) -> Process {
        let runtime = Runtime::new().await;
        let (log, errors) = (tempfile::NamedTempFile::new().unwrap(), File::options());
        let file = || errors.clone().append(true).open(log.path()).unwrap();
        let mut command = Command::new(self.binary);
        command.env_clear().envs(&self.environment).env("AWS_LAMBDA_RUNTIME_API", &runtime.at);
        command.stdin(Stdio::null()).stdout(file()).stderr(file());
        Process { child: command.spawn().unwrap(), runtime, log, invoked: 0 }
    }

    /// What it says when it ends by itself, before the first event, as it does that cannot start.
    pub async fn fails_to_start(&self) -> String {
        let mut process = self.start().await;
        let end = async {
            loop {
                if let Some(status) = process.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let status = tokio::time::timeout(PATIENCE, end).await.expect("it started");
        assert!(!status.success(), "{}", process.log());
        process.log()
    }
}

/// What came of an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The function's answer.
    Done(Value),
    /// The function's error.
    Failed(Value),
    /// The time was over, and the process was killed.
    TimedOut,
}

/// Rows that a test of what a function holds takes: 100,000, or as many as `ROWS` says.
pub fn rows() -> usize {
    std::env::var("ROWS").map_or(100_000, |rows| rows.parse().unwrap())
}

/// A running function.
pub struct Process {
    child: Child,
    runtime: Runtime,
    log: tempfile::NamedTempFile,
    invoked: u32,
}

impl Process {
    /// Invokes it, with all the time that there is.
    pub async fn invoke(&mut self, event: &Value) -> Answer {
        let answer = self.invoke_within(PATIENCE, event).await;
        assert_ne!(answer, Answer::TimedOut, "{}", self.log());
        answer
    }

    /// Invokes it; the answer, which is no error.
    pub async fn done(&mut self, event: &Value) -> Value {
        match self.invoke(event).await {
            Answer::Done(answer) => answer,
            other => panic!("{other:?} {}", self.log()),
        }
    }

    /// Invokes it with a timeout. Lambda ends the process when it is over (Lambda Developer Guide:
    /// lambda-runtime-environment).
    pub async fn invoke_within(&mut self, time: Duration, event: &Value) -> Answer {
        self.ask(time, event);
        match tokio::time::timeout(time, self.runtime.answers.recv()).await {
            Ok(answer) => answer.unwrap(),
            Err(_) => {
                self.kill();
                Answer::TimedOut
            }
        }
    }

    /// Invokes it, and kills it the moment that `now` says so; `None` where it did.
    pub async fn invoke_until(&mut self, event: &Value, now: impl Fn() -> bool) -> Option<Answer> {
        self.ask(PATIENCE, event);
        let moment = async {
            while !now() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            answer = self.runtime.answers.recv() => return answer,
            () = moment => {}
            () = tokio::time::sleep(PATIENCE) => panic!("neither: {}", self.log()),
        }
        self.kill();
        None
    }

    fn ask(&mut self, time: Duration, event: &Value) {
        self.invoked += 1;
        let deadline = SystemTime::now() + time;
        let deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis();
        let head = format!(
            "Lambda-Runtime-Aws-Request-Id: r-{}\r\nLambda-Runtime-Deadline-Ms: {deadline}\r\n\
            Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:{REGION}:{ACCOUNT}:function:resilver\r\n",
            self.invoked
        );
        self.runtime.events.send(Reply { status: 200, head, body: event.to_string() }).unwrap();
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The most memory that it has had at a time, in bytes; 0 where there is no `/proc`.
    pub fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let peak = kib.map_or(0, |kib| kib.parse::<u64>().unwrap() * 1024);
        assert!(peak > 0 || !cfg!(target_os = "linux"), "it was not measured");
        peak
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Runtime API of one process (Lambda Developer Guide: runtimes-api).
struct Runtime {
    at: String,
    events: mpsc::UnboundedSender<Reply>,
    answers: mpsc::UnboundedReceiver<Answer>,
    server: JoinHandle<()>,
}

impl Runtime {
    async fn new() -> Self {
        let (events, coming) = mpsc::unbounded_channel::<Reply>();
        let (answer, answers) = mpsc::unbounded_channel();
        let coming = std::sync::Arc::new(tokio::sync::Mutex::new(coming));
        let (at, server) = listen(move |request: Request| {
            let (coming, answer) = (std::sync::Arc::clone(&coming), answer.clone());
            async move {
                if request.line.starts_with("GET") && request.line.contains("/invocation/next") {
                    return coming.lock().await.recv().await;
                }
                let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
                let is_answer = request.line.contains("/response");
                // Nobody may wait for it any more.
                let _ =
                    answer.send(if is_answer { Answer::Done(body) } else { Answer::Failed(body) });
                Some(Reply { status: 202, head: String::new(), body: String::new() })
            }
        })
        .await;
        Self { at, events, answers, server }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.server.abort();
    }
}
