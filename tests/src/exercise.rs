//! Everything that an installation ever does, once: every path through its functions and its jobs, from the
//! deployment to the deletion of the stack. It judges nothing itself; what roles and rules were asked for
//! meanwhile is in the world's audit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use aws_sdk_s3::types::{BucketVersioningStatus, ReplicationConfiguration, Tag, Tagging};
use resilver::app::{App, SLACK};
use resilver_aws::clients::Place;
use resilver_aws::{Clients, LineWriter, Store};
use resilver_emulator::Emulator;
use resilver_emulator::stack::Answers;
use resilver_emulator::world::audit::{Ground, Use};
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::jobs::Status;
use resilver_emulator::world::{Millis, World, trail};
use resilver_heal::backfill::ObjectStatus;
use resilver_heal::change::REPAIRS;
use resilver_heal::scan;
use resilver_heal::time::{days, hours, minutes};
use serde_json::Value;

use crate::configuration::{delete, expires, put, rule, sdk, version};
use crate::enrolment::topic;
use crate::stack::{PHOTOS, account, answers, template};
use crate::{REPLICAS, ROLE, SOURCE, STATE, Scene, Trouble};

fn refuse() -> Verdict {
    Verdict::Refuse { code: "AccessDenied".into(), status: 403 }
}

/// Failures become a canary, a job, a report and verdicts; what cannot be read is kept; what is gone is
/// counted.
async fn failures(scene: &Scene) {
    scene.make(Trouble::Denied(0), true);
    let put = scene.put_many(12).await;
    scene.tell("no event at all");
    scene.pass(minutes(12)).await;
    scene.delete_version(SOURCE, &put[1].0, &put[1].1).await;
    scene.make(Trouble::Denied(0), false);
    spoil_a_report(scene).await;
    scene.pass(hours(4)).await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.healed, totals.gone), (10, 2), "{:#?}", scene.head().await);
}

/// Somebody spoils a row of the first report that has a good one, before settle comes by, and deletes the
/// row's version.
async fn spoil_a_report(scene: &Scene) {
    const GOOD: &str = "succeeded,200";
    let last = scene.app.emulator.now() + days(3);
    let (key, text) = 'found: loop {
        assert!(scene.app.emulator.now() < last, "no good report: {:#?}", scene.said());
        scene.app.emulator.step();
        scene.app.turn().await;
        let mut stored = scene.stored(&format!("reports/{SOURCE}/")).await;
        stored.retain(|key| key.ends_with(".csv"));
        for key in stored {
            let report = scene.app.store.get(&key).await.unwrap().unwrap().bytes;
            let text = String::from_utf8(report.to_vec()).unwrap();
            if text.contains(GOOD) {
                break 'found (key, text);
            }
        }
    };
    let broken = text.replacen(GOOD, "perhaps,200", 1);
    scene.app.store.put(&key, broken.into(), "text/csv").await.unwrap();
    let row = text.lines().find(|line| line.contains(GOOD)).unwrap();
    let row = row.split(',').take(3).collect::<Vec<_>>().join(",");
    let (_, key, version) = resilver_heal::manifest::parse_line(&row).unwrap();
    scene.delete_version(SOURCE, key.as_str(), version.as_str()).await;
}

/// S3 refuses a job, and is asked again later.
async fn refusals(scene: &Scene) {
    scene.make(Trouble::Denied(0), true);
    scene.put("refused", "r").await;
    scene.pass(minutes(12)).await;
    scene.make(Trouble::Denied(0), false);
    scene.fault(Rule::once(Service::Control, "CreateJob", refuse()));
    scene.until_said("refused to start a job").await;
    scene.until_nothing_is_held().await;
}

/// A rule is moved to another destination: what existed before goes up, once a person has confirmed it.
async fn backfills(scene: &Scene) {
    put(scene, &[rule("logs", "folder 0", 0)]).await;
    scene.pass(minutes(20)).await;
    put(scene, &[rule("logs", "folder 0", 1), rule("rest", "folder", 1)]).await;
    scene.until_said("waits for you").await;
    scene.edit_head(|head| assert!(scan::confirm(head))).await;
    scene.pass(hours(1)).await;
    // What the ledger holds is left out of a job that S3 listed: that one is cancelled.
    scene.make(Trouble::Denied(1), true);
    for n in 0..2 {
        scene.put(&format!("folder {n}/held"), "h").await;
    }
    scene.pass(minutes(12)).await;
    scene.ask_for_backfill(&[ObjectStatus::Failed, ObjectStatus::None]).await;
    let cancelled =
        |world: &mut World| world.jobs.iter().any(|job| job.status == Status::Cancelled);
    scene.comes_to("a job of ours is cancelled", async || scene.world(cancelled)).await;
    scene.make(Trouble::Denied(1), false);
    scene.until_nothing_is_held().await;
}

/// Other tools write the notifications of a bucket, and one takes our events for itself.
async fn wiring(scene: &Scene) {
    let write = scene.app.clients.s3.put_bucket_notification_configuration().bucket(SOURCE);
    let empty = aws_sdk_s3::types::NotificationConfiguration::builder().build();
    write.notification_configuration(empty).send().await.unwrap();
    scene.pass(minutes(5)).await;
    assert!(scene.hears(SOURCE));
    scene.overwrite(PHOTOS, vec![topic("audit", "s3:Replication:*")], false);
    scene.pass(hours(3)).await;
    scene.overwrite(PHOTOS, vec![], false);
    scene.pass(hours(2)).await;
    assert!(scene.hears(PHOTOS));
}

/// Everything about a bucket changes that is looked at.
async fn changes(scene: &Scene) {
    let lifecycle = expires();
    let s3 = &scene.app.clients.s3;
    for bucket in [SOURCE, REPLICAS[0]] {
        let call = s3.put_bucket_lifecycle_configuration().bucket(bucket);
        call.lifecycle_configuration(lifecycle.clone()).send().await.unwrap();
    }
    scene.pass(minutes(5)).await;
    s3.delete_bucket_lifecycle().bucket(SOURCE).send().await.unwrap();
    // What S3 refuses is told, too, and changes nothing.
    let twice = [0, 1].map(|n| sdk(n, &rule("twice", "", 0), "twice".into()));
    let rules = ReplicationConfiguration::builder().role(ROLE).set_rules(Some(twice.into()));
    let call = s3.put_bucket_replication().bucket(SOURCE);
    call.replication_configuration(rules.build().unwrap()).send().await.unwrap_err();
    for (service, calls) in REPAIRS {
        for call in calls {
            scene.world(|world| {
                trail::changed(world, service, call, &[("bucketName", Some(REPLICAS[0]))]);
            });
        }
    }
    delete(scene).await;
    version(scene, SOURCE, BucketVersioningStatus::Suspended).await;
    scene.pass(hours(2)).await;
}

/// Uploads of launch break off half-way, under its role: all that it writes in parts.
async fn uploads(scene: &Scene) {
    let keys = scene.world(|world| world.lambda.function("resilver-launch").unwrap().keys.clone());
    let place = Place {
        endpoint: Emulator::ENDPOINT,
        region: "us-east-1",
        account: "111122223333",
        keys: (&keys.0, &keys.1),
    };
    let clients = Clients::at(&place, scene.app.emulator.http_client());
    let store = Store::new(clients, STATE.to_owned());
    for prefix in ["ledger", "listed", "manifests"] {
        scene.fault(Rule::once(Service::S3, "UploadPart", refuse()));
        let mut writer = LineWriter::new(store.clone(), format!("{prefix}/broken.csv"));
        writer.write(&vec![b'x'; 9 * 1024 * 1024]).await.unwrap_err();
    }
    let left = scene.world(|world| world.buckets[STATE].uploads.len());
    assert_eq!(left, 0, "they are aborted");
}

/// All of it, up to the end of the stack.
async fn everything(scene: &Scene) {
    scene.pass(minutes(30)).await;
    failures(scene).await;
    refusals(scene).await;
    backfills(scene).await;
    wiring(scene).await;
    uploads(scene).await;
    answer(scene, |answers| drop(answers.insert("Buckets".into(), SOURCE.into()))).await;
    assert!(!scene.hears(PHOTOS) && scene.hears(SOURCE));
    changes(scene).await;
    scene.app.uninstall().await.unwrap();
    assert!(!scene.hears(SOURCE));
}

/// What is otherwise where buckets are chosen by a tag; in the end others are named instead.
async fn by_tag(scene: &Scene) {
    scene.pass(minutes(30)).await;
    assert!(scene.hears(SOURCE) && !scene.hears(PHOTOS));
    failures(scene).await;
    let names = |answers: &mut Answers| {
        answers.remove("BucketTag");
        answers.insert("Buckets".into(), PHOTOS.into());
    };
    answer(scene, names).await;
    assert!(!scene.hears(SOURCE) && scene.hears(PHOTOS));
}

async fn answer(scene: &Scene, change: impl FnOnce(&mut Answers) + Send) {
    scene.app.reconfigure(change).await.unwrap();
}

impl Scene {
    /// Lets time pass; the laws are checked in the stories.
    async fn pass(&self, ms: Millis) {
        self.app.run_for(ms).await;
    }

    async fn until_said(&self, part: &str) {
        self.comes_to(part, async || self.said_about(part) > 0).await;
    }

    async fn until_nothing_is_held(&self) {
        let released = async || {
            let head = self.head().await;
            head.counts.held == 0 && head.totals.jobs > 0
        };
        self.comes_to("nothing is held", released).await;
        self.pass(minutes(40)).await;
    }

    /// Lets time pass until it is so; of a world in which it never is, the test fails instead of waiting.
    async fn comes_to(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..days(10) / minutes(5) {
            if is_so().await {
                return;
            }
            self.pass(minutes(5)).await;
        }
        panic!("ten days are over, and not yet: {what}");
    }
}

/// What was seen of the roles and the buses meanwhile.
#[derive(Debug)]
pub struct Record {
    /// The logical ids of the roles, by ARN.
    pub roles: BTreeMap<String, String>,
    /// What their policies allowed at first.
    pub permitted: BTreeSet<Ground>,
    /// What everybody asked for.
    pub uses: BTreeSet<Use>,
    /// What alone allowed something.
    pub needed: BTreeSet<Ground>,
    /// Every event, with its bus.
    pub events: Vec<(String, Value)>,
}

/// Where the buckets are named, and something is asked of people soon.
pub const NAMED: [(&str, &str); 4] = [
    ("Buckets", "source-bucket,photos"),
    ("WaitMinutes", "1"),
    ("BackfillRows", "3"),
    ("SlackWebhookUrl", SLACK),
];

/// Everything, where the buckets are named. It is done once for all who look at it.
pub fn named() -> &'static Record {
    static NAMED_ONCE: LazyLock<Record> = LazyLock::new(|| {
        play(async |emulator| {
            let scene = Scene::staged(emulator, template(), &answers(NAMED)).await.unwrap();
            record(scene, async |scene| everything(scene).await).await
        })
    });
    &NAMED_ONCE
}

/// What is otherwise, where they are chosen by a tag.
pub fn tagged() -> &'static Record {
    static TAGGED_ONCE: LazyLock<Record> = LazyLock::new(|| {
        play(async |emulator| {
            let all = [("BucketTag", "heal=yes"), ("WaitMinutes", "1"), ("SlackWebhookUrl", SLACK)];
            tag(&emulator, SOURCE).await;
            let scene = Scene::staged(emulator, template(), &answers(all)).await.unwrap();
            record(scene, async |scene| by_tag(scene).await).await
        })
    });
    &TAGGED_ONCE
}

async fn tag(emulator: &Emulator, bucket: &str) {
    let tag = Tag::builder().key("heal").value("yes").build().unwrap();
    let tags = Tagging::builder().tag_set(tag).build().unwrap();
    let call = App::clients(emulator).s3.put_bucket_tagging().bucket(bucket).tagging(tags);
    call.send().await.unwrap();
}

async fn record(scene: Scene, play: impl AsyncFnOnce(&Scene)) -> Record {
    let (roles, permitted) = (scene.roles(), scene.permitted());
    play(&scene).await;
    scene.world(|world| Record {
        roles,
        permitted,
        uses: world.audit.uses(),
        needed: world.audit.needed(),
        events: world.audit.events().to_vec(),
    })
}

/// On a thread of its own, whoever asks for it.
fn play<F: Future<Output = Record>>(act: impl FnOnce(Emulator) -> F + Send + 'static) -> Record {
    let played = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { act(account().await).await })
    });
    played.join().unwrap()
}
