"""The filters of a generated manifest (S3 API Reference, "JobManifestGeneratorFilter")."""

import base64
import hashlib
from datetime import datetime, timezone

import pytest

from cloud import DESTINATION, SOURCE, arn, encrypted_rule, generator, rule

NOTHING_FOUND = "Manifest generation found no keys matching the filter criteria."


def chosen(pair, *statuses, **members):
    """The keys that a job with this filter works on; none where it fails for want of any."""
    job = pair.run_job(ManifestGenerator=generator(*statuses, **members))
    if job["Status"] == "Failed":
        assert job["FailureReasons"][0]["FailureReason"] == NOTHING_FOUND
        return set()
    return {row.key for row in pair.rows(job)}


# The status of the replication.

@pytest.fixture
def every_status(pair):
    """A source with one object of each status, and another of none that can be asked for."""
    pair.bucket("upstream")
    pair.replication_role("upstream", SOURCE, name="upstream")
    pair.put("none")
    pair.replicate()
    pair.replicate(rule(SOURCE), source="upstream", role="upstream")
    pair.forbid("replication", "s3:ReplicateObject", arn(DESTINATION, "failed"))
    pair.put("replica", bucket="upstream")
    pair.put("failed")
    pair.put("completed")
    pair.settle()
    pair.forgive("replication")
    told = {key: pair.status_of(key) for key in ("none", "failed", "completed", "replica")}
    assert told == {"none": None, "failed": "FAILED", "completed": "COMPLETED",
                    "replica": "REPLICA"}
    return pair


@pytest.mark.parametrize("statuses", [
    ("NONE",), ("FAILED",), ("COMPLETED",), ("REPLICA",),
    ("NONE", "FAILED"), ("COMPLETED", "REPLICA"), ("NONE", "COMPLETED"),
    ("NONE", "FAILED", "COMPLETED"), ("NONE", "FAILED", "COMPLETED", "REPLICA"),
], ids="+".join)
def test_a_manifest_covers_the_statuses_that_were_asked_for(every_status, statuses):
    assert chosen(every_status, *statuses) == {status.lower() for status in statuses}


def test_a_manifest_covers_every_status_when_none_was_asked_for(every_status):
    assert chosen(every_status) == {"none", "failed", "completed", "replica"}


def test_a_failed_version_is_completed_once_a_job_has_replicated_it(every_status):
    assert chosen(every_status, "FAILED") == {"failed"}
    assert chosen(every_status, "FAILED") == set()
    assert chosen(every_status, "COMPLETED") == {"completed", "failed"}


# The time of creation.

def at(ms):
    """A moment of the world's clock."""
    return datetime.fromtimestamp(ms / 1_000, timezone.utc)


@pytest.fixture
def three_ages(pair):
    """Three objects, an hour apart, and the moments between them."""
    moments = []
    for key in ("first", "second", "third"):
        pair.put(key)
        pair.advance(minutes=30)
        moments.append(at(pair.now_ms()))
        pair.advance(minutes=30)
    pair.replicate()
    return pair, moments


def test_created_after_leaves_the_older_ones_out(three_ages):
    pair, moments = three_ages
    assert chosen(pair, CreatedAfter=moments[0]) == {"second", "third"}


def test_created_before_leaves_the_newer_ones_out(three_ages):
    pair, moments = three_ages
    assert chosen(pair, CreatedBefore=moments[1]) == {"first", "second"}


def test_created_after_and_before_make_a_span(three_ages):
    pair, moments = three_ages
    assert chosen(pair, CreatedAfter=moments[0], CreatedBefore=moments[1]) == {"second"}


def test_the_age_is_that_of_the_version_and_not_of_the_key(pair):
    pair.put("k", b"1")
    pair.advance(hours=1)
    moment = at(pair.now_ms())
    pair.advance(hours=1)
    newer = pair.put("k", b"2")
    pair.replicate()
    pair.run_job(ManifestGenerator=generator(CreatedAfter=moment))
    assert pair.versions() == {("k", newer)}


# The name of the key.

KEYS = ("a/1.txt", "a/2.csv", "b/1.txt", "b/a/2.csv", "c")


@pytest.mark.parametrize("constraint, expected", [
    ({"MatchAnyPrefix": ["a/"]}, {"a/1.txt", "a/2.csv"}),
    ({"MatchAnySuffix": [".csv"]}, {"a/2.csv", "b/a/2.csv"}),
    ({"MatchAnySubstring": ["a/"]}, {"a/1.txt", "a/2.csv", "b/a/2.csv"}),
    ({"MatchAnySubstring": ["/1"]}, {"a/1.txt", "b/1.txt"}),
    ({"MatchAnyPrefix": ["A/"]}, set()),
    ({"MatchAnySuffix": ["c"]}, {"c"}),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_a_key_has_to_meet_the_name_constraint(pair, constraint, expected):
    for key in KEYS:
        pair.put(key)
    pair.replicate()
    assert chosen(pair, "NONE", KeyNameConstraint=constraint) == expected


def test_a_name_constraint_does_not_widen_the_rules(pair):
    for key in KEYS:
        pair.put(key)
    pair.replicate(rule(prefix="b/"))
    assert chosen(pair, KeyNameConstraint={"MatchAnySuffix": [".txt"]}) == {"b/1.txt"}


# The size.

@pytest.mark.parametrize("members, expected", [
    ({"ObjectSizeGreaterThanBytes": 10}, {"11", "100"}),
    ({"ObjectSizeLessThanBytes": 10}, {"0", "9"}),
    ({"ObjectSizeGreaterThanBytes": 9, "ObjectSizeLessThanBytes": 11}, {"10"}),
    ({"ObjectSizeGreaterThanBytes": 0}, {"9", "10", "11", "100"}),
    ({"ObjectSizeGreaterThanBytes": 100}, set()),
], ids=["greater", "less", "between", "not empty", "none"])
def test_the_bounds_of_the_size_are_exclusive(pair, members, expected):
    for size in (0, 9, 10, 11, 100):
        pair.put(str(size), b"x" * size)
    pair.replicate()
    assert chosen(pair, **members) == expected


# The storage class.

LIVE_CLASSES = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR")


@pytest.mark.parametrize("classes", [*((name,) for name in LIVE_CLASSES),
                                     ("STANDARD_IA", "GLACIER_IR")], ids="+".join)
def test_an_object_has_to_be_of_one_of_the_storage_classes(pair, classes):
    for name in LIVE_CLASSES:
        pair.put(name, StorageClass=name)
    pair.replicate()
    assert chosen(pair, MatchAnyStorageClass=list(classes)) == set(classes)


@pytest.mark.parametrize("name", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_never_chosen(pair, name):
    """S3 User Guide, "Batch Replication considerations": not supported; a list of them is empty."""
    pair.put("k", StorageClass=name)
    pair.replicate()
    assert chosen(pair, MatchAnyStorageClass=[name]) == set()
    assert chosen(pair) == set()


# The encryption.

CUSTOMER_KEY = b"c" * 32
CUSTOMER = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": base64.b64encode(CUSTOMER_KEY).decode(),
    "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode(),
}


@pytest.fixture
def every_encryption(pair):
    """A source with an object of each encryption, all of them wanted, and two of its keys."""
    first, second = pair.key(), pair.key()
    pair.put("s3", ServerSideEncryption="AES256")
    pair.put("kms-1", ServerSideEncryption="aws:kms", SSEKMSKeyId=first)
    pair.put("kms-2", ServerSideEncryption="aws:kms", SSEKMSKeyId=second, BucketKeyEnabled=True)
    pair.put("dual", ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=first)
    pair.put("customer", **CUSTOMER)
    pair.replicate(encrypted_rule(first))
    return pair, {"first": first, "second": second}


@pytest.mark.parametrize("filters, expected", [
    ({"SSES3": {}}, {"s3"}),
    ({"SSEKMS": {}}, {"kms-1", "kms-2"}),
    ({"SSEKMS": {"KmsKeyArn": "first"}}, {"kms-1"}),
    ({"SSEKMS": {"KmsKeyArn": "second"}}, {"kms-2"}),
    ({"SSEKMS": {"BucketKeyEnabled": True}}, {"kms-2"}),
    ({"SSEKMS": {"KmsKeyArn": "first", "BucketKeyEnabled": True}}, set()),
    ({"DSSEKMS": {}}, {"dual"}),
    ({"SSEC": {}}, {"customer"}),
    # Amazon S3 encrypts whatever is written since 2023.
    ({"NOTSSE": {}}, set()),
], ids=["SSE-S3", "SSE-KMS", "SSE-KMS under a key", "SSE-KMS under another key", "a bucket key",
        "a bucket key of another key", "DSSE-KMS", "SSE-C", "none at all"])
def test_an_object_has_to_be_of_the_encryption(every_encryption, filters, expected):
    pair, keys = every_encryption
    for members in filters.values():
        if "KmsKeyArn" in members:
            filters = {"SSEKMS": {**members, "KmsKeyArn": keys[members["KmsKeyArn"]]}}
    assert chosen(pair, MatchAnyObjectEncryption=[filters]) == expected


@pytest.mark.parametrize("members", [
    {"MatchAnyStorageClass": ["STANDARD"]}, {"MatchAnyObjectEncryption": [{"SSES3": {}}]},
    {"ObjectSizeLessThanBytes": 10},
], ids=lambda members: next(iter(members)))
def test_a_delete_marker_has_no_class_no_encryption_and_no_size(pair, members):
    pair.put("k")
    pair.delete("gone")
    pair.replicate(rule(markers=True))
    assert chosen(pair) == {"k", "gone"}
    assert chosen(pair, **members) == {"k"}


# Together, and none.

def test_an_object_has_to_meet_all_of_the_filter(pair):
    pair.put("a/big", b"x" * 100)
    pair.put("a/small", b"x")
    pair.put("a/cold", b"x" * 100, StorageClass="STANDARD_IA")
    pair.put("b/big", b"x" * 100)
    pair.replicate()
    pair.put("a/done", b"x" * 100)
    pair.settle()
    assert chosen(pair, "NONE", KeyNameConstraint={"MatchAnyPrefix": ["a/"]},
                  ObjectSizeGreaterThanBytes=10,
                  MatchAnyStorageClass=["STANDARD"]) == {"a/big"}


@pytest.mark.parametrize("members", [
    {}, {"ObjectReplicationStatuses": ["FAILED"]}, {"ObjectSizeGreaterThanBytes": 1_000},
    {"KeyNameConstraint": {"MatchAnyPrefix": ["z"]}}, {"CreatedBefore": "2020-01-01T00:00:00Z"},
], ids=lambda members: next(iter(members), "nothing to filter"))
def test_a_list_of_nothing_fails_the_job_with_the_published_sentence(pair, members):
    """S3 User Guide, "Troubleshooting replication": Batch Replication errors."""
    if members:
        pair.put("k")
    pair.replicate()
    job = pair.run_job(ManifestGenerator=generator(**members))
    assert job["Status"] == "Failed"
    assert [reason["FailureReason"] for reason in job["FailureReasons"]] == [NOTHING_FOUND]
    assert job["ProgressSummary"]["TotalNumberOfTasks"] == 0
    assert not pair.has_report(job)


def test_the_cli_filters_by_prefix_and_status(pair):
    pair.put("a/1")
    pair.put("b/1")
    pair.replicate()
    filters = {"EligibleForReplication": True, "ObjectReplicationStatuses": ["NONE"],
               "KeyNameConstraint": {"MatchAnyPrefix": ["a/"]},
               "CreatedAfter": "2020-01-01T00:00:00Z"}
    made = pair.cli_ok(
        "s3control", "create-job", "--account-id", pair.account, "--operation",
        {"S3ReplicateObject": {}}, "--report", pair.report(), "--priority", "1", "--role-arn",
        pair.role_arn("batch"), "--no-confirmation-required", "--manifest-generator",
        {"S3JobManifestGenerator": {"SourceBucket": arn(SOURCE), "EnableManifestOutput": False,
                                    "Filter": filters}})
    assert {row.key for row in pair.rows(pair.finish(made["JobId"]))} == {"a/1"}
