//! `backfill`: looks at the replication configuration of each enrolled bucket, and asks for jobs over
//! what existed before a rule or a destination that is new.

use resilver_aws::{Clients, Settings, Store, Woken};
use serde_json::{Value, json};

/// What the function is given at its cold start.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The AWS clients.
    pub clients: Clients,
    /// The state bucket.
    pub store: Store,
}

impl Ctx {
    /// Reads the function's settings.
    pub fn new(clients: Clients, settings: &mut Settings) -> Self {
        let bucket = settings.required("RESILVER_STATE_BUCKET");
        Self { store: Store::new(clients.clone(), bucket), clients }
    }
}

/// Looks at every enrolled bucket.
///
/// # Errors
/// AWS did not do what was asked.
pub async fn handle(
    ctx: &Ctx,
    woken: &Woken,
    event: &Value,
) -> Result<Value, resilver_aws::AwsError> {
    tracing::info!(event = %event, now = %woken.now, bucket = ctx.store.bucket, "woken");
    Ok(json!({}))
}
