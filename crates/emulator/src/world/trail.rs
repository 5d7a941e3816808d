//! What CloudTrail tells of a call that changed something: one management event, on the default bus, some
//! time later, and only where a trail exists (EventBridge User Guide: eb-service-event-cloudtrail). IAM is
//! global, and tells of its calls in us-east-1 only.

use serde_json::{Map, Value, json};

use crate::world::bus::{self, BusEvent};
use crate::world::notification::stamp::iso_seconds;
use crate::world::{Refusal, Task, World};

/// Where IAM's events are.
const IAM_REGION: &str = "us-east-1";

/// Tells of one call to a service, `s3`, `kms` or `iam`; `refusal` where it was refused.
pub fn tell(
    world: &mut World,
    service: &str,
    call: &str,
    parameters: Map<String, Value>,
    refusal: Option<&Refusal>,
) {
    if !world.config.trail || (service == "iam" && world.config.region != IAM_REGION) {
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
        "eventSource": format!("{service}.amazonaws.com"),
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
    if let (Some(refusal), Some(detail)) = (refusal, detail.as_object_mut()) {
        detail.insert("errorCode".to_owned(), refusal.code.as_str().into());
        detail.insert("errorMessage".to_owned(), refusal.message.as_str().into());
    }
    let event = BusEvent {
        bus: bus::DEFAULT.to_owned(),
        id: world.rng.uuid(),
        source: format!("aws.{service}"),
        detail_type: "AWS API Call via CloudTrail".into(),
        account,
        region,
        time: world.now(),
        detail,
        resources: Vec::new(),
    };
    world.later(world.config.trail_delay, Task::BusEvent(event));
}

/// Tells of a call that changed something, by the names of its parameters; a call that only reads is no
/// management event that anybody waits for.
pub fn changed(world: &mut World, service: &str, call: &str, parameters: &[(&str, Option<&str>)]) {
    if ["Get", "List", "Describe"].iter().any(|reads| call.starts_with(reads)) {
        return;
    }
    let given = parameters.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?)));
    let given = given.map(|(name, value)| (name, Value::from(value)));
    tell(world, service, call, given.collect(), None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Config;

    /// The calls that a world of this kind tells of, of those made here.
    fn told(config: Config) -> Vec<String> {
        let mut world = World::new(config);
        for (service, call) in [
            ("iam", "PutRolePolicy"),
            ("iam", "GetRolePolicy"),
            ("kms", "EnableKey"),
            ("kms", "ListKeys"),
        ] {
            changed(&mut world, service, call, &[("roleName", Some("replication")), ("no", None)]);
        }
        let tasks = world.agenda.iter().filter_map(|(_, task)| match task {
            Task::BusEvent(event) => Some(&event.detail),
            _ => None,
        });
        let told = tasks.map(|it| {
            assert_eq!(it["requestParameters"], json!({"roleName": "replication"}));
            format!("{} {}", it["eventSource"], it["eventName"]).replace('"', "")
        });
        told.collect()
    }

    #[test]
    fn what_only_reads_is_not_told_and_iam_is_told_of_in_one_region() {
        let (role, key) = ("iam.amazonaws.com PutRolePolicy", "kms.amazonaws.com EnableKey");
        assert_eq!(told(Config::default()), [role, key]);
        assert_eq!(told(Config { region: "eu-central-1".into(), ..Config::default() }), [key]);
        assert!(told(Config { trail: false, ..Config::default() }).is_empty());
    }
}
