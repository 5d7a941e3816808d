//! People hear of it, once, and healing never waits for that.

use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_heal::time::{Timestamp, hours, minutes};
use resilver_tests::{Given, Scene, Trouble};

#[tokio::test]
async fn a_chat_that_is_down_delays_no_healing_and_hears_of_it_later_once() {
    let scene = Scene::new().await;
    scene.app.emulator.answer_webhooks("hooks.slack.com", 503, 1_000);
    scene.make(Trouble::Denied(0), true);
    scene.put_many(3).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.run(hours(2)).await;
    let head = scene.head().await;
    assert_eq!(head.totals.healed, 3, "healing goes on");
    assert_eq!(scene.said(), Vec::<String>::new());
    assert!(!head.outbox.is_empty(), "the notices wait");
    let unsaid = head.outbox.len();
    let left = 1_000 - scene.app.emulator.outbox().len() as u32;
    for _ in 0..left {
        // What is left of the script, so that the chat is back.
        let url = resilver::app::SLACK;
        let http = &scene.app.clients.http;
        resilver_aws::webhook::post(http, url, "text/plain", String::new()).await.unwrap();
    }
    scene.heal().await;
    assert_eq!(scene.said().len(), unsaid);
    assert_eq!(scene.said_about("are held"), 1);
}

#[tokio::test]
async fn a_message_that_a_chat_will_never_take_is_not_sent_again() {
    let scene = Scene::settled(Given::default()).await;
    let before = scene.app.emulator.outbox().len();
    scene.app.emulator.answer_webhooks("hooks.slack.com", 400, 1_000);
    scene.make(Trouble::Denied(0), true);
    scene.put("a", "b").await;
    scene.run(hours(1)).await;
    let posted = scene.app.emulator.outbox().len() - before;
    assert!(posted > 0);
    assert_eq!(scene.stored("outbox/").await, Vec::<String>::new());
    assert!(posted <= 3, "once a notice: {posted}");
}

#[tokio::test]
async fn a_webhook_that_is_gone_loses_no_notice() {
    let scene = Scene::new().await;
    scene.app.emulator.answer_webhooks("hooks.slack.com", 404, 5);
    scene.make(Trouble::Denied(0), true);
    scene.put("a", "b").await;
    scene.run(hours(1)).await;
    assert_eq!(scene.said_about("is held"), 1, "{:#?}", scene.said());
}

#[tokio::test]
async fn a_notice_that_comes_twice_at_the_same_time_is_said_once() {
    let scene = Scene::new().await;
    scene.make(Trouble::Denied(0), true);
    scene.app.emulator.answer_webhooks("hooks.slack.com", 503, 1);
    scene.put("a", "b").await;
    scene.run(minutes(6)).await;
    let notice = scene.head().await.outbox.pop().expect("a notice that is not said yet");
    let event = serde_json::json!({ "detail": notice });
    let now = Timestamp(scene.app.emulator.now());
    let say = |at: Timestamp| scene.app.notify(at, &event);
    let (one, other) = tokio::join!(say(now), say(now));
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    assert!(say(now.plus_ms(minutes(5))).await.is_ok());
    assert_eq!(scene.said_about("is held"), 1, "{:#?}", scene.said());
}

#[tokio::test]
async fn only_who_is_cut_short_between_the_answer_and_the_mark_says_it_twice() {
    let scene = Scene::settled(Given { stormy: true, ..Given::default() }).await;
    scene.make(Trouble::Denied(0), true);
    // The claim is written and the message is posted; that it was is not written.
    let refuse = Verdict::Refuse { code: "AccessDenied".into(), status: 403 };
    scene.fault(Rule::once(Service::S3, "PutObject", refuse).on("/slack").after(1));
    scene.put("a", "b").await;
    scene.run(minutes(14)).await;
    assert_eq!(scene.said_about("is held"), 2, "{:#?}", scene.said());
    scene.run(minutes(60)).await;
    assert_eq!(scene.said_about("is held"), 2, "{:#?}", scene.said());
    assert_eq!(scene.head().await.outbox, []);
}

#[tokio::test]
async fn every_hold_repair_and_job_is_told_in_the_order_of_events() {
    let scene = Scene::settled(Given::default()).await;
    scene.make(Trouble::Denied(0), true);
    scene.put_many(2).await;
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let said = scene.said();
    let cause = "DstPutObjectNotPermitted at replica-a";
    assert_eq!(said[0], format!("2 versions of source-bucket are held: {cause}"));
    assert!(said.iter().any(|title| title.starts_with(&format!("Repaired: {cause}"))), "{said:#?}");
    assert!(
        said.iter().any(|title| title.starts_with("Job finished: 2 of 2 versions")),
        "{said:#?}"
    );
    assert_eq!(said.len(), 3);
}
