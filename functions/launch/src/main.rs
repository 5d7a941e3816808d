//! The `launch` function's cold start.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use resilver_aws::{Clients, Metrics, Settings, Woken};
use resilver_launch::{Ctx, handle};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Error> {
    resilver_aws::logging();
    let mut settings = Settings::from_env();
    let clients = Clients::from_env(settings.required("RESILVER_ACCOUNT")).await;
    let ctx = &Ctx::new(clients, &mut settings).measured(Metrics::stdout());
    settings.finish()?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let woken = Woken::of(&event.payload, &event.context.request_id)?;
        handle(ctx, &woken, &event.payload).await.map_err(Error::from)
    }))
    .await
}
