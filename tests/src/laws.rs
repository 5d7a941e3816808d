//! Every law, checked on what is stored.

use std::collections::{BTreeMap, BTreeSet};

use resilver_heal::account::Account;
use resilver_heal::entry::State;
use resilver_heal::laws;
use resilver_heal::ledger::Counts;
use resilver_heal::manifest;
use resilver_heal::run::ObjectVersion;
use resilver_heal::state::StateKey;

use crate::Scene;

/// Panics with the law that does not hold. Looking meets no mishap.
pub async fn check(scene: &Scene) {
    let rules = scene.world(|world| std::mem::take(&mut world.faults.rules));
    let calm = rules.is_empty();
    check_calmly(scene).await;
    scene.world(|world| world.faults.rules = rules);
    if calm && !scene.stormy {
        let ids = said(scene);
        let once: BTreeSet<_> = ids.iter().collect();
        assert_eq!(once.len(), ids.len(), "said, and once: {ids:#?}");
    }
}

async fn check_calmly(scene: &Scene) {
    let limits = &scene.options.limits;
    if let Some(head) = scene.app.head(&scene.bucket).await.unwrap() {
        laws::nowhere_is_nowhere(&head).unwrap();
        let mut counts = Counts::default();
        let mut flying = BTreeMap::new();
        let mut last = None;
        let mut oldest = None;
        for entry in scene.entries().await {
            counts.count(&entry);
            if entry.is_unhealed() {
                oldest = Some(oldest.map_or(entry.first_seen, |it| entry.first_seen.min(it)));
            }
            laws::attempts_are_bounded(&entry, limits).unwrap();
            if let State::InFlight { plan, .. } = &entry.state {
                *flying.entry(plan.clone()).or_default() += 1;
            }
            assert!(last < Some(entry.id.clone()), "the run is in order, one row a version");
            last = Some(entry.id);
        }
        assert_eq!(counts, head.counts, "the head counts what its run holds");
        assert_eq!(oldest, head.oldest_unhealed, "the head knows who has waited longest");
        laws::nothing_flies_alone(&head, &flying).unwrap();
        // A job whose manifest S3 made may go as it is.
        let scan = head.scan.as_ref().map(|scan| &scan.plan);
        let mut ours = head.flights.iter().filter(|(plan, _)| Some(*plan) != scan);
        assert!(ours.all(|(_, flight)| flight.rows <= limits.job_rows_max));
    }
    let account = scene.app.store.get_json::<Account>(&StateKey::Account.to_string()).await;
    if let Some(account) = account.unwrap() {
        laws::spending_is_bounded(&Account::default(), &account.value, limits).unwrap();
    }
    one_job_at_a_time(scene).await;
}

/// Reads the manifest of every job that has not ended.
async fn one_job_at_a_time(scene: &Scene) {
    let running: Vec<(String, Option<String>)> = scene.world(|world| {
        let jobs = world.jobs.iter().filter(|job| !job.status.is_terminal());
        // A job that is not let go yet runs nothing.
        let jobs =
            jobs.filter(|job| !job.request.confirmation_required || job.active_since.is_some());
        let jobs = jobs.map(|job| {
            let generated = job.generated.as_ref().map(|made| made.object.clone());
            (job.request.description.clone().expect("a job of ours"), generated)
        });
        jobs.collect()
    });
    let mut manifests: Vec<Vec<ObjectVersion>> = Vec::new();
    for (description, generated) in running {
        let (bucket, plan) =
            resilver_heal::plan::PlanId::of_description(&description).expect("a job of ours");
        let key = match generated {
            None => StateKey::Manifest(&bucket, &plan).to_string(),
            Some(arn) => {
                let folder = arn.split_once('/').unwrap().1.rsplit_once('/').unwrap().0.to_owned();
                let files = scene.app.store.list(&format!("{folder}/files/"), 1).await.unwrap();
                files[0].key.clone()
            }
        };
        let manifest = scene.app.store.get(&key).await.unwrap().expect("a manifest");
        let text = String::from_utf8(manifest.bytes.to_vec()).unwrap();
        let rows = text.lines().map(|line| {
            let (_, key, version) = manifest::parse_line(line).expect("a row");
            ObjectVersion { key, version }
        });
        manifests.push(rows.collect());
    }
    laws::one_job_at_a_time(manifests.iter().map(Vec::as_slice)).unwrap();
}

/// Every message that a chat has taken: its whole body, which no other message has.
fn said(scene: &Scene) -> Vec<String> {
    let posted = scene.app.emulator.outbox().into_iter().filter(|posted| posted.status == 200);
    posted.map(|posted| String::from_utf8(posted.body.to_vec()).unwrap()).collect()
}
