//! Reading everything that blind spots show in. What may not be read, or cannot be this time, stops
//! nothing.

use resilver_aws::configuration;
use resilver_heal::configuration::Config;
use resilver_heal::finding::{Reading, Sight, destinations_of};
use resilver_heal::time::Timestamp;

use crate::Ctx;

/// What there is to see of a bucket now.
pub(crate) async fn sight(
    ctx: &Ctx,
    config: &Config,
    denied: Option<&'static str>,
    now: Timestamp,
) -> Sight {
    let (clients, source) = (&ctx.clients, config.bucket.as_str());
    let (versioned, lifecycle, tierings, kms) = tokio::join!(
        configuration::versioned(clients, source),
        configuration::lifecycle(clients, source),
        configuration::tierings(clients, source),
        configuration::kms(clients, source),
    );
    let rules = config.acted.as_ref();
    let names = rules.map(|rules| destinations_of(rules, &clients.account)).unwrap_or_default();
    let mut destinations = Vec::new();
    for name in names {
        // Another account's may not be read, and says so: that is no finding.
        if let Reading::Is(rules) = configuration::lifecycle(clients, name).await {
            destinations.push((name.to_owned(), rules));
        }
    }
    Sight {
        bucket: config.bucket.clone(),
        state_bucket: ctx.store.bucket.clone(),
        configuration: config.acted.clone(),
        denied,
        no_trail: config.has_no_trail(now),
        versioned,
        lifecycle,
        tierings,
        kms,
        destinations,
    }
}
