#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use resilver_heal::entry::Cause;
use resilver_heal::key::{Bucket, JobId, Key};
use resilver_heal::notice::{JobFinished, NoticeFact};
use resilver_heal::plan::PlanId;
use resilver_heal::reason::Reason;
use resilver_heal::time::Timestamp;
use serde_json::json;

use super::*;

fn bucket(name: &str) -> Bucket {
    Bucket::try_from(name.to_owned()).unwrap()
}

fn notice(fact: NoticeFact) -> Notice {
    Notice::new(&bucket("my-src"), Timestamp(1_767_225_600_000), Timestamp(0), fact)
}

fn finished() -> JobFinished {
    JobFinished {
        job: JobId::try_from("e849b567-5232-44be-9a0c-40988f14e80c".to_owned()).unwrap(),
        plan: PlanId::try_from("20260101T000000000Z-0123456789ab".to_owned()).unwrap(),
        status: "Complete".to_owned(),
        rows: 1_204,
        succeeded: 1_204,
        proved: 1_000,
        failed: Vec::new(),
        unreadable: 0,
        why: None,
        micro_usd: 251_204,
    }
}

/// One of each, with this text wherever foreign text can be.
fn all(text: &str) -> Vec<NoticeFact> {
    let cause = || Cause {
        reason: Reason::parse("DstBucketUnversioned"),
        destination: Some(bucket("my-dst")),
    };
    let key = Key::try_from(text.to_owned()).ok();
    let (job, plan) = (finished().job, finished().plan);
    let failed = (0..9).map(|n| (Reason::parse(&format!("{n}{text}")), n)).collect();
    vec![
        NoticeFact::Held { cause: cause(), versions: 12, example: key.clone() },
        NoticeFact::Repaired { cause: cause(), versions: 12, held_since: Timestamp(0) },
        NoticeFact::Quarantined { reason: Reason::parse(text), versions: 3, example: key },
        NoticeFact::JobFinished(finished()),
        NoticeFact::JobFinished(JobFinished {
            status: "Failed".into(),
            why: Some(text.into()),
            failed,
            unreadable: 1,
            ..finished()
        }),
        NoticeFact::JobRefused { plan: plan.clone(), code: text.into(), message: text.into() },
        NoticeFact::JobLost { job: job.clone(), plan },
        NoticeFact::JobStalled { job: job.clone(), status: text.into() },
        NoticeFact::Paused { job: job.clone(), why: text.into() },
        NoticeFact::ReportLate { job },
        NoticeFact::Rejected { from: "events".into(), pieces: 2, kept: text.into() },
        NoticeFact::StatusUnread { versions: 2, example: Key::try_from(text.to_owned()).ok() },
        NoticeFact::BudgetSpent { limit: "jobs".into(), rows: 5 },
    ]
}

#[test]
fn a_finished_job_in_slack() {
    let body = render(Target::Slack, &notice(NoticeFact::JobFinished(finished())));
    assert_eq!(
        body,
        json!({
            "text": "Job finished: 1,204 of 1,204 versions of my-src replicated",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "emoji": true,
                    "text": "✅ Job finished: 1,204 of 1,204 versions of my-src replicated"}},
                {"type": "section", "text": {"type": "mrkdwn", "text":
                    "1,000 of them proved so far by their own replication status.\n\
                     $0.251204 · job `e849b567-5232-44be-9a0c-40988f14e80c`"}},
                {"type": "context", "elements": [{"type": "mrkdwn",
                    "text": "`my-src` · 2026-01-01T00:00:00.000Z"}]},
            ],
        })
    );
}

#[test]
fn every_notice_has_words_for_every_chat() {
    for fact in all("photos/cat.jpg") {
        let notice = notice(fact);
        let said = words::say(&notice);
        assert!(said.title.len() > 10 && said.title.len() < 150, "{}", said.title);
        assert_eq!(
            said.tone == words::Tone::Bad,
            said.next.is_some() || said.title.contains("Job failed")
        );
        let card = render(Target::Teams, &notice);
        let title = card.pointer("/attachments/0/content/body/0/text").unwrap().as_str().unwrap();
        assert_eq!(title.replace('\\', ""), said.title);
        let plain = render(Target::Webhook, &notice);
        assert_eq!(plain["notice"]["id"], json!(notice.id));
        assert!(text(&notice).starts_with(&said.title));
    }
}

#[test]
fn foreign_text_is_shown_and_not_obeyed() {
    let hostile =
        "<!channel> <@U1> <http://evil|click> *b* _i_ ~s~ `c` & [x](http://evil)\nnew\u{202e}line";
    for fact in all(hostile) {
        let notice = notice(fact);
        let slack = render(Target::Slack, &notice);
        for block in slack["blocks"].as_array().unwrap() {
            let text = block.pointer("/text/text").or(block.pointer("/elements/0/text"));
            let text = text.unwrap().as_str().unwrap();
            let mrkdwn = block.pointer("/text/type") != Some(&json!("plain_text"));
            assert!(!mrkdwn || !text.contains("<!") && !text.contains("<http"), "{text}");
            assert!(!text.contains('\u{202e}') && !text.contains("\nnew"), "{text}");
        }
        let card = render(Target::Teams, &notice).to_string();
        assert!(!card.contains("[x](") && !card.contains("\\nnew"), "{card}");
    }
}

#[test]
fn no_message_is_too_long_for_its_chat() {
    let long = "x`<&>*é".repeat(5_000);
    for fact in all(&long) {
        let notice = notice(fact);
        let slack = render(Target::Slack, &notice);
        let blocks = slack["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50 && slack.to_string().chars().count() <= 13_000);
        for block in blocks {
            let text = block.pointer("/text/text").and_then(Value::as_str).unwrap_or_default();
            let most = if block["type"] == json!("header") { 150 } else { 3_000 };
            assert!(text.chars().count() <= most, "{} of {}", text.chars().count(), block["type"]);
        }
        assert!(render(Target::Teams, &notice).to_string().len() <= 27_000);
    }
}

#[test]
fn numbers_read_as_people_write_them() {
    for (n, text) in [(0, "0"), (999, "999"), (1_204, "1,204"), (1_000_000, "1,000,000")] {
        assert_eq!(words::grouped(n), text);
    }
}
