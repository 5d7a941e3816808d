#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod law;
mod watch;

use std::collections::BTreeSet;

use super::{Config, Configuration, Destination, Rule};
use crate::backfill::ObjectStatus::{self, Completed, Failed, None as Never, Replica};
use crate::backfill::Scope;
use crate::key::Bucket;
use crate::limits::{CONFIG_SETTLES_MS, Limits};
use crate::time::Timestamp;

const FRESH: [ObjectStatus; 3] = [Never, Failed, Replica];
const MOVED: [ObjectStatus; 4] = [Never, Failed, Completed, Replica];
const T0: Timestamp = Timestamp(1_760_000_000_000);

/// A rule over everything, to the bucket `a`.
fn rule(id: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        enabled: true,
        priority: Some(1),
        prefix: String::new(),
        tags: [].into(),
        kms: false,
        replica_changes: false,
        delete_markers: false,
        destination: Destination { metrics: true, ..Destination::default() },
    }
    .to("a")
}

impl Rule {
    fn to(mut self, bucket: &str) -> Self {
        self.destination.bucket = format!("arn:aws:s3:::{bucket}");
        self
    }

    fn under(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }

    fn tagged(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    fn off(self) -> Self {
        Self { enabled: false, ..self }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

fn of(rules: &[Rule]) -> Configuration {
    Configuration::new("role", rules.to_vec())
}

fn bucket() -> Bucket {
    Bucket::try_from("source".to_owned()).unwrap()
}

/// A bucket in which this has long settled.
fn settled(configuration: Configuration) -> Config {
    Config { acted: Some(configuration), ..Config::new(&bucket()) }
}

/// Reads a configuration until it has settled; gives what it asks for.
fn settle(config: &mut Config, new: &Configuration, at: Timestamp) -> Vec<(Scope, Vec<String>)> {
    let limits = Limits::default();
    config.saw(new.clone(), at, &limits);
    config.saw(new.clone(), at.plus_ms(CONFIG_SETTLES_MS), &limits);
    let owed = std::mem::take(&mut config.owed);
    owed.backfills.into_iter().map(|backfill| (backfill.scope, backfill.why)).collect()
}

/// The one job that a change asks for: its prefix, its statuses and why.
type Expected<'a> = Option<(&'a str, &'a [ObjectStatus], &'a [&'a str])>;

#[track_caller]
fn check(what: &str, old: &[Rule], new: &[Rule], expected: Expected<'_>) {
    let planned = settle(&mut settled(of(old)), &of(new), T0);
    let expected = expected.map(|(prefix, statuses, why)| {
        let scope = Scope {
            statuses: statuses.iter().copied().collect(),
            prefix: Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()),
            created_before: Some(T0.plus_ms(CONFIG_SETTLES_MS)),
        };
        (scope, why.iter().map(|why| (*why).to_owned()).collect::<Vec<_>>())
    });
    assert_eq!(planned, Vec::from_iter(expected), "{what}");
}

#[test]
fn rules_that_are_new_or_wider() {
    let logs = || rule("logs").under("logs/");
    let new = ["rule logs is new"];
    check("a rule is new", &[], &[logs()], Some(("logs/", &FRESH, &new)));
    let other = || rule("media").under("media/").to("b");
    check("beside another", &[other()], &[logs(), other()], Some(("logs/", &FRESH, &new)));
    let again = ["rule logs is enabled again"];
    check("enabled again", &[logs().off()], &[logs()], Some(("logs/", &FRESH, &again)));
    for (what, old, new, prefix, why) in [
        ("a shorter prefix", logs().under("logs/2026/"), logs(), "logs/", "logs/"),
        ("no prefix", logs(), rule("logs"), "", "everything"),
        ("no tag", logs().tagged("t", "1"), logs(), "logs/", "logs/"),
        (
            "fewer tags",
            logs().tagged("t", "1").tagged("u", "2"),
            logs().tagged("t", "1"),
            "logs/",
            "what is tagged t=1 under logs/",
        ),
        (
            "KMS",
            logs().with(|rule| rule.destination.key = Some("key".into())),
            logs().with(|rule| {
                rule.destination.key = Some("key".into());
                rule.kms = true;
            }),
            "logs/",
            "objects encrypted with KMS",
        ),
        (
            "the key that KMS lacked",
            logs().with(|rule| rule.kms = true),
            logs().with(|rule| {
                rule.destination.key = Some("key".into());
                rule.kms = true;
            }),
            "logs/",
            "objects encrypted with KMS",
        ),
        (
            "markers",
            logs(),
            logs().with(|rule| rule.delete_markers = true),
            "logs/",
            "delete markers",
        ),
    ] {
        let why = format!("rule logs now also takes {why}");
        check(what, &[old], &[new], Some((prefix, &FRESH, &[&why])));
    }
    let changes = ["rule logs now also takes changes of replicas"];
    let synchronised = logs().with(|rule| rule.replica_changes = true);
    check("replicas", &[logs()], &[synchronised], Some(("logs/", &[Failed, Replica], &changes)));
    let moved = ["rule logs takes data/ instead of logs/"];
    check("elsewhere", &[logs()], &[logs().under("data/")], Some(("data/", &FRESH, &moved)));
}

#[test]
fn destinations_that_are_new() {
    let logs = || rule("logs").under("logs/");
    let copy = || rule("copy").under("logs/").to("b");
    let too = ["what rule logs takes goes to b too, by rule copy"];
    check("a second one", &[logs()], &[logs(), copy()], Some(("logs/", &MOVED, &too)));
    let replaced = ["destination a of rule logs is replaced by b"];
    check("another one", &[logs()], &[logs().to("b")], Some(("logs/", &MOVED, &replaced)));
    let replaced = ["destination a of rule logs is replaced by b, by rule copy"];
    check("by another rule", &[logs()], &[copy()], Some(("logs/", &MOVED, &replaced)));
    let part = ["rule copy is new"];
    let all = || copy().under("");
    check("over more than what went to a", &[logs()], &[logs(), all()], Some(("", &MOVED, &part)));
    let both = ["rule logs is enabled again"];
    check(
        "enabled again where another one went on",
        &[logs().off(), copy()],
        &[logs(), copy()],
        Some(("logs/", &MOVED, &both)),
    );
    check(
        "what overlaps another one only where it was before",
        &[logs().under("logs/b/"), copy().under("logs/b/")],
        &[logs(), copy().under("logs/b/")],
        Some(("logs/", &FRESH, &["rule logs now also takes logs/"])),
    );
    check(
        "tags that nothing can have both of",
        &[logs().tagged("t", "1")],
        &[logs().tagged("t", "1"), copy().tagged("t", "2")],
        Some(("logs/", &FRESH, &["rule copy is new"])),
    );
}

#[test]
fn changes_that_bring_no_version_anywhere_new() {
    let logs = || rule("logs").under("logs/");
    let copy = || rule("copy").under("logs/").to("b");
    let cases: [(&str, Vec<Rule>, Vec<Rule>); 13] = [
        ("nothing", vec![logs(), copy()], vec![logs(), copy()]),
        ("another order", vec![logs(), copy()], vec![copy(), logs()]),
        ("a rule is gone", vec![logs(), copy()], vec![copy()]),
        ("all are gone", vec![logs(), copy()], vec![]),
        ("narrower", vec![logs()], vec![logs().under("logs/2026/")]),
        ("a tag more", vec![logs()], vec![logs().tagged("t", "1")]),
        ("disabled", vec![logs()], vec![logs().off()]),
        ("renamed", vec![logs()], vec![rule("protocols").under("logs/")]),
        ("new, and disabled", vec![], vec![logs().off()]),
        ("wider, and disabled", vec![logs().off()], vec![rule("logs").off()]),
        ("split in two", vec![rule("all")], vec![rule("a").under("a"), rule("b").under("b")]),
        (
            "other priorities",
            vec![logs(), rule("all")],
            vec![logs().with(|rule| rule.priority = Some(9)), rule("all")],
        ),
        (
            "class, key, owner, account, metrics, RTC",
            vec![logs()],
            vec![logs().with(|rule| {
                rule.destination.storage_class = Some("STANDARD_IA".into());
                rule.destination.key = Some("key".into());
                rule.destination.account = Some("444455556666".into());
                rule.destination.owner = true;
                rule.destination.metrics = false;
                rule.destination.timed = true;
            })],
        ),
    ];
    for (what, old, new) in cases {
        check(what, &old, &new, None);
    }
}

#[test]
fn a_destination_that_was_replaced_in_two_steps_is_as_new_as_in_one() {
    let logs = rule("logs").under("logs/");
    let mut config = settled(of(&[logs]));
    assert_eq!(settle(&mut config, &of(&[]), T0), []);
    let [(scope, _)] = &settle(&mut config, &of(&[rule("x").to("b")]), T0.plus_ms(1))[..] else {
        panic!("one job");
    };
    assert_eq!(scope.statuses, MOVED.into());
    // And the one that it was comes back to versions that only b has.
    let both = of(&[rule("x").to("b"), rule("logs").under("logs/")]);
    let planned = settle(&mut config, &both, T0.plus_ms(2));
    assert_eq!(planned[0].0.statuses, MOVED.into());
}

#[test]
fn what_rules_lose_is_said_and_asks_for_nothing() {
    let old = of(&[rule("a").under("a/"), rule("b"), rule("c"), rule("d")]);
    let new = of(&[rule("a").under("a/1"), rule("b").off(), rule("c").tagged("t", "1")]);
    let changes = super::diff::changes(&old, &new, &[]);
    assert!(changes.iter().all(|change| change.wanted.is_none()));
    let said: Vec<String> = changes.into_iter().flat_map(|change| change.said).collect();
    let expected = [
        "rule a takes only a/1 now",
        "rule b is disabled",
        "rule c takes only what is tagged t=1 now",
        "rule d is gone",
    ];
    assert_eq!(said, expected);
}

#[test]
fn several_changes_are_one_job_where_nothing_else_would_be_listed() {
    let old = [rule("a").under("a/")];
    let new = [rule("a").under("a/").to("b"), rule("c").under("c/")];
    let planned = settle(&mut settled(of(&old)), &of(&new), T0);
    let [(scope, why)] = &planned[..] else { panic!("{planned:?}") };
    assert_eq!((scope.prefix.as_deref(), &scope.statuses), (None, &MOVED.into()));
    assert_eq!(why[..], ["destination a of rule a is replaced by b", "rule c is new"]);
}

#[test]
fn a_thousand_rules_are_one_job_or_a_few() {
    let thousand = |change: &dyn Fn(usize, Rule) -> Rule| {
        let rules =
            (0..1_000).map(|n| change(n, rule(&format!("r{n}")).under(&format!("{n:03}/"))));
        of(&rules.collect::<Vec<_>>())
    };
    let old = thousand(&|_, rule| rule);
    let all_moved = thousand(&|_, rule| rule.to("b"));
    let planned = settle(&mut settled(old.clone()), &all_moved, T0);
    assert_eq!(planned.len(), 1);
    assert_eq!((planned[0].0.prefix.as_deref(), planned[0].1.len()), (None, 20));
    let one_moved = thousand(&|n, rule| if n == 500 { rule.to("b") } else { rule });
    let planned = settle(&mut settled(old.clone()), &one_moved, T0);
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0].0.prefix.as_deref(), Some("500/"));
    let half_moved = thousand(&|n, rule| if n % 2 == 0 { rule.to("b") } else { rule });
    assert_eq!(settle(&mut settled(old), &half_moved, T0).len(), 1);
    // All on one prefix, told apart by tags, and each of them at another destination than before.
    let tagged = |shift: usize| {
        let rules = (0..1_000).map(|n| {
            let destination = format!("replica-{}", (n + shift) % 28);
            rule(&format!("r{n}")).tagged("n", &n.to_string()).to(&destination)
        });
        of(&rules.collect::<Vec<_>>())
    };
    let mut config = settled(tagged(0));
    for shift in 1..4 {
        let at = T0.plus_ms(shift as u64);
        assert_eq!(settle(&mut config, &tagged(shift), at)[0].0.statuses, MOVED.into());
    }
    assert_eq!(config.past.len(), 28, "past a thousand, they are whole buckets");
}

#[test]
fn a_configuration_is_read_as_it_was_written() {
    let full = rule("logs").tagged("t", "1").with(|rule| {
        rule.destination.key = Some("key".into());
        rule.kms = true;
    });
    let mut config = settled(of(&[full, rule("b").to("b")]));
    settle(&mut config, &of(&[rule("b")]), T0);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
}

fn statuses(backfill: &crate::backfill::Backfill) -> &BTreeSet<ObjectStatus> {
    &backfill.scope.statuses
}
