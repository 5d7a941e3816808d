//! Sweeps and backfills where something stands in their way: a limit, a person, a list that is not whole.

use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::jobs::Status;
use resilver_emulator::world::object::ReplicationStatus;
use resilver_heal::account::Account;
use resilver_heal::backfill::ObjectStatus;
use resilver_heal::limits::Limits;
use resilver_heal::scan;
use resilver_heal::state::StateKey;
use resilver_heal::time::{days, hours, minutes};
use resilver_tests::lessons::{message, record, twin};
use resilver_tests::{Given, REPLICAS, SOURCE, Scene, Trouble};
use serde_json::json;

use super::scan::{are_whole, before, statuses, swept, unheard, weekly};

fn asked_for() -> Limits {
    Limits { sweep_days: 0, ..Limits::default() }
}

/// S3's list cannot be read from now on, so that its job has to go alone.
fn hide_lists(scene: &Scene) {
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::S3, "GetObject", refuse).on("/generated/").times(100_000));
}

#[tokio::test]
async fn a_manifest_and_a_list_that_are_ready_at_once_share_what_there_is() {
    let limits = Limits { jobs_active_max: 1, launch_wait_minutes: 0, ..asked_for() };
    let scene = swept(limits).await;
    let put = before(&scene, 3).await;
    let odd = scene.put("odd", "o").await;
    scene.world(|world| world.config.job_step = minutes(2));
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.until(|scene| scene.jobs() == 1).await;
    // It comes into the ledger in the launch that finds the list.
    let mut told = record("odd", &odd);
    told["replicationEventData"]["failureReason"] = json!("BrandNew");
    scene.tell(&message(&[told]));
    let end = scene.app.emulator.now() + hours(3);
    while scene.app.emulator.now() < end {
        scene.app.emulator.step();
        scene.app.turn().await;
        let active = statuses(&scene);
        let waits = |it: &Status| matches!(it, Status::New | Status::Preparing | Status::Suspended);
        let active = active.iter().filter(|it| !it.is_terminal() && !waits(it)).count();
        assert!(active <= 1, "{:?}", statuses(&scene));
    }
    are_whole(&scene, &put).await;
    assert_eq!(scene.head().await.totals.healed, 4);
    let account = scene.app.store.get_json::<Account>(&StateKey::Account.to_string()).await;
    let account = account.unwrap().unwrap().value;
    let day = account.reservations.values().next().unwrap().at.0 / days(1);
    let (jobs, rows, _) = account.of_day(day);
    assert_eq!((jobs, rows), (2, 4), "{account:#?}");
}

#[tokio::test]
async fn a_sweep_of_more_than_a_day_allows_goes_in_pieces_day_by_day() {
    let scene = swept(Limits { day_rows_max: 3, ..weekly() }).await;
    let put = unheard(&scene, 5).await;
    scene.run(hours(27)).await;
    are_whole(&scene, &put).await;
    assert!(statuses(&scene).iter().all(|status| status.is_terminal()), "{:?}", statuses(&scene));
    assert_eq!(scene.head().await.totals.healed, 5);
}

#[tokio::test]
async fn a_job_that_no_day_lets_go_alone_is_cancelled_told_and_blocks_nothing() {
    let scene = swept(Limits { day_rows_max: 3, ..weekly() }).await;
    unheard(&scene, 5).await;
    hide_lists(&scene);
    scene.run(minutes(30)).await;
    scene.make(Trouble::Unversioned(0), true);
    let late = scene.put("late", "l").await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Unversioned(0), false);
    scene.run(hours(6)).await;
    assert!(scene.bytes(REPLICAS[0], "late", &late).await.is_some(), "{:#?}", scene.head().await);
    assert!(statuses(&scene).iter().all(|status| status.is_terminal()), "{:?}", statuses(&scene));
    let head = scene.head().await;
    assert_eq!((head.scan, head.paused), (None, None));
    assert_eq!(
        scene.said_about("a sweep found 5 versions, more than the limits of a day"),
        1,
        "{:#?}",
        scene.said()
    );
}

#[tokio::test]
async fn a_backfill_of_more_than_a_day_allows_asks_a_person_and_then_goes() {
    let scene = swept(Limits { day_rows_max: 3, ..asked_for() }).await;
    let put = before(&scene, 5).await;
    hide_lists(&scene);
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(26)).await;
    assert_eq!(statuses(&scene), [Status::Suspended]);
    assert_eq!(scene.said_about("A backfill of 5 versions"), 1, "{:#?}", scene.said());
    scene.edit_head(|head| assert!(scan::confirm(head))).await;
    scene.run(hours(1)).await;
    are_whole(&scene, &put).await;
}

#[tokio::test]
async fn a_backfill_that_a_person_let_go_and_that_failed_asks_again_before_it_is_paid_twice() {
    let scene = swept(Limits { backfill_rows_unconfirmed_max: 2, ..asked_for() }).await;
    before(&scene, 1_100).await;
    hide_lists(&scene);
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(1)).await;
    scene.edit_head(|head| assert!(scan::confirm(head))).await;
    // S3 gives it up after a thousand tasks.
    scene.make(Trouble::Denied(0), true);
    scene.until(|scene| scene.said_about("Job failed") > 0).await;
    scene.make(Trouble::Denied(0), false);
    scene.run(hours(4)).await;
    let let_go = scene.world(|world| {
        let generated = world.jobs.iter().filter(|it| it.generated.is_some());
        generated.filter(|it| it.active_since.is_some()).count()
    });
    assert_eq!(let_go, 1, "{:#?}", scene.said());
    assert_eq!(scene.said_about("waits for you"), 2, "{:#?}", scene.said());
    assert_eq!(scene.said_about("A backfill of 100 versions"), 1, "{:#?}", scene.said());
}

#[tokio::test]
async fn who_runs_a_backfill_that_waits_in_the_console_has_run_it() {
    let scene = swept(Limits { backfill_rows_unconfirmed_max: 2, ..asked_for() }).await;
    let put = before(&scene, 3).await;
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(1)).await;
    assert_eq!(statuses(&scene), [Status::Suspended]);
    let id = scene.world(|world| world.jobs.iter().next().unwrap().id.clone());
    // One of them fails, and S3 sends no event of a job's failures.
    scene.world(|world| world.jobs.batch_failure_events = false);
    let (_, object) = (&put[0].1, format!("arn:aws:s3:::{}/{}", REPLICAS[0], put[0].0));
    let role = resilver_tests::ROLE;
    scene.world(|world| world.iam.deny(role, "one", &["s3:ReplicateObject"], &[&object]));
    let clients = &scene.app.clients;
    resilver_aws::jobs::update_status(clients, &id, "Ready", "by hand").await.unwrap();
    scene.run(minutes(12)).await;
    scene.world(|world| world.iam.revoke(role, "one"));
    let head = scene.head().await;
    assert_eq!((head.scan, head.backfills.len()), (None, 0));
    assert_eq!(scene.states().await, [("held", 1)].into());
    scene.heal().await;
    are_whole(&scene, &put).await;
    assert_eq!(scene.jobs(), 2, "the job, and one for what failed of it");
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_not_used() {
    let scene = swept(asked_for()).await;
    let put = before(&scene, 3).await;
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    while statuses(&scene) != [Status::Suspended] {
        scene.app.emulator.step();
        scene.app.turn().await;
    }
    let stored = scene.stored("generated/").await;
    let manifest = stored.iter().find(|key| key.ends_with("manifest.json")).unwrap();
    let bytes = scene.app.store.get(manifest).await.unwrap().unwrap().bytes;
    let mut document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    document["files"] = json!([]);
    let document = document.to_string();
    scene.app.store.put(manifest, document.into(), "application/json").await.unwrap();
    scene.run(hours(1)).await;
    are_whole(&scene, &put).await;
    assert_eq!(statuses(&scene), [Status::Complete]);
    assert_eq!(scene.head().await.totals.collected, 0, "it went alone");
}

#[tokio::test]
async fn a_backfill_whose_list_alone_is_too_dear_for_a_day_is_told_once() {
    let limits =
        Limits { bucket_objects: 100_000_000, day_micro_usd_max: 1_000_000, ..asked_for() };
    let scene = swept(limits).await;
    before(&scene, 1).await;
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(6)).await;
    assert_eq!(scene.jobs(), 0);
    assert_eq!(scene.said_about("costs more than a day may"), 1, "{:#?}", scene.said());
}

#[tokio::test]
async fn a_version_that_left_since_it_was_listed_is_not_in_the_job_of_the_scan() {
    let scene = swept(weekly()).await;
    scene.world(|world| world.config.job_step = minutes(7));
    let put = unheard(&scene, 3).await;
    scene.until(|scene| scene.jobs() == 1).await;
    // S3 has not made the list yet. It leaves after the scan began and before the list is read.
    scene.world(|world| world.advance_to(world.now() + minutes(1)));
    let (key, id) = &put[0];
    let set = |status| {
        scene.world(|world| {
            let keys = &mut world.buckets.get_mut(SOURCE).unwrap().keys;
            keys.get_mut(key).unwrap()[0].replication = Some(status);
        });
    };
    let mut told = record(&key.replace('%', "%25").replace('+', "%2B"), id);
    told["eventName"] = json!("Replication:OperationNotTracked");
    set(ReplicationStatus::Completed);
    scene.tell(&message(&[told]));
    scene.run(minutes(11)).await;
    assert_eq!(scene.states().await, [("healed", 1)].into());
    set(ReplicationStatus::Failed);
    scene.run(hours(2)).await;
    assert_eq!(statuses(&scene), [Status::Cancelled, Status::Complete]);
    let jobs = scene.world(|world| world.jobs.iter().map(|job| job.total).collect::<Vec<_>>());
    assert_eq!(jobs, [3, 2]);
}

#[tokio::test]
async fn sweeps_of_many_buckets_on_one_day_leave_some_of_it_to_what_fails() {
    let given = Given::limited(Limits { day_jobs_max: 2, ..weekly() });
    let scene = Scene::given(Given { replicas: 2, ..given }).await;
    twin(&scene).await;
    scene.run(minutes(30)).await;
    assert_eq!(scene.jobs(), 1, "the other bucket's sweep waits for tomorrow");
    scene.make(Trouble::Unversioned(0), true);
    let id = scene.put("late", "l").await;
    scene.run(minutes(5)).await;
    scene.make(Trouble::Unversioned(0), false);
    scene.run(hours(2)).await;
    assert!(scene.bytes(REPLICAS[0], "late", &id).await.is_some(), "{:#?}", scene.said());
    scene.run(days(1)).await;
    assert_eq!(scene.jobs(), 3, "it has come: {:?}", statuses(&scene));
}

#[tokio::test]
async fn a_backfill_that_waited_a_month_for_its_turn_has_not_been_declined() {
    let scene = swept(Limits { backfill_rows_unconfirmed_max: 2, ..asked_for() }).await;
    let put = before(&scene, 5).await;
    hide_lists(&scene);
    scene.make(Trouble::Denied(0), true);
    scene.put("held", "h").await;
    scene.run(minutes(20)).await;
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(1)).await;
    scene.edit_head(|head| assert!(scan::confirm(head))).await;
    // S3 fails what waits for 30 days; an open circuit keeps it from going alone for so long.
    scene.world(|world| world.jobs.wait_longer(days(31)));
    scene.run(hours(2)).await;
    assert!(statuses(&scene).contains(&Status::Failed), "{:?}", statuses(&scene));
    scene.make(Trouble::Denied(0), false);
    scene.run(days(3)).await;
    are_whole(&scene, &put).await;
    assert_eq!(scene.said_about("waits for you"), 1, "who has said yes is not asked again");
}
