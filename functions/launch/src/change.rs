//! Launching because somebody changed something: CloudTrail tells of a policy, a key or a bucket, and a
//! canary that it may have repaired goes up now. Which those are, `resilver_heal::change` decides.
//!
//! Most changes repair nothing of ours. They cost a list, and a read of each ledger's head.

use resilver_aws::Woken;
use resilver_heal::change::Change;
use resilver_heal::key::Bucket;
use resilver_heal::state::{StatePrefix, bucket_of};
use serde_json::{Value, json};
use tracing::{error, info};

use crate::order::{read_head, swap};
use crate::{Ctx, Found, LaunchError, launch_all};

/// How often a head that another launch has replaced is read again.
const TRIES: usize = 5;

/// Takes note of the change that the detail of an event tells of, and launches where that made a canary
/// due.
pub(crate) async fn handle(ctx: &Ctx, woken: &Woken, detail: &Value) -> Result<Value, LaunchError> {
    let named = detail.pointer("/requestParameters/bucketName").and_then(Value::as_str);
    let text = |field| detail.get(field).and_then(Value::as_str).unwrap_or_default();
    let call = text("eventName");
    let Some(change) = Change::of(text("eventSource"), call, named) else {
        return Ok(json!({"launched": []}));
    };
    let mut hurried = Vec::new();
    let mut first_error = None;
    for found in ctx.store.list_prefixes(&StatePrefix::AllLedgers.to_string()).await? {
        let Some(bucket) = bucket_of(&found) else { continue };
        match note(ctx, &bucket, woken, &change).await {
            Ok(false) => {}
            Ok(true) => {
                info!(bucket = bucket.as_str(), call, "a change may be a repair");
                hurried.push((bucket, Found::default()));
            }
            Err(problem) => {
                error!(bucket = bucket.as_str(), error = %problem, "a change is not noted");
                first_error.get_or_insert(problem);
            }
        }
    }
    launch_all(ctx, woken, hurried, first_error).await
}

/// Writes it into the bucket's head that its circuits are to be tried, if that is news. It stays there if
/// this launch is cut short, and while a canary is out that went up before the change.
async fn note(
    ctx: &Ctx,
    bucket: &Bucket,
    woken: &Woken,
    change: &Change,
) -> Result<bool, LaunchError> {
    for _ in 0..TRIES {
        let mut held = read_head(ctx, bucket, woken).await?;
        let mut next = held.head.clone();
        next.now = next.now.max(woken.now);
        let now = next.now;
        if held.etag.is_none() || !change.note(&mut next, woken.now, now) {
            return Ok(false);
        }
        let writer = next.writer.clone();
        if swap(ctx, &mut held, next, &writer).await? {
            return Ok(true);
        }
    }
    // Whoever wins so often looks at the circuits, too; what is missed waits for its turn.
    Ok(false)
}
