//! Which rules an object version meets: enabled rules whose filter fits, of each destination the one
//! with the highest priority, all destinations together (S3 User Guide: replication configuration file
//! elements). Permissions are not looked at here.

use std::sync::Arc;

use super::rules::{Filter, ReplicationConfig, Rule};
use crate::world::object::{Encryption, Version};

/// Who asks for the replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A write: a replica goes on only where replica modifications are synchronised.
    Live {
        /// The version is a replica, whatever its status says at the moment.
        replica: bool,
    },
    /// A batch job: replicas go on too.
    Batch,
}

/// The storage classes that S3 does not replicate from.
const ARCHIVED: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// The rules that apply to `version`, one a destination, in the order of the configuration.
pub(crate) fn select(
    config: &ReplicationConfig,
    key: &str,
    version: &Version,
    mode: Mode,
) -> Vec<Arc<Rule>> {
    if ARCHIVED.contains(&&*version.storage_class) {
        return Vec::new();
    }
    let mut chosen: Vec<Arc<Rule>> = Vec::new();
    for rule in config.rules.iter().filter(|rule| wants(rule, key, version, mode)) {
        let rival =
            chosen.iter_mut().find(|other| other.destination.bucket == rule.destination.bucket);
        match rival {
            Some(other) if other.priority < rule.priority => *other = Arc::clone(rule),
            Some(_) => {}
            None => chosen.push(Arc::clone(rule)),
        }
    }
    chosen
}

fn wants(rule: &Rule, key: &str, version: &Version, mode: Mode) -> bool {
    rule.enabled
        && key.starts_with(rule.filter.prefix())
        && if version.is_delete_marker() {
            wants_marker(rule) && !is_by_lifecycle(version)
        } else {
            wants_object(rule, version)
        }
        && (mode != Mode::Live { replica: true } || rule.replica_modifications == Some(true))
}

/// What a lifecycle rule made is not replicated (S3 User Guide: replicating delete markers between buckets).
fn is_by_lifecycle(version: &Version) -> bool {
    version.extra.as_ref().is_some_and(|extra| extra.by_lifecycle)
}

/// V1 rules replicate delete markers, V2 rules only when told to, tag rules never.
fn wants_marker(rule: &Rule) -> bool {
    match rule.delete_markers {
        Some(enabled) => enabled && !rule.filter.is_tagged(),
        None => !rule.filter.is_v2(),
    }
}

fn wants_object(rule: &Rule, version: &Version) -> bool {
    let has = |key: &String, value: &String| version.tags.get(key) == Some(value);
    let tagged = match &rule.filter {
        Filter::Tag(key, value) => has(key, value),
        Filter::And { tags, .. } => tags.iter().all(|(key, value)| has(key, value)),
        _ => true,
    };
    let opted_in = match version.encryption {
        Encryption::Kms { .. } => {
            rule.sse_kms == Some(true) && rule.destination.kms_key().is_some()
        }
        _ => true,
    };
    tagged && opted_in
}
