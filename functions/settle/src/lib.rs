//! `settle`: reads the completion reports of our jobs that ended and turns them into verdicts. Woken
//! by the status event of a job where the account has a trail, and by a schedule where it has none;
//! whichever comes first settles the job, and the other finds it settled.
//!
//! It only appends, and every object it writes is a pure function of the report, so that two of it at
//! work on one job write the same. What a verdict does to a version is decided in `launch`.

mod chunk;
mod job;
mod poll;
mod report;

use resilver_aws::{AwsError, Clients, Settings, Store, Woken};
use serde_json::{Value, json};
use tracing::{Instrument, error, field, info, info_span};

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

/// Why a job could not be settled. Nothing is lost: the next event or poll goes on.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// AWS did not do what was asked.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A document of ours cannot be read.
    #[error("{key} cannot be read: {why}; leave it as it is and update this release")]
    Document {
        /// The object.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Settles the job that an event names, or every job of ours that is not settled yet.
pub async fn handle(ctx: &Ctx, woken: &Woken, event: &Value) -> Result<Value, SettleError> {
    let named = event.pointer("/detail/serviceEventDetails/jobId").and_then(Value::as_str);
    if let Some(id) = named {
        // Whose it is, its Description says.
        let span = info_span!("job", job = id, bucket = field::Empty, plan = field::Empty);
        looked_at(Box::pin(job::by_event(ctx, woken, id))).instrument(span).await?;
        return Ok(json!({"jobs": 1}));
    }
    let (flights, mut first_error) = poll::flights(ctx).await?;
    let jobs = flights.len();
    for flight in flights {
        let (bucket, job, plan) = (&flight.bucket, &flight.job, &flight.plan);
        let span = info_span!("job", %job, %bucket, %plan);
        let looked = looked_at(Box::pin(job::by_poll(ctx, woken, &flight))).instrument(span).await;
        if let Err(problem) = looked {
            first_error.get_or_insert(problem);
        }
    }
    first_error.map_or_else(|| Ok(json!({ "jobs": jobs })), Err)
}

/// Logs what came of looking at a job.
async fn looked_at(
    look: impl Future<Output = Result<job::Outcome, SettleError>>,
) -> Result<(), SettleError> {
    match look.await {
        Ok(outcome) => {
            info!(?outcome, "job looked at");
            Ok(())
        }
        Err(problem) => {
            error!(error = %problem, "job not settled");
            Err(problem)
        }
    }
}
