//! `resilver status`: what waits, flies, is held and is quarantined in each bucket, why, what a person can
//! do about it, and what was spent. It reads the state bucket and changes nothing.

mod gather;
mod show;

use resilver_heal::key::Bucket;

use crate::args::StatusArgs;
use crate::desk::Desk;
use crate::error::{CliError, Exit};
use crate::words::report;

pub use gather::{BucketStatus, CircuitStatus, FlightStatus, ScanStatus, Status, Today};

/// How a stack stands, or one of its buckets.
///
/// # Errors
/// There is no such bucket, or the state bucket does not answer.
pub async fn status(desk: &Desk, bucket: Option<&Bucket>) -> Result<Status, CliError> {
    gather::all(desk, bucket).await
}

/// A status as a person reads it.
pub fn text(status: &Status) -> String {
    show::text(status)
}

/// `resilver status`.
///
/// # Errors
/// Those of [`status`].
pub async fn run(args: &StatusArgs) -> Result<Exit, CliError> {
    let desk = Desk::open(&args.place).await?;
    let status = status(&desk, args.bucket.as_ref()).await?;
    let document = serde_json::to_value(&status).unwrap_or_default();
    report(args.place.json, &document, &text(&status))?;
    Ok(Exit::Done)
}
