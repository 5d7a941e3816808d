"""Jobs that do something else: copies and restores run; what is not emulated says so by name."""

import csv
import io

import pytest

from cloud import (BATCH_SERVICE, DESTINATION, REPORTS, SOURCE, allow, arn, refusal)


def copy_of(target=SOURCE, **members):
    """A copy operation."""
    return {"S3PutObjectCopy": {"TargetResource": arn(target), **members}}


def keys_of(pair, *keys):
    """A manifest of keys without version ids."""
    return pair.manifest([(SOURCE, key) for key in keys], ("Bucket", "Key"))


# Copies.

def test_a_copy_job_makes_new_versions_in_place(pair):
    old = pair.put("k", b"text")
    job = pair.run_job(Operation=copy_of(StorageClass="STANDARD_IA"), RoleArn=pair.copy_role(),
                       Manifest=keys_of(pair, "k"))
    assert job["Status"] == "Complete"
    row = pair.row(job)
    assert (row.bucket, row.key, row.status, row.http, row.code) == (
        SOURCE, "k", "succeeded", "200", "")
    head = pair.head("k")
    assert (head["VersionId"] != old, head["StorageClass"]) == (True, "STANDARD_IA")
    assert pair.read("k", SOURCE) == b"text"
    assert len(pair.versions(SOURCE)) == 2


def test_a_copy_job_copies_into_another_bucket(pair):
    role = pair.copy_role()
    pair.permit("copier", allow(["s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl"],
                                arn(DESTINATION, "*")), name="target")
    pair.put("a/k", b"text", Tagging="a=1", Metadata={"colour": "red"})
    job = pair.run_job(Operation=copy_of(DESTINATION, TargetKeyPrefix="copies"), RoleArn=role,
                       Manifest=keys_of(pair, "a/k"))
    assert pair.row(job).status == "succeeded"
    assert pair.keys() == {"copies/a/k"}
    assert pair.read("copies/a/k", DESTINATION) == b"text"
    assert pair.tags_of("copies/a/k", DESTINATION) == {"a": "1"}
    assert pair.head("copies/a/k", DESTINATION)["Metadata"] == {"colour": "red"}


def test_a_copy_is_no_replica(pair):
    role = pair.copy_role()
    pair.permit("copier", allow("s3:PutObject*", arn(DESTINATION, "*")), name="target")
    version = pair.put("k")
    pair.run_job(Operation=copy_of(DESTINATION), RoleArn=role, Manifest=keys_of(pair, "k"))
    head = pair.head("k", DESTINATION)
    assert head["VersionId"] != version and "ReplicationStatus" not in head


def test_a_copy_job_copies_the_version_that_it_is_given(pair):
    first = pair.put("k", b"first")
    pair.put("k", b"second")
    job = pair.run_job(Operation=copy_of(StorageClass="STANDARD"), RoleArn=pair.copy_role(),
                       Manifest=pair.manifest([(SOURCE, "k", first)]))
    assert pair.row(job).status == "succeeded"
    assert pair.read("k", SOURCE) == b"first"


def test_a_copy_job_replaces_tags_and_metadata(pair):
    pair.put("k", Tagging="a=1", Metadata={"colour": "red"})
    job = pair.run_job(
        Operation=copy_of(MetadataDirective="REPLACE",
                          NewObjectMetadata={"UserMetadata": {"colour": "blue"}},
                          NewObjectTagging=[{"Key": "b", "Value": "2"}]),
        RoleArn=pair.copy_role(), Manifest=keys_of(pair, "k"))
    assert pair.row(job).status == "succeeded"
    assert pair.tags_of("k", SOURCE) == {"b": "2"}
    assert pair.head("k")["Metadata"] == {"colour": "blue"}


def test_a_copy_job_that_may_not_read_or_write_fails_its_tasks(pair):
    role = pair.copy_role()
    versions = {key: pair.put(key) for key in ("unread", "unwritten", "fine")}
    pair.permit("copier", {"Effect": "Deny", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                           "Resource": arn(SOURCE, "unread")},
                {"Effect": "Deny", "Action": "s3:PutObject", "Resource": arn(SOURCE, "unwritten")},
                name="denied")
    job = pair.run_job(Operation=copy_of(StorageClass="STANDARD"), RoleArn=role,
                       Manifest=keys_of(pair, *versions))
    assert job["Status"] == "Complete"
    rows = {row.key: row for row in pair.rows(job)}
    assert {key: row.status for key, row in rows.items()} == {
        "unread": "failed", "unwritten": "failed", "fine": "succeeded"}
    assert {rows[key].http for key in ("unread", "unwritten")} == {"403"}
    assert {rows[key].code for key in ("unread", "unwritten")} == {"AccessDenied"}


def test_a_copy_job_fails_the_tasks_of_objects_that_are_not_there(pair):
    pair.put("k")
    job = pair.run_job(Operation=copy_of(StorageClass="STANDARD"), RoleArn=pair.copy_role(),
                       Manifest=keys_of(pair, "k", "gone"))
    assert {row.key: row.status for row in pair.rows(job)} == {"k": "succeeded", "gone": "failed"}


def test_the_copies_of_a_job_are_replicated_live(pair):
    pair.put("k", b"text")
    pair.replicate()
    job = pair.run_job(Operation=copy_of(StorageClass="STANDARD"), RoleArn=pair.copy_role(),
                       Manifest=keys_of(pair, "k"))
    assert pair.row(job).status == "succeeded"
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.versions() == {("k", pair.head("k")["VersionId"])}


def test_a_copy_job_is_described_with_its_operation(pair):
    pair.put("k")
    operation = copy_of(StorageClass="STANDARD_IA", MetadataDirective="COPY")
    job_id = pair.create_job(Operation=operation, RoleArn=pair.copy_role(),
                             Manifest=keys_of(pair, "k"))
    assert pair.job(job_id)["Operation"] == operation
    listed, = pair.s3control.list_jobs(AccountId=pair.account)["Jobs"]
    assert listed["Operation"] == "S3PutObjectCopy"


# Restores.

@pytest.fixture
def restorer(pair):
    """The role of a job that restores (S3 User Guide, "Granting permissions": Restore objects)."""
    return pair.role("restorer", BATCH_SERVICE, allow("s3:RestoreObject", arn(SOURCE, "*")),
                     allow(["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
                           arn(REPORTS, "*")))


def restore_of(days=3, tier="STANDARD"):
    """A restore operation."""
    members = {"GlacierJobTier": tier} | ({"ExpirationInDays": days} if days else {})
    return {"S3InitiateRestoreObject": members}


@pytest.mark.parametrize("name, hours", [("GLACIER", 6), ("DEEP_ARCHIVE", 13)])
def test_a_restore_job_begins_the_restores(pair, restorer, name, hours):
    """S3 User Guide, "Restore objects with Batch Operations": the job does not wait for them."""
    pair.put("k", b"text", StorageClass=name)
    job = pair.run_job(Operation=restore_of(), RoleArn=restorer, Manifest=keys_of(pair, "k"))
    assert (job["Status"], pair.row(job).status) == ("Complete", "succeeded")
    assert 'ongoing-request="true"' in pair.head("k")["Restore"]
    pair.advance(hours=hours)
    assert 'ongoing-request="false"' in pair.head("k")["Restore"]
    assert pair.read("k", SOURCE) == b"text"


def test_a_restore_job_in_bulk_takes_longer(pair, restorer):
    pair.put("k", StorageClass="DEEP_ARCHIVE")
    pair.run_job(Operation=restore_of(tier="BULK"), RoleArn=restorer, Manifest=keys_of(pair, "k"))
    pair.advance(hours=13)
    assert 'ongoing-request="true"' in pair.head("k")["Restore"]
    pair.advance(hours=36)
    assert 'ongoing-request="false"' in pair.head("k")["Restore"]


def test_a_restore_job_fails_the_tasks_of_what_is_not_archived(pair, restorer):
    pair.put("archived", StorageClass="GLACIER")
    pair.put("plain")
    job = pair.run_job(Operation=restore_of(), RoleArn=restorer,
                       Manifest=keys_of(pair, "archived", "plain"))
    assert {row.key: row.status for row in pair.rows(job)} == {
        "archived": "succeeded", "plain": "failed"}


def test_a_restore_job_that_may_not_restore_fails_its_tasks(pair, restorer):
    pair.put("k", StorageClass="GLACIER")
    pair.forbid("restorer", "s3:RestoreObject")
    job = pair.run_job(Operation=restore_of(), RoleArn=restorer, Manifest=keys_of(pair, "k"))
    row = pair.row(job)
    assert (job["Status"], row.status, row.http, row.code) == (
        "Complete", "failed", "403", "AccessDenied")
    assert "Restore" not in pair.head("k")


def test_a_restored_object_is_copied_and_then_replicated(pair, restorer):
    """The whole way of an archived object to its replica."""
    pair.put("k", b"text", StorageClass="GLACIER")
    pair.replicate()
    pair.run_job(Operation=restore_of(), RoleArn=restorer, Manifest=keys_of(pair, "k"))
    pair.advance(hours=6)
    job = pair.run_job(Operation=copy_of(StorageClass="STANDARD"), RoleArn=pair.copy_role(),
                       Manifest=keys_of(pair, "k"))
    assert pair.row(job).status == "succeeded"
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.read("k", DESTINATION) == b"text"


def test_a_restore_job_needs_a_number_of_days_for_an_archive(pair, restorer):
    """S3 API Reference, "S3InitiateRestoreObjectOperation": required for the Glacier classes, and
    only absent for the archive tiers of Intelligent-Tiering."""
    pair.put("k", StorageClass="GLACIER")
    request = pair.job_request(Operation=restore_of(days=None), RoleArn=restorer,
                               Manifest=keys_of(pair, "k"))
    job = pair.finish(pair.s3control.create_job(**request)["JobId"])
    assert job["Status"] == "Failed" or pair.row(job).status == "failed"
    assert "Restore" not in pair.head("k")


# What is not emulated.

OTHERS = {
    "LambdaInvoke": {"FunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:f"},
    "S3PutObjectAcl": {"AccessControlPolicy": {"CannedAccessControlList": "private"}},
    "S3PutObjectTagging": {"TagSet": [{"Key": "a", "Value": "1"}]},
    "S3DeleteObjectTagging": {},
    "S3PutObjectLegalHold": {"LegalHold": {"Status": "ON"}},
    "S3PutObjectRetention": {"Retention": {"Mode": "GOVERNANCE",
                                           "RetainUntilDate": "2100-01-01T00:00:00Z"}},
    "S3ComputeObjectChecksum": {"ChecksumAlgorithm": "SHA256"},
    "S3UpdateObjectEncryption": {"ObjectEncryption": {"SSEKMS": {
        "KMSKeyArn": "arn:aws:kms:us-east-1:111122223333:key/none"}}},
}


@pytest.mark.parametrize("operation", OTHERS)
def test_an_operation_that_is_not_emulated_is_refused_by_name(pair, operation):
    pair.put("k")
    request = pair.job_request(Operation={operation: OTHERS[operation]},
                               Manifest=keys_of(pair, "k"))
    refused = refusal(pair.s3control.create_job, **request)
    assert (refused.code, refused.status) == ("NotImplemented", 501)
    assert operation in refused.message
    assert pair.states() == {}, "there is no job"


COPY_MEMBERS = {
    "AccessControlGrants": [{"Grantee": {"TypeIdentifier": "id", "Identifier": "somebody"},
                             "Permission": "READ"}],
    "CannedAccessControlList": "public-read",
    "ChecksumAlgorithm": "SHA256",
    "ObjectLockLegalHoldStatus": "ON",
    "ObjectLockMode": "GOVERNANCE",
    "ObjectLockRetainUntilDate": "2100-01-01T00:00:00Z",
    "RedirectLocation": "/elsewhere",
    "RequesterPays": True,
}


@pytest.mark.parametrize("name", COPY_MEMBERS)
def test_a_member_of_a_copy_that_is_not_emulated_is_refused_by_name(pair, name):
    request = pair.job_request(Operation=copy_of(**{name: COPY_MEMBERS[name]}),
                               RoleArn=pair.copy_role(), Manifest=keys_of(pair, "k"))
    refused = refusal(pair.s3control.create_job, **request)
    assert (refused.code, refused.status) == ("NotImplemented", 501)
    assert name in refused.message
    assert pair.states() == {}, "there is no job"


@pytest.mark.parametrize("name, value", [
    ("ContentLength", 5), ("ContentMD5", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ("HttpExpiresDate", "2100-01-01T00:00:00Z"), ("RequesterCharged", True),
])
def test_metadata_of_a_copy_that_is_not_emulated_is_refused_by_name(pair, name, value):
    operation = copy_of(MetadataDirective="REPLACE", NewObjectMetadata={name: value})
    request = pair.job_request(Operation=operation, RoleArn=pair.copy_role(),
                               Manifest=keys_of(pair, "k"))
    refused = refusal(pair.s3control.create_job, **request)
    assert (refused.code, refused.status) == ("NotImplemented", 501)
    assert name in refused.message


def test_a_member_of_a_copy_that_nobody_knows_is_refused_by_name(pair):
    """Nothing of AWS: an SDK may be newer than the emulator."""
    target = f"<TargetResource>{arn(SOURCE)}</TargetResource><Newest>1</Newest>"
    body = (
        '<CreateJobRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/">'
        "<ConfirmationRequired>false</ConfirmationRequired>"
        f"<Operation><S3PutObjectCopy>{target}</S3PutObjectCopy></Operation>"
        "<Report><Enabled>false</Enabled></Report><Priority>1</Priority>"
        f"<ClientRequestToken>t</ClientRequestToken><RoleArn>{pair.copy_role()}</RoleArn>"
        "<Manifest><Spec><Format>S3BatchOperations_CSV_20180820</Format><Fields>"
        "<member>Bucket</member><member>Key</member></Fields></Spec><Location>"
        f"<ObjectArn>{arn(REPORTS, 'm.csv')}</ObjectArn><ETag>{'0' * 32}</ETag></Location>"
        "</Manifest></CreateJobRequest>")
    answer = pair.raw("POST", "/v20180820/jobs", body.encode(), x_amz_account_id=pair.account)
    assert answer.status == 501
    assert b"<Code>NotImplemented</Code>" in answer.data and b"Newest" in answer.data
    assert pair.states() == {}, "there is no job"


def test_what_was_asked_for_in_vain_is_counted(pair):
    request = pair.job_request(Operation={"S3DeleteObjectTagging": {}},
                               Manifest=keys_of(pair, "k"))
    for _ in range(2):
        refusal(pair.s3control.create_job, **request)
    refusal(pair.s3.put_bucket_request_payment, Bucket=SOURCE,
            RequestPaymentConfiguration={"Payer": "Requester"})
    counted = {(each["service"], each["times"]) for each in pair.admin("GET", "unimplemented")}
    assert counted == {("s3control", 2), ("s3", 1)}


def test_the_cli_is_told_what_is_not_emulated(pair):
    answer = pair.cli(
        "s3control", "create-job", "--account-id", pair.account, "--operation",
        {"S3PutObjectTagging": OTHERS["S3PutObjectTagging"]}, "--manifest", keys_of(pair, "k"),
        "--report", {"Enabled": False}, "--priority", "1", "--role-arn", pair.role_arn("batch"),
        "--no-confirmation-required")
    assert answer.code != 0
    assert "NotImplemented" in answer.error and "S3PutObjectTagging" in answer.error


def test_the_cli_runs_a_copy_job(pair):
    """S3 User Guide, "Copying objects using S3 Batch Operations"."""
    pair.put("k", b"text")
    made = pair.cli_ok(
        "s3control", "create-job", "--account-id", pair.account, "--operation",
        copy_of(StorageClass="STANDARD_IA"), "--manifest", keys_of(pair, "k"), "--report",
        pair.report(), "--priority", "1", "--role-arn", pair.copy_role(),
        "--no-confirmation-required")
    job = pair.finish(made["JobId"])
    text = pair.read(pair.report_document(job)["Results"][0]["Key"]).decode()
    row, = csv.reader(io.StringIO(text))
    assert row[:4] == [SOURCE, "k", "", "succeeded"]
    assert pair.head("k")["StorageClass"] == "STANDARD_IA"
