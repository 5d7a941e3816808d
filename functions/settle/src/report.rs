//! Finding a job's completion report.

use resilver_heal::report::ReportManifest;
use resilver_heal::state::StateKey;
use resilver_heal::summary::{Ended, MissingReport, ResultPart};
use resilver_heal::time::Timestamp;

use crate::job::Over;
use crate::{Ctx, SettleError};

/// Looks for the report of a job that ended; gives its result files, or what it means that they are
/// not there.
pub(crate) async fn find(
    ctx: &Ctx,
    over: &Over,
    now: Timestamp,
) -> Result<Result<Vec<ResultPart>, MissingReport>, SettleError> {
    let prefix = format!("{}/job-{}", StateKey::Reports(&over.bucket), over.job);
    let manifest = ctx.store.get(&format!("{prefix}/manifest.json")).await?;
    if let Some(manifest) = manifest
        && let Some(parts) = parts(ctx, &prefix, &manifest.bytes).await?
    {
        return Ok(Ok(parts));
    }
    if over.ended == Ended::Complete && over.needs_no_report {
        return Ok(Ok(Vec::new()));
    }
    Ok(Err(MissingReport::of(over.ended, over.ran, over.at, now)))
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
