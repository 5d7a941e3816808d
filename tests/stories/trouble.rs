//! Other people's data and other people's buckets.

use resilver_heal::time::{hours, minutes};
use resilver_tests::{Scene, Trouble};

#[tokio::test]
async fn a_role_that_cannot_be_assumed_heals_too() {
    let scene = Scene::new().await;
    scene.make(Trouble::Trust, true);
    scene.put_many(3).await;
    scene.run(minutes(10)).await;
    assert_eq!(scene.said_about("AssumeRoleNotPermitted"), 1);
    scene.make(Trouble::Trust, false);
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn jobs_of_others_are_left_alone() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(2).await;
    scene.run(minutes(10)).await;
    let foreign = "prefix/job-that-is/none-of-ours";
    let event = serde_json::json!({
        "id": "x", "time": "2026-01-01T01:00:00Z",
        "detail": {"serviceEventDetails": {"jobId": foreign, "status": "Complete"}},
    });
    scene.world(|world| resilver_emulator::world::lambda::invoke(world, "settle", event));
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 2);
}

#[tokio::test]
async fn a_document_of_a_later_release_is_not_written_over() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.put("a", "b").await;
    scene.run(minutes(10)).await;
    let key = "ledger/source-bucket/head.json";
    let head = scene.app.store.get(key).await.unwrap().unwrap().bytes;
    let later =
        String::from_utf8(head.to_vec()).unwrap().replacen("\"format\": 2", "\"format\": 3", 1);
    scene.app.store.put(key, later.clone().into(), "application/json").await.unwrap();
    scene.make(Trouble::Denied(0), false);
    scene.app.run_for(hours(2)).await;
    assert_eq!(scene.app.store.get(key).await.unwrap().unwrap().bytes, later);
    assert_eq!(scene.jobs(), 0);
}
