"""What is not replicated, live or on demand (S3 User Guide, "What does Amazon S3 replicate?" and
"Batch Replication considerations")."""

import base64
import hashlib

import pytest

from cloud import (DESTINATION, REPORTS, SOURCE, arn, encrypted_rule, generator, refusal, rule)

ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
NOTHING_FOUND = "Manifest generation found no keys matching the filter criteria."


def task(pair, key, version):
    """The row of a job over one version."""
    return pair.row(pair.run_job(Manifest=pair.manifest([(SOURCE, key, version)])))


# Archives.

@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archived_object_is_not_replicated_live(pair, name):
    url = pair.listen()
    pair.replicate()
    pair.put("k", StorageClass=name)
    pair.settle()
    assert pair.status_of("k") is None
    assert pair.versions() == set()
    assert pair.records(url) == []


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archived_object_is_not_eligible_for_a_job(pair, name):
    version = pair.put("k", StorageClass=name)
    pair.replicate()
    assert task(pair, "k", version).code == "SrcObjectNotEligible"
    assert pair.status_of("k") is None


def test_a_source_with_nothing_but_archives_has_nothing_to_list(pair):
    for name in ARCHIVES:
        pair.put(name, StorageClass=name)
    pair.replicate()
    job = pair.run_job()
    assert job["Status"] == "Failed"
    assert job["FailureReasons"][0]["FailureReason"] == NOTHING_FOUND


@pytest.mark.parametrize("name", ["STANDARD_IA", "ONEZONE_IA", "GLACIER_IR",
                                  "INTELLIGENT_TIERING"])
def test_a_class_that_can_be_read_at_once_is_replicated(pair, name):
    pair.replicate()
    pair.put("k", StorageClass=name)
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.head("k", DESTINATION)["StorageClass"] == name


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archived_object_cannot_be_read(pair, name):
    pair.put("k", b"text", StorageClass=name)
    refused = refusal(pair.s3.get_object, Bucket=SOURCE, Key="k")
    assert (refused.code, refused.status) == ("InvalidObjectState", 403)
    assert pair.head("k")["StorageClass"] == name


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_restored_object_can_be_read_for_a_while(pair, name):
    pair.put("k", b"text", StorageClass=name)
    pair.restore("k", days=2)
    assert 'ongoing-request="true"' in pair.head("k")["Restore"]
    # Standard retrievals end within 5 hours, or 12 for a deep archive.
    pair.advance(hours=13)
    head = pair.head("k")
    assert 'ongoing-request="false"' in head["Restore"] and "expiry-date=" in head["Restore"]
    assert head["StorageClass"] == name
    assert pair.read("k", SOURCE) == b"text"
    pair.advance(days=4)
    assert "Restore" not in pair.head("k")
    assert refusal(pair.s3.get_object, Bucket=SOURCE, Key="k").code == "InvalidObjectState"


def test_a_restore_that_is_under_way_is_not_begun_again(pair):
    pair.put("k", StorageClass="GLACIER")
    pair.restore("k", days=2)
    refused = refusal(pair.restore, "k", days=2)
    assert (refused.code, refused.status) == ("RestoreAlreadyInProgress", 409)


def test_an_object_that_is_not_archived_cannot_be_restored(pair):
    pair.put("k")
    assert refusal(pair.restore, "k", days=2).code == "InvalidObjectState"


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_restored_object_is_not_eligible_until_it_is_copied_to_another_class(pair, name):
    version = pair.put("k", b"text", StorageClass=name)
    pair.replicate()
    pair.restore("k", days=5)
    pair.advance(hours=13)
    assert task(pair, "k", version).code == "SrcObjectNotEligible"
    pair.s3.copy_object(Bucket=SOURCE, Key="k", CopySource={"Bucket": SOURCE, "Key": "k"},
                        StorageClass="STANDARD")
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.read("k", DESTINATION) == b"text"


@pytest.mark.parametrize("tier, days", [("ARCHIVE_ACCESS", 90), ("DEEP_ARCHIVE_ACCESS", 180)])
def test_an_archive_tier_is_not_eligible_until_it_is_restored(pair, tier, days):
    """S3 User Guide, "Managing S3 Intelligent-Tiering": restored into the Frequent Access tier."""
    pair.s3.put_bucket_intelligent_tiering_configuration(
        Bucket=SOURCE, Id="archive", IntelligentTieringConfiguration={
            "Id": "archive", "Status": "Enabled",
            "Tierings": [{"AccessTier": tier, "Days": days}]})
    version = pair.put("k", b"text" * 50_000, StorageClass="INTELLIGENT_TIERING")
    pair.replicate()
    pair.advance(days=days + 2)
    assert pair.head("k")["ArchiveStatus"] == tier
    assert refusal(pair.s3.get_object, Bucket=SOURCE, Key="k").code == "InvalidObjectState"
    assert task(pair, "k", version).code == "SrcObjectNotEligible"
    pair.restore("k")
    pair.advance(hours=13)
    assert "ArchiveStatus" not in pair.head("k")
    assert task(pair, "k", version).status == "succeeded"
    assert pair.versions() == {("k", version)}


def test_a_job_counts_as_an_access_to_an_object_in_intelligent_tiering(pair):
    """S3 User Guide, "How S3 Intelligent-Tiering works": what is read stays in the Frequent Access
    tier, or goes back into it."""
    pair.s3.put_bucket_intelligent_tiering_configuration(
        Bucket=SOURCE, Id="archive", IntelligentTieringConfiguration={
            "Id": "archive", "Status": "Enabled",
            "Tierings": [{"AccessTier": "ARCHIVE_ACCESS", "Days": 90}]})
    pair.put("k", b"text" * 50_000, StorageClass="INTELLIGENT_TIERING")
    pair.replicate()
    pair.advance(days=60)
    assert pair.row(pair.run_job()).status == "succeeded"
    pair.advance(days=60)
    assert "ArchiveStatus" not in pair.head("k")
    pair.advance(days=32)
    assert pair.head("k")["ArchiveStatus"] == "ARCHIVE_ACCESS"


# Deletions by version id.

def test_a_deletion_by_version_id_is_not_replicated(pair):
    pair.replicate(rule(markers=True))
    version = pair.put("k")
    pair.settle()
    pair.s3.delete_object(Bucket=SOURCE, Key="k", VersionId=version)
    pair.settle()
    assert pair.versions(SOURCE) == set()
    assert pair.versions() == {("k", version)}


def test_a_delete_marker_removed_by_its_version_id_stays_at_the_destination(pair):
    pair.replicate(rule(markers=True))
    pair.put("k")
    marker = pair.delete("k")
    pair.settle()
    pair.s3.delete_object(Bucket=SOURCE, Key="k", VersionId=marker)
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.markers() == {("k", marker)}


def test_a_replica_deleted_by_its_version_id_stays_deleted(pair):
    pair.replicate()
    version = pair.put("k")
    pair.settle()
    pair.s3.delete_object(Bucket=DESTINATION, Key="k", VersionId=version)
    job = pair.run_job(ManifestGenerator=generator("COMPLETED"))
    assert pair.row(job).code == "DstObjectHardDeleted"
    assert pair.versions() == set()


def test_a_replica_deleted_by_its_version_id_is_not_made_again_by_new_tags(pair):
    url = pair.listen()
    pair.replicate()
    version = pair.put("k")
    pair.settle()
    pair.s3.delete_object(Bucket=DESTINATION, Key="k", VersionId=version)
    for number in range(3):
        pair.tag("k", number=str(number))
        pair.settle()
        assert pair.reasons(url) == ["DstVersionNotFound"], number
    assert pair.status_of("k") == "FAILED"
    assert pair.versions() == set()


def test_a_copy_in_place_makes_a_deleted_replica_again_as_a_new_version(pair):
    """S3 User Guide, "Batch Replication considerations": copy the source objects in place with a
    Batch Copy job, and they are replicated as new versions."""
    pair.replicate()
    old = pair.put("k", b"text", Tagging="a=1", Metadata={"colour": "red"})
    pair.settle()
    pair.s3.delete_object(Bucket=DESTINATION, Key="k", VersionId=old)
    copy = {"S3PutObjectCopy": {"TargetResource": arn(SOURCE), "StorageClass": "STANDARD",
                                "MetadataDirective": "COPY"}}
    job = pair.run_job(Operation=copy, RoleArn=pair.copy_role(),
                       Manifest=pair.manifest([(SOURCE, "k")], ("Bucket", "Key")))
    assert (job["Status"], pair.row(job).status) == ("Complete", "succeeded")
    pair.settle()
    new = pair.head("k")["VersionId"]
    assert new != old
    assert pair.versions() == {("k", new)}
    assert pair.status_of("k") == "COMPLETED"
    assert (pair.tags_of("k", DESTINATION), pair.head("k", DESTINATION)["Metadata"]) == (
        {"a": "1"}, {"colour": "red"})


def test_a_destination_that_was_made_anew_is_filled_by_a_job_only(pair):
    pair.replicate()
    version = pair.put("k")
    pair.settle()
    pair.s3.delete_object(Bucket=DESTINATION, Key="k", VersionId=version)
    pair.s3.delete_bucket(Bucket=DESTINATION)
    pair.bucket(DESTINATION)
    pair.settle()
    assert pair.versions() == set()
    assert pair.row(pair.run_job(ManifestGenerator=generator("COMPLETED"))).status == "succeeded"
    assert pair.versions() == {("k", version)}


# Replicas, tags, keys.

def test_replicas_do_not_go_on_live(pair):
    pair.bucket("third")
    pair.replication_role(DESTINATION, "third", name="onward")
    pair.replicate()
    pair.replicate(rule("third"), source=DESTINATION, role="onward")
    pair.put("k")
    pair.settle()
    assert pair.status_of("k", DESTINATION) == "REPLICA"
    assert pair.versions("third") == set()


def test_two_buckets_that_replicate_each_other_do_not_go_in_circles(pair):
    pair.replication_role(DESTINATION, SOURCE, name="back")
    pair.replicate()
    pair.replicate(rule(SOURCE), source=DESTINATION, role="back")
    there, back = pair.put("there"), pair.put("back", bucket=DESTINATION)
    pair.settle()
    assert pair.versions(SOURCE) == pair.versions() == {("there", there), ("back", back)}
    assert (pair.status_of("there"), pair.status_of("back")) == ("COMPLETED", "REPLICA")


def test_a_tag_rule_leaves_out_what_is_not_tagged_so(pair):
    pair.replicate(rule(tags={"a": "1"}))
    tagged = pair.put("tagged", Tagging="a=1&b=2")
    pair.put("other", Tagging="a=2")
    pair.put("untagged")
    pair.settle()
    assert pair.versions() == {("tagged", tagged)}
    assert pair.status_of("other") is None and pair.status_of("untagged") is None


def test_a_tag_rule_leaves_out_what_was_tagged_later(pair):
    pair.replicate(rule(tags={"a": "1"}))
    pair.put("k")
    pair.tag("k", a="1")
    pair.settle()
    assert pair.status_of("k") is None
    assert pair.versions() == set()


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_a_kms_object_is_left_out_unless_its_rule_opts_in(pair, algorithm):
    url = pair.listen()
    pair.replicate()
    version = pair.put("k", ServerSideEncryption=algorithm, SSEKMSKeyId=pair.key())
    pair.settle()
    assert pair.status_of("k") is None
    assert pair.records(url) == []
    assert task(pair, "k", version).code == "SrcObjectNotEligible"


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_a_kms_object_is_replicated_under_the_key_of_its_rule(pair, algorithm):
    source, replica = pair.key(), pair.key()
    pair.replicate(encrypted_rule(replica))
    pair.put("k", b"text", ServerSideEncryption=algorithm, SSEKMSKeyId=source)
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    head = pair.head("k", DESTINATION)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (algorithm, replica)


def test_an_object_under_a_key_of_the_customer_is_replicated(pair):
    key = b"c" * 32
    customer = {"SSECustomerAlgorithm": "AES256",
                "SSECustomerKey": base64.b64encode(key).decode(),
                "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode()}
    pair.replicate()
    pair.put("k", b"text", **customer)
    pair.settle()
    assert pair.status_of("k", **customer) == "COMPLETED"
    answer = pair.s3.get_object(Bucket=DESTINATION, Key="k", **customer)
    assert answer["Body"].read() == b"text"


# What lifecycles do.

def test_a_transition_by_a_lifecycle_is_not_replicated(pair):
    pair.replicate()
    # Objects of less than 128 KiB are not moved by default.
    pair.put("k", b"x" * 200_000)
    pair.settle()
    pair.lifecycle(SOURCE, Transitions=[{"Days": 30, "StorageClass": "GLACIER"}])
    pair.advance(days=33)
    assert pair.head("k")["StorageClass"] == "GLACIER"
    assert pair.head("k", DESTINATION).get("StorageClass", "STANDARD") == "STANDARD"


@pytest.mark.parametrize("made", [
    rule(markers=True),
    {"ID": "v1", "Prefix": "", "Status": "Enabled",
     "Destination": {"Bucket": arn(DESTINATION)}},
], ids=["V2", "V1"])
def test_a_delete_marker_of_a_lifecycle_is_not_replicated(pair, made):
    pair.replicate(made)
    pair.put("k")
    pair.settle()
    pair.lifecycle(SOURCE, Expiration={"Days": 10})
    pair.advance(days=13)
    assert pair.keys(SOURCE) == set() and len(pair.markers(SOURCE)) == 1
    pair.settle()
    assert pair.keys() == {"k"} and pair.markers() == set()


def test_a_delete_marker_of_a_lifecycle_is_not_eligible_for_a_job(pair):
    pair.replicate(rule(markers=True))
    version = pair.put("k")
    pair.settle()
    pair.lifecycle(SOURCE, Expiration={"Days": 10})
    pair.advance(days=13)
    (_, marker), = pair.markers(SOURCE)
    rows = pair.rows(pair.run_job())
    assert [(row.version, row.status) for row in rows] == [(version, "succeeded")]
    assert task(pair, "k", marker).code == "SrcObjectNotEligible"
    assert pair.markers() == set()


def test_what_concerns_the_bucket_is_not_replicated(pair):
    pair.replicate()
    pair.s3.put_bucket_tagging(Bucket=SOURCE, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    pair.lifecycle(SOURCE, Expiration={"Days": 10})
    pair.settle()
    assert refusal(pair.s3.get_bucket_tagging, Bucket=DESTINATION).code == "NoSuchTagSet"
    refused = refusal(pair.s3.get_bucket_lifecycle_configuration, Bucket=DESTINATION)
    assert refused.code == "NoSuchLifecycleConfiguration"


def test_the_cli_restores_an_archived_object(pair):
    pair.put("k", StorageClass="GLACIER")
    names = ("--bucket", SOURCE, "--key", "k")
    pair.cli_ok("s3api", "restore-object", *names, "--restore-request",
                {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}})
    pair.advance(hours=1)
    head = pair.cli_ok("s3api", "head-object", *names)
    assert 'ongoing-request="false"' in head["Restore"]


def test_a_report_in_the_source_is_replicated_like_anything_else(pair):
    """The guide recommends another bucket: what a job writes there meets the rules too."""
    pair.permit("batch", {"Effect": "Allow", "Action": ["s3:*"], "Resource": [
        arn(SOURCE), arn(SOURCE, "*"), arn(REPORTS, "*")]})
    pair.put("k")
    pair.replicate()
    job = pair.run_job(ManifestGenerator=generator("NONE"), Report=pair.report(Bucket=arn(SOURCE)))
    pair.settle()
    assert any(key.startswith(pair.report_folder(job)) for key in pair.keys())
