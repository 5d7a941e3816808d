//! What the functions log: whose line it is, and never a secret.

use resilver_aws::log::Kept;
use resilver_heal::time::{hours, minutes};
use resilver_tests::{Given, SOURCE, Scene, Trouble};
use serde_json::Value;

/// The path of the scene's webhook, piece by piece; what signs the URL that CloudFormation waits at.
const SECRETS: [&str; 4] = ["services/T000", "B000", "XXXX", "X-Amz-Signature"];

fn about<'a>(lines: &'a [Value], message: &str) -> Vec<&'a Value> {
    let about: Vec<_> = lines.iter().filter(|line| line["message"] == message).collect();
    assert!(!about.is_empty(), "nobody logs {message:?}");
    about
}

#[tokio::test]
async fn every_line_about_a_job_has_its_bucket_and_its_plan_and_none_a_secret() {
    let log = Kept::begin();
    // From the deployment on, which hands enroll a URL that is signed.
    let scene = Scene::given(Given::default()).await;
    scene.app.emulator.answer_webhooks("hooks.slack.com", 503, 2);
    scene.app.emulator.answer_webhooks("hooks.slack.com", 404, 1);
    scene.tell("no json");
    scene.make(Trouble::Denied(0), true);
    scene.put_many(3).await;
    scene.run(minutes(30)).await;
    scene.make(Trouble::Denied(0), false);
    scene.run(hours(2)).await;
    assert_eq!(scene.head().await.totals.healed, 3);
    scene.app.uninstall().await.unwrap();

    let lines = log.lines();
    for line in &lines {
        let text = line.to_string();
        let secret = SECRETS.iter().find(|secret| text.contains(**secret));
        assert_eq!(secret, None, "{text}");
    }
    for message in ["the job is there", "job looked at", "settled"] {
        for line in about(&lines, message) {
            for field in ["bucket", "job", "plan"] {
                assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{line}");
            }
        }
    }
    for message in ["segment written", "launched", "said", "not said", "notifications written"] {
        for line in about(&lines, message) {
            assert!(line["bucket"].is_string(), "{line}");
        }
    }
    let of_source = |line: &&Value| line["bucket"] == SOURCE;
    let said: Vec<&Value> = about(&lines, "said").into_iter().filter(of_source).collect();
    assert!(said.iter().any(|line| line["job"].is_string() && line["plan"].is_string()));
}
