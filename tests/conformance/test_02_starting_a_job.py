"""How a job is started, and what CreateJob says at once (S3 API Reference, "CreateJob")."""

import re

import pytest
from botocore.exceptions import ClientError

from cloud import (CSV_FORMAT, DESTINATION, GENERATED_FORMAT, INVENTORY_FORMAT, OTHER_ACCOUNT,
                   REPORTS, SOURCE, arn, generator, manifest_output, refusal, rule)


def test_a_job_follows_a_first_rule(pair):
    pair.put("a")
    pair.put("b")
    pair.replicate()
    job = pair.run_job(ManifestGenerator=generator("NONE"))
    assert job["ProgressSummary"]["TotalNumberOfTasks"] == 2
    assert pair.keys() == {"a", "b"}


def test_a_job_fills_a_destination_that_an_old_configuration_gained(pair):
    pair.bucket("second")
    pair.replication_role(SOURCE, DESTINATION, "second", name="wider")
    pair.replicate(role="wider")
    before = {("a", pair.put("a")), ("b", pair.put("b"))}
    pair.settle()
    pair.replicate(rule(), rule("second", id="second", priority=2), role="wider")
    pair.put("c")
    pair.settle()
    assert pair.keys("second") == {"c"}
    pair.run_job(ManifestGenerator=generator("COMPLETED"))
    assert before <= pair.versions("second")


def test_a_job_serves_a_configuration_as_it_is(pair):
    pair.put("never")
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject", arn(DESTINATION, "failed"))
    pair.put("failed")
    pair.put("done")
    pair.settle()
    pair.forgive("replication")
    job = pair.run_job(ManifestGenerator=generator("NONE", "FAILED"))
    assert {row.key for row in pair.rows(job)} == {"never", "failed"}
    assert pair.keys() == {"never", "failed", "done"}


def test_a_job_runs_every_rule_of_the_configuration(pair):
    """S3 User Guide, "Troubleshooting replication": an old broken rule fails the tasks of a job
    that was started for a new one."""
    pair.bucket("broken")
    pair.replicate(rule(), rule("broken", id="broken", priority=2))
    pair.put("k")
    pair.settle()
    job = pair.run_job()
    assert pair.row(job).status == "failed"
    assert pair.status_of("k") == "FAILED"
    assert pair.keys() == {"k"}


def test_a_configuration_that_changes_before_the_job_runs_changes_the_job(pair):
    pair.put("k")
    pair.replicate(rule(prefix="other/"))
    job_id = pair.create_job(ConfirmationRequired=True, Manifest=pair.manifest(
        [(SOURCE, "k", pair.head("k")["VersionId"])]))
    pair.wait_for(job_id, "Suspended")
    pair.replicate()
    pair.ask(job_id, "Ready")
    assert pair.row(pair.finish(job_id)).status == "succeeded"


def test_a_job_is_described_with_every_parameter_of_its_manifest(pair):
    version = pair.put("k")
    manifest = pair.manifest([(SOURCE, "k", version)])
    written = pair.head("manifest.csv", REPORTS)
    manifest["Location"]["ObjectVersionId"] = written["VersionId"]
    pair.replicate()
    request = pair.job_request(
        Manifest=manifest, Description="repair", Priority=7, ConfirmationRequired=True,
        Report=pair.report(ReportScope="FailedTasksOnly", ExpectedBucketOwner=pair.account))
    job = pair.job(pair.s3control.create_job(**request)["JobId"])
    for member in ("Manifest", "Description", "Priority", "RoleArn", "ConfirmationRequired",
                   "Report", "Operation"):
        assert job[member] == request[member], member
    assert job["Status"] == "New"
    assert job["CreationTime"].timestamp() * 1_000 == pytest.approx(pair.now_ms(), abs=60_000)


def test_a_job_is_described_with_every_parameter_of_its_generator(pair):
    pair.replicate()
    made = generator(
        "NONE", "FAILED", output=manifest_output(ExpectedManifestBucketOwner=pair.account),
        CreatedAfter="2020-01-01T00:00:00Z", CreatedBefore="2120-01-01T00:00:00Z",
        KeyNameConstraint={"MatchAnyPrefix": ["a"], "MatchAnySuffix": ["b"],
                           "MatchAnySubstring": ["c"]},
        ObjectSizeGreaterThanBytes=1, ObjectSizeLessThanBytes=2,
        MatchAnyStorageClass=["STANDARD", "GLACIER_IR"])
    made["S3JobManifestGenerator"]["ExpectedBucketOwner"] = pair.account
    job = pair.job(pair.create_job(ManifestGenerator=made))
    told = job["ManifestGenerator"]["S3JobManifestGenerator"]
    asked = made["S3JobManifestGenerator"]
    for member in ("CreatedAfter", "CreatedBefore"):
        assert told["Filter"].pop(member).isoformat()[:10] == asked["Filter"].pop(member)[:10]
    assert told == asked
    assert "Manifest" not in job


def test_a_job_has_an_id_and_an_arn(pair):
    pair.replicate()
    job_id = pair.create_job()
    assert re.fullmatch(r"[a-zA-Z0-9\-_]{5,36}", job_id)
    expected = f"arn:aws:s3:{pair.region}:{pair.account}:job/{job_id}"
    assert pair.job(job_id)["JobArn"] == expected


def test_a_job_without_a_word_on_confirmation_waits_for_it(pair):
    pair.put("k")
    pair.replicate()
    job_id = pair.create_job(ConfirmationRequired=None)
    pair.settle()
    assert pair.state(job_id) == "Suspended"


def test_a_job_may_do_without_a_report(pair):
    pair.put("k")
    pair.replicate()
    job = pair.run_job(Report={"Enabled": False})
    assert job["Status"] == "Complete"
    assert pair.keys(REPORTS) == set()


# What is wrong in itself is refused at once, with the one error that the model of CreateJob has for
# it. Each case changes one member of a request that is right.
WRONG = {
    "no operation": {"Operation": None},
    "an empty operation": {"Operation": {}},
    "no report": {"Report": None},
    "no priority": {"Priority": None},
    "a negative priority": {"Priority": -1},
    "a priority of 2^31": {"Priority": 2_147_483_648},
    "no role": {"RoleArn": None},
    "a role that is no ARN": {"RoleArn": "batch"},
    "the ARN of a user": {"RoleArn": "arn:aws:iam::111122223333:user/batch"},
    "an account of 11 digits": {"RoleArn": "arn:aws:iam::11112222333:role/batch"},
    "a token of 65 characters": {"ClientRequestToken": "t" * 65},
    "an empty token": {"ClientRequestToken": ""},
    "a description of 257 characters": {"Description": "d" * 257},
    "an empty description": {"Description": ""},
    "51 tags": {"Tags": [{"Key": f"k{at}", "Value": "v"} for at in range(51)]},
    "a role of 2049 characters": {
        "RoleArn": "arn:aws:iam::111122223333:role/" + "r" * 2_018},
    "an owner of the report bucket that is no account": {
        "Report": {"Enabled": False, "ExpectedBucketOwner": "somebody"}},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_create_job_refuses_a_wrong_member(pair, changes):
    pair.replicate()
    request = pair.job_request(**changes)
    assert refusal(pair.s3control.create_job, **request).code == "BadRequestException"
    assert pair.s3control.list_jobs(AccountId=pair.account).get("Jobs", []) == []


WRONG_REPORTS = {
    "no bucket": {"Bucket": None},
    "a bucket's name": {"Bucket": "reports"},
    "the ARN of an object": {"Bucket": "arn:aws:s3:::reports/folder"},
    "no format": {"Format": None},
    "an unknown format": {"Format": "Report_CSV"},
    "no scope": {"ReportScope": None},
    "an unknown scope": {"ReportScope": "Everything"},
    "an empty prefix": {"Prefix": ""},
    "a prefix of 513 characters": {"Prefix": "p" * 513},
    "the ARN of a bucket with a name of 2 characters": {"Bucket": arn("ab")},
    "the ARN of a bucket with a space in its name": {"Bucket": arn("re ports")},
    "an expected owner of 11 digits": {"ExpectedBucketOwner": "11112222333"},
    "no word on whether it is enabled": {"Enabled": None},
}


@pytest.mark.parametrize("changes", WRONG_REPORTS.values(), ids=WRONG_REPORTS.keys())
def test_create_job_refuses_a_wrong_report(pair, changes):
    pair.replicate()
    request = pair.job_request(Report=pair.report(**changes))
    assert refusal(pair.s3control.create_job, **request).code == "BadRequestException"


def csv_spec(*fields):
    return {"Format": CSV_FORMAT, "Fields": list(fields)}


LOCATION = {"ObjectArn": arn(REPORTS, "manifest.csv"), "ETag": "0" * 32}
WRONG_MANIFESTS = {
    "an unknown format": {"Spec": {"Format": "CSV"}, "Location": LOCATION},
    "an unknown field": {"Spec": csv_spec("Bucket", "Key", "Size"), "Location": LOCATION},
    "fields beside an inventory report": {
        "Spec": {"Format": INVENTORY_FORMAT, "Fields": ["Bucket", "Key"]}, "Location": LOCATION},
    "no spec": {"Location": LOCATION},
    "no location": {"Spec": csv_spec("Bucket", "Key")},
    "a location that is a bucket": {
        "Spec": csv_spec("Bucket", "Key"), "Location": {**LOCATION, "ObjectArn": arn(REPORTS)}},
    "a location without an ETag": {
        "Spec": csv_spec("Bucket", "Key"), "Location": {"ObjectArn": LOCATION["ObjectArn"]}},
    "an ETag of 1025 characters": {
        "Spec": csv_spec("Bucket", "Key"), "Location": {**LOCATION, "ETag": "e" * 1_025}},
    "a field twice": {"Spec": csv_spec("Bucket", "Key", "Key"), "Location": LOCATION},
}


@pytest.mark.parametrize("manifest", WRONG_MANIFESTS.values(), ids=WRONG_MANIFESTS.keys())
def test_create_job_refuses_a_wrong_manifest(pair, manifest):
    pair.replicate()
    request = pair.job_request(Manifest=manifest)
    assert refusal(pair.s3control.create_job, **request).code == "BadRequestException"


def wrong_generator(*statuses, source=arn(SOURCE), keep=False, output=None, **members):
    made = generator(*statuses, output=output, **members)["S3JobManifestGenerator"]
    changed = {"SourceBucket": source, "EnableManifestOutput": keep}
    made |= {name: value for name, value in changed.items() if value is not None}
    for name, value in changed.items():
        if value is None:
            del made[name]
    return {"S3JobManifestGenerator": made}


WRONG_GENERATORS = {
    "a bucket's name": wrong_generator(source="source"),
    "no source bucket": wrong_generator(source=None),
    "no word on whether it is kept": wrong_generator(keep=None),
    "nowhere to keep it": wrong_generator(keep=True),
    "the status PENDING": wrong_generator("PENDING"),
    "two prefixes": wrong_generator(KeyNameConstraint={"MatchAnyPrefix": ["a", "b"]}),
    "two suffixes": wrong_generator(KeyNameConstraint={"MatchAnySuffix": ["a", "b"]}),
    "two substrings": wrong_generator(KeyNameConstraint={"MatchAnySubstring": ["a", "b"]}),
    "an unknown storage class": wrong_generator(MatchAnyStorageClass=["COLD"]),
    "two encryptions": wrong_generator(MatchAnyObjectEncryption=[{"SSES3": {}}, {"SSEC": {}}]),
    "an unknown format": wrong_generator(
        keep=True, output=manifest_output(ManifestFormat=INVENTORY_FORMAT)),
    "a manifest bucket's name": wrong_generator(keep=True, output=manifest_output(Bucket="b")),
    "an empty manifest prefix": wrong_generator(
        keep=True, output=manifest_output(ManifestPrefix="")),
    "an empty prefix": wrong_generator(KeyNameConstraint={"MatchAnyPrefix": [""]}),
    "an empty suffix": wrong_generator(KeyNameConstraint={"MatchAnySuffix": [""]}),
    "a substring of 1025 characters": wrong_generator(
        KeyNameConstraint={"MatchAnySubstring": ["k" * 1_025]}),
    "no encryption in a list of them": wrong_generator(MatchAnyObjectEncryption=[]),
    "an alias of a key": wrong_generator(MatchAnyObjectEncryption=[
        {"SSEKMS": {"KmsKeyArn": "arn:aws:kms:us-east-1:111122223333:alias/key"}}]),
    "an owner of the source that is no account": {"S3JobManifestGenerator": {
        **wrong_generator()["S3JobManifestGenerator"], "ExpectedBucketOwner": "somebody"}},
    "an owner of the manifest bucket that is no account": wrong_generator(
        keep=True, output=manifest_output(ExpectedManifestBucketOwner="1111-2222-3333")),
}


@pytest.mark.parametrize("made", WRONG_GENERATORS.values(), ids=WRONG_GENERATORS.keys())
def test_create_job_refuses_a_wrong_generator(pair, made):
    pair.replicate()
    request = pair.job_request(ManifestGenerator=made)
    assert refusal(pair.s3control.create_job, **request).code == "BadRequestException"


def tag(key, value="v"):
    return {"Key": key, "Value": value}


WRONG_TAGS = {
    "an empty key": [tag("")],
    "a key of 129 characters": [tag("k" * 129)],
    "a value of 257 characters": [tag("k", "v" * 257)],
    "a key of AWS": [tag("aws:key")],
    "a key twice": [tag("k", "1"), tag("k", "2")],
    "a key with a character that it may not have": [tag("<k>")],
    "a value with a character that it may not have": [tag("k", "v;")],
}
wrong_tags = pytest.mark.parametrize("tags", WRONG_TAGS.values(), ids=WRONG_TAGS.keys())


@wrong_tags
def test_create_job_refuses_a_wrong_tag(pair, tags):
    """S3 API Reference, "S3Tag"; S3 User Guide, "Controlling access and labeling jobs using
    tags"."""
    pair.replicate()
    request = pair.job_request(Tags=tags)
    assert refusal(pair.s3control.create_job, **request).code == "BadRequestException"
    assert pair.states() == {}


@wrong_tags
def test_a_wrong_tag_leaves_a_job_with_those_that_it_has(pair, tags):
    pair.replicate()
    names = {"AccountId": pair.account, "JobId": pair.create_job(Tags=[tag("app")])}
    refused = refusal(pair.s3control.put_job_tagging, **names, Tags=tags)
    assert refused.status == 400
    assert pair.s3control.get_job_tagging(**names)["Tags"] == [tag("app")]


def test_create_job_refuses_a_manifest_beside_a_generator(pair):
    pair.replicate()
    manifest = pair.manifest([(SOURCE, "k", "null")])
    request = pair.job_request(Manifest=manifest, ManifestGenerator=generator())
    assert refusal(pair.s3control.create_job, **request).code == "BadRequestException"


def test_create_job_refuses_a_request_with_neither_of_them(pair):
    pair.replicate()
    request = pair.job_request(Manifest=None, ManifestGenerator=None)
    assert refusal(pair.s3control.create_job, **request).code == "BadRequestException"


@pytest.mark.parametrize("changes", [
    {"ClientRequestToken": "t" * 64}, {"Priority": 0}, {"Priority": 2_147_483_647},
    {"Description": "d" * 256}, {"Tags": [{"Key": f"k{at}", "Value": ""} for at in range(50)]},
], ids=lambda changes: next(iter(changes)))
def test_create_job_takes_what_is_just_within_the_limits(pair, changes):
    pair.replicate()
    assert pair.state(pair.create_job(**changes)) == "New"


def test_a_description_may_have_several_lines(pair):
    pair.replicate()
    job_id = pair.create_job(Description="one\ntwo")
    assert pair.job(job_id)["Description"] == "one\ntwo"
    listed, = pair.s3control.list_jobs(AccountId=pair.account)["Jobs"]
    assert listed["Description"] == "one\ntwo"


def test_the_same_request_under_the_same_token_is_the_same_job(pair):
    pair.put("k")
    pair.replicate()
    request = pair.job_request(ClientRequestToken="once")
    first = pair.s3control.create_job(**request)["JobId"]
    assert pair.s3control.create_job(**request)["JobId"] == first
    pair.finish(first)
    assert pair.s3control.create_job(**request)["JobId"] == first
    assert len(pair.s3control.list_jobs(AccountId=pair.account)["Jobs"]) == 1


@pytest.mark.parametrize("changes", [
    {"Priority": 11}, {"Description": "another"}, {"ManifestGenerator": generator("FAILED")},
    {"ConfirmationRequired": True}, {"Report": {"Enabled": False}},
], ids=lambda changes: next(iter(changes)))
def test_another_request_under_the_same_token_is_refused(pair, changes):
    pair.replicate()
    request = pair.job_request(ClientRequestToken="once")
    pair.s3control.create_job(**request)
    refused = refusal(pair.s3control.create_job, **{**request, **changes})
    assert refused.code == "IdempotencyException"


def test_the_same_request_under_another_token_is_another_job(pair):
    pair.replicate()
    assert pair.create_job() != pair.create_job()


def test_a_request_for_another_account_is_refused(pair):
    pair.replicate()
    request = pair.job_request(AccountId=OTHER_ACCOUNT)
    assert refusal(pair.s3control.create_job, **request).code == "AccessDenied"


def test_a_request_with_a_wrong_signature_is_refused(pair):
    stranger = pair.client("s3control", secret="wrong")
    refused = refusal(stranger.create_job, **pair.job_request())
    assert (refused.code, refused.status) == ("SignatureDoesNotMatch", 403)


def test_a_job_has_the_tags_that_it_was_created_with(pair):
    pair.replicate()
    tags = [{"Key": "app", "Value": "healer"}, {"Key": "team", "Value": "storage"}]
    job_id = pair.create_job(Tags=tags)
    told = pair.s3control.get_job_tagging(AccountId=pair.account, JobId=job_id)
    assert told["Tags"] == tags


def test_the_tags_of_a_job_are_replaced_and_deleted(pair):
    pair.replicate()
    job_id = pair.create_job(Tags=[{"Key": "app", "Value": "healer"}])
    names = {"AccountId": pair.account, "JobId": job_id}
    pair.s3control.put_job_tagging(**names, Tags=[{"Key": "run", "Value": "1"}])
    assert pair.s3control.get_job_tagging(**names)["Tags"] == [{"Key": "run", "Value": "1"}]
    pair.s3control.delete_job_tagging(**names)
    assert pair.s3control.get_job_tagging(**names).get("Tags", []) == []


def test_a_job_has_at_most_50_tags(pair):
    pair.replicate()
    tags = [{"Key": f"k{at}", "Value": "v"} for at in range(51)]
    refused = refusal(pair.s3control.put_job_tagging, AccountId=pair.account,
                      JobId=pair.create_job(), Tags=tags)
    assert refused.code == "TooManyTagsException"


def test_jobs_are_listed_page_by_page(pair):
    pair.replicate()
    made = {pair.create_job(Description=f"job {at}") for at in range(5)}
    pages, token = [], {}
    while True:
        page = pair.s3control.list_jobs(AccountId=pair.account, MaxResults=2, **token)
        pages.append([job["JobId"] for job in page["Jobs"]])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {job_id for page in pages for job_id in page} == made


def pages(pair, between, **members):
    """The ids on the pages of two jobs each; `between` is called after the first of them."""
    ids, token = [], {}
    while True:
        page = pair.s3control.list_jobs(AccountId=pair.account, MaxResults=2, **members, **token)
        ids += [job["JobId"] for job in page["Jobs"]]
        if "NextToken" not in page:
            return ids
        if not token:
            between(list(ids))
        token = {"NextToken": page["NextToken"]}


def test_a_job_that_is_created_between_two_pages_doubles_none(pair):
    pair.replicate()
    made = {pair.create_job() for _ in range(5)}
    told = pages(pair, lambda _: [pair.create_job() for _ in range(3)])
    assert len(told) == len(set(told))
    assert made <= set(told)


def test_a_job_that_is_cancelled_between_two_pages_hides_none(pair):
    pair.replicate()
    made = {pair.create_job() for _ in range(5)}

    def cancel(job_ids):
        for job_id in job_ids:
            pair.ask(job_id, "Cancelled")

    told = pages(pair, cancel, JobStatuses=["New"])
    assert len(told) == len(set(told))
    assert set(told) == made


@pytest.mark.parametrize("number", [0, 1_001])
def test_a_page_has_1_to_1000_jobs(pair, number):
    """S3 API Reference, "ListJobs"."""
    refused = refusal(pair.s3control.list_jobs, AccountId=pair.account, MaxResults=number)
    assert (refused.code, refused.status) == ("InvalidRequestException", 400)


def test_jobs_are_listed_by_their_state(pair):
    pair.put("k")
    pair.replicate()
    done = pair.run_job()["JobId"]
    new = pair.create_job()

    def listed(*states):
        page = pair.s3control.list_jobs(AccountId=pair.account, JobStatuses=list(states))
        return {job["JobId"] for job in page.get("Jobs", [])}

    assert listed("Complete") == {done}
    assert listed("New") == {new}
    assert listed("New", "Complete") == {done, new}
    assert listed("Failed") == set()


def test_the_list_of_jobs_does_not_say_why_one_failed(pair):
    """S3 API Reference, "JobListDescriptor": neither failure reasons nor the report."""
    job = pair.run_job()
    assert job["Status"] == "Failed" and job["FailureReasons"]
    listed, = pair.s3control.list_jobs(AccountId=pair.account)["Jobs"]
    assert listed["Operation"] == "S3ReplicateObject"
    assert {"JobId", "Status", "Priority", "CreationTime", "TerminationDate",
            "ProgressSummary"} <= listed.keys()
    assert not {"FailureReasons", "Report", "RoleArn"} & listed.keys()


def test_a_token_that_is_none_of_a_page_is_refused(pair):
    refused = refusal(pair.s3control.list_jobs, AccountId=pair.account, NextToken="nonsense")
    assert refused.code == "InvalidNextTokenException"


@pytest.mark.parametrize("call", ["describe_job", "update_job_status", "update_job_priority",
                                  "get_job_tagging"])
def test_a_job_that_is_not_there_is_not_found(pair, call):
    members = {"update_job_status": {"RequestedJobStatus": "Cancelled"},
               "update_job_priority": {"Priority": 1}}.get(call, {})
    refused = refusal(getattr(pair.s3control, call), AccountId=pair.account,
                      JobId="00000000-0000-0000-0000-000000000000", **members)
    assert refused.status == 404
    assert refused.code in ("NotFoundException", "NoSuchJob", "NoSuchJobException")


@pytest.mark.parametrize("call, members", [
    ("describe_job", {"JobId": "00000000-0000-0000-0000-000000000000"}), ("create_job", {}),
])
def test_an_error_tells_the_id_of_its_request(pair, call, members):
    """S3 API Reference, "REST error responses"."""
    with pytest.raises(ClientError) as raised:
        getattr(pair.s3control, call)(AccountId=pair.account, **members)
    assert raised.value.response["ResponseMetadata"]["RequestId"]


def test_the_cli_creates_a_job_over_a_manifest_of_ones_own(pair):
    version = pair.put("k")
    pair.replicate()
    manifest = pair.manifest([(SOURCE, "k", version)])
    made = pair.cli_ok(
        "s3control", "create-job", "--account-id", pair.account, "--operation",
        {"S3ReplicateObject": {}}, "--manifest", manifest, "--report", pair.report(),
        "--priority", "1", "--role-arn", pair.role_arn("batch"), "--no-confirmation-required",
        "--description", "by hand", "--tags", '[{"Key": "app", "Value": "healer"}]')
    job = pair.finish(made["JobId"])
    assert (job["Status"], job["Description"]) == ("Complete", "by hand")
    assert pair.row(job).status == "succeeded"
    tags = pair.cli_ok("s3control", "get-job-tagging", "--account-id", pair.account,
                       "--job-id", made["JobId"])
    assert tags["Tags"] == [{"Key": "app", "Value": "healer"}]


def test_the_cli_is_told_why_a_job_was_not_created(pair):
    answer = pair.cli(
        "s3control", "create-job", "--account-id", pair.account, "--operation",
        {"S3ReplicateObject": {}}, "--manifest-generator", generator("PENDING"), "--report",
        pair.report(), "--priority", "1", "--role-arn", pair.role_arn("batch"))
    assert answer.code != 0
    assert "BadRequestException" in answer.error


def test_a_job_names_the_format_of_the_manifest_that_it_keeps(pair):
    pair.put("k")
    pair.replicate()
    job = pair.run_job(ManifestGenerator=generator(output=manifest_output()))
    assert job["GeneratedManifestDescriptor"]["Format"] == GENERATED_FORMAT
