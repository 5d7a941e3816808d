//! Launching: when, how much, and what happens when it is cut short.

use resilver_aws::Woken;
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_heal::limits::Limits;
use resilver_heal::time::{Timestamp, days, hours, minutes};
use resilver_tests::{Given, STATE, Scene, Trouble, unswept};

#[tokio::test]
async fn while_the_cause_stands_only_canaries_fly_and_ever_fewer() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(30).await;
    scene.run(days(2)).await;
    // After 15 and 30 minutes, 1, 3, 8 and 24 hours.
    assert_eq!(scene.jobs(), 6);
    assert_eq!(scene.head().await.totals.launched, 6 * 5);
    assert_eq!(scene.states().await["held"], 30);
    assert!(scene.entries().await.iter().all(|entry| entry.attempts == 0));
    assert_eq!(scene.said_about("held"), 1, "said, and once");
}

#[tokio::test]
async fn a_bucket_with_nothing_to_do_writes_nothing() {
    let scene = Scene::repaired(Given::default(), 2).await;
    scene.heal().await;
    let head = scene.head().await;
    scene.run(hours(5)).await;
    assert_eq!(scene.head().await, head);
}

#[tokio::test]
async fn a_refused_job_returns_its_rows_and_is_tried_again_later() {
    let scene = Scene::repaired(Given::default(), 3).await;
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::Control, "CreateJob", refuse));
    scene.heal().await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.healed, totals.jobs), (3, 1));
    assert_eq!(scene.said_about("refused to start a job"), 1);
    assert!(scene.entries().await.iter().all(|entry| entry.attempts == 1));
}

#[tokio::test]
async fn a_job_whose_answer_was_lost_is_adopted_and_not_bought_twice() {
    let scene = Scene::repaired(Given::default(), 3).await;
    // The SDK tries three times; each time the job is made (or found by its token), and nobody hears.
    scene.fault(Rule::once(Service::Control, "CreateJob", Verdict::LoseReply).times(3));
    scene.heal().await;
    assert_eq!(scene.jobs(), 1);
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn whoever_may_not_look_for_the_job_does_not_take_it_for_refused() {
    let scene = Scene::repaired(Given::default(), 3).await;
    scene.fault(Rule::once(Service::Control, "CreateJob", Verdict::LoseReply).times(3));
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::Control, "ListJobs", refuse));
    scene.heal().await;
    assert_eq!((scene.jobs(), scene.said_about("refused")), (1, 0));
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn a_role_that_may_neither_start_nor_list_jobs_is_told_and_loses_nothing() {
    let scene = Scene::repaired(Given::default(), 3).await;
    for operation in ["CreateJob", "ListJobs"] {
        let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
        scene.fault(Rule::once(Service::Control, operation, refuse).times(1_000_000));
    }
    scene.run(hours(5)).await;
    assert_eq!(scene.said_about("refused to start a job"), 1, "{:#?}", scene.said());
    let late = scene.put("late", "l").await;
    scene.world(|world| world.faults.rules.clear());
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
    assert_eq!(scene.status("late", &late).await.as_deref(), Some("COMPLETED"));
}

#[tokio::test]
async fn a_slot_that_a_launch_reserved_before_it_was_cut_short_is_free_again_after_an_hour() {
    let limits = Limits { jobs_active_max: 1, ..unswept() };
    let scene = Scene::repaired(Given::limited(limits), 3).await;
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::S3, "PutObject", refuse).on("head.json"));
    scene.run(minutes(30)).await;
    assert_eq!(scene.jobs(), 0, "the slot is taken, by nobody");
    scene.run(hours(2)).await;
    assert_eq!((scene.jobs(), scene.head().await.totals.healed), (1, 3));
}

#[tokio::test]
async fn jobs_that_fail_as_a_whole_are_tried_by_small_ones_on_a_growing_cadence() {
    let limits = Limits { launch_wait_minutes: 0, ..unswept() };
    let scene = Scene::repaired(Given::limited(limits), 30).await;
    let (role, manifests) = (scene.job_role(), format!("arn:aws:s3:::{STATE}/manifests/*"));
    scene.world(|world| world.iam.deny(&role, "no-manifest", &["s3:GetObject"], &[&manifests]));
    scene.run(days(2)).await;
    // The canary after 15 minutes, and a probe 15 minutes, 30 minutes, 1, 3, 8 and 24 hours later.
    assert!((6..=8).contains(&scene.jobs()), "{} jobs", scene.jobs());
    assert_eq!(scene.head().await.totals.healed, 0);
    scene.world(|world| world.iam.revoke(&role, "no-manifest"));
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 30);
    assert!(scene.entries().await.iter().all(|entry| entry.attempts == 1));
}

#[tokio::test]
async fn a_limit_that_was_lowered_blocks_nothing_that_is_given_back() {
    let mut scene = Scene::repaired(Given::limited(unswept()), 8).await;
    scene.until(|scene| scene.jobs() > 0).await;
    let lower = Limits { day_rows_max: 3, ..unswept() };
    scene.app.limit(lower);
    scene.run(hours(1)).await;
    assert_eq!(scene.head().await.totals.healed, 5, "the canary");
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 8);
}

/// A launch, and another of the same event that begins so many turns later and finds one failure more.
async fn race(turns: usize) {
    let scene = Scene::new().await;
    let woken = Woken::at(Timestamp(scene.app.emulator.now() + minutes(60)), "one request id");
    let segment = async |n: usize| {
        let row = format!("never%20there,v{n},failed,2026-01-01T00:00:0{n}.000Z,BrandNew,\n");
        let key = format!("failures/source-bucket/{n}.csv");
        scene.app.store.put(&key, row.into(), "text/csv").await.unwrap();
    };
    segment(1).await;
    segment(2).await;
    let late = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        segment(3).await;
        scene.app.launch(&woken).await
    };
    let (one, other) = tokio::join!(scene.app.launch(&woken), late);
    assert!(one.is_ok() && other.is_ok(), "after {turns} turns: {one:?} {other:?}");
    resilver_tests::laws::check(&scene).await;
    scene.heal().await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.collected, totals.gone), (3, 3), "after {turns} turns");
}

#[tokio::test]
async fn of_two_launches_that_one_event_woke_neither_undoes_the_other() {
    for turns in 0..60 {
        race(turns).await;
    }
}

#[tokio::test]
async fn a_launch_cut_short_before_its_job_is_finished_by_the_next() {
    let scene = Scene::repaired(Given::default(), 3).await;
    let refuse = Verdict::Refuse { code: "InternalServiceException".into(), status: 500 };
    scene.fault(Rule::once(Service::Control, "CreateJob", refuse).times(3));
    scene.heal().await;
    assert_eq!(scene.jobs(), 1);
    assert_eq!(scene.said_about("refused"), 0);
}

#[tokio::test]
async fn a_swap_whose_answer_was_lost_has_won() {
    let scene = Scene::repaired(Given::default(), 3).await;
    let lost = Rule::once(Service::S3, "PutObject", Verdict::LoseReply).on("head.json");
    scene.fault(lost.clone());
    scene.fault(lost.after(2));
    scene.heal().await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.collected, totals.healed, totals.jobs), (3, 3, 1));
}

#[tokio::test]
async fn what_was_folded_and_not_deleted_changes_nothing() {
    let scene = Scene::new().await;
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::S3, "DeleteObjects", refuse).times(4));
    scene.make(Trouble::Denied(0), true);
    scene.put_many(3).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.collected, totals.healed, totals.jobs), (3, 3, 1));
}

#[tokio::test]
async fn a_backlog_goes_up_in_jobs_of_the_size_that_is_allowed() {
    let limits = Limits { job_rows_max: 10, canary_rows: 2, ..unswept() };
    let scene = Scene::repaired(Given::limited(limits), 25).await;
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 25);
    assert_eq!(scene.jobs(), 4, "two canaries, ten, ten, three");
}

#[tokio::test]
async fn the_days_budget_is_kept_and_said() {
    let limits = Limits { day_jobs_max: 1, ..unswept() };
    let scene = Scene::repaired(Given::limited(limits), 12).await;
    scene.run(hours(12)).await;
    assert_eq!(scene.jobs(), 1);
    assert_eq!(scene.said_about("budget of jobs is spent"), 1);
    scene.heal().await;
    assert_eq!((scene.jobs(), scene.head().await.totals.healed), (2, 12));
}

#[tokio::test]
async fn a_cancelled_job_pauses_the_bucket_and_says_so() {
    let scene = Scene::repaired(Given::default(), 3).await;
    scene.until(|scene| scene.jobs() > 0).await;
    scene.world(|world| {
        let id = world.jobs.iter().next().unwrap().id.clone();
        let cancel = resilver_emulator::world::jobs::update_status;
        cancel(world, &id, "Cancelled", Some("not on a Friday")).map(drop).unwrap();
    });
    scene.run(days(1)).await;
    assert_eq!(scene.jobs(), 1, "nothing more is launched");
    assert!(scene.head().await.paused.unwrap().contains("not on a Friday"));
    assert_eq!(scene.said_about("is paused"), 1);
}

#[tokio::test]
async fn more_canaries_than_a_job_has_rows_go_up_one_cause_after_the_other() {
    let limits = Limits { job_rows_max: 3, canary_rows: 2, ..unswept() };
    let given = Given { replicas: 2, ..Given::limited(limits) };
    let scene = Scene::given(given).await;
    for trouble in [Trouble::Denied(0), Trouble::Unversioned(1)] {
        scene.make(trouble, true);
        scene.put_many(5).await;
        scene.run(minutes(10)).await;
        scene.make(trouble, false);
    }
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 10);
}
