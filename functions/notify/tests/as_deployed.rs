//! The binary that Lambda starts, with a notice as EventBridge hands it over and a chat on a socket: said once, even
//! if the process dies while the chat thinks it over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use resilver_emulator::world::fault::Service;
use resilver_lambda::web::Web;
use resilver_lambda::{Answer, Aws, Function};
use serde_json::{Value, json};

fn notify(aws: &Aws, chat: &Web) -> Function {
    let chats = json!([
        {"name": "slack", "kind": "slack", "url": ""},
        {"name": "teams", "kind": "teams", "url": "none"},
        {"name": "webhook", "kind": "webhook", "url": chat.url},
    ]);
    let settings = [("RESILVER_CHATS", chats.to_string())];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    aws.function(env!("CARGO_BIN_EXE_resilver-notify"), &settings)
}

/// A notice as EventBridge hands it over.
fn event() -> Value {
    json!({
        "version": "0", "id": "e-1", "detail-type": "Resilver Notice", "source": "resilver",
        "account": "111122223333", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": ["arn:aws:s3:::photos"],
        "detail": {
            "format": 2, "id": "n-1", "bucket": "photos", "at": "2026-01-01T00:00:00.000Z",
            "fact": {"kind": "rejected", "from": "events", "pieces": 2, "kept": "rejects/events/-/0.txt"},
        },
    })
}

#[tokio::test]
async fn a_function_that_cannot_start_names_every_setting_and_no_secret() {
    let (aws, chat) = (Aws::new().await, Web::new().await);
    let broken = [("RESILVER_CHATS", "[{\"name\": \"s\", \"url\": \"https://hooks/secret\"")];
    let said = notify(&aws, &chat).but_with(&broken).fails_to_start().await;
    for what in [
        "RESILVER_ACCOUNT is not set",
        "RESILVER_STATE_BUCKET is not set",
        "RESILVER_CHATS cannot be read",
    ] {
        assert!(said.contains(what), "{said}");
    }
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test]
async fn a_notice_that_comes_twice_is_said_once_in_the_chats_that_have_a_url() {
    let (aws, chat) = (Aws::new().await, Web::new().await);
    let mut process = notify(&aws, &chat).start().await;
    assert_eq!(process.done(&event()).await, json!({"said": 1}));
    assert_eq!(process.done(&event()).await, json!({"said": 0}));
    let said = chat.taken();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["notice"]["fact"]["pieces"], 2);
    assert!(!process.log().contains(&chat.url), "a URL is a secret: {}", process.log());
}

#[tokio::test]
async fn killed_at_any_of_its_requests_it_is_said_by_a_later_one() {
    let mut killed = 0;
    loop {
        let (aws, chat) = (Aws::new().await, Web::new().await);
        aws.hold(Service::S3, None, killed);
        let mut process = notify(&aws, &chat).start().await;
        if process.invoke_until(&event(), || aws.holds()).await.is_some() {
            break;
        }
        killed += 1;
        let said_before = chat.taken().len();
        let mut next = notify(&aws, &chat).start().await;
        // It may be that somebody else is saying it: who knows that the claimant is dead?
        if let Answer::Failed(error) = next.invoke(&event()).await {
            assert!(error["errorMessage"].as_str().unwrap().contains("tried again"), "{error}");
            assert_eq!(chat.taken().len(), said_before, "killed at request {killed}");
            age(&aws);
            next.done(&event()).await;
        }
        let said = chat.taken().len();
        // Only who dies between the chat's answer and the mark leaves it unknown whether it was said.
        assert!(said == 1 || (said == 2 && said_before == 1), "killed at request {killed}: {said}");
        assert_eq!(next.done(&event()).await, json!({"said": 0}));
    }
    assert!(killed >= 4, "it looks, claims, marks twice: {killed}");
}

/// Lets five minutes go by, after which a claim is nobody's.
fn age(aws: &Aws) {
    for (key, mark) in aws.state("notices/") {
        let mut mark: Value = serde_json::from_str(&mark).unwrap();
        assert_eq!(mark["status"], Value::Null, "{key}");
        mark["at"] = json!("2026-01-01T00:00:00.000Z");
        aws.keep(&key, &mark.to_string());
    }
}

#[tokio::test]
async fn a_chat_that_never_answers_ends_the_time_and_a_later_one_says_it() {
    let (aws, chat) = (Aws::new().await, Web::new().await);
    chat.silent(true);
    let mut process = notify(&aws, &chat).start().await;
    let time = Duration::from_millis(1_500);
    assert_eq!(process.invoke_within(time, &event()).await, Answer::TimedOut);
    assert_eq!(chat.taken().len(), 1, "{}", process.log());
    chat.silent(false);
    age(&aws);
    assert_eq!(notify(&aws, &chat).start().await.done(&event()).await, json!({"said": 1}));
}
