//! What comes out of the queue, readable or not.

use resilver_emulator::world::queue;
use resilver_heal::time::{hours, minutes};
use resilver_tests::{Given, QUEUE, STATE, Scene, Trouble};
use serde_json::json;

const DOCUMENTED: &str = include_str!("../recorded/failure-event.json");

#[tokio::test]
async fn an_unreadable_event_is_kept_byte_for_byte_and_its_neighbours_are_collected() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(2).await;
    let garbage = "{\"Records\": [{\"eventName\":\u{1F4A5}";
    scene.tell(garbage);
    scene.run(minutes(10)).await;
    let kept = scene.stored("rejects/events/").await;
    assert_eq!(kept.len(), 1);
    let stored = scene.app.store.get(&kept[0]).await.unwrap().unwrap();
    assert_eq!(stored.bytes, garbage.as_bytes());
    assert_eq!(scene.head().await.totals.collected, 2);
    scene.run(minutes(20)).await;
    assert_eq!(scene.said_about("could not be read"), 1);
    let depth = scene.world(|world| world.queues.get(QUEUE).map(queue::Queue::depth));
    assert_eq!(depth, Some((0, 0)), "it is acknowledged");
}

#[tokio::test]
async fn an_event_that_sns_has_wrapped_is_collected() {
    let scene = Scene::new().await;
    let event = DOCUMENTED.replace("amzn-s3-demo-bucket1", "source-bucket");
    scene.tell(&json!({"Type": "Notification", "Message": event}).to_string());
    scene.run(minutes(10)).await;
    assert_eq!(scene.head().await.totals.collected, 1);
}

#[tokio::test]
async fn events_delivered_twice_and_out_of_order_change_no_outcome() {
    let scene = Scene::new().await;
    scene.world(|world| {
        world.faults.duplicate_per_mille = 600;
        world.faults.reorder_per_mille = 600;
    });
    scene.make(Trouble::Denied(0), true);
    scene.put_many(12).await;
    scene.run(minutes(20)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.collected, totals.healed, totals.jobs), (12, 12, 2));
    assert!(totals.duplicates > 0, "something was delivered twice");
}

#[tokio::test]
async fn an_event_delivered_again_after_its_version_healed_starts_no_job() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.put("once", "o").await;
    scene.run(minutes(2)).await;
    let segment = scene.stored("failures/").await.remove(0);
    let bytes = scene.app.store.get(&segment).await.unwrap().unwrap().bytes;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let (jobs, said) = (scene.jobs(), scene.said());
    scene.app.store.put(&segment, bytes, "text/csv").await.unwrap();
    scene.run(hours(3)).await;
    assert_eq!((scene.jobs(), scene.said()), (jobs, said));
    assert_eq!(scene.head().await.totals.duplicates, 1);
}

#[tokio::test]
async fn a_batch_that_cannot_be_stored_comes_again() {
    use resilver_emulator::world::fault::{Rule, Service, Verdict};
    let scene = Scene::given(Given::default()).await;
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::S3, "PutObject", refuse).on(&format!("/{STATE}/failures/")));
    scene.make(Trouble::Denied(0), true);
    scene.put_many(3).await;
    scene.run(minutes(40)).await;
    assert_eq!(scene.head().await.totals.collected, 3);
    assert_eq!(scene.stored("rejects/").await, Vec::<String>::new());
}
