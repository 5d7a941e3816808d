//! `resilver doctor`: everything that will stop healing, or hide failures, each with its remedy: what the
//! backfill function tells of a bucket once, looked for now, and whether the bucket is heard at all.

use std::collections::BTreeSet;

use resilver_aws::{Kind, Settings, buckets};
use resilver_backfill::{BackfillError, Ctx};
use resilver_heal::enrolment::Standing;
use resilver_heal::finding::{Code, Finding};
use resilver_heal::key::Bucket;
use serde::Serialize;
use serde_json::json;

use crate::args::DoctorArgs;
use crate::desk::{Desk, no_bucket};
use crate::error::{CliError, Exit};
use crate::progress::count;
use crate::words::{report, row};
use crate::{enroll, status, trouble, words};

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Of which bucket.
    pub bucket: String,
    /// A word for programs.
    pub code: String,
    /// What it is about: a rule's id, a bucket, a call.
    pub subject: String,
    /// What was found, a clause.
    pub what: String,
    /// What to do about it, a clause.
    pub remedy: String,
}

/// What came of looking.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The buckets that were looked at, the state bucket last.
    pub buckets: Vec<String>,
    /// What was found.
    pub findings: Vec<Found>,
    /// Of what nothing can be said this time, by bucket.
    pub unread: Vec<(String, &'static str)>,
}

impl Diagnosis {
    /// How the command ends.
    pub fn exit(&self) -> Exit {
        match (self.findings.is_empty(), self.unread.is_empty()) {
            (false, _) => Exit::Found,
            (true, false) => Exit::Unknown,
            (true, true) => Exit::Done,
        }
    }

    fn add(&mut self, bucket: &str, (code, subject): (&str, &str), what: String, remedy: String) {
        let [bucket, code, subject] = [bucket, code, subject].map(str::to_owned);
        self.findings.push(Found { bucket, code, subject, what, remedy });
    }

    fn take(&mut self, bucket: &str, (findings, unread): (Vec<Finding>, BTreeSet<Code>)) {
        let denied = findings.iter().any(|finding| finding.code == Code::Unreadable);
        for Finding { code, subject, what, remedy } in findings {
            let remedy = match code {
                // It is the person who may not read it, not the function.
                Code::Unreadable => format!("allow whoever runs this {subject} on the bucket"),
                _ => remedy,
            };
            self.add(bucket, (code.as_str(), &subject), what, remedy);
        }
        // What a denial hides is said by the denial.
        if !denied {
            self.unread.extend(unread.into_iter().map(|code| (bucket.to_owned(), code.as_str())));
        }
    }
}

/// Looks at one bucket, or at all that are known, and at the state bucket.
///
/// # Errors
/// There is no such bucket, or AWS does not answer.
pub async fn diagnose(desk: &Desk, bucket: Option<&Bucket>) -> Result<Diagnosis, CliError> {
    let mut diagnosis = Diagnosis::default();
    let state = desk.store.bucket.clone();
    diagnosis.buckets.extend(bucket.map(Bucket::to_string));
    match desk.answers().await {
        Ok(()) => {}
        Err(CliError { code: code @ ("no-stack" | "denied"), message, next, .. }) => {
            diagnosis.buckets.push(state.clone());
            diagnosis.add(&state, (code, &state), message, next);
            return Ok(diagnosis);
        }
        Err(other) => return Err(other),
    }
    let which = match bucket {
        Some(bucket) => [bucket.clone()].into(),
        None => desk.known().await?,
    };
    diagnosis.buckets = which.iter().map(Bucket::to_string).collect();
    let mut settings = Settings::of([("RESILVER_STATE_BUCKET", state.as_str())]);
    let ctx = Ctx::new(desk.clients.clone(), &mut settings);
    for one in &which {
        of_bucket(desk, &ctx, one, bucket.is_some(), &mut diagnosis).await?;
    }
    diagnosis.buckets.push(state.clone());
    if let Some(at) = desk.deleted().await? {
        let what = format!("the stack was deleted {}: nothing runs any more", words::at(at));
        diagnosis.add(&state, ("deleted", &desk.stack), what, "deploy it again".to_owned());
    }
    if which.is_empty() {
        let what = "no bucket is enrolled, so nothing is healed".to_owned();
        let remedy =
            "name buckets in the stack's parameter Buckets, or type: resilver enroll s3://BUCKET";
        diagnosis.add(&state, ("no-buckets", &desk.stack), what, remedy.to_owned());
    }
    diagnosis.take(&state, resilver_backfill::examine_state(&ctx).await);
    Ok(diagnosis)
}

async fn of_bucket(
    desk: &Desk,
    ctx: &Ctx,
    bucket: &Bucket,
    named: bool,
    diagnosis: &mut Diagnosis,
) -> Result<(), CliError> {
    let examined = match resilver_backfill::examine(ctx, bucket, desk.now).await {
        Ok(examined) => examined,
        Err(BackfillError::Aws(problem)) if problem.kind == Kind::NotFound => {
            if named && desk.enrolled(bucket).await?.is_none() {
                return Err(no_bucket(bucket));
            }
            let what = "there is no such bucket".to_owned();
            let remedy = format!(
                "take it out of the stack's parameter Buckets, or type: resilver unenroll s3://{bucket}"
            );
            diagnosis.add(bucket.as_str(), ("gone", bucket.as_str()), what, remedy);
            return Ok(());
        }
        Err(BackfillError::Aws(problem)) => return Err(problem.into()),
        Err(problem) => return Err(CliError::unknown(problem.to_string())),
    };
    of_enrolment(desk, bucket, diagnosis).await?;
    of_ledger(desk, bucket, diagnosis).await?;
    diagnosis.take(bucket.as_str(), examined);
    Ok(())
}

/// Whether its failures are heard of.
async fn of_enrolment(
    desk: &Desk,
    bucket: &Bucket,
    diagnosis: &mut Diagnosis,
) -> Result<(), CliError> {
    let name = bucket.as_str();
    let Some(enrolled) = desk.enrolled(bucket).await? else {
        let function = enroll::function(desk, None)?;
        let (what, remedy) = match resilver_enroll::preview(&function, bucket).await {
            Ok(_) => (
                "it is not enrolled, so its failures are not heard of".to_owned(),
                format!("type: resilver enroll s3://{bucket}"),
            ),
            Err(refusal) => {
                let CliError { message, next, .. } = trouble::refused(refusal, &function);
                (format!("it is not enrolled: {message}"), next)
            }
        };
        diagnosis.add(name, ("not-enrolled", name), what, remedy);
        return Ok(());
    };
    let document = match buckets::notifications(&desk.clients, name).await {
        Ok(document) => document,
        Err(problem) if problem.kind == Kind::Denied => {
            let what = "its notifications may not be read, so nobody sees whether it is heard";
            let remedy = "allow whoever runs this s3:GetBucketNotification on the bucket";
            let subject = "s3:GetBucketNotification";
            diagnosis.add(name, ("unreadable", subject), what.to_owned(), remedy.to_owned());
            return Ok(());
        }
        Err(problem) => return Err(problem.into()),
    };
    match enrolled.standing(&document) {
        Standing::Enrolled => {}
        Standing::Drifted { found } => {
            let what = format!("our entry in its notifications was overwritten: {found}");
            let remedy = format!(
                "keep the entry in what that tool writes, and type: resilver enroll s3://{bucket}"
            );
            diagnosis.add(name, ("drifted", &enrolled.entry), what, remedy);
        }
        Standing::Refused(refusal) => {
            let code = refusal.code.as_str();
            diagnosis.add(name, (code, &enrolled.entry), refusal.why, refusal.remedy);
        }
    }
    Ok(())
}

/// What its ledger says that stands in the way.
async fn of_ledger(
    desk: &Desk,
    bucket: &Bucket,
    diagnosis: &mut Diagnosis,
) -> Result<(), CliError> {
    let name = bucket.as_str();
    if desk.head(bucket).await?.is_none() {
        return Ok(());
    }
    let status = status::status(desk, Some(bucket)).await?;
    let of_bucket = status.buckets.first();
    if let Some(reason) = of_bucket.and_then(|status| status.paused.as_ref()) {
        let what = format!("it is paused: {reason}");
        let remedy = format!("to go on, type: resilver resume s3://{bucket}");
        diagnosis.add(name, ("paused", name), what, remedy);
    }
    for circuit in of_bucket.iter().flat_map(|status| &status.circuits) {
        let what = match circuit.holds {
            "versions" => {
                format!("{} held: {}", count(circuit.versions, "version"), circuit.cause)
            }
            _ => format!("everything is held: {}", circuit.cause),
        };
        diagnosis.add(name, ("held", &circuit.cause), what, circuit.remedy.clone());
    }
    for lost in of_bucket.iter().flat_map(|status| &status.quarantined) {
        let what = format!("{} quarantined: {}", count(lost.versions, "version"), lost.reason);
        diagnosis.add(name, ("quarantined", lost.reason.as_str()), what, lost.remedy.to_owned());
    }
    Ok(())
}

/// A diagnosis as a person reads it.
pub fn text(diagnosis: &Diagnosis, state_bucket: &str) -> String {
    let mut text = String::new();
    for bucket in &diagnosis.buckets {
        let of = if bucket == state_bucket { " (the state bucket)" } else { "" };
        text += &format!("s3://{bucket}{of}\n");
        let found = diagnosis.findings.iter().filter(|found| found.bucket == *bucket);
        let mut any = false;
        for Found { code, what, remedy, .. } in found {
            any = true;
            text += &row(code, what);
            text += &row("", &format!("→ {remedy}"));
        }
        let unread = diagnosis.unread.iter().filter(|(of, _)| of == bucket);
        let unread: Vec<&str> = unread.map(|(_, code)| *code).collect();
        match (any, unread.is_empty()) {
            (_, false) => {
                text += &row("not read", &format!("{}; run it again", unread.join(", ")));
            }
            (false, true) => text += &row("fine", "nothing was found"),
            (true, true) => {}
        }
        text += "\n";
    }
    let findings = diagnosis.findings.len() as u64;
    text += &match diagnosis.exit() {
        Exit::Done => "Nothing was found that stops healing.\n".to_owned(),
        Exit::Unknown => "Nothing was found, but not everything could be read.\n".to_owned(),
        _ => format!("{}.\n", count(findings, "finding")),
    };
    text
}

/// `resilver doctor`.
///
/// # Errors
/// Those of [`diagnose`].
pub async fn run(args: &DoctorArgs) -> Result<Exit, CliError> {
    let desk = Desk::find(&args.place).await?;
    let diagnosis = diagnose(&desk, args.bucket.as_ref()).await?;
    let document = json!({
        "buckets": diagnosis.buckets, "findings": diagnosis.findings, "unread": diagnosis.unread,
    });
    report(args.place.json, &document, &text(&diagnosis, &desk.store.bucket))?;
    Ok(diagnosis.exit())
}
