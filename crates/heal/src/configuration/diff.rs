//! What changed between two configurations, rule by rule as a person would say it, and what it makes
//! newly wanted.
//!
//! | change | replicated by a job |
//! |---|---|
//! | a rule is new, or enabled again | its region: NONE, FAILED, REPLICA |
//! | a filter is wider (a shorter prefix, fewer tags, objects under KMS, delete markers) | the rule's region: NONE, FAILED, REPLICA |
//! | replica modifications are on | the rule's region: FAILED, REPLICA |
//! | a destination is new, or replaced by another one | the rule's region: COMPLETED too |
//! | a rule is gone, narrower, disabled, renamed; its priority, storage class, key, owner, metrics or RTC differ; the order differs | nothing |
//!
//! COMPLETED is asked for by what is known of other destinations, not by the kind of change: a rule
//! that is new over a prefix that goes to another bucket already is a new destination.

use std::collections::{BTreeMap, BTreeSet};

use super::cover::{Cover, Region};
use super::{Configuration, Rule};
use crate::backfill::ObjectStatus;

/// What was done to one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What a person would say of it, one clause each.
    pub said: Vec<String>,
    /// What has to be replicated because of it.
    pub wanted: Option<Wanted>,
}

/// Versions that are newly wanted somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Under this prefix.
    pub prefix: String,
    /// Of these statuses.
    pub statuses: BTreeSet<ObjectStatus>,
}

/// What changed from one configuration to another. `known` is what else there was of covers, before
/// or between them.
pub fn changes(from: &Configuration, to: &Configuration, known: &[Cover]) -> Vec<Change> {
    let before = from.covers();
    let known: Vec<Cover> = before.iter().chain(known).cloned().collect();
    let paired = pairs(from, to);
    let mut changes = Vec::new();
    for (rule, old) in to.rules.iter().zip(&paired) {
        let said = match old {
            Some(old) => altered(old, rule),
            None => appeared(rule, from, to),
        };
        let wanted = rule.cover().and_then(|cover| wanted(&cover, &before, &known));
        if !said.is_empty() || wanted.is_some() {
            changes.push(Change { said, wanted });
        }
    }
    let stayed: BTreeSet<&str> = paired.iter().flatten().map(|rule| rule.id.as_str()).collect();
    let gone = from.rules.iter().filter(|rule| !stayed.contains(rule.id.as_str()));
    changes.extend(
        gone.map(|rule| Change { said: vec![format!("rule {} is gone", rule.id)], wanted: None }),
    );
    changes
}

fn wanted(cover: &Cover, before: &[Cover], known: &[Cover]) -> Option<Wanted> {
    let newly = cover.newly(before);
    let statuses = || cover.statuses(&newly, before, known);
    (!newly.is_empty())
        .then(|| Wanted { prefix: cover.region.prefix.clone(), statuses: statuses() })
}

/// For each rule of `to`, the one that it was: of the same id, or the same in all but the id.
fn pairs<'a>(from: &'a Configuration, to: &Configuration) -> Vec<Option<&'a Rule>> {
    let by_id: BTreeMap<&str, &Rule> =
        from.rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    let taken: BTreeSet<&str> = to.rules.iter().map(|rule| rule.id.as_str()).collect();
    let mut renamed: BTreeMap<Rule, Vec<&Rule>> = BTreeMap::new();
    for rule in from.rules.iter().filter(|rule| !taken.contains(rule.id.as_str())) {
        renamed.entry(nameless(rule)).or_default().push(rule);
    }
    let was = |rule: &Rule| {
        let same = by_id.get(rule.id.as_str()).copied();
        same.or_else(|| renamed.get_mut(&nameless(rule)).and_then(Vec::pop))
    };
    to.rules.iter().map(was).collect()
}

fn nameless(rule: &Rule) -> Rule {
    Rule { id: String::new(), ..rule.clone() }
}

/// What is said of a rule that was not there.
fn appeared(rule: &Rule, from: &Configuration, to: &Configuration) -> Vec<String> {
    let Rule { id, destination, .. } = rule;
    if !rule.enabled {
        return vec![format!("rule {id} is new and disabled")];
    }
    let twin = from.enabled().find(|other| {
        other.region() == rule.region() && other.destination.bucket != destination.bucket
    });
    let Some(twin) = twin else {
        return vec![format!("rule {id} is new")];
    };
    let stays = to.enabled().any(|other| {
        other.region() == twin.region() && other.destination.bucket == twin.destination.bucket
    });
    let (was, is) = (twin.destination.name(), destination.name());
    vec![match stays {
        true => format!("what rule {} takes goes to {is} too, by rule {id}", twin.id),
        false => format!("destination {was} of rule {} is replaced by {is}, by rule {id}", twin.id),
    }]
}

/// What is said of a rule that differs from what it was. What alters no version's destinations is
/// not worth a word.
fn altered(old: &Rule, new: &Rule) -> Vec<String> {
    let id = &new.id;
    let mut said = Vec::new();
    match (old.enabled, new.enabled) {
        (true, false) => return vec![format!("rule {id} is disabled")],
        (false, true) => said.push(format!("rule {id} is enabled again")),
        (false, false) => return said,
        (true, true) => {}
    }
    if old.destination.bucket != new.destination.bucket {
        let (was, is) = (old.destination.name(), new.destination.name());
        said.push(format!("destination {was} of rule {id} is replaced by {is}"));
    }
    let (was, is) = (old.region(), new.region());
    if was != is {
        said.push(match (is.contains(&was), was.contains(&is)) {
            (true, _) => format!("rule {id} now also takes {}", words(&is)),
            (_, true) => format!("rule {id} takes only {} now", words(&is)),
            _ => format!("rule {id} takes {} instead of {}", words(&is), words(&was)),
        });
    }
    let kinds = [
        (old.takes_kms(), new.takes_kms(), "objects encrypted with KMS"),
        (old.delete_markers, new.delete_markers, "delete markers"),
        (old.replica_changes, new.replica_changes, "changes of replicas"),
    ];
    said.extend(kinds.into_iter().filter(|(was, is, _)| was != is).map(|(_, is, what)| match is {
        true => format!("rule {id} now also takes {what}"),
        false => format!("rule {id} no longer takes {what}"),
    }));
    said
}

fn words(region: &Region) -> String {
    let tags: Vec<String> =
        region.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    match (region.prefix.as_str(), tags.is_empty()) {
        ("", true) => "everything".to_owned(),
        (prefix, true) => prefix.to_owned(),
        ("", false) => format!("what is tagged {}", tags.join(", ")),
        (prefix, false) => format!("what is tagged {} under {prefix}", tags.join(", ")),
    }
}
