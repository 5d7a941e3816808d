//! The `notify` function's cold start.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use resilver_aws::{Clients, Settings, wall_clock};
use resilver_notify::{Ctx, handle};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Error> {
    resilver_aws::logging();
    let mut settings = Settings::from_env();
    let clients = Clients::from_env(settings.required("RESILVER_ACCOUNT")).await;
    let ctx = &Ctx::new(clients, &mut settings);
    settings.finish()?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        handle(ctx, wall_clock(), &event.payload).await.map_err(Error::from)
    }))
    .await
}
