//! One event record, and the message that carries it (S3 User Guide: event message structure, and
//! receiving replication failure events with Amazon S3 Event Notifications).

use std::sync::Arc;

use serde::Serialize;

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
    /// The metrics that followed it are gone.
    NotTracked,
}

impl Happening {
    /// `eventName`, without `s3:`.
    pub fn event_name(self) -> &'static str {
        match self {
            Self::Failed(_) => "Replication:OperationFailedReplication",
            Self::MissedThreshold => "Replication:OperationMissedThreshold",
            Self::CaughtUp => "Replication:OperationReplicatedAfterThreshold",
            Self::NotTracked => "Replication:OperationNotTracked",
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

impl Record {
    /// The ARN of the bucket that it is about.
    pub(super) fn source(&self) -> String {
        format!("arn:aws:s3:::{}", self.object.bucket)
    }

    /// The message: one record, as S3 sends them.
    pub fn message(&self) -> String {
        serde_json::to_string(&Message { records: [self.wire()] }).unwrap_or_default()
    }

    fn wire(&self) -> WireRecord<'_> {
        // Replication events name the service where ordinary ones name a caller.
        let (version, principal, address, request) = match &self.replication {
            Some(_) => ("2.2", "s3.amazonaws.com", "s3.amazonaws.com", self.request_id.clone()),
            None => ("2.1", "AWS:AIDARESILVERLOCAL", "127.0.0.1", self.short_request_id()),
        };
        WireRecord {
            event_version: version,
            event_source: "aws:s3",
            aws_region: &self.region,
            event_time: iso(self.time),
            event_name: &self.name,
            user_identity: Principal { principal_id: principal },
            request_parameters: Parameters { source_ip: address },
            response_elements: Elements { request_id: request, id_2: &self.host_id },
            s3: self.object.wire(&self.configuration),
            replication: self.replication.as_ref().map(ReplicationFacts::wire),
        }
    }

    /// The request id of an ordinary record: 16 hexadecimal digits.
    fn short_request_id(&self) -> String {
        self.request_id.replace('-', "").to_uppercase().chars().take(16).collect()
    }
}

impl ObjectFacts {
    fn wire<'a>(&'a self, configuration: &'a str) -> S3<'a> {
        S3 {
            schema: "1.0",
            configuration,
            bucket: BucketPart {
                name: &self.bucket,
                owner_identity: Principal { principal_id: &self.owner },
                arn: format!("arn:aws:s3:::{}", self.bucket),
            },
            object: ObjectPart {
                key: form_encoded(&self.key),
                size: self.content.as_ref().map(|content| content.body.len()),
                e_tag: self.content.as_ref().map(|content| content.etag.as_str()),
                version_id: &self.version_id,
                sequencer: format!("00{:016X}", self.sequence),
            },
        }
    }
}

impl ReplicationFacts {
    fn wire(&self) -> ReplicationPart<'_> {
        ReplicationPart {
            replication_rule_id: &self.rule,
            destination_bucket: &self.destination,
            s3_operation: self.operation,
            request_time: iso(self.requested),
            failure_reason: match self.happening {
                Happening::Failed(reason) => Some(reason.code()),
                Happening::MissedThreshold | Happening::CaughtUp | Happening::NotTracked => None,
            },
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "Records")]
    records: [WireRecord<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireRecord<'a> {
    event_version: &'static str,
    event_source: &'static str,
    aws_region: &'a str,
    event_time: String,
    event_name: &'a str,
    user_identity: Principal<'a>,
    request_parameters: Parameters,
    response_elements: Elements<'a>,
    s3: S3<'a>,
    #[serde(rename = "replicationEventData", skip_serializing_if = "Option::is_none")]
    replication: Option<ReplicationPart<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Principal<'a> {
    principal_id: &'a str,
}

#[derive(Serialize)]
struct Parameters {
    #[serde(rename = "sourceIPAddress")]
    source_ip: &'static str,
}

#[derive(Serialize)]
struct Elements<'a> {
    #[serde(rename = "x-amz-request-id")]
    request_id: String,
    #[serde(rename = "x-amz-id-2")]
    id_2: &'a str,
}

#[derive(Serialize)]
struct S3<'a> {
    #[serde(rename = "s3SchemaVersion")]
    schema: &'static str,
    #[serde(rename = "configurationId")]
    configuration: &'a str,
    bucket: BucketPart<'a>,
    object: ObjectPart<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BucketPart<'a> {
    name: &'a str,
    owner_identity: Principal<'a>,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectPart<'a> {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e_tag: Option<&'a str>,
    version_id: &'a str,
    sequencer: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplicationPart<'a> {
    replication_rule_id: &'a str,
    destination_bucket: &'a str,
    s3_operation: &'static str,
    request_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
}
