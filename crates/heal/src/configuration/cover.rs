//! Which versions are to be where. An enabled rule covers a region (a prefix and tags) and some kinds
//! of versions for one destination; what is newly wanted is a pair (version, destination) that some
//! cover asks for now and none asked for before.
//!
//! Priorities are not looked at: they choose between rules of one destination, and either choice
//! brings the version there (S3 User Guide: replication configuration file elements).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Configuration, Rule};
use crate::backfill::ObjectStatus;
use crate::limits::COVERS_REMEMBERED_MAX;

/// What a rule may or may not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Objects that are not encrypted with KMS.
    Object,
    /// Objects that are.
    Kms,
    /// Delete markers that users made.
    Marker,
    /// Changed metadata of versions that are replicas themselves.
    ReplicaChange,
}

/// A part of the key space.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Region {
    /// What keys begin with.
    pub prefix: String,
    /// Tags that an object carries, all of them.
    pub tags: BTreeMap<String, String>,
}

/// What one destination gets by one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cover {
    /// The destination's ARN.
    pub destination: String,
    /// Of which part of the keys.
    pub region: Region,
    /// Which versions there.
    pub kinds: BTreeSet<Kind>,
}

impl Region {
    /// Whether everything in `other` is in here.
    ///
    /// No union of regions contains a region that none of them contains: a key that is the prefix
    /// itself is only in regions of shorter prefixes, and an object with no more tags than `other` asks
    /// for only in regions that ask for no more. So covers are compared one by one.
    pub fn contains(&self, other: &Self) -> bool {
        other.prefix.starts_with(&self.prefix)
            && self.tags.iter().all(|(key, value)| other.tags.get(key) == Some(value))
    }

    /// Whether something may be in both.
    pub fn meets(&self, other: &Self) -> bool {
        let differs = |(key, value)| other.tags.get(key).is_some_and(|theirs| theirs != value);
        (self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix))
            && !self.tags.iter().any(differs)
    }

    /// What is in both, of two that meet.
    fn overlap(&self, other: &Self) -> Self {
        let longer = if self.prefix.len() > other.prefix.len() { self } else { other };
        let tags = self.tags.iter().chain(&other.tags);
        let tags = tags.map(|(key, value)| (key.clone(), value.clone())).collect();
        Self { prefix: longer.prefix.clone(), tags }
    }
}

impl Rule {
    /// Its region.
    pub fn region(&self) -> Region {
        Region { prefix: self.prefix.clone(), tags: self.tags.clone() }
    }

    /// What it covers; nothing if it is disabled.
    pub fn cover(&self) -> Option<Cover> {
        let takes = [
            (Kind::Object, true),
            (Kind::Kms, self.takes_kms()),
            (Kind::Marker, self.delete_markers && self.tags.is_empty()),
            (Kind::ReplicaChange, self.replica_changes),
        ];
        let kinds = takes.into_iter().filter_map(|(kind, takes)| takes.then_some(kind)).collect();
        let destination = self.destination.bucket.clone();
        self.enabled.then(|| Cover { destination, region: self.region(), kinds })
    }
}

impl Configuration {
    /// What it covers.
    pub fn covers(&self) -> Vec<Cover> {
        self.rules.iter().filter_map(Rule::cover).collect()
    }
}

impl Cover {
    fn holds(&self, destination: &str, kind: Kind, region: &Region) -> bool {
        self.destination == destination
            && self.kinds.contains(&kind)
            && self.region.contains(region)
    }

    fn contains(&self, other: &Self) -> bool {
        self.destination == other.destination
            && self.kinds.is_superset(&other.kinds)
            && self.region.contains(&other.region)
    }

    /// The kinds of versions that `before` did not bring to the destination.
    pub fn newly(&self, before: &[Self]) -> BTreeSet<Kind> {
        let held = |kind: Kind| {
            before.iter().any(|cover| cover.holds(&self.destination, kind, &self.region))
        };
        self.kinds.iter().copied().filter(|kind| !held(*kind)).collect()
    }

    /// The statuses that the newly wanted versions of these kinds can have.
    ///
    /// * NONE and FAILED: nothing has brought them anywhere.
    /// * REPLICA: the bucket may be a destination itself, and what came in as a replica goes on by jobs
    ///   only (S3 User Guide: what is and isn't replicated). No configuration of *this* bucket says so;
    ///   the generator lists only what is there, and where there are none it costs nothing.
    /// * COMPLETED only where a cover that there was or is (`known`) may have brought them to another
    ///   destination: S3 keeps one status for all destinations. What overlaps it only where the
    ///   destination itself was covered `before` is there already.
    pub fn statuses(
        &self,
        newly: &BTreeSet<Kind>,
        before: &[Self],
        known: &[Self],
    ) -> BTreeSet<ObjectStatus> {
        let mut statuses = BTreeSet::from([ObjectStatus::Failed, ObjectStatus::Replica]);
        if newly.iter().any(|kind| *kind != Kind::ReplicaChange) {
            statuses.insert(ObjectStatus::None);
        }
        let ours: Vec<&Self> = before
            .iter()
            .filter(|cover| cover.destination == self.destination)
            .filter(|cover| cover.region.meets(&self.region))
            .collect();
        let elsewhere = known.iter().any(|other| {
            if other.destination == self.destination || !other.region.meets(&self.region) {
                return false;
            }
            let both = other.region.overlap(&self.region);
            newly
                .intersection(&other.kinds)
                .any(|kind| !ours.iter().any(|cover| cover.holds(&self.destination, *kind, &both)))
        });
        if elsewhere {
            statuses.insert(ObjectStatus::Completed);
        }
        statuses
    }
}

/// What there is to remember of covers that are no longer in force: without what others contain, and
/// without what `now` contains.
pub fn remember(mut covers: Vec<Cover>, now: &[Cover]) -> Vec<Cover> {
    covers.sort();
    covers.dedup();
    let mut kept: Vec<Cover> = Vec::new();
    for (at, cover) in covers.iter().enumerate() {
        let rivals = covers.iter().enumerate().filter(|(other, _)| *other != at);
        let contained = rivals.map(|(_, other)| other).any(|other| other.contains(cover))
            || now.iter().any(|other| other.contains(cover));
        if !contained {
            kept.push(cover.clone());
        }
    }
    if kept.len() > COVERS_REMEMBERED_MAX {
        // More than was: then a job also asks for COMPLETED where it need not have.
        for cover in &mut kept {
            cover.region = Region::default();
            cover.kinds = [Kind::Object, Kind::Kms, Kind::Marker, Kind::ReplicaChange].into();
        }
        kept.sort();
        kept.dedup();
        kept.truncate(COVERS_REMEMBERED_MAX);
    }
    kept
}
