//! The stack as a whole, in an account that is in use: deployed, changed, changed back when a change fails,
//! deleted, and deployed again.

use resilver::app::{App, AppError, SLACK};
use resilver_emulator::Emulator;
use resilver_emulator::stack::{Answers, Progress, Stack};
use resilver_emulator::world::notification::{NotificationConfig, set};
use resilver_heal::time::{hours, minutes};
use resilver_tests::enrolment::topic;
use resilver_tests::stack::{PHOTOS, account, answers, template};
use resilver_tests::{QUEUE, SOURCE, STATE, Scene, Trouble};
use serde_json::{Value, json};

/// What another tool has in a bucket's notification document.
fn theirs() -> NotificationConfig {
    let entries = vec![topic("theirs", "s3:ObjectCreated:*")];
    NotificationConfig { entries, event_bridge: true }
}

/// An account in which another tool listens to both sources.
async fn shared() -> Emulator {
    let emulator = account().await;
    for bucket in [SOURCE, PHOTOS] {
        emulator.with(|world| set(world, bucket, theirs(), true)).unwrap();
    }
    emulator
}

/// A stack that heals the source.
async fn deployed() -> Scene {
    let one = answers([("Buckets", SOURCE), ("SlackWebhookUrl", SLACK), ("SweepDays", "0")]);
    Scene::staged(shared().await, template(), &one).await.unwrap()
}

async fn change(scene: &Scene, name: &str, value: &str) -> Result<(), AppError> {
    let (name, value) = (name.to_owned(), value.to_owned());
    scene.app.reconfigure(|answers: &mut Answers| drop(answers.insert(name, value))).await
}

/// Objects fail, and their cause is repaired.
async fn failures(scene: &Scene) {
    scene.make(Trouble::Denied(0), true);
    scene.put_many(3).await;
    scene.run(minutes(12)).await;
    scene.make(Trouble::Denied(0), false);
}

/// What a function is given.
fn given(scene: &Scene, function: &str, name: &str) -> String {
    scene.world(|world| world.lambda.function(function).unwrap().environment[name].clone())
}

#[tokio::test]
async fn a_stack_comes_heals_and_goes_and_buckets_are_as_they_were() {
    let scene = deployed().await;
    assert!(scene.hears(SOURCE));
    assert_eq!(scene.notifications(PHOTOS), theirs(), "nobody asked for that");
    failures(&scene).await;
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
    let known = scene.stored("").await;
    scene.app.uninstall().await.unwrap();
    assert_eq!(scene.notifications(SOURCE), theirs());
    scene.world(|world| {
        assert!(world.queues.get(QUEUE).is_none() && world.lambda.functions().count() == 0);
        assert_eq!(world.schedules.iter().count(), 0);
        assert!(world.iam.roles().all(|role| !role.arn.contains("/resilver-")));
    });
    let left = scene.stored("").await;
    let forgotten: Vec<_> = known.iter().filter(|key| !left.contains(key)).collect();
    assert_eq!(forgotten, ["enrolled/source-bucket.json"], "the state bucket stays as it is");
}

#[tokio::test]
async fn a_bucket_that_is_added_is_wired_and_one_that_leaves_is_let_go() {
    let scene = deployed().await;
    change(&scene, "Buckets", "source-bucket,photos").await.unwrap();
    assert!(scene.hears(SOURCE) && scene.hears(PHOTOS));
    assert!(scene.enrolled(PHOTOS).await.is_some());
    change(&scene, "Buckets", PHOTOS).await.unwrap();
    assert!(!scene.hears(SOURCE) && scene.hears(PHOTOS));
    assert_eq!(scene.notifications(SOURCE), theirs());
    assert_eq!(scene.enrolled(SOURCE).await, None);
    // Its queue does not take the events of who has left.
    failures(&scene).await;
    assert!(scene.app.head(&scene.bucket).await.unwrap().is_none_or(|it| it.totals.collected == 0));
}

#[tokio::test]
async fn limits_and_chats_that_change_hold_from_the_next_run_on() {
    let mut scene = deployed().await;
    scene.run(minutes(20)).await;
    let before = scene.said().len();
    change(&scene, "DayJobs", "1").await.unwrap();
    change(&scene, "SlackWebhookUrl", "https://hooks.example.com/other").await.unwrap();
    for function in ["resilver-launch", "resilver-backfill"] {
        assert!(given(&scene, function, "RESILVER_LIMITS").contains("\"day_jobs_max\": 1,"));
    }
    scene.options.limits.day_jobs_max = 1;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(12).await;
    scene.run(minutes(12)).await;
    scene.make(Trouble::Denied(0), false);
    scene.run(hours(3)).await;
    assert_eq!(scene.jobs(), 1, "the canary");
    let posted = scene.app.emulator.outbox();
    let other = posted.iter().filter(|it| it.url.contains("hooks.example.com")).count();
    assert!(other > 0 && posted.len() == before + other, "the old chat hears nothing more");
    assert_eq!(scene.said_about("budget of jobs is spent"), 1);
    change(&scene, "DayJobs", "96").await.unwrap();
    scene.options.limits.day_jobs_max = 96;
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 12);
}

#[tokio::test]
async fn a_change_that_fails_is_undone_and_buckets_are_as_before() {
    let scene = deployed().await;
    let before = [SOURCE, PHOTOS].map(|bucket| scene.notifications(bucket));
    let failed = change(&scene, "Buckets", "photos,none-such").await.unwrap_err().to_string();
    assert!(failed.contains("there is no bucket none-such; correct the name"), "{failed}");
    assert!(scene.hears(SOURCE), "nothing is let go by a change that fails");
    // CloudFormation rolls back: it changes everything to what it was.
    change(&scene, "Buckets", SOURCE).await.unwrap();
    assert_eq!([SOURCE, PHOTOS].map(|bucket| scene.notifications(bucket)), before);
    failures(&scene).await;
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn a_bucket_in_another_region_fails_the_deployment_with_the_sentence_that_says_so() {
    let emulator = shared().await;
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder();
    let place = place.location_constraint("eu-west-1".into()).build();
    let call = App::clients(&emulator).s3.create_bucket().bucket("far");
    call.create_bucket_configuration(place).send().await.unwrap();
    let both = answers([("Buckets", "source-bucket,far")]);
    let failed = Scene::staged(emulator.clone(), template(), &both).await.unwrap_err();
    let sentence = "far is in eu-west-1, and this stack in us-east-1";
    assert!(failed.to_string().contains(sentence), "{failed}");
    // CloudFormation undoes what there is of the stack, and cannot delete a bucket that has anything in it.
    emulator.advance(hours(1));
    let left = emulator.with(|world| world.buckets[STATE].keys.keys().cloned().collect::<Vec<_>>());
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(emulator.with(|world| world.schedules.iter().count()), 0, "nothing runs yet");
}

#[tokio::test]
async fn an_answer_that_will_not_do_is_refused_in_the_words_of_the_template() {
    let document = template().document().clone();
    let wrong = [
        ("ActiveJobs", "7"),
        ("Architecture", "mips"),
        ("BackfillRows", "-1"),
        ("BucketObjectsMillions", "0"),
        ("BucketTag", "heal"),
        ("Buckets", "s3://photos"),
        ("DayDollars", "1.5"),
        ("DayJobs", "0"),
        ("LaunchRows", "1e3"),
        ("LogDays", "2"),
        ("SlackWebhookUrl", "http://hooks.slack.com/x"),
        ("StateKeyArn", "alias/key"),
        ("SweepDays", "1000"),
        ("TeamsWebhookUrl", "https://a b"),
        ("WaitMinutes", "1441"),
        ("WebhookUrl", "hooks"),
    ];
    let every: Vec<&str> = wrong.iter().map(|(name, _)| *name).collect();
    assert!(every.iter().copied().eq(template().parameters()), "each parameter has its limits");
    let emulator = shared().await;
    for (name, value) in wrong {
        let mut given = answers([("Buckets", SOURCE)]);
        given.insert(name.to_owned(), value.to_owned());
        let failed = Scene::staged(emulator.clone(), template(), &given).await.unwrap_err();
        let sentence = document["Parameters"][name]["ConstraintDescription"].as_str().unwrap();
        assert!(failed.to_string().contains(sentence), "{name}: {failed}");
    }
    let failed = Scene::staged(emulator.clone(), template(), &answers([])).await.unwrap_err();
    assert!(
        failed.to_string().contains("Name the buckets to heal in Buckets, or a tag"),
        "{failed}"
    );
    assert_eq!(emulator.with(|world| world.lambda.functions().count()), 0, "nothing was made");
}

#[tokio::test]
async fn a_paused_bucket_stays_paused_when_the_stack_changes() {
    let scene = deployed().await;
    failures(&scene).await;
    scene.edit_head(|head| head.paused = Some("maintenance".into())).await;
    change(&scene, "WaitMinutes", "30").await.unwrap();
    change(&scene, "LogDays", "7").await.unwrap();
    scene.run(hours(5)).await;
    assert_eq!((scene.jobs(), scene.head().await.paused.as_deref()), (0, Some("maintenance")));
    scene.edit_head(|head| head.paused = None).await;
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn the_deletion_of_the_stack_names_the_jobs_that_still_run() {
    let scene = deployed().await;
    failures(&scene).await;
    let job = loop {
        scene.run(minutes(1)).await;
        let flights = scene.head().await.flights;
        if let Some(job) = flights.into_values().find_map(|flight| flight.job) {
            break job;
        }
    };
    scene.app.with_stack(Stack::delete);
    let go_on = || scene.world(|world| scene.app.with_stack(|stack| stack.go_on(world))).unwrap();
    let Progress::Waiting { url, .. } = go_on() else {
        panic!("somebody has to let the buckets go")
    };
    scene.app.turn().await;
    let told = scene.app.emulator.take_posted(&url).unwrap();
    let said: Value = serde_json::from_slice(&told).unwrap();
    let sentence = format!("job {job} of source-bucket still runs");
    assert!(said["Reason"].as_str().unwrap().contains(&sentence), "{said}");
    assert_eq!(said["Status"], json!("SUCCESS"));
    scene.app.with_stack(|stack| stack.answer(&told)).unwrap();
    assert_eq!(go_on(), Progress::Done);
    scene.world(|world| world.advance_to(world.now() + hours(1)));
    let ended = scene.world(|world| world.jobs.iter().all(|job| job.status.is_terminal()));
    assert!(ended, "S3 ends it without us");
    assert_eq!(scene.notifications(SOURCE), theirs());
}

#[tokio::test]
async fn a_stack_is_deployed_again_under_another_name_or_without_the_old_state() {
    let scene = deployed().await;
    scene.app.uninstall().await.unwrap();
    let (emulator, one) = (scene.app.emulator.clone(), answers([("Buckets", SOURCE)]));
    let again = App::install(emulator.clone(), template(), "again", &one).await.unwrap();
    let ours = |id: &str| {
        scene.notifications(SOURCE).entries.iter().filter(|entry| entry.id == id).count()
    };
    assert_eq!((ours("resilver-again"), ours("resilver-resilver")), (1, 0));
    again.uninstall().await.unwrap();
    scene.lose(STATE);
    let scene = Scene::staged(emulator, template(), &one).await.unwrap();
    failures(&scene).await;
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn a_stack_that_is_deployed_again_does_not_take_the_old_state_for_its_own() {
    let scene = deployed().await;
    scene.app.uninstall().await.unwrap();
    let (emulator, one) = (scene.app.emulator.clone(), answers([("Buckets", SOURCE)]));
    let taken = Scene::staged(emulator, template(), &one).await.unwrap_err().to_string();
    assert!(taken.contains(STATE) && taken.contains("exists already"), "{taken}");
    assert_eq!(scene.notifications(SOURCE), theirs(), "no bucket was touched");
}
