//! A segment: the failures of one batch of events, for one bucket, as a sorted run without repeats.
//! It is written once, folded once and deleted. It judges nothing: a failure is only put in its place.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::entry::{Blame, optional};
use crate::failure::Event;
use crate::key::Bucket;
use crate::reason::Reason;
use crate::run::{Corrupt, Fields, ObjectVersion, Row};
use crate::time::Timestamp;

/// What an event said about a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// It failed to replicate.
    Failed,
    /// S3 no longer tracks it: only its status tells.
    NotTracked,
}

/// One row of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureRow {
    /// Which version.
    pub id: ObjectVersion,
    /// What was said.
    pub said: Said,
    /// Why and where it failed, and when.
    pub blame: Blame,
}

impl Row for FailureRow {
    fn id(&self) -> &ObjectVersion {
        &self.id
    }
}

impl FailureRow {
    /// The row as a line, line end included.
    pub fn line(&self) -> String {
        let said = match self.said {
            Said::Failed => "failed",
            Said::NotTracked => "not-tracked",
        };
        let Blame { reason, destination, at } = &self.blame;
        let destination = destination.as_ref().map_or("", Bucket::as_str);
        let reason = crate::entry::escape(reason.as_str());
        format!(
            "{},{},{said},{at},{reason},{destination}\n",
            self.id.key.to_manifest(),
            self.id.version
        )
    }

    /// Reads a line back.
    pub fn decode(line: &str) -> Result<Self, Corrupt> {
        let mut fields = Fields::of(line);
        let id = fields.id()?;
        let said = match fields.text()? {
            "failed" => Said::Failed,
            "not-tracked" => Said::NotTracked,
            _ => return Err(fields.complain("neither failed nor not-tracked")),
        };
        let at = Timestamp::parse(fields.text()?).ok_or_else(|| fields.complain("not a time"))?;
        let reason = Reason::parse(&crate::entry::unescape(fields.text()?));
        let destination = optional(fields.text()?, |text| Bucket::try_from(text.to_owned()).ok())
            .map_err(|()| fields.complain("not a bucket"))?;
        Ok(Self { id, said, blame: Blame { reason, destination, at } })
    }
}

/// One segment, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The bucket whose versions failed.
    pub bucket: Bucket,
    /// The earliest failure in it.
    pub first: Timestamp,
    /// Rows in it.
    pub rows: u64,
    /// The run.
    pub bytes: Vec<u8>,
}

impl Segment {
    /// 16 hex digits of its content: the same events give the same name, so that a batch delivered
    /// again writes the same object.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.bytes)).chars().take(16).collect()
    }
}

type Place = (ObjectVersion, Said, Reason, Option<Bucket>);

/// Gathers events into segments, one a bucket.
#[derive(Debug, Default)]
pub struct Gathering {
    buckets: BTreeMap<Bucket, BTreeMap<Place, Timestamp>>,
    /// Missed and regained 15-minute thresholds seen: a metric, nothing to heal.
    pub thresholds: u64,
    /// Events of other kinds seen: the queue is wired to more than it should be.
    pub others: u64,
}

impl Gathering {
    /// Takes one event. Of repeats of the same failure the latest stays.
    pub fn add(&mut self, event: Event) {
        let (said, failure) = match event {
            Event::Failed(failure) => (Said::Failed, failure),
            Event::NotTracked(failure) => (Said::NotTracked, failure),
            Event::MissedThreshold | Event::ReplicatedAfterThreshold => {
                self.thresholds += 1;
                return;
            }
            Event::Other(_) => {
                self.others += 1;
                return;
            }
        };
        let id = ObjectVersion { key: failure.key, version: failure.version };
        let place = (id, said, failure.reason, failure.destination);
        let latest = self.buckets.entry(failure.bucket).or_default().entry(place).or_default();
        *latest = failure.at.max(*latest);
    }

    /// The segments of what was gathered, in order of bucket.
    pub fn segments(self) -> Vec<Segment> {
        self.buckets.into_iter().map(|(bucket, places)| segment(bucket, places)).collect()
    }
}

fn segment(bucket: Bucket, places: BTreeMap<Place, Timestamp>) -> Segment {
    let first = places.values().copied().min().unwrap_or_default();
    let rows = places.len() as u64;
    let mut bytes = Vec::new();
    for ((id, said, reason, destination), at) in places {
        let row = FailureRow { id, said, blame: Blame { reason, destination, at } };
        bytes.extend_from_slice(row.line().as_bytes());
    }
    Segment { bucket, first, rows, bytes }
}
