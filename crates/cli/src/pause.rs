//! `resilver pause` and `resilver resume`: whether anything is launched in a bucket, said in the head of
//! its ledger, which a redeploy leaves alone. What is collected meanwhile, and jobs that run, go on.

use resilver_heal::key::Bucket;
use resilver_heal::ledger::Head;
use resilver_heal::time::Timestamp;
use serde_json::{Value, json};

use crate::args::{PauseArgs, ResumeArgs};
use crate::desk::Desk;
use crate::error::{CliError, Exit};
use crate::progress::count;
use crate::words::{at, report, row};

/// How it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Why the bucket was paused, if it was.
    pub paused: Option<String>,
    /// When it would have been resumed.
    pub resume_at: Option<Timestamp>,
    /// Jobs that run all the same.
    pub jobs: usize,
    /// Versions that have not left.
    pub present: u64,
}

impl Before {
    fn of(head: &Head, now: Timestamp) -> Self {
        let paused = head.paused(now).map(str::to_owned);
        let resume_at = head.resume_at.filter(|_| paused.is_some());
        Self { paused, resume_at, jobs: head.flights.len(), present: head.counts.present() }
    }
}

/// Pauses a bucket, for a reason.
///
/// # Errors
/// There is no such bucket, or the state bucket does not answer.
pub async fn pause(desk: &Desk, bucket: &Bucket, reason: &str) -> Result<Before, CliError> {
    desk.runs().await?;
    if desk.head(bucket).await?.is_none() && desk.enrolled(bucket).await?.is_none() {
        desk.is_there(bucket).await?;
    }
    desk.edit(bucket, |head| {
        let before = Before::of(head, desk.now.max(head.now));
        head.paused = Some(reason.to_owned());
        head.resume_at = None;
        before
    })
    .await
}

/// Resumes a bucket, now or so many milliseconds later; gives when. A bucket that was not paused stays
/// as it is.
///
/// # Errors
/// There is no such bucket, or the state bucket does not answer.
pub async fn resume(
    desk: &Desk,
    bucket: &Bucket,
    after_ms: Option<u64>,
) -> Result<(Before, Option<Timestamp>), CliError> {
    desk.runs().await?;
    if desk.head(bucket).await?.is_none() {
        if desk.enrolled(bucket).await?.is_none() {
            desk.is_there(bucket).await?;
        }
        return Ok((Before { paused: None, resume_at: None, jobs: 0, present: 0 }, None));
    }
    desk.edit(bucket, |head| {
        let now = desk.now.max(head.now);
        let before = Before::of(head, now);
        head.resume_at = after_ms.map(|ms| now.plus_ms(ms)).filter(|_| before.paused.is_some());
        if head.resume_at.is_none() {
            head.paused = None;
        }
        (before, head.resume_at)
    })
    .await
}

/// `resilver pause`.
///
/// # Errors
/// Those of [`pause`].
pub async fn run_pause(args: &PauseArgs) -> Result<Exit, CliError> {
    let (desk, bucket) = (Desk::open(&args.of.place).await?, &args.of.bucket);
    let before = pause(&desk, bucket, &args.reason).await?;
    let enrolled = desk.enrolled(bucket).await?.is_some();
    let same = before.paused.as_ref() == Some(&args.reason) && before.resume_at.is_none();
    let mut text = match (&before.paused, same) {
        (_, true) => format!("s3://{bucket} was paused already, and stays so.\n"),
        (Some(reason), false) => {
            format!("s3://{bucket} stays paused. Until now the reason was: {reason}\n")
        }
        (None, _) => format!("s3://{bucket} is paused.\n"),
    };
    text += &row("reason", &args.reason);
    text += &row("meanwhile", "failures are collected and counted; nothing is launched");
    if before.jobs > 0 {
        text += &row("in flight", &format!("{} not stopped", count(before.jobs as u64, "job")));
    }
    if !enrolled {
        text += &row("note", "the bucket is not enrolled, so nothing is collected from it either");
    }
    text += &row("to go on", &format!("resilver resume s3://{bucket}"));
    let changed = !same;
    let paused = json!({"reason": args.reason, "resume_at": null});
    report(args.of.place.json, &document(bucket, changed, paused, &before), &text)?;
    Ok(Exit::Done)
}

/// `resilver resume`.
///
/// # Errors
/// Those of [`resume`].
pub async fn run_resume(args: &ResumeArgs) -> Result<Exit, CliError> {
    let (desk, bucket) = (Desk::open(&args.of.place).await?, &args.of.bucket);
    let (before, resume_at) = resume(&desk, bucket, args.after.map(|span| span.0)).await?;
    let (mut text, paused) = match (&before.paused, resume_at) {
        (None, _) => (format!("s3://{bucket} was not paused. Nothing is changed.\n"), Value::Null),
        (Some(reason), Some(time)) => {
            let text = format!("s3://{bucket} stays paused until {}.\n", at(time));
            (text + &row("reason", reason), json!({"reason": reason, "resume_at": time}))
        }
        (Some(reason), None) => {
            let text = format!("s3://{bucket} is resumed.\n");
            (text + &row("was paused", reason), Value::Null)
        }
    };
    if before.paused.is_some() && resume_at.is_none() {
        let there = match before.present {
            0 => String::new(),
            some => format!(": {} of it not healed", count(some, "version")),
        };
        text += &row("next", &format!("launch looks at it within five minutes{there}"));
    }
    let changed = before.paused.is_some();
    report(args.of.place.json, &document(bucket, changed, paused, &before), &text)?;
    Ok(Exit::Done)
}

fn document(bucket: &Bucket, changed: bool, paused: Value, before: &Before) -> Value {
    json!({"bucket": bucket, "changed": changed, "paused": paused, "jobs_in_flight": before.jobs})
}
