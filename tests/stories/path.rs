//! The way home, and what each step leaves behind.

use resilver_heal::time::minutes;
use resilver_tests::{REPLICAS, Scene, Trouble, two};

#[tokio::test]
async fn a_failed_object_heals_after_its_cause_is_repaired() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    let id = scene.put("a key.txt", "precious").await;
    scene.run(minutes(10)).await;
    assert_eq!(scene.status("a key.txt", &id).await.as_deref(), Some("FAILED"));
    assert_eq!(scene.states().await["held"], 1);
    scene.make(Trouble::Denied(0), false);
    scene.run(minutes(3)).await;
    assert_eq!(scene.status("a key.txt", &id).await.as_deref(), Some("FAILED"), "S3 never retries");
    scene.heal().await;
    assert_eq!(scene.status("a key.txt", &id).await.as_deref(), Some("COMPLETED"));
    assert_eq!(scene.bytes(REPLICAS[0], "a key.txt", &id).await.unwrap(), b"precious");
    assert_eq!(scene.states().await["healed"], 1);
}

#[tokio::test]
async fn each_step_leaves_behind_what_the_next_one_takes_up() {
    let scene = Scene::new().await;
    scene.make(Trouble::Unversioned(0), true);
    scene.put_many(3).await;
    scene.run(minutes(2)).await;
    let segments = scene.stored("failures/source-bucket/").await;
    assert_eq!(segments.len(), 1, "collect leaves one segment of a batch");
    let segment = scene.app.store.get(&segments[0]).await.unwrap().unwrap();
    let lines: Vec<_> = std::str::from_utf8(&segment.bytes).unwrap().lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.is_sorted(), "a segment is a run");
    scene.run(minutes(4)).await;
    assert_eq!(
        scene.stored("failures/").await,
        Vec::<String>::new(),
        "launch takes it into the ledger"
    );
    scene.make(Trouble::Unversioned(0), false);
    scene.heal().await;
    assert_eq!(scene.stored("plans/source-bucket/").await.len(), scene.jobs());
    assert_eq!(scene.stored("manifests/source-bucket/").await.len(), scene.jobs());
    assert_eq!(scene.stored("settled/source-bucket/").await.len(), scene.jobs());
    assert_eq!(scene.stored("verdicts/").await, Vec::<String>::new(), "verdicts are folded");
    assert_eq!(scene.stored("settling/").await, Vec::<String>::new());
    assert_eq!(scene.stored("ledger/source-bucket/").await.len(), 2, "a head and one run");
    assert_eq!(scene.stored("notices/").await.len(), 2 * scene.said().len(), "marked, once a chat");
}

#[tokio::test]
async fn a_canary_releases_the_rest() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    let objects = scene.put_many(40).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!(scene.jobs(), 2, "a canary, and the rest");
    assert_eq!(scene.head().await.totals.launched, 40);
    for (key, id) in objects {
        assert!(scene.bytes(REPLICAS[0], &key, &id).await.is_some(), "{key}");
    }
}

#[tokio::test]
async fn two_destinations_with_different_causes_heal_each_in_its_time() {
    let scene = Scene::given(two()).await;
    scene.make(Trouble::Unversioned(0), true);
    scene.make(Trouble::Denied(1), true);
    scene.put_many(8).await;
    scene.run(minutes(10)).await;
    assert_eq!(scene.head().await.circuits.len(), 2);
    scene.make(Trouble::Unversioned(0), false);
    scene.run(minutes(90)).await;
    assert_eq!(scene.states().await["held"], 8, "the other cause stands");
    scene.make(Trouble::Denied(1), false);
    scene.heal().await;
    assert_eq!(scene.states().await["healed"], 8);
}

#[tokio::test]
async fn objects_that_are_encrypted_heal_when_their_key_is_enabled() {
    let scene = Scene::new().await;
    scene.make(Trouble::Key(0), true);
    let id = scene.put_kms("secret", "s").await;
    let plain = scene.put("plain", "p").await;
    scene.run(minutes(10)).await;
    assert_eq!(scene.status("plain", &plain).await.as_deref(), Some("COMPLETED"));
    assert_eq!(scene.said_about("DstKmsKeyInvalidState"), 1);
    scene.make(Trouble::Key(0), false);
    scene.heal().await;
    assert_eq!(scene.status("secret", &id).await.as_deref(), Some("COMPLETED"));
}
