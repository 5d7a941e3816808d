//! The events of a job's life, as a CloudTrail trail hands them to the bus (S3 User Guide: tracking an S3
//! Batch Operations job in Amazon EventBridge through AWS CloudTrail). Without a trail there is silence.

use serde_json::json;

use super::{Job, Status, places};
use crate::world::bus::{self, BusEvent};
use crate::world::notification::stamp::iso_seconds;
use crate::world::{Task, World};

/// Moves a job into a state and tells the bus, `config.trail_delay` later.
pub(super) fn enter(world: &mut World, id: &str, status: Status) {
    let now = world.now();
    let Some(job) = world.jobs.jobs.get_mut(id) else {
        return;
    };
    world.jobs.places.leave(job);
    job.status = status;
    if status.is_terminal() {
        job.terminated = Some(now);
        job.run = None;
        job.due = None;
    }
    world.jobs.places.take(job);
    tell(world, id, "JobStatusChanged");
    places::wake(world);
}

/// Tells the bus of a job's state.
pub(super) fn tell(world: &mut World, id: &str, name: &str) {
    if !world.config.trail {
        return;
    }
    let (envelope, event_id) = (world.rng.uuid(), world.rng.uuid());
    let job_event_id = world.rng.uuid().replace('-', "");
    let now = world.now();
    let Some(job) = world.jobs.jobs.get(id) else {
        return;
    };
    let account = world.config.account.clone();
    let region = world.config.region.clone();
    let detail = json!({
        "eventVersion": "1.05",
        "userIdentity": { "accountId": account, "invokedBy": "s3.amazonaws.com" },
        "eventTime": iso_seconds(now),
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "s3.amazonaws.com",
        "userAgent": "s3.amazonaws.com",
        "eventID": event_id,
        "readOnly": false,
        "eventType": "AwsServiceEvent",
        "serviceEventDetails": {
            "jobId": job.id,
            "jobArn": job.arn,
            "status": job.status.name(),
            "jobEventId": job_event_id,
            "failureCodes": codes(job),
            "statusChangeReason": job.status_update_reason.iter().collect::<Vec<_>>(),
        },
    });
    let event = BusEvent {
        bus: bus::DEFAULT.to_owned(),
        id: envelope,
        source: "aws.s3".into(),
        detail_type: "AWS Service Event via CloudTrail".into(),
        account,
        region,
        time: now,
        detail,
        resources: Vec::new(),
    };
    world.later(world.config.trail_delay, Task::BusEvent(event));
}

fn codes(job: &Job) -> Vec<&'static str> {
    job.failures.iter().map(|failure| failure.code).collect()
}
