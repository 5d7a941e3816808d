//! The `enroll` function's cold start.

use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use resilver_aws::{Clients, Settings, wall_clock};
use resilver_enroll::{Ctx, handle, woken};
use resilver_heal::limits::ENROLL_ANSWER_MS;
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Error> {
    resilver_aws::logging();
    let mut settings = Settings::from_env();
    let clients = Clients::from_env(settings.required("RESILVER_ACCOUNT")).await;
    let ctx = Ctx::new(clients, &mut settings);
    let ctx = &ctx.whose(settings.finish());
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let ctx = ctx.within(left.saturating_sub(Duration::from_millis(ENROLL_ANSWER_MS)));
        let woken = woken(&event.payload, &event.context.request_id, wall_clock());
        handle(&ctx, &woken, &event.payload).await.map_err(Error::from)
    }))
    .await
}
