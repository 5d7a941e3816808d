//! `resilver enroll` and `resilver unenroll`: what the enroll function does, for one bucket that a person
//! names, shown as the diff of its notification document. What it may and may not do is that function's.

use resilver_aws::{Settings, Woken, buckets};
use resilver_enroll::Ctx;
use resilver_heal::enrolment::{By, Enrolled, Obstacle};
use resilver_heal::key::Bucket;
use serde_json::{Value, json};

use crate::args::EnrollArgs;
use crate::desk::{Desk, no_bucket, queue_arn};
use crate::error::{CliError, Exit};
use crate::trouble::refused;
use crate::words::{report, row};

/// What became of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What changes, or would, in its notification document: a line an entry.
    pub diff: Vec<String>,
    /// How it was enrolled before, if it was.
    pub before: Option<Enrolled>,
}

/// The enroll function as its settings make it, for this stack.
///
/// # Errors
/// A setting makes no sense.
pub fn function(desk: &Desk, queue: Option<&str>) -> Result<Ctx, CliError> {
    let region = buckets::own_region(&desk.clients);
    let made = queue_arn(&desk.stack, &desk.clients.account, &region);
    let queue = queue.unwrap_or(&made);
    let mut settings = Settings::of([
        ("RESILVER_STATE_BUCKET", &desk.store.bucket),
        ("RESILVER_QUEUE_ARN", queue),
        ("RESILVER_STACK", &desk.stack),
    ]);
    let ctx = Ctx::new(desk.clients.clone(), &mut settings);
    let wrong = |problem: resilver_aws::SettingsError| {
        CliError::usage(problem.0.join("; "), "correct --stack or --queue-arn")
    };
    settings.finish().map_err(wrong)?;
    Ok(ctx)
}

/// Enrols a bucket, or says what would change.
///
/// # Errors
/// What stands in the way, and what to do about it.
pub async fn enroll(
    desk: &Desk,
    ctx: &Ctx,
    bucket: &Bucket,
    dry_run: bool,
) -> Result<Done, CliError> {
    desk.runs().await?;
    let before = desk.enrolled(bucket).await?;
    let preview = resilver_enroll::preview(ctx, bucket).await;
    let diff = preview.map_err(|refusal| refused(refusal, ctx))?;
    if !dry_run {
        let woken = Woken::at(desk.now, "person");
        let done = resilver_enroll::enroll(ctx, &woken, bucket).await;
        done.map_err(|refusal| refused(refusal, ctx))?;
    }
    Ok(Done { diff, before })
}

/// Lets a bucket go, or says what would change.
///
/// # Errors
/// There is no such bucket, or our entry could not be taken out.
pub async fn unenroll(
    desk: &Desk,
    ctx: &Ctx,
    bucket: &Bucket,
    dry_run: bool,
) -> Result<Done, CliError> {
    let before = desk.enrolled(bucket).await?;
    let diff = match resilver_enroll::preview_leaving(ctx, bucket).await {
        Ok(diff) => diff,
        // A bucket that is gone is only to be forgotten.
        Err(refusal) if refusal.code == Obstacle::Gone && before.is_some() => Vec::new(),
        Err(refusal) if refusal.code == Obstacle::Gone => return Err(no_bucket(bucket)),
        Err(refusal) => return Err(refused(refusal, ctx)),
    };
    if !dry_run {
        match resilver_enroll::unenroll(ctx, bucket).await {
            Err(refusal) if refusal.code != Obstacle::Gone => return Err(refused(refusal, ctx)),
            _ => {}
        }
    }
    Ok(Done { diff, before })
}

/// `resilver enroll`.
///
/// # Errors
/// Those of [`enroll`].
pub async fn run_enroll(args: &EnrollArgs) -> Result<Exit, CliError> {
    let (desk, ctx) = open(args).await?;
    let bucket = &args.of.bucket;
    let Done { diff, before } = enroll(&desk, &ctx, bucket, args.dry_run).await?;
    let mut text = match (args.dry_run, diff.is_empty(), before.is_some()) {
        (true, false, _) => format!("s3://{bucket} would be enrolled by this change:\n"),
        (false, false, true) => format!("s3://{bucket} is enrolled, and was repaired by this:\n"),
        (false, false, false) => format!("s3://{bucket} is enrolled by this change:\n"),
        (_, true, true) => format!("s3://{bucket} is enrolled already. Nothing is changed.\n"),
        (true, true, false) => {
            format!("s3://{bucket} has our entry already, and would be remembered as enrolled.\n")
        }
        (false, true, false) => {
            format!("s3://{bucket} is enrolled; its notifications had our entry already.\n")
        }
    };
    text += &changes(&diff);
    if !args.dry_run && before.is_none() {
        let ask = format!("resilver backfill s3://{bucket}");
        text += &row("note", "what failed before is found by the sweep, if the stack has one;");
        text += &row("", &format!("what existed before its rules is only replicated by: {ask}"));
    }
    report(args.of.place.json, &document(args, &diff, before.as_ref()), &text)?;
    Ok(Exit::Done)
}

/// `resilver unenroll`.
///
/// # Errors
/// Those of [`unenroll`].
pub async fn run_unenroll(args: &EnrollArgs) -> Result<Exit, CliError> {
    let (desk, ctx) = open(args).await?;
    let bucket = &args.of.bucket;
    let Done { diff, before } = unenroll(&desk, &ctx, bucket, args.dry_run).await?;
    let mut text = match (args.dry_run, diff.is_empty() && before.is_none()) {
        (_, true) => format!("s3://{bucket} is not enrolled. Nothing is changed.\n"),
        (true, false) => format!("s3://{bucket} would be let go by this change:\n"),
        (false, false) => format!("s3://{bucket} is let go: its failures are not heard of.\n"),
    };
    text += &changes(&diff);
    if let Some(before) = &before {
        if before.by == By::Settings {
            let note = "the stack's parameters Buckets or BucketTag name it, so it is enrolled again within the hour:";
            text += &row("note", note);
            text += &row("", "take it out of them too");
        }
        text += &row("its ledger", "stays, and what is in it goes on to be healed");
    }
    report(args.of.place.json, &document(args, &diff, before.as_ref()), &text)?;
    Ok(Exit::Done)
}

async fn open(args: &EnrollArgs) -> Result<(Desk, Ctx), CliError> {
    let desk = Desk::open(&args.of.place).await?;
    let queue = args.queue_arn.clone();
    let queue = queue.or_else(|| Settings::from_env().optional("RESILVER_QUEUE_ARN"));
    let ctx = function(&desk, queue.as_deref())?;
    Ok((desk, ctx))
}

fn changes(diff: &[String]) -> String {
    if diff.is_empty() {
        return String::new();
    }
    let mut text: String = diff.iter().map(|line| format!("  {line}\n")).collect();
    text += "  Every other entry of its notification document stays byte for byte.\n";
    text
}

fn document(args: &EnrollArgs, diff: &[String], before: Option<&Enrolled>) -> Value {
    json!({
        "bucket": args.of.bucket, "dry_run": args.dry_run, "diff": diff,
        "was_enrolled": before.is_some(), "by": before.map(|before| before.by),
    })
}
