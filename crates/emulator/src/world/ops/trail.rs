//! What CloudTrail tells of a bucket's configuration: one management event a change, on the default
//! bus, some time later, and only where a trail exists (S3 User Guide: cloudtrail-logging-s3-info).
//!
//! Object calls are data events and are not told. Neither are calls that were refused.

use serde_json::{Map, Value, json};

use crate::world::bus::BusEvent;
use crate::world::notification::stamp::iso_seconds;
use crate::world::{Task, World};

/// Tells of one call. `marker` is the sub-resource of the query; `body` is what the call carried, by
/// the name of its outermost element.
pub(super) fn record(
    world: &mut World,
    call: &str,
    bucket: &str,
    marker: &str,
    body: Option<(&str, Value)>,
) {
    if !world.config.trail {
        return;
    }
    let (account, region) = (world.config.account.clone(), world.config.region.clone());
    let mut parameters = Map::new();
    parameters.insert("bucketName".into(), bucket.into());
    parameters.insert("Host".into(), format!("{bucket}.s3.{region}.amazonaws.com").into());
    parameters.insert(marker.into(), "".into());
    if let Some((name, value)) = body {
        parameters.insert(name.into(), value);
    }
    let detail = json!({
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
    let event = BusEvent {
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
