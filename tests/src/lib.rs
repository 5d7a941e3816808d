//! The scene that stories and storms are played in: Resilver installed on the embedded AWS, a source
//! bucket that replicates, things that break, and time. After every step that ran a function, every
//! law is checked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod agreement;
pub mod configuration;
pub mod enrolment;
pub mod exercise;
pub mod laws;
pub mod lessons;
mod setup;
pub mod stack;

use std::collections::BTreeMap;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use resilver::app::{App, Options};
use resilver_aws::Swapped;
use resilver_emulator::Emulator;
use resilver_emulator::stack::Stack;
use resilver_emulator::world::fault::Rule;
use resilver_emulator::world::{Config, Millis, World, queue, schedule};
use resilver_heal::entry::{Entry, State};
use resilver_heal::key::Bucket;
use resilver_heal::ledger::Head;
use resilver_heal::limits::Limits;
use resilver_heal::state::StateKey;
use resilver_heal::time::{days, minutes};
use serde_json::Value;

pub use setup::{REPLICAS, ROLE, SOURCE, Trouble};

/// The state bucket of every scene, as the template names it.
pub const STATE: &str = "resilver-111122223333-us-east-1";
/// The queue of failures.
pub const QUEUE: &str = "resilver-failures";
/// Failures are gathered for a minute in most scenes, which are shorter for it.
pub const WINDOW: Millis = minutes(1);

/// The limits of the usual scene: there are no sweeps, so that what is counted are the jobs of its failures.
pub fn unswept() -> Limits {
    Options::default().limits
}

/// How a scene differs from another.
#[derive(Debug, Clone)]
pub struct Given {
    /// Seed of the embedded AWS.
    pub seed: u64,
    /// Destinations of the source bucket: 1 or 2.
    pub replicas: usize,
    /// Whether the account has a CloudTrail trail.
    pub trail: bool,
    /// Whether marks of what was said may be lost: then something may be said twice.
    pub stormy: bool,
    /// The installation.
    pub app: Options,
}

impl Default for Given {
    fn default() -> Self {
        let app = Options { window: Some(WINDOW), ..Options::default() };
        Self { seed: 1, replicas: 1, trail: true, stormy: false, app }
    }
}

impl Given {
    /// The usual scene with these limits.
    pub fn limited(limits: Limits) -> Self {
        let usual = Self::default();
        Self { app: Options { limits, ..usual.app }, ..usual }
    }
}

/// A scene.
#[derive(Debug)]
pub struct Scene {
    /// The installation.
    pub app: App,
    /// The source bucket.
    pub bucket: Bucket,
    /// How many destinations it has.
    pub replicas: usize,
    /// What the limits are.
    pub options: Options,
    /// Whether something may be said twice.
    pub stormy: bool,
    /// How much was said before it began.
    before: usize,
}

impl Scene {
    /// The usual scene.
    pub async fn new() -> Self {
        Self::given(Given::default()).await
    }

    /// A scene that differs.
    pub async fn given(given: Given) -> Self {
        let config = Config { seed: given.seed, trail: given.trail, ..Config::default() };
        let app = App::deploy(Emulator::new(config), &given.app).await.unwrap();
        setup::buckets(&app.clients, &app.emulator, given.replicas).await;
        app.enroll(SOURCE).await.unwrap();
        assert_eq!(app.store.bucket, STATE);
        let bucket = Bucket::try_from(SOURCE.to_owned()).unwrap();
        let (replicas, options, stormy) = (given.replicas, given.app, given.stormy);
        Self { app, bucket, replicas, options, stormy, before: 0 }
    }

    /// A scene in which all has been said that is to be said of the bucket's configuration.
    pub async fn settled(given: Given) -> Self {
        let mut scene = Self::given(given).await;
        scene.run(minutes(20)).await;
        scene.before = scene.said_ever().len();
        scene
    }

    /// A scene with so many objects that failed, whose cause is repaired, just before the first canary.
    pub async fn repaired(given: Given, objects: usize) -> Self {
        let scene = Self::settled(given).await;
        scene.make(Trouble::Denied(0), true);
        scene.put_many(objects).await;
        scene.run(minutes(10)).await;
        scene.make(Trouble::Denied(0), false);
        scene
    }

    /// What fails from now on heals as it always did.
    pub async fn heals_what_fails(&self) {
        self.make(Trouble::Unversioned(0), true);
        let id = self.put("late", "l").await;
        self.run(minutes(5)).await;
        self.make(Trouble::Unversioned(0), false);
        self.heal().await;
        assert!(self.bytes(REPLICAS[0], "late", &id).await.is_some());
    }

    /// No schedule wakes these functions any more, which are named by the ends of their names. Gives how
    /// many did.
    pub fn unschedule(&self, functions: &[&str]) -> usize {
        self.world(|world| {
            let ours = |it: &str| functions.iter().any(|end| it.ends_with(end));
            let all = world.schedules.iter().filter(|(_, it)| ours(&it.function));
            let names: Vec<_> = all.map(|(name, _)| name.to_owned()).collect();
            assert!(names.iter().all(|name| schedule::delete(world, name)));
            names.len()
        })
    }

    /// Sets other limits from now on.
    pub fn limit(&mut self, limits: Limits) {
        self.app.limit(limits.clone());
        self.options.limits = limits;
    }

    /// Lets time pass by the minute until something is so, three days at most.
    pub async fn until(&self, is: impl Fn(&Self) -> bool) {
        let last = self.app.emulator.now() + days(3);
        while !is(self) {
            assert!(self.app.emulator.now() < last, "it never came: {:#?}", self.said());
            self.run(minutes(1)).await;
        }
    }

    /// Uploads an object; gives its version id.
    pub async fn put(&self, key: &str, body: &str) -> String {
        let call = self.app.clients.s3.put_object().bucket(SOURCE).key(key);
        let call = call.metadata("of", "a story").tagging("team=storage");
        let put = call.body(ByteStream::from(body.as_bytes().to_vec())).send().await.unwrap();
        put.version_id().unwrap().to_owned()
    }

    /// Uploads an object that is encrypted with the source's key; gives its version id.
    pub async fn put_kms(&self, key: &str, body: &str) -> String {
        let call = self.app.clients.s3.put_object().bucket(SOURCE).key(key);
        let call = call.server_side_encryption(ServerSideEncryption::AwsKms);
        let call = call.ssekms_key_id(setup::SOURCE_KEY);
        let put = call.body(ByteStream::from(body.as_bytes().to_vec())).send().await.unwrap();
        put.version_id().unwrap().to_owned()
    }

    /// Uploads so many objects.
    pub async fn put_many(&self, number: usize) -> Vec<(String, String)> {
        let mut put = Vec::new();
        for n in 0..number {
            let key = format!("folder {}/{n:04}+%.txt", n % 3);
            let id = self.put(&key, &format!("object {n}")).await;
            put.push((key, id));
        }
        put
    }

    /// Deletes one version for good.
    pub async fn delete_version(&self, bucket: &str, key: &str, id: &str) {
        let call = self.app.clients.s3.delete_object().bucket(bucket).key(key).version_id(id);
        call.send().await.unwrap();
    }

    /// The replication status of a version of the source.
    pub async fn status(&self, key: &str, id: &str) -> Option<String> {
        let read = resilver_aws::objects::head(&self.app.clients, SOURCE, key, id).await.unwrap();
        read.and_then(|head| head.replication)
    }

    /// The bytes of a version, wherever it is; `None` if it is not there.
    pub async fn bytes(&self, bucket: &str, key: &str, id: &str) -> Option<Vec<u8>> {
        let call = self.app.clients.s3.get_object().bucket(bucket).key(key).version_id(id);
        let output = call.send().await.ok()?;
        Some(output.body.collect().await.unwrap().into_bytes().to_vec())
    }

    /// Breaks something, or repairs it.
    pub fn make(&self, trouble: Trouble, broken: bool) {
        self.app.emulator.with(|world| setup::make(world, trouble, broken));
    }

    /// Makes requests meet a mishap.
    pub fn fault(&self, rule: Rule) {
        self.app.emulator.with(|world| world.faults.add(rule));
    }

    /// Puts a message into the failure queue, as anybody might.
    pub fn tell(&self, body: &str) {
        self.app.emulator.with(|world| {
            queue::send(world, QUEUE, body.to_owned()).unwrap();
        });
    }

    /// Lets time pass, checking every law after every step that ran a function.
    pub async fn run(&self, ms: Millis) {
        let until = self.app.emulator.now() + ms;
        loop {
            if !self.app.turn().await.is_empty() {
                laws::check(self).await;
            }
            if self.app.emulator.next_due().is_none_or(|due| due > until) {
                break;
            }
            self.app.emulator.step();
        }
        self.app.emulator.with(|world| world.advance_to(until));
    }

    /// Lets time pass until nothing is left to do, at most two weeks; the laws hold all the way.
    pub async fn heal(&self) {
        for _ in 0..2 * 24 * 14 {
            self.run(minutes(30)).await;
            if self.app.run_until_quiet(&self.bucket, 0, |_| {}).await.unwrap() {
                return;
            }
        }
        panic!("after {} days: {:#?}", days(14) / days(1), self.head().await);
    }

    /// The head of the source's ledger.
    pub async fn head(&self) -> Head {
        self.app.head(&self.bucket).await.unwrap().expect("nothing was ever collected")
    }

    /// Changes the head, as a person's command does.
    pub async fn edit_head(&self, edit: impl FnOnce(&mut Head)) {
        let key = StateKey::Head(&self.bucket).to_string();
        let mut loaded = self.app.store.get_json::<Head>(&key).await.unwrap().unwrap();
        edit(&mut loaded.value);
        let swapped = self.app.store.swap_json(&key, &loaded.value, Some(&loaded.etag)).await;
        assert!(matches!(swapped.unwrap(), Swapped::Won { .. }));
    }

    /// Every entry of the ledger, tombstones included.
    pub async fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        if let Some(head) = self.app.head(&self.bucket).await.unwrap() {
            self.app.entries(&head, |entry| entries.push(entry)).await.unwrap();
        }
        entries
    }

    /// How many entries are in each state.
    pub async fn states(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for entry in self.entries().await {
            let name = match entry.state {
                State::Waiting { .. } => "waiting",
                State::InFlight { .. } => "in flight",
                State::Confirming { .. } => "confirming",
                State::Held => "held",
                State::Quarantined { .. } => "quarantined",
                State::Left { outcome, .. } => outcome.as_str(),
            };
            *states.entry(name).or_default() += 1;
        }
        states
    }

    /// The titles of the chat messages that a chat has taken since the scene began, in order.
    pub fn said(&self) -> Vec<String> {
        self.said_ever().split_off(self.before)
    }

    fn said_ever(&self) -> Vec<String> {
        let posted = self.app.emulator.outbox().into_iter().filter(|posted| posted.status == 200);
        let titles = posted.filter_map(|posted| {
            let body: Value = serde_json::from_slice(&posted.body).unwrap();
            body["text"].as_str().map(str::to_owned)
        });
        titles.collect()
    }

    /// How many messages have this in their title.
    pub fn said_about(&self, part: &str) -> usize {
        self.said().iter().filter(|title| title.contains(part)).count()
    }

    /// Batch jobs that were made so far.
    pub fn jobs(&self) -> usize {
        self.app.emulator.with(|world| world.jobs.iter().count())
    }

    /// The role of the jobs, an ARN.
    pub fn job_role(&self) -> String {
        let arn = |stack: &mut Stack| stack.resource("JobRole").unwrap().attributes["Arn"].clone();
        self.app.with_stack(arn).as_str().unwrap().to_owned()
    }

    /// Keys of the state bucket under a prefix.
    pub async fn stored(&self, prefix: &str) -> Vec<String> {
        let listed = self.app.store.list(prefix, usize::MAX).await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    }

    /// Looks at the embedded AWS.
    pub fn world<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        self.app.emulator.with(look)
    }
}

/// Two destinations.
pub fn two() -> Given {
    Given { replicas: 2, ..Given::default() }
}
