#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::lab::{Lab, REPLICA_KEY, REPLICATION_ROLE, SOURCE_KEY};
use super::rules::{Filter, ReplicationConfig, Rule, Switch};
use super::{Trigger, on_write};
use crate::world::bucket::Versioning;
use crate::world::object::{Encryption, ReplicationStatus as Status, Tags};
use crate::world::ops::condition::WriteIf;
use crate::world::{ops, replication};

fn tagged(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Makes the newest version of a key a KMS object, as if it had been written so.
fn encrypt(lab: &mut Lab, key: &str) {
    let version = &mut lab.world.buckets.get_mut("src").unwrap().keys.get_mut(key).unwrap()[0];
    version.encryption = Encryption::Kms { key: SOURCE_KEY.into(), dual: false, bucket_key: false };
}

fn kms_rule() -> Rule {
    let mut rule = Rule::to_bucket("r1", 1, "dst");
    rule.sse_kms = Some(true);
    rule.destination.encryption = Some(Some(REPLICA_KEY.into()));
    rule
}

#[test]
fn a_replica_is_the_source_but_for_its_status() {
    let mut lab = Lab::new();
    let id = lab.put("a/b c.txt");
    assert_eq!(lab.status("a/b c.txt", &id), Some(Status::Pending), "at once");
    lab.settle();
    assert_eq!(lab.status("a/b c.txt", &id), Some(Status::Completed));
    let (source, replica) = (
        lab.version("src", "a/b c.txt", &id).unwrap(),
        lab.version("dst", "a/b c.txt", &id).unwrap(),
    );
    assert_eq!(replica.replication, Some(Status::Replica));
    assert_eq!((replica.modified, replica.size()), (source.modified, source.size()));
    let contents = (source.content.as_ref().unwrap(), replica.content.as_ref().unwrap());
    assert!(std::sync::Arc::ptr_eq(contents.0, contents.1), "bytes are shared");
    assert!(lab.records().is_empty());
}

#[test]
fn each_cause_has_its_code() {
    let check = |code: &str, spoil: fn(&mut Lab)| {
        let mut lab = Lab::new();
        lab.rules(vec![kms_rule()]);
        let id = lab.put("k");
        encrypt(&mut lab, "k");
        spoil(&mut lab);
        lab.settle();
        assert_eq!(lab.status("k", &id), Some(Status::Failed), "{code}");
        assert!(lab.version("dst", "k", &id).is_none(), "{code}");
        assert_eq!(lab.reasons(), [code]);
    };
    check("AssumeRoleNotPermitted", |lab| {
        lab.world.iam.delete(REPLICATION_ROLE);
    });
    check("AssumeRoleNotPermitted", |lab| {
        lab.world.iam.role_mut(REPLICATION_ROLE).unwrap().trust.clear();
    });
    check("SrcGetObjectNotPermitted", |lab| lab.deny("s3:GetObjectVersionForReplication"));
    check("SrcGetAclNotPermitted", |lab| lab.deny("s3:GetObjectVersionAcl"));
    check("SrcGetObjectNotPermitted", |lab| lab.deny("kms:Decrypt"));
    check("SrcKmsKeyInvalidState", |lab| {
        lab.world.kms.disable(SOURCE_KEY);
    });
    check("DstBucketNotFound", |lab| {
        lab.world.buckets.remove("dst");
    });
    check("DstBucketUnversioned", |lab| {
        lab.world.buckets.get_mut("dst").unwrap().versioning = Versioning::Suspended;
    });
    check("DstKmsKeyNotFound", |lab| {
        lab.world.kms.delete(REPLICA_KEY);
    });
    check("DstKmsKeyInvalidState", |lab| {
        lab.world.kms.schedule_deletion(REPLICA_KEY);
    });
    check("DstPutObjectNotPermitted", |lab| lab.deny("kms:GenerateDataKey"));
    check("DstPutObjectNotPermitted", |lab| lab.deny("s3:ReplicateObject"));
}

#[test]
fn failed_is_sticky_until_the_version_itself_changes() {
    let mut lab = Lab::new();
    lab.deny("s3:ReplicateObject");
    let id = lab.put("k");
    lab.settle();
    lab.allow_again("s3:ReplicateObject");
    lab.world.advance_to(lab.world.now() + 90 * 86_400_000);
    assert_eq!(lab.status("k", &id), Some(Status::Failed));
    ops::tags::replace(&mut lab.world, "src", "k", Some(&id), tagged(&[("a", "1")])).unwrap();
    lab.settle();
    assert_eq!(lab.status("k", &id), Some(Status::Completed));
    assert_eq!(lab.version("dst", "k", &id).unwrap().tags, tagged(&[("a", "1")]));
}

#[test]
fn tags_that_do_not_arrive_fail_in_silence() {
    for action in ["s3:ReplicateTags", "s3:GetObjectVersionTagging"] {
        let mut lab = Lab::new();
        lab.deny(action);
        let id = lab.put("k");
        let version = &mut lab.world.buckets.get_mut("src").unwrap().keys.get_mut("k").unwrap()[0];
        version.tags = tagged(&[("a", "1")]);
        lab.settle();
        assert_eq!(lab.status("k", &id), Some(Status::Failed), "{action}");
        assert!(lab.version("dst", "k", &id).unwrap().tags.is_empty(), "{action}");
        assert!(lab.records().is_empty(), "{action}");
    }
}

#[test]
fn without_metrics_nobody_is_told() {
    let mut lab = Lab::new();
    let mut rule = Rule::to_bucket("r1", 1, "dst");
    rule.destination.metrics = Some(Switch { enabled: false, minutes: None });
    lab.rules(vec![rule]);
    lab.deny("s3:ReplicateObject");
    let id = lab.put("k");
    lab.settle();
    assert_eq!(lab.status("k", &id), Some(Status::Failed));
    assert!(lab.records().is_empty());
}

#[test]
fn one_bad_destination_fails_the_version_and_is_told_alone() {
    let mut lab = Lab::new();
    lab.rules(vec![Rule::to_bucket("good", 1, "dst"), Rule::to_bucket("bad", 2, "dst2")]);
    lab.world.buckets.remove("dst2");
    let id = lab.put("k");
    lab.settle();
    assert_eq!(lab.status("k", &id), Some(Status::Failed));
    assert!(lab.version("dst", "k", &id).is_some());
    let records = lab.records();
    assert_eq!(records.len(), 1);
    let data = &records[0]["replicationEventData"];
    assert_eq!(
        (data["replicationRuleId"].as_str(), data["destinationBucket"].as_str()),
        (Some("bad"), Some("arn:aws:s3:::dst2"))
    );
}

#[test]
fn of_rules_with_one_destination_the_highest_decides() {
    let mut lab = Lab::new();
    let mut low = Rule::to_bucket("low", 1, "dst");
    low.destination.storage_class = Some("STANDARD_IA".into());
    let mut high = Rule::to_bucket("high", 2, "dst");
    high.destination.storage_class = Some("GLACIER_IR".into());
    high.filter = Filter::Prefix("a/".into());
    lab.rules(vec![low, high]);
    let (inside, outside) = (lab.put("a/k"), lab.put("k"));
    lab.settle();
    assert_eq!(&*lab.version("dst", "a/k", &inside).unwrap().storage_class, "GLACIER_IR");
    assert_eq!(&*lab.version("dst", "k", &outside).unwrap().storage_class, "STANDARD_IA");
}

#[test]
fn what_no_rule_wants_has_no_status() {
    let check = |what: &str, change: fn(&mut Rule), prepare: fn(&mut Lab)| {
        let mut lab = Lab::new();
        let mut rule = Rule::to_bucket("r1", 1, "dst");
        change(&mut rule);
        lab.rules(Vec::new());
        let id = lab.put("k");
        prepare(&mut lab);
        lab.rules(vec![rule]);
        on_write(&mut lab.world, "src", "k", &id, Trigger::Put);
        lab.settle();
        assert_eq!(lab.status("k", &id), None, "{what}");
    };
    check("disabled", |rule| rule.enabled = false, |_| {});
    check("another prefix", |rule| rule.filter = Filter::Prefix("a/".into()), |_| {});
    check(
        "a tag that is not there",
        |rule| rule.filter = Filter::Tag("a".into(), "1".into()),
        |_| {},
    );
    check("KMS without the option", |_| {}, |lab| encrypt(lab, "k"));
    check(
        "archived",
        |_| {},
        |lab| {
            let bucket = lab.world.buckets.get_mut("src").unwrap();
            bucket.keys.get_mut("k").unwrap()[0].storage_class = "GLACIER".into();
        },
    );
}

#[test]
fn the_tags_that_it_was_written_with_pick_the_rules() {
    let mut lab = Lab::new();
    let mut rule = Rule::to_bucket("r1", 1, "dst");
    rule.filter = Filter::Tag("a".into(), "1".into());
    lab.rules(Vec::new());
    let id = lab.put("k");
    ops::tags::replace(&mut lab.world, "src", "k", Some(&id), tagged(&[("a", "1")])).unwrap();
    lab.rules(vec![rule]);
    on_write(&mut lab.world, "src", "k", &id, Trigger::Put);
    ops::tags::replace(&mut lab.world, "src", "k", Some(&id), Tags::new()).unwrap();
    lab.settle();
    assert_eq!(lab.status("k", &id), Some(Status::Completed));
}

#[test]
fn delete_markers_go_along_only_when_told_to() {
    let check = |markers: Option<bool>, filter: Filter, expected: bool| {
        let mut lab = Lab::new();
        let mut rule = Rule::to_bucket("r1", 1, "dst");
        (rule.delete_markers, rule.filter) = (markers, filter);
        lab.rules(vec![rule]);
        lab.put("k");
        ops::delete::key(&mut lab.world, "src", "k", &WriteIf::default()).unwrap();
        lab.settle();
        let newest = &lab.world.buckets["dst"].keys["k"][0];
        assert_eq!(newest.is_delete_marker(), expected, "{markers:?}");
    };
    check(Some(true), Filter::All, true);
    check(Some(false), Filter::All, false);
    check(None, Filter::V1(String::new()), true);
    let mut lab = Lab::new();
    let mut rule = Rule::to_bucket("r1", 1, "dst");
    rule.delete_markers = Some(true);
    lab.rules(vec![rule]);
    lab.deny("s3:ReplicateDelete");
    ops::delete::key(&mut lab.world, "src", "gone", &WriteIf::default()).unwrap();
    lab.settle();
    assert_eq!(lab.reasons(), ["DstDelObjNotPermitted"]);
}

#[test]
fn metadata_goes_on_only_where_the_replica_is() {
    let mut lab = Lab::new();
    let id = lab.put("k");
    lab.settle();
    ops::delete::version(&mut lab.world, ("dst", "k"), &id, &WriteIf::default(), false).unwrap();
    ops::tags::replace(&mut lab.world, "src", "k", Some(&id), tagged(&[("a", "1")])).unwrap();
    assert_eq!(lab.status("k", &id), Some(Status::Pending));
    lab.settle();
    assert_eq!(lab.reasons(), ["DstVersionNotFound"]);
}

#[test]
fn a_replica_goes_on_only_for_its_metadata_and_only_when_told_to() {
    const BACK: &str = "arn:aws:iam::111122223333:role/back";
    for sync in [None, Some(true)] {
        let mut lab = Lab::new();
        let id = lab.put("k");
        lab.settle();
        let mut back = Rule::to_bucket("back", 1, "src");
        back.replica_modifications = sync;
        lab.world.iam.put(crate::world::iam::Role::replication(BACK, "dst", &["src"]));
        lab.world.buckets.get_mut("dst").unwrap().replication =
            Some(ReplicationConfig { role: BACK.into(), rules: vec![back.into()] });
        ops::tags::replace(&mut lab.world, "dst", "k", Some(&id), tagged(&[("a", "1")])).unwrap();
        lab.settle();
        let expected = if sync.is_some() { tagged(&[("a", "1")]) } else { Tags::new() };
        assert_eq!(lab.version("src", "k", &id).unwrap().tags, expected);
        assert_eq!(lab.version("dst", "k", &id).unwrap().replication, Some(Status::Replica));
    }
}

#[test]
fn replicas_lie_in_the_order_of_their_sources() {
    let mut lab = Lab::new();
    let ids: Vec<String> = (0..3).map(|_| lab.put("k")).collect();
    // The oldest arrives last.
    lab.world.buckets.get_mut("src").unwrap().keys.get_mut("k").unwrap()[2].replication = None;
    lab.settle();
    lab.world
        .buckets
        .get_mut("dst")
        .unwrap()
        .keys
        .get_mut("k")
        .unwrap()
        .retain(|it| *it.id != *ids[0]);
    on_write(&mut lab.world, "src", "k", &ids[0], Trigger::Put);
    lab.settle();
    let order = |bucket: &str| -> Vec<String> {
        lab.world.buckets[bucket].keys["k"].iter().map(|it| it.id.to_string()).collect()
    };
    assert_eq!(order("dst"), order("src"));
}

#[test]
fn a_version_that_is_gone_is_forgotten() {
    let mut lab = Lab::new();
    let id = lab.put("k");
    ops::delete::version(&mut lab.world, ("src", "k"), &id, &WriteIf::default(), false).unwrap();
    lab.settle();
    assert!(lab.version("dst", "k", &id).is_none());
    assert!(lab.records().is_empty());
}

#[test]
fn a_late_version_is_told_twice_under_time_control() {
    let mut lab = Lab::new();
    lab.world.config.replication_delay = 20 * 60_000;
    let mut rule = Rule::to_bucket("r1", 1, "dst");
    rule.destination.time_control = Some(Switch { enabled: true, minutes: Some(15) });
    lab.rules(vec![rule]);
    lab.put("k");
    lab.settle();
    let names: Vec<_> = lab.records().iter().map(|it| it["eventName"].to_string()).collect();
    assert_eq!(
        names,
        [
            "\"Replication:OperationMissedThreshold\"",
            "\"Replication:OperationReplicatedAfterThreshold\""
        ]
    );
}

/// What `PutBucketReplication` says of a rule beside a good one, `r2` of priority 7; empty if it takes both.
fn refused(code: &str, spoil: fn(&mut Rule, &mut Lab)) {
    let mut lab = Lab::new();
    let mut rule = Rule::to_bucket("r1", 1, "dst");
    spoil(&mut rule, &mut lab);
    let second = Rule::to_bucket("r2", 7, "dst");
    let config = ReplicationConfig {
        role: "arn:aws:iam::111122223333:role/r".into(),
        rules: vec![rule.into(), second.into()],
    };
    let answer = replication::rules::validate(&lab.world, "src", &config);
    assert_eq!(answer.err().map_or(String::new(), |refusal| refusal.code), code);
}

#[test]
fn put_bucket_replication_refuses_with_the_right_code() {
    let check = refused;
    check("", |_, _| {});
    check("", |rule, _| rule.destination.encryption = Some(Some("nonsense".into())));
    check("InvalidRequest", |rule, _| rule.destination.bucket = "arn:aws:s3:::src".into());
    check("InvalidRequest", |rule, _| rule.destination.bucket = "arn:aws:s3:::none".into());
    check("InvalidArgument", |rule, _| rule.destination.bucket = "dst".into());
    check("InvalidArgument", |rule, _| rule.destination.bucket = "arn:aws:s3:::dst/key".into());
    check("InvalidRequest", |rule, _| rule.priority = None);
    check("InvalidRequest", |rule, _| rule.delete_markers = None);
    check("InvalidRequest", |rule, _| rule.priority = Some(-1));
    check("InvalidRequest", |rule, _| rule.priority = Some(7));
    check("InvalidRequest", |rule, _| rule.filter = Filter::V1("a".into()));
    check("InvalidRequest", |rule, _| rule.sse_kms = Some(true));
    check("InvalidArgument", |rule, _| rule.destination.account = Some("999999999999".into()));
    check("MalformedXML", |rule, _| rule.destination.storage_class = Some("OUTPOSTS".into()));
    check("InvalidArgument", |rule, _| rule.id = "r2".into());
    check("InvalidArgument", |rule, _| rule.id = "ü".into());
    check("InvalidArgument", |rule, _| rule.id = "x".repeat(256));
}

#[test]
fn put_bucket_replication_refuses_filters_timing_and_versioning() {
    let check = refused;
    check("MalformedXML", |rule, _| rule.filter = Filter::And { prefix: None, tags: vec![] });
    check("InvalidRequest", |rule, _| {
        let tag = || ("k".to_owned(), "v".to_owned());
        rule.filter = Filter::And { prefix: None, tags: vec![tag(), tag()] };
    });
    check("InvalidRequest", |rule, _| {
        rule.filter = Filter::Tag("k".into(), "v".into());
        rule.delete_markers = Some(true);
    });
    check("InvalidRequest", |rule, _| {
        rule.destination.time_control = Some(Switch { enabled: true, minutes: Some(15) });
        rule.destination.metrics = None;
    });
    check("InvalidArgument", |rule, _| {
        rule.destination.metrics = Some(Switch { enabled: true, minutes: Some(5) });
    });
    check("InvalidRequest", |_, lab| {
        lab.world.buckets.get_mut("dst").unwrap().versioning = Versioning::Suspended;
    });
    check("InvalidRequest", |_, lab| {
        lab.world.buckets.get_mut("src").unwrap().versioning = Versioning::Unversioned;
    });
    check("NoSuchBucket", |_, lab| {
        lab.world.buckets.remove("src");
    });
}
