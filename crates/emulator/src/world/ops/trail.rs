//! What CloudTrail tells of a bucket's configuration: one management event a change, on the default
//! bus, some time later, and only where a trail exists (S3 User Guide: cloudtrail-logging-s3-info).
//!
//! Object calls are data events and are not told. Of calls that were refused, those are told that would
//! have changed a replication.

use serde_json::{Map, Value, json};

use crate::world::bus::{self, BusEvent};
use crate::world::notification::stamp::iso_seconds;
use crate::world::{Refusal, Task, World};

/// Tells of a call that was refused.
pub(super) fn record_refused(
    world: &mut World,
    call: &str,
    bucket: &str,
    marker: &str,
    refusal: &Refusal,
) {
    let error = Some((refusal.code.as_str(), refusal.message.as_str()));
    tell(world, call, parameters(bucket, &world.config.region, marker, None), error);
}

/// Tells of one call. `marker` is the sub-resource of the query; `body` is what the call carried, by
/// the name of its outermost element.
pub(super) fn record(
    world: &mut World,
    call: &str,
    bucket: &str,
    marker: &str,
    body: Option<(&str, Value)>,
) {
    let parameters = parameters(bucket, &world.config.region, marker, body);
    tell(world, call, parameters, None);
}

fn tell(
    world: &mut World,
    call: &str,
    parameters: Map<String, Value>,
    error: Option<(&str, &str)>,
) {
    if !world.config.trail {
        return;
    }
    let (account, region) = (world.config.account.clone(), world.config.region.clone());
    let mut detail = json!({
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": format!("arn:aws:sts::{account}:assumed-role/admin/someone"),
            "accountId": account,
        },
        "eventTime": iso_seconds(world.now()),
        "eventSource": "s3.amazonaws.com",
        "eventName": call,
        "awsRegion": region,
        "sourceIPAddress": "127.0.0.1",
        "requestParameters": parameters,
        "responseElements": null,
        "additionalEventData": {},
        "requestID": world.rng.token(16).to_uppercase(),
        "eventID": world.rng.uuid(),
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": account,
    });
    if let (Some((code, message)), Some(detail)) = (error, detail.as_object_mut()) {
        detail.insert("errorCode".to_owned(), code.into());
        detail.insert("errorMessage".to_owned(), message.into());
    }
    let event = BusEvent {
        bus: bus::DEFAULT.to_owned(),
        id: world.rng.uuid(),
        source: "aws.s3".into(),
        detail_type: "AWS API Call via CloudTrail".into(),
        account,
        region,
        time: world.now(),
        detail,
        resources: Vec::new(),
    };
    world.later(world.config.trail_delay, Task::BusEvent(event));
}

/// `requestParameters`: the bucket, its host, the empty sub-resource marker, and the body.
fn parameters(
    bucket: &str,
    region: &str,
    marker: &str,
    body: Option<(&str, Value)>,
) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("bucketName".into(), bucket.into());
    parameters.insert("Host".into(), format!("{bucket}.s3.{region}.amazonaws.com").into());
    if !marker.is_empty() {
        parameters.insert(marker.into(), "".into());
    }
    if let Some((name, value)) = body {
        parameters.insert(name.into(), value);
    }
    parameters
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::Arc;

    use crate::world::bucket::Versioning;
    use crate::world::ops::bucket::{create, put_replication, put_versioning};
    use crate::world::replication::rules::{ReplicationConfig, Rule};
    use crate::world::{Config, Task, World};

    /// What is told of a configuration with so many rules.
    fn told(rules: i32, trail: bool) -> Vec<serde_json::Value> {
        let mut world = World::new(Config { trail, ..Config::default() });
        for name in ["src", "dst"] {
            create(&mut world, name, "111122223333", "us-east-1").unwrap();
            put_versioning(&mut world, name, Versioning::Enabled).unwrap();
        }
        let rule = |at: i32| Arc::new(Rule::to_bucket(&format!("r{at}"), at, "dst"));
        let config =
            ReplicationConfig { role: "role".into(), rules: (0..rules).map(rule).collect() };
        put_replication(&mut world, "src", Some(config)).unwrap();
        let tasks = world.agenda.iter().map(|(_, task)| match task {
            Task::BusEvent(event) => event.detail.clone(),
            other => panic!("{other:?}"),
        });
        tasks.filter(|detail| detail["eventName"] == "PutBucketReplication").collect()
    }

    #[test]
    fn one_rule_is_an_object_and_several_are_an_array() {
        for (rules, pointer) in [(1, "/Rule/Destination/Bucket"), (2, "/Rule/1/Destination/Bucket")]
        {
            let events = told(rules, true);
            let parameters = &events.first().unwrap()["requestParameters"];
            assert_eq!(parameters["bucketName"], "src");
            let config = &parameters["ReplicationConfiguration"];
            assert_eq!(config.pointer(pointer).unwrap(), "arn:aws:s3:::dst", "{config}");
        }
    }

    #[test]
    fn without_a_trail_nothing_is_told() {
        assert!(told(1, false).is_empty());
    }
}
