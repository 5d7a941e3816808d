//! What would stop healing, or hide failures, is told: once, with its remedy, and it stops nothing else.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus,
    IntelligentTieringAccessTier, IntelligentTieringConfiguration, IntelligentTieringStatus,
    LifecycleRule, LifecycleRuleFilter, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tiering, Transition,
    TransitionStorageClass,
};
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_heal::backfill::ObjectStatus::{Completed, Failed, None as Never, Replica};
use resilver_heal::configuration::Config;
use resilver_heal::time::{hours, minutes};
use resilver_tests::configuration::{
    CONFIG, FRESH, MOVED, Sketch, change, config, delete, expires, found, hear, is, look, planned,
    put, rule, the_one, try_look, version, watched,
};
use resilver_tests::{Given, REPLICAS, SOURCE, STATE, Scene, two};

#[tokio::test]
async fn a_configuration_that_may_not_be_read_is_told_and_stops_no_other_bucket() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    scene.app.enroll(REPLICAS[0]).await.unwrap();
    let denied = || Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    let read = Rule::once(Service::S3, "GetBucketReplication", denied());
    scene.fault(read.on(SOURCE).times(1_000));
    let read = Rule::once(Service::S3, "GetBucketEncryption", denied());
    scene.fault(read.on(SOURCE).times(1_000));
    look(&scene, 60).await;
    look(&scene, 60).await;
    let unreadable = |permission: &str| ("unreadable".to_owned(), permission.to_owned());
    let expected = ["s3:GetEncryptionConfiguration", "s3:GetReplicationConfiguration"];
    // What comes together is one notice, in the name of the first.
    assert_eq!(found(&scene, SOURCE).await, [unreadable(expected[1])]);
    let names: Vec<String> = config(&scene).await.told.into_keys().collect();
    assert!(expected.iter().all(|it| names.contains(&format!("unreadable {it}"))), "{names:?}");
    let other = found(&scene, REPLICAS[0]).await;
    assert!(other.contains(&("no-rules".into(), REPLICAS[0].into())), "{other:?}");
    scene.world(|world| world.faults.rules.clear());
    change(&scene, &[rule("logs", "", 0)]).await;
    is(the_one(&scene).await, "", FRESH, "rule logs now also takes everything");
}

#[tokio::test]
async fn a_bucket_that_fails_or_is_gone_keeps_no_other_from_being_looked_at() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    let (store, s3) = (&scene.app.store, &scene.app.clients.s3);
    s3.create_bucket().bucket("a-gone-bucket").send().await.unwrap();
    version(&scene, "a-gone-bucket", BucketVersioningStatus::Enabled).await;
    scene.app.enroll("a-gone-bucket").await.unwrap();
    scene.app.enroll(REPLICAS[0]).await.unwrap();
    s3.delete_bucket().bucket("a-gone-bucket").send().await.unwrap();
    store.put("configs/replica-a.json", "{\"format\":".into(), "text/json").await.unwrap();
    put(&scene, &[rule("logs", "", 0)]).await;
    for after in [1, 5] {
        let failed = try_look(&scene, after).await.unwrap_err();
        assert!(failed.contains("configs/replica-a.json"), "{failed}");
    }
    assert_eq!(planned(&scene).await.len(), 1);
    assert!(scene.stored("configs/a-gone-bucket.json").await.is_empty());
}

#[tokio::test]
async fn a_document_of_a_later_release_is_left_alone() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    let newer = serde_json::to_vec(&Config { format: 99, ..config(&scene).await }).unwrap();
    scene.app.store.put(CONFIG, newer.clone().into(), "text/json").await.unwrap();
    put(&scene, &[rule("logs", "", 0)]).await;
    for after in [1, 5] {
        let failed = try_look(&scene, after).await.unwrap_err();
        assert!(failed.contains("it has format 99"), "{failed}");
    }
    let kept = scene.app.store.get(CONFIG).await.unwrap().unwrap();
    assert_eq!((kept.bytes.to_vec(), planned(&scene).await), (newer, vec![]));
}

#[tokio::test]
async fn a_bucket_that_is_not_enrolled_is_not_looked_at() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    hear(&scene, REPLICAS[0]).await;
    hear(&scene, "no such bucket!").await;
    let configs = scene.stored("configs/").await;
    assert_eq!(configs, [&format!("configs/{STATE}.json"), CONFIG]);
}

#[tokio::test]
async fn metrics_disabled_on_a_rule_are_told_once_and_so_is_every_other_blind_spot() {
    let dark = Sketch { metrics: false, ..rule("logs", "logs/", 0) };
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    let s3 = &scene.app.clients.s3;
    let lifecycle = expires();
    for bucket in [SOURCE, REPLICAS[0]] {
        let call = s3.put_bucket_lifecycle_configuration().bucket(bucket);
        call.lifecycle_configuration(lifecycle.clone()).send().await.unwrap();
    }
    let kms = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms);
    let kms = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(kms.build().unwrap());
    let kms = ServerSideEncryptionConfiguration::builder().rules(kms.build()).build().unwrap();
    for bucket in [SOURCE, STATE] {
        let call = s3.put_bucket_encryption().bucket(bucket);
        call.server_side_encryption_configuration(kms.clone()).send().await.unwrap();
    }
    change(&scene, &[dark]).await;
    for _ in 0..3 {
        look(&scene, 60).await;
    }
    let named = |code: &str, subject: &str| (code.to_owned(), subject.to_owned());
    let expected = [
        named("kms-opt-out", "logs"),
        named("lifecycle", SOURCE),
        named("metrics", "logs"),
        named("trail", SOURCE),
    ];
    assert_eq!(found(&scene, SOURCE).await, expected, "both lifecycles are one notice");
    assert_eq!(found(&scene, STATE).await, [named("state-kms", STATE)]);
    scene.app.store.delete(&scene.stored("outbox/").await).await.unwrap();
    for _ in 0..50 {
        look(&scene, 60).await;
    }
    assert_eq!(scene.stored("outbox/").await, [""; 0], "once");
    assert_eq!(planned(&scene).await, [], "and nothing is replicated because of it");
}

#[tokio::test]
async fn versioning_suspended_is_told_when_the_event_comes() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    delete(&scene).await;
    version(&scene, SOURCE, BucketVersioningStatus::Suspended).await;
    hear(&scene, SOURCE).await;
    assert_eq!(found(&scene, SOURCE).await, [("unversioned".into(), SOURCE.into())]);
}

#[tokio::test]
async fn woken_by_rule_and_schedule_a_change_is_planned_and_said_in_chat() {
    for trail in [true, false] {
        let scene = Scene::given(Given { trail, ..two() }).await;
        put(&scene, &[rule("logs", "logs/", 0)]).await;
        scene.run(minutes(20)).await;
        assert_eq!(scene.said_about("objects from before its rules are not replicated"), 1);
        put(&scene, &[rule("logs", "logs/", 1)]).await;
        scene.run(minutes(20)).await;
        assert_eq!(scene.said_about("A backfill of source-bucket is planned"), 1);
        scene.run(hours(2)).await;
        let silent = scene.said_about("no event told of it within an hour");
        assert_eq!(silent, usize::from(!trail));
        assert_eq!(config(&scene).await.trail.heard.is_some(), trail);
    }
}

#[test]
fn statuses_are_said_as_s3_says_them() {
    let said = [Never, Failed, Completed, Replica].map(|status| status.as_str());
    assert_eq!(said.join(" "), MOVED);
}

#[tokio::test]
async fn archives_are_told_wherever_they_are_set_up() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    let into = Transition::builder().days(30).storage_class(TransitionStorageClass::DeepArchive);
    let moves = LifecycleRule::builder()
        .id("cold")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .transitions(into.build());
    let lifecycle = BucketLifecycleConfiguration::builder().rules(moves.build().unwrap());
    let call = scene.app.clients.s3.put_bucket_lifecycle_configuration().bucket(SOURCE);
    let call = call.lifecycle_configuration(lifecycle.build().unwrap());
    call.send().await.unwrap();
    let tier = IntelligentTieringAccessTier::ArchiveAccess;
    let tier = Tiering::builder().days(90).access_tier(tier).build().unwrap();
    let tiering = IntelligentTieringConfiguration::builder()
        .id("rarely")
        .status(IntelligentTieringStatus::Enabled)
        .tierings(tier);
    let call = scene.app.clients.s3.put_bucket_intelligent_tiering_configuration();
    let call = call.bucket(SOURCE).id("rarely");
    call.intelligent_tiering_configuration(tiering.build().unwrap()).send().await.unwrap();
    look(&scene, 60).await;
    let names: Vec<String> = config(&scene).await.told.into_keys().collect();
    let expected = [
        "archived Intelligent-Tiering configurations of source-bucket",
        "archived lifecycle rules of source-bucket",
    ];
    assert_eq!(names, expected);
    assert_eq!(found(&scene, SOURCE).await.len(), 1, "one remedy, one notice");
}
