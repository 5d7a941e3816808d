//! What may be a repair is tried at once, where a trail tells of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use resilver_emulator::world::trail;
use resilver_heal::time::{Timestamp, hours, minutes};
use resilver_tests::{Given, REPLICAS, ROLE, Scene, Trouble};

/// Lets nobody but S3's own requests, or not even those, write replicas.
async fn deny(scene: &Scene) {
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny", "Principal": {{"AWS": "{ROLE}"}},
            "Action": "s3:ReplicateObject", "Resource": "arn:aws:s3:::{}/*"}}]}}"#,
        REPLICAS[0]
    );
    let call = scene.app.clients.s3.put_bucket_policy().bucket(REPLICAS[0]).policy(policy);
    call.send().await.unwrap();
}

async fn allow(scene: &Scene) {
    scene.app.clients.s3.delete_bucket_policy().bucket(REPLICAS[0]).send().await.unwrap();
}

/// A scene in which versions are held for hours, so that the next canary is hours away.
async fn held(trail: bool) -> Scene {
    let scene = Scene::settled(Given { trail, ..Given::default() }).await;
    deny(&scene).await;
    scene.put_many(3).await;
    // Some canaries later, after one of them.
    scene.run(minutes(100)).await;
    loop {
        let circuit = scene.head().await.circuits.remove(0);
        let away = circuit.next_probe.since(Timestamp(scene.app.emulator.now()));
        if away > hours(2) && circuit.probe.is_none() {
            break;
        }
        assert!(circuit.probes < 6, "{circuit:?}");
        scene.run(minutes(5)).await;
    }
    assert_eq!(scene.states().await["held"], 3);
    scene
}

#[tokio::test]
async fn a_canary_goes_up_within_minutes_of_a_repair() {
    let scene = held(true).await;
    let jobs = scene.jobs();
    allow(&scene).await;
    scene.run(minutes(5)).await;
    assert!(scene.jobs() > jobs, "a canary goes up");
    scene.run(minutes(40)).await;
    assert_eq!(scene.states().await["healed"], 3);
    assert_eq!(scene.said_about("Repaired: "), 1, "{:#?}", scene.said());
}

#[tokio::test]
async fn without_a_trail_it_goes_up_in_its_turn() {
    let scene = held(false).await;
    let jobs = scene.jobs();
    allow(&scene).await;
    scene.run(minutes(90)).await;
    assert_eq!((scene.jobs(), scene.states().await["held"]), (jobs, 3));
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn a_storm_of_changes_costs_one_canary() {
    let scene = held(true).await;
    let jobs = scene.jobs();
    for _ in 0..100 {
        deny(&scene).await;
    }
    scene.run(minutes(5)).await;
    // Late ones, of before the canary went up.
    scene.run(hours(1)).await;
    assert_eq!(scene.jobs(), jobs + 1);
    assert_eq!(scene.states().await["held"], 3, "it was no repair");
    allow(&scene).await;
    scene.run(minutes(45)).await;
    assert_eq!(scene.states().await["healed"], 3, "the repair is seen after all of them");
}

#[tokio::test]
async fn what_has_nothing_to_do_with_it_costs_nothing() {
    let scene = held(true).await;
    let jobs = scene.jobs();
    let s3 = &scene.app.clients.s3;
    s3.create_bucket().bucket("somebody-elses").send().await.unwrap();
    let enabled = BucketVersioningStatus::Enabled;
    let enabled = VersioningConfiguration::builder().status(enabled).build();
    let call = s3.put_bucket_versioning().bucket("somebody-elses");
    call.versioning_configuration(enabled).send().await.unwrap();
    // Resilver's own writing comes by as an event, too.
    scene.app.enroll("somebody-elses").await.unwrap();
    scene.run(hours(1)).await;
    assert_eq!(scene.jobs(), jobs);
}

#[tokio::test]
async fn a_role_and_a_key_that_change_are_tried_too() {
    for (trouble, service, call) in [
        (Trouble::Trust, "iam", "UpdateAssumeRolePolicy"),
        (Trouble::Denied(0), "iam", "SetDefaultPolicyVersion"),
        (Trouble::Key(0), "kms", "EnableKey"),
    ] {
        let scene = Scene::settled(Given::default()).await;
        scene.make(trouble, true);
        scene.put_kms("a", "b").await;
        scene.run(hours(5)).await;
        assert_eq!(scene.states().await["held"], 1, "{trouble:?}");
        scene.make(trouble, false);
        scene.world(|world| trail::changed(world, service, call, &[]));
        scene.run(minutes(45)).await;
        assert_eq!(scene.states().await["healed"], 1, "{trouble:?}");
    }
}

#[test]
fn what_is_forwarded_is_what_is_listened_to() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let names = |text: &str| -> BTreeSet<String> {
        let lists = text.split("eventName:").skip(1);
        let lists = lists.filter_map(|list| list.split(['{', ':']).next().map(str::to_owned));
        let words = lists.flat_map(|list| {
            let words = list.split(|c: char| !c.is_ascii_alphanumeric());
            words
                .filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        words.collect()
    };
    let mut forwarded = names(&read("infra/destination-account.yaml"));
    forwarded.extend(names(&read("infra/us-east-1.yaml")));
    let template = read("template.yaml");
    let rule = template.split("MaybeRepaired:").nth(1).unwrap();
    let listened = names(rule.split("ScheduleV2").next().unwrap());
    assert_eq!(forwarded, listened);
    assert!(forwarded.contains("PutRolePolicy") && forwarded.contains("EnableKey"));
    assert!(!listened.contains("PutBucketNotification"), "Resilver would wake itself");
}
