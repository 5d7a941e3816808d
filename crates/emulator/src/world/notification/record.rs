//! One event record, and the message that carries it (S3 User Guide: event message structure, and
//! receiving replication failure events with Amazon S3 Event Notifications).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::stamp::{form_encoded, iso};
use crate::world::object::{Content, Version};
use crate::world::replication::Reason;
use crate::world::replication::rules::Rule;
use crate::world::{Millis, World};

/// What is to be told of a replication.
#[derive(Debug, Clone, Copy)]
pub struct ReplicationEvent<'a> {
    /// The source bucket.
    pub source: &'a str,
    /// The key.
    pub key: &'a str,
    /// The version at the source.
    pub version: &'a Version,
    /// The rule that was followed.
    pub rule: &'a Rule,
    /// `s3Operation`: what made S3 replicate.
    pub operation: &'static str,
    /// What happened.
    pub happening: Happening,
}

/// What happened to a replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It failed.
    Failed(Reason),
    /// It is not done after 15 minutes, under Replication Time Control.
    MissedThreshold,
    /// It was done after those 15 minutes.
    CaughtUp,
}

impl Happening {
    /// `eventName`, without `s3:`.
    pub fn event_name(self) -> &'static str {
        match self {
            Self::Failed(_) => "Replication:OperationFailedReplication",
            Self::MissedThreshold => "Replication:OperationMissedThreshold",
            Self::CaughtUp => "Replication:OperationReplicatedAfterThreshold",
        }
    }
}

/// An event that is on its way. Kept as facts, not as text: a hundred thousand may wait at a time.
#[derive(Debug)]
pub struct Record {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) time: Millis,
    pub(super) request_id: String,
    pub(super) host_id: String,
    pub(super) configuration: String,
    pub(super) object: ObjectFacts,
    pub(super) replication: Option<ReplicationFacts>,
}

/// What a record says of its object.
#[derive(Debug, Clone)]
pub(super) struct ObjectFacts {
    bucket: String,
    owner: String,
    key: String,
    version_id: Arc<str>,
    content: Option<Arc<Content>>,
    sequence: u64,
}

impl ObjectFacts {
    pub(super) fn of(world: &World, bucket: &str, key: &str, version: &Version) -> Self {
        Self {
            bucket: bucket.to_owned(),
            owner: world.buckets.get(bucket).map_or_else(String::new, |it| it.owner.clone()),
            key: key.to_owned(),
            version_id: Arc::clone(&version.id),
            content: version.content.clone(),
            sequence: version.sequence,
        }
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("key".into(), form_encoded(&self.key).into());
        if let Some(content) = &self.content {
            object.insert("size".into(), content.body.len().into());
            object.insert("eTag".into(), content.etag.clone().into());
        }
        object.insert("versionId".into(), (*self.version_id).into());
        object.insert("sequencer".into(), format!("00{:016X}", self.sequence).into());
        Value::Object(object)
    }
}

/// `replicationEventData`.
#[derive(Debug, Clone)]
pub(super) struct ReplicationFacts {
    pub(super) rule: String,
    pub(super) destination: String,
    pub(super) operation: &'static str,
    pub(super) requested: Millis,
    pub(super) happening: Happening,
}

impl ReplicationFacts {
    fn json(&self) -> Value {
        let mut data = json!({
            "replicationRuleId": self.rule,
            "destinationBucket": self.destination,
            "s3Operation": self.operation,
            "requestTime": iso(self.requested),
        });
        if let (Happening::Failed(reason), Some(data)) = (self.happening, data.as_object_mut()) {
            data.insert("failureReason".into(), reason.code().into());
        }
        data
    }
}

impl Record {
    /// The message: one record, as S3 sends them.
    pub fn message(&self) -> String {
        json!({ "Records": [self.json()] }).to_string()
    }

    fn json(&self) -> Value {
        // Replication events name the service where ordinary ones name a caller.
        let (version, principal, address, request) = match &self.replication {
            Some(_) => ("2.2", "s3.amazonaws.com", "s3.amazonaws.com", self.request_id.clone()),
            None => ("2.1", "AWS:AIDARESILVERLOCAL", "127.0.0.1", self.short_request_id()),
        };
        let object = &self.object;
        let mut record = json!({
            "eventVersion": version,
            "eventSource": "aws:s3",
            "awsRegion": self.region,
            "eventTime": iso(self.time),
            "eventName": self.name,
            "userIdentity": { "principalId": principal },
            "requestParameters": { "sourceIPAddress": address },
            "responseElements": { "x-amz-request-id": request, "x-amz-id-2": self.host_id },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": self.configuration,
                "bucket": {
                    "name": object.bucket,
                    "ownerIdentity": { "principalId": object.owner },
                    "arn": format!("arn:aws:s3:::{}", object.bucket),
                },
                "object": object.json(),
            },
        });
        if let (Some(facts), Some(fields)) = (&self.replication, record.as_object_mut()) {
            fields.insert("replicationEventData".into(), facts.json());
        }
        record
    }

    /// The request id of an ordinary record: 16 hexadecimal digits.
    fn short_request_id(&self) -> String {
        self.request_id.replace('-', "").to_uppercase().chars().take(16).collect()
    }
}
