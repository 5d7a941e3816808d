#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain(ObjectVersion);

impl Row for Plain {
    fn id(&self) -> &ObjectVersion {
        &self.0
    }
}

fn row(key: &str, version: &str) -> Plain {
    Plain(ObjectVersion {
        key: Key::try_from(key.to_owned()).unwrap(),
        version: VersionId::try_from(version.to_owned()).unwrap(),
    })
}

fn run(of: &str) -> Vec<Plain> {
    of.split_whitespace().map(|key| row(key, "v")).collect()
}

fn check(algebra: Algebra, runs: &[&str], expected: &str) {
    let combined = algebra.combine(runs.iter().map(|of| run(of)).collect()).unwrap();
    assert_eq!(combined, run(expected), "{algebra:?} of {runs:?}");
}

#[test]
fn the_algebra_is_that_of_sets() {
    check(Algebra::Union, &["a c", "b c d"], "a b c d");
    check(Algebra::Minus, &["a b c d", "b", "d e"], "a c");
    check(Algebra::Intersect, &["a b c", "b c d", "0 c"], "c");
    check(Algebra::Intersect, &["a", ""], "");
    check(Algebra::Union, &[], "");
}

#[test]
fn keys_are_ordered_by_bytes_and_versions_after_them() {
    let sorted =
        vec![row("a", "2"), row("a b", "1"), row("a/b", "1"), row("aé", "1"), row("b", "0")];
    assert_eq!(Algebra::Union.combine(vec![sorted.clone()]).unwrap(), sorted);
}

#[test]
fn a_run_out_of_order_is_named_not_merged() {
    let disorder = Algebra::Union.combine(vec![run("a c b"), run("a")]);
    assert_eq!(disorder.unwrap_err(), row("b", "v").0);
}

#[test]
fn a_group_waits_for_the_page_that_may_go_on_with_it() {
    let mut merge = Merge::new(1);
    assert_eq!(merge.poll(), Step::Need(0));
    merge.push(0, run("a"));
    assert_eq!(merge.poll(), Step::Need(0), "the next page may hold another row of a");
    merge.push(0, run("a b"));
    assert_eq!(merge.poll(), Step::Group(vec![(0, row("a", "v")), (0, row("a", "v"))]));
    assert_eq!(merge.poll(), Step::Need(0));
    merge.push(0, Vec::new());
    assert_eq!(merge.poll(), Step::Group(vec![(0, row("b", "v"))]));
    assert_eq!(merge.poll(), Step::Done);
}

/// Against the standard library's sets, over many small random runs and page sizes.
#[test]
fn any_runs_in_any_pages_combine_as_sets_do() {
    let mut seed = 7u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    for _ in 0..300 {
        let sets: Vec<BTreeSet<u64>> =
            (0..1 + below(4)).map(|_| (0..below(12)).map(|_| below(15)).collect()).collect();
        let runs: Vec<Vec<Plain>> = sets
            .iter()
            .map(|set| set.iter().map(|n| row(&format!("{n:02}"), "v")).collect())
            .collect();
        let expect = |keep: &dyn Fn(u64) -> bool| -> Vec<Plain> {
            (0..15).filter(|n| keep(*n)).map(|n| row(&format!("{n:02}"), "v")).collect()
        };
        let union = expect(&|n| sets.iter().any(|set| set.contains(&n)));
        let minus =
            expect(&|n| sets[0].contains(&n) && !sets[1..].iter().any(|set| set.contains(&n)));
        let both = expect(&|n| sets.iter().all(|set| set.contains(&n)));
        assert_eq!(Algebra::Union.combine(runs.clone()).unwrap(), union);
        assert_eq!(Algebra::Minus.combine(runs.clone()).unwrap(), minus);
        assert_eq!(Algebra::Intersect.combine(runs.clone()).unwrap(), both);
    }
}
