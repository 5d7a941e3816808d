"""Lifecycle rules while a job runs (S3 User Guide, "Batch Replication considerations": disable
them, or a delete marker that arrives before its versions is taken for an expired one)."""

import pytest

from cloud import DESTINATION, SOURCE, generator, refusal, rule

EXPIRED_MARKERS = {"Expiration": {"ExpiredObjectDeleteMarker": True}}


@pytest.fixture
def marker_first(pair):
    """A key that was deleted at the source; only its delete marker has reached the destination."""
    version = pair.put("k")
    pair.replicate(rule(markers=True))
    marker = pair.delete("k")
    pair.settle()
    assert pair.versions() == set() and pair.markers() == {("k", marker)}
    return pair, version, marker


def test_a_delete_marker_without_versions_is_expired(marker_first):
    pair, _, _ = marker_first
    pair.lifecycle(DESTINATION, **EXPIRED_MARKERS)
    pair.advance(days=2)
    assert pair.markers() == set()


def test_a_version_that_arrives_after_its_expired_marker_comes_back_to_life(marker_first):
    pair, version, marker = marker_first
    pair.lifecycle(DESTINATION, **EXPIRED_MARKERS)
    pair.advance(days=2)
    pair.run_job(ManifestGenerator=generator("NONE"))
    assert pair.versions() == {("k", version)}
    assert pair.keys() == {"k"}, "what is deleted at the source is there at the destination"
    assert pair.keys(SOURCE) == set() and pair.markers(SOURCE) == {("k", marker)}


def test_a_version_that_arrives_without_a_lifecycle_stays_deleted(marker_first):
    pair, version, marker = marker_first
    pair.advance(days=2)
    pair.run_job(ManifestGenerator=generator("NONE"))
    assert pair.versions() == {("k", version)} and pair.markers() == {("k", marker)}
    assert pair.keys() == set(), "the marker is the newer one"


def test_a_delete_marker_with_versions_under_it_is_not_expired(marker_first):
    pair, version, marker = marker_first
    pair.run_job(ManifestGenerator=generator("NONE"))
    pair.lifecycle(DESTINATION, **EXPIRED_MARKERS)
    pair.advance(days=2)
    assert pair.markers() == {("k", marker)} and pair.versions() == {("k", version)}


def test_a_disabled_lifecycle_rule_does_nothing(marker_first):
    pair, _, marker = marker_first
    pair.lifecycle(DESTINATION, Status="Disabled", **EXPIRED_MARKERS)
    pair.advance(days=2)
    assert pair.markers() == {("k", marker)}


def test_a_lifecycle_rule_for_another_prefix_does_nothing(marker_first):
    pair, _, marker = marker_first
    pair.lifecycle(DESTINATION, Filter={"Prefix": "other/"}, **EXPIRED_MARKERS)
    pair.advance(days=2)
    assert pair.markers() == {("k", marker)}


def test_a_delete_marker_is_expired_when_its_last_version_has_gone(marker_first):
    pair, _, _ = marker_first
    pair.run_job(ManifestGenerator=generator("NONE"))
    pair.lifecycle(DESTINATION, NoncurrentVersionExpiration={"NoncurrentDays": 5},
                   **EXPIRED_MARKERS)
    pair.advance(days=3)
    assert len(pair.markers()) == len(pair.versions()) == 1
    pair.advance(days=6)
    assert pair.markers() == pair.versions() == set()


def test_a_lifecycle_puts_a_delete_marker_on_an_old_object(pair):
    version = pair.put("k")
    pair.lifecycle(SOURCE, Expiration={"Days": 10})
    pair.advance(days=8)
    assert pair.keys(SOURCE) == {"k"}
    pair.advance(days=5)
    assert pair.keys(SOURCE) == set()
    assert pair.versions(SOURCE) == {("k", version)} and len(pair.markers(SOURCE)) == 1


@pytest.mark.parametrize("status", ["PENDING", "FAILED"])
def test_a_lifecycle_leaves_alone_what_has_not_been_replicated(pair, status):
    """S3 User Guide, "Lifecycle and other bucket configurations": no expiration while the status is
    pending or failed."""
    pair.replicate()
    if status == "PENDING":
        pair.settings(replication_delay_ms=60 * 86_400_000)
    else:
        pair.forbid("replication", "s3:ReplicateObject")
    pair.put("k")
    pair.advance(minutes=1)
    assert pair.status_of("k") == status
    pair.lifecycle(SOURCE, Expiration={"Days": 10})
    pair.advance(days=15)
    assert pair.keys(SOURCE) == {"k"}


def test_a_lifecycle_goes_on_once_a_job_has_replicated_the_object(pair):
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject")
    pair.put("k")
    pair.settle()
    pair.lifecycle(SOURCE, Expiration={"Days": 10})
    pair.advance(days=15)
    assert pair.keys(SOURCE) == {"k"}
    pair.forgive("replication")
    pair.run_job(ManifestGenerator=generator("FAILED"))
    pair.advance(days=2)
    assert pair.keys(SOURCE) == set()


def test_a_replica_is_expired_by_a_lifecycle_of_its_own_bucket(pair):
    pair.replicate()
    pair.put("k")
    pair.settle()
    pair.lifecycle(DESTINATION, Expiration={"Days": 10})
    pair.advance(days=13)
    assert pair.keys() == set() and pair.keys(SOURCE) == {"k"}


def test_a_lifecycle_configuration_is_read_as_it_was_written(pair):
    refused = refusal(pair.s3.get_bucket_lifecycle_configuration, Bucket=SOURCE)
    assert (refused.code, refused.status) == ("NoSuchLifecycleConfiguration", 404)
    pair.lifecycle(SOURCE, Filter={"Prefix": "a/"}, **EXPIRED_MARKERS)
    told = pair.s3.get_bucket_lifecycle_configuration(Bucket=SOURCE)
    assert told["Rules"] == [{"ID": "lifecycle", "Status": "Enabled", "Filter": {"Prefix": "a/"},
                              **EXPIRED_MARKERS}]
    pair.s3.delete_bucket_lifecycle(Bucket=SOURCE)
    refused = refusal(pair.s3.get_bucket_lifecycle_configuration, Bucket=SOURCE)
    assert refused.code == "NoSuchLifecycleConfiguration"


def test_an_expired_marker_cannot_be_asked_for_beside_days(pair):
    """S3 API Reference, "LifecycleExpiration"."""
    refused = refusal(pair.lifecycle, SOURCE,
                      Expiration={"Days": 10, "ExpiredObjectDeleteMarker": True})
    assert (refused.code, refused.status) == ("MalformedXML", 400)


TAGGED, SIZED = {"Tag": {"Key": "a", "Value": "1"}}, {"ObjectSizeGreaterThan": 1}
ABORTS = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
REQUEST, ARGUMENT = "InvalidRequest", "InvalidArgument"
WRONG = {
    "an aborted upload with a tag": (REQUEST, {"Filter": TAGGED, **ABORTS}),
    "an aborted upload with a size": (REQUEST, {"Filter": SIZED, **ABORTS}),
    "an expired marker with a tag": (REQUEST, {"Filter": TAGGED, **EXPIRED_MARKERS}),
    "infrequent access before 30 days": (ARGUMENT, {
        "Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]}),
    "infrequent access in one zone before 30 noncurrent days": (ARGUMENT, {
        "NoncurrentVersionTransitions": [{"NoncurrentDays": 29, "StorageClass": "ONEZONE_IA"}]}),
    "a noncurrent end with its transition": (ARGUMENT, {
        "NoncurrentVersionTransitions": [{"NoncurrentDays": 40, "StorageClass": "GLACIER"}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 40}}),
    "two transitions to one class": (REQUEST, {
        "Transitions": [{"Days": 40, "StorageClass": "GLACIER"},
                        {"Days": 50, "StorageClass": "GLACIER"}]}),
    "101 noncurrent versions that stay": (ARGUMENT, {
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}}),
}


@pytest.mark.parametrize("code, members", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_lifecycle_rule_is_refused(pair, code, members):
    """S3 User Guide, "Lifecycle configuration elements" and "Transitioning objects"."""
    refused = refusal(pair.lifecycle, SOURCE, **members)
    assert (refused.code, refused.status) == (code, 400)
    refused = refusal(pair.s3.get_bucket_lifecycle_configuration, Bucket=SOURCE)
    assert refused.code == "NoSuchLifecycleConfiguration"


@pytest.mark.parametrize("members", [
    {"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]},
    {"NoncurrentVersionTransitions": [{"NoncurrentDays": 40, "StorageClass": "GLACIER"}],
     "NoncurrentVersionExpiration": {"NoncurrentDays": 41, "NewerNoncurrentVersions": 100}},
], ids=["infrequent access at 30 days", "a noncurrent end after its transition"])
def test_a_lifecycle_rule_just_within_the_limits_is_taken(pair, members):
    pair.lifecycle(SOURCE, **members)
    told, = pair.s3.get_bucket_lifecycle_configuration(Bucket=SOURCE)["Rules"]
    assert {name: told[name] for name in members} == members


def transition(pair, name, **members):
    """A lifecycle that moves everything after 30 days; returns what it is told of small objects."""
    made = {"ID": "move", "Status": "Enabled", "Filter": {"Prefix": ""},
            "Transitions": [{"Days": 30, "StorageClass": name}]}
    answer = pair.s3.put_bucket_lifecycle_configuration(
        Bucket=SOURCE, LifecycleConfiguration={"Rules": [made]}, **members)
    return answer["TransitionDefaultMinimumObjectSize"]


ALL_CLASSES, BY_CLASS = "all_storage_classes_128K", "varies_by_storage_class"


@pytest.mark.parametrize("given", [None, ALL_CLASSES, BY_CLASS])
def test_a_lifecycle_tells_what_is_too_small_to_be_moved(pair, given):
    """S3 API Reference, "PutBucketLifecycleConfiguration": TransitionDefaultMinimumObjectSize."""
    members = {"TransitionDefaultMinimumObjectSize": given} if given else {}
    assert transition(pair, "GLACIER", **members) == (given or ALL_CLASSES)
    told = pair.s3.get_bucket_lifecycle_configuration(Bucket=SOURCE)
    assert told["TransitionDefaultMinimumObjectSize"] == (given or ALL_CLASSES)


@pytest.mark.parametrize("given, name, moved", [
    (BY_CLASS, "GLACIER", True), (BY_CLASS, "DEEP_ARCHIVE", True),
    (BY_CLASS, "STANDARD_IA", False), (ALL_CLASSES, "GLACIER", False),
])
def test_a_small_object_is_moved_into_an_archive_where_that_varies_by_class(
        pair, given, name, moved):
    """S3 User Guide, "Transitioning objects using Amazon S3 Lifecycle": minimum size."""
    pair.put("k")
    transition(pair, name, TransitionDefaultMinimumObjectSize=given)
    pair.advance(days=33)
    assert pair.head("k").get("StorageClass") == (name if moved else None)


def test_the_cli_sets_a_lifecycle_aside_while_a_job_runs(marker_first):
    pair, version, marker = marker_first
    pair.lifecycle(DESTINATION, **EXPIRED_MARKERS)
    pair.cli_ok("s3api", "put-bucket-lifecycle-configuration", "--bucket", DESTINATION,
                "--lifecycle-configuration",
                {"Rules": [{"ID": "lifecycle", "Status": "Disabled", "Filter": {"Prefix": ""},
                            **EXPIRED_MARKERS}]})
    told = pair.cli_ok("s3api", "get-bucket-lifecycle-configuration", "--bucket", DESTINATION)
    assert told["Rules"][0]["Status"] == "Disabled"
    pair.advance(days=2)
    pair.run_job(ManifestGenerator=generator("NONE"))
    assert pair.versions() == {("k", version)} and pair.markers() == {("k", marker)}
