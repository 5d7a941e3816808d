//! Finding a job's completion report.

use resilver_heal::limits::{REPORT_LATE_MS, REPORT_LOST_MS};
use resilver_heal::report::ReportManifest;
use resilver_heal::state::StateKey;
use resilver_heal::summary::{Ended, ResultPart};
use resilver_heal::time::Timestamp;

use crate::job::Over;
use crate::{Ctx, SettleError};

/// What was found of a report.
pub(crate) enum Found {
    /// Its result files.
    Report(Vec<ResultPart>),
    /// There is none, and none will come.
    None,
    /// It is not there yet.
    NotYet,
    /// It is not there yet, and should be.
    Late,
}

/// Looks for the report of a job that ended. S3 writes one if at least one task ran (S3 User Guide:
/// batch-ops-completion-report), and promises it for a job that is Complete.
pub(crate) async fn find(ctx: &Ctx, over: &Over, now: Timestamp) -> Result<Found, SettleError> {
    let prefix = format!("{}/job-{}", StateKey::Reports(&over.bucket), over.job);
    let manifest = ctx.store.get(&format!("{prefix}/manifest.json")).await?;
    if let Some(manifest) = manifest {
        if let Some(parts) = parts(ctx, &prefix, &manifest.bytes).await? {
            return Ok(Found::Report(parts));
        }
    } else if over.ended == Ended::Lost || (over.ended != Ended::Complete && over.ran == 0) {
        return Ok(Found::None);
    }
    Ok(match now.since(over.at) {
        age if age > REPORT_LOST_MS => Found::None,
        age if age > REPORT_LATE_MS => Found::Late,
        _ => Found::NotYet,
    })
}

/// The result files that a report's manifest names, with their lengths; `None` if one is not there,
/// or the manifest cannot be read.
async fn parts(
    ctx: &Ctx,
    prefix: &str,
    manifest: &[u8],
) -> Result<Option<Vec<ResultPart>>, SettleError> {
    let manifest = match ReportManifest::parse(manifest) {
        Ok(manifest) => manifest,
        Err(problem) => {
            tracing::warn!(prefix, error = %problem, "the report's manifest cannot be read");
            return Ok(None);
        }
    };
    let listed = ctx.store.list(&format!("{prefix}/results/"), usize::MAX).await?;
    let mut parts = Vec::new();
    for file in manifest.results {
        let Some(object) = listed.iter().find(|object| object.key == file.key) else {
            return Ok(None);
        };
        parts.push(ResultPart { bucket: file.bucket, key: file.key, bytes: object.size });
    }
    Ok(Some(parts))
}
