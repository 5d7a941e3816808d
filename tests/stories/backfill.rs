//! The replication configuration changes, and what existed before is asked for: up to the documents
//! in the state bucket.

use aws_sdk_s3::types::{
    AccessControlTranslation, DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination,
    EncryptionConfiguration, Metrics, MetricsStatus, OwnerOverride, ReplicaModifications,
    ReplicaModificationsStatus, ReplicationRule, ReplicationRuleStatus, ReplicationTime,
    ReplicationTimeStatus, ReplicationTimeValue, SourceSelectionCriteria, SseKmsEncryptedObjects,
    SseKmsEncryptedObjectsStatus, StorageClass,
};
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_heal::notice::NoticeFact;
use resilver_heal::time::{Timestamp, minutes};
use resilver_tests::configuration::{
    CONFIG, FRESH, MOVED, Sketch, change, config, delete, found, hear, is, look, planned, put,
    put_rules, rule, sdk, the_one, told, try_look, watched,
};
use resilver_tests::{ROLE, SOURCE};
use serde_json::json;

#[tokio::test]
async fn a_rule_added_is_planned_for_what_was_never_replicated() {
    let scene = watched(&[rule("media", "media/", 0)]).await;
    put(&scene, &[rule("media", "media/", 0), rule("logs", "logs/", 0)]).await;
    look(&scene, 1).await;
    let seen = Timestamp(scene.app.emulator.now());
    assert_eq!(planned(&scene).await, [], "S3 may still answer with an old configuration");
    look(&scene, 5).await;
    is(the_one(&scene).await, "logs/", FRESH, "rule logs is new");
    let [backfill] = &planned(&scene).await[..] else { panic!("one") };
    assert_eq!(backfill.scope.created_before, Some(seen.plus_ms(minutes(5))));
    let [NoticeFact::BackfillPlanned { backfill: id, .. }] = &told(&scene, SOURCE).await[..] else {
        panic!("one notice");
    };
    assert_eq!(*id, backfill.id);
    look(&scene, 5).await;
    look(&scene, 60).await;
    assert_eq!(planned(&scene).await.len(), 1);
}

#[tokio::test]
async fn a_filter_widened_is_planned_for_all_that_it_takes_now() {
    let tagged = Sketch { tag: Some(("team", "storage")), ..rule("logs", "logs/2026/", 0) };
    let scene = watched(&[tagged]).await;
    change(&scene, &[rule("logs", "logs/", 0)]).await;
    is(the_one(&scene).await, "logs/", FRESH, "rule logs now also takes logs/");
}

#[tokio::test]
async fn a_rule_enabled_again_is_planned_for_the_gap() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    let off = Sketch { enabled: false, ..rule("logs", "logs/", 0) };
    change(&scene, &[off]).await;
    assert_eq!(planned(&scene).await, []);
    look(&scene, 600).await;
    change(&scene, &[rule("logs", "logs/", 0)]).await;
    is(the_one(&scene).await, "logs/", FRESH, "rule logs is enabled again");
}

#[tokio::test]
async fn a_second_destination_is_planned_for_what_the_first_one_has() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    change(&scene, &[rule("logs", "logs/", 0), rule("copy", "logs/", 1)]).await;
    let why = "what rule logs takes goes to replica-b too, by rule copy";
    is(the_one(&scene).await, "logs/", MOVED, why);
}

#[tokio::test]
async fn a_destination_replaced_is_planned_even_if_nothing_replicated_between() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    change(&scene, &[rule("logs", "logs/", 1)]).await;
    let why = "destination replica-a of rule logs is replaced by replica-b";
    is(the_one(&scene).await, "logs/", MOVED, why);
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    delete(&scene).await;
    look(&scene, 5).await;
    look(&scene, 5).await;
    assert_eq!(planned(&scene).await, [], "a bucket without rules wants nothing");
    assert!(found(&scene, SOURCE).await.contains(&("no-rules".into(), SOURCE.into())));
    change(&scene, &[rule("logs", "logs/", 1)]).await;
    is(the_one(&scene).await, "logs/", MOVED, "rule logs is new");
}

#[tokio::test]
async fn a_rule_only_reordered_renamed_narrowed_or_removed_is_no_plan() {
    let (logs, media) = (rule("logs", "logs/", 0), rule("media", "media/", 0));
    let scene = watched(&[logs.clone(), media.clone()]).await;
    for rules in [
        vec![media.clone(), logs.clone()],
        vec![media.clone(), rule("protocols", "logs/", 0)],
        vec![media.clone(), rule("protocols", "logs/2026/", 0)],
        vec![media],
    ] {
        change(&scene, &rules).await;
        assert_eq!(planned(&scene).await, []);
    }
    assert_eq!(config(&scene).await.acted.unwrap().rules.len(), 1, "and each was acted on");
}

#[tokio::test]
async fn the_same_configuration_written_again_changes_nothing() {
    let logs = [rule("logs", "logs/", 0)];
    let scene = watched(&logs).await;
    let before = scene.app.store.get(CONFIG).await.unwrap();
    put(&scene, &logs).await;
    look(&scene, 5).await;
    look(&scene, 5).await;
    assert_eq!(
        scene.app.store.get(CONFIG).await.unwrap(),
        before,
        "not even a document is written"
    );
}

#[tokio::test]
async fn a_rule_of_the_older_version_is_the_same_written_in_the_newer_one() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    let older = |prefix: &str| {
        let destination = Destination::builder().bucket("arn:aws:s3:::replica-a").build().unwrap();
        let rule = ReplicationRule::builder().id("logs").status(ReplicationRuleStatus::Enabled);
        #[allow(deprecated, reason = "it is how V1 rules say it")]
        let rule = rule.prefix(prefix).destination(destination);
        rule.build().unwrap()
    };
    put_rules(&scene, vec![older("logs/")]).await;
    look(&scene, 1).await;
    look(&scene, 5).await;
    // Rules of the older version take delete markers.
    is(the_one(&scene).await, "logs/", FRESH, "rule logs now also takes delete markers");
    let mut newer = sdk(0, &rule("logs", "logs/", 0), "logs".into());
    let markers = DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Enabled);
    newer.delete_marker_replication = Some(markers.build());
    put_rules(&scene, vec![newer]).await;
    look(&scene, 5).await;
    look(&scene, 5).await;
    assert_eq!(planned(&scene).await.len(), 1);
    put_rules(&scene, vec![older("")]).await;
    look(&scene, 5).await;
    look(&scene, 5).await;
    assert_eq!(planned(&scene).await[1].why, ["rule logs now also takes everything"]);
}

#[tokio::test]
async fn every_field_that_is_compared_is_read() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    let mut full = sdk(4, &Sketch { tag: Some(("a", "b")), ..rule("x", "p/", 1) }, "full".into());
    let minutes = ReplicationTimeValue::builder().minutes(15).build();
    let kms = SseKmsEncryptedObjects::builder().status(SseKmsEncryptedObjectsStatus::Enabled);
    let replicas = ReplicaModifications::builder().status(ReplicaModificationsStatus::Enabled);
    let criteria = SourceSelectionCriteria::builder()
        .sse_kms_encrypted_objects(kms.build().unwrap())
        .replica_modifications(replicas.build().unwrap());
    full.source_selection_criteria = Some(criteria.build());
    let metrics =
        Metrics::builder().status(MetricsStatus::Enabled).event_threshold(minutes.clone());
    let time = ReplicationTime::builder().status(ReplicationTimeStatus::Enabled).time(minutes);
    let owner = AccessControlTranslation::builder().owner(OwnerOverride::Destination);
    let key =
        EncryptionConfiguration::builder().replica_kms_key_id("arn:aws:kms:us-east-1:1:key/k");
    let destination = Destination::builder()
        .bucket("arn:aws:s3:::replica-b")
        .account("111122223333")
        .storage_class(StorageClass::StandardIa)
        .access_control_translation(owner.build().unwrap())
        .encryption_configuration(key.build())
        .replication_time(time.build().unwrap())
        .metrics(metrics.build().unwrap());
    full.destination = Some(destination.build().unwrap());
    put_rules(&scene, vec![full]).await;
    look(&scene, 1).await;
    look(&scene, 5).await;
    let read = config(&scene).await.acted.unwrap();
    let expected = json!({"role": ROLE, "rules": [{
        "id": "full", "enabled": true, "priority": 5, "prefix": "p/", "tags": {"a": "b"},
        "kms": true, "replica_changes": true, "delete_markers": false,
        "destination": {
            "bucket": "arn:aws:s3:::replica-b", "account": "111122223333",
            "storage_class": "STANDARD_IA", "key": "arn:aws:kms:us-east-1:1:key/k",
            "owner": true, "timed": true, "metrics": true,
        },
    }]});
    assert_eq!(json!(read), expected);
}

#[tokio::test]
async fn rules_that_flap_are_planned_once_they_stay() {
    let (logs, media) = (rule("logs", "logs/", 0), rule("media", "media/", 0));
    let scene = watched(std::slice::from_ref(&logs)).await;
    for _ in 0..5 {
        put(&scene, &[logs.clone(), media.clone()]).await;
        look(&scene, 3).await;
        put(&scene, std::slice::from_ref(&logs)).await;
        look(&scene, 3).await;
    }
    assert_eq!(planned(&scene).await, []);
    change(&scene, &[logs, media]).await;
    is(the_one(&scene).await, "media/", FRESH, "rule media is new");
}

#[tokio::test]
async fn a_stale_answer_delays_a_plan_and_doubles_none() {
    let (old, new) = ([rule("logs", "logs/2026/", 0)], [rule("logs", "logs/", 0)]);
    let scene = watched(&old).await;
    hear(&scene, SOURCE).await; // S3 answers with the old one still.
    for rules in [&new, &old, &new] {
        put(&scene, rules).await;
        look(&scene, 4).await;
    }
    assert_eq!(planned(&scene).await, []);
    look(&scene, 4).await;
    assert_eq!(planned(&scene).await, [], "it was read again four minutes later");
    look(&scene, 4).await;
    is(the_one(&scene).await, "logs/", FRESH, "rule logs now also takes logs/");
    look(&scene, 60).await;
    assert_eq!(planned(&scene).await.len(), 1);
    assert_eq!(found(&scene, SOURCE).await, [], "an event came, so there is a trail");
}

#[tokio::test]
async fn an_event_and_a_schedule_at_once_plan_once() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    put(&scene, &[rule("logs", "logs/", 0), rule("media", "media/", 0)]).await;
    for _ in 0..2 {
        scene.world(|world| world.advance_to(world.now() + minutes(5)));
        let looks = (hear(&scene, SOURCE), look(&scene, 0), hear(&scene, SOURCE), look(&scene, 0));
        tokio::join!(looks.0, looks.1, looks.2, looks.3);
    }
    is(the_one(&scene).await, "media/", FRESH, "rule media is new");
    assert_eq!(told(&scene, SOURCE).await.len(), 1);
    assert!(config(&scene).await.owed.is_empty());
}

#[tokio::test]
async fn a_crash_between_decision_and_backfill_loses_and_doubles_none() {
    for kept in ["backfills/", "outbox/", CONFIG] {
        let scene = watched(&[rule("logs", "logs/", 0)]).await;
        put(&scene, &[rule("logs", "logs/", 0), rule("media", "media/", 0)]).await;
        look(&scene, 1).await;
        let refuse = Verdict::Refuse { code: "InternalError".into(), status: 500 };
        scene.fault(Rule::once(Service::S3, "PutObject", refuse).on(kept).times(3));
        assert!(try_look(&scene, 5).await.is_err(), "{kept}");
        look(&scene, 5).await;
        is(the_one(&scene).await, "media/", FRESH, "rule media is new");
        let planned = told(&scene, SOURCE).await;
        assert_eq!(planned.len(), 1, "{kept}");
        assert!(config(&scene).await.owed.is_empty(), "{kept}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_plans_once() {
    for kept in ["backfills/", "outbox/", CONFIG] {
        let scene = watched(&[rule("logs", "logs/", 0)]).await;
        put(&scene, &[rule("logs", "logs/", 0), rule("media", "media/", 0)]).await;
        look(&scene, 1).await;
        scene.fault(Rule::once(Service::S3, "PutObject", Verdict::LoseReply).on(kept));
        let _ = try_look(&scene, 5).await;
        look(&scene, 5).await;
        is(the_one(&scene).await, "media/", FRESH, "rule media is new");
        assert_eq!(told(&scene, SOURCE).await.len(), 1, "{kept}");
    }
}

#[tokio::test]
async fn a_thousand_rules_are_compared_and_planned_in_one_job() {
    let scene = watched(&[rule("logs", "logs/", 0)]).await;
    let thousand = |to: usize| {
        let one = |n: usize| sdk(n, &rule("", &format!("{n:04}/"), to), format!("rule-{n}"));
        (0..1_000).map(one).collect::<Vec<_>>()
    };
    put_rules(&scene, thousand(0)).await;
    look(&scene, 1).await;
    look(&scene, 5).await;
    let (prefix, statuses, why) = the_one(&scene).await;
    assert_eq!((prefix.as_str(), statuses.as_str()), ("0", FRESH), "all that they have in common");
    assert!(why.starts_with("rule rule-0 is new; ") && why.ends_with("; and 981 more changes"));
    scene.app.store.delete(&scene.stored("backfills/").await).await.unwrap();
    put_rules(&scene, thousand(1)).await;
    look(&scene, 5).await;
    look(&scene, 5).await;
    assert_eq!(the_one(&scene).await.1, MOVED);
}
