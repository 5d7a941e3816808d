#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::configuration::{Destination, Rule};

fn rule(id: &str) -> Rule {
    let destination = Destination {
        bucket: "arn:aws:s3:::replica".into(),
        metrics: true,
        ..Destination::default()
    };
    Rule {
        id: id.to_owned(),
        enabled: true,
        priority: None,
        prefix: String::new(),
        tags: [].into(),
        kms: false,
        replica_changes: false,
        delete_markers: false,
        destination,
    }
}

/// A bucket about which there is nothing to say.
fn sight(rules: Vec<Rule>) -> Sight {
    Sight {
        bucket: Bucket::try_from("source".to_owned()).unwrap(),
        state_bucket: "state".into(),
        configuration: Some(Configuration::new("role", rules)),
        denied: None,
        no_trail: false,
        versioned: Reading::Is(true),
        lifecycle: Reading::Is(Vec::new()),
        tierings: Reading::Is(Vec::new()),
        kms: Reading::Is(false),
        destinations: vec![("replica".into(), Vec::new())],
    }
}

fn lifecycle(id: &str, expires: bool, class: &str) -> LifecycleRule {
    let moves_into = Some(class.to_owned()).filter(|class| !class.is_empty()).into_iter().collect();
    LifecycleRule { id: id.to_owned(), expires, moves_into }
}

fn names(sight: &Sight) -> Vec<String> {
    sight.findings().0.iter().map(Finding::name).collect()
}

#[test]
fn every_blind_spot_is_found_and_nothing_where_there_is_none() {
    assert_eq!(names(&sight(vec![rule("r")])), Vec::<String>::new());
    let spoil = |change: &dyn Fn(&mut Rule)| {
        let mut spoilt = rule("r");
        change(&mut spoilt);
        sight(vec![spoilt, rule("s")])
    };
    let seen = |change: &dyn Fn(&mut Sight)| {
        let mut seen = sight(vec![rule("r")]);
        change(&mut seen);
        seen
    };
    let moving = |class: &str| Reading::Is(vec![lifecycle("l", false, class)]);
    for (found, sight) in [
        ("metrics r", spoil(&|rule| rule.destination.metrics = false)),
        ("self r", spoil(&|rule| rule.destination.bucket = "arn:aws:s3:::state".into())),
        ("archived r", spoil(&|rule| rule.destination.storage_class = Some("GLACIER".into()))),
        ("trail source", seen(&|it| it.no_trail = true)),
        ("unversioned source", seen(&|it| it.versioned = Reading::Is(false))),
        ("no-rules source", sight(vec![])),
        (
            "lifecycle source",
            seen(&|it| it.lifecycle = Reading::Is(vec![lifecycle("l", true, "")])),
        ),
        ("lifecycle replica", seen(&|it| it.destinations[0].1 = vec![lifecycle("l", true, "")])),
        ("archived lifecycle rules of source", seen(&|it| it.lifecycle = moving("DEEP_ARCHIVE"))),
        (
            "archived Intelligent-Tiering configurations of source",
            seen(&|it| it.tierings = Reading::Is(vec!["old".into()])),
        ),
        ("kms-opt-out r", seen(&|it| it.kms = Reading::Is(true))),
        ("self source", seen(&|it| it.state_bucket = "source".into())),
        (
            "unreadable s3:GetReplicationConfiguration",
            seen(&|it| {
                it.denied = Some("s3:GetReplicationConfiguration");
            }),
        ),
        (
            "unreadable s3:GetEncryptionConfiguration",
            seen(&|it| {
                it.kms = Reading::Denied("s3:GetEncryptionConfiguration");
            }),
        ),
    ] {
        assert_eq!(names(&sight), [found]);
        let (findings, _) = sight.findings();
        let text = format!("{}{}", findings[0].what, findings[0].remedy);
        assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
    }
    for sight in [
        spoil(&|rule| {
            rule.destination.metrics = false;
            rule.destination.timed = true;
        }),
        spoil(&|rule| {
            rule.destination.metrics = false;
            rule.enabled = false;
        }),
        spoil(&|rule| rule.destination.storage_class = Some("GLACIER_IR".into())),
        seen(&|it| it.lifecycle = Reading::Is(vec![lifecycle("l", false, "STANDARD_IA")])),
    ] {
        assert_eq!(names(&sight), Vec::<String>::new());
    }
}

#[test]
fn what_cannot_be_read_says_nothing_of_what_would_show_there() {
    let mut dark = sight(vec![rule("r")]);
    dark.configuration = None;
    dark.versioned = Reading::Unknown;
    dark.lifecycle = Reading::Denied("s3:GetLifecycleConfiguration");
    dark.kms = Reading::Unknown;
    let (findings, unread) = dark.findings();
    assert_eq!(findings.len(), 1);
    let judged = [Code::Trail, Code::History, Code::StateKms];
    assert!(judged.iter().all(|code| !unread.contains(code)));
    let all = [
        Code::NoRules,
        Code::Unversioned,
        Code::Metrics,
        Code::Lifecycle,
        Code::Archived,
        Code::KmsOptOut,
        Code::OwnState,
        Code::Unreadable,
    ];
    assert_eq!(unread, all.into());
}

#[test]
fn a_state_bucket_with_a_kms_default_is_told_of_and_stops_nothing() {
    let (findings, unread) = of_state("state", &Reading::Is(true));
    assert_eq!((findings[0].name().as_str(), unread.len()), ("state-kms state", 0));
    assert_eq!(of_state("state", &Reading::Is(false)), (vec![], [].into()));
    let unknown = of_state("state", &Reading::Unknown);
    assert_eq!(unknown, (vec![], [Code::StateKms, Code::Unreadable].into()));
}

#[test]
fn many_lifecycle_rules_are_one_finding() {
    let mut seen = sight(vec![rule("r")]);
    let rules = (0..9).map(|n| lifecycle(&format!("l{n}"), true, "")).collect();
    seen.lifecycle = Reading::Is(rules);
    let what = &seen.findings().0[0].what;
    let expected = "lifecycle rules l0, l1, l2, l3, l4 and 4 more of source expire delete markers or \
                    noncurrent versions";
    assert_eq!(what, expected);
}

#[test]
fn only_destinations_that_may_be_ours_are_read() {
    let to = |id: &str, bucket: &str, account: Option<&str>| {
        let mut rule = rule(id);
        rule.destination.bucket = format!("arn:aws-cn:s3:::{bucket}");
        rule.destination.account = account.map(str::to_owned);
        rule
    };
    let mut off = to("d", "off", None);
    off.enabled = false;
    let rules = vec![
        to("a", "ours", Some("111122223333")),
        to("b", "theirs", Some("444455556666")),
        to("c", "whose", None),
        off,
    ];
    let configuration = Configuration::new("role", rules);
    assert_eq!(destinations_of(&configuration, "111122223333"), ["ours", "whose"].into());
}
