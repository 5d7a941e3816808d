//! What a person does at the command line: pausing, backfills, enrolment, and looking at how it stands. The
//! commands of the binary, on the embedded AWS.

use resilver::args::Target;
use resilver::desk::{Desk, queue_arn};
use resilver::doctor::{self, Diagnosis};
use resilver::error::{CliError, Exit};
use resilver::{args, backfill, enroll, pause, status};
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::jobs::Status;
use resilver_emulator::world::notification::NotificationConfig;
use resilver_heal::backfill::{Backfill, ObjectStatus};
use resilver_heal::enrolment::By;
use resilver_heal::key::Bucket;
use resilver_heal::limits::Limits;
use resilver_heal::state::StateKey;
use resilver_heal::time::{Timestamp, hours, minutes};
use resilver_tests::configuration::{put, rule};
use resilver_tests::{Given, REPLICAS, SOURCE, STATE, Scene, Trouble};

fn desk(scene: &Scene) -> Desk {
    Desk::new(&scene.app.clients, "resilver", Timestamp(scene.app.emulator.now()))
}

/// A scene in which a backfill of more than five versions waits for a person.
async fn asking() -> Scene {
    let mut scene = Scene::settled(Given::default()).await;
    scene.limit(Limits { backfill_rows_unconfirmed_max: 5, sweep_days: 0, ..Limits::default() });
    scene
}

/// Versions from before the replication configuration.
async fn before(scene: &Scene, number: usize) -> Vec<(String, String)> {
    let source = |scene: &Scene, rules| {
        scene.world(|world| {
            let source = world.buckets.get_mut(SOURCE).unwrap();
            std::mem::replace(&mut source.replication, rules)
        })
    };
    let rules = source(scene, None);
    let put = scene.put_many(number).await;
    source(scene, rules);
    put
}

/// What `resilver backfill` makes of these arguments.
async fn ask(scene: &Scene, more: &[&str]) -> Backfill {
    let target = format!("s3://{SOURCE}");
    let all = ["resilver", "backfill", &target].into_iter().chain(more.iter().copied());
    let all: Vec<std::ffi::OsString> = all.map(Into::into).collect();
    let args::Asked::Run(args) = args::parse(&all).unwrap() else { panic!("help") };
    let args::Command::Backfill(args) = args.command else { panic!("another command") };
    backfill::ask(&desk(scene), &scene.bucket, backfill::scope(&args)).await.unwrap()
}

fn jobs(scene: &Scene) -> Vec<Status> {
    scene.world(|world| world.jobs.iter().map(|job| job.status).collect())
}

async fn diagnose(scene: &Scene) -> Diagnosis {
    doctor::diagnose(&desk(scene), Some(&scene.bucket)).await.unwrap()
}

fn codes(diagnosis: &Diagnosis) -> Vec<&str> {
    diagnosis.findings.iter().map(|found| found.code.as_str()).collect()
}

async fn shown(scene: &Scene) -> String {
    status::text(&status::status(&desk(scene), None).await.unwrap())
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[tokio::test]
async fn names_are_computed_as_the_template_makes_them() {
    let scene = Scene::new().await;
    let desk = desk(&scene);
    assert_eq!(desk.store.bucket, scene.app.store.bucket);
    assert_eq!(desk.store.bucket, STATE);
    let queue = scene.world(|world| {
        let enroll = world.lambda.functions().find(|it| it.code == "resilver-enroll").unwrap();
        enroll.environment["RESILVER_QUEUE_ARN"].clone()
    });
    assert_eq!(queue_arn("resilver", "111122223333", "us-east-1"), queue);
    assert!(queue_arn("r", "1", "cn-north-1").starts_with("arn:aws-cn:"));
    assert!(queue_arn("r", "1", "us-gov-west-1").starts_with("arn:aws-us-gov:"));
}

#[tokio::test]
async fn a_paused_bucket_collects_and_launches_nothing_even_after_a_redeploy() {
    let scene = Scene::new().await;
    // Before anything was collected: there is no head yet.
    let before = pause::pause(&desk(&scene), &scene.bucket, "maintenance").await.unwrap();
    assert_eq!((before.paused, before.present), (None, 0));
    scene.make(Trouble::Unversioned(0), true);
    let put = scene.put_many(4).await;
    scene.run(minutes(5)).await;
    scene.make(Trouble::Unversioned(0), false);
    scene.run(hours(6)).await;
    let redeploy = |minutes: &'static str| {
        scene.app.reconfigure(move |answers| {
            answers.insert("WaitMinutes".into(), minutes.into());
        })
    };
    redeploy("1").await.unwrap();
    scene.run(hours(6)).await;
    let head = scene.head().await;
    assert_eq!((head.paused.as_deref(), head.counts.present()), (Some("maintenance"), 4));
    assert_eq!(scene.jobs(), 0);
    says(&shown(&scene).await, &["paused", "maintenance", "resilver resume s3://source-bucket"]);
    assert!(codes(&diagnose(&scene).await).contains(&"paused"));
    let (before, at) = pause::resume(&desk(&scene), &scene.bucket, None).await.unwrap();
    assert_eq!((before.paused.as_deref(), before.present, at), (Some("maintenance"), 4, None));
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 4);
    for (key, id) in put {
        assert!(scene.bytes(REPLICAS[0], &key, &id).await.is_some());
    }
}

#[tokio::test]
async fn pausing_twice_and_resuming_twice_is_once() {
    let scene = Scene::new().await;
    let (desk, bucket) = (desk(&scene), &scene.bucket);
    let nothing = pause::resume(&desk, bucket, None).await.unwrap().0;
    assert_eq!(nothing.paused, None);
    assert!(scene.app.head(bucket).await.unwrap().is_none(), "nothing was written for that");
    pause::pause(&desk, bucket, "a").await.unwrap();
    pause::pause(&desk, bucket, "a").await.unwrap();
    assert_eq!(scene.head().await.generation, 1);
    let before = pause::pause(&desk, bucket, "b").await.unwrap();
    assert_eq!(before.paused.as_deref(), Some("a"));
    assert_eq!(scene.head().await.paused.as_deref(), Some("b"));
    for expected in [3, 3] {
        pause::resume(&desk, bucket, None).await.unwrap();
        assert_eq!((scene.head().await.generation, scene.head().await.paused), (expected, None));
    }
}

#[tokio::test]
async fn a_pause_may_end_by_itself() {
    let scene = Scene::new().await;
    pause::pause(&desk(&scene), &scene.bucket, "tonight").await.unwrap();
    let (_, at) = pause::resume(&desk(&scene), &scene.bucket, Some(hours(6))).await.unwrap();
    assert_eq!(at, Some(desk(&scene).now.plus_ms(hours(6))));
    scene.make(Trouble::Unversioned(0), true);
    scene.put("late", "l").await;
    scene.run(minutes(2)).await;
    scene.make(Trouble::Unversioned(0), false);
    scene.run(hours(5)).await;
    assert_eq!(scene.jobs(), 0);
    scene.heal().await;
    let head = scene.head().await;
    assert_eq!((head.totals.healed, head.paused, head.resume_at), (1, None, None));
}

#[tokio::test]
async fn a_pause_that_meets_a_launch_is_said_to_what_the_launch_left() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(2).await;
    for verdict in [Verdict::LoseReply, Verdict::LoseRequest] {
        let lose = Rule::once(Service::S3, "PutObject", verdict).on("head.json");
        scene.fault(lose);
        let (desk, run) = (desk(&scene), scene.run(minutes(10)));
        let (paused, ()) = tokio::join!(pause::pause(&desk, &scene.bucket, "x"), run);
        paused.unwrap();
        assert_eq!(scene.head().await.paused.as_deref(), Some("x"));
        assert_eq!(scene.head().await.counts.present(), 2);
        pause::resume(&desk, &scene.bucket, None).await.unwrap();
    }
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 2);
}

#[tokio::test]
async fn a_backfill_that_a_person_asks_for_waits_is_confirmed_and_heals() {
    let scene = asking().await;
    let put = before(&scene, 6).await;
    let desk = desk(&scene);
    let none = backfill::confirm(&desk, &scene.bucket).await.unwrap_err();
    assert_eq!((none.exit, none.code), (Exit::Found, "nothing-waits"));
    says(&none.to_string(), &["no backfill of s3://source-bucket waits"]);
    let asked = ask(&scene, &["--created-before", "2100-01-01"]).await;
    let [never, failed, replica] =
        [ObjectStatus::None, ObjectStatus::Failed, ObjectStatus::Replica];
    assert_eq!(asked.scope.statuses, [never, failed, replica].into());
    let early = backfill::confirm(&desk, &scene.bucket).await.unwrap_err();
    says(&early.to_string(), &["S3 has not been asked yet to list 1 backfill"]);
    scene.run(hours(2)).await;
    assert_eq!(jobs(&scene), [Status::Suspended]);
    says(
        &shown(&scene).await,
        &[&asked.id, "6 versions for $0.400006", "resilver backfill s3://source-bucket --confirm"],
    );
    let confirmed = backfill::confirm(&desk, &scene.bucket).await.unwrap();
    assert_eq!((confirmed.versions, confirmed.micro_usd), (Some(6), 400_006));
    assert!(!confirmed.already && confirmed.backfill.id == asked.id);
    assert!(backfill::confirm(&desk, &scene.bucket).await.unwrap().already);
    scene.run(hours(1)).await;
    for (key, id) in &put {
        assert!(scene.bytes(REPLICAS[0], key, id).await.is_some(), "{key}");
    }
    assert_eq!(scene.head().await.totals.healed, 6);
}

#[tokio::test]
async fn a_backfill_is_only_of_the_statuses_and_the_prefix_that_are_asked_for() {
    let scene = asking().await;
    assert!(ask(&scene, &["--also-completed"]).await.scope.statuses.len() == 4);
    let target: Target = "s3://source-bucket/logs/2026".parse().unwrap();
    assert_eq!((target.bucket, target.prefix.as_str()), (scene.bucket.clone(), "logs/2026"));
    let given_up = backfill::give_up(&desk(&scene), &scene.bucket).await.unwrap();
    assert_eq!(given_up.len(), 1, "before launch has seen it");
    scene.run(hours(1)).await;
    assert_eq!(scene.jobs(), 0);
}

#[tokio::test]
async fn a_backfill_that_is_given_up_is_cancelled_and_the_bucket_heals_on() {
    let scene = asking().await;
    before(&scene, 6).await;
    for wait in [minutes(5), hours(1)] {
        let asked = ask(&scene, &[]).await;
        let queued = ask(&scene, &["--also-completed"]).await;
        scene.run(wait).await;
        let mut given_up = backfill::give_up(&desk(&scene), &scene.bucket).await.unwrap();
        given_up.sort_by_key(|one| one.scope.statuses.len());
        let ids: Vec<_> = given_up.into_iter().map(|one| one.id).collect();
        assert_eq!(ids, [asked.id, queued.id]);
        assert!(backfill::confirm(&desk(&scene), &scene.bucket).await.is_err());
        scene.run(hours(1)).await;
        let head = scene.head().await;
        assert_eq!((head.scan, head.backfills.len(), head.paused), (None, 0, None));
        assert!(jobs(&scene).iter().all(|status| *status == Status::Cancelled));
    }
    scene.heals_what_fails().await;
    assert_eq!(scene.head().await.totals.collected, 1);
}

#[tokio::test]
async fn a_bucket_is_enrolled_and_let_go_by_hand_and_a_dry_run_only_shows_it() {
    let scene = Scene::new().await;
    let other = Bucket::try_from(REPLICAS[0].to_owned()).unwrap();
    let desk = desk(&scene);
    let ctx = enroll::function(&desk, None).unwrap();
    let document = || {
        let at = |world: &mut resilver_emulator::world::World| {
            world.buckets.get_mut(REPLICAS[0]).unwrap().notification.clone()
        };
        scene.world(at)
    };
    let refused = enroll::enroll(&desk, &ctx, &other, false).await.unwrap_err();
    assert_eq!((refused.exit, refused.code), (Exit::Found, "queue"));
    says(&refused.to_string(), &["name the bucket in its parameter Buckets"]);
    scene.app.enroll(REPLICAS[0]).await.unwrap();
    let done = enroll::unenroll(&desk, &ctx, &other, true).await.unwrap();
    assert!(done.diff.len() == 1 && done.diff[0].starts_with("- resilver-resilver: "));
    assert_eq!(done.before.unwrap().by, By::Settings);
    let is = document();
    assert_ne!(is, NotificationConfig::default());
    enroll::unenroll(&desk, &ctx, &other, false).await.unwrap();
    assert_eq!(document(), NotificationConfig::default());
    let again = enroll::unenroll(&desk, &ctx, &other, false).await.unwrap();
    assert_eq!((again.diff.len(), again.before), (0, None));

    let done = enroll::enroll(&desk, &ctx, &other, true).await.unwrap();
    assert!(done.diff.len() == 1 && done.diff[0].starts_with("+ resilver-resilver: "));
    assert_eq!(document(), NotificationConfig::default(), "only shown");
    enroll::enroll(&desk, &ctx, &other, false).await.unwrap();
    assert_eq!(document(), is);
    assert_eq!(desk.enrolled(&other).await.unwrap().unwrap().by, By::Person);
    let again = enroll::enroll(&desk, &ctx, &other, false).await.unwrap();
    assert_eq!(again.diff, Vec::<String>::new());
}

#[tokio::test]
async fn a_status_says_what_is_held_why_and_what_to_do() {
    let scene = Scene::settled(Given::default()).await;
    says(&shown(&scene).await, &["source-bucket", "0 jobs"]);
    scene.make(Trouble::Unversioned(0), true);
    scene.put_many(3).await;
    scene.run(minutes(10)).await;
    let status = status::status(&desk(&scene), Some(&scene.bucket)).await.unwrap();
    let [bucket] = &status.buckets[..] else { panic!("one") };
    assert_eq!((bucket.counts.held, bucket.circuits[0].versions), (3, 3));
    let first = scene.entries().await.iter().map(|entry| entry.first_seen).min();
    assert_eq!(bucket.oldest_unhealed, first);
    says(
        &status::text(&status),
        &[
            "3 versions: DstBucketUnversioned at replica-a",
            "to repair it, enable versioning on the destination bucket",
            "next try at 2026-01-01",
        ],
    );
    let diagnosis = diagnose(&scene).await;
    let held = diagnosis.findings.iter().find(|found| found.code == "held").unwrap();
    says(&held.what, &["3 versions held: DstBucketUnversioned at replica-a"]);
    scene.make(Trouble::Unversioned(0), false);
    scene.heal().await;
    let status = status::status(&desk(&scene), None).await.unwrap();
    assert_eq!(status.buckets[0].oldest_unhealed, None);
    assert!(status.today.micro_usd > 0 && status.today.jobs > 0);
    assert_eq!(diagnose(&scene).await.exit(), Exit::Done);
}

#[tokio::test]
async fn doctor_finds_what_is_told_and_whether_the_bucket_is_heard_at_all() {
    let scene = Scene::settled(Given::default()).await;
    let fine = diagnose(&scene).await;
    assert_eq!((codes(&fine), fine.exit()), (vec![], Exit::Done));
    assert_eq!(fine.buckets, [SOURCE, STATE]);
    let silent = resilver_tests::configuration::Sketch { metrics: false, ..rule("logs", "", 0) };
    put(&scene, &[silent]).await;
    scene.world(|world| {
        world.buckets.get_mut(SOURCE).unwrap().notification = NotificationConfig::default();
    });
    let found = diagnose(&scene).await;
    assert_eq!((codes(&found), found.exit()), (vec!["drifted", "metrics"], Exit::Found));
    says(
        &doctor::text(&found, STATE),
        &["rule logs has no metrics", "resilver enroll s3://source-bucket", "2 findings."],
    );
    let (desk, bucket) = (desk(&scene), &scene.bucket);
    let ctx = enroll::function(&desk, None).unwrap();
    enroll::enroll(&desk, &ctx, bucket, false).await.unwrap();
    put(&scene, &[rule("logs", "", 0)]).await;
    assert_eq!(diagnose(&scene).await.exit(), Exit::Done);
    let other = Bucket::try_from(REPLICAS[0].to_owned()).unwrap();
    let found = doctor::diagnose(&desk, Some(&other)).await.unwrap();
    assert_eq!(codes(&found), ["not-enrolled", "no-rules"]);
    let nobody = Bucket::try_from("nobody".to_owned()).unwrap();
    let missing = doctor::diagnose(&desk, Some(&nobody)).await.unwrap_err();
    assert_eq!((missing.exit, missing.code), (Exit::Usage, "no-such-bucket"));
}

#[tokio::test]
async fn what_may_not_be_read_names_the_permission() {
    let scene = Scene::settled(Given::default()).await;
    let desk = desk(&scene);
    let refuse = |operation: &str| {
        let denied = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
        scene.world(|world| world.faults.rules.clear());
        scene.fault(Rule::once(Service::S3, operation, denied).times(1_000));
    };
    let denied = |error: CliError, permission: &str| {
        assert_eq!((error.exit, error.code), (Exit::Unknown, "denied"));
        says(&error.to_string(), &[permission, "allow whoever runs this"]);
    };
    refuse("ListObjectsV2");
    denied(status::status(&desk, None).await.unwrap_err(), "s3:ListBucket");
    let found = doctor::diagnose(&desk, None).await.unwrap();
    assert_eq!((codes(&found), found.exit()), (vec!["denied"], Exit::Found));
    refuse("PutObject");
    denied(pause::pause(&desk, &scene.bucket, "x").await.unwrap_err(), "s3:PutObject");
    refuse("GetBucketEncryption");
    let found = diagnose(&scene).await;
    let one = &found.findings[0];
    assert_eq!(
        (one.code.as_str(), one.subject.as_str()),
        ("unreadable", "s3:GetEncryptionConfiguration")
    );
    says(&one.remedy, &["allow whoever runs this s3:GetEncryptionConfiguration"]);
    refuse("GetBucketNotificationConfiguration");
    let ctx = enroll::function(&desk, None).unwrap();
    let error = enroll::enroll(&desk, &ctx, &scene.bucket, false).await.unwrap_err();
    assert!(!error.to_string().contains("function's role"), "a person is no function: {error}");
    denied(error, "s3:GetBucketNotification");
    assert_eq!(codes(&diagnose(&scene).await), ["unreadable"]);
}

#[tokio::test]
async fn nothing_is_asked_of_a_stack_that_was_deleted_or_of_a_newer_release() {
    let scene = Scene::settled(Given::default()).await;
    let desk = desk(&scene);
    pause::pause(&desk, &scene.bucket, "x").await.unwrap();
    let head = StateKey::Head(&scene.bucket).to_string();
    scene.edit_head(|head| head.format += 1).await;
    let stored = scene.app.store.get(&head).await.unwrap();
    let newer = pause::pause(&desk, &scene.bucket, "y").await.unwrap_err();
    assert_eq!((newer.exit, newer.code), (Exit::Unknown, "format"));
    assert_eq!(scene.app.store.get(&head).await.unwrap(), stored, "and nothing is written over");
    scene.edit_head(|head| head.format -= 1).await;
    scene.app.uninstall().await.unwrap();
    let deleted = pause::resume(&desk, &scene.bucket, None).await.unwrap_err();
    assert_eq!((deleted.exit, deleted.code), (Exit::Found, "deleted"));
    let found = doctor::diagnose(&desk, None).await.unwrap();
    assert!(codes(&found).contains(&"deleted"), "{found:?}");
    says(&shown(&scene).await, &["The stack was deleted 2026-01-01"]);
}
