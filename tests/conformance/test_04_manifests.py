"""Manifests: the list that S3 makes of what the rules want, and those that are supplied."""

import csv
import gzip
import hashlib
import io
import json

import pytest

from cloud import (DESTINATION, GENERATED_FORMAT, INVENTORY_FORMAT, REPORTS, SOURCE, allow, arn,
                   csv_of, encrypted_rule, generator, manifest_output, rule)


def listed(pair, job):
    """The rows of the manifest that a job kept, as key and version id."""
    location = job["GeneratedManifestDescriptor"]["Location"]
    document = json.loads(pair.read(location["ObjectArn"].removeprefix(arn(REPORTS, ""))))
    columns = [name.strip() for name in document["fileSchema"].split(",")]
    found = set()
    for file in document["files"]:
        body = pair.read(file["key"])
        assert hashlib.md5(body).hexdigest() == file["MD5checksum"]
        assert len(body) == file["size"]
        text = (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode()
        for row in csv.DictReader(io.StringIO(text), columns):
            assert row["Bucket"] == SOURCE
            found.add((row["Key"], row["VersionId"]))
    return found


def tasks(pair, job):
    """What a job worked on, as key and version id."""
    assert job["Status"] == "Complete", job.get("FailureReasons")
    return {(row.key, row.version) for row in pair.rows(job)}


# Generated.

def test_a_generated_manifest_covers_the_prefixes_of_the_rules(pair):
    versions = {key: pair.put(key) for key in ("a/1", "b/1", "c/1", "a", "ab/1")}
    pair.replicate(rule(prefix="a/", id="a"), rule(prefix="b/", id="b", priority=2))
    expected = {(key, versions[key]) for key in ("a/1", "b/1")}
    assert tasks(pair, pair.run_job()) == expected


def test_a_generated_manifest_covers_the_tags_of_the_rules(pair):
    versions = {}
    for key, tagging in (("both", "a=1&b=2"), ("one", "a=1"), ("other", "a=2&b=2"), ("none", "")):
        versions[key] = pair.put(key, Tagging=tagging)
    pair.replicate(rule(tags={"a": "1", "b": "2"}))
    assert tasks(pair, pair.run_job()) == {("both", versions["both"])}


def test_a_generated_manifest_covers_prefix_and_tag_together(pair):
    wanted = pair.put("a/1", Tagging="a=1")
    pair.put("a/2")
    pair.put("b/1", Tagging="a=1")
    pair.replicate(rule(prefix="a/", tags={"a": "1"}))
    assert tasks(pair, pair.run_job()) == {("a/1", wanted)}


def test_a_generated_manifest_covers_what_was_tagged_after_its_upload(pair):
    """S3 User Guide, "What isn't replicated with live replication": use Batch Replication."""
    pair.replicate(rule(tags={"a": "1"}))
    version = pair.put("k")
    pair.tag("k", a="1")
    pair.settle()
    assert pair.versions() == set()
    assert tasks(pair, pair.run_job()) == {("k", version)}
    assert pair.versions() == {("k", version)}


def test_a_generated_manifest_covers_all_eligible_versions(pair):
    versions = {("k", pair.put("k", body)) for body in (b"1", b"2", b"3")}
    pair.delete("k")
    pair.replicate()
    assert tasks(pair, pair.run_job()) == versions


def test_a_generated_manifest_does_not_cover_disabled_rules(pair):
    wanted = pair.put("a/1")
    pair.put("b/1")
    pair.replicate(rule(prefix="a/", id="a"),
                   rule(prefix="b/", id="b", priority=2, enabled=False))
    assert tasks(pair, pair.run_job()) == {("a/1", wanted)}


def test_a_generated_manifest_covers_delete_markers_where_the_rule_takes_them(pair):
    version, marker = pair.put("k"), pair.delete("k")
    pair.replicate(rule(markers=True))
    assert tasks(pair, pair.run_job()) == {("k", version), ("k", marker)}
    assert pair.markers() == {("k", marker)}


@pytest.mark.parametrize("made", [
    rule(), rule(tags={"a": "1"}),
], ids=["a rule that does not", "a rule with a tag"])
def test_a_generated_manifest_leaves_delete_markers_out_elsewhere(pair, made):
    version, _ = pair.put("k", Tagging="a=1"), pair.delete("k")
    pair.replicate(made)
    assert tasks(pair, pair.run_job()) == {("k", version)}
    assert pair.markers() == set()


def test_a_generated_manifest_covers_delete_markers_for_a_rule_of_the_first_version(pair):
    version, marker = pair.put("k"), pair.delete("k")
    pair.replicate({"ID": "v1", "Prefix": "", "Status": "Enabled",
                    "Destination": {"Bucket": arn(DESTINATION)}})
    assert tasks(pair, pair.run_job()) == {("k", version), ("k", marker)}


def test_a_generated_manifest_covers_kms_objects_only_where_a_rule_opts_in(pair):
    key = pair.key()
    plain = pair.put("plain")
    secret = pair.put("secret", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    pair.replicate(rule())
    assert tasks(pair, pair.run_job()) == {("plain", plain)}
    pair.replicate(encrypted_rule(key))
    assert tasks(pair, pair.run_job(ManifestGenerator=generator("NONE"))) == {("secret", secret)}


def test_a_generated_manifest_covers_versions_from_before_versioning(pair):
    pair.bucket("elder", versioned=False)
    pair.put("k", bucket="elder")
    pair.versioning("elder")
    pair.replication_role("elder", name="elder")
    pair.job_role("elder", name="batch-elder")
    pair.replicate(source="elder", role="elder")
    job = pair.run_job(ManifestGenerator=generator(source="elder"),
                       RoleArn=pair.role_arn("batch-elder"))
    assert tasks(pair, job) == {("k", "null")}
    assert pair.versions() == {("k", "null")}


def test_a_generated_manifest_is_not_kept_unless_asked_for(pair):
    pair.put("k")
    pair.replicate()
    job = pair.run_job(Report={"Enabled": False})
    assert "GeneratedManifestDescriptor" not in job
    assert pair.keys(REPORTS) == set()


def test_a_generated_manifest_can_be_kept(pair):
    versions = {("a", pair.put("a")), ("b", pair.put("b"))}
    pair.replicate()
    job = pair.run_job(ManifestGenerator=generator(output=manifest_output()))
    descriptor = job["GeneratedManifestDescriptor"]
    assert descriptor["Format"] == GENERATED_FORMAT
    key = descriptor["Location"]["ObjectArn"].removeprefix(arn(REPORTS, ""))
    assert key.startswith("manifests/")
    kept = pair.head(key, REPORTS)
    assert kept["ETag"].strip('"') == descriptor["Location"]["ETag"].strip('"')
    assert kept["ServerSideEncryption"] == "AES256"
    assert listed(pair, job) == versions


def test_a_generated_manifest_can_be_kept_under_a_kms_key(pair):
    key = pair.key()
    pair.permit("batch", allow(["kms:GenerateDataKey", "kms:Decrypt"], key), name="key")
    version = pair.put("k")
    pair.replicate()
    output = manifest_output(ManifestEncryption={"SSEKMS": {"KeyId": key}})
    job = pair.run_job(ManifestGenerator=generator(output=output))
    location = job["GeneratedManifestDescriptor"]["Location"]
    kept = pair.head(location["ObjectArn"].removeprefix(arn(REPORTS, "")), REPORTS)
    assert (kept["ServerSideEncryption"], kept["SSEKMSKeyId"]) == ("aws:kms", key)
    assert listed(pair, job) == {("k", version)}


def test_a_generated_manifest_can_be_fed_to_a_later_job(pair):
    versions = {("a", pair.put("a")), ("b", pair.put("b"))}
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject")
    first = pair.run_job(ManifestGenerator=generator(output=manifest_output()))
    assert {row.status for row in pair.rows(first)} == {"failed"}
    pair.forgive("replication")
    location = first["GeneratedManifestDescriptor"]["Location"]
    second = pair.run_job(Manifest={"Spec": {"Format": INVENTORY_FORMAT}, "Location": {
        "ObjectArn": location["ObjectArn"], "ETag": location["ETag"]}})
    assert tasks(pair, second) == versions
    assert pair.versions() == versions


def test_the_keys_of_a_generated_manifest_are_encoded_as_those_of_an_inventory(pair):
    versions = {key: pair.put(key) for key in ("a b", "a+b", "ä/ö")}
    pair.replicate()
    first = pair.run_job(ManifestGenerator=generator(output=manifest_output()))
    texts = {("a+b", versions["a b"]), ("a%2Bb", versions["a+b"]),
             ("%C3%A4/%C3%B6", versions["ä/ö"])}
    assert listed(pair, first) == tasks(pair, first) == texts
    location = first["GeneratedManifestDescriptor"]["Location"]
    second = pair.run_job(Manifest={"Spec": {"Format": INVENTORY_FORMAT}, "Location": location})
    assert tasks(pair, second) == texts
    assert {row.status for row in pair.rows(second)} == {"succeeded"}


def test_a_generated_manifest_goes_into_a_bucket_of_the_same_region_only(pair):
    """S3 API Reference, "S3ManifestOutputLocation"."""
    pair.bucket("faraway", region="eu-west-1")
    pair.permit("batch", allow("s3:PutObject", arn("faraway", "*")), name="faraway")
    pair.put("k")
    pair.replicate()
    job = pair.run_job(ManifestGenerator=generator(output=manifest_output("faraway")))
    assert job["Status"] == "Failed"
    assert pair.keys("faraway") == set()


def test_a_generated_job_runs_in_the_region_of_its_source_only(pair):
    """S3 User Guide, "Replicating existing objects": no list is made across Regions."""
    pair.bucket("faraway", region="eu-west-1")
    pair.put("k", bucket="faraway")
    pair.replication_role("faraway", name="faraway")
    pair.job_role("faraway", name="batch-faraway")
    pair.replicate(source="faraway", role="faraway")
    job = pair.run_job(ManifestGenerator=generator(source="faraway"),
                       RoleArn=pair.role_arn("batch-faraway"))
    assert job["Status"] == "Failed"
    assert pair.versions() == set()


# Supplied as CSV.

def test_only_the_version_that_a_manifest_names_is_replicated(pair):
    pair.put("k", b"1")
    second = pair.put("k", b"2")
    pair.put("k", b"3")
    pair.put("other")
    pair.replicate()
    job = pair.run_job(Manifest=pair.manifest([(SOURCE, "k", second)]))
    assert tasks(pair, job) == {("k", second)}
    assert pair.versions() == {("k", second)}
    assert pair.read("k", DESTINATION) == b"2"


@pytest.mark.parametrize("fields", [
    ("Key", "VersionId", "Bucket"), ("Ignore", "Bucket", "Ignore", "Key", "VersionId"),
], ids=" ".join)
def test_the_fields_of_a_manifest_stand_in_any_order(pair, fields):
    version = pair.put("k")
    pair.replicate()
    values = {"Bucket": SOURCE, "Key": "k", "VersionId": version, "Ignore": "whatever"}
    manifest = pair.manifest([[values[field] for field in fields]], fields)
    assert pair.row(pair.run_job(Manifest=manifest)).status == "succeeded"


@pytest.mark.parametrize("key, text", [
    ("a b", "a%20b"), ("a+b", "a%2Bb"), ("100%", "100%25"), ("a,b", "a%2Cb"),
    ("ä/ö", "%C3%A4/%C3%B6"), ("a\nb", "a%0Ab"), ('say "x"', "say%20%22x%22"),
    ("a%20b", "a%2520b"), ("a/b/c", "a%2Fb%2Fc"), ("a+b", "a+b"),
], ids=lambda text: repr(text))
def test_the_keys_of_a_manifest_are_url_encoded(pair, key, text):
    version = pair.put(key)
    pair.replicate()
    job = pair.run_job(Manifest=pair.manifest([(SOURCE, text, version)]))
    assert pair.row(job).status == "succeeded"
    assert pair.versions() == {(key, version)}


def test_a_row_may_be_quoted_as_csv_quotes(pair):
    version = pair.put("a,b")
    pair.replicate()
    text = f'"{SOURCE}","a,b","{version}"\r\n'
    assert pair.row(pair.run_job(Manifest=pair.manifest(text))).status == "succeeded"


def test_a_version_from_before_versioning_is_named_null(pair):
    pair.bucket("elder", versioned=False)
    pair.put("k", bucket="elder")
    pair.versioning("elder")
    pair.replication_role("elder", name="elder")
    pair.job_role("elder", name="batch-elder")
    pair.replicate(source="elder", role="elder")
    job = pair.run_job(Manifest=pair.manifest([("elder", "k", "null")]),
                       RoleArn=pair.role_arn("batch-elder"))
    assert pair.row(job).status == "succeeded"
    assert pair.versions() == {("k", "null")}


def test_a_row_that_comes_twice_is_two_tasks(pair):
    version = pair.put("k")
    pair.replicate()
    job = pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)] * 2))
    assert job["ProgressSummary"]["TotalNumberOfTasks"] == 2
    assert len(pair.rows(job)) == 2


def test_a_manifest_can_be_named_by_its_version(pair):
    version = pair.put("k")
    pair.replicate()
    manifest = pair.manifest([(SOURCE, "k", version)])
    manifest["Location"]["ObjectVersionId"] = pair.head("manifest.csv", REPORTS)["VersionId"]
    pair.put("manifest.csv", b"replaced", REPORTS)
    assert pair.row(pair.run_job(Manifest=manifest)).status == "succeeded"


def test_a_manifest_may_be_uploaded_in_parts(pair):
    version = pair.put("k")
    pair.replicate()
    names = {"Bucket": REPORTS, "Key": "manifest.csv"}
    upload = pair.s3.create_multipart_upload(**names)["UploadId"]
    part = pair.s3.upload_part(**names, UploadId=upload, PartNumber=1,
                               Body=csv_of([(SOURCE, "k", version)]))
    done = pair.s3.complete_multipart_upload(**names, UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    manifest = pair.manifest("", key="empty.csv")
    manifest["Location"] = {"ObjectArn": arn(REPORTS, "manifest.csv"),
                            "ETag": done["ETag"].strip('"')}
    assert pair.row(pair.run_job(Manifest=manifest)).status == "succeeded"


def test_a_manifest_over_a_bucket_of_another_region_fails_its_tasks(pair):
    """S3 User Guide, "Amazon S3 replication failure reasons": SrcBucketInvalidRegion."""
    pair.bucket("faraway", region="eu-west-1")
    version = pair.put("k", bucket="faraway")
    pair.replication_role("faraway", name="faraway")
    pair.job_role("faraway", name="batch-faraway")
    pair.replicate(source="faraway", role="faraway")
    job = pair.run_job(Manifest=pair.manifest([("faraway", "k", version)]),
                       RoleArn=pair.role_arn("batch-faraway"))
    assert pair.row(job).code == "SrcBucketInvalidRegion"


# Supplied as an inventory report.

def test_an_inventory_report_may_have_several_files(pair):
    versions = {(key, pair.put(key)) for key in ("a", "b", "c")}
    pair.replicate()
    files = [csv_of([(SOURCE, *each)]).encode() for each in sorted(versions)]
    job = pair.run_job(Manifest=pair.inventory(files))
    assert tasks(pair, job) == versions
    assert pair.versions() == versions


def test_an_inventory_report_may_be_compressed(pair):
    """S3 User Guide, "Locating your inventory list": CSV files are compressed with GZIP."""
    versions = {(key, pair.put(key)) for key in ("a", "b")}
    pair.replicate()
    files = [gzip.compress(csv_of([(SOURCE, *each)]).encode()) for each in sorted(versions)]
    job = pair.run_job(Manifest=pair.inventory(files, suffix="csv.gz"))
    assert tasks(pair, job) == versions


def test_an_inventory_report_has_its_schema_in_itself(pair):
    version = pair.put("a b")
    pair.replicate()
    schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size"
    row = f'"{SOURCE}","a%20b","{version}","true","false","1"\n'
    job = pair.run_job(Manifest=pair.inventory([row.encode()], schema))
    assert pair.row(job).status == "succeeded"
    assert pair.versions() == {("a b", version)}


@pytest.mark.parametrize("text, key", [("a+b", "a b"), ("a%2Bb", "a+b")])
def test_the_keys_of_an_inventory_report_are_encoded_as_a_form(pair, text, key):
    """S3 User Guide, "Amazon S3 Inventory list": the key name is URL-encoded and must be decoded.
    What S3 writes for a space is a plus."""
    version = pair.put(key)
    pair.replicate()
    job = pair.run_job(Manifest=pair.inventory([csv_of([(SOURCE, text, version)]).encode()]))
    row = pair.row(job)
    assert (row.key, row.status) == (text, "succeeded")
    assert pair.versions() == {(key, version)}


@pytest.mark.parametrize("form", ["ORC", "Parquet"])
def test_an_inventory_report_in_another_format_fails_the_job(pair, form):
    """S3 User Guide, "Specifying a manifest": inventory reports have to be in CSV."""
    version = pair.put("k")
    pair.replicate()
    files = [csv_of([(SOURCE, "k", version)]).encode()]
    job = pair.run_job(Manifest=pair.inventory(files, form=form))
    assert job["Status"] == "Failed"
    assert [each["FailureCode"] for each in job["FailureReasons"]] == ["InvalidManifestContent"]
    assert pair.status_of("k") is None


def test_an_inventory_report_may_lie_under_a_kms_key(pair):
    """S3 User Guide, "Creating an S3 Batch Operations job": unlike a CSV manifest."""
    key = pair.key()
    pair.permit("batch", allow(["kms:Decrypt", "kms:GenerateDataKey"], key), name="key")
    pair.encrypt_by_default(REPORTS, key)
    version = pair.put("k")
    pair.replicate()
    manifest = pair.inventory([csv_of([(SOURCE, "k", version)]).encode()])
    assert pair.head("inventory/manifest.json", REPORTS)["ServerSideEncryption"] == "aws:kms"
    assert pair.row(pair.run_job(Manifest=manifest)).status == "succeeded"


def test_an_inventory_report_under_a_kms_key_needs_the_use_of_the_key(pair):
    """S3 User Guide, "Granting permissions for S3 Batch Operations"."""
    key = pair.key()
    version = pair.put("k")
    pair.replicate()
    pair.encrypt_by_default(REPORTS, key)
    manifest = pair.inventory([csv_of([(SOURCE, "k", version)]).encode()])
    job = pair.run_job(Manifest=manifest)
    assert job["Status"] == "Failed" and job["FailureReasons"]


def test_the_cli_feeds_a_kept_manifest_to_a_later_job(pair):
    version = pair.put("k")
    pair.replicate()
    common = ("s3control", "create-job", "--account-id", pair.account, "--operation",
              {"S3ReplicateObject": {}}, "--report", pair.report(), "--priority", "1",
              "--role-arn", pair.role_arn("batch"), "--no-confirmation-required")
    first = pair.cli_ok(*common, "--manifest-generator", generator(output=manifest_output()))
    location = pair.finish(first["JobId"])["GeneratedManifestDescriptor"]["Location"]
    second = pair.cli_ok(*common, "--manifest", {"Spec": {"Format": INVENTORY_FORMAT},
                                                 "Location": location})
    assert tasks(pair, pair.finish(second["JobId"])) == {("k", version)}
