//! The words for each notice: what happened, how many, why, what to do now, what it cost.

use resilver_heal::entry::Cause;
use resilver_heal::key::{JobId, Key};
use resilver_heal::notice::{JobFinished, Notice, NoticeFact};
use resilver_heal::plan::PlanId;
use resilver_heal::reason::Reason;

/// Reasons that a message lists by name.
const REASONS_MAX: usize = 5;

/// Whether a notice is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something healed.
    Good,
    /// Somebody has to do something.
    Bad,
    /// Nobody has to.
    Plain,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Words; may hold foreign text.
    Words(String),
    /// A key or an id, set as code.
    Code(String),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(pub Vec<Piece>);

/// A notice in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// One line that says it all.
    pub title: String,
    /// Whether it is good news.
    pub tone: Tone,
    /// What else there is to know.
    pub lines: Vec<Line>,
    /// What to do now.
    pub next: Option<Line>,
}

impl Line {
    fn words(text: impl Into<String>) -> Self {
        Self(vec![Piece::Words(text.into())])
    }

    fn with_code(before: &str, code: &str) -> Self {
        Self(vec![Piece::Words(before.to_owned()), Piece::Code(code.to_owned())])
    }

    /// Without any setting.
    pub fn text(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Words(text) | Piece::Code(text) => text.as_str(),
        });
        pieces.collect()
    }
}

/// Puts a notice into words.
pub fn say(notice: &Notice) -> Said {
    let bucket = notice.bucket.as_str();
    match &notice.fact {
        NoticeFact::Held { cause, versions, example } => held(bucket, cause, *versions, example),
        NoticeFact::Repaired { cause, versions, held_since } => Said {
            title: format!("Repaired: {cause}; {} of {bucket} can go on", versions_of(*versions)),
            tone: Tone::Good,
            lines: vec![Line::words(format!("Held since {held_since}; a canary has healed."))],
            next: None,
        },
        NoticeFact::Quarantined { reason, versions, example } => {
            quarantined(bucket, reason, *versions, example)
        }
        NoticeFact::JobFinished(job) => finished(bucket, job),
        NoticeFact::JobRefused { plan, code, message } => job_refused(bucket, plan, code, message),
        NoticeFact::JobLost { job, plan } => job_lost(bucket, job, plan),
        NoticeFact::JobStalled { job, status } => bad(
            format!("A job of {bucket} is {status}, a day after it was created"),
            vec![Line::with_code("Job ", job.as_str())],
            "Confirm or cancel it in the S3 console, or look at which job it waits for.",
        ),
        NoticeFact::Paused { job, why } => paused(bucket, job, why),
        NoticeFact::ReportLate { job } => bad(
            format!("A job of {bucket} ended an hour ago without a report"),
            vec![Line::with_code("Job ", job.as_str())],
            "Check that the job role may write to the state bucket; after a day each version's own status decides.",
        ),
        NoticeFact::Rejected { from, pieces, kept } => bad(
            format!("{} of {from} could not be read", count(*pieces, "piece", "pieces")),
            vec![Line::with_code("Kept byte for byte at ", kept)],
            "Look at what it is and who sends it; everything else was taken in.",
        ),
        NoticeFact::StatusUnread { versions, example } => status_unread(bucket, *versions, example),
        NoticeFact::NotEnrolled { why, remedy, .. } => {
            let title = format!("Failures of {bucket} are not heard of");
            bad(title, vec![Line::words(capital(why))], &capital(remedy))
        }
        NoticeFact::Drifted { found } => drifted(bucket, found),
        NoticeFact::Found { what, remedy, .. } => {
            bad(format!("Look at {bucket}: {what}"), Vec::new(), &capital(remedy))
        }
        NoticeFact::BackfillPlanned { backfill, why } => {
            plain(format!("A backfill of {bucket} is planned"), reasons(backfill, why))
        }
        NoticeFact::BackfillAwaits { backfill, job, versions, micro_usd, why } => {
            let mut lines = reasons(backfill, why);
            lines.push(Line::with_code("Job ", job.as_str()));
            let (versions, cost) = (versions_of(*versions), dollars(*micro_usd));
            let title = format!("A backfill of {versions} of {bucket} for {cost} waits for you");
            let next =
                format!("To let it go within 30 days: resilver backfill s3://{bucket} --confirm");
            bad(title, lines, &next)
        }
        NoticeFact::BackfillEmpty { backfill } => plain(
            format!("A backfill of {bucket} found nothing to replicate"),
            vec![Line::with_code("Backfill ", backfill)],
        ),
        NoticeFact::Swept { versions } => plain(
            format!("A sweep found {} of {bucket} that no event told of", versions_of(*versions)),
            vec![Line::words("They go into the next job.")],
        ),
        NoticeFact::BudgetSpent { limit, rows } => budget_spent(bucket, limit, *rows),
    }
}

fn job_refused(bucket: &str, plan: &PlanId, code: &str, message: &str) -> Said {
    bad(
        format!("S3 refused to start a job for {bucket}: {code}"),
        vec![Line::words(message), Line::with_code("Plan ", plan.as_str())],
        "Repair what S3 names; the versions wait and go into the next job, tried again on a growing cadence.",
    )
}

fn job_lost(bucket: &str, job: &JobId, plan: &PlanId) -> Said {
    bad(
        format!("S3 no longer knows a job of {bucket}"),
        vec![Line::with_code("Job ", job.as_str()), Line::with_code("Plan ", plan.as_str())],
        "Nothing: each version's own status decides what becomes of it.",
    )
}

fn paused(bucket: &str, job: &JobId, why: &str) -> Said {
    let next = format!(
        "Failures are collected, and nothing is launched until you type: resilver resume s3://{bucket}"
    );
    bad(
        format!("{bucket} is paused: somebody cancelled a job"),
        vec![Line::with_code("Job ", job.as_str()), Line::words(why)],
        &next,
    )
}

fn status_unread(bucket: &str, versions: u64, example: &Option<Key>) -> Said {
    bad(
        format!("The status of {} of {bucket} cannot be read", versions_of(versions)),
        example.iter().map(|key| Line::with_code("One of them: ", key.as_str())).collect(),
        "Allow the launch function s3:GetObjectVersion and s3:ListBucket on the bucket, and its KMS key; until then nobody knows whether they healed.",
    )
}

fn drifted(bucket: &str, found: &str) -> Said {
    let next =
        "Keep the entry in what that tool writes, or failures go unheard until the next look.";
    Said {
        next: Some(Line::words(next)),
        ..plain(
            format!("Another tool rewrote the notifications of {bucket}; our entry is back"),
            vec![Line::words(found)],
        )
    }
}

fn budget_spent(bucket: &str, limit: &str, rows: u64) -> Said {
    bad(
        format!("The day's budget of {limit} is spent; {} of {bucket} wait", versions_of(rows)),
        Vec::new(),
        "Nothing, they go on tomorrow; or raise the limit.",
    )
}

fn plain(title: String, lines: Vec<Line>) -> Said {
    Said { title, tone: Tone::Plain, lines, next: None }
}

fn reasons(backfill: &str, why: &[String]) -> Vec<Line> {
    let mut lines: Vec<Line> =
        why.iter().take(REASONS_MAX).map(|why| Line::words(capital(why))).collect();
    if why.len() > REASONS_MAX {
        lines.push(Line::words(format!("and {} more changes", why.len() - REASONS_MAX)));
    }
    lines.push(Line::with_code("Backfill ", backfill));
    lines
}

/// A clause as a sentence.
fn capital(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

fn bad(title: String, lines: Vec<Line>, next: &str) -> Said {
    Said { title, tone: Tone::Bad, lines, next: Some(Line::words(next)) }
}

fn held(bucket: &str, cause: &Cause, versions: u64, example: &Option<Key>) -> Said {
    let mut lines: Vec<Line> = example.iter().map(example_line).collect();
    lines.push(Line::words(
        "Nothing is retried blindly: a canary of a few goes up on a growing cadence, and the rest when it heals.",
    ));
    let next = format!("To repair it, {}.", cause.reason.remedy());
    let (count, verb) = (versions_of(versions), if versions == 1 { "is" } else { "are" });
    bad(format!("{count} of {bucket} {verb} held: {cause}"), lines, &next)
}

fn quarantined(bucket: &str, reason: &Reason, versions: u64, example: &Option<Key>) -> Said {
    let lines = example.iter().map(example_line).collect();
    let next = format!("No retry heals this; {}.", reason.remedy());
    let (count, verb) = (versions_of(versions), if versions == 1 { "is" } else { "are" });
    bad(format!("{count} of {bucket} {verb} quarantined: {}", reason.as_str()), lines, &next)
}

fn example_line(key: &Key) -> Line {
    Line::with_code("For example ", key.as_str())
}

fn finished(bucket: &str, job: &JobFinished) -> Said {
    let JobFinished { rows, succeeded, proved, failed, unreadable, .. } = job;
    let failures: u64 = failed.iter().map(|(_, rows)| rows).sum();
    let whole = job.status == "Complete";
    let tone = if whole && failures + unreadable == 0 { Tone::Good } else { Tone::Bad };
    let title = match whole {
        true => format!(
            "Job finished: {} of {} of {bucket} replicated",
            grouped(*succeeded),
            versions_of(*rows)
        ),
        false => format!(
            "Job {}: {} of {} of {bucket} replicated",
            job.status.to_lowercase(),
            grouped(*succeeded),
            versions_of(*rows)
        ),
    };
    let mut lines = Vec::new();
    lines.extend(job.why.as_ref().map(|why| Line::words(why.clone())));
    if *succeeded > 0 {
        lines.push(Line::words(match succeeded == proved {
            true => "Each was proved by its own replication status.".to_owned(),
            false => format!(
                "{} of them proved so far by their own replication status.",
                grouped(*proved)
            ),
        }));
    }
    for (reason, rows) in failed.iter().take(REASONS_MAX) {
        lines.push(Line::words(format!("{} failed: {}", grouped(*rows), reason.as_str())));
    }
    if failed.len() > REASONS_MAX {
        lines.push(Line::words(format!("and {} more reasons", failed.len() - REASONS_MAX)));
    }
    if *unreadable > 0 {
        lines.push(Line::words(format!(
            "{} of the report could not be read",
            count(*unreadable, "row", "rows")
        )));
    }
    let job_line = vec![
        Piece::Words(format!("{} · job ", dollars(job.micro_usd))),
        Piece::Code(job.job.to_string()),
    ];
    lines.push(Line(job_line));
    Said { title, tone, lines, next: None }
}

fn versions_of(versions: u64) -> String {
    count(versions, "version", "versions")
}

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// `1204` as `1,204`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Dollars and cents; more digits where cents would say nothing.
fn dollars(micro_usd: u64) -> String {
    let (whole, rest) = (micro_usd / 1_000_000, micro_usd % 1_000_000);
    match rest % 10_000 {
        0 => format!("${}.{:02}", grouped(whole), rest / 10_000),
        _ => format!("${}.{rest:06}", grouped(whole)),
    }
}
