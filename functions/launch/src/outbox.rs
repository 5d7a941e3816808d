//! The outbox: notices lie in the head until `notify` has marked them as said, and are published
//! again with every launch until then. Chat being down delays no healing.

use resilver_aws::events::{self, Entry};
use resilver_heal::ledger::Head;
use resilver_heal::notice::{NOTICE_DETAIL_TYPE, NOTICE_SOURCE, Notice};
use resilver_heal::state::{SAID, StateKey};

use crate::{Ctx, LaunchError};

/// Takes out of the outbox what is said everywhere.
pub(crate) async fn take_said(ctx: &Ctx, head: &mut Head) -> Result<(), LaunchError> {
    let mut unsaid = Vec::new();
    for notice in std::mem::take(&mut head.outbox) {
        let mark = StateKey::Notice(&notice.id, SAID).to_string();
        if !ctx.store.exists(&mark).await? {
            unsaid.push(notice);
        }
    }
    head.outbox = unsaid;
    Ok(())
}

/// Publishes what is not said yet. A bus that does not answer is tried again with the next launch.
pub(crate) async fn publish(ctx: &Ctx, head: &Head) -> Result<(), LaunchError> {
    let entries = head.outbox.iter().map(|notice| entry(notice, head)).collect::<Vec<_>>();
    if entries.is_empty() {
        return Ok(());
    }
    if let Err(problem) = events::publish(&ctx.clients, &ctx.bus, entries).await {
        tracing::warn!(error = %problem, "notices not published; the next launch tries again");
    }
    Ok(())
}

/// Dated by when it is published: `notify` tells a repeat from another delivery by that.
fn entry(notice: &Notice, head: &Head) -> Entry {
    Entry {
        source: NOTICE_SOURCE.to_owned(),
        detail_type: NOTICE_DETAIL_TYPE.to_owned(),
        detail: serde_json::to_value(notice).unwrap_or_default(),
        at_ms: head.now.0,
    }
}
