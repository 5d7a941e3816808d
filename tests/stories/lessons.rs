//! What people were bitten by who healed replication by hand or with scripts, so that nobody is again:
//! from the failure event to the report. What concerns jobs, money and the installation is in
//! `lessons_kept`.

use aws_sdk_s3::types::StorageClass;
use resilver_emulator::world::bucket::Versioning;
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::jobs::Status;
use resilver_emulator::world::queue;
use resilver_heal::entry::{Entry, State};
use resilver_heal::time::{Timestamp, hours, minutes};
use resilver_tests::lessons::{message, record};
use resilver_tests::{Given, QUEUE, REPLICAS, SOURCE, Scene, Trouble, lessons};
use serde_json::json;

/// No message waits, and none was given up.
fn queues_are_empty(scene: &Scene) {
    for name in [QUEUE, "resilver-dead-letters"] {
        let depth = scene.world(|world| world.queues.get(name).map(queue::Queue::depth));
        assert_eq!(depth, Some((0, 0)), "{name}");
    }
}

/// The texts of what is stored under a prefix, in order of key.
async fn texts(scene: &Scene, prefix: &str, end: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for key in scene.stored(prefix).await.iter().filter(|key| key.ends_with(end)) {
        let stored = scene.app.store.get(key).await.unwrap().unwrap();
        texts.push(String::from_utf8(stored.bytes.to_vec()).unwrap());
    }
    texts
}

/// A scene with so many objects that failed, whose cause is repaired: their canary is about to go up.
async fn repaired(objects: usize) -> (Scene, Vec<(String, String)>) {
    let scene = Scene::settled(Given::default()).await;
    scene.make(Trouble::Denied(0), true);
    let put = scene.put_many(objects).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    (scene, put)
}

/// One record that could not be read took its neighbours down with it, and again whenever the message came back.
#[tokio::test]
async fn of_three_records_in_a_message_a_malformed_one_is_put_aside_and_two_are_stored() {
    let scene = Scene::settled(Given::default()).await;
    let mut broken = record("b", "v2");
    broken["s3"]["object"] = json!("not what S3 sends");
    scene.tell(&message(&[record("a", "v1"), broken.clone(), record("c", "v3")]));
    scene.run(minutes(10)).await;
    let entries = scene.entries().await;
    let keys: Vec<_> = entries.iter().map(|entry| entry.id.key.as_str()).collect();
    assert_eq!(keys, ["a", "c"]);
    assert_eq!(texts(&scene, "rejects/events/", "").await, [broken.to_string()]);
    assert_eq!(scene.head().await.totals.duplicates, 0, "the message did not come again");
    queues_are_empty(&scene);
    scene.run(minutes(10)).await;
    assert_eq!(scene.said_about("1 piece of events could not be read"), 1);
}

/// The message with which S3 tries a new notification was taken for a failure, or killed the function that read it.
#[tokio::test]
async fn the_test_event_of_a_new_notification_is_neither_a_failure_nor_a_reject() {
    let scene = Scene::settled(Given::default()).await;
    scene.bucket("photos").await;
    scene.app.enroll("photos").await.unwrap();
    let depth = scene.world(|world| world.queues.get(QUEUE).map(queue::Queue::depth));
    assert_eq!(depth, Some((1, 0)), "S3 has tried the queue");
    scene.tell(include_str!("../recorded/test-event.json"));
    scene.tell(&message(&[record("real", "v1")]));
    scene.run(minutes(10)).await;
    assert_eq!(scene.head().await.totals.collected, 1);
    for prefix in ["failures/", "rejects/", "plans/photos/"] {
        assert_eq!(scene.stored(prefix).await, Vec::<String>::new(), "{prefix}");
    }
    let photos = scene.app.head(&"photos".to_owned().try_into().unwrap()).await.unwrap();
    assert_eq!(photos.map_or(0, |head| head.totals.collected), 0);
    queues_are_empty(&scene);
    assert_eq!(scene.said_about("could not be read"), 0);
}

/// A failure that was told again made a second entry and a second job; one that was told late hid a newer one.
#[tokio::test]
async fn a_failure_told_five_times_out_of_order_is_one_entry_and_one_job() {
    let scene = Scene::settled(Given::default()).await;
    let id = scene.put("once", "o").await;
    let before = scene.app.emulator.now();
    scene.run(minutes(5)).await;
    let at = |second: u64| Timestamp(before + second * 1_000);
    let tell = async |batches: [&[u64]; 2]| {
        for batch in batches {
            for second in batch {
                let mut told = record("once", &id);
                told["eventTime"] = json!(at(*second).to_string());
                scene.tell(&message(&[told]));
            }
            scene.run(minutes(6)).await;
        }
    };
    tell([&[3, 1, 5, 2], &[4]]).await;
    let entries = scene.entries().await;
    let [Entry { attempts: 0, last_failure, blames, .. }] = &entries[..] else {
        panic!("{entries:#?}");
    };
    assert_eq!((*last_failure, blames.len(), blames[0].at), (at(5), 1, at(5)));
    let totals = scene.head().await.totals;
    assert_eq!((totals.collected, totals.duplicates), (1, 1));
    scene.heal().await;
    tell([&[5, 4], &[1, 2, 3]]).await;
    scene.run(hours(3)).await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.collected, totals.healed, scene.jobs()), (1, 1, 1));
}

/// Failures were gathered by the id of their rule, and rules of two buckets were called the same: objects went up in
/// the job of the other bucket.
#[tokio::test]
async fn two_buckets_whose_rules_have_the_same_id_never_mix() {
    let scene = Scene::settled(resilver_tests::two()).await;
    let (twin, key) = (lessons::twin(&scene).await, "the same key");
    scene.make(Trouble::Denied(0), true);
    scene.make(Trouble::Unversioned(1), true);
    let ours = scene.put(key, "of the source").await;
    let theirs = lessons::put(&scene, key, "of the twin").await;
    scene.run(minutes(20)).await;
    let causes = async |bucket| {
        let head = scene.app.head(bucket).await.unwrap().unwrap();
        let causes = head.circuits.iter().filter_map(|circuit| circuit.cause());
        (head.totals.collected, causes.map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    let unversioned = "DstBucketUnversioned at replica-b";
    let denied = format!("{unversioned}; DstPutObjectNotPermitted at replica-a");
    assert_eq!(causes(&scene.bucket).await, (1, denied));
    assert_eq!(causes(&twin).await, (1, unversioned.to_owned()));
    scene.make(Trouble::Denied(0), false);
    scene.make(Trouble::Unversioned(1), false);
    scene.run(hours(12)).await;
    for (bucket, mine, other) in [(&scene.bucket, &ours, &theirs), (&twin, &theirs, &ours)] {
        let head = scene.app.head(bucket).await.unwrap().unwrap();
        assert_eq!((head.totals.healed, head.totals.gone, head.circuits.len()), (1, 0, 0));
        let manifests = texts(&scene, &format!("manifests/{bucket}/"), ".csv").await.concat();
        assert!(manifests.lines().all(|line| line == format!("{bucket},the%20same%20key,{mine}")));
        assert!(!manifests.is_empty() && !manifests.contains(other.as_str()));
    }
    assert_eq!(scene.bytes(REPLICAS[1], key, &theirs).await.unwrap(), b"of the twin");
}

/// A key went up as the event spells it, form-encoded, or broke the line of the manifest: S3 found no such object.
#[tokio::test]
async fn whatever_is_in_a_key_survives_event_manifest_report_and_head() {
    let scene = Scene::settled(Given::default()).await;
    scene.make(Trouble::Denied(0), true);
    let longest = "é".repeat(512);
    let keys = [
        ("a space", "a%20space"),
        ("plus+plus", "plus%2Bplus"),
        ("100%", "100%25"),
        ("%2B%20", "%252B%2520"),
        ("a,b", "a%2Cb"),
        ("a \"quoted\" key", "a%20%22quoted%22%20key"),
        ("new\nline", "new%0Aline"),
        ("#hash", "%23hash"),
        ("münchen/🪣", "m%C3%BCnchen/%F0%9F%AA%A3"),
        ("../up", "../up"),
        ("<!channel>`x`", "%3C%21channel%3E%60x%60"),
        (&longest, &"%C3%A9".repeat(512)),
    ];
    let mut put = Vec::new();
    for (key, _) in keys {
        put.push(scene.put(key, key).await);
    }
    scene.run(minutes(10)).await;
    assert_eq!(scene.states().await, [("held", keys.len())].into());
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let manifests = texts(&scene, "manifests/", ".csv").await.concat();
    let reports = texts(&scene, "reports/", ".csv").await.concat();
    for ((key, spelled), id) in keys.iter().zip(&put) {
        let row = format!("{SOURCE},{spelled},{id}");
        assert_eq!(manifests.lines().filter(|line| *line == row).count(), 1, "{key}");
        assert_eq!(reports.matches(&format!("{row},succeeded")).count(), 1, "{key}");
        assert_eq!(scene.status(key, id).await.as_deref(), Some("COMPLETED"), "{key}");
        let replica = scene.bytes(REPLICAS[0], key, id).await;
        assert_eq!(replica.as_deref(), Some(key.as_bytes()), "{key}");
    }
    let totals = scene.head().await.totals;
    assert_eq!((totals.healed as usize, totals.unproved, totals.gone), (keys.len(), 0, 0));
}

/// An event without a version id became a row without one, which S3 fails, or was healed as whatever version is there now.
#[tokio::test]
async fn a_missing_version_id_is_put_aside_and_null_is_a_version_like_any_other() {
    let scene = Scene::settled(Given::default()).await;
    let versioning =
        |it| scene.world(|world| world.buckets.get_mut(SOURCE).unwrap().versioning = it);
    versioning(Versioning::Suspended);
    let call = scene.app.clients.s3.put_object().bucket(SOURCE).key("old");
    call.body(b"from before versioning".to_vec().into()).send().await.unwrap();
    versioning(Versioning::Enabled);
    let newer = scene.put("old", "newer").await;
    let (mut without, mut empty) = (record("old", "x"), record("old", "x"));
    without["s3"]["object"].as_object_mut().unwrap().remove("versionId");
    empty["s3"]["object"]["versionId"] = json!("");
    scene.tell(&message(&[without.clone(), record("old", "null"), empty.clone()]));
    scene.run(minutes(10)).await;
    let mut kept = texts(&scene, "rejects/events/", "").await;
    kept.sort();
    let mut odd = [without.to_string(), empty.to_string()];
    odd.sort();
    assert_eq!(kept, odd);
    scene.heal().await;
    let manifests = texts(&scene, "manifests/", ".csv").await;
    assert_eq!(manifests, [format!("{SOURCE},old,null\n")]);
    assert_eq!(scene.status("old", "null").await.as_deref(), Some("COMPLETED"));
    assert_eq!(scene.status("old", &newer).await.as_deref(), Some("COMPLETED"));
    assert_eq!(scene.head().await.totals.healed, 1);
}

/// One object that had been deleted meanwhile failed the whole batch, or was tried again for ever.
#[tokio::test]
async fn a_version_deleted_before_its_job_is_gone_and_the_job_runs_for_the_others() {
    let scene = Scene::settled(Given::default()).await;
    scene.make(Trouble::Denied(0), true);
    let mut put = Vec::new();
    for (key, body) in [("a", "1"), ("b", "1"), ("b", "2"), ("c", "1"), ("d", "1")] {
        put.push((key, scene.put(key, body).await));
    }
    scene.run(minutes(10)).await;
    // All of a key, and one version of a key that has another.
    for (key, id) in &put[..2] {
        scene.delete_version(SOURCE, key, id).await;
    }
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.collected, totals.healed, totals.gone), (5, 3, 2));
    assert_eq!((scene.jobs(), totals.launched), (1, 5), "each went up once");
    assert!(scene.world(|world| world.jobs.iter().all(|job| job.status == Status::Complete)));
    for (key, id) in &put[2..] {
        assert!(scene.bytes(REPLICAS[0], key, id).await.is_some(), "{key}");
    }
    scene.run(hours(12)).await;
    assert_eq!(scene.jobs(), 1);
}

/// An archived object failed in job after job, each of them paid for: only a restoration helps.
#[tokio::test]
async fn an_archived_object_gets_its_verdict_and_is_not_tried_again() {
    let scene = Scene::settled(Given::default()).await;
    scene.make(Trouble::Denied(0), true);
    let warm = scene.put("warm", "w").await;
    let call = scene.app.clients.s3.put_object().bucket(SOURCE).key("cold");
    let call = call.storage_class(StorageClass::Glacier).body(b"c".to_vec().into());
    let cold = call.send().await.unwrap().version_id().unwrap().to_owned();
    scene.tell(&message(&[record("cold", &cold)]));
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!(scene.states().await, [("healed", 1), ("quarantined", 1)].into());
    assert_eq!(scene.status("warm", &warm).await.as_deref(), Some("COMPLETED"));
    assert_eq!(
        scene.said_about("1 version of source-bucket is quarantined: SrcObjectNotEligible"),
        1
    );
    let jobs = scene.jobs();
    scene.run(hours(30)).await;
    assert_eq!((jobs, scene.jobs()), (1, 1));
    let entry = scene.entries().await.into_iter().find(|entry| entry.id.version.as_str() == cold);
    assert_eq!(entry.unwrap().attempts, 1);
}

/// The columns of a report were read as its schema line declares them, and are written in another order: a reason was
/// taken for a status, and every retry for a new kind of failure.
#[tokio::test]
async fn a_report_is_understood_in_either_order_of_its_columns() {
    for documented in [false, true] {
        let (scene, put) = repaired(4).await;
        scene.delete_version(SOURCE, &put[0].0, &put[0].1).await;
        scene.make(Trouble::Unversioned(0), true);
        while scene.stored("reports/").await.is_empty() {
            scene.app.emulator.step();
            scene.app.turn().await;
        }
        let (mut swapped, mut rows) = (0, 0);
        for key in scene.stored("reports/").await.iter().filter(|key| key.ends_with(".csv")) {
            let text = texts(&scene, key, "").await.concat();
            let lines = text.lines().map(|line| {
                let mut fields: Vec<&str> = line.split(',').collect();
                rows += 1;
                swapped += usize::from(fields[4].parse::<u16>().is_ok());
                fields.swap(4, 5);
                fields.join(",") + "\n"
            });
            let lines: String = lines.collect();
            if documented {
                scene.app.store.put(key, lines.into(), "text/csv").await.unwrap();
            }
        }
        assert_eq!((rows, swapped), (4, 4), "S3 writes the status first");
        scene.run(minutes(10)).await;
        assert_eq!(scene.states().await, [("gone", 1), ("held", 3)].into(), "{documented}");
        let held = scene.entries().await.into_iter().filter(|entry| entry.state == State::Held);
        let reasons = held.flat_map(|entry| entry.blames).map(|blame| blame.reason.to_string());
        assert_eq!(reasons.collect::<Vec<_>>(), ["DstBucketUnversioned"; 3]);
        scene.make(Trouble::Unversioned(0), false);
        scene.heal().await;
        assert_eq!(scene.head().await.totals.healed, 3);
    }
}

/// A job was called Complete, and whoever looked no further took it for a success: nothing had been replicated.
#[tokio::test]
async fn a_complete_job_of_which_nothing_succeeded_has_failed() {
    let (scene, put) = repaired(20).await;
    scene.until(|scene| scene.jobs() == 2).await;
    // The canary healed, and its five with it. Now the rest fails.
    scene.make(Trouble::Denied(0), true);
    scene.run(minutes(10)).await;
    let outcomes: Vec<_> = scene.world(|world| {
        world.jobs.iter().map(|job| (job.status, job.succeeded, job.failed)).collect()
    });
    assert_eq!(outcomes, [(Status::Complete, 5, 0), (Status::Complete, 0, 15)]);
    assert_eq!(scene.states().await, [("healed", 5), ("held", 15)].into());
    let held = scene.entries().await.into_iter().filter(|entry| entry.state == State::Held);
    assert!(held.map(|entry| entry.attempts).eq([1; 15]), "each was tried, and failed");
    assert_eq!(scene.said_about("Job finished: 0 of 15 versions"), 1);
    assert_eq!(scene.said_about("15 versions of source-bucket are held"), 1);
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed as usize, put.len());
}

/// S3 gives a job up in which more than half of a thousand tasks failed: what it had never reached was written off with
/// what had failed, or what had gone through was sent again.
#[tokio::test]
async fn of_a_job_given_up_after_1000_tasks_the_report_decides_and_the_rest_is_queued_unharmed() {
    let (scene, put) = repaired(1_300).await;
    scene.until(|scene| scene.jobs() == 2).await;
    // Two folders of three fail: some of the tasks succeed, and more than half do not.
    let denied = ["folder 1", "folder 2"].map(|it| format!("arn:aws:s3:::{}/{it}/*", REPLICAS[0]));
    let denied: Vec<&str> = denied.iter().map(String::as_str).collect();
    scene.world(|world| {
        world.iam.deny(resilver_tests::ROLE, "folders", &["s3:ReplicateObject"], &denied);
    });
    scene.until(|scene| scene.said_about("Job failed") > 0).await;
    let (ran, succeeded) = scene.world(|world| {
        let job = world.jobs.iter().nth(1).unwrap();
        ((job.succeeded + job.failed) as usize, job.succeeded as usize)
    });
    assert!((1_000..1_295).contains(&ran) && succeeded > 400, "{succeeded} of {ran}");
    let entries = scene.entries().await;
    let tried = |entry: &&Entry| entry.attempts == 1;
    assert_eq!(entries.iter().filter(tried).count(), 5 + ran, "by the report");
    let healed = entries.iter().filter(|entry| matches!(entry.state, State::Left { .. })).count();
    assert_eq!(healed, 5 + succeeded);
    let again = entries.iter().filter(|entry| matches!(entry.state, State::Waiting { .. }));
    assert_eq!(again.filter(|entry| entry.attempts == 0).count(), put.len() - 5 - ran);
    scene.world(|world| world.iam.revoke(resilver_tests::ROLE, "folders"));
    scene.heal().await;
    let totals = scene.head().await.totals;
    assert_eq!((totals.collected as usize, totals.left() as usize), (put.len(), put.len()));
}

/// A report that could not be written left its objects marked as being worked on, and nobody was told.
#[tokio::test]
async fn a_report_that_does_not_appear_is_told_waited_for_and_costs_no_entry() {
    for comes in [true, false] {
        let (scene, _) = repaired(3).await;
        let missing = Verdict::Refuse { code: "NoSuchKey".into(), status: 404 };
        scene.fault(Rule::once(Service::S3, "GetObject", missing).on("/reports/").times(100_000));
        scene.run(hours(2)).await;
        assert_eq!(scene.states().await, [("in flight", 3)].into());
        assert_eq!(scene.said_about("ended an hour ago without a report"), 1);
        scene.run(if comes { hours(3) } else { hours(20) }).await;
        assert_eq!(scene.states().await, [("in flight", 3)].into(), "it may yet come");
        if comes {
            scene.world(|world| world.faults.rules.clear());
            scene.run(minutes(30)).await;
            assert_eq!(scene.said_about("Job finished: 3 of 3 versions"), 1);
        } else {
            scene.run(hours(4)).await;
        }
        assert_eq!(scene.states().await, [("healed", 3)].into(), "{comes}");
        assert_eq!(scene.said_about("ended an hour ago without a report"), 1, "and once");
        assert_eq!(scene.jobs(), 1);
    }
}

/// The job's own count said that a hundred thousand tasks had failed, of a job that had replicated all it was given.
#[tokio::test]
async fn a_count_of_failures_that_is_wrong_harms_no_version_that_head_calls_completed() {
    for reported in [true, false] {
        let (scene, put) = repaired(3).await;
        scene.world(|world| world.jobs.failed_overcount = 100_001);
        if !reported {
            let missing = Verdict::Refuse { code: "NoSuchKey".into(), status: 404 };
            scene.fault(Rule::once(Service::S3, "GetObject", missing).on("/reports/").times(9_999));
        }
        scene.run(if reported { hours(3) } else { hours(27) }).await;
        assert!(scene.world(|world| world.jobs.iter().all(|job| job.failed == 100_001)));
        for (key, id) in &put {
            assert_eq!(scene.status(key, id).await.as_deref(), Some("COMPLETED"));
        }
        assert_eq!(scene.states().await, [("healed", 3)].into(), "{reported}");
        let head = scene.head().await;
        assert_eq!((scene.jobs(), head.circuits.len(), head.totals.healed), (1, 0, 3));
    }
}

/// A key was struck off when its job ended, and with it the failure that had come while the job ran.
#[tokio::test]
async fn a_failure_that_comes_while_the_job_of_its_key_runs_is_kept() {
    let scene = Scene::settled(Given::default()).await;
    scene.make(Trouble::Denied(0), true);
    let same = scene.put("same version", "1").await;
    let old = scene.put("other version", "1").await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    while scene.status("same version", &same).await.as_deref() != Some("COMPLETED") {
        scene.app.emulator.step();
        scene.app.turn().await;
    }
    // The tasks are done, and the job is not.
    scene.make(Trouble::Denied(0), true);
    let new = scene.put("other version", "2").await;
    lessons::retag(&scene, "same version", &same).await;
    let is_running =
        |scene: &Scene| scene.world(|world| world.jobs.iter().any(|job| !job.status.is_terminal()));
    while scene.status("same version", &same).await.as_deref() != Some("FAILED") {
        assert!(is_running(&scene));
        scene.app.emulator.step();
    }
    assert!(is_running(&scene));
    scene.run(minutes(10)).await;
    let entries = scene.entries().await;
    let held = entries.iter().filter(|entry| entry.state == State::Held);
    let mut held: Vec<_> = held.map(|entry| entry.id.version.as_str()).collect();
    held.sort_unstable();
    let mut failed = [same.as_str(), new.as_str()];
    failed.sort_unstable();
    assert_eq!(held, failed);
    assert_eq!(scene.states().await["healed"], 1, "{old}");
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    for (key, id) in [("same version", &same), ("other version", &old), ("other version", &new)] {
        assert_eq!(scene.status(key, id).await.as_deref(), Some("COMPLETED"), "{key} {id}");
    }
    assert_eq!(scene.states().await, [("healed", 3)].into());
}
