//! What woke a function: the time of its event is the *now* of everything it decides.

use resilver_heal::time::Timestamp;
use serde_json::Value;

/// One invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Woken {
    /// The event's time.
    pub now: Timestamp,
    /// The id of the invocation, which no other has.
    pub id: String,
}

/// An event without a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event has no time that can be read: {0:?}; wake this function by a schedule or a rule"
)]
pub struct NoTime(Option<String>);

impl Woken {
    /// By an event of a schedule or of the bus: its `time` is the event's.
    pub fn of(event: &Value, id: &str) -> Result<Self, NoTime> {
        let time = event.get("time").and_then(Value::as_str);
        match time.and_then(Timestamp::parse) {
            Some(now) => Ok(Self { now, id: id.to_owned() }),
            None => Err(NoTime(time.map(str::to_owned))),
        }
    }

    /// By messages that carry their own times: *now* only dates notices.
    pub fn at(now: Timestamp, id: &str) -> Self {
        Self { now, id: id.to_owned() }
    }
}

/// The wall clock: for signatures, and for messages that carry no time of their own.
pub fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}
