//! The law of backfills: what is newly wanted somewhere is asked for, and nothing is asked for where
//! nothing is. Random configurations, and of a small key space every version there can be; what is
//! wanted is worked out here once more, version by version.

use super::*;
use crate::backfill::Backfill;
use crate::time::days;

#[derive(Debug)]
struct Version {
    key: String,
    tags: Vec<(&'static str, &'static str)>,
    kms: bool,
    marker: bool,
    replica: bool,
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn rule(&mut self, n: usize) -> Rule {
        let prefixes = ["", "", "a", "b", "aa", "ab", "ba"];
        let mut new = rule(&format!("r{n}")).under(prefixes[self.below(7) as usize]);
        new = new.to(["a", "a", "b", "c"][self.below(4) as usize]);
        if self.once_in(3) {
            new = new.tagged("t", ["1", "2"][self.below(2) as usize]);
        }
        if self.once_in(4) {
            new = new.tagged("u", "1");
        }
        new.enabled = !self.once_in(4);
        new.kms = self.once_in(2);
        new.destination.key = self.once_in(2).then(|| "key".to_owned());
        new.delete_markers = new.tags.is_empty() && self.once_in(2);
        new.replica_changes = self.once_in(3);
        new
    }

    /// One that differs from another a little, or altogether.
    fn configuration(&mut self, from: Option<&Configuration>) -> Configuration {
        let mut rules = match from {
            Some(from) if !self.once_in(4) => from.rules.clone(),
            _ => (0..self.below(5) as usize).map(|n| self.rule(n)).collect(),
        };
        for _ in 0..self.below(3) {
            let n = self.below(6) as usize;
            let other = self.rule(n);
            rules.retain(|rule| rule.id != other.id);
            if !self.once_in(4) {
                rules.push(other);
            }
        }
        of(&rules)
    }
}

/// Every version there can be: keys of three letters, one of which no prefix has.
fn versions() -> Vec<Version> {
    let mut keys = vec![String::new()];
    for at in 0..13 {
        for letter in ["a", "b", "c"] {
            keys.push(format!("{}{letter}", keys[at]));
        }
    }
    let mut versions = Vec::new();
    for key in keys.into_iter().skip(1) {
        for n in 0..32_u8 {
            let mut tags = Vec::new();
            tags.extend((n & 1 > 0).then_some(("t", if n & 2 > 0 { "1" } else { "2" })));
            tags.extend((n & 4 > 0).then_some(("u", "1")));
            let (kms, replica) = (n & 8 > 0, n & 16 > 0);
            versions.push(Version { key: key.clone(), tags, kms, marker: false, replica });
        }
        for replica in [false, true] {
            versions.push(Version {
                key: key.clone(),
                tags: vec![],
                kms: false,
                marker: true,
                replica,
            });
        }
    }
    versions
}

fn wants(rule: &Rule, version: &Version) -> bool {
    let carried =
        |(key, value): (&String, &String)| version.tags.iter().any(|(k, v)| k == key && v == value);
    let kind = match (version.marker, version.kms) {
        (true, _) => rule.delete_markers && rule.tags.is_empty(),
        (false, true) => rule.kms && rule.destination.key.is_some(),
        (false, false) => true,
    };
    rule.enabled && kind && version.key.starts_with(&rule.prefix) && rule.tags.iter().all(carried)
}

/// Where a version is to be, and where its changes are to go if it is a replica.
fn wanted(configuration: &Configuration, version: &Version) -> BTreeSet<(String, bool)> {
    let rules = configuration.rules.iter().filter(|rule| wants(rule, version));
    let mut wanted = BTreeSet::new();
    for rule in rules {
        wanted.insert((rule.destination.bucket.clone(), false));
        // Markers have no metadata that changes.
        if version.replica && !version.marker && rule.replica_changes {
            wanted.insert((rule.destination.bucket.clone(), true));
        }
    }
    wanted
}

/// The statuses that a version may have which misses a copy at a destination.
fn possible(version: &Version, misses: &str, ever: &[Configuration]) -> BTreeSet<ObjectStatus> {
    let went: BTreeSet<String> = (ever.iter().flat_map(|all| wanted(all, version)))
        .filter(|(_, changes)| !version.replica || *changes)
        .map(|(destination, _)| destination)
        .collect();
    let mut possible = BTreeSet::from([if version.replica { Replica } else { Never }]);
    possible.extend((!went.is_empty()).then_some(Failed));
    possible.extend(went.iter().any(|other| other != misses).then_some(Completed));
    possible
}

/// What is missing after the last of `ever` was replaced by `new`: versions and their statuses.
fn missing<'a>(
    versions: &'a [Version],
    since: &[Configuration],
    ever: &[Configuration],
    new: &Configuration,
) -> Vec<(&'a Version, BTreeSet<ObjectStatus>)> {
    let mut missing = Vec::new();
    for version in versions {
        let had: Vec<_> = since.iter().map(|old| wanted(old, version)).collect();
        for pair in wanted(new, version) {
            if had.iter().any(|had| !had.contains(&pair)) {
                missing.push((version, possible(version, &pair.0, ever)));
            }
        }
    }
    missing
}

fn lists(backfill: &Backfill, version: &Version, status: ObjectStatus) -> bool {
    let prefix = backfill.scope.prefix.as_deref().unwrap_or_default();
    version.key.starts_with(prefix) && statuses(backfill).contains(&status)
}

fn holds(
    missing: &[(&Version, BTreeSet<ObjectStatus>)],
    planned: &[Backfill],
    case: &str,
) -> usize {
    for (version, statuses) in missing {
        for status in statuses {
            let asked = planned.iter().any(|backfill| lists(backfill, version, *status));
            assert!(asked, "{case}: {status:?} of {version:?} is not asked for in {planned:#?}");
        }
    }
    for backfill in planned {
        for wanted in statuses(backfill) {
            // A rule is over FAILED and REPLICA whether there are any or not.
            let any = missing.iter().any(|(version, statuses)| {
                let status =
                    if *wanted == Completed { Completed } else { *statuses.first().unwrap() };
                let prefix = backfill.scope.prefix.as_deref().unwrap_or_default();
                version.key.starts_with(prefix) && statuses.contains(&status)
            });
            assert!(any, "{case}: nobody misses {wanted:?} of {backfill:#?}");
        }
    }
    planned.len()
}

#[test]
fn what_is_newly_wanted_is_asked_for_and_nothing_else() {
    let versions = versions();
    let (mut asked, mut empty) = (0, 0);
    for seed in 0..600 {
        let mut chance = Chance(seed);
        let first = chance.configuration(None);
        let (mut config, mut ever) = (settled(first.clone()), vec![first]);
        let mut now = T0;
        for step in 0..4 {
            let mut since: Vec<_> = config.acted.iter().cloned().collect();
            let limits = Limits {
                bucket_objects: [1_000, 10_000_000][chance.below(2) as usize],
                ..Limits::default()
            };
            for _ in 0..chance.below(3) {
                let passing = chance.configuration(since.last());
                config.saw(passing.clone(), now, &limits);
                since.push(passing);
                now = now.plus_ms(1_000);
            }
            let new = chance.configuration(since.last());
            // What was replicated by the new one itself went wherever it is to be.
            since.retain(|old| *old != new);
            ever.extend(since.iter().cloned());
            for _ in 0..2 {
                config.saw(new.clone(), now, &limits);
                now = now.plus_ms(CONFIG_SETTLES_MS);
            }
            assert_eq!(config.acted.as_ref(), Some(&new));
            let planned = std::mem::take(&mut config.owed).backfills;
            let missing = missing(&versions, &since, &ever, &new);
            match holds(&missing, &planned, &format!("seed {seed}, step {step}")) {
                0 => empty += 1,
                more => asked += more,
            }
            ever.push(new);
            now = now.plus_ms(days(1));
        }
    }
    assert!(
        asked > 1_000 && empty > 200,
        "{asked} were asked for, {empty} changes asked for nothing"
    );
}
