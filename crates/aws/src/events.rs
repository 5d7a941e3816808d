//! Publishing on the event bus.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use serde_json::Value;

use crate::{AwsError, Clients};

/// Entries that one PutEvents request takes (EventBridge User Guide).
const ENTRIES_MAX: usize = 10;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its source.
    pub source: String,
    /// Its detail type.
    pub detail_type: String,
    /// Its detail: an object.
    pub detail: Value,
    /// Its time, in milliseconds since the epoch.
    pub at_ms: u64,
}

/// Publishes events in order. An entry that the bus refuses is an error that names it; those before
/// it are published.
pub async fn publish(clients: &Clients, bus: &str, entries: Vec<Entry>) -> Result<(), AwsError> {
    let entries: Vec<PutEventsRequestEntry> = entries
        .into_iter()
        .map(|entry| {
            PutEventsRequestEntry::builder()
                .event_bus_name(bus)
                .source(entry.source)
                .detail_type(entry.detail_type)
                .detail(entry.detail.to_string())
                .time(DateTime::from_millis(i64::try_from(entry.at_ms).unwrap_or(i64::MAX)))
                .build()
        })
        .collect();
    for entries in entries.chunks(ENTRIES_MAX) {
        let request = clients.events.put_events().set_entries(Some(entries.to_vec()));
        let output = Box::pin(request.send())
            .await
            .map_err(|error| AwsError::of("PutEvents", bus, &error))?;
        let refused = output.entries().iter().find(|entry| entry.error_code().is_some());
        if let Some(entry) = refused {
            let (code, why) = (entry.error_code(), entry.error_message().unwrap_or_default());
            let mut problem = AwsError::local("PutEvents", bus, why);
            problem.code = code.map(str::to_owned);
            return Err(problem);
        }
    }
    Ok(())
}
