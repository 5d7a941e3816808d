#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::world::object::Retention;
use crate::world::ops::condition::WriteIf;
use crate::world::ops::{bucket, put};
use crate::world::{Config, ops};

fn rule() -> Rule {
    Rule {
        id: "r".into(),
        enabled: true,
        filter: Filter::default(),
        expiration: None,
        noncurrent: None,
        transitions: Vec::new(),
        noncurrent_transitions: Vec::new(),
        abort_days: None,
    }
}

fn world(rule: Rule) -> World {
    let mut world = World::new(Config::default());
    bucket::create(&mut world, "b", "111122223333", "us-east-1").unwrap();
    bucket::put_versioning(&mut world, "b", Versioning::Enabled).unwrap();
    validate(std::slice::from_ref(&rule)).unwrap();
    world.buckets.get_mut("b").unwrap().lifecycle = vec![rule];
    world
}

fn put(world: &mut World, key: &str, bytes: usize) {
    put::store(world, "b", key, vec![0; bytes].into(), "text/plain").unwrap();
}

fn days(world: &mut World, days: u64) {
    world.advance_to(world.now() + days * DAY);
}

#[test]
fn current_versions_expire_under_a_marker_and_the_lone_marker_goes_after_them() {
    let mut world = world(Rule {
        expiration: Some(Expiration::When(When::Days(3))),
        noncurrent: Some(Noncurrent { days: 2, keep: None }),
        ..rule()
    });
    put(&mut world, "k", 1);
    days(&mut world, 2);
    assert!(!world.buckets["b"].keys["k"][0].is_delete_marker());
    days(&mut world, 1);
    assert!(world.buckets["b"].keys["k"][0].is_delete_marker());
    days(&mut world, 2);
    assert_eq!(world.buckets["b"].keys["k"].len(), 1, "the version beneath is gone");
    days(&mut world, 1);
    assert!(world.buckets["b"].keys.is_empty(), "and then the marker");
}

#[test]
fn the_newest_noncurrent_versions_are_kept_and_replication_holds_the_others() {
    let mut world =
        world(Rule { noncurrent: Some(Noncurrent { days: 1, keep: Some(1) }), ..rule() });
    for _ in 0..4 {
        put(&mut world, "k", 1);
    }
    let held = &mut world.buckets.get_mut("b").unwrap().keys.get_mut("k").unwrap()[3];
    held.replication = Some(ReplicationStatus::Failed);
    days(&mut world, 2);
    let versions = &world.buckets["b"].keys["k"];
    assert_eq!(versions.len(), 3, "current, the one kept, the one that failed to replicate");
}

#[test]
fn small_objects_stay_in_their_class() {
    let mut world = world(Rule { transitions: vec![(When::Days(1), "GLACIER".into())], ..rule() });
    put(&mut world, "small", 10);
    put(&mut world, "large", 200_000);
    days(&mut world, 2);
    let class = |key: &str| world.buckets["b"].keys[key][0].storage_class.to_string();
    assert_eq!((class("small"), class("large")), ("STANDARD".into(), "GLACIER".into()));
}

#[test]
fn an_object_sinks_and_never_rises() {
    let due = |days, class: &str| (When::Days(days), class.to_owned());
    let transitions = vec![due(1, "GLACIER"), due(3, "GLACIER_IR"), due(9, "DEEP_ARCHIVE")];
    let mut world = world(Rule { transitions, ..rule() });
    put(&mut world, "k", 200_000);
    let mut seen = Vec::new();
    for _ in 0..12 {
        days(&mut world, 1);
        seen.push(world.buckets["b"].keys["k"][0].storage_class.to_string());
    }
    seen.dedup();
    assert_eq!(seen, ["GLACIER", "DEEP_ARCHIVE"]);
}

#[test]
fn what_is_locked_stays_until_the_lock_is_over() {
    let mut world = world(Rule { noncurrent: Some(Noncurrent { days: 1, keep: None }), ..rule() });
    put(&mut world, "k", 1);
    put(&mut world, "k", 2);
    let until = world.now() + 10 * DAY;
    let older = &mut world.buckets.get_mut("b").unwrap().keys.get_mut("k").unwrap()[1];
    older.extra().retention = Some(Retention { compliance: true, until });
    days(&mut world, 9);
    assert_eq!(world.buckets["b"].keys["k"].len(), 2);
    days(&mut world, 2);
    assert_eq!(world.buckets["b"].keys["k"].len(), 1);
}

#[test]
fn a_marker_alone_goes_at_the_next_midnight_only_where_it_is_asked_for() {
    for on in [true, false] {
        let mut world = world(Rule {
            expiration: Some(Expiration::ExpiredMarkers(on)),
            filter: Filter { prefix: Some("a/".into()), ..Filter::default() },
            ..rule()
        });
        ops::delete::key(&mut world, "b", "a/k", &WriteIf::default()).unwrap();
        ops::delete::key(&mut world, "b", "b/k", &WriteIf::default()).unwrap();
        days(&mut world, 1);
        let keys = &world.buckets["b"].keys;
        assert_eq!((keys.contains_key("a/k"), keys.contains_key("b/k")), (!on, true));
    }
}

/// Midnights at which nothing is due are passed over: the world must come out the same.
#[test]
fn a_long_jump_ends_where_many_small_ones_do() {
    let made = || {
        let mut world = world(Rule {
            expiration: Some(Expiration::When(When::Days(30))),
            noncurrent: Some(Noncurrent { days: 7, keep: Some(1) }),
            transitions: vec![(When::Days(10), "GLACIER".into())],
            ..rule()
        });
        for at in 0..6 {
            put(&mut world, &format!("k{}", at % 3), 200_000 + at);
            days(&mut world, 2);
        }
        world
    };
    let shown = |world: &World| format!("{:?}", world.buckets["b"].keys);
    for length in [5, 31, 45, 90] {
        let (mut one, mut many) = (made(), made());
        days(&mut one, length);
        (0..length).for_each(|_| days(&mut many, 1));
        assert_eq!(shown(&one), shown(&many), "after {length} days");
    }
}

#[test]
fn a_century_without_anything_to_do_is_one_step() {
    let mut world = world(Rule { expiration: Some(Expiration::When(When::Days(1))), ..rule() });
    for at in 0..200 {
        put(&mut world, &format!("k{at}"), 1);
    }
    days(&mut world, 36_500);
    assert!(world.buckets["b"].keys.values().all(|versions| versions[0].is_delete_marker()));
}
