//! The operations beside replication, priorities that pause, and manifests that are packed.

use super::*;
use crate::gzip::tests::packed;
use crate::world::Millis;
use crate::world::jobs::operation::{CopySpec, Operation, RestoreSpec};
use crate::world::jobs::request::EncryptionFilter;
use crate::world::jobs::{create, update_priority};
use crate::world::lifecycle::{Expiration, Filter as Which, Rule as Lifecycle};
use crate::world::ops::archive::Tiering;

const DAY: Millis = 86_400_000;

#[test]
fn a_job_of_higher_priority_pauses_the_lowest_which_goes_on_later() {
    let (mut lab, versions) = failed(40);
    lab.world.config.active_jobs_max = 2;
    lab.world.config.job_tasks_per_step = 5;
    let request = lab.request(&lines(&versions));
    let job = |lab: &mut Lab, token: &str, priority| {
        let token = token.to_owned();
        create(&mut lab.world, Request { priority, token, ..request.clone() }).unwrap()
    };
    let (low, lower) = (job(&mut lab, "low", 5), job(&mut lab, "lower", 4));
    while lab.job(&lower).succeeded == 0 {
        let due = lab.world.next_due().unwrap();
        lab.world.advance_to(due);
    }
    let urgent = job(&mut lab, "urgent", 9);
    let mut seen = Vec::new();
    while let Some(due) = lab.world.next_due() {
        lab.world.advance_to(due);
        assert!(lab.world.jobs.active() <= 2);
        seen.push(lab.job(&lower).status);
        assert!(!matches!(lab.job(&low).status, Status::Pausing | Status::Paused));
    }
    seen.dedup();
    let (ready, rest): (Vec<_>, Vec<_>) = seen.into_iter().partition(|it| *it == Status::Ready);
    assert!(ready.is_empty(), "a job that ran is never Ready again");
    assert_eq!(
        rest,
        [
            Status::Active,
            Status::Pausing,
            Status::Paused,
            Status::Active,
            Status::Completing,
            Status::Complete
        ]
    );
    assert!(lab.job(&urgent).active_since < lab.job(&lower).terminated, "it did not wait");
    assert_eq!(lab.job(&lower).succeeded, 40, "no row was lost or done twice");
    assert_eq!(lab.rows(&lower).len(), 40);
}

#[test]
fn a_job_that_waits_for_a_place_costs_nothing_until_there_is_one() {
    let (mut lab, versions) = failed(1);
    lab.world.config.active_jobs_max = 0;
    lab.world.config.trail = false;
    let request = lab.request(&lines(&versions));
    let ids: Vec<String> = (0..500)
        .map(|at| {
            let token = format!("t{at}");
            create(&mut lab.world, Request { token, ..request.clone() }).unwrap()
        })
        .collect();
    lab.settle();
    assert!(ids.iter().all(|id| lab.job(id).status == Status::Ready), "and the world is at rest");
    lab.world.config.active_jobs_max = 6;
    crate::world::jobs::wake(&mut lab.world);
    lab.settle();
    assert!(ids.iter().all(|id| lab.job(id).status == Status::Complete));
    let ends: Vec<_> = ids.iter().map(|id| lab.job(id).terminated).collect();
    assert!(ends.is_sorted(), "oldest first");
}

#[test]
fn a_waiting_job_whose_priority_rises_pauses_another() {
    let (mut lab, versions) = failed(40);
    lab.world.config.active_jobs_max = 1;
    lab.world.config.job_tasks_per_step = 5;
    let request = lab.request(&lines(&versions));
    let first = create(&mut lab.world, Request { token: "a".into(), ..request.clone() }).unwrap();
    let second = create(&mut lab.world, Request { token: "b".into(), ..request }).unwrap();
    while lab.job(&first).succeeded == 0 || lab.job(&second).status != Status::Ready {
        let due = lab.world.next_due().unwrap();
        lab.world.advance_to(due);
    }
    update_priority(&mut lab.world, &second, 99).unwrap();
    lab.settle();
    assert!(lab.job(&second).terminated < lab.job(&first).terminated);
}

#[test]
fn a_copy_in_place_makes_a_new_version_that_replicates_where_the_old_one_cannot() {
    let mut lab = Lab::new();
    let id = lab.put("k");
    lab.settle();
    ops::delete::version(&mut lab.world, ("dst", "k"), &id, &WriteIf::default(), false).unwrap();
    let lines = format!("src,k,{id}\n");
    let request = lab.request(&lines);
    let replicate = lab.run(request.clone());
    assert_eq!(codes(&lab, &replicate), ["DstObjectHardDeleted"]);
    let spec = CopySpec { target: "arn:aws:s3:::src".into(), ..CopySpec::default() };
    let operation = Operation::Copy(Box::new(spec));
    let request = Request { operation, token: "copy".into(), ..request };
    let refused = lab.run(Request { token: "refused".into(), ..request.clone() });
    assert_eq!(lab.rows(&refused)[0][3..], ["403", "AccessDenied"], "the role may not");
    let may = ["s3:GetObjectVersion", "s3:PutObject"];
    assert!(lab.world.iam.grant(JOB_ROLE, "copy", &may, &["arn:aws:s3:::src/*"]));
    let copied = lab.run(request);
    assert_eq!(lab.rows(&copied)[0][2..], ["succeeded", "200", ""]);
    let newest = lab.world.buckets["dst"].keys["k"][0].id.to_string();
    assert_ne!(newest, id);
    assert_eq!(lab.status("k", &newest), Some(ReplicationStatus::Completed));
}

#[test]
fn a_copy_takes_what_it_is_told_to_another_bucket() {
    let mut lab = Lab::new();
    let id = lab.put("k");
    lab.settle();
    let spec = CopySpec {
        target: "arn:aws:s3:::dst2".into(),
        prefix: Some("copies/".into()),
        replaces_metadata: true,
        headers: vec![("content-type".into(), "text/html".into())],
        metadata: vec![("by".into(), "job".into())],
        tags: vec![("a".into(), "1".into())],
        storage_class: Some("STANDARD_IA".into()),
        ..CopySpec::default()
    };
    let request = lab.request(&format!("src,k,{id}\n"));
    let all = ["s3:*"];
    assert!(lab.world.iam.grant(JOB_ROLE, "copy", &all, &["*"]));
    let id = lab.run(Request { operation: Operation::Copy(Box::new(spec)), ..request });
    assert_eq!(lab.job(&id).succeeded, 1);
    let copy = ops::get::current(&lab.world, "dst2", "copies/k").unwrap();
    let content = copy.content.as_ref().unwrap();
    assert_eq!(content.headers.get("content-type"), Some("text/html"));
    assert_eq!(content.metadata.get("by"), Some("job"));
    assert_eq!((&*copy.storage_class, copy.tags["a"].as_str()), ("STANDARD_IA", "1"));
}

#[test]
fn an_object_in_an_archive_tier_replicates_once_a_restore_job_has_brought_it_back() {
    let mut lab = Lab::new();
    lab.deny("s3:ReplicateObject");
    let id = lab.put("k");
    lab.settle();
    lab.allow_again("s3:ReplicateObject");
    let source = lab.world.buckets.get_mut("src").unwrap();
    source.tierings.push(Tiering {
        id: "t".into(),
        enabled: true,
        archive_days: Some(90),
        ..Tiering::default()
    });
    source.keys.get_mut("k").unwrap()[0].storage_class = "INTELLIGENT_TIERING".into();
    lab.world.advance_to(lab.world.now() + 91 * DAY);
    let request = lab.request(&format!("src,k,{id}\n"));
    let replicate = lab.run(request.clone());
    assert_eq!(codes(&lab, &replicate), ["SrcObjectNotEligible"]);
    assert!(lab.world.iam.grant(JOB_ROLE, "restore", &["s3:RestoreObject"], &["*"]));
    let restore = |days, token: &str| Request {
        operation: Operation::Restore(RestoreSpec { days, tier: Some("STANDARD".into()) }),
        token: token.into(),
        ..request.clone()
    };
    let wrong = lab.run(restore(Some(2), "wrong"));
    assert_eq!(codes(&lab, &wrong), ["MalformedXML"], "days are for Glacier");
    let right = lab.run(restore(None, "right"));
    assert_eq!(lab.job(&right).succeeded, 1);
    let again = lab.run(restore(None, "again"));
    assert_eq!(codes(&lab, &again), ["RestoreAlreadyInProgress"]);
    lab.world.advance_to(lab.world.now() + DAY);
    let replicate = lab.run(Request { token: "replicate".into(), ..request });
    assert_eq!(codes(&lab, &replicate), [""]);
    assert_eq!(lab.status("k", &id), Some(ReplicationStatus::Completed));
}

#[test]
fn an_inventory_of_several_files_may_be_packed() {
    let (mut lab, versions) = failed(3);
    let packed = packed(lines(&versions[..2]).as_bytes());
    let put = |lab: &mut Lab, key: &str, body: Vec<u8>| {
        ops::put::store(&mut lab.world, "state", key, body.into(), "text/csv").unwrap()
    };
    let md5 = put(&mut lab, "a.csv.gz", packed);
    put(&mut lab, "b.csv", lines(&versions[2..]).into_bytes());
    let document = |md5: &str| {
        format!(
            r#"{{"sourceBucket":"src","destinationBucket":"arn:aws:s3:::state","version":"2016-11-30","fileFormat":"CSV","fileSchema":"Bucket, Key, VersionId","files":[{{"key":"a.csv.gz","size":1,"MD5checksum":"{md5}"}},{{"key":"b.csv","size":1}}]}}"#
        )
    };
    let run = |lab: &mut Lab, md5: &str, token: &str| {
        let mut request = Request { token: token.into(), ..lab.request("") };
        let etag = put(lab, "manifest.json", document(md5).into_bytes());
        let Source::Manifest(manifest) = &mut request.source else { panic!() };
        manifest.format = "S3InventoryReport_CSV_20161130".into();
        manifest.fields.clear();
        (manifest.object, manifest.etag) = ("arn:aws:s3:::state/manifest.json".into(), etag);
        lab.run(request)
    };
    let id = run(&mut lab, "00", "wrong");
    assert_eq!(lab.job(&id).failures[0].code, "InvalidManifestContent");
    let id = run(&mut lab, &md5, "right");
    assert_eq!((lab.job(&id).status, lab.job(&id).succeeded), (Status::Complete, 3));
}

#[test]
fn a_generator_filters_by_encryption_and_keeps_its_list_under_a_key() {
    use crate::world::replication::lab::{REPLICA_KEY, SOURCE_KEY};
    let (mut lab, _) = failed(2);
    let kms = Encryption::Kms { key: SOURCE_KEY.into(), dual: false, bucket_key: true };
    lab.world.buckets.get_mut("src").unwrap().keys.get_mut("k00001").unwrap()[0].encryption = kms;
    let count = |lab: &mut Lab, filter: EncryptionFilter, token: &str| {
        let mut request = Request { token: token.into(), ..lab.generated(&[]) };
        let Source::Generator(generator) = &mut request.source else { panic!() };
        generator.filter.eligible = None;
        generator.filter.encryptions = vec![filter];
        generator.output.as_mut().unwrap().encryption =
            Some(Encryption::Kms { key: REPLICA_KEY.into(), dual: false, bucket_key: false });
        let id = lab.run(request);
        (lab.job(&id).status, lab.job(&id).total)
    };
    assert_eq!(count(&mut lab, EncryptionFilter::S3, "0"), (Status::Failed, 0), "no key for it");
    let may = ["kms:GenerateDataKey"];
    assert!(lab.world.iam.grant(JOB_ROLE, "list", &may, &[REPLICA_KEY]));
    assert_eq!(count(&mut lab, EncryptionFilter::S3, "1"), (Status::Complete, 1));
    let key = |key: &str| Some(key.to_owned());
    for (at, (filter, found)) in [
        (EncryptionFilter::Kms { key: None, bucket_key: None }, 1),
        (EncryptionFilter::Kms { key: key(SOURCE_KEY), bucket_key: Some(true) }, 1),
        (EncryptionFilter::Kms { key: key(SOURCE_KEY), bucket_key: Some(false) }, 0),
        (EncryptionFilter::Kms { key: key(REPLICA_KEY), bucket_key: None }, 0),
        (EncryptionFilter::DualKms { key: None }, 0),
        (EncryptionFilter::Customer, 0),
        (EncryptionFilter::None, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let (_, total) = count(&mut lab, filter.clone(), &format!("kms{at}"));
        assert_eq!(total, found, "{filter:?}");
    }
    let kept = lab.world.buckets["state"].keys.iter().filter(|(_, versions)| {
        matches!(&versions[0].encryption, Encryption::Kms { key, .. } if key == REPLICA_KEY)
    });
    assert!(kept.count() >= 3, "list, manifest and checksum lie under the key");
}

/// The divergence that the S3 User Guide warns of: disable lifecycle rules while a job runs.
#[test]
fn a_marker_that_comes_before_its_versions_is_expired_and_the_object_is_back() {
    let mut lab = Lab::new();
    let mut rule = Rule::to_bucket("r1", 1, "dst");
    rule.delete_markers = Some(true);
    lab.rules(vec![rule]);
    lab.deny("s3:ReplicateObject");
    let id = lab.put("k");
    lab.settle();
    lab.allow_again("s3:ReplicateObject");
    ops::delete::key(&mut lab.world, "src", "k", &WriteIf::default()).unwrap();
    lab.settle();
    assert!(lab.world.buckets["dst"].keys["k"][0].is_delete_marker(), "the marker came alone");
    lab.world.buckets.get_mut("dst").unwrap().lifecycle = vec![Lifecycle {
        id: "clean".into(),
        enabled: true,
        filter: Which::default(),
        expiration: Some(Expiration::ExpiredMarkers(true)),
        noncurrent: None,
        transitions: Vec::new(),
        noncurrent_transitions: Vec::new(),
        abort_days: None,
    }];
    lab.world.advance_to(lab.world.now() + DAY);
    assert!(!lab.world.buckets["dst"].keys.contains_key("k"), "lifecycle took it for expired");
    let request = lab.request(&format!("src,k,{id}\n"));
    lab.run(request);
    assert!(ops::get::current(&lab.world, "src", "k").is_err(), "deleted at the source");
    assert!(ops::get::current(&lab.world, "dst", "k").is_ok(), "and there at the destination");
}

#[test]
fn a_role_of_another_account_cannot_be_passed() {
    let mut lab = Lab::new();
    let request = lab.request("");
    let role = "arn:aws:iam::444455556666:role/job".to_owned();
    let refusal = create(&mut lab.world, Request { role, ..request }).unwrap_err();
    assert_eq!((refusal.status, refusal.code.as_str()), (403, "AccessDenied"));
}
