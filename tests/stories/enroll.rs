//! Buckets are wired up beside whoever else listens to them, and stay so.

use resilver_aws::Woken;
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::notification::{Entry, Target};
use resilver_emulator::world::queue;
use resilver_heal::time::{Timestamp, hours, minutes};
use resilver_tests::enrolment::{OURS, THEIRS, naming, theirs, topic};
use resilver_tests::{Given, SOURCE, Scene};

const PUT: &str = "PutBucketNotificationConfiguration";
const UPLOADED: &str = "s3:ObjectCreated:*";
const FAILED: &str = "s3:Replication:OperationFailedReplication";

fn denied() -> Verdict {
    Verdict::Refuse { code: "AccessDenied".into(), status: 403 }
}

/// Polls so often, then is ready: others have their turns meanwhile.
async fn turns(n: usize) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn entries_of_others_and_the_event_bridge_switch_stay_as_they_are() {
    let scene = Scene::new().await;
    scene.their_queue();
    scene.bucket("photos").await;
    let function = Entry {
        target: Target::Function,
        arn: "arn:aws:lambda:us-east-1:111122223333:function:f".to_owned(),
        ..Entry::queue("an <odd> & id", "", &["s3:ObjectRemoved:*"])
    };
    let others = vec![
        topic("a topic", "s3:LifecycleExpiration:*"),
        theirs("theirs", "in <&> \"out\"/"),
        function,
    ];
    scene.overwrite("photos", others.clone(), true);
    let ctx = scene.enroll("photos", "");
    scene.tick(&ctx).await.unwrap();
    assert!(scene.hears("photos"));
    let after = scene.notifications("photos");
    assert!(after.event_bridge);
    let mut rest = after.entries;
    rest.retain(|entry| entry.id != OURS);
    assert_eq!(rest, others);
    let mut told = scene.world(|world| queue::receive(world, THEIRS, 10, None)).unwrap();
    assert_eq!(told.len(), 1, "S3 asks every destination");
    assert!(told.remove(0).0.body.contains("s3:TestEvent"));
    // And away again.
    scene.tick(&scene.enroll("", "")).await.unwrap();
    let left = scene.notifications("photos");
    assert_eq!((left.entries, left.event_bridge), (others, true));
    assert_eq!(scene.enrolled("photos").await, None);
    let told = scene.world(|world| queue::receive(world, THEIRS, 10, None)).unwrap();
    assert!(told.is_empty(), "nobody is asked when something is taken out");
}

#[tokio::test]
async fn nothing_is_written_when_nothing_changes() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    scene.tick(&ctx).await.unwrap();
    let since = scene.enrolled("photos").await.unwrap().since;
    scene.fault(Rule::once(Service::S3, PUT, denied()).times(9));
    scene.run(hours(1)).await;
    scene.tick(&ctx).await.unwrap();
    assert_eq!(scene.world(|world| world.faults.rules.len()), 1, "no document was written");
    let enrolled = scene.enrolled("photos").await.unwrap();
    assert_eq!(enrolled.since, since);
    assert_eq!(enrolled.verified.since(since), hours(1));
    assert_eq!(scene.said(), Vec::<String>::new());
}

/// Another tool that overwrites the document as soon as our entry is in it, so often.
async fn overwrites(scene: &Scene, times: usize) -> std::convert::Infallible {
    let mut left = times;
    loop {
        turns(1).await;
        if left > 0 && scene.hears("photos") {
            scene.overwrite("photos", vec![topic("theirs", UPLOADED)], false);
            left -= 1;
        }
    }
}

#[tokio::test]
async fn what_is_overwritten_while_it_is_written_is_written_again() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    tokio::select! {
        biased;
        never = overwrites(&scene, 3) => match never {},
        done = scene.tick(&ctx) => drop(done.unwrap()),
    }
    assert!(scene.hears("photos"));
    assert_eq!(scene.notifications("photos").entries.len(), 2, "theirs is there too");
    assert!(scene.enrolled("photos").await.is_some());
}

#[tokio::test]
async fn a_tool_that_never_rests_is_told_and_left_to_win() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    tokio::select! {
        biased;
        never = overwrites(&scene, usize::MAX) => match never {},
        done = scene.tick(&ctx) => drop(done.unwrap()),
    }
    assert_eq!(scene.enrolled("photos").await, None);
    scene.run(minutes(10)).await;
    assert_eq!(scene.said_about("Failures of photos are not heard of"), 1, "{:#?}", scene.said());
    scene.tick(&ctx).await.unwrap();
    assert!(scene.hears("photos"), "the next run repairs");
    assert_eq!(scene.stored("unenrolled/").await, Vec::<String>::new());
}

#[tokio::test]
async fn another_consumer_of_our_events_is_named_with_a_remedy_once() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    scene.bucket("videos").await;
    let audit = topic("audit", "s3:Replication:*");
    scene.overwrite("photos", vec![audit.clone()], false);
    let ctx = scene.enroll("photos,videos", "");
    for _ in 0..3 {
        scene.tick(&ctx).await.unwrap();
        scene.run(hours(1)).await;
    }
    assert_eq!(scene.notifications("photos").entries, std::slice::from_ref(&audit));
    assert!(scene.hears("videos"), "the others go on");
    assert_eq!(scene.said_about("Failures of photos are not heard of"), 1, "{:#?}", scene.said());
    let posted = String::from_utf8(scene.app.emulator.outbox()[0].body.to_vec()).unwrap();
    for part in ["audit", "topic", "resilver-failures", "feeds-resilver-resilver"] {
        assert!(posted.contains(part), "{part} is in {posted}");
    }
    // As the remedy says: the topic feeds our queue, and its entry says so.
    let fed = Entry { id: "audit feeds-resilver-resilver".to_owned(), ..audit };
    scene.overwrite("photos", vec![fed.clone()], false);
    scene.tick(&ctx).await.unwrap();
    assert!(scene.enrolled("photos").await.is_some());
    assert_eq!(scene.notifications("photos").entries, [fed]);
}

#[tokio::test]
async fn a_document_at_its_limit_is_told_and_left_alone() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let full: Vec<Entry> =
        (0..100).map(|n| theirs(&format!("e{n}"), &format!("{n:03}/"))).collect();
    scene.overwrite("photos", full.clone(), false);
    let ctx = scene.enroll("photos", "");
    scene.tick(&ctx).await.unwrap();
    assert_eq!(scene.notifications("photos").entries, full);
    scene.run(minutes(10)).await;
    assert_eq!(scene.said_about("Failures of photos are not heard of"), 1);
    scene.overwrite("photos", full[1..].to_vec(), false);
    scene.tick(&ctx).await.unwrap();
    assert!(scene.hears("photos"), "once there is room");
    assert_eq!(scene.notifications("photos").entries.len(), 100);
}

#[tokio::test]
async fn drift_is_repaired_and_told_once() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    scene.tick(&ctx).await.unwrap();
    for times in 1..=2 {
        scene.run(hours(1)).await;
        scene.overwrite("photos", vec![topic("terraform", UPLOADED)], true);
        for _ in 0..2 {
            scene.tick(&ctx).await.unwrap();
        }
        assert!(scene.hears("photos"));
        assert!(scene.notifications("photos").event_bridge, "theirs stays");
        scene.run(minutes(10)).await;
        let title = "Another tool rewrote the notifications of photos; our entry is back";
        assert_eq!(scene.said_about(title), times, "{:#?}", scene.said());
    }
    let posted = String::from_utf8(scene.app.emulator.outbox()[0].body.to_vec()).unwrap();
    assert!(posted.contains("terraform"), "it says what was found: {posted}");
}

#[tokio::test]
async fn a_change_of_the_document_is_looked_at_at_once_and_our_own_starts_nothing() {
    let scene = Scene::settled(Given::default()).await;
    scene.bucket("photos").await;
    let write = async |bucket: &str| {
        let call = scene.app.clients.s3.put_bucket_notification_configuration().bucket(bucket);
        let empty = aws_sdk_s3::types::NotificationConfiguration::builder().build();
        call.notification_configuration(empty).send().await.unwrap();
    };
    write("photos").await;
    write(SOURCE).await;
    assert!(!scene.hears(SOURCE));
    scene.run(minutes(1)).await;
    assert!(scene.hears(SOURCE), "it was enrolled");
    assert!(!scene.hears("photos"), "nobody asked for that");
    scene.fault(Rule::once(Service::S3, PUT, denied()).times(9));
    scene.run(hours(3)).await;
    assert_eq!(scene.world(|world| world.faults.rules.len()), 1, "nothing is written any more");
    assert_eq!(scene.said().len(), 1, "{:#?}", scene.said());
    assert_eq!(scene.said_about("Another tool rewrote"), 1);
}

#[tokio::test]
async fn an_access_denied_in_the_middle_leaves_nothing_half_written() {
    let scene = Scene::new().await;
    for bucket in ["photos", "raw", "videos"] {
        scene.bucket(bucket).await;
    }
    let ctx = scene.enroll("photos,raw,videos", "");
    scene.fault(Rule::once(Service::S3, PUT, denied()).on("/raw").times(2));
    for _ in 0..2 {
        scene.tick(&ctx).await.unwrap();
        scene.run(minutes(10)).await;
    }
    assert_eq!(["photos", "raw", "videos"].map(|it| scene.hears(it)), [true, false, true]);
    assert_eq!(scene.enrolled("raw").await, None);
    assert_eq!(scene.said_about("Failures of raw are not heard of"), 1, "{:#?}", scene.said());
    scene.tick(&ctx).await.unwrap();
    assert!(scene.hears("raw"), "the next run repairs");
    assert!(scene.enrolled("raw").await.is_some());
}

#[tokio::test]
async fn a_bucket_that_is_deleted_between_two_steps_is_told_once() {
    for n in 0..24 {
        let scene = Scene::new().await;
        scene.bucket("photos").await;
        scene.bucket("videos").await;
        let ctx = scene.enroll("photos,videos", "");
        let lose = async {
            turns(n).await;
            scene.lose("photos");
        };
        let (done, ()) = tokio::join!(scene.tick(&ctx), lose);
        done.unwrap();
        for _ in 0..2 {
            scene.tick(&ctx).await.unwrap();
            scene.run(minutes(10)).await;
        }
        assert!(scene.hears("videos"), "{n}");
        assert_eq!(scene.enrolled("photos").await, None, "{n}");
        assert_eq!(scene.said(), ["Failures of photos are not heard of"], "{n}");
    }
}

#[tokio::test]
async fn another_bucket_of_the_same_name_in_another_region_is_told() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    scene.tick(&ctx).await.unwrap();
    scene.lose("photos");
    scene.bare_bucket("photos", Some("eu-west-1")).await;
    let redirect = Verdict::Refuse { code: "PermanentRedirect".into(), status: 301 };
    let get = "GetBucketNotificationConfiguration";
    scene.fault(Rule::once(Service::S3, get, redirect).on("/photos").times(9));
    scene.tick(&ctx).await.unwrap();
    scene.run(minutes(10)).await;
    assert_eq!(scene.said(), ["Failures of photos are not heard of"]);
    let posted = String::from_utf8(scene.app.emulator.outbox()[0].body.to_vec()).unwrap();
    assert!(posted.contains("deploy in eu-west-1"), "{posted}");
}

#[tokio::test]
async fn wherever_a_run_is_cut_short_the_next_one_goes_on() {
    let (mut n, mut cut) = (0, true);
    while cut {
        let scene = Scene::new().await;
        scene.bucket("photos").await;
        scene.bucket("old").await;
        scene.tick(&scene.enroll("photos,old", "")).await.unwrap();
        let others = vec![topic("terraform", UPLOADED)];
        scene.overwrite("photos", others.clone(), false);
        let ctx = scene.enroll("photos", "");
        cut = tokio::select! {
            biased;
            done = scene.tick(&ctx) => { done.unwrap(); false }
            () = turns(n) => true,
        };
        scene.tick(&ctx).await.unwrap();
        assert!(scene.hears("photos") && !scene.hears("old"), "{n}");
        scene.run(minutes(10)).await;
        assert_eq!(scene.said_about("Another tool rewrote"), 1, "{n}: {:#?}", scene.said());
        assert_eq!(scene.said().len(), 1, "{n}");
        assert_eq!(scene.stored("enrolled/").await, ["enrolled/photos.json"]);
        n += 1;
    }
    assert!(n > 10, "there are many places to be cut short: {n}");
}

#[tokio::test]
async fn buckets_of_a_tag_come_and_go_with_it() {
    let scene = Scene::new().await;
    for bucket in ["logs", "photos", "videos"] {
        scene.bucket(bucket).await;
    }
    scene.bare_bucket("far", Some("eu-west-1")).await;
    for (bucket, value) in [("photos", "yes"), ("videos", "no"), ("far", "yes")] {
        scene.tag(bucket, "heal", value).await;
    }
    let ctx = scene.enroll("", "heal=yes");
    let (now, source) = (Timestamp(scene.app.emulator.now()), scene.bucket.clone());
    resilver_enroll::enroll(&ctx, &Woken::at(now, "a person"), &source).await.unwrap();
    scene.tick(&ctx).await.unwrap();
    let hear = || ["logs", "photos", "videos", SOURCE].map(|it| scene.hears(it));
    assert_eq!(hear(), [false, true, false, true], "and what a person enrolled");
    scene.tag("photos", "heal", "no").await;
    scene.tag("videos", "heal", "yes").await;
    // What cannot be told changes nothing.
    scene.fault(Rule::once(Service::S3, "GetBucketTagging", denied()).on("/photos"));
    scene.tick(&ctx).await.unwrap();
    assert_eq!(hear(), [false, true, true, true]);
    let down = Verdict::Refuse { code: "ServiceUnavailable".into(), status: 503 };
    scene.fault(Rule::once(Service::S3, "GetBucketTagging", down).on("/photos").times(3));
    scene.tick(&ctx).await.unwrap_err();
    assert_eq!(hear(), [false, true, true, true]);
    scene.fault(Rule::once(Service::S3, "ListBuckets", denied()));
    scene.tick(&ctx).await.unwrap_err();
    assert_eq!(hear(), [false, true, true, true]);
    scene.tick(&ctx).await.unwrap();
    assert_eq!(hear(), [false, false, true, true]);
    scene.run(minutes(10)).await;
    assert_eq!(scene.said(), Vec::<String>::new(), "another Region's bucket is another stack's");
    scene.lose("videos");
    for _ in 0..2 {
        scene.tick(&ctx).await.unwrap();
        scene.run(minutes(10)).await;
    }
    assert_eq!(scene.said(), ["Failures of videos are not heard of"]);
}

#[tokio::test]
async fn a_queue_whose_policy_is_late_is_waited_for_and_one_without_is_told() {
    let scene = Scene::new().await;
    scene.bucket("photos").await;
    let ctx = scene.enroll("photos", "");
    let close = |closed: bool| {
        scene.world(|world| {
            let queue = world.queues.get_mut("resilver-failures").unwrap();
            queue.policy = closed.then(Default::default);
        });
    };
    close(true);
    let open = async {
        turns(12).await;
        close(false);
    };
    let (done, ()) = tokio::join!(scene.tick(&ctx), open);
    done.unwrap();
    assert!(scene.hears("photos"), "its policy has arrived");
    close(true);
    scene.overwrite("photos", Vec::new(), false);
    scene.tick(&ctx).await.unwrap();
    assert!(!scene.hears("photos"));
    scene.run(minutes(10)).await;
    assert_eq!(scene.said(), ["Failures of photos are not heard of"]);
    let posted = String::from_utf8(scene.app.emulator.outbox()[0].body.to_vec()).unwrap();
    assert!(posted.contains("sqs:SendMessage"), "{posted}");
}

#[tokio::test]
async fn a_destination_of_others_that_is_gone_keeps_nobody_unheard_and_is_told() {
    for named in [true, false] {
        let scene = Scene::new().await;
        scene.bucket("photos").await;
        scene.overwrite("photos", vec![theirs("theirs", "in/")], false);
        let plain = scene.enroll("photos", "");
        let ctx = if named { naming(&plain) } else { plain };
        for _ in 0..2 {
            scene.tick(&ctx).await.unwrap();
            scene.run(minutes(10)).await;
        }
        assert!(scene.hears("photos"));
        assert_eq!(scene.notifications("photos").entries.len(), 2, "theirs stays");
        assert_eq!(scene.said().len(), 1, "{:#?}", scene.said());
        assert_eq!(scene.said_about(THEIRS), 1);
        assert_eq!(scene.said_about("does not say to which"), usize::from(!named));
    }
}

#[tokio::test]
async fn a_failure_in_a_bucket_that_was_enrolled_beside_others_heals() {
    let scene = Scene::new().await;
    scene.overwrite(SOURCE, vec![topic("t", UPLOADED)], true);
    scene.tick(&scene.enroll(SOURCE, "")).await.unwrap();
    scene.make(resilver_tests::Trouble::Denied(0), true);
    scene.put("a", "b").await;
    scene.run(minutes(10)).await;
    scene.make(resilver_tests::Trouble::Denied(0), false);
    scene.heal().await;
    assert_eq!(scene.head().await.totals.healed, 1);
    let entries = scene.notifications(SOURCE).entries;
    assert!(entries.iter().any(|entry| entry.events.contains(&FAILED.to_owned())));
}
