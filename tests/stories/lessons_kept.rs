//! What people were bitten by who healed replication by hand or with scripts, so that nobody is again:
//! from two launchers to the installation. What concerns events and reports is in `lessons`.

use resilver::app::Options;
use resilver_aws::Woken;
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::jobs::request::Source;
use resilver_emulator::world::notification::Entry;
use resilver_heal::limits::Limits;
use resilver_heal::time::{Timestamp, days, hours, minutes};
use resilver_tests::configuration::{Sketch, planned, put, rule};
use resilver_tests::enrolment::{OURS, theirs, topic};
use resilver_tests::lessons::{message, record};
use resilver_tests::{Given, SOURCE, Scene, Trouble, lessons, two, unswept};
use serde_json::Value;

/// Two runs that overlapped each started a job over the same objects, and each was paid for.
#[tokio::test]
async fn two_launchers_at_once_start_one_job() {
    for turns in [0, 1, 3, 6, 10, 15, 22, 30, 40] {
        let scene = Scene::repaired(Given::default(), 3).await;
        let now = Timestamp(scene.app.emulator.now() + minutes(20));
        let (first, second) = (Woken::at(now, "first"), Woken::at(now, "second"));
        let late = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            scene.app.launch(&second).await
        };
        let (one, other) = tokio::join!(scene.app.launch(&first), late);
        assert!(one.is_ok() && other.is_ok(), "after {turns} turns: {one:?} {other:?}");
        assert_eq!(scene.jobs(), 1, "after {turns} turns");
        assert_eq!(scene.head().await.flights.len(), 1, "after {turns} turns");
        scene.heal().await;
        let totals = scene.head().await.totals;
        assert_eq!((scene.jobs(), totals.healed, totals.launched), (1, 3, 3));
    }
}

/// Whoever died between the start of a job and writing down its id left a job that nobody knew, and bought it again.
#[tokio::test]
async fn a_job_that_nobody_wrote_down_is_found_again_and_not_bought_twice() {
    let mut orphans = 0;
    for after in 0..4 {
        let scene = Scene::repaired(Given::default(), 3).await;
        let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
        scene.fault(Rule::once(Service::S3, "PutObject", refuse).on("head.json").after(after));
        while scene.world(|world| !world.faults.rules.is_empty()) {
            scene.run(minutes(1)).await;
        }
        let head = scene.head().await;
        let nobody_knows = head.flights.values().any(|flight| flight.job.is_none());
        orphans += usize::from(scene.jobs() == 1 && head.launching.is_some() && nobody_knows);
        scene.heal().await;
        let totals = scene.head().await.totals;
        assert_eq!((scene.jobs(), totals.jobs, totals.healed), (1, 1, 3), "after {after}");
    }
    assert_eq!(orphans, 1, "one of these writes is the one that has the job's id");
}

/// While a permission was missing every object was sent again every hour, and an alarm went with each.
#[tokio::test]
async fn a_week_without_permission_costs_a_few_canaries_and_is_told_once() {
    let limits = Limits { day_micro_usd_max: 2_000_000, ..unswept() };
    let app = Options { limits, launch_every: Some("rate(15 minutes)"), ..Given::default().app };
    let scene = Scene::settled(Given { app, ..Given::default() }).await;
    // In a week it takes most of the time.
    assert_ne!(scene.unschedule(&["-backfill"]), 0);
    scene.make(Trouble::Denied(0), true);
    scene.put_many(40).await;
    scene.run(days(7)).await;
    // After 15 and 30 minutes, 1, 3 and 8 hours, and then every day.
    let head = scene.head().await;
    assert_eq!((head.totals.jobs, head.totals.launched), (11, 11 * 5));
    assert!(head.totals.micro_usd < 3_000_000, "{:?}", head.totals);
    assert_eq!(head.circuits.len(), 1);
    let told = |scene: &Scene| (scene.said_about("held"), scene.said_about("Repaired:"));
    assert_eq!(told(&scene), (1, 0));
    assert_eq!(scene.said_about("budget"), 0);
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!((told(&scene), scene.head().await.totals.healed), ((1, 1), 40));
}

/// A new rule was taken for all that it takes: what had been there before was never copied. And a script that filled it
/// in ran again whenever somebody put the rules in another order.
#[tokio::test]
async fn a_rule_added_is_planned_with_statuses_and_price_and_a_rule_moved_is_not() {
    let limits = Limits { backfill_rows_unconfirmed_max: 1, ..unswept() };
    let scene = Scene::given(Given { replicas: 2, ..Given::limited(limits) }).await;
    let (media, logs) = (rule("media", "media/", 0), rule("logs", "logs/", 1));
    put(&scene, std::slice::from_ref(&media)).await;
    for key in ["media/1", "logs/1", "logs/2"] {
        scene.put(key, key).await;
    }
    scene.run(minutes(20)).await;
    put(&scene, &[media.clone(), logs.clone()]).await;
    scene.run(hours(1)).await;
    let asks = "A backfill of 2 versions of source-bucket for $0.400002 waits for you";
    assert_eq!(scene.said_about(asks), 1, "{:#?}", scene.said());
    let filter = scene.world(|world| match &world.jobs.iter().last().unwrap().request.source {
        Source::Generator(generator) => generator.filter.clone(),
        Source::Manifest(_) => panic!("S3 makes the manifest of a backfill"),
    });
    assert_eq!(filter.statuses, ["NONE", "FAILED", "REPLICA"]);
    assert_eq!((filter.prefixes, filter.eligible), (vec!["logs/".to_owned()], Some(true)));
    let said = scene.said();
    put(&scene, &[logs, media]).await;
    scene.run(hours(2)).await;
    assert_eq!((scene.jobs(), planned(&scene).await), (1, Vec::new()));
    assert_eq!(scene.head().await.backfills, [], "nothing waits behind it either");
    assert_eq!(scene.said(), said, "and nobody is told of it");
}

/// Setting up notifications replaced the whole document, and the pipelines of others stopped without a word.
#[tokio::test]
async fn notifications_of_others_survive_the_stacks_installation_upgrade_and_removal() {
    let scene = Scene::new().await;
    scene.their_queue();
    scene.bucket("photos").await;
    let others = vec![topic("a <topic> & more", "s3:ObjectRemoved:*"), theirs("theirs", "in/")];
    scene.overwrite("photos", others.clone(), true);
    let read = async || {
        let call = scene.app.clients.s3.get_bucket_notification_configuration().bucket("photos");
        let read = call.send().await.unwrap();
        let topics = format!("{:?}", read.topic_configurations());
        let queues = read.queue_configurations().iter();
        let queues = queues.filter(|entry| entry.id() != Some(OURS)).map(|it| format!("{it:?}"));
        (topics, queues.collect::<Vec<_>>(), read.event_bridge_configuration().is_some())
    };
    let before = read().await;
    scene.app.enroll("photos").await.unwrap();
    assert!(scene.hears("photos"));
    assert_eq!(read().await, before);
    let more = |answers: &mut resilver_emulator::stack::Answers| {
        answers.insert("WaitMinutes".into(), "30".into());
        answers.insert("BucketTag".into(), "heal=yes".into());
    };
    scene.app.reconfigure(more).await.unwrap();
    scene.run(hours(2)).await;
    assert!(scene.hears("photos"));
    assert_eq!(read().await, before);
    scene.app.uninstall().await.unwrap();
    assert_eq!(read().await, before);
    let left: Vec<Entry> = scene.notifications("photos").entries;
    assert_eq!(left, others, "and ours is gone");
}

/// A rule without metrics sends no failure events: all was quiet, for months, and nothing was replicated.
#[tokio::test]
async fn a_rule_whose_metrics_are_disabled_is_told_with_its_remedy_once() {
    let scene = Scene::settled(two()).await;
    let dark = Sketch { metrics: false, ..rule("logs", "logs/", 0) };
    put(&scene, &[dark, rule("media", "media/", 1)]).await;
    scene.run(days(1)).await;
    let title =
        "Look at source-bucket: rule logs has no metrics, so S3 sends no event when it fails";
    assert_eq!(scene.said_about(title), 1, "{:#?}", scene.said());
    assert_eq!(scene.said_about("has no metrics"), 1, "of the other rule nothing is said");
    put(&scene, &[rule("logs", "logs/", 0), rule("media", "media/", 1)]).await;
    scene.run(hours(3)).await;
    assert_eq!(scene.said_about("has no metrics"), 1);
}

/// Every bucket started a job of its own, six of them filled the account's share, and everybody else's waited.
#[tokio::test]
async fn jobs_are_never_more_than_the_cap_however_many_buckets_have_failures() {
    for cap in [1, 2] {
        let limits = Limits { jobs_active_max: cap, job_rows_max: 5, ..unswept() };
        let scene = Scene::settled(Given { replicas: 2, ..Given::limited(limits) }).await;
        // A job takes so long that launches come by meanwhile.
        scene.world(|world| world.config.job_step = minutes(3));
        let twin = lessons::twin(&scene).await;
        scene.make(Trouble::Unversioned(1), true);
        for n in 0..15 {
            scene.put(&format!("{n}"), "n").await;
            lessons::put(&scene, &format!("{n}"), "n").await;
        }
        scene.run(minutes(10)).await;
        scene.make(Trouble::Unversioned(1), false);
        let running = |scene: &Scene| {
            scene.world(|world| world.jobs.iter().filter(|it| !it.status.is_terminal()).count())
        };
        let (mut most, end) = (0, scene.app.emulator.now() + hours(8));
        while scene.app.emulator.now() < end {
            scene.app.emulator.step();
            scene.app.turn().await;
            most = most.max(running(&scene));
        }
        assert_eq!(most, cap as usize);
        for bucket in [&scene.bucket, &twin] {
            let totals = scene.app.head(bucket).await.unwrap().unwrap().totals;
            assert_eq!((totals.healed, totals.jobs >= 3), (15, true), "{bucket} {totals:?}");
        }
    }
}

/// A key with a mention in it woke everybody in the channel, and one with a comma moved the columns of the list.
#[tokio::test]
async fn markup_in_a_key_is_shown_in_chat_and_not_obeyed_and_moves_no_column() {
    let scene = Scene::settled(Given::default()).await;
    scene.make(Trouble::Denied(0), true);
    let key = "<!channel> *a*, `b`\",=1+1\n<https://x|y>";
    let id = scene.put(key, "k").await;
    scene.run(hours(1)).await;
    let posted = scene.app.emulator.outbox();
    let bodies: Vec<String> =
        posted.iter().map(|it| String::from_utf8(it.body.to_vec()).unwrap()).collect();
    let named: Vec<&String> = bodies.iter().filter(|body| body.contains("channel")).collect();
    assert!(!named.is_empty());
    for body in named {
        assert!(body.contains("&lt;!channel&gt;"), "{body}");
        assert!(!body.contains("<!") && !body.contains("<https://x"), "{body}");
        serde_json::from_str::<Value>(body).unwrap();
    }
    for key in scene.stored("manifests/").await {
        let manifest = scene.app.store.get(&key).await.unwrap().unwrap().bytes;
        let manifest = String::from_utf8(manifest.to_vec()).unwrap();
        let fields: Vec<&str> = manifest.trim_end().split(',').collect();
        assert!(matches!(fields[..], [SOURCE, _, version] if version == id), "{manifest}");
    }
    assert!(scene.jobs() > 0);
}

/// Somebody had stopped it for a reason, and the next deployment switched it on again.
#[tokio::test]
async fn a_bucket_that_is_paused_stays_so_when_the_stack_is_deployed_again() {
    let scene = Scene::repaired(Given::default(), 3).await;
    scene.edit_head(|head| head.paused = Some("an audit".into())).await;
    let wait = |answers: &mut resilver_emulator::stack::Answers| {
        answers.insert("WaitMinutes".into(), "5".into());
    };
    scene.app.reconfigure(wait).await.unwrap();
    let late = scene.put("late", "l").await;
    scene.tell(&message(&[record("late", &late)]));
    scene.run(days(1)).await;
    assert_eq!(
        (scene.jobs(), scene.head().await.totals.collected),
        (0, 4),
        "collected, not launched"
    );
    assert_eq!(scene.head().await.paused.as_deref(), Some("an audit"));
    scene.edit_head(|head| head.paused = None).await;
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 4);
}
