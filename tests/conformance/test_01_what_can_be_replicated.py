"""What can be replicated on demand: anything that the rules want, whatever became of it before."""

import pytest

from cloud import DESTINATION, SOURCE, arn, generator, rule


def test_an_object_from_before_the_configuration_is_not_replicated_live(pair):
    """S3 User Guide, "What does Amazon S3 replicate?": objects that existed before."""
    pair.put("old")
    pair.replicate()
    pair.settle()
    assert pair.status_of("old") is None
    assert pair.versions() == set()


def test_an_object_from_before_the_configuration_is_replicated_by_a_job(pair):
    version = pair.put("old")
    pair.replicate()
    job = pair.run_job(ManifestGenerator=generator("NONE"))
    assert job["Status"] == "Complete"
    assert pair.status_of("old") == "COMPLETED"
    assert pair.status_of("old", DESTINATION) == "REPLICA"
    assert pair.versions() == {("old", version)}


def test_every_version_of_a_key_is_replicated_by_a_job_under_its_own_id(pair):
    versions = {("k", pair.put("k", body)) for body in (b"1", b"2", b"3")}
    pair.replicate()
    pair.run_job()
    assert pair.versions() == versions
    assert pair.read("k", DESTINATION) == b"3"


def test_a_replica_keeps_the_time_the_metadata_and_the_tags_of_its_source(pair):
    pair.put("k", b"text", Metadata={"colour": "red"}, ContentType="text/plain", Tagging="a=1&b=2")
    pair.replicate()
    pair.advance(hours=1)
    pair.run_job()
    source, replica = pair.head("k"), pair.head("k", DESTINATION)
    for member in ("VersionId", "LastModified", "ETag", "Metadata", "ContentType"):
        assert replica[member] == source[member], member
    assert pair.tags_of("k", DESTINATION) == {"a": "1", "b": "2"}


def test_an_object_replicated_before_is_not_replicated_live_to_a_new_destination(pair):
    pair.replicate()
    pair.put("k")
    pair.settle()
    pair.bucket("second")
    pair.replicate(rule(), rule("second", id="second", priority=2))
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.versions("second") == set()


def test_an_object_replicated_before_is_replicated_by_a_job_to_a_new_destination(pair):
    pair.bucket("second")
    pair.replication_role(SOURCE, DESTINATION, "second", name="wider")
    pair.replicate()
    version = pair.put("k")
    pair.settle()
    pair.replicate(rule(), rule("second", id="second", priority=2), role="wider")
    job = pair.run_job(ManifestGenerator=generator("COMPLETED"))
    assert job["ProgressSummary"]["NumberOfTasksSucceeded"] == 1
    assert pair.versions("second") == {("k", version)}


def test_an_object_that_failed_stays_failed_after_the_repair(pair):
    """S3 User Guide, "Getting replication status information": S3 does not try again by itself."""
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject")
    pair.put("k")
    pair.settle()
    pair.forgive("replication")
    pair.advance(days=30)
    assert pair.status_of("k") == "FAILED"
    assert pair.versions() == set()


def test_an_object_that_failed_is_replicated_by_a_job_after_the_repair(pair):
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject")
    version = pair.put("k")
    pair.settle()
    pair.forgive("replication")
    job = pair.run_job(ManifestGenerator=generator("FAILED"))
    assert job["ProgressSummary"]["NumberOfTasksSucceeded"] == 1
    assert pair.status_of("k") == "COMPLETED"
    assert pair.versions() == {("k", version)}


def test_an_object_that_failed_fails_again_in_a_job_before_the_repair(pair):
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject")
    pair.put("k")
    pair.settle()
    job = pair.run_job(ManifestGenerator=generator("FAILED"))
    assert job["Status"] == "Complete"
    assert pair.row(job).code == "DstPutObjectNotPermitted"
    assert pair.status_of("k") == "FAILED"


def test_a_change_of_a_failed_version_is_a_new_attempt(pair):
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject")
    pair.put("k")
    pair.settle()
    pair.forgive("replication")
    pair.tag("k", a="1")
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.tags_of("k", DESTINATION) == {"a": "1"}


def test_what_was_written_while_its_rule_was_disabled_is_caught_up_by_a_job_only(pair):
    """S3 User Guide, "Disabling or enabling replication rules"."""
    pair.replicate(rule(enabled=False))
    version = pair.put("k")
    pair.replicate(rule())
    pair.settle()
    assert pair.status_of("k") is None
    pair.run_job()
    assert pair.versions() == {("k", version)}


def test_a_replica_goes_on_by_a_job_only(pair):
    """S3 User Guide, "What isn't replicated with live replication": replicas, from A to B to C."""
    pair.bucket("third")
    pair.replication_role(DESTINATION, "third", name="onward")
    pair.job_role(DESTINATION, name="batch-onward")
    pair.replicate()
    pair.replicate(rule("third"), source=DESTINATION, role="onward")
    version = pair.put("k")
    pair.settle()
    assert pair.versions(DESTINATION) == {("k", version)}
    assert pair.versions("third") == set()
    job = pair.run_job(ManifestGenerator=generator("REPLICA", source=DESTINATION),
                       RoleArn=pair.role_arn("batch-onward"))
    assert job["ProgressSummary"]["NumberOfTasksSucceeded"] == 1
    assert pair.versions("third") == {("k", version)}


def test_live_replication_goes_on_beside_a_job(pair):
    for at in range(8):
        pair.put(f"old-{at}")
    pair.replicate()
    pair.settings(job_tasks_per_step=1, job_step_ms=60_000)
    job_id = pair.create_job(ManifestGenerator=generator("NONE"))
    pair.wait_for(job_id, "Active")
    pair.put("new")
    pair.advance(seconds=10)
    assert pair.status_of("new") == "COMPLETED"
    assert pair.state(job_id) == "Active"
    assert pair.finish(job_id)["ProgressSummary"]["NumberOfTasksSucceeded"] == 8
    assert pair.keys() == {"new", *(f"old-{at}" for at in range(8))}


def test_a_version_is_pending_at_once_and_completed_a_moment_later(pair):
    pair.settings(replication_delay_ms=60_000)
    pair.replicate()
    pair.put("k")
    assert pair.status_of("k") == "PENDING"
    assert pair.versions() == set()
    pair.advance(minutes=1)
    assert pair.status_of("k") == "COMPLETED"
    assert pair.status_of("k", DESTINATION) == "REPLICA"


@pytest.mark.parametrize("body", [b"", b"x" * 5_000_000], ids=["empty", "large"])
def test_an_object_of_any_size_is_replicated_byte_for_byte(pair, body):
    pair.replicate()
    pair.put("k", body)
    pair.settle()
    assert pair.read("k", DESTINATION) == body


def test_an_object_uploaded_in_parts_is_replicated(pair):
    pair.replicate()
    upload = pair.s3.create_multipart_upload(Bucket=SOURCE, Key="k")["UploadId"]
    parts = []
    for number, body in ((1, b"a" * 5_242_880), (2, b"b")):
        tag = pair.s3.upload_part(Bucket=SOURCE, Key="k", UploadId=upload, PartNumber=number,
                                  Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    pair.s3.complete_multipart_upload(Bucket=SOURCE, Key="k", UploadId=upload,
                                      MultipartUpload={"Parts": parts})
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.read("k", DESTINATION) == b"a" * 5_242_880 + b"b"


def test_the_commands_of_the_user_guide_replicate_existing_objects(pair):
    """S3 User Guide, "Create a Batch Replication job for existing replication rules": AWS CLI."""
    version = pair.put("old")
    pair.replicate()
    made = pair.cli_ok(
        "s3control", "create-job", "--account-id", pair.account,
        "--operation", {"S3ReplicateObject": {}},
        "--report", {"Bucket": arn("reports"), "Prefix": "batch-replication-report",
                     "Format": "Report_CSV_20180820", "Enabled": True,
                     "ReportScope": "AllTasks"},
        "--manifest-generator", {"S3JobManifestGenerator": {
            "ExpectedBucketOwner": pair.account, "SourceBucket": arn(SOURCE),
            "EnableManifestOutput": False,
            "Filter": {"EligibleForReplication": True,
                       "ObjectReplicationStatuses": ["NONE", "FAILED"]}}},
        "--priority", "1", "--role-arn", pair.role_arn("batch"), "--no-confirmation-required",
    )
    assert pair.finish(made["JobId"])["Status"] == "Complete"
    head = pair.cli_ok("s3api", "head-object", "--bucket", SOURCE, "--key", "old")
    assert (head["ReplicationStatus"], head["VersionId"]) == ("COMPLETED", version)
    replica = pair.cli_ok("s3api", "head-object", "--bucket", DESTINATION, "--key", "old")
    assert (replica["ReplicationStatus"], replica["VersionId"]) == ("REPLICA", version)
