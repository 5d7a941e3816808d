"""What has to be there before a job, and what is said when it is not: CreateJob refuses hardly
anything; the rest fails the job or its tasks minutes later (S3 User Guide, "Troubleshooting S3
Batch Operations": API failures and job failures)."""

import base64
import hashlib
import json

import pytest

from cloud import (BATCH_SERVICE, OTHER_ACCOUNT, REPORTS, REPLICATION_SERVICE, SOURCE, allow, arn,
                   csv_of, generator, manifest_output, refusal, trust)

READING_FORBIDDEN = "Reading the manifest is forbidden: AccessDenied"
REPORT_UNWRITTEN = ("The job report could not be written to your report bucket. "
                    "Please check your permissions")


def why(job):
    """The one reason why a job failed as a whole."""
    assert job["Status"] == "Failed", job["Status"]
    reason, = job["FailureReasons"]
    assert 0 < len(reason["FailureCode"]) <= 64
    return reason["FailureReason"]


def one_row(pair, **manifest):
    """A configuration, an object, and the manifest of it."""
    version = pair.put("k")
    pair.replicate()
    return pair.manifest([(SOURCE, "k", version)], **manifest)


# The source and its configuration.

def test_a_generated_job_over_a_source_without_a_configuration_fails(pair):
    pair.put("k")
    job = pair.run_job()
    assert job["Status"] == "Failed"
    assert job["FailureReasons"]
    assert pair.status_of("k") is None


def test_the_tasks_over_a_source_without_a_configuration_fail(pair):
    version = pair.put("k")
    job = pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)]))
    assert job["Status"] == "Complete"
    assert pair.row(job).code == "SrcBucketReplicationConfigMissing"
    assert pair.status_of("k") is None


def test_a_generated_job_over_a_source_that_is_not_there_fails(pair):
    job = pair.run_job(ManifestGenerator=generator(source="nowhere"))
    assert job["Status"] == "Failed" and job["FailureReasons"]


def test_a_generated_job_over_a_source_of_another_owner_than_expected_fails(pair):
    pair.put("k")
    pair.replicate()
    made = generator()
    made["S3JobManifestGenerator"]["ExpectedBucketOwner"] = OTHER_ACCOUNT
    job = pair.run_job(ManifestGenerator=made)
    assert job["Status"] == "Failed" and job["FailureReasons"]


# The role.

def test_a_role_of_another_account_may_not_be_passed(pair):
    pair.replicate()
    request = pair.job_request(RoleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/batch")
    refused = refusal(pair.s3control.create_job, **request)
    assert (refused.code, refused.status) == ("AccessDenied", 403)
    assert "Cross-account pass role is not allowed" in refused.message


def test_a_role_that_is_not_there_fails_the_job(pair):
    manifest = one_row(pair)
    job_id = pair.create_job(Manifest=manifest, RoleArn=pair.role_arn("nobody"))
    assert why(pair.finish(job_id)) == READING_FORBIDDEN


def test_a_role_that_is_not_there_fails_a_generated_job(pair):
    one_row(pair)
    job = pair.run_job(RoleArn=pair.role_arn("nobody"))
    assert job["Status"] == "Failed" and job["FailureReasons"]


def test_a_role_that_trusts_another_service_fails_the_job(pair):
    manifest = one_row(pair)
    pair.iam.update_assume_role_policy(RoleName="batch",
                                       PolicyDocument=trust(REPLICATION_SERVICE))
    assert why(pair.run_job(Manifest=manifest)) == READING_FORBIDDEN


@pytest.mark.parametrize("action", ["s3:GetReplicationConfiguration",
                                    "s3:PutInventoryConfiguration"])
def test_a_role_that_may_not_list_the_source_fails_a_generated_job(pair, action):
    """S3 User Guide, "Configuring an IAM role for S3 Batch Replication"."""
    one_row(pair)
    pair.forbid("batch", action)
    job = pair.run_job()
    assert job["Status"] == "Failed" and job["FailureReasons"]


@pytest.mark.parametrize("action", ["s3:GetReplicationConfiguration",
                                    "s3:PutInventoryConfiguration"])
def test_a_job_over_a_manifest_does_not_need_to_list_the_source(pair, action):
    manifest = one_row(pair)
    pair.forbid("batch", action)
    assert pair.row(pair.run_job(Manifest=manifest)).status == "succeeded"


# The manifest.

def test_a_manifest_that_the_role_may_not_read_fails_the_job(pair):
    manifest = one_row(pair)
    pair.forbid("batch", "s3:GetObject")
    assert why(pair.run_job(Manifest=manifest)) == READING_FORBIDDEN


def test_a_manifest_named_by_version_needs_another_permission(pair):
    manifest = one_row(pair)
    version = pair.head("manifest.csv", REPORTS)["VersionId"]
    manifest["Location"]["ObjectVersionId"] = version
    pair.forbid("batch", "s3:GetObjectVersion")
    assert why(pair.run_job(Manifest=manifest)) == READING_FORBIDDEN


def test_a_manifest_that_its_bucket_denies_fails_the_job(pair):
    manifest = one_row(pair)
    pair.bucket_policy(REPORTS, {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
                                 "Resource": arn(REPORTS, "*")})
    assert why(pair.run_job(Manifest=manifest)) == READING_FORBIDDEN


def test_a_manifest_that_is_not_there_fails_the_job(pair):
    """Without s3:ListBucket, what is missing looks forbidden."""
    manifest = one_row(pair)
    pair.s3.delete_object(Bucket=REPORTS, Key="manifest.csv")
    assert why(pair.run_job(Manifest=manifest)) == READING_FORBIDDEN


def test_a_manifest_with_another_etag_fails_the_job(pair):
    manifest = one_row(pair)
    manifest["Location"]["ETag"] = "0" * 32
    assert why(pair.run_job(Manifest=manifest))
    assert pair.status_of("k") is None


def test_a_manifest_that_changed_after_create_job_fails_the_job(pair):
    manifest = one_row(pair)
    job_id = pair.create_job(Manifest=manifest)
    pair.put("manifest.csv", b"source,other,null\n", REPORTS)
    assert why(pair.finish(job_id))
    assert pair.status_of("k") is None


def test_an_etag_that_is_none_fails_the_job(pair):
    manifest = one_row(pair)
    manifest["Location"]["ETag"] = "nonsense"
    job = pair.run_job(Manifest=manifest)
    assert why(job) == "ETag format is invalid"
    assert job["FailureReasons"][0]["FailureCode"] == "InvalidManifestContent"


def test_a_manifest_under_a_kms_key_fails_the_job(pair):
    """S3 User Guide, "Creating an S3 Batch Operations job": no SSE-KMS for CSV manifests."""
    manifest = one_row(pair, ServerSideEncryption="aws:kms", SSEKMSKeyId=pair.key())
    job = pair.run_job(Manifest=manifest)
    assert why(job)
    assert job["FailureReasons"][0]["FailureCode"] == "InvalidManifestContent"


def test_a_manifest_in_a_bucket_with_a_default_key_fails_the_job(pair):
    pair.encrypt_by_default(REPORTS, pair.key())
    job = pair.run_job(Manifest=one_row(pair))
    assert why(job)
    assert job["FailureReasons"][0]["FailureCode"] == "InvalidManifestContent"


def test_a_manifest_written_with_aes256_is_read_in_a_bucket_with_a_default_key(pair):
    pair.encrypt_by_default(REPORTS, pair.key())
    manifest = one_row(pair, ServerSideEncryption="AES256")
    assert pair.run_job(Manifest=manifest)["Status"] == "Complete"


def test_a_manifest_under_a_key_of_the_customer_fails_the_job(pair):
    key = b"k" * 32
    manifest = one_row(pair, SSECustomerAlgorithm="AES256",
                       SSECustomerKey=base64.b64encode(key).decode(),
                       SSECustomerKeyMD5=base64.b64encode(hashlib.md5(key).digest()).decode())
    assert why(pair.run_job(Manifest=manifest))


@pytest.mark.parametrize("name", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_manifest_fails_the_job(pair, name):
    """S3 API Reference, "GetObject": an archived object cannot be read before it is restored."""
    job = pair.run_job(Manifest=one_row(pair, StorageClass=name))
    assert why(job)
    assert job["FailureReasons"][0]["FailureCode"] == "ManifestReadForbidden"


@pytest.mark.parametrize("fields, missing", [
    (("Key", "VersionId"), "Bucket"), (("Bucket", "VersionId"), "Key"),
    (("Ignore", "VersionId"), "Bucket, Key"),
])
def test_a_manifest_that_lacks_a_field_fails_the_job(pair, fields, missing):
    version = pair.put("k")
    pair.replicate()
    rows = [("x",) * (len(fields) - 1) + (version,)]
    reason = why(pair.run_job(Manifest=pair.manifest(rows, fields)))
    assert reason == f"Required fields are missing in the schema: {missing}"


MALFORMED = {
    "a row with fewer columns": ("source,k\n", "Unexpected number of task fields"),
    "a row with more columns": ("source,k,null,1\n", "Unexpected number of task fields"),
    # Documented as wrong, without a sentence of its own.
    "a blank line": ("\nsource,k,null\n", None),
    "text that is no row": ("nonsense", None),
}


@pytest.mark.parametrize("text, reason", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_manifest_fails_the_job_as_a_whole(pair, text, reason):
    version = pair.put("k")
    pair.replicate()
    good = csv_of([(SOURCE, "k", version)])
    job = pair.run_job(Manifest=pair.manifest(good + text))
    assert why(job) == reason or why(job) and reason is None
    assert job["FailureReasons"][0]["FailureCode"] == "InvalidManifestContent"
    assert pair.status_of("k") is None, "no task ran"
    assert not pair.has_report(job), "no task, no report"


@pytest.mark.parametrize("text", [
    "\ufeff{row}\n", "{row}\n\n{row}\n", "{row}\n\n", '"source","k","null"\n\n{row}\n',
    "{row}\r\n\r\n{row}\r\n",
], ids=["a byte order mark", "a blank line", "a blank line at the end",
        "a blank line after a quoted one", "a blank line of CRLF"])
def test_a_manifest_with_a_byte_order_mark_or_a_blank_line_fails_the_job(pair, text):
    """S3 User Guide, "Troubleshooting S3 Batch Operations": Manifest file format."""
    version = pair.put("k")
    pair.replicate()
    text = text.format(row=f"{SOURCE},k,{version}")
    job = pair.run_job(Manifest=pair.manifest(text.encode()))
    assert why(job)
    assert job["FailureReasons"][0]["FailureCode"] == "InvalidManifestContent"
    assert pair.status_of("k") is None, "no task ran"


@pytest.mark.parametrize("row, reason", [
    (("source", "", "null"), "Invalid object key format"),
    (("source", "k" * 1_025, "null"), "Invalid object key format"),
    (("source", "%FF", "null"), "Invalid object key format"),
    (("source", "100%", "null"), "Invalid object key format"),
    (("source", "a%2G", "null"), "Invalid object key format"),
    (("source", "k", "v" * 1_025), "Invalid version ID format"),
], ids=["an empty key", "a key of 1025 bytes", "a key that is not UTF-8", "a lone percent sign",
        "a percent sign before no number", "a long version id"])
def test_a_manifest_with_an_impossible_row_fails_the_job(pair, row, reason):
    pair.replicate()
    assert why(pair.run_job(Manifest=pair.manifest([row]))) == reason


def test_a_row_with_an_empty_version_id_fails_its_task_alone(pair):
    version = pair.put("k")
    pair.replicate()
    manifest = pair.manifest([(SOURCE, "k", ""), (SOURCE, "k", version)])
    rows = {row.version: row for row in pair.rows(pair.run_job(Manifest=manifest))}
    assert (rows[""].status, rows[""].code) == ("failed", "SrcObjectNotFound")
    assert rows[""].message == "Object versionID is invalid"
    assert rows[version].status == "succeeded"


def test_a_manifest_without_version_ids_fails_every_task(pair):
    pair.put("k")
    pair.replicate()
    manifest = pair.manifest([(SOURCE, "k")], ("Bucket", "Key"))
    row = pair.row(pair.run_job(Manifest=manifest))
    assert (row.status, row.http, row.code) == ("failed", "400", "InvalidRequest")
    assert row.version == ""
    assert row.message == "Task failed due to missing VersionId"


@pytest.mark.parametrize("document", [
    b"nonsense", b"{}", json.dumps({"fileSchema": "Bucket, Key, VersionId"}).encode(),
], ids=["not JSON", "empty", "no files"])
def test_an_inventory_manifest_that_cannot_be_read_fails_the_job(pair, document):
    pair.replicate()
    manifest = pair.inventory([])
    pair.put("inventory/manifest.json", document, REPORTS)
    manifest["Location"]["ETag"] = hashlib.md5(document).hexdigest()
    assert why(pair.run_job(Manifest=manifest))


def test_an_inventory_file_that_is_not_there_fails_the_job(pair):
    version = pair.put("k")
    pair.replicate()
    manifest = pair.inventory([csv_of([(SOURCE, "k", version)]).encode()])
    pair.s3.delete_object(Bucket=REPORTS, Key="inventory/data/0.csv")
    assert why(pair.run_job(Manifest=manifest)) == READING_FORBIDDEN


def test_a_generated_manifest_that_cannot_be_written_fails_the_job(pair):
    one_row(pair)
    pair.forbid("batch", "s3:PutObject", arn(REPORTS, "manifests/*"))
    job = pair.run_job(ManifestGenerator=generator(output=manifest_output()))
    assert why(job) == "Error occurred when preparing manifest: Failed to write manifest"


@pytest.mark.parametrize("changes", [
    {"Bucket": arn("nowhere")}, {"ExpectedManifestBucketOwner": OTHER_ACCOUNT},
], ids=["not there", "not of the expected owner"])
def test_a_generated_manifest_for_the_wrong_bucket_fails_the_job(pair, changes):
    one_row(pair)
    output = manifest_output(**changes)
    assert why(pair.run_job(ManifestGenerator=generator(output=output)))


# The report bucket.

def test_a_report_that_the_role_may_not_write_fails_the_job(pair):
    manifest = one_row(pair)
    pair.forbid("batch", "s3:PutObject")
    job = pair.run_job(Manifest=manifest)
    assert why(job) == REPORT_UNWRITTEN
    assert pair.status_of("k") == "COMPLETED", "the tasks had run"


def test_a_report_that_its_bucket_denies_fails_the_job(pair):
    manifest = one_row(pair)
    pair.bucket_policy(REPORTS, {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                                 "Resource": arn(REPORTS, "jobs/*")})
    assert why(pair.run_job(Manifest=manifest)) == REPORT_UNWRITTEN


def test_a_report_bucket_that_is_not_there_fails_the_job(pair):
    manifest = one_row(pair)
    job = pair.run_job(Manifest=manifest, Report=pair.report(Bucket=arn("nowhere")))
    assert why(job) == REPORT_UNWRITTEN


def test_a_report_bucket_of_another_owner_than_expected_fails_the_job(pair):
    manifest = one_row(pair)
    report = pair.report(ExpectedBucketOwner=OTHER_ACCOUNT)
    assert why(pair.run_job(Manifest=manifest, Report=report)) == REPORT_UNWRITTEN
    assert not pair.keys(REPORTS, "jobs/")


def test_a_report_bucket_that_locks_what_is_written_fails_the_job(pair):
    """S3 User Guide, "Troubleshooting S3 Batch Operations": a report is a plain PUT, which a bucket
    with a default retention refuses."""
    manifest = one_row(pair)
    pair.bucket("locked", locked=True)
    pair.permit("batch", allow("s3:PutObject", arn("locked", "*")), name="locked")
    pair.s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}})
    job = pair.run_job(Manifest=manifest, Report=pair.report(Bucket=arn("locked")))
    assert why(job) == REPORT_UNWRITTEN


def test_a_report_bucket_of_another_account_needs_its_permission(pair):
    """S3 User Guide, "Permissions for S3 Batch Operations": both accounts have to allow it."""
    pair.bucket("theirs", account=OTHER_ACCOUNT)
    pair.permit("batch", allow("s3:PutObject", arn("theirs", "*")), name="theirs")
    manifest = one_row(pair)
    report = pair.report(Bucket=arn("theirs"))
    assert why(pair.run_job(Manifest=manifest, Report=report)) == REPORT_UNWRITTEN
    grant = allow("s3:PutObject", arn("theirs", "*"))
    grant["Principal"] = {"AWS": pair.role_arn("batch")}
    pair.bucket_policy("theirs", grant, account=OTHER_ACCOUNT)
    assert pair.run_job(Manifest=manifest, Report=report)["Status"] == "Complete"


def test_the_minimal_role_of_a_job_over_a_manifest_suffices(pair):
    """S3 User Guide, "Configuring an IAM role for S3 Batch Replication": user-supplied manifest."""
    manifest = one_row(pair)
    role = pair.role("minimal", BATCH_SERVICE,
                     allow("s3:InitiateReplication", arn(SOURCE, "*")),
                     allow(["s3:GetObject", "s3:GetObjectVersion"], arn(REPORTS, "*")),
                     allow("s3:PutObject", arn(REPORTS, "*")))
    assert pair.row(pair.run_job(Manifest=manifest, RoleArn=role)).status == "succeeded"


def test_the_cli_may_not_pass_a_role_of_another_account(pair):
    pair.replicate()
    answer = pair.cli(
        "s3control", "create-job", "--account-id", pair.account, "--operation",
        {"S3ReplicateObject": {}}, "--manifest-generator", generator(), "--report",
        pair.report(), "--priority", "1", "--role-arn", f"arn:aws:iam::{OTHER_ACCOUNT}:role/batch")
    assert answer.code != 0
    assert "AccessDenied" in answer.error and "Cross-account pass role" in answer.error


def test_the_cli_shows_why_a_job_failed(pair):
    pair.replicate()
    job_id = pair.create_job(ManifestGenerator=generator("FAILED"))
    pair.finish(job_id)
    job = pair.cli_ok("s3control", "describe-job", "--account-id", pair.account,
                      "--job-id", job_id)["Job"]
    assert job["Status"] == "Failed"
    assert [reason["FailureReason"] for reason in job["FailureReasons"]] == [
        "Manifest generation found no keys matching the filter criteria."]
