//! What is measured of a bucket, read off the head of its ledger. The names stand here and nowhere else
//! in the code; the dashboard and the alarms in `infra` have the same ones. It writes nothing.
//!
//! Gauges say how things are. Counters say what came since they were last told of: the head keeps how
//! far that was ([`Head::counted`]), and moves it on only after they were told.

use serde_json::{Number, Value};

use crate::ledger::Head;
use crate::time::Timestamp;

/// The namespace of all of them.
pub const NAMESPACE: &str = "Resilver";
/// Their one dimension: the source bucket; the state bucket for what cannot be put down to one.
pub const DIMENSION: &str = "Bucket";

/// What a number counts (CloudWatch API Reference: MetricDatum).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// CloudWatch knows no money.
    None,
}

impl Unit {
    /// CloudWatch's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::None => "None",
        }
    }
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// How much.
    pub value: Value,
}

/// How things are: told whenever anything is told.
pub const GAUGES: [&str; 6] =
    ["Waiting", "Held", "InFlight", "Confirming", "Quarantined", "OldestUnhealedAge"];
/// What came and went: each is told only where it is not zero.
pub const COUNTERS: [&str; 8] =
    ["Captured", "Healed", "Unproved", "Gone", "Jobs", "Rows", "Dollars", "Rejects"];

/// Whether there is anything to tell of a bucket in which nothing has happened: one where all is healed
/// costs nothing, since CloudWatch charges for each hour in which a metric is told.
pub fn is_worth_telling(head: &Head) -> bool {
    head.counts.present() > 0 || head.totals != head.counted
}

/// The numbers of a head at `now`.
pub fn of(head: &Head, now: Timestamp) -> Vec<Measure> {
    let counts = &head.counts;
    let age = head.oldest_unhealed.map_or(0, |since| now.since(since) / 1_000);
    let gauges =
        [counts.waiting, counts.held, counts.in_flight, counts.confirming, counts.quarantined, age];
    let mut measures = Vec::new();
    for (name, value) in GAUGES.into_iter().zip(gauges) {
        let unit = if name == "OldestUnhealedAge" { Unit::Seconds } else { Unit::Count };
        measures.push(Measure { name, unit, value: value.into() });
    }
    let (now, before) = (&head.totals, &head.counted);
    let counters = [
        (now.collected, before.collected),
        (now.healed, before.healed),
        (now.unproved, before.unproved),
        (now.gone, before.gone),
        (now.jobs, before.jobs),
        (now.launched, before.launched),
        (now.micro_usd, before.micro_usd),
        (now.rejects, before.rejects),
    ];
    for (name, (now, before)) in COUNTERS.into_iter().zip(counters) {
        let more = now.saturating_sub(before);
        let (unit, value) = match name {
            "Dollars" => (Unit::None, dollars(more)),
            _ => (Unit::Count, more.into()),
        };
        if more > 0 {
            measures.push(Measure { name, unit, value });
        }
    }
    measures
}

/// Millionths of a dollar as dollars.
fn dollars(micro_usd: u64) -> Value {
    Number::from_f64(micro_usd as f64 / 1e6).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;
    use crate::key::Bucket;
    use crate::ledger::{Counts, Totals};
    use crate::time::hours;

    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn head() -> Head {
        Head::new(Bucket::try_from("photos".to_owned()).unwrap_or_else(|why| panic!("{why}")), NOW)
    }

    fn told(head: &Head, now: Timestamp) -> Vec<(&'static str, String)> {
        of(head, now).into_iter().map(|it| (it.name, it.value.to_string())).collect()
    }

    #[test]
    fn a_healthy_bucket_has_its_gauges_at_zero_and_no_counters() {
        let head = head();
        assert!(!is_worth_telling(&head));
        let zeros: Vec<_> = GAUGES.into_iter().map(|name| (name, "0".to_owned())).collect();
        assert_eq!(told(&head, NOW), zeros);
    }

    #[test]
    fn counters_tell_what_came_since_they_were_told() {
        let (counted, totals) = (
            Totals { collected: 7, jobs: 1, micro_usd: 250_007, ..Totals::default() },
            Totals { collected: 9, jobs: 2, micro_usd: 500_010, rejects: 1, ..Totals::default() },
        );
        let head = Head { counted, totals, ..head() };
        assert!(is_worth_telling(&head));
        let counters = told(&head, NOW).split_off(GAUGES.len());
        let expected =
            [("Captured", "2"), ("Jobs", "1"), ("Dollars", "0.250003"), ("Rejects", "1")];
        assert_eq!(counters, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn the_age_goes_on_while_nothing_happens() {
        let counts = Counts { held: 1, ..Counts::default() };
        let head = Head { counts, oldest_unhealed: Some(NOW), ..head() };
        assert!(is_worth_telling(&head));
        let age = |now| told(&head, now).into_iter().find(|(name, _)| *name == "OldestUnhealedAge");
        assert_eq!(age(NOW.plus_ms(hours(2))), Some(("OldestUnhealedAge", "7200".to_owned())));
        // A clock that went back is no age.
        assert_eq!(age(Timestamp(0)), Some(("OldestUnhealedAge", "0".to_owned())));
    }
}
