//! Faults and the outbox.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use resilver_emulator::Emulator;
use resilver_emulator::wire::outbox::Reply;
use resilver_emulator::world::fault::{Rule, Service, Verdict};

use super::{code, put, refused, versioned};

fn impatient(client: &Client) -> Client {
    let config = client.config().to_builder().retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

fn add(emulator: &Emulator, rule: Rule) {
    emulator.with(|world| world.faults.add(rule));
}

#[tokio::test]
async fn a_refused_request_is_not_done() {
    let (emulator, client) = versioned().await;
    let client = impatient(&client);
    let refuse = Verdict::Refuse { code: "SlowDown".into(), status: 503 };
    add(&emulator, Rule::once(Service::S3, "PutObject", refuse).on("/src/k"));
    let write = || client.put_object().bucket("src").key("k").send();
    assert_eq!(code(write().await), refused("SlowDown", 503));
    emulator.with(|world| assert!(world.buckets["src"].keys.is_empty()));
    write().await.expect("once is once");
}

#[tokio::test]
async fn a_lost_reply_was_done_and_a_lost_request_was_not() {
    let (emulator, client) = versioned().await;
    let client = impatient(&client);
    for (verdict, written) in [(Verdict::LoseRequest, 0), (Verdict::LoseReply, 1)] {
        add(&emulator, Rule::once(Service::S3, "PutObject", verdict));
        let lost = client.put_object().bucket("src").key("k").send().await.unwrap_err();
        assert!(matches!(lost, aws_sdk_s3::error::SdkError::DispatchFailure(_)), "{lost:?}");
        emulator.with(|world| assert_eq!(world.buckets["src"].keys.len(), written));
    }
}

#[tokio::test]
async fn a_retrying_client_survives() {
    let (emulator, client) = versioned().await;
    add(&emulator, Rule::once(Service::S3, "PutObject", Verdict::LoseReply));
    put(&client, "k", "x").await;
    emulator.with(|world| assert_eq!(world.buckets["src"].keys["k"].len(), 2, "it was done twice"));
}

#[tokio::test]
async fn posts_to_strangers_are_kept_and_answered_by_script() {
    let (emulator, _) = versioned().await;
    emulator.script(Reply {
        prefix: "hooks.slack.com".into(),
        status: 429,
        body: "slow".into(),
        retry_after: Some(30),
        times: 1,
    });
    // Any S3 client can post: what it posts does not matter here.
    let outside = impatient(&super::client_of("https://hooks.slack.com", "s", Some(&emulator)));
    for expected in [429, 200] {
        let put =
            outside.put_object().bucket("services").key("T1").body(ByteStream::from_static(b"hi"));
        let status = match put.send().await {
            Ok(_) => 200,
            Err(error) => error.raw_response().unwrap().status().as_u16(),
        };
        assert_eq!(status, expected);
    }
    let posted = emulator.outbox();
    assert_eq!(posted.len(), 2);
    assert!(posted[0].url.starts_with("https://hooks.slack.com/services/T1"), "{}", posted[0].url);
    assert_eq!((&posted[0].body[..], posted[0].status), (&b"hi"[..], 429));
}
