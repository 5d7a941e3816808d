//! The arguments of the operator's commands.

use std::str::FromStr;

use resilver_heal::key::Bucket;
use resilver_heal::time::{Timestamp, days, hours, minutes};

/// Where the stack is.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct PlaceArgs {
    /// The stack's name [default: $RESILVER_STACK, or resilver].
    #[arg(long, value_name = "NAME", value_parser = stack)]
    pub stack: Option<String>,
    /// The stack's state bucket [default: $RESILVER_STATE_BUCKET, or STACK-ACCOUNT-REGION].
    #[arg(long, value_name = "BUCKET", value_parser = name)]
    pub state_bucket: Option<Bucket>,
    /// Print one JSON document on stdout, and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// A bucket, or what is under a prefix of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The bucket.
    pub bucket: Bucket,
    /// The prefix; empty is all of it.
    pub prefix: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("s3://").ok_or("write it as s3://bucket/prefix")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = Bucket::try_from(bucket.to_owned()).map_err(|why| why.to_string())?;
        Ok(Self { bucket, prefix: prefix.to_owned() })
    }
}

/// A length of time: `30m`, `6h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(
    /// In milliseconds.
    pub u64,
);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a length of time as 30m, 6h or 2d".to_owned();
        let unit = text.chars().last().ok_or_else(wrong)?;
        let number = text.strip_suffix(unit).unwrap_or_default();
        let number = number.parse::<u64>().ok().filter(|n| (1..10_000).contains(n));
        let number = number.ok_or_else(wrong)?;
        match unit {
            'm' => Ok(Self(minutes(number))),
            'h' => Ok(Self(hours(number))),
            'd' => Ok(Self(days(number))),
            _ => Err(wrong()),
        }
    }
}

/// A bucket of the operator's commands.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct BucketArgs {
    /// The source bucket.
    #[arg(value_name = "s3://BUCKET", value_parser = whole_bucket)]
    pub bucket: Bucket,
    /// Where the stack is.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `resilver status`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct StatusArgs {
    /// One source bucket [default: all that are known].
    #[arg(value_name = "s3://BUCKET", value_parser = whole_bucket)]
    pub bucket: Option<Bucket>,
    /// Where the stack is.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `resilver doctor`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct DoctorArgs {
    /// One source bucket [default: all that are known].
    #[arg(value_name = "s3://BUCKET", value_parser = whole_bucket)]
    pub bucket: Option<Bucket>,
    /// Where the stack is.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `resilver pause`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct PauseArgs {
    /// Why, for whoever looks at it later.
    #[arg(long, value_name = "TEXT", default_value = "paused by hand", value_parser = line)]
    pub reason: String,
    /// Of which bucket.
    #[command(flatten)]
    pub of: BucketArgs,
}

/// `resilver resume`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ResumeArgs {
    /// Not now, but so much later: 30m, 6h, 2d.
    #[arg(long, value_name = "TIME")]
    pub after: Option<Span>,
    /// Of which bucket.
    #[command(flatten)]
    pub of: BucketArgs,
}

/// `resilver enroll` and `resilver unenroll`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct EnrollArgs {
    /// Only show what would change in the bucket's notification document.
    #[arg(long)]
    pub dry_run: bool,
    /// The ARN of the queue of failures [default: $RESILVER_QUEUE_ARN, or the queue STACK-failures].
    #[arg(long, value_name = "ARN")]
    pub queue_arn: Option<String>,
    /// Of which bucket.
    #[command(flatten)]
    pub of: BucketArgs,
}

/// `resilver backfill`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct BackfillArgs {
    /// The source bucket, and a prefix if only that is to be replicated.
    #[arg(value_name = "s3://BUCKET[/PREFIX]")]
    pub target: Target,
    /// Only what was made before this time: 2026-01-31, or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub created_before: Option<Timestamp>,
    /// What is replicated already too (COMPLETED): only a destination that is new needs it.
    #[arg(long)]
    pub also_completed: bool,
    /// Only say what would be asked for, and what it costs.
    #[arg(long)]
    pub dry_run: bool,
    /// Let the backfill go that waits for a person.
    #[arg(long, conflicts_with_all = ["drop", "created_before", "also_completed", "dry_run"])]
    pub confirm: bool,
    /// Give up every backfill of the bucket that has not gone yet.
    #[arg(long, conflicts_with_all = ["created_before", "also_completed", "dry_run"])]
    pub drop: bool,
    /// Where the stack is.
    #[command(flatten)]
    pub place: PlaceArgs,
}

fn whole_bucket(text: &str) -> Result<Bucket, String> {
    let target: Target = text.parse().map_err(|_| format!("write it as s3://{}", bare(text)))?;
    match target.prefix.as_str() {
        "" => Ok(target.bucket),
        _ => Err("a whole bucket is meant here: write it as s3://bucket".to_owned()),
    }
}

fn name(text: &str) -> Result<Bucket, String> {
    Bucket::try_from(text.to_owned()).map_err(|why| why.to_string())
}

/// A name as somebody may have typed it without `s3://`.
fn bare(text: &str) -> &str {
    match Bucket::try_from(text.to_owned()) {
        Ok(_) => text,
        Err(_) => "bucket, 3 to 63 lower-case letters, digits, dots and hyphens",
    }
}

fn stack(text: &str) -> Result<String, String> {
    let fits = (1..=35).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    match fits {
        true => Ok(text.to_owned()),
        false => {
            Err("a stack's name is lower-case letters, digits and hyphens, 35 at most".to_owned())
        }
    }
}

fn line(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.is_empty() || text.chars().any(char::is_control) || text.chars().count() > 200 {
        true => Err("a reason is one line of 1 to 200 characters".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    let day = || Timestamp::parse(&format!("{text}T00:00:00Z"));
    let wrong = "write a time as 2026-01-31 or 2026-01-31T12:00:00Z";
    Timestamp::parse(text).or_else(day).ok_or_else(|| wrong.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_or_refused_with_how_to_write_it() {
        assert_eq!(whole_bucket("s3://photos").map(String::from), Ok("photos".to_owned()));
        assert_eq!(whole_bucket("s3://photos/").map(String::from), Ok("photos".to_owned()));
        assert!(whole_bucket("s3://photos/2026").is_err_and(|why| why.contains("whole bucket")));
        assert!(whole_bucket("photos").is_err_and(|why| why.contains("s3://photos")));
        let target: Result<Target, String> = "s3://photos/a/b".parse();
        assert_eq!(target.map(|target| target.prefix), Ok("a/b".to_owned()));
        for (text, ms) in [("30m", Some(1_800_000)), ("2d", Some(172_800_000)), ("6", None)] {
            assert_eq!(text.parse::<Span>().ok().map(|span| span.0), ms, "{text}");
        }
        for wrong in ["", "h", "0h", "-1h", "1w", "99999d", "1é"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        assert_eq!(time("2026-01-31"), time("2026-01-31T00:00:00Z"));
        assert!(time("yesterday").is_err());
        assert!(line("a\nb").is_err() && line(" ").is_err() && stack("Prod").is_err());
    }
}
