//! Sweeps and backfills: jobs whose manifest S3 makes, beside what the ledger already has.

use resilver::app::Options;
use resilver_emulator::stack::Answers;
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::jobs::Status;
use resilver_heal::backfill::ObjectStatus;
use resilver_heal::key::Bucket;
use resilver_heal::limits::Limits;
use resilver_heal::scan::{self, Stage};
use resilver_heal::time::{days, hours, minutes};
use resilver_tests::{Given, REPLICAS, SOURCE, STATE, Scene, Trouble};
use serde_json::json;

/// A scene whose bucket is swept every week, or one with other limits.
pub(super) async fn swept(limits: Limits) -> Scene {
    let mut scene = Scene::settled(Given { app: Options::default(), ..Given::default() }).await;
    scene.limit(limits);
    scene
}

pub(super) fn weekly() -> Limits {
    Limits { sweep_days: 7, ..Limits::default() }
}

/// Versions that failed and that nobody was told of.
pub(super) async fn unheard(scene: &Scene, number: usize) -> Vec<(String, String)> {
    let notifications = scene.take_notifications();
    scene.make(Trouble::Unversioned(0), true);
    let put = scene.put_many(number).await;
    scene.world(|world| world.advance_to(world.now() + minutes(3)));
    scene.make(Trouble::Unversioned(0), false);
    scene.put_notifications(notifications);
    put
}

/// Versions from before the replication configuration.
pub(super) async fn before(scene: &Scene, number: usize) -> Vec<(String, String)> {
    let rules = scene.take_rules();
    let put = scene.put_many(number).await;
    scene.put_rules(rules);
    put
}

pub(super) async fn are_whole(scene: &Scene, put: &[(String, String)]) {
    for (key, id) in put {
        assert!(scene.bytes(REPLICAS[0], key, id).await.is_some(), "{key} {id}");
    }
}

pub(super) fn statuses(scene: &Scene) -> Vec<Status> {
    scene.world(|world| world.jobs.iter().map(|job| job.status).collect())
}

#[tokio::test]
async fn a_sweep_heals_what_no_event_told_of_with_one_job() {
    let scene = swept(weekly()).await;
    let put = unheard(&scene, 12).await;
    scene.run(hours(1)).await;
    are_whole(&scene, &put).await;
    assert_eq!(statuses(&scene), [Status::Complete]);
    let head = scene.head().await;
    assert_eq!((head.totals.collected, head.totals.healed), (12, 12));
    assert_eq!((head.scan, head.flights.len()), (None, 0));
    assert_eq!(scene.said_about("A sweep found 12 versions"), 1);
    assert_eq!(scene.said_about("Job finished: 12 of 12 versions"), 1);
    // $0.25 for the job, $0.15 for listing ten million objects, a millionth for each row.
    assert_eq!(head.totals.micro_usd, 250_000 + 150_000 + 12);
    assert_eq!(scene.stored("listed/").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_goes_as_ever_where_the_state_bucket_has_a_key_of_kms_by_default() {
    let scene = swept(weekly()).await;
    scene.world(|world| {
        let key = Some("arn:aws:kms:us-east-1:111122223333:key/state".to_owned());
        world.buckets.get_mut(STATE).unwrap().default_kms_key = key;
    });
    let put = unheard(&scene, 3).await;
    scene.run(hours(1)).await;
    are_whole(&scene, &put).await;
    assert_eq!(statuses(&scene), [Status::Complete], "the role of jobs may use no key");
}

#[tokio::test]
async fn a_sweep_that_finds_nothing_is_no_failure_and_comes_again_in_a_week() {
    let scene = swept(weekly()).await;
    scene.put_many(3).await;
    scene.run(days(6)).await;
    assert_eq!(statuses(&scene), [Status::Failed]);
    let head = scene.head().await;
    assert_eq!((head.circuits.len(), head.scan, head.paused), (0, None, None));
    assert_eq!(scene.said(), Vec::<String>::new());
    scene.run(days(2)).await;
    assert_eq!(statuses(&scene).len(), 2);
}

#[tokio::test]
async fn a_bucket_that_is_not_enrolled_is_not_swept() {
    let scene = swept(weekly()).await;
    let other = |answers: &mut Answers| answers.insert("Buckets".into(), REPLICAS[0].into());
    scene.app.reconfigure(|answers| drop(other(answers))).await.unwrap();
    scene.put_many(1).await;
    scene.run(days(2)).await;
    let of = |part: &str| {
        let named = |it: &Option<String>| it.as_deref().is_some_and(|text| text.contains(part));
        scene.world(|world| world.jobs.iter().filter(|it| named(&it.request.description)).count())
    };
    assert_eq!(of(&format!("/{SOURCE}/")), 0);
    assert_eq!(of(REPLICAS[0]), 0, "nor is one without rules, which S3 could not list");
}

#[tokio::test]
async fn a_sweep_that_s3_cannot_list_waits_for_the_next_one() {
    let scene = swept(weekly()).await;
    let role = scene.job_role();
    scene.world(|world| world.iam.role_mut(&role).unwrap().trust.clear());
    scene.put_many(1).await;
    scene.run(days(2)).await;
    assert_eq!(statuses(&scene), [Status::Failed]);
}

#[tokio::test]
async fn what_the_ledger_has_is_left_out_and_the_rest_goes_up_in_a_manifest_of_ours() {
    let scene = swept(Limits { sweep_days: 0, ..weekly() }).await;
    let put = unheard(&scene, 4).await;
    // Held, and so not to be tried again by a job over everything that failed.
    scene.make(Trouble::Denied(0), true);
    scene.put("held", "h").await;
    scene.run(minutes(12)).await;
    assert_eq!(scene.states().await, [("held", 1)].into());
    scene.ask_for_backfill(&[ObjectStatus::Failed]).await;
    scene.run(hours(1)).await;
    assert!(statuses(&scene).contains(&Status::Cancelled));
    assert_eq!(scene.states().await, [("held", 5)].into());
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    are_whole(&scene, &put).await;
    let head = scene.head().await;
    assert_eq!((head.totals.collected, head.totals.healed, head.paused), (5, 5, None));
    assert_eq!(scene.said_about("paused"), 0, "the cancellation was ours");
}

#[tokio::test]
async fn where_the_manifest_cannot_be_read_the_job_goes_alone() {
    let scene = swept(weekly()).await;
    let put = unheard(&scene, 3).await;
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::S3, "GetObject", refuse).on("/generated/").times(99));
    while scene.app.head(&scene.bucket).await.unwrap().is_none_or(|h| h.scan.is_none()) {
        scene.run(minutes(1)).await;
    }
    // A failure that comes meanwhile waits for its end.
    scene.make(Trouble::Unversioned(0), true);
    scene.put("late", "l").await;
    scene.world(|world| world.advance_to(world.now() + minutes(2)));
    scene.make(Trouble::Unversioned(0), false);
    scene.run(hours(2)).await;
    scene.heal().await;
    are_whole(&scene, &put).await;
    let head = scene.head().await;
    assert_eq!(head.totals.collected, 1, "the ledger never had the others");
    assert!(
        scene.said_about("Job finished: 3 of 3") + scene.said_about("Job finished: 4 of 4") > 0
    );
}

#[tokio::test]
async fn what_fails_in_a_job_that_went_alone_comes_into_the_ledger() {
    let scene = swept(weekly()).await;
    unheard(&scene, 3).await;
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::S3, "GetObject", refuse).on("/generated/").times(99));
    scene.make(Trouble::Unversioned(0), true);
    scene.run(hours(1)).await;
    assert_eq!(scene.states().await, [("held", 3)].into());
    scene.make(Trouble::Unversioned(0), false);
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 3);
}

#[tokio::test]
async fn a_backfill_replicates_what_existed_before() {
    let scene = swept(Limits { sweep_days: 0, ..weekly() }).await;
    let put = before(&scene, 9).await;
    scene.ask_for_backfill(&[ObjectStatus::None, ObjectStatus::Failed]).await;
    scene.run(hours(2)).await;
    are_whole(&scene, &put).await;
    let head = scene.head().await;
    assert_eq!((head.totals.healed, head.backfills.len(), head.scan), (9, 0, None));
    assert_eq!(scene.stored("backfills/").await, Vec::<String>::new());
    assert_eq!(scene.said_about("Job finished: 9 of 9 versions"), 1);
}

#[tokio::test]
async fn a_backfill_of_nothing_says_so() {
    let scene = swept(Limits { sweep_days: 0, ..weekly() }).await;
    scene.ask_for_backfill(&[ObjectStatus::Replica]).await;
    scene.run(hours(1)).await;
    assert_eq!(scene.said(), ["A backfill of source-bucket found nothing to replicate"]);
    assert_eq!(scene.head().await.backfills.len(), 0);
}

#[tokio::test]
async fn a_large_backfill_waits_for_a_person_and_goes_when_confirmed() {
    let limits = Limits { backfill_rows_unconfirmed_max: 5, sweep_days: 0, ..Limits::default() };
    let scene = swept(limits).await;
    let put = before(&scene, 6).await;
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(days(3)).await;
    assert_eq!(statuses(&scene), [Status::Suspended]);
    let asks = "A backfill of 6 versions of source-bucket for $0.400006 waits for you";
    assert_eq!(scene.said(), [asks], "once, and nobody is told that the job stands still");
    scene.edit_head(|head| assert!(scan::confirm(head))).await;
    scene.run(hours(1)).await;
    are_whole(&scene, &put).await;
    assert_eq!(scene.head().await.totals.healed, 6);
}

#[tokio::test]
async fn who_cancels_a_backfill_that_waits_declines_it_and_the_bucket_heals_on() {
    let limits = Limits { backfill_rows_unconfirmed_max: 5, sweep_days: 0, ..Limits::default() };
    let scene = swept(limits).await;
    before(&scene, 6).await;
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(1)).await;
    let job = scene.world(|world| world.jobs.iter().next().unwrap().id.clone());
    let clients = &scene.app.clients;
    resilver_aws::jobs::update_status(clients, &job, "Cancelled", "too dear").await.unwrap();
    scene.heals_what_fails().await;
    let head = scene.head().await;
    assert_eq!((head.paused, head.backfills.len(), head.scan), (None, 0, None));
    assert_eq!(head.totals.collected, 1);
}

#[tokio::test]
async fn a_backfill_whose_manifest_s3_cannot_make_is_tried_again() {
    let scene = swept(Limits { sweep_days: 0, ..weekly() }).await;
    let put = before(&scene, 2).await;
    let role = scene.job_role();
    let trust = |who: &str| {
        scene.world(|world| {
            let role = world.iam.role_mut(&role).unwrap();
            std::mem::replace(&mut role.trust, vec![who.to_owned()])
        })
    };
    let trusted = trust("nobody.amazonaws.com");
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(1)).await;
    let head = scene.head().await;
    assert_eq!((head.circuits.len(), head.backfills.len()), (1, 1), "{head:#?}");
    trust(&trusted[0]);
    scene.run(days(1)).await;
    are_whole(&scene, &put).await;
    assert_eq!(scene.head().await.circuits.len(), 0);
}

#[tokio::test]
async fn a_launch_that_is_cut_short_at_any_step_of_a_scan_is_finished_by_the_next() {
    for (service, operation) in [
        (Service::Control, "CreateJob"),
        (Service::Control, "DescribeJob"),
        (Service::Control, "UpdateJobStatus"),
        (Service::S3, "PutObject"),
        (Service::S3, "GetObject"),
        (Service::S3, "DeleteObjects"),
    ] {
        for after in [0, 1, 2, 3, 4, 6, 9, 13] {
            for verdict in [Verdict::LoseReply, Verdict::LoseRequest] {
                let scene = swept(Limits { sweep_days: 0, ..weekly() }).await;
                let put = before(&scene, 2).await;
                scene.ask_for_backfill(&[ObjectStatus::None]).await;
                let rule = Rule::once(service, operation, verdict.clone());
                // As often as the SDK tries by itself.
                scene.fault(rule.times(3).after(after));
                scene.run(minutes(80)).await;
                are_whole(&scene, &put).await;
                let head = scene.head().await;
                assert_eq!((head.totals.healed, head.scan), (2, None), "{operation} {after}");
                assert_eq!(scene.jobs(), 1, "{operation} {after} {verdict:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_paused_bucket_begins_no_scan_and_lets_none_go() {
    let limits = Limits { backfill_rows_unconfirmed_max: 1, sweep_days: 0, ..Limits::default() };
    let scene = swept(limits).await;
    before(&scene, 2).await;
    scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(1)).await;
    scene
        .edit_head(|head| {
            head.paused = Some("maintenance".into());
            scan::confirm(head);
        })
        .await;
    scene.run(hours(5)).await;
    assert_eq!(statuses(&scene), [Status::Suspended]);
    scene.edit_head(|head| head.resume_at = Some(head.now.plus_ms(hours(1)))).await;
    scene.run(hours(2)).await;
    assert_eq!(statuses(&scene), [Status::Complete]);
    let head = scene.head().await;
    assert_eq!((head.paused, head.resume_at), (None, None));
}

#[test]
fn sweeps_are_as_rare_as_their_fees_make_them() {
    let every = |limits: Limits| scan::sweep_every_ms(&limits).map(|ms| ms / days(1));
    assert_eq!(every(weekly()), Some(7));
    assert_eq!(every(Limits { bucket_objects: 1_000_000_000, ..weekly() }), Some(45));
    assert_eq!(every(Limits { sweep_days: 0, ..weekly() }), None);
    assert_eq!(every(Limits { sweep_month_micro_usd_max: 0, ..weekly() }), None);
}

/// The stages that wait for somebody are told apart from those that run.
#[tokio::test]
async fn the_head_says_how_far_a_scan_is() {
    let limits = Limits { backfill_rows_unconfirmed_max: 1, sweep_days: 0, ..Limits::default() };
    let scene = swept(limits).await;
    before(&scene, 2).await;
    let asked = scene.ask_for_backfill(&[ObjectStatus::None]).await;
    scene.run(hours(1)).await;
    let scan = scene.head().await.scan.unwrap();
    assert!(matches!(scan.stage, Stage::Listed { rows: 2, .. }), "{scan:?}");
    let shown = serde_json::to_value(&scan).unwrap();
    assert_eq!(shown["purpose"]["backfill"]["id"], json!(asked.id));
    let bucket = Bucket::try_from(SOURCE.to_owned()).unwrap();
    assert_eq!(shown["purpose"]["backfill"]["bucket"], json!(bucket));
}
