//! How few jobs bring the newly wanted versions where they are wanted.
//!
//! S3 lists for one job what is under one prefix (S3 API Reference: KeyNameConstraint) or everywhere,
//! and takes the rules' own prefixes and tags into account; for every job it charges the job and a fee by
//! the objects of the whole bucket. So k prefixes are k jobs and k fees, or one job over what they have
//! in common, which also lists what *other* rules want and nobody asked for: versions from before those
//! rules, and, where COMPLETED is asked for, all that they have replicated. Each such row is paid for and
//! copied again. How many there are nobody says before S3 has listed them: where another rule reaches
//! between the prefixes, half of the bucket is assumed.

use super::Configuration;
use super::diff::Wanted;
use crate::limits::{
    BACKFILL_REASONS_MAX, JOB_MICRO_USD, LISTING_MICRO_USD_A_MILLION, ROW_MICRO_USD,
};

/// One job that has to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What S3 is asked to list.
    pub wanted: Wanted,
    /// Why.
    pub why: Vec<String>,
}

/// The cheapest jobs that list all that is asked for, in a bucket of so many objects.
pub fn cheapest(asked: Vec<Asked>, rules: &Configuration, bucket_objects: u64) -> Vec<Asked> {
    let mut jobs = fewest(apart(asked), rules, bucket_objects);
    for job in &mut jobs {
        shorten(&mut job.why);
    }
    jobs
}

fn fewest(jobs: Vec<Asked>, rules: &Configuration, bucket_objects: u64) -> Vec<Asked> {
    let Some(one) = together(&jobs) else { return jobs };
    let prefix = &one.wanted.prefix;
    let within = |inner: &str, outer: &str| inner.starts_with(outer);
    let others = rules.enabled().any(|rule| {
        (within(&rule.prefix, prefix) || within(prefix, &rule.prefix))
            && !jobs.iter().any(|job| within(&rule.prefix, &job.wanted.prefix))
    });
    let extra = if others { bucket_objects / 2 } else { 0 };
    let apart = cost(jobs.len() as u64, 0, bucket_objects);
    if cost(1, extra, bucket_objects) < apart { vec![one] } else { jobs }
}

/// What so many jobs cost, with so many rows that nobody asked for, in millionths of a dollar.
fn cost(jobs: u64, extra_rows: u64, bucket_objects: u64) -> u64 {
    let listing = bucket_objects.saturating_mul(LISTING_MICRO_USD_A_MILLION) / 1_000_000;
    let fees = jobs.saturating_mul(JOB_MICRO_USD.saturating_add(listing));
    fees.saturating_add(extra_rows.saturating_mul(ROW_MICRO_USD))
}

/// One job a prefix, where no prefix begins with another one.
fn apart(mut asked: Vec<Asked>) -> Vec<Asked> {
    asked.sort_by(|a, b| a.wanted.prefix.cmp(&b.wanted.prefix));
    let mut jobs: Vec<Asked> = Vec::new();
    for next in asked {
        match jobs.last_mut() {
            Some(job) if next.wanted.prefix.starts_with(&job.wanted.prefix) => join(job, next),
            _ => jobs.push(next),
        }
    }
    jobs
}

/// One job for all of them, if they are several.
fn together(jobs: &[Asked]) -> Option<Asked> {
    let (first, rest) = jobs.split_first()?;
    let mut one = first.clone();
    for job in rest {
        let common: String = (one.wanted.prefix.chars().zip(job.wanted.prefix.chars()))
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a)
            .collect();
        join(&mut one, job.clone());
        one.wanted.prefix = common;
    }
    (!rest.is_empty()).then_some(one)
}

fn join(job: &mut Asked, other: Asked) {
    job.wanted.statuses.extend(other.wanted.statuses);
    for why in other.why {
        if !job.why.contains(&why) {
            job.why.push(why);
        }
    }
}

fn shorten(why: &mut Vec<String>) {
    if why.len() > BACKFILL_REASONS_MAX {
        let more = why.len() - (BACKFILL_REASONS_MAX - 1);
        why.truncate(BACKFILL_REASONS_MAX - 1);
        why.push(format!("and {more} more changes"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::backfill::ObjectStatus::{Completed, Failed, None as Never};
    use crate::configuration::{Destination, Rule};

    fn asked(prefix: &str) -> Asked {
        let statuses = [Never, Failed].into();
        Asked {
            wanted: Wanted { prefix: prefix.to_owned(), statuses },
            why: vec![format!("rule {prefix} is new")],
        }
    }

    fn rules(prefixes: &[&str]) -> Configuration {
        let rule = |prefix: &&str| Rule {
            id: (*prefix).to_owned(),
            enabled: true,
            priority: None,
            prefix: (*prefix).to_owned(),
            tags: [].into(),
            kms: false,
            replica_changes: false,
            delete_markers: false,
            destination: Destination::default(),
        };
        Configuration::new("role", prefixes.iter().map(rule).collect())
    }

    fn prefixes(asks: &[&str], all: &[&str], objects: u64) -> Vec<String> {
        let asks = asks.iter().map(|prefix| asked(prefix)).collect();
        let jobs = cheapest(asks, &rules(all), objects);
        jobs.into_iter().map(|job| job.wanted.prefix).collect()
    }

    #[test]
    fn one_job_or_one_a_prefix_whichever_costs_less() {
        const MANY: u64 = 10_000_000;
        for (asks, all, objects, expected, why) in [
            (&["a/"][..], &["a/"][..], MANY, &["a/"][..], "a prefix saves rows and costs nothing"),
            (&["a/"], &["a/", ""], MANY, &["a/"], "still"),
            (&["a/", "b/"], &["a/", "b/"], MANY, &[""], "there is nothing else to list"),
            (&["x/a/", "x/b/"], &["x/a/", "x/b/", "y/"], MANY, &["x/"], "nor under what is common"),
            (&["a/", "b/"], &["a/", "b/", "c/"], MANY, &["a/", "b/"], "$0.80 against $5.40"),
            (&["a/", "b/"], &["a/", "b/", "c/"], 1_000, &[""], "$0.50 against $0.2505"),
            (
                &["a/", "b/"],
                &["a/", "b/", ""],
                MANY,
                &["a/", "b/"],
                "a rule over all reaches between",
            ),
            (
                &["a/", "a/b/", "a/"],
                &["a/", "a/b/"],
                MANY,
                &["a/"],
                "prefixes that overlap are one",
            ),
            (&["", "a/"], &["", "a/"], MANY, &[""], "everything is everything"),
            (&["é", "è"], &["é", "è"], MANY, &[""], "no character is cut"),
        ] {
            assert_eq!(prefixes(asks, all, objects), expected, "{why}");
        }
        let many: Vec<String> = (0..20).map(|n| format!("{n:02}/")).collect();
        let asks: Vec<&str> = many.iter().map(String::as_str).collect();
        let all: Vec<&str> = asks.iter().copied().chain(["z/"]).collect();
        assert_eq!(prefixes(&asks, &all, MANY), [""], "$8.00 against $5.40");
    }

    #[test]
    fn jobs_that_become_one_keep_their_statuses_and_reasons() {
        let mut copied = asked("a/b/");
        copied.wanted.statuses = [Completed].into();
        let jobs = cheapest(vec![copied, asked("a/"), asked("a/")], &rules(&["a/"]), 1);
        let [job] = &jobs[..] else { panic!("{jobs:?}") };
        assert_eq!(job.wanted.statuses, [Never, Failed, Completed].into());
        assert_eq!(job.why, ["rule a/ is new", "rule a/b/ is new"]);
        let asks = (0..1_000).map(|n| asked(&format!("{n:03}/"))).collect();
        let [job] = &cheapest(asks, &rules(&[]), 1)[..] else { panic!("one job") };
        assert_eq!((job.why.len(), job.why[19].as_str()), (20, "and 981 more changes"));
    }
}
