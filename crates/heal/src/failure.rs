//! Failure events, as they come out of the queue: S3's own records, bare or wrapped by SNS. The
//! reader is total: a message that it cannot read it gives back byte for byte with the reason, and one
//! bad record does not take its neighbours with it.

use serde::Deserialize;
use serde_json::Value;

use crate::key::{Bucket, Key, VersionId};
use crate::limits::FUTURE_MS;
use crate::reason::Reason;
use crate::time::Timestamp;

/// A version that did not replicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The source bucket.
    pub bucket: Bucket,
    /// The object.
    pub key: Key,
    /// The version.
    pub version: VersionId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// The destination that was not reached.
    pub destination: Option<Bucket>,
    /// The rule that was followed.
    pub rule: Option<String>,
    /// What was to be replicated; only `OBJECT_PUT` is documented.
    pub operation: Option<String>,
}

/// One event (S3 User Guide: notification-how-to-event-types-and-destinations).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `Replication:OperationFailedReplication`.
    Failed(Failure),
    /// `Replication:OperationNotTracked`: only the version's status tells.
    NotTracked(Failure),
    /// `Replication:OperationMissedThreshold`: late, not failed.
    MissedThreshold,
    /// `Replication:OperationReplicatedAfterThreshold`.
    ReplicatedAfterThreshold,
    /// An event of another kind.
    Other(String),
}

impl Event {
    /// The event, dated `sent` if it claims to be of a later hour: a failure of the future would wait
    /// for it, and no tombstone would be younger.
    #[must_use]
    pub fn no_later_than(mut self, sent: Timestamp) -> Self {
        if let Self::Failed(failure) | Self::NotTracked(failure) = &mut self
            && failure.at > sent.plus_ms(FUTURE_MS)
        {
            failure.at = sent;
        }
        self
    }
}

/// A piece of a message that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The piece: a whole message byte for byte, or one record of several as JSON.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// What was read of one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Its events.
    pub events: Vec<Event>,
    /// What could not be read.
    pub rejects: Vec<Reject>,
    /// `s3:TestEvent`s: sent when a notification is set up.
    pub test_events: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_version: String,
    event_time: String,
    s3: Entity,
    /// Read field by field: what is odd in it must not cost the failure.
    #[serde(default)]
    replication_event_data: Value,
}

#[derive(Debug, Deserialize)]
struct Entity {
    bucket: BucketEntity,
    object: ObjectEntity,
}

#[derive(Debug, Deserialize)]
struct BucketEntity {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectEntity {
    key: String,
    version_id: Option<String>,
}

/// Reads one message.
pub fn read_message(body: &str) -> Reading {
    let mut reading = Reading::default();
    if let Err(why) = read_into(body, &mut reading) {
        reading.rejects.push(Reject { text: body.to_owned(), why });
    }
    reading
}

fn read_into(body: &str, reading: &mut Reading) -> Result<(), String> {
    let message: Value = serde_json::from_str(body).map_err(|why| format!("not JSON: {why}"))?;
    // SNS wraps the message in a string, unless raw delivery is on.
    if message.get("Records").is_none()
        && let Some(inner) = message.get("Message").and_then(Value::as_str)
    {
        let inner: Value =
            serde_json::from_str(inner).map_err(|why| format!("its Message is not JSON: {why}"))?;
        return read_bare(&inner, reading);
    }
    read_bare(&message, reading)
}

fn read_bare(message: &Value, reading: &mut Reading) -> Result<(), String> {
    if let Some(records) = message.get("Records") {
        let records = records.as_array().ok_or("its Records are no list")?;
        if let [record] = records.as_slice() {
            reading.events.push(read_record(record)?);
            return Ok(());
        }
        for record in records {
            match read_record(record) {
                Ok(event) => reading.events.push(event),
                Err(why) => reading.rejects.push(Reject { text: record.to_string(), why }),
            }
        }
        return Ok(());
    }
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        reading.test_events += 1;
        return Ok(());
    }
    Err("neither Records nor a test event".to_owned())
}

fn read_record(record: &Value) -> Result<Event, String> {
    let name = record.get("eventName").and_then(Value::as_str).unwrap_or_default();
    let name = name.strip_prefix("s3:").unwrap_or(name);
    let kind = name.strip_prefix("Replication:");
    match kind {
        Some("OperationFailedReplication") => read_failure(record).map(Event::Failed),
        Some("OperationNotTracked") => read_failure(record).map(Event::NotTracked),
        Some("OperationMissedThreshold") => Ok(Event::MissedThreshold),
        Some("OperationReplicatedAfterThreshold") => Ok(Event::ReplicatedAfterThreshold),
        _ if name.is_empty() => Err("it has no eventName".to_owned()),
        _ => Ok(Event::Other(name.to_owned())),
    }
}

fn read_failure(record: &Value) -> Result<Failure, String> {
    let record = Record::deserialize(record).map_err(|why| why.to_string())?;
    // Minor versions only add (S3 User Guide: notification-content-structure).
    if record.event_version.split('.').next() != Some("2") {
        return Err(format!("event version {} is not 2.x", record.event_version));
    }
    let at = Timestamp::parse(&record.event_time).ok_or("its eventTime is no time")?;
    let bucket = Bucket::try_from(record.s3.bucket.name).map_err(|why| why.to_string())?;
    let key = Key::from_event(&record.s3.object.key).map_err(|why| why.to_string())?;
    let version = record.s3.object.version_id.ok_or("it has no versionId")?;
    let version = VersionId::try_from(version).map_err(|why| why.to_string())?;
    let data = record.replication_event_data;
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    Ok(Failure {
        bucket,
        key,
        version,
        at,
        reason: Reason::parse(text("failureReason").unwrap_or_default()),
        destination: text("destinationBucket").and_then(destination),
        rule: text("replicationRuleId").map(str::to_owned),
        operation: text("s3Operation").map(str::to_owned),
    })
}

/// The bucket of `arn:aws:s3:::bucket`, or of a bare name. A failure whose destination cannot be read
/// is a failure all the same.
fn destination(text: &str) -> Option<Bucket> {
    let name = text.rsplit(':').next()?;
    Bucket::try_from(name.to_owned()).ok()
}

#[cfg(test)]
#[path = "failure/tests.rs"]
mod tests;
