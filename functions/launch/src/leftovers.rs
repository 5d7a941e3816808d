//! Ledger runs that no head names: what a launch wrote that was cut short, or lost its swap. They are
//! left alone for a week, longer than any launch runs, and then deleted.

use resilver_heal::ledger::Head;
use resilver_heal::limits::{LEFTOVER_MS, LEFTOVERS_EVERY};
use resilver_heal::state::{StateKey, StatePrefix};

use crate::{Ctx, LaunchError};

/// Deletes them, now and then.
pub(crate) async fn delete(ctx: &Ctx, head: &Head) -> Result<(), LaunchError> {
    if !head.generation.is_multiple_of(LEFTOVERS_EVERY) {
        return Ok(());
    }
    let own = StateKey::Head(&head.bucket).to_string();
    let named = head.run.as_ref().map(|run| run.key.as_str());
    let prefix = StatePrefix::Ledger(&head.bucket).to_string();
    let listed = ctx.store.list(&prefix, usize::MAX).await?;
    let old = listed.into_iter().filter(|object| {
        head.now.0.saturating_sub(object.modified_ms) > LEFTOVER_MS
            && object.key != own
            && Some(object.key.as_str()) != named
    });
    let keys: Vec<String> = old.map(|object| object.key).collect();
    if keys.is_empty() { Ok(()) } else { Ok(ctx.store.delete(&keys).await?) }
}
