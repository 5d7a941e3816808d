//! The end of a job, and what its report says.

use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::lambda::Invocation;
use resilver_heal::entry::State;
use resilver_heal::limits::Limits;
use resilver_heal::state::StateKey;
use resilver_heal::time::{days, hours, minutes};
use resilver_tests::lessons::twin;
use resilver_tests::{Given, REPLICAS, Scene, Trouble, unswept};

#[tokio::test]
async fn without_a_trail_the_poll_settles() {
    let scene = Scene::given(Given { trail: false, ..Given::default() }).await;
    scene.make(Trouble::Unversioned(0), true);
    scene.put_many(3).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Unversioned(0), false);
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn the_event_that_aws_documents_settles_its_job_and_no_other() {
    let scene = Scene::given(Given { trail: false, ..Given::default() }).await;
    scene.make(Trouble::Unversioned(0), true);
    scene.put_many(2).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Unversioned(0), false);
    scene.until(|scene| scene.jobs() > 0).await;
    scene.run(minutes(1)).await;
    let recorded = include_str!("../recorded/job-status-changed.json");
    let id = scene.world(|world| world.jobs.iter().next().unwrap().id.clone());
    let ours = recorded.replace("e849b567-5232-44be-9a0c-40988f14e80c", &id);
    for (event, settled) in [(recorded, 0), (ours.as_str(), 1), (ours.as_str(), 1)] {
        let payload = serde_json::from_str(event).unwrap();
        let time = scene.app.emulator.now();
        let invocation =
            Invocation { id: "r".into(), function: "settle".into(), payload, time, attempt: 0 };
        scene.app.invoke(&invocation).await.unwrap();
        assert_eq!(scene.stored("settled/").await.len(), settled);
    }
}

#[tokio::test]
async fn succeeded_is_believed_when_the_version_says_so_itself() {
    let scene = Scene::new().await;
    scene.world(|world| {
        world.jobs.succeeded_means_initiated = true;
        world.config.replication_delay = minutes(20);
    });
    scene.make(Trouble::Denied(0), true);
    let id = scene.put("slow", "s").await;
    scene.run(minutes(30)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!(scene.status("slow", &id).await.as_deref(), Some("COMPLETED"));
    let totals = scene.head().await.totals;
    assert_eq!((totals.healed, totals.unproved), (1, 0));
}

#[tokio::test]
async fn a_status_that_cannot_be_read_is_told_and_proves_nothing() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(3).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(
        Rule::once(Service::S3, "HeadObject", refuse).on("/source-bucket/folder").times(1_000_000),
    );
    scene.run(days(3)).await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.healed, totals.unproved), (0, 0));
    let said = scene.said_about("status of 3 versions of source-bucket cannot be read");
    assert!((1..=4).contains(&said), "once a day: {said}");
    scene.world(|world| world.faults.rules.clear());
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn a_canary_whose_status_cannot_be_read_keeps_no_circuit_open() {
    let limits = Limits { canary_rows: 3, ..unswept() };
    let scene = Scene::given(Given::limited(limits)).await;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(9).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.until(|scene| scene.jobs() > 0).await;
    let entries = scene.entries().await;
    let canary = entries.iter().find(|entry| matches!(entry.state, State::InFlight { .. }));
    let number: String = canary.unwrap().id.key.as_str().chars().skip(9).take(4).collect();
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::S3, "HeadObject", refuse).on(&number).times(1_000_000));
    scene.run(hours(6)).await;
    assert_eq!(scene.states().await, [("confirming", 1), ("healed", 8)].into());
    scene.world(|world| world.faults.rules.clear());
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 9);
}

#[tokio::test]
async fn of_a_large_job_a_sample_is_proved_and_the_rest_said_to_be_unproved() {
    let limits = Limits { proof_rows_max: 10, ..unswept() };
    let scene = Scene::given(Given::limited(limits)).await;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(60).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let totals = scene.head().await.totals;
    assert_eq!(totals.healed + totals.unproved, 60);
    assert!(totals.healed >= 10 && totals.unproved >= 30, "{totals:?}");
}

#[tokio::test]
async fn whether_or_not_failed_tasks_send_events_a_canary_costs_its_row_no_attempt() {
    for events in [true, false] {
        let scene = Scene::new().await;
        scene.world(|world| world.jobs.batch_failure_events = events);
        scene.make(Trouble::Denied(0), true);
        scene.put_many(3).await;
        scene.run(hours(6)).await;
        assert!(scene.entries().await.iter().all(|entry| entry.attempts == 0), "{events}");
        scene.make(Trouble::Denied(0), false);
        scene.heal().await;
        assert_eq!(scene.head().await.totals.healed, 3);
    }
}

#[tokio::test]
async fn a_hard_deleted_replica_is_quarantined_with_the_remedy_that_works() {
    let scene = Scene::new().await;
    let id = scene.put("twice lost", "t").await;
    scene.run(minutes(2)).await;
    scene.delete_version(REPLICAS[0], "twice lost", &id).await;
    scene.make(Trouble::Denied(0), true);
    let call = scene.app.clients.s3.put_object_tagging().bucket(resilver_tests::SOURCE);
    let tag = aws_sdk_s3::types::Tag::builder().key("a").value("b").build().unwrap();
    let tags = aws_sdk_s3::types::Tagging::builder().tag_set(tag).build().unwrap();
    call.key("twice lost").version_id(&id).tagging(tags).send().await.unwrap();
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!(scene.states().await["quarantined"], 1);
    assert_eq!(scene.said_about("quarantined: DstObjectHardDeleted"), 1);
}

#[tokio::test]
async fn an_unreadable_report_row_is_kept_told_and_asked_for_by_status() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    let objects = scene.put_many(4).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    while scene.stored("reports/").await.is_empty() {
        scene.app.emulator.step();
        scene.app.turn().await;
    }
    let results = scene.stored("reports/").await.into_iter().find(|key| key.ends_with(".csv"));
    let key = results.unwrap();
    let report = scene.app.store.get(&key).await.unwrap().unwrap().bytes;
    let text = String::from_utf8(report.to_vec()).unwrap();
    let broken = text.replacen("succeeded,200", "perhaps,200", 1);
    assert_ne!(broken, text);
    scene.app.store.put(&key, broken.into(), "text/csv").await.unwrap();
    scene.heal().await;
    assert_eq!(scene.stored("rejects/report/").await.len(), 1);
    assert_eq!(scene.said_about("1 piece of report could not be read"), 1);
    let totals = scene.head().await.totals;
    assert_eq!(totals.healed as usize, objects.len(), "its own status decides");
}

#[tokio::test]
async fn a_head_that_cannot_be_read_keeps_no_other_bucket_from_being_settled() {
    let given = Given { trail: false, replicas: 2, ..Given::default() };
    let scene = Scene::repaired(given, 3).await;
    let twin = twin(&scene).await;
    let head = StateKey::Head(&twin).to_string();
    scene.app.store.put(&head, "{".into(), "application/json").await.unwrap();
    scene.run(hours(3)).await;
    assert_eq!(scene.head().await.totals.healed, 3);
    let kept = scene.app.store.get(&head).await.unwrap().unwrap();
    assert_eq!(kept.bytes.as_ref(), b"{", "it is left as it is");
}
