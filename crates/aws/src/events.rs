//! Publishing on the event bus.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use serde_json::Value;

use crate::{AwsError, Clients};

/// Entries and bytes that one PutEvents request takes (EventBridge User Guide: eb-putevents). Of the
/// bytes a little is left for what each entry has around its texts.
const ENTRIES_MAX: usize = 10;
const BYTES_MAX: usize = 250_000;

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

/// Publishes events, in order. One that the bus refuses keeps no other from being published; the first of
/// the problems is the error.
pub async fn publish(clients: &Clients, bus: &str, entries: Vec<Entry>) -> Result<(), AwsError> {
    let entries = entries.into_iter().map(|entry| {
        PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(entry.source)
            .detail_type(entry.detail_type)
            .detail(entry.detail.to_string())
            .time(DateTime::from_millis(i64::try_from(entry.at_ms).unwrap_or(i64::MAX)))
            .build()
    });
    let mut first_error = None;
    for entries in requests(entries) {
        let request = clients.events.put_events().set_entries(Some(entries));
        let output = match Box::pin(request.send()).await {
            Ok(output) => output,
            Err(error) => {
                first_error.get_or_insert_with(|| AwsError::of("PutEvents", bus, &error));
                continue;
            }
        };
        let refused = output.entries().iter().find(|entry| entry.error_code().is_some());
        if let Some(entry) = refused {
            let (code, why) = (entry.error_code(), entry.error_message().unwrap_or_default());
            let mut problem = AwsError::local("PutEvents", bus, why);
            problem.code = code.map(str::to_owned);
            first_error.get_or_insert(problem);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// As many entries together as a request takes; one that is too large for any is alone.
fn requests(
    entries: impl IntoIterator<Item = PutEventsRequestEntry>,
) -> Vec<Vec<PutEventsRequestEntry>> {
    let mut requests: Vec<Vec<PutEventsRequestEntry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let texts = [entry.source(), entry.detail_type(), entry.detail()];
        let size: usize = texts.into_iter().flatten().map(str::len).sum();
        match requests.last_mut() {
            Some(last) if last.len() < ENTRIES_MAX && bytes + size <= BYTES_MAX => {
                bytes += size;
                last.push(entry);
            }
            _ => {
                bytes = size;
                requests.push(vec![entry]);
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_ten_entries_and_no_more_bytes_than_they_may() {
        let entry =
            |bytes: &usize| PutEventsRequestEntry::builder().detail("x".repeat(*bytes)).build();
        let sizes = |bytes: &[usize]| -> Vec<usize> {
            requests(bytes.iter().map(entry)).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[100; 23]), [10, 10, 3]);
        assert_eq!(sizes(&[100_000; 5]), [2, 2, 1]);
        assert_eq!(sizes(&[100, 700_000, 100, 100]), [1, 1, 2]);
        assert_eq!(sizes(&[]), [0; 0]);
    }
}
