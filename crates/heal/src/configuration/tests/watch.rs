//! When a configuration is believed, and what is told of it.

use super::*;
use crate::finding::{Code, Finding};
use crate::limits::{FINDING_GONE_MS, TRAIL_HEARD_MS};
use crate::notice::{Notice, NoticeFact};
use crate::time::{days, minutes};

fn at(minute: u64) -> Timestamp {
    T0.plus_ms(minutes(minute))
}

/// Reads these configurations, a minute each; gives what is owed in the end.
fn reads(config: &mut Config, reads: &[(u64, &Configuration)]) -> Vec<Vec<String>> {
    for (minute, read) in reads {
        config.saw((*read).clone(), at(*minute), &Limits::default());
    }
    let owed = std::mem::take(&mut config.owed);
    owed.backfills.into_iter().map(|backfill| backfill.why).collect()
}

fn found(notices: &[Notice]) -> Vec<(&str, &str)> {
    let facts = notices.iter().map(|notice| &notice.fact);
    let words = facts.filter_map(|fact| match fact {
        NoticeFact::Found { code, what, .. } => Some((code.as_str(), what.as_str())),
        _ => None,
    });
    words.collect()
}

#[test]
fn the_first_configuration_plans_nothing_and_is_told() {
    let rules = of(&[rule("logs")]);
    let mut config = Config::new(&bucket());
    assert!(!config.saw(rules.clone(), at(0), &Limits::default()));
    assert_eq!(config.acted, None, "it has not settled");
    assert!(config.saw(rules, at(5), &Limits::default()));
    assert_eq!(config.owed.backfills, []);
    let told = found(&config.owed.notices);
    assert_eq!(
        told,
        [("history", "objects from before its rules are not replicated by themselves")]
    );
    assert!(!config.has_no_trail(at(10_000)), "nobody changed it");
    let mut config = Config::new(&bucket());
    assert_eq!(reads(&mut config, &[(0, &of(&[])), (5, &of(&[]))]), Vec::<Vec<String>>::new());
    assert_eq!(config.owed.notices, [], "nothing replicates, so nothing is missing");
    let planned = reads(&mut config, &[(10, &of(&[rule("logs")])), (15, &of(&[rule("logs")]))]);
    assert_eq!(planned, [["rule logs is new"]]);
}

#[test]
fn a_change_is_acted_on_once_it_was_read_again_unchanged() {
    let (old, new) = (of(&[]), of(&[rule("logs")]));
    let mut config = settled(old.clone());
    let nothing = Vec::<Vec<String>>::new();
    assert_eq!(reads(&mut config, &[(0, &new), (1, &new), (4, &new)]), nothing, "too early");
    assert_eq!(reads(&mut config, &[(5, &new)]), [["rule logs is new"]]);
    assert_eq!(reads(&mut config, &[(6, &new), (30, &new)]), nothing, "once");
    let mut stale = settled(old.clone());
    let planned = reads(&mut stale, &[(0, &new), (3, &old), (6, &new), (10, &new)]);
    assert_eq!(planned, nothing, "a stale answer starts it over");
    assert_eq!(reads(&mut stale, &[(11, &new)]), [["rule logs is new"]], "and it is still once");
    assert_eq!(stale.owed.notices, []);
}

#[test]
fn a_configuration_that_flaps_is_never_acted_on_and_one_that_came_back_has_left_a_gap() {
    let (on, off) = (of(&[rule("logs")]), of(&[rule("logs").off()]));
    let mut config = settled(on.clone());
    for minute in (0..120).step_by(4) {
        assert_eq!(
            reads(&mut config, &[(minute, &off), (minute + 2, &on)]),
            Vec::<Vec<String>>::new()
        );
    }
    assert_eq!(config.passed.len(), 2, "what passes again and again is kept once");
    let planned = reads(&mut config, &[(130, &on)]);
    assert_eq!(planned, [["rule logs is enabled again"]], "its versions were replicated by nobody");
    assert!(config.passed.is_empty() && config.candidate.is_none());
}

#[test]
fn two_at_once_decide_the_same() {
    let new = of(&[rule("logs")]);
    let mut config = settled(of(&[]));
    config.saw(new.clone(), at(0), &Limits::default());
    let mut other = config.clone();
    config.saw(new.clone(), at(5), &Limits::default());
    other.saw(new, at(7), &Limits::default());
    assert_eq!(config.owed, other.owed);
    assert_eq!(config.owed.backfills.len(), 1);
}

#[test]
fn a_change_that_no_event_tells_of_within_an_hour_means_that_there_is_no_trail() {
    let (old, new) = (of(&[]), of(&[rule("logs")]));
    let late = at(0).plus_ms(TRAIL_HEARD_MS);
    let mut silent = settled(old.clone());
    reads(&mut silent, &[(0, &new), (5, &new)]);
    assert!(!silent.has_no_trail(at(59)) && silent.has_no_trail(late));
    reads(&mut silent, &[(30, &old)]);
    assert!(silent.has_no_trail(late), "another change tells nothing new");
    silent.heard(at(90));
    assert!(!silent.has_no_trail(at(10_000)));
    for minute in [0, 20] {
        let mut heard = settled(old.clone());
        if minute == 0 {
            heard.heard(at(0));
        }
        reads(&mut heard, &[(10, &new)]);
        if minute > 0 {
            heard.heard(at(minute));
        }
        assert!(!heard.has_no_trail(at(10_000)), "an event came at minute {minute}");
    }
}

#[test]
fn a_finding_is_told_once_and_again_after_it_was_gone_for_a_while() {
    let finding = |subject: &str| Finding {
        code: Code::Metrics,
        subject: subject.to_owned(),
        what: format!("rule {subject} has no metrics"),
        remedy: "set them".to_owned(),
    };
    let (x, y) = (finding("x"), finding("y"));
    let mut config = settled(of(&[]));
    let mut told = |findings: &[&Finding], unread: &[Code], now: Timestamp| {
        let findings: Vec<Finding> = findings.iter().copied().cloned().collect();
        config.found(&findings, &unread.iter().copied().collect(), now);
        let notices = std::mem::take(&mut config.owed).notices;
        found(&notices).into_iter().map(|(_, what)| what.to_owned()).collect::<Vec<_>>()
    };
    let nothing = Vec::<String>::new();
    assert_eq!(told(&[&x], &[], at(0)), ["rule x has no metrics"]);
    assert_eq!(told(&[&x], &[], at(60)), nothing);
    assert_eq!(told(&[&x, &y], &[], at(70)), ["rule y has no metrics"]);
    assert_eq!(told(&[&y], &[], at(80)), nothing);
    assert_eq!(told(&[&x, &y], &[], at(90)), nothing, "it was only away for ten minutes");
    assert_eq!(told(&[&y], &[], at(100)), nothing);
    let later = at(100).plus_ms(FINDING_GONE_MS);
    assert_eq!(told(&[&y], &[], later), nothing);
    assert_eq!(told(&[&x, &y], &[], later.plus_ms(1)), ["rule x has no metrics"]);
    let unread = later.plus_ms(days(9));
    assert_eq!(told(&[], &[Code::Metrics], later.plus_ms(2)), nothing);
    assert_eq!(told(&[], &[Code::Metrics], unread), nothing);
    assert_eq!(told(&[&x, &y], &[], unread.plus_ms(1)), nothing, "nobody knew whether it was gone");
}

#[test]
fn findings_that_come_together_are_one_notice() {
    let findings: Vec<Finding> = (1..=9)
        .map(|n| Finding {
            code: Code::Metrics,
            subject: format!("r{n}"),
            what: format!("rule r{n} has no metrics"),
            remedy: String::new(),
        })
        .collect();
    let mut config = settled(of(&[]));
    config.found(&findings, &[].into(), at(0));
    let what = "rule r1 has no metrics; the same is true of r2, r3, r4, r5, r6 and 3 more";
    assert_eq!(found(&config.owed.notices), [("metrics", what)]);
    assert!(
        !config.looks(at(59), false) && config.looks(at(60), false) && config.looks(at(1), true)
    );
}
