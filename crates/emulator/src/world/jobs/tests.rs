#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod clients;
mod operations;

use super::Status;
use super::request::{Request, Source};
use crate::world::iam::{BATCH_SERVICE, Role};
use crate::world::object::{Encryption, ReplicationStatus};
use crate::world::ops;
use crate::world::ops::condition::WriteIf;
use crate::world::replication::lab::{JOB_ROLE, Lab};
use crate::world::replication::rules::{Filter, Rule};

/// A world in which `count` versions have failed and the cause is gone again.
fn failed(count: usize) -> (Lab, Vec<(String, String)>) {
    let mut lab = Lab::new();
    lab.deny("s3:ReplicateObject");
    let versions = (0..count)
        .map(|at| {
            let key = format!("k{at:05}");
            let id = lab.put(&key);
            (key, id)
        })
        .collect();
    lab.settle();
    lab.records();
    lab.allow_again("s3:ReplicateObject");
    (lab, versions)
}

fn lines(versions: &[(String, String)]) -> String {
    versions.iter().map(|(key, id)| format!("src,{key},{id}\n")).collect()
}

fn codes(lab: &Lab, id: &str) -> Vec<String> {
    lab.rows(id).into_iter().map(|row| row[4].clone()).collect()
}

#[test]
fn a_job_heals_what_failed_and_reports_it() {
    let (mut lab, versions) = failed(3);
    let request = lab.request(&lines(&versions));
    let id = lab.run(request);
    let job = lab.job(&id);
    assert_eq!((job.status, job.total, job.succeeded, job.failed), (Status::Complete, 3, 3, 0));
    assert_eq!(job.arn, format!("arn:aws:s3:us-east-1:111122223333:job/{id}"));
    for (key, version) in &versions {
        assert_eq!(lab.status(key, version), Some(ReplicationStatus::Completed));
        assert!(lab.version("dst", key, version).is_some());
    }
    assert!(lab.rows(&id).iter().all(|row| row[2..] == ["succeeded", "200", ""]));
}

#[test]
fn a_report_is_written_byte_for_byte() {
    let mut lab = Lab::new();
    let good = lab.put("a b/ü,1.txt");
    let bad = lab.put("k");
    lab.settle();
    let rows = format!("src,a%20b/%C3%BC%2c1.txt,{good}\nsrc,\"q,\"\"r\"\"\",{bad}\n");
    let request = lab.request(&rows);
    let id = lab.run(request);
    let report = lab.report(&id).unwrap();
    assert_eq!(report["Format"], "Report_CSV_20180820");
    assert_eq!(
        report["ReportSchema"],
        "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"
    );
    let results = report["Results"].as_array().unwrap();
    let file = |at: usize| lab.text(results[at]["Key"].as_str().unwrap());
    assert_eq!(results[0]["TaskExecutionStatus"], "succeeded");
    assert_eq!(file(0), format!("src,a%20b/%C3%BC%2c1.txt,{good},succeeded,200,,success\n"));
    assert_eq!(results[1]["TaskExecutionStatus"], "failed");
    let failed = "failed,500,SrcKeyNotFound,Source key does not exist";
    assert_eq!(file(1), format!("src,\"q,\"\"r\"\"\",{bad},{failed}\n"));
    assert_eq!(results[1]["MD5Checksum"], ops::put::md5_hex(file(1).as_bytes()));
    let name = results[0]["Key"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert!(name.len() == 44 && name[..40].bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    let manifest = format!("reports/job-{id}/manifest.json");
    let md5 = lab.text(&format!("{manifest}.md5"));
    assert_eq!(md5, ops::put::md5_hex(lab.text(&manifest).as_bytes()));
}

#[test]
fn result_files_are_cut_and_scoped() {
    let (mut lab, mut versions) = failed(5);
    versions.push(("none".into(), "v".into()));
    lab.world.jobs.report_rows_per_file = 2;
    let mut request = lab.request(&lines(&versions));
    let id = lab.run(request.clone());
    assert_eq!(lab.report(&id).unwrap()["Results"].as_array().unwrap().len(), 4);
    assert_eq!(lab.rows(&id).len(), 6);
    (request.token, request.report.scope) = ("other".into(), Some("FailedTasksOnly".into()));
    let id = lab.run(request.clone());
    assert_eq!(codes(&lab, &id), ["SrcKeyNotFound"]);
    (request.token, request.report.prefix) = ("third".into(), None);
    let id = lab.run(request);
    assert!(lab.world.buckets["state"].keys.contains_key(&format!("job-{id}/manifest.json")));
}

#[test]
fn each_cause_has_its_code_in_report_and_event() {
    let check = |code: &str, told: bool, touched: bool, spoil: fn(&mut Lab, &str)| {
        let (mut lab, versions) = failed(1);
        spoil(&mut lab, &versions[0].1);
        let request = lab.request(&lines(&versions));
        let id = lab.run(request);
        assert_eq!(lab.job(&id).status, Status::Complete, "few tasks always complete");
        assert_eq!(codes(&lab, &id), [code]);
        let expected: &[&str] = if told { &[code] } else { &[] };
        assert_eq!(lab.reasons(), expected);
        if touched {
            assert_eq!(lab.status("k00000", &versions[0].1), Some(ReplicationStatus::Failed));
        }
    };
    check("InitiateReplicationNotPermitted", false, true, |lab, _| {
        lab.world.iam.revoke(JOB_ROLE, "Initiate");
    });
    check("SrcBucketReplicationConfigMissing", false, true, |lab, _| {
        lab.world.buckets.get_mut("src").unwrap().replication = None;
    });
    check("SrcBucketNotFound", false, false, |lab, _| {
        lab.world.buckets.remove("src");
    });
    check("SrcBucketInvalidRegion", false, true, |lab, _| {
        lab.world.buckets.get_mut("src").unwrap().region = "eu-west-1".into();
    });
    check("SrcKeyNotFound", false, false, |lab, id| {
        ops::delete::version(&mut lab.world, ("src", "k00000"), id, &WriteIf::default(), false)
            .unwrap();
    });
    check("SrcVersionNotFound", false, false, |lab, id| {
        lab.put("k00000");
        ops::delete::version(&mut lab.world, ("src", "k00000"), id, &WriteIf::default(), false)
            .unwrap();
    });
    check("SrcObjectNotEligible", false, true, |lab, _| {
        let mut rule = Rule::to_bucket("r1", 1, "dst");
        rule.filter = Filter::Prefix("elsewhere/".into());
        lab.rules(vec![rule]);
    });
    check("AssumeRoleNotPermitted", true, true, |lab, _| {
        lab.world.iam.delete(crate::world::replication::lab::REPLICATION_ROLE);
    });
    check("DstBucketNotFound", true, true, |lab, _| {
        lab.world.buckets.remove("dst");
    });
    check("DstPutObjectNotPermitted", true, true, |lab, _| lab.deny("s3:ReplicateObject"));
    check("DstPutObjectNotPermitted", false, true, |lab, _| {
        lab.deny("s3:ReplicateObject");
        lab.world.jobs.batch_failure_events = false;
    });
}

#[test]
fn a_replica_that_was_deleted_for_good_is_not_made_again() {
    let mut lab = Lab::new();
    let id = lab.put("k");
    lab.settle();
    ops::delete::version(&mut lab.world, ("dst", "k"), &id, &WriteIf::default(), false).unwrap();
    let request = lab.request(&format!("src,k,{id}\n"));
    let job = lab.run(request);
    assert_eq!(codes(&lab, &job), ["DstObjectHardDeleted"]);
    assert!(lab.version("dst", "k", &id).is_none());
}

#[test]
fn what_nothing_is_owed_for_succeeds_or_says_so() {
    let mut lab = Lab::new();
    let id = lab.put("k");
    lab.settle();
    let mut request = lab.request(&format!("src,k,{id}\n"));
    let job = lab.run(request.clone());
    assert_eq!(codes(&lab, &job), [""]);
    lab.world.jobs.not_pending_is_reported = true;
    request.token = "again".into();
    let job = lab.run(request);
    assert_eq!(codes(&lab, &job), ["SrcReplicationNotPending"]);
}

#[test]
fn a_task_may_only_initiate() {
    let (mut lab, versions) = failed(2);
    lab.world.jobs.succeeded_means_initiated = true;
    lab.world.buckets.remove("dst");
    let request = lab.request(&lines(&versions));
    let id = lab.run(request);
    assert_eq!((lab.job(&id).succeeded, lab.job(&id).failed), (2, 0));
    assert_eq!(lab.status(&versions[0].0, &versions[0].1), Some(ReplicationStatus::Failed));
    assert_eq!(lab.reasons(), ["DstBucketNotFound", "DstBucketNotFound"]);
}

#[test]
fn half_of_a_thousand_failed_tasks_end_a_job() {
    let (mut lab, versions) = failed(1_200);
    lab.deny("s3:ReplicateObject");
    let request = lab.request(&lines(&versions));
    let id = lab.run(request);
    let job = lab.job(&id);
    assert_eq!((job.status, job.total, job.failed), (Status::Failed, 1_200, 1_000));
    assert_eq!(lab.rows(&id).len(), 1_000, "rows it never reached are in no report");
    let fewer = lab.request(&lines(&versions[..999]));
    let id = lab.run(fewer);
    assert_eq!((lab.job(&id).status, lab.job(&id).failed), (Status::Complete, 999));
}

#[test]
fn a_generator_finds_what_the_rules_and_the_filter_want() {
    let (mut lab, versions) = failed(3);
    let fresh = lab.put("fresh,1");
    lab.settle();
    let request = lab.generated(&["FAILED"]);
    let id = lab.run(request);
    assert_eq!((lab.job(&id).status, lab.job(&id).total), (Status::Complete, 3));
    let manifest = lab.job(&id).generated.clone().unwrap();
    assert_eq!(manifest.object, format!("arn:aws:s3:::state/generated/job-{id}/manifest.json"));
    assert_eq!(lab.status(&versions[0].0, &versions[0].1), Some(ReplicationStatus::Completed));
    // Nothing has failed any more: the job that S3 finds no keys for fails.
    let request = Request { token: "second".into(), ..lab.generated(&["FAILED"]) };
    let id = lab.run(request);
    assert_eq!(lab.job(&id).status, Status::Failed);
    assert_eq!(
        lab.job(&id).failures[0].reason,
        "Manifest generation found no keys matching the filter criteria."
    );
    assert!(lab.report(&id).is_none());
    let mut request = Request { token: "third".into(), ..lab.generated(&["COMPLETED"]) };
    if let Source::Generator(generator) = &mut request.source {
        generator.filter.prefixes = vec!["fresh".into()];
    }
    let id = lab.run(request);
    assert_eq!(lab.rows(&id)[0][..2], ["fresh%2C1".to_owned(), fresh]);
}

#[test]
fn a_kept_manifest_feeds_another_job() {
    let (mut lab, _) = failed(3);
    let request = lab.generated(&["FAILED"]);
    let first = lab.run(request);
    let kept = lab.job(&first).generated.clone().unwrap();
    let mut request = lab.request("");
    let Source::Manifest(manifest) = &mut request.source else { return };
    manifest.format = "S3InventoryReport_CSV_20161130".into();
    manifest.fields.clear();
    (manifest.object, manifest.etag) = (kept.object, format!("\"{}\"", kept.etag));
    let id = lab.run(request);
    assert_eq!((lab.job(&id).status, lab.job(&id).total), (Status::Complete, 3));
}

#[test]
fn a_manifest_that_cannot_be_read_fails_the_job() {
    let check = |reason: &str, text: &str, spoil: fn(&mut Lab, &mut Request)| {
        let (mut lab, _) = failed(1);
        let mut request = lab.request(text);
        spoil(&mut lab, &mut request);
        let id = lab.run(request);
        let job = lab.job(&id);
        assert_eq!(job.status, Status::Failed, "{reason}");
        assert!(job.failures[0].reason.contains(reason), "{reason}: {:?}", job.failures);
        assert!(lab.report(&id).is_none(), "no task ran");
    };
    fn manifest(request: &mut Request) -> &mut super::request::Manifest {
        match &mut request.source {
            Source::Manifest(manifest) => manifest,
            Source::Generator(_) => panic!("a generator has no manifest"),
        }
    }
    let fields = "Unexpected number of task fields";
    check(fields, "src,k\n", |_, _| {});
    check(fields, "src,k,v\n\nsrc,k,v\n", |_, _| {});
    check(fields, "src,k,v,x\n", |_, _| {});
    check("Invalid object key format", "src,%ff,v\n", |_, _| {});
    check("Invalid version ID format", "src,k,v v\n", |_, _| {});
    check("Required fields are missing in the schema: Key", "src,v\n", |_, request| {
        manifest(request).fields = vec!["Bucket".into(), "VersionId".into()];
    });
    check("ETag format is invalid", "src,k,v\n", |_, request| manifest(request).etag = "x".into());
    check("ETag of the manifest", "src,k,v\n", |_, request| {
        manifest(request).etag = "0".repeat(32)
    });
    check("forbidden", "src,k,v\n", |_, request| {
        request.role = "arn:aws:iam::111122223333:role/no".into()
    });
    check("forbidden", "src,k,v\n", |lab, _| {
        lab.world.iam.revoke(JOB_ROLE, "ReadManifest");
    });
    check("forbidden", "src,k,v\n", |lab, _| {
        lab.world.buckets.get_mut("state").unwrap().keys.clear();
    });
    check("SSE-KMS", "src,k,v\n", |lab, _| {
        let versions = lab.world.buckets.get_mut("state").unwrap().keys.get_mut("manifest.csv");
        versions.unwrap()[0].encryption =
            Encryption::Kms { key: "k".into(), dual: false, bucket_key: false };
    });
}

#[test]
fn rows_without_a_version_fail_alone() {
    let (mut lab, versions) = failed(1);
    let request = lab.request(&format!("src,k00000,\nsrc,k00000,{}\n", versions[0].1));
    let id = lab.run(request);
    assert_eq!(codes(&lab, &id), ["SrcObjectNotFound", ""]);
    let mut request = lab.request("src,k00000\n");
    if let Source::Manifest(manifest) = &mut request.source {
        manifest.fields.pop();
    }
    let id = lab.run(request);
    assert_eq!(lab.rows(&id)[0][1..], ["", "failed", "400", "InvalidRequest"]);
}

#[test]
fn a_report_that_cannot_be_written_fails_the_job() {
    let check = |spoil: fn(&mut Lab, &mut Request)| {
        let (mut lab, versions) = failed(1);
        let mut request = lab.request(&lines(&versions));
        spoil(&mut lab, &mut request);
        let id = lab.run(request);
        assert_eq!(lab.job(&id).status, Status::Failed);
        assert_eq!(lab.job(&id).failures[0].code, "JobReportWriteFailed");
        assert_eq!(lab.job(&id).succeeded, 1, "the tasks did run");
    };
    check(|_, request| request.report.bucket = Some("arn:aws:s3:::nowhere".into()));
    check(|_, request| request.report.expected_owner = Some("999999999999".into()));
    check(|lab, _| {
        lab.world.iam.revoke(JOB_ROLE, "WriteReport");
    });
}

#[test]
fn a_job_passes_replicas_and_delete_markers_on() {
    let mut lab = Lab::new();
    let mut rule = Rule::to_bucket("r1", 1, "dst");
    rule.delete_markers = Some(true);
    lab.rules(vec![rule.clone()]);
    let id = lab.put("k");
    lab.settle();
    // `dst` replicates on to `dst2`; a job does what live replication does not.
    let mut onward = lab.world.buckets["src"].replication.clone().unwrap();
    onward.rules = vec![Rule::to_bucket("on", 1, "dst2").into()];
    lab.world.buckets.get_mut("dst").unwrap().replication = Some(onward);
    let mut role = Role::replication(
        crate::world::replication::lab::REPLICATION_ROLE,
        "src",
        &["dst", "dst2"],
    );
    role.statements.extend(Role::replication("", "dst", &[]).statements);
    lab.world.iam.put(role);
    let mut batch = Role::trusted_by(JOB_ROLE, BATCH_SERVICE);
    batch.statements.push(crate::world::policy::Statement::allow("all", &["s3:*"], &["*"]));
    lab.world.iam.put(batch);
    ops::delete::key(&mut lab.world, "src", "gone", &WriteIf::default()).unwrap();
    let marker = lab.world.buckets["src"].keys["gone"][0].id.to_string();
    lab.settle();
    // It stays one after a job that failed: nothing live passes it on.
    lab.deny("s3:ReplicateObject");
    let request = lab.request(&format!("dst,k,{id}\n"));
    let job = lab.run(request);
    assert_eq!(codes(&lab, &job), ["DstPutObjectNotPermitted"]);
    lab.allow_again("s3:ReplicateObject");
    let tags = [("a".to_owned(), "1".to_owned())].into_iter().collect();
    ops::tags::replace(&mut lab.world, "dst", "k", Some(&id), tags).unwrap();
    lab.settle();
    assert!(lab.version("dst2", "k", &id).is_none());
    let request = lab.request(&format!("dst,k,{id}\nsrc,gone,{marker}\n"));
    let job = lab.run(request);
    assert_eq!(codes(&lab, &job), ["", ""]);
    assert_eq!(lab.version("dst", "k", &id).unwrap().replication, Some(ReplicationStatus::Replica));
    assert!(lab.version("dst2", "k", &id).is_some());
    rule.delete_markers = Some(false);
    lab.rules(vec![rule]);
    let request = lab.request(&format!("src,gone,{marker}\n"));
    let job = lab.run(request);
    assert_eq!(codes(&lab, &job), ["SrcObjectNotEligible"]);
}
