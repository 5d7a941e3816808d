//! What is measured, line by line, and that the dashboard shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use aws_sdk_s3::types::{Tag, Tagging};
use resilver::app::Options;
use resilver_aws::Metrics;
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_heal::metrics::{COUNTERS, GAUGES};
use resilver_heal::time::{days, hours, minutes};
use resilver_tests::{Given, REPLICAS, SOURCE, STATE, Scene, Trouble, WINDOW};
use serde_json::Value;

async fn measured() -> (Scene, Metrics) {
    let metrics = Metrics::kept();
    let app = Options { window: Some(WINDOW), metrics: metrics.clone(), ..Options::default() };
    (Scene::settled(Given { app, ..Given::default() }).await, metrics)
}

/// The lines about one bucket.
fn of(metrics: &Metrics, bucket: &str) -> Vec<Value> {
    metrics.lines().into_iter().filter(|line| line["Bucket"] == bucket).collect()
}

fn gauges(line: &Value) -> BTreeMap<&'static str, u64> {
    let gauges = GAUGES.into_iter().map(|name| (name, line[name].as_u64().expect("a gauge")));
    gauges.filter(|(_, value)| *value > 0).collect()
}

/// The sums of the counters, dollars in millionths.
fn sums(lines: &[Value]) -> BTreeMap<&'static str, u64> {
    let sum = |name: &'static str| {
        let unit = if name == "Dollars" { 1e6 } else { 1.0 };
        let values = lines.iter().filter_map(|line| line[name].as_f64());
        (name, values.map(|value| (value * unit).round() as u64).sum())
    };
    COUNTERS.into_iter().map(sum).filter(|(_, sum)| *sum > 0).collect()
}

/// The same, of a head's totals.
async fn totals(scene: &Scene) -> BTreeMap<&'static str, u64> {
    let totals = scene.head().await.totals;
    let values = [
        totals.collected,
        totals.healed,
        totals.unproved,
        totals.gone,
        totals.jobs,
        totals.launched,
        totals.micro_usd,
        totals.rejects,
    ];
    COUNTERS.into_iter().zip(values).filter(|(_, value)| *value > 0).collect()
}

#[tokio::test]
async fn a_failure_is_measured_from_held_to_healed() {
    let (scene, metrics) = measured().await;
    assert_eq!(gauges(of(&metrics, SOURCE).last().expect("notices were told")), BTreeMap::new());
    scene.make(Trouble::Denied(0), true);
    scene.put_many(3).await;
    scene.run(minutes(10)).await;
    let lines = of(&metrics, SOURCE);
    let held = gauges(lines.last().unwrap());
    assert_eq!(held["Held"], 3, "{held:?}");
    assert_eq!(sums(&lines), BTreeMap::from([("Captured", 3)]));

    // Nothing happens between two canaries, and the age goes on.
    scene.run(hours(10)).await;
    let ages = of(&metrics, SOURCE).into_iter().skip(lines.len());
    let ages: Vec<u64> = ages.map(|line| line["OldestUnhealedAge"].as_u64().unwrap()).collect();
    assert!(ages.len() >= 12 * 10 - 1, "a line every five minutes, not {}", ages.len());
    assert!(ages.is_sorted() && *ages.last().unwrap() > 10 * 3_600, "{ages:?}");

    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let lines = of(&metrics, SOURCE);
    assert_eq!(gauges(lines.last().unwrap()), BTreeMap::new(), "all is well again");
    assert!(lines.iter().any(|line| line["InFlight"].as_u64() > Some(0)));
    let sums = sums(&lines);
    assert_eq!(sums, totals(&scene).await);
    assert_eq!((sums["Captured"], sums["Healed"]), (3, 3));
    assert_eq!(sums["Dollars"], sums["Jobs"] * 250_000 + sums["Rows"]);

    // A bucket in which all is healed costs nothing.
    scene.run(days(1)).await;
    assert_eq!(of(&metrics, SOURCE).len(), lines.len());
}

#[tokio::test]
async fn a_quarantined_version_has_a_gauge_of_its_own_and_no_age() {
    let (scene, metrics) = measured().await;
    let id = scene.put("twice lost", "t").await;
    scene.run(minutes(2)).await;
    scene.delete_version(REPLICAS[0], "twice lost", &id).await;
    scene.make(Trouble::Denied(0), true);
    let tag = Tag::builder().key("a").value("b").build().unwrap();
    let tags = Tagging::builder().tag_set(tag).build().unwrap();
    let call = scene.app.clients.s3.put_object_tagging().bucket(SOURCE).key("twice lost");
    call.version_id(&id).tagging(tags).send().await.unwrap();
    scene.run(minutes(10)).await;
    scene.make(Trouble::Denied(0), false);
    scene.heal().await;
    let lines = of(&metrics, SOURCE).len();
    scene.run(hours(1)).await;
    let lines = of(&metrics, SOURCE).split_off(lines);
    assert!(lines.len() >= 11, "told for as long as it is there: {}", lines.len());
    for line in lines {
        assert_eq!(gauges(&line), BTreeMap::from([("Quarantined", 1)]));
    }
}

#[tokio::test]
async fn a_launch_that_is_cut_short_loses_no_count() {
    // Every write of the head in turn: refused, or done and never heard of.
    for skip in 0..5 {
        for verdict in [
            Verdict::LoseReply,
            Verdict::LoseRequest,
            Verdict::Refuse { code: "InternalError".into(), status: 500 },
        ] {
            let (scene, metrics) = measured().await;
            scene.make(Trouble::Denied(0), true);
            let head = format!("/{STATE}/ledger/{SOURCE}/head.json");
            let rule = Rule::once(Service::S3, "PutObject", verdict.clone()).on(&head);
            scene.fault(Rule { skip, ..rule.times(3) });
            scene.put_many(2).await;
            scene.run(minutes(20)).await;
            scene.make(Trouble::Denied(0), false);
            scene.run(hours(3)).await;
            let (told, is) = (sums(&of(&metrics, SOURCE)), totals(&scene).await);
            assert_eq!(is["Healed"], 2, "{skip} {verdict:?}");
            for (name, value) in &is {
                let told = told.get(name).copied().unwrap_or_default();
                assert!(told >= *value, "{skip} {verdict:?}: {name} is {value}, told {told}");
                // What is told twice is what one launch had to tell.
                assert!(told <= 2 * value, "{skip} {verdict:?}: {name} is {value}, told {told}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_in_the_name_of_the_state_bucket() {
    let (scene, metrics) = measured().await;
    scene.tell("{\"Records\": [{");
    scene.run(minutes(20)).await;
    assert_eq!(sums(&of(&metrics, STATE)), BTreeMap::from([("Rejects", 1)]));
    assert_eq!(sums(&of(&metrics, SOURCE)).get("Rejects"), None);
}

#[test]
fn the_dashboard_shows_what_is_measured_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("infra/observability.yaml")).unwrap();
    let between = |open: &str, close: &str| {
        let pieces = text.split(open).skip(1).filter_map(|rest| rest.split(close).next());
        pieces.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let measured: BTreeSet<String> =
        GAUGES.iter().chain(&COUNTERS).map(|name| (*name).to_owned()).collect();
    assert_eq!(between("{Resilver,Bucket} MetricName=\\\"", "\\\""), measured);
    let alarms = text.match_indices(") FROM SCHEMA(Resilver, Bucket)");
    let alarms = alarms.filter_map(|(at, _)| text[..at].rsplit('(').next());
    let alarms: BTreeSet<String> = alarms.map(str::to_owned).collect();
    assert!(alarms.contains("OldestUnhealedAge"), "{alarms:?}");
    assert!(alarms.is_subset(&measured), "{alarms:?}");
}
