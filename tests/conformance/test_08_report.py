"""The completion report (S3 User Guide, "Examples of completion reports") and the failure codes
that stand in it and in the events (S3 User Guide, "Amazon S3 replication failure reasons")."""

import csv
import hashlib
import io
import re
from collections import namedtuple

import pytest

from cloud import (DESTINATION, REPORTS, SOURCE, allow, arn, encrypted_rule, generator, rule,
                   trust)


# The layout.

def test_a_report_is_a_manifest_its_md5_and_result_files(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(1, 1))
    folder = f"jobs/job-{job['JobId']}"
    document = pair.report_document(job)
    results = {result["Key"] for result in document["Results"]}
    assert pair.keys(REPORTS, "jobs/") == {
        f"{folder}/manifest.json", f"{folder}/manifest.json.md5", *results}
    for key in results:
        assert re.fullmatch(re.escape(folder) + r"/results/[0-9a-f]{40}\.csv", key)


def test_a_report_without_a_prefix_begins_with_the_job(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(1), Report=pair.report(Prefix=None))
    assert f"job-{job['JobId']}/manifest.json" in pair.keys(REPORTS)


def test_the_manifest_of_a_report_says_what_the_user_guide_says(pair):
    pair.replicate()
    document = pair.report_document(pair.run_job(Manifest=pair.long_manifest(1)))
    assert document["Format"] == "Report_CSV_20180820"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["ReportCreationDate"])
    assert document["ReportSchema"] == (
        "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage")
    result, = document["Results"]
    assert result.keys() == {"TaskExecutionStatus", "Bucket", "MD5Checksum", "Key"}
    assert (result["TaskExecutionStatus"], result["Bucket"]) == ("succeeded", REPORTS)


def test_the_checksums_of_a_report_are_those_of_its_files(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(2, 2))
    folder = pair.report_folder(job)
    manifest = pair.read(f"{folder}/manifest.json")
    stated = pair.read(f"{folder}/manifest.json.md5").decode().strip()
    assert stated == hashlib.md5(manifest).hexdigest()
    for result in pair.report_document(job)["Results"]:
        body = pair.read(result["Key"])
        assert hashlib.md5(body).hexdigest() == result["MD5Checksum"]


def test_succeeded_and_failed_tasks_lie_in_files_of_their_own(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(3, 2))
    for result in pair.report_document(job)["Results"]:
        text = pair.read(result["Key"]).decode()
        statuses = [fields[3] for fields in csv.reader(io.StringIO(text))]
        expected = {"succeeded": 3, "failed": 2}[result["TaskExecutionStatus"]]
        assert statuses == [result["TaskExecutionStatus"]] * expected


def test_a_long_report_has_several_result_files(pair):
    pair.settings(report_rows_per_file=2)
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(5, 3))
    results = pair.report_document(job)["Results"]
    kinds = sorted(result["TaskExecutionStatus"] for result in results)
    assert kinds == ["failed"] * 2 + ["succeeded"] * 3
    assert len({result["Key"] for result in results}) == 5
    assert sorted(row.status for row in pair.rows(job)) == ["failed"] * 3 + ["succeeded"] * 5


def test_a_report_of_all_tasks_has_all_of_them(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(2, 1))
    assert sorted(row.status for row in pair.rows(job)) == ["failed", "succeeded", "succeeded"]


def test_a_report_of_failed_tasks_leaves_the_others_out(pair):
    pair.replicate()
    report = pair.report(ReportScope="FailedTasksOnly")
    job = pair.run_job(Manifest=pair.long_manifest(2, 1), Report=report)
    assert [(row.key, row.status) for row in pair.rows(job)] == [("bad", "failed")]


def test_a_report_of_failed_tasks_names_none_when_none_failed(pair):
    pair.replicate()
    report = pair.report(ReportScope="FailedTasksOnly")
    job = pair.run_job(Manifest=pair.long_manifest(2), Report=report)
    assert job["Status"] == "Complete"
    # Whether there is a manifest without results then, AWS does not say.
    assert not pair.has_report(job) or pair.rows(job) == []
    assert not any("/results/" in key for key in pair.keys(REPORTS))


def test_a_job_without_a_report_writes_none(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(1), Report={"Enabled": False})
    assert job["Status"] == "Complete"
    assert pair.keys(REPORTS) == {"long.csv"}


def test_a_report_is_encrypted_with_sse_s3_whatever_its_bucket_says(pair):
    """S3 User Guide, "Creating an S3 Batch Operations job": reports are encrypted with SSE-S3."""
    pair.encrypt_by_default(REPORTS, pair.key())
    pair.put("k")
    pair.replicate()
    job = pair.run_job()
    for key in pair.keys(REPORTS, pair.report_folder(job)):
        assert pair.head(key, REPORTS)["ServerSideEncryption"] == "AES256", key


# The rows.

def test_the_columns_of_a_row_are_not_in_the_order_of_the_schema(pair):
    """The guide's own sample rows have the HTTP status in front of the error code."""
    version = pair.put("k")
    pair.replicate()
    rows = [(SOURCE, "k", version), (SOURCE, "gone", version)]
    job = pair.run_job(Manifest=pair.manifest(rows))
    lines = sorted(pair.read(result["Key"]).decode() for result in
                   pair.report_document(job)["Results"])
    failed, succeeded = lines
    assert succeeded.startswith(f"{SOURCE},k,{version},succeeded,200,,")
    assert failed.startswith(f"{SOURCE},gone,{version},failed,500,SrcKeyNotFound,")


def test_a_row_has_seven_columns_and_the_file_has_no_header(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(2, 2))
    assert len(pair.rows(job)) == 4
    for result in pair.report_document(job)["Results"]:
        text = pair.read(result["Key"]).decode()
        assert {len(fields) for fields in csv.reader(io.StringIO(text))} == {7}


@pytest.mark.parametrize("text", [
    "plain", "a%20b", "%6B", "a%2fb", "a%2Fb", "%c3%a4", "%C3%A4", "pct%2520literal.txt", "a%2Cb",
    "a%0Ab", "x%22y", "a(b)!~*'",
])
def test_the_key_of_a_row_is_that_of_the_manifest_byte_for_byte(pair, text):
    version = pair.put("k")
    pair.replicate()
    job = pair.run_job(Manifest=pair.manifest([(SOURCE, text, version)]))
    assert pair.row(job).key == text


@pytest.mark.parametrize("key", ["a,b", 'a"b', "a\nb"], ids=repr)
def test_a_key_that_csv_has_to_quote_is_quoted(pair, key):
    version = pair.put(key)
    pair.replicate()
    quoted = '"' + key.replace('"', '""') + '"'
    job = pair.run_job(Manifest=pair.manifest(f"{SOURCE},{quoted},{version}\n"))
    row = pair.row(job)
    assert (row.key, row.status) == (key, "succeeded")


def test_a_row_is_one_of_the_manifest_and_not_one_of_each_destination(pair):
    pair.bucket("second")
    pair.replication_role(SOURCE, DESTINATION, "second", name="wider")
    version = pair.put("k")
    pair.replicate(rule(), rule("second", id="second", priority=2), role="wider")
    row = pair.row(pair.run_job())
    assert (row.key, row.version, row.status) == ("k", version, "succeeded")
    assert pair.versions() == pair.versions("second") == {("k", version)}


def test_a_task_that_only_initiates_succeeds_before_its_outcome(pair):
    """Whether `succeeded` means replicated or only initiated, AWS leaves open: both can be had."""
    pair.settings(succeeded_means_initiated=True, replication_delay_ms=3_600_000)
    version = pair.put("k")
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject")
    job = pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)]))
    assert pair.row(job).status == "succeeded"
    assert pair.status_of("k") == "PENDING"
    pair.advance(hours=1)
    assert pair.status_of("k") == "FAILED"


# The failure codes. Each cause is brought about twice: under live replication, where the event has
# to name it, and in a job, where the report has to.

Keys = namedtuple("Keys", "source replica")


def lose_the_role(pair, _):
    pair.iam.delete_role_policy(RoleName="replication", PolicyName="policy")
    pair.iam.delete_role(RoleName="replication")


def distrust_s3(pair, _):
    pair.iam.update_assume_role_policy(RoleName="replication",
                                       PolicyDocument=trust("ec2.amazonaws.com"))


def without(action, resources="*"):
    def forbid(pair, _):
        pair.forbid("replication", action, resources)
    return forbid


def lose_the_destination(pair, _):
    pair.s3.delete_bucket(Bucket=DESTINATION)


def suspend_the_destination(pair, _):
    pair.versioning(DESTINATION, "Suspended")


def deny_at_the_destination(pair, _):
    pair.bucket_policy(DESTINATION, {"Effect": "Deny", "Principal": "*",
                                     "Action": "s3:ReplicateObject",
                                     "Resource": arn(DESTINATION, "*")})


def override_the_owner_unpermitted(pair, keys):
    pair.replicate(encrypted_rule(keys.replica, Account=pair.account,
                                  AccessControlTranslation={"Owner": "Destination"}))


def disable_the_source_key(pair, keys):
    pair.kms.disable_key(KeyId=keys.source)


def delete_the_source_key(pair, keys):
    pair.kms.schedule_key_deletion(KeyId=keys.source, PendingWindowInDays=7)


def disable_the_replica_key(pair, keys):
    pair.kms.disable_key(KeyId=keys.replica)


def delete_the_replica_key(pair, keys):
    pair.kms.schedule_key_deletion(KeyId=keys.replica, PendingWindowInDays=7)


def name_a_key_that_is_not_there(pair, _):
    pair.replicate(encrypted_rule(f"arn:aws:kms:{pair.region}:{pair.account}:key/"
                                  "00000000-0000-0000-0000-000000000000"))


CAUSES = [
    ("AssumeRoleNotPermitted", "the role is gone", lose_the_role),
    ("AssumeRoleNotPermitted", "the role trusts another service", distrust_s3),
    ("SrcGetObjectNotPermitted", "no s3:GetObjectVersionForReplication",
     without("s3:GetObjectVersionForReplication")),
    ("SrcGetObjectNotPermitted", "no kms:Decrypt", without("kms:Decrypt")),
    ("SrcGetAclNotPermitted", "no s3:GetObjectVersionAcl", without("s3:GetObjectVersionAcl")),
    ("SrcKmsKeyInvalidState", "the source's key is disabled", disable_the_source_key),
    ("SrcKmsKeyInvalidState", "the source's key will be deleted", delete_the_source_key),
    ("DstBucketNotFound", "the destination is gone", lose_the_destination),
    ("DstBucketUnversioned", "the destination's versioning is suspended",
     suspend_the_destination),
    ("DstPutObjectNotPermitted", "no s3:ReplicateObject", without("s3:ReplicateObject")),
    ("DstPutObjectNotPermitted", "the destination denies it", deny_at_the_destination),
    ("DstPutObjectNotPermitted", "no s3:ObjectOwnerOverrideToBucketOwner",
     override_the_owner_unpermitted),
    ("DstPutObjectNotPermitted", "no kms:GenerateDataKey", without("kms:GenerateDataKey")),
    ("DstPutObjectNotPermitted", "no kms:Encrypt", without("kms:Encrypt")),
    ("DstKmsKeyInvalidState", "the replica's key is disabled", disable_the_replica_key),
    ("DstKmsKeyInvalidState", "the replica's key will be deleted", delete_the_replica_key),
    ("DstKmsKeyNotFound", "the replica's key is not there", name_a_key_that_is_not_there),
]
causes = pytest.mark.parametrize(
    "code, cause", [(code, cause) for code, _, cause in CAUSES],
    ids=[f"{code}: {text}" for code, text, _ in CAUSES])


@pytest.fixture
def encrypted(pair):
    """A rule that takes encrypted objects, one of those, and time to break something before it is
    replicated."""
    pair.settings(replication_delay_ms=60_000)
    keys = Keys(pair.key(), pair.key())
    return pair, keys, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": keys.source}


@causes
def test_the_event_of_a_live_failure_names_its_cause(encrypted, code, cause):
    pair, keys, encryption = encrypted
    url = pair.listen()
    pair.replicate(encrypted_rule(keys.replica))
    pair.put("k", **encryption)
    cause(pair, keys)
    pair.settle()
    assert pair.status_of("k") == "FAILED"
    assert pair.reasons(url) == [code]


@causes
def test_the_report_of_a_job_names_the_cause_of_a_failed_task(encrypted, code, cause):
    pair, keys, encryption = encrypted
    version = pair.put("k", **encryption)
    pair.replicate(encrypted_rule(keys.replica))
    cause(pair, keys)
    row = pair.row(pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)])))
    assert (row.status, row.http, row.code) == ("failed", "500", code)
    assert row.message
    assert pair.status_of("k") == "FAILED"


@pytest.mark.parametrize("code, action", [
    ("SrcGetTaggingNotPermitted", "s3:GetObjectVersionTagging"),
    ("DstPutTaggingNotPermitted", "s3:ReplicateTags"),
])
def test_tags_that_may_not_be_replicated_fail_the_object(pair, code, action):
    pair.forbid("replication", action)
    version = pair.put("old", Tagging="a=1")
    pair.replicate()
    pair.put("new", Tagging="a=1")
    pair.put("untagged")
    pair.settle()
    assert pair.status_of("new") == "FAILED"
    assert pair.status_of("untagged") == "COMPLETED"
    row = pair.row(pair.run_job(Manifest=pair.manifest([(SOURCE, "old", version)])))
    assert (row.status, row.code) == ("failed", code)
    assert pair.status_of("old") == "FAILED"


# Object Lock.

HOLD = {"ObjectLockLegalHoldStatus": "ON"}
RETENTION = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2120-01-01T00:00:00Z"}


@pytest.fixture
def locked(aws):
    """The pair with Object Lock on both sides, and a role that may read and write locks."""
    for name in (SOURCE, DESTINATION):
        aws.bucket(name, locked=True)
    aws.bucket(REPORTS)
    aws.replication_role()
    aws.permit("replication", allow(["s3:GetObjectRetention", "s3:GetObjectLegalHold"],
                                    arn(SOURCE, "*")),
               allow(["s3:PutObjectRetention", "s3:PutObjectLegalHold"], arn(DESTINATION, "*")),
               name="locks")
    aws.job_role()
    return aws


@pytest.mark.parametrize("code, action, lock", [
    ("SrcGetRetentionNotPermitted", "s3:GetObjectRetention", RETENTION),
    ("SrcGetLegalHoldNotPermitted", "s3:GetObjectLegalHold", HOLD),
    ("DstPutRetentionNotPermitted", "s3:PutObjectRetention", RETENTION),
    ("DstPutLegalHoldNotPermitted", "s3:PutObjectLegalHold", HOLD),
])
def test_a_lock_that_may_not_be_replicated_fails_the_object(locked, code, action, lock):
    url = locked.listen()
    locked.forbid("replication", action)
    version = locked.put("old", ChecksumAlgorithm="CRC32", **lock)
    locked.replicate()
    locked.put("new", ChecksumAlgorithm="CRC32", **lock)
    locked.settle()
    assert (locked.status_of("new"), locked.reasons(url)) == ("FAILED", [code])
    row = locked.row(locked.run_job(Manifest=locked.manifest([(SOURCE, "old", version)])))
    assert (row.status, row.code) == ("failed", code)


def test_a_lock_is_replicated_with_its_object(locked):
    locked.replicate()
    locked.put("k", ChecksumAlgorithm="CRC32", **RETENTION, **HOLD)
    locked.settle()
    assert locked.status_of("k") == "COMPLETED"
    source, replica = locked.head("k"), locked.head("k", DESTINATION)
    for member in ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus"):
        assert replica[member] == source[member], member


def retain(pair, bucket, mode, year, **members):
    """Sets the retention of the one key."""
    pair.s3.put_object_retention(Bucket=bucket, Key="k", **members, Retention={
        "Mode": mode, "RetainUntilDate": f"{year}-01-01T00:00:00Z"})


def hold(pair, bucket, status):
    """Sets or lifts the legal hold of the one key."""
    pair.s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": status})


def lock_of_replica(pair):
    """The retention and the legal hold of the replica; None where it has none."""
    head = pair.head("k", DESTINATION)
    until = head.get("ObjectLockRetainUntilDate")
    return (head.get("ObjectLockMode"), until and until.year,
            head.get("ObjectLockLegalHoldStatus"))


@pytest.mark.parametrize("mode, year, expected", [
    ("COMPLIANCE", 2120, ("COMPLIANCE", 2120)), ("COMPLIANCE", 2130, ("COMPLIANCE", 2130)),
    ("GOVERNANCE", 2130, ("GOVERNANCE", 2130)),
], ids=["a stricter mode", "a stricter and longer one", "a longer one"])
def test_to_replicate_again_does_not_weaken_the_retention_of_a_replica(
        locked, mode, year, expected):
    """S3 User Guide, "Object Lock considerations": replication keeps what protects a replica."""
    locked.replicate()
    locked.put("k", ChecksumAlgorithm="CRC32", **RETENTION)
    locked.settle()
    retain(locked, DESTINATION, mode, year, BypassGovernanceRetention=True)
    assert locked.row(locked.run_job()).status == "succeeded"
    locked.tag("k", a="1")
    locked.settle()
    assert locked.tags_of("k", DESTINATION) == {"a": "1"}
    assert lock_of_replica(locked)[:2] == expected


def test_a_lock_that_an_existing_version_is_given_is_replicated_live(locked):
    """S3 User Guide, "What does Amazon S3 replicate?": Object Lock retention information."""
    locked.replicate()
    locked.put("k")
    locked.settle()
    retain(locked, SOURCE, "GOVERNANCE", 2120)
    locked.settle()
    assert lock_of_replica(locked) == ("GOVERNANCE", 2120, None)
    hold(locked, SOURCE, "ON")
    locked.settle()
    assert lock_of_replica(locked) == ("GOVERNANCE", 2120, "ON")
    assert locked.status_of("k") == "COMPLETED"


@pytest.fixture
def lifted(locked):
    """A replica whose hold came from the source and was lifted there."""
    locked.replicate()
    locked.put("k", ChecksumAlgorithm="CRC32", **HOLD)
    locked.settle()
    assert lock_of_replica(locked) == (None, None, "ON")
    hold(locked, SOURCE, "OFF")
    locked.settle()
    return locked


def test_a_hold_of_the_source_is_lifted_at_the_replica_too(lifted):
    version = lifted.head("k")["VersionId"]
    assert lock_of_replica(lifted)[2] != "ON"
    lifted.s3.delete_object(Bucket=DESTINATION, Key="k", VersionId=version)
    assert lifted.versions() == set()


def test_a_hold_that_was_set_at_the_destination_stays(lifted):
    assert lock_of_replica(lifted)[2] != "ON"
    hold(lifted, DESTINATION, "ON")
    hold(lifted, SOURCE, "OFF")
    lifted.tag("k", a="1")
    lifted.settle()
    assert lifted.row(lifted.run_job()).status == "succeeded"
    assert lifted.tags_of("k", DESTINATION) == {"a": "1"}
    assert lock_of_replica(lifted)[2] == "ON"


def test_a_destination_without_object_lock_fails_what_comes_from_a_bucket_with_it(pair):
    url = pair.listen()
    pair.permit("replication", allow(["s3:GetObjectRetention", "s3:GetObjectLegalHold"],
                                     arn(SOURCE, "*")), name="locks")
    version = pair.put("old")
    pair.replicate()
    pair.s3.put_object_lock_configuration(
        Bucket=SOURCE, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    pair.put("new")
    pair.settle()
    assert pair.reasons(url) == ["DstBucketObjectLockConfigMissing"]
    row = pair.row(pair.run_job(Manifest=pair.manifest([(SOURCE, "old", version)])))
    assert (row.status, row.code) == ("failed", "DstBucketObjectLockConfigMissing")


def test_a_delete_marker_that_may_not_be_replicated_fails(pair):
    url = pair.listen()
    pair.replicate(rule(markers=True))
    pair.put("k")
    pair.settle()
    pair.forbid("replication", "s3:ReplicateDelete")
    marker = pair.delete("k")
    pair.settle()
    assert pair.reasons(url) == ["DstDelObjNotPermitted"]
    assert pair.markers() == set()
    job = pair.run_job(ManifestGenerator=generator("FAILED"))
    row = pair.row(job)
    assert (row.version, row.code) == (marker, "DstDelObjNotPermitted")


def test_a_change_of_metadata_fails_where_the_replica_is_gone(pair):
    url = pair.listen()
    pair.replicate()
    version = pair.put("k")
    pair.settle()
    pair.s3.delete_object(Bucket=DESTINATION, Key="k", VersionId=version)
    pair.tag("k", a="1")
    pair.settle()
    assert pair.status_of("k") == "FAILED"
    assert pair.reasons(url) == ["DstVersionNotFound"]


# The codes that only a job has, or that need no event.

def test_a_job_whose_role_may_not_initiate_fails_its_tasks(pair):
    version = pair.put("k")
    pair.replicate()
    pair.forbid("batch", "s3:InitiateReplication")
    row = pair.row(pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)])))
    assert (row.status, row.code) == ("failed", "InitiateReplicationNotPermitted")
    assert pair.status_of("k") is None, "nothing was initiated"


def test_a_replica_that_was_deleted_by_its_version_id_is_not_made_again(pair):
    pair.replicate()
    version = pair.put("k")
    pair.settle()
    pair.s3.delete_object(Bucket=DESTINATION, Key="k", VersionId=version)
    row = pair.row(pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)])))
    assert (row.status, row.code) == ("failed", "DstObjectHardDeleted")
    assert pair.versions() == set()


@pytest.fixture
def free_role(pair):
    """A configuration, and a job's role that may initiate everywhere."""
    pair.permit("batch", allow("s3:InitiateReplication", "*"), name="everywhere")
    pair.replicate()
    return pair


@pytest.mark.parametrize("code, bucket, key, version", [
    ("SrcBucketNotFound", "nowhere", "k", None),
    ("SrcKeyNotFound", SOURCE, "gone", None),
    ("SrcVersionNotFound", SOURCE, "k", "0" * 32),
    ("SrcObjectNotFound", SOURCE, "k", ""),
])
def test_a_row_that_names_nothing_fails_with_what_is_missing(free_role, code, bucket, key, version):
    written = free_role.put("k")
    free_role.settle()
    row = (bucket, key, written if version is None else version)
    answer = free_role.row(free_role.run_job(Manifest=free_role.manifest([row])))
    assert (answer.status, answer.http, answer.code) == ("failed", "500", code)


def test_a_version_that_was_deleted_before_the_job_ran_is_not_found(pair):
    pair.put("k", b"1")
    second = pair.put("k", b"2")
    pair.replicate()
    manifest = pair.manifest([(SOURCE, "k", second)])
    pair.s3.delete_object(Bucket=SOURCE, Key="k", VersionId=second)
    assert pair.row(pair.run_job(Manifest=manifest)).code == "SrcVersionNotFound"


@pytest.mark.parametrize("made", [
    rule(prefix="other/"), rule(tags={"a": "1"}), rule(enabled=False),
], ids=["another prefix", "a tag that is not there", "a disabled rule"])
def test_an_object_that_no_rule_wants_is_not_eligible(pair, made):
    version = pair.put("k")
    pair.replicate(made)
    row = pair.row(pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)])))
    assert (row.status, row.http, row.code) == ("failed", "500", "SrcObjectNotEligible")
    assert row.message == "Object is not eligible for replication"
    assert pair.status_of("k") is None, "its status is left as it was"


@pytest.mark.parametrize("reported", [True, False])
def test_a_version_that_every_destination_has_is_done_or_not_pending(pair, reported):
    """AWS publishes SrcReplicationNotPending, but not when a job is told it and when it replicates
    once more."""
    pair.settings(not_pending_is_reported=reported)
    pair.replicate()
    version = pair.put("k")
    pair.settle()
    row = pair.row(pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)])))
    expected = ("failed", "SrcReplicationNotPending") if reported else ("succeeded", "")
    assert (row.status, row.code) == expected
    assert pair.status_of("k") == "COMPLETED"


def test_each_task_has_its_own_code(free_role):
    free_role.forbid("replication", "s3:ReplicateObject", arn(DESTINATION, "denied"))
    versions = {key: free_role.put(key) for key in ("denied", "fine")}
    free_role.settle()
    rows = [(SOURCE, key, version) for key, version in versions.items()]
    rows += [(SOURCE, "gone", "0" * 32), ("nowhere", "k", "0" * 32)]
    job = free_role.run_job(Manifest=free_role.manifest(rows))
    assert {row.key: row.code for row in free_role.rows(job)} == {
        "denied": "DstPutObjectNotPermitted", "fine": "", "gone": "SrcKeyNotFound",
        "k": "SrcBucketNotFound"}
    progress = job["ProgressSummary"]
    assert (progress["NumberOfTasksSucceeded"], progress["NumberOfTasksFailed"]) == (1, 3)


def test_the_cli_downloads_a_report(pair, tmp_path):
    version = pair.put("k")
    pair.replicate()
    job = pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)]))
    pair.cli_ok("s3", "cp", "--recursive", "--quiet",
                f"s3://{REPORTS}/{pair.report_folder(job)}", str(tmp_path))
    text, = [path.read_text() for path in (tmp_path / "results").iterdir()]
    assert text.startswith(f"{SOURCE},k,{version},succeeded,200,,")
    assert {path.name for path in tmp_path.iterdir()} == {
        "manifest.json", "manifest.json.md5", "results"}
