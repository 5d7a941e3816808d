//! The `collect` function's cold start.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use resilver_aws::{Clients, Settings, Woken};
use resilver_collect::{Answer, Batch, Ctx, handle};

#[tokio::main]
async fn main() -> Result<(), Error> {
    resilver_aws::logging();
    let mut settings = Settings::from_env();
    let clients = Clients::from_env(settings.required("RESILVER_ACCOUNT")).await;
    let ctx = &Ctx::new(clients, &mut settings);
    settings.finish()?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Batch>| async move {
        let woken = Woken::at(resilver_aws::wall_clock(), &event.context.request_id);
        Ok::<Answer, Error>(handle(ctx, &woken, event.payload).await)
    }))
    .await
}
