//! What CloudTrail tells of a bucket's configuration: one management event a change (S3 User Guide:
//! cloudtrail-logging-s3-info), as [`crate::world::trail`] tells of any call.
//!
//! Object calls are data events and are not told. Of calls that were refused, those are told that would
//! have changed a replication.

use serde_json::{Map, Value};

use crate::world::trail::tell;
use crate::world::{Refusal, World};

/// Tells of a call that was refused.
pub(super) fn record_refused(
    world: &mut World,
    call: &str,
    bucket: &str,
    marker: &str,
    refusal: &Refusal,
) {
    let parameters = parameters(bucket, &world.config.region, marker, None);
    tell(world, "s3", call, parameters, Some(refusal));
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
    tell(world, "s3", call, parameters, None);
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
        let config = ReplicationConfig {
            role: "arn:aws:iam::111122223333:role/r".into(),
            rules: (0..rules).map(rule).collect(),
        };
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
