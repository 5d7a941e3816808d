//! What an installation costs, counted on the embedded AWS: the figures of the README are these, or this
//! fails and prints the ones to write there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use resilver_heal::limits::Limits;
use resilver_heal::time::{days, hours};
use resilver_tests::{Given, Scene, Trouble};

/// Buckets of the idle installation.
const BUCKETS: u64 = 10;
/// How long a function is taken to run, in seconds: nobody knows without an account.
const SECONDS: f64 = 0.3;
/// Dollars for a GB-second of arm64, and for an invocation (Lambda pricing, us-east-1).
const GB_SECOND: f64 = 0.000_013_333_4;
const INVOCATION: f64 = 0.000_000_2;
/// Dollars for a request that writes or lists, and for any other one (S3 pricing, us-east-1); deleting is free.
const WRITE: f64 = 0.000_005;
const READ: f64 = 0.000_000_4;

/// What AWS lists an hour's metric, an alarm and a job for is not counted here.
struct Bill {
    functions: f64,
    requests: f64,
}

/// What calls cost.
fn bill(calls: &BTreeMap<String, u64>) -> Bill {
    let mut bill = Bill { functions: 0.0, requests: 0.0 };
    for (call, number) in calls {
        let (service, name) = call.split_once(' ').unwrap();
        let number = *number as f64;
        let writes = ["Put", "List", "Create", "Upload", "Complete"];
        match service {
            "Lambda" => {
                bill.functions += number * (INVOCATION + SECONDS * GB_SECOND * memory(name))
            }
            _ if name.starts_with("Delete") => {}
            _ if writes.iter().any(|it| name.starts_with(it)) => bill.requests += number * WRITE,
            _ => bill.requests += number * READ,
        }
    }
    bill
}

/// Memory of a function in GB, as the template has it.
fn memory(function: &str) -> f64 {
    let short = function.rsplit_once('-').unwrap().1;
    let id = format!("{}{}Function", short[..1].to_uppercase(), &short[1..]);
    let template = resilver::app::template().unwrap();
    let megabytes = &template.document()["Resources"][&id]["Properties"]["MemorySize"];
    megabytes.as_f64().unwrap() / 1_024.0
}

/// What was called while something ran.
async fn counted(scene: &Scene, work: impl Future<Output = ()>) -> BTreeMap<String, u64> {
    scene.world(|world| world.audit.switch(true));
    work.await;
    scene.world(|world| world.audit.calls().clone())
}

/// A month in which nothing fails and nothing is swept.
async fn idle() -> Bill {
    let scene = Scene::given(Given::default()).await;
    for n in 1..BUCKETS {
        let name = format!("bucket-{n}");
        scene.bucket(&name).await;
        scene.app.enroll(&name).await.unwrap();
    }
    scene.run(hours(2)).await;
    let day = bill(&counted(&scene, scene.run(days(1))).await);
    Bill { functions: day.functions * 30.0, requests: day.requests * 30.0 }
}

/// A permission is missing from the afternoon to the next morning: jobs, their dollars, and the rest.
async fn incident(objects: usize) -> (u64, f64, Bill) {
    let scene = Scene::settled(Given::default()).await;
    let calls = counted(&scene, async {
        scene.make(Trouble::Denied(0), true);
        scene.put_many(objects).await;
        scene.run(hours(16)).await;
        scene.make(Trouble::Denied(0), false);
        scene.heal().await;
    });
    let mut calls = calls.await;
    // Those of the scene itself.
    *calls.get_mut("S3 PutObject").unwrap() -= objects as u64;
    let totals = scene.head().await.totals;
    assert_eq!(totals.left() as usize, objects);
    (totals.jobs, totals.micro_usd as f64 / 1e6, bill(&calls))
}

#[tokio::test]
async fn the_readme_says_what_it_costs() {
    let limits = Limits::default();
    let sweep = 0.25 + 0.015;
    let sweeps = BUCKETS as f64 * sweep * 30.0 / limits.sweep_days as f64;
    let idle = idle().await;
    let (jobs, dollars, rest) = incident(2_000).await;
    let mut table = String::from("| what | dollars |\n|---|---|\n");
    for (what, dollars) in [
        (format!("{BUCKETS} buckets in which nothing fails, a month: functions"), idle.functions),
        ("… S3 requests".to_owned(), idle.requests),
        (format!("… sweeps, every {} days, of a million objects each", limits.sweep_days), sweeps),
        (
            format!(
                "2,000 objects that failed while a permission was missing for 16 hours: {jobs} jobs"
            ),
            dollars,
        ),
        ("… functions and requests meanwhile".to_owned(), rest.functions + rest.requests),
    ] {
        writeln!(table, "| {what} | {dollars:.2} |").unwrap();
    }
    let readme = include_str!("../README.md");
    assert!(readme.contains(&table), "the README has to say:\n{table}");
}
