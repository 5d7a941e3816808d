//! A small world for tests: a source, two destinations, a state bucket, a queue that hears of every
//! failure, and the two roles.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::rules::{ReplicationConfig, Rule};
use crate::world::bucket::Versioning;
use crate::world::iam::Role;
use crate::world::jobs::operation::Operation;
use crate::world::jobs::request::{Filter, Generator, Manifest, Output, Report, Request, Source};
use crate::world::jobs::{self, Job};
use crate::world::notification::{self, Entry, NotificationConfig};
use crate::world::object::{ReplicationStatus, Version};
use crate::world::{Config, World, ops, queue};

pub(crate) const REPLICATION_ROLE: &str = "arn:aws:iam::111122223333:role/rep";
pub(crate) const JOB_ROLE: &str = "arn:aws:iam::111122223333:role/job";
pub(crate) const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
pub(crate) const REPLICA_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/replica";

pub(crate) struct Lab {
    pub(crate) world: World,
    queue: String,
}

/// One row of a result file: key text, version id, `succeeded` or `failed`, HTTP status, code.
pub(crate) type ReportRow = [String; 5];

impl Lab {
    /// A world with one rule from `src` to `dst`.
    pub(crate) fn new() -> Self {
        let mut world = World::new(Config::default());
        for name in ["src", "dst", "dst2", "state"] {
            let (owner, region) = (world.config.account.clone(), world.config.region.clone());
            ops::bucket::create(&mut world, name, &owner, &region).unwrap();
            world.buckets.get_mut(name).unwrap().versioning = Versioning::Enabled;
        }
        world.iam.put(Role::replication(REPLICATION_ROLE, "src", &["dst", "dst2"]));
        world.iam.put(Role::batch(JOB_ROLE, "src", "state"));
        world.kms.create(SOURCE_KEY);
        world.kms.create(REPLICA_KEY);
        let queue = queue::create(&mut world, "failures", 30_000, None).unwrap();
        let config = NotificationConfig {
            entries: vec![Entry::queue("failures", &queue, &["s3:Replication:*"])],
            event_bridge: false,
        };
        notification::set(&mut world, "src", config, true).unwrap();
        let mut lab = Self { world, queue };
        lab.rules(vec![Rule::to_bucket("r1", 1, "dst")]);
        lab
    }

    /// Replaces the rules, unchecked.
    pub(crate) fn rules(&mut self, rules: Vec<Rule>) {
        let rules = rules.into_iter().map(Arc::new).collect();
        self.world.buckets.get_mut("src").unwrap().replication =
            Some(ReplicationConfig { role: REPLICATION_ROLE.into(), rules });
    }

    /// Writes an object into `src` and returns its version id.
    pub(crate) fn put(&mut self, key: &str) -> String {
        self.put_in("src", key)
    }

    pub(crate) fn put_in(&mut self, bucket: &str, key: &str) -> String {
        let body = Bytes::from(format!("body of {key}"));
        ops::put::store(&mut self.world, bucket, key, body, "text/plain").unwrap();
        self.world.buckets[bucket].keys[key][0].id.to_string()
    }

    /// Lets everything happen that is to happen.
    pub(crate) fn settle(&mut self) {
        while let Some(due) = self.world.next_due() {
            self.world.advance_to(due);
        }
    }

    pub(crate) fn version(&self, bucket: &str, key: &str, id: &str) -> Option<&Version> {
        super::find(&self.world, bucket, key, id)
    }

    pub(crate) fn status(&self, key: &str, id: &str) -> Option<ReplicationStatus> {
        self.version("src", key, id).unwrap().replication
    }

    /// Denies the replication role an action.
    pub(crate) fn deny(&mut self, action: &str) {
        assert!(self.world.iam.deny(REPLICATION_ROLE, action, &[action], &["*"]));
    }

    pub(crate) fn allow_again(&mut self, action: &str) {
        assert!(self.world.iam.revoke(REPLICATION_ROLE, action));
    }

    /// The records that have reached the queue since the last call.
    pub(crate) fn records(&mut self) -> Vec<Value> {
        let messages = queue::receive(&mut self.world, &self.queue, 100_000, None).unwrap();
        messages
            .into_iter()
            .map(|(message, receipt)| {
                queue::remove(&mut self.world, &self.queue, &receipt).unwrap();
                serde_json::from_str::<Value>(&message.body).unwrap()["Records"][0].take()
            })
            .collect()
    }

    /// The failure reasons that have reached the queue since the last call.
    pub(crate) fn reasons(&mut self) -> Vec<String> {
        let text = |record: Value| {
            record["replicationEventData"]["failureReason"].as_str().unwrap_or_default().to_owned()
        };
        self.records().into_iter().map(text).collect()
    }

    /// A request for a job over a manifest with these lines.
    pub(crate) fn request(&mut self, lines: &str) -> Request {
        let body = Bytes::from(lines.to_owned());
        let etag =
            ops::put::store(&mut self.world, "state", "manifest.csv", body, "text/csv").unwrap();
        Request {
            operation: Operation::Replicate,
            confirmation_required: false,
            report: Report {
                enabled: true,
                bucket: Some("arn:aws:s3:::state".into()),
                format: Some("Report_CSV_20180820".into()),
                prefix: Some("reports".into()),
                scope: Some("AllTasks".into()),
                expected_owner: None,
            },
            token: self.world.now().to_string() + &etag,
            source: Source::Manifest(Manifest {
                format: "S3BatchOperations_CSV_20180820".into(),
                fields: ["Bucket", "Key", "VersionId"].map(str::to_owned).to_vec(),
                object: "arn:aws:s3:::state/manifest.csv".into(),
                version_id: None,
                etag,
            }),
            description: Some("plan".into()),
            priority: 10,
            role: JOB_ROLE.into(),
            tags: Vec::new(),
        }
    }

    /// A request for a job over what S3 finds itself.
    pub(crate) fn generated(&mut self, statuses: &[&str]) -> Request {
        let generator = Generator {
            expected_owner: None,
            bucket: "arn:aws:s3:::src".into(),
            output: Some(Output {
                expected_owner: None,
                bucket: "arn:aws:s3:::state".into(),
                prefix: Some("generated".into()),
                format: "S3InventoryReport_CSV_20211130".into(),
                encryption: None,
            }),
            filter: Filter {
                eligible: Some(true),
                statuses: statuses.iter().map(|it| (*it).to_owned()).collect(),
                ..Filter::default()
            },
            keep: true,
        };
        Request { source: Source::Generator(Box::new(generator)), ..self.request("") }
    }

    /// Creates a job, lets it end, and returns its id.
    pub(crate) fn run(&mut self, request: Request) -> String {
        let id = jobs::create(&mut self.world, request).unwrap();
        self.settle();
        id
    }

    pub(crate) fn job(&self, id: &str) -> &Job {
        self.world.jobs.job(id).unwrap()
    }

    /// The text of an object in `state`.
    pub(crate) fn text(&self, key: &str) -> String {
        let version = ops::get::current(&self.world, "state", key).unwrap();
        let pieces = &version.content.as_ref().unwrap().body.pieces;
        String::from_utf8(pieces.concat()).unwrap()
    }

    /// The completion report's manifest, `None` if there is no report.
    pub(crate) fn report(&self, id: &str) -> Option<Value> {
        let key = format!("reports/job-{id}/manifest.json");
        self.world.buckets["state"].keys.get(&key)?;
        Some(serde_json::from_str(&self.text(&key)).unwrap())
    }

    /// All rows of a job's report, in order of their keys.
    pub(crate) fn rows(&self, id: &str) -> Vec<ReportRow> {
        let report = self.report(id).unwrap();
        let mut rows = Vec::new();
        for file in report["Results"].as_array().unwrap() {
            let text = self.text(file["Key"].as_str().unwrap());
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            for record in reader.records() {
                let record = record.unwrap();
                rows.push([1, 2, 3, 4, 5].map(|at| record[at].to_owned()));
            }
        }
        rows.sort();
        rows
    }
}
