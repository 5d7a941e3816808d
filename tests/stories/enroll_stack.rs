//! The stack comes, changes and goes, and CloudFormation hears how that went.

use std::time::Duration;

use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::notification::NotificationConfig;
use resilver_heal::time::minutes;
use resilver_tests::enrolment::{theirs, topic};
use resilver_tests::{SOURCE, STATE, Scene, Trouble};
use serde_json::Value;

const PUT: &str = "PutBucketNotificationConfiguration";

fn refuse(code: &str, status: u16) -> Verdict {
    Verdict::Refuse { code: code.into(), status }
}

#[track_caller]
fn succeeded(answer: &Value) -> &str {
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    answer["Reason"].as_str().unwrap()
}

#[track_caller]
fn failed<'a>(answer: &'a Value, parts: &[&str]) -> &'a str {
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    let reason = answer["Reason"].as_str().unwrap();
    for part in parts {
        assert!(reason.contains(part), "{part:?} is in {reason:?}");
    }
    reason
}

#[tokio::test]
async fn a_stack_enrols_what_it_names_changes_with_it_and_leaves_no_trace() {
    let scene = Scene::new().await;
    let before = [("photos", true), ("videos", false)];
    for (bucket, event_bridge) in before {
        scene.bucket(bucket).await;
        scene.overwrite(bucket, vec![topic("t", "s3:ObjectCreated:*")], event_bridge);
    }
    let found = before.map(|(bucket, _)| scene.notifications(bucket));
    let created = scene.stack(&scene.enroll("photos", ""), "Create").await;
    assert_eq!(succeeded(&created), "1 buckets are enrolled");
    assert_eq!(created["Data"]["Enrolled"], "photos");
    assert_eq!(["photos", "videos"].map(|it| scene.hears(it)), [true, false]);
    succeeded(&scene.stack(&scene.enroll("videos", ""), "Update").await);
    assert_eq!(["photos", "videos"].map(|it| scene.hears(it)), [false, true]);
    let ctx = scene.enroll("videos", "");
    succeeded(&scene.stack(&ctx, "Delete").await);
    assert_eq!(before.map(|(bucket, _)| scene.notifications(bucket)), found);
    assert_eq!(scene.notifications(SOURCE), NotificationConfig::default());
    assert_eq!(scene.stored("enrolled/").await, Vec::<String>::new());
    // The schedule goes a little later than the resource.
    scene.tick(&ctx).await.unwrap();
    assert_eq!(scene.notifications("videos"), found[1], "what has left is not enrolled again");
    succeeded(&scene.stack(&ctx, "Create").await);
    scene.tick(&ctx).await.unwrap();
    assert!(scene.hears("videos"));
}

#[tokio::test]
async fn a_bucket_that_cannot_be_heard_fails_the_deployment_with_the_sentence_that_says_so() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    scene.bucket("taken").await;
    scene.overwrite("taken", vec![topic("audit", "s3:Replication:*")], false);
    scene.bare_bucket("far", Some("eu-west-1")).await;
    scene.bare_bucket("flat", None).await;
    scene.bucket("foreign").await;
    scene.world(|world| world.buckets.get_mut("foreign").unwrap().owner = "444455556666".into());
    for (names, parts) in [
        (
            "photos,far",
            &["far is in eu-west-1, and this stack in us-east-1", "deploy in eu-west-1"][..],
        ),
        ("photos,none-such", &["there is no bucket none-such", "correct the name"]),
        ("photos,flat", &["the versioning of flat is off", "enable its versioning"]),
        ("photos,taken", &["audit", "feeds-resilver-resilver"]),
        ("photos,foreign", &["403"]),
        ("photos,Not_A_Name", &["Not_A_Name", "correct the parameter Buckets"]),
        ("photos,far,flat", &["eu-west-1", "versioning"]),
    ] {
        let ctx = scene.enroll(names, "");
        let before = scene.notifications("photos");
        failed(&scene.stack(&ctx, "Create").await, parts);
        // A stack that could not be created is deleted.
        succeeded(&scene.stack(&ctx, "Delete").await);
        assert_eq!(scene.notifications("photos"), before, "nothing was written, {names}");
        // Neither an object nor a marker: else CloudFormation cannot delete the state bucket with its stack.
        let left: Vec<String> = scene.world(|world| {
            let keys = world.buckets[STATE].keys.keys();
            keys.filter(|key| names.split(',').any(|it| key.contains(it))).cloned().collect()
        });
        assert_eq!(left, [""; 0], "{names}");
    }
    assert_eq!(scene.stored("outbox/").await, Vec::<String>::new(), "the deployer has heard it");
}

#[tokio::test]
async fn what_the_role_may_not_do_yet_is_asked_for_again() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let denied = refuse("AccessDenied", 403);
    scene.fault(Rule::once(Service::S3, "HeadBucket", denied.clone()).on("/photos").times(2));
    let read = "GetBucketNotificationConfiguration";
    scene.fault(Rule::once(Service::S3, read, denied.clone()).on("/photos").times(2));
    scene.fault(Rule::once(Service::S3, "ListBuckets", denied).times(2));
    succeeded(&scene.stack(&scene.enroll("photos", "heal=yes"), "Create").await);
    assert!(scene.hears("photos"));
    assert_eq!(scene.world(|world| world.faults.rules.len()), 0, "it was denied all of them");
}

#[tokio::test]
async fn a_tag_of_the_stack_makes_no_source_of_its_state_bucket() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    for bucket in ["photos", STATE] {
        scene.tag(bucket, "heal", "yes").await;
    }
    let answer = scene.stack(&scene.enroll("", "heal=yes"), "Create").await;
    succeeded(&answer);
    assert_eq!(answer["Data"]["Enrolled"], "photos");
    assert_eq!(scene.notifications(STATE), NotificationConfig::default());
}

#[tokio::test]
async fn a_change_that_fails_lets_nothing_go_and_enrols_nothing() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    succeeded(&scene.stack(&scene.enroll("photos", ""), "Create").await);
    failed(&scene.stack(&scene.enroll("none-such", ""), "Update").await, &["none-such"]);
    assert!(scene.hears("photos"), "it is wanted again when the change is undone");
    scene.bucket("videos").await;
    let more = scene.enroll("photos,videos,none-such", "");
    failed(&scene.stack(&more, "Update").await, &["none-such"]);
    assert!(scene.hears("photos") && !scene.hears("videos"), "what is new is let go at once");
    assert_eq!(scene.enrolled("videos").await, None);
    succeeded(&scene.stack(&scene.enroll("photos", ""), "Update").await);
}

#[tokio::test]
async fn a_change_that_fails_after_an_entry_was_written_takes_it_out_again() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    succeeded(&scene.stack(&scene.enroll("photos", ""), "Create").await);
    scene.bucket("videos").await;
    let denied = refuse("AccessDenied", 403);
    scene.fault(Rule::once(Service::S3, "PutObject", denied).on("enrolled/videos.json"));
    failed(&scene.stack(&scene.enroll("photos,videos", ""), "Update").await, &["videos"]);
    assert!(scene.hears("photos") && !scene.hears("videos"), "the rollback may not touch it");
}

#[tokio::test]
async fn settings_that_are_wrong_are_answered_and_do_not_hold_up_the_deletion() {
    let scene = Scene::new().await;
    let ctx = scene.enroll("", "no tag");
    failed(&scene.stack(&ctx, "Create").await, &["RESILVER_BUCKET_TAG", "key=value"]);
    succeeded(&scene.stack(&ctx, "Delete").await);
    assert!(scene.tick(&ctx).await.unwrap_err().to_string().contains("RESILVER_BUCKET_TAG"));
}

#[tokio::test]
async fn a_stack_goes_though_a_bucket_is_gone_or_forbidden_and_says_so() {
    let scene = Scene::new().await;
    for bucket in ["photos", "raw", "videos"] {
        scene.bucket(bucket).await;
    }
    let ctx = scene.enroll("photos,raw,videos", "");
    succeeded(&scene.stack(&ctx, "Create").await);
    scene.lose("photos");
    scene.fault(Rule::once(Service::S3, PUT, refuse("AccessDenied", 403)).on("/raw"));
    let answer = scene.stack(&ctx, "Delete").await;
    let reason = succeeded(&answer);
    assert!(reason.contains("no bucket photos") && reason.contains("raw"), "{reason}");
    assert!(scene.hears("raw") && !scene.hears("videos"));
    assert_eq!(scene.enrolled("photos").await, None);
}

#[tokio::test]
async fn a_deletion_that_s3_does_not_answer_fails_and_goes_on_when_it_is_tried_again() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    succeeded(&scene.stack(&ctx, "Create").await);
    let down = refuse("ServiceUnavailable", 503);
    scene.fault(Rule::once(Service::S3, PUT, down).on("/photos").times(3));
    failed(&scene.stack(&ctx, "Delete").await, &["photos"]);
    succeeded(&scene.stack(&ctx, "Delete").await);
    assert!(!scene.hears("photos"));
}

#[tokio::test]
async fn a_stack_goes_though_the_state_bucket_does_not_answer() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    succeeded(&scene.stack(&ctx, "Create").await);
    let denied = refuse("AccessDenied", 403);
    scene.fault(Rule::once(Service::S3, "ListObjectsV2", denied.clone()));
    scene.fault(Rule::once(Service::S3, "PutObject", denied));
    succeeded(&scene.stack(&ctx, "Delete").await);
    assert!(!scene.hears("photos"), "it is named in the settings");
}

#[tokio::test]
async fn cloudformation_is_answered_in_time_whatever_happens() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    let none = ctx.within(Duration::ZERO);
    failed(&scene.stack(&none, "Create").await, &["not done within 0 seconds", "timeout"]);
    let gone = refuse("AccessDenied", 403);
    scene.fault(Rule { operation: None, ..Rule::once(Service::S3, "", gone) }.times(50));
    failed(&scene.stack(&ctx, "Create").await, &["allow the function's role"]);
    scene.world(|world| world.faults.rules.clear());
    succeeded(&scene.stack(&ctx, "Update").await);
}

#[tokio::test]
async fn a_stack_that_goes_names_the_jobs_that_still_run() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.put("a", "b").await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    let job = loop {
        scene.run(minutes(5)).await;
        let flights = scene.head().await.flights;
        if let Some(job) = flights.into_values().find_map(|flight| flight.job) {
            break job;
        }
    };
    let answer = scene.stack(&scene.enroll("", ""), "Delete").await;
    assert!(succeeded(&answer).contains(&format!("job {job} of source-bucket still runs")));
    assert!(!scene.hears(SOURCE));
}

#[tokio::test]
async fn a_bucket_whose_tags_are_hidden_is_named_and_holds_up_nothing() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    scene.bucket("secret").await;
    scene.tag("photos", "heal", "yes").await;
    let denied = refuse("AccessDenied", 403);
    scene.fault(Rule::once(Service::S3, "GetBucketTagging", denied).on("/secret"));
    let answer = scene.stack(&scene.enroll("", "heal=yes"), "Create").await;
    assert!(succeeded(&answer).contains("cannot be read: secret"), "{answer}");
    assert_eq!(answer["Data"]["Enrolled"], "photos");
}

#[tokio::test]
async fn a_stack_takes_its_entry_out_though_a_destination_of_others_is_gone() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    scene.overwrite("photos", vec![theirs("theirs", "in/")], false);
    let before = scene.notifications("photos");
    let ctx = scene.enroll("photos", "");
    succeeded(&scene.stack(&ctx, "Create").await);
    assert!(scene.hears("photos"));
    succeeded(&scene.stack(&ctx, "Delete").await);
    assert_eq!(scene.notifications("photos"), before);
}
