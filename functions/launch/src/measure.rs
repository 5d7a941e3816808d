//! Telling the metrics, last of all in a launch: one line a bucket, of the head as it is then.
//!
//! What came and went is told *at least once*: the head says how much of its totals was told, and is
//! written after the line is. Whoever is cut short, or outrun, between the two has told it, and the next
//! launch tells it again; whoever is cut short before has told nothing, and the next launch does. So sums
//! may be a little too great after a crash, and nothing is ever missing from them.

use resilver_aws::Woken;
use resilver_heal::metrics;

use crate::Ctx;
use crate::order::{Held, swap};

/// Tells what there is to tell. That it cannot be marked as told keeps nothing from healing.
pub(crate) async fn tell(ctx: &Ctx, held: &mut Held, woken: &Woken, idle: bool) {
    let head = &held.head;
    if held.etag.is_none() || (idle && !metrics::is_worth_telling(head)) {
        return;
    }
    let now = head.now.max(woken.now);
    ctx.metrics.tell(head.bucket.as_str(), now.0, &metrics::of(head, now));
    if head.counted == head.totals {
        return;
    }
    let mut next = head.clone();
    next.counted = next.totals;
    let writer = next.writer.clone();
    match swap(ctx, held, next, &writer).await {
        Ok(true) => {}
        Ok(false) => tracing::info!("another launch tells the metrics again"),
        Err(problem) => {
            tracing::warn!(error = %problem, "the next launch tells the metrics again");
        }
    }
}
