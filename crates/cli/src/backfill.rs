//! `resilver backfill`: asks for what existed before a rule, lets such a job go that waits for a person,
//! or gives it up. `launch` does the rest; a person never starts a job past it.

use resilver_aws::Written;
use resilver_heal::backfill::{Backfill, ObjectStatus, Scope};
use resilver_heal::key::Bucket;
use resilver_heal::ledger::Head;
use resilver_heal::limits::{JOB_MICRO_USD, LISTING_MICRO_USD_A_MILLION, Limits, ROW_MICRO_USD};
use resilver_heal::scan::{self, Purpose, Stage, fee_micro_usd};
use resilver_heal::state::{StateKey, StatePrefix};
use resilver_heal::summary::job_micro_usd;
use serde_json::{Value, json};

use crate::args::BackfillArgs;
use crate::desk::Desk;
use crate::error::{CliError, Exit};
use crate::progress::count;
use crate::words::{at, money, report, row};

/// A backfill that a person has let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// Which.
    pub backfill: Backfill,
    /// Versions that S3 has listed, if it has.
    pub versions: Option<u64>,
    /// What it costs, in millionths of a dollar, as far as is known.
    pub micro_usd: u64,
    /// It went before.
    pub already: bool,
}

/// What is to be replicated, of the statuses that a new rule calls for.
pub fn scope(args: &BackfillArgs) -> Scope {
    let fresh = [ObjectStatus::None, ObjectStatus::Failed, ObjectStatus::Replica];
    let completed = args.also_completed.then_some(ObjectStatus::Completed);
    Scope {
        statuses: fresh.into_iter().chain(completed).collect(),
        prefix: Some(args.target.prefix.clone()).filter(|prefix| !prefix.is_empty()),
        created_before: args.created_before,
    }
}

/// Asks for a backfill.
///
/// # Errors
/// The bucket is not enrolled, or the state bucket does not answer.
pub async fn ask(desk: &Desk, bucket: &Bucket, scope: Scope) -> Result<Backfill, CliError> {
    let backfill = asked(desk, bucket, scope);
    let key = StateKey::Backfill(bucket, &backfill.id).to_string();
    match desk.store.put_json_new(&key, &backfill).await? {
        Written::Written { .. } | Written::Exists => Ok(backfill),
    }
}

fn asked(desk: &Desk, bucket: &Bucket, scope: Scope) -> Backfill {
    Backfill::new(bucket, desk.now, scope, vec!["somebody asked for it by hand".to_owned()])
}

/// Lets the backfill go that waits, or is to wait, for a person.
///
/// # Errors
/// None does, or the state bucket does not answer.
pub async fn confirm(desk: &Desk, bucket: &Bucket) -> Result<Confirmed, CliError> {
    let confirmed = desk.edit(bucket, |head| {
        let news = scan::confirm(head);
        of_scan(head, !news)
    });
    if let Some(confirmed) = confirmed.await? {
        return Ok(confirmed);
    }
    let waiting = waiting(desk, bucket).await?;
    let (message, next) = match waiting.len() as u64 {
        0 => (
            format!("no backfill of s3://{bucket} waits for you"),
            format!("to ask for one, type: resilver backfill s3://{bucket}"),
        ),
        asked => (
            format!(
                "S3 has not been asked yet to list {} of s3://{bucket}",
                count(asked, "backfill")
            ),
            format!("see what it is in ten minutes: resilver status s3://{bucket}"),
        ),
    };
    Err(CliError::found("nothing-waits", message, next))
}

fn of_scan(head: &Head, already: bool) -> Option<Confirmed> {
    let scan = head.scan.as_ref()?;
    let Purpose::Backfill(backfill) = &scan.purpose else { return None };
    let flight = head.flights.get(&scan.plan);
    let versions = match scan.stage {
        Stage::Listed { rows, .. } | Stage::Alone { rows } => Some(rows),
        Stage::Goes | Stage::GoesAlone => flight.map(|flight| flight.rows),
        Stage::Lists => None,
        Stage::Drops => return None,
    };
    let micro_usd =
        job_micro_usd(versions.unwrap_or_default()) + flight.map_or(0, |it| it.fee_micro_usd);
    Some(Confirmed { backfill: backfill.clone(), versions, micro_usd, already })
}

/// Gives up every backfill of a bucket that has not gone yet; gives them.
///
/// # Errors
/// The state bucket does not answer.
pub async fn give_up(desk: &Desk, bucket: &Bucket) -> Result<Vec<Backfill>, CliError> {
    // Those first that no head has: a launch that takes one meanwhile puts it into the head.
    let mut given_up = waiting(desk, bucket).await?;
    let keys = given_up.iter().map(|it| StateKey::Backfill(bucket, &it.id).to_string());
    desk.store.delete(&keys.collect::<Vec<_>>()).await?;
    if desk.head(bucket).await?.is_some() {
        let more = desk.edit(bucket, scan::give_up).await?;
        given_up.retain(|one| more.iter().all(|other| other.id != one.id));
        given_up.extend(more);
    }
    Ok(given_up)
}

/// The backfills that are asked for and that launch has not taken up.
pub(crate) async fn waiting(desk: &Desk, bucket: &Bucket) -> Result<Vec<Backfill>, CliError> {
    let mut waiting = Vec::new();
    let prefix = StatePrefix::Backfills(bucket).to_string();
    for object in desk.store.list(&prefix, usize::MAX).await? {
        let found = desk.store.get_json::<Backfill>(&object.key).await?;
        waiting.extend(found.map(|found| found.value));
    }
    Ok(waiting)
}

/// `resilver backfill`.
///
/// # Errors
/// Those of [`ask`], [`confirm`] and [`give_up`].
pub async fn run(args: &BackfillArgs) -> Result<Exit, CliError> {
    let (desk, bucket) = (Desk::open(&args.place).await?, &args.target.bucket);
    if (args.confirm || args.drop) && !args.target.prefix.is_empty() {
        let message = "--confirm and --drop are for all of a bucket";
        return Err(CliError::usage(message, format!("write it as s3://{bucket}")));
    }
    desk.runs().await?;
    let (document, text) = match (args.confirm, args.drop) {
        (true, _) => confirmed(bucket, &confirm(&desk, bucket).await?),
        (_, true) => given_up(bucket, &give_up(&desk, bucket).await?),
        _ => {
            desk.is_enrolled(bucket).await?;
            let scope = scope(args);
            let backfill = match args.dry_run {
                true => asked(&desk, bucket, scope),
                false => ask(&desk, bucket, scope).await?,
            };
            let head = desk.head(bucket).await?.map(|loaded| loaded.value);
            let paused = head.is_some_and(|head| head.paused(desk.now.max(head.now)).is_some());
            told(&backfill, args.dry_run, paused)
        }
    };
    report(args.place.json, &document, &text)?;
    Ok(Exit::Done)
}

fn confirmed(bucket: &Bucket, confirmed: &Confirmed) -> (Value, String) {
    let Confirmed { backfill, versions, micro_usd, already } = confirmed;
    let mut text = match (already, versions) {
        (true, _) => format!("The backfill of s3://{bucket} was confirmed already.\n"),
        (false, Some(_)) => format!("The backfill of s3://{bucket} is confirmed.\n"),
        (false, None) => {
            format!("The backfill of s3://{bucket} is confirmed before S3 has listed it.\n")
        }
    };
    text += &row("backfill", &backfill.id);
    text += &row("why", &backfill.why.join("; "));
    if let Some(versions) = versions {
        text += &row("takes", &count(*versions, "version"));
        text += &row("costs", &format!("{}, the listing included", money(*micro_usd)));
    }
    text += &row("next", "launch lets its job go within five minutes, if there is a free place");
    let document = json!({
        "bucket": bucket, "backfill": backfill.id, "versions": versions,
        "micro_usd": micro_usd, "already": already,
    });
    (document, text)
}

fn given_up(bucket: &Bucket, given_up: &[Backfill]) -> (Value, String) {
    let ids: Vec<&str> = given_up.iter().map(|backfill| backfill.id.as_str()).collect();
    let mut text = match ids.len() as u64 {
        0 => format!("No backfill of s3://{bucket} waits. Nothing is changed.\n"),
        some => format!("{} of s3://{bucket} given up.\n", count(some, "backfill")),
    };
    for id in &ids {
        text += &row("backfill", id);
    }
    if !ids.is_empty() {
        let next = "a job that S3 has made for it is cancelled by the next launch; S3 has its fee for listing";
        text += &row("next", next);
    }
    (json!({"bucket": bucket, "given_up": ids}), text)
}

/// What a backfill takes, what it costs, and what comes next.
fn told(backfill: &Backfill, dry_run: bool, paused: bool) -> (Value, String) {
    let Backfill { id, bucket, scope, .. } = backfill;
    let prefix = scope.prefix.as_deref().unwrap_or_default();
    let would = if dry_run { "would be" } else { "is" };
    let mut text = format!("A backfill of s3://{bucket}/{prefix} {would} asked for.\n");
    if !dry_run {
        text += &row("backfill", id);
    }
    let before = scope.created_before.map(|time| format!(", made before {}", at(time)));
    let names: Vec<&str> = scope.statuses.iter().map(|status| status.as_str()).collect();
    text += &row(
        "takes",
        &format!(
            "versions of status {} that an enabled rule takes{}",
            names.join(", "),
            before.unwrap_or_default()
        ),
    );
    let limits = Limits::default();
    let million = 1_000_000;
    text += &row(
        "costs",
        &format!(
            "{} for the job, and {} for a million versions that it replicates",
            money(JOB_MICRO_USD),
            money(ROW_MICRO_USD * million)
        ),
    );
    text += &row(
        "",
        &format!(
            "S3 lists the whole bucket for it, whatever the prefix: {} for a million objects in it, {} for {} million",
            money(LISTING_MICRO_USD_A_MILLION),
            money(fee_micro_usd(limits.bucket_objects)),
            limits.bucket_objects / million
        ),
    );
    text += &row("", "how many versions it is, nobody knows before S3 has listed them");
    if paused {
        text +=
            &row("note", &format!("the bucket is paused; first: resilver resume s3://{bucket}"));
    }
    text += &row(
        "next",
        "launch has S3 list them; up to the stack's BackfillRows they go by themselves, more wait until you type:",
    );
    text += &row("", &format!("resilver backfill s3://{bucket} --confirm"));
    let document = json!({
        "bucket": bucket, "backfill": (!dry_run).then_some(id), "dry_run": dry_run, "scope": scope,
        "job_micro_usd": JOB_MICRO_USD, "version_micro_usd": ROW_MICRO_USD,
        "listing_micro_usd_a_million": LISTING_MICRO_USD_A_MILLION, "paused": paused,
    });
    (document, text)
}
