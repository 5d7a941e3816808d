"""Who may do what: the policies of the roles and of the buckets, and the calls of IAM, KMS and STS
that a set-up script needs (S3 User Guide, "Setting up permissions for live replication" and
"Configuring an IAM role for S3 Batch Replication"; IAM User Guide, "Policy evaluation logic")."""

import json

import pytest

from cloud import (BATCH_SERVICE, DESTINATION, OTHER_ACCOUNT, REPLICATION_SERVICE, REPORTS, SOURCE,
                   allow, arn, csv_of, deny, encrypted_rule, policy, refusal, rule, trust)

READ = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionTagging"]
WRITE = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]


def outcome(pair, url, key="k", **members):
    """Replicates one object: its status, and the reasons in the events."""
    pair.put(key, **members)
    pair.settle()
    return pair.status_of(key), pair.reasons(url)


# The replication role.

def test_the_documented_role_suffices(pair):
    url = pair.listen()
    pair.replicate(rule(markers=True))
    assert outcome(pair, url, Tagging="a=1") == ("COMPLETED", [])
    marker = pair.delete("k")
    pair.settle()
    assert pair.markers() == {("k", marker)} and pair.reasons(url) == []


@pytest.mark.parametrize("left_out, code", [
    ("s3:GetObjectVersionForReplication", "SrcGetObjectNotPermitted"),
    ("s3:GetObjectVersionAcl", "SrcGetAclNotPermitted"),
    ("s3:ReplicateObject", "DstPutObjectNotPermitted"),
])
def test_what_a_role_was_never_allowed_it_may_not_do(pair, left_out, code):
    url = pair.listen()
    pair.role("lacking", REPLICATION_SERVICE,
              allow([each for each in READ if each != left_out], arn(SOURCE, "*")),
              allow([each for each in WRITE if each != left_out], arn(DESTINATION, "*")))
    pair.replicate(role="lacking")
    assert outcome(pair, url) == ("FAILED", [code])


def test_a_denial_wins_over_whatever_allows(pair):
    url = pair.listen()
    pair.permit("replication", allow("*", "*"), name="everything")
    pair.forbid("replication", "s3:ReplicateObject", arn(DESTINATION, "*"))
    pair.replicate()
    assert outcome(pair, url) == ("FAILED", ["DstPutObjectNotPermitted"])


def test_a_denial_is_about_the_resources_that_it_names(pair):
    url = pair.listen()
    pair.forbid("replication", "s3:ReplicateObject", arn(DESTINATION, "secret/*"))
    pair.replicate()
    assert outcome(pair, url, "secret/k") == ("FAILED", ["DstPutObjectNotPermitted"])
    assert outcome(pair, url, "open/k") == ("COMPLETED", [])


@pytest.mark.parametrize("actions, resources", [
    ("s3:*", "*"), (["s3:Get*", "s3:Replicate*"], "arn:aws:s3:::*"),
    ("S3:*", ["arn:aws:s3:::sourc?/*", "arn:aws:s3:::dest*/*"]),
], ids=["all of s3", "by the beginning", "with a question mark"])
def test_the_wildcards_of_a_policy_are_understood(pair, actions, resources):
    url = pair.listen()
    pair.role("wide", REPLICATION_SERVICE, allow(actions, resources))
    pair.replicate(role="wide")
    assert outcome(pair, url) == ("COMPLETED", [])


def test_not_action_and_not_resource_are_understood(pair):
    url = pair.listen()
    pair.role("inverse", REPLICATION_SERVICE,
              {"Effect": "Allow", "NotAction": "s3:Delete*", "Resource": "*"},
              {"Effect": "Deny", "Action": "s3:ReplicateObject",
               "NotResource": arn(DESTINATION, "open/*")})
    pair.replicate(role="inverse")
    assert outcome(pair, url, "open/k") == ("COMPLETED", [])
    assert outcome(pair, url, "k") == ("FAILED", ["DstPutObjectNotPermitted"])


def test_a_role_is_judged_when_an_object_is_replicated_and_not_before(pair):
    pair.settings(replication_delay_ms=60_000)
    url = pair.listen()
    pair.forbid("replication", "s3:ReplicateObject")
    pair.replicate()
    pair.put("k")
    pair.forgive("replication")
    pair.settle()
    assert (pair.status_of("k"), pair.reasons(url)) == ("COMPLETED", [])


# KMS.

@pytest.mark.parametrize("side, statement, code", [
    ("source", deny("kms:Decrypt"), "SrcGetObjectNotPermitted"),
    ("replica", deny("kms:GenerateDataKey"), "DstPutObjectNotPermitted"),
    ("replica", deny("kms:Encrypt"), "DstPutObjectNotPermitted"),
])
def test_the_policy_of_a_key_can_deny_its_use(pair, side, statement, code):
    url = pair.listen()
    owner = allow("kms:*", "*")
    owner["Principal"] = {"AWS": f"arn:aws:iam::{pair.account}:root"}
    statement = {**statement, "Principal": {"AWS": pair.role_arn("replication")}}
    keys = {name: pair.key(**({"Policy": policy(owner, statement)} if name == side else {}))
            for name in ("source", "replica")}
    pair.replicate(encrypted_rule(keys["replica"]))
    told = outcome(pair, url, ServerSideEncryption="aws:kms", SSEKMSKeyId=keys["source"])
    assert told == ("FAILED", [code])


def test_the_policy_of_a_key_has_to_let_the_account_decide(pair):
    """AWS KMS Developer Guide, "Key policies": policies of the account count for nothing without
    it."""
    url = pair.listen()
    stranger = allow("kms:*", "*")
    stranger["Principal"] = {"AWS": pair.role_arn("somebody")}
    source, replica = pair.key(), pair.key(Policy=policy(stranger))
    pair.replicate(encrypted_rule(replica))
    told = outcome(pair, url, ServerSideEncryption="aws:kms", SSEKMSKeyId=source)
    assert told == ("FAILED", ["DstPutObjectNotPermitted"])


@pytest.mark.parametrize("region, expected", [
    ("eu-west-1", "COMPLETED"), ("us-east-1", "FAILED"),
])
def test_a_key_of_replicas_is_used_via_s3_of_their_region(pair, region, expected):
    """S3 User Guide, "Replicating encrypted objects": kms:ViaService names the Region of the
    destination bucket for the key of the replicas."""
    pair.bucket("faraway", region="eu-west-1")
    source, replica = pair.key(), pair.key()
    pair.role("careful", REPLICATION_SERVICE, allow(READ, arn(SOURCE, "*")),
              allow(WRITE, arn("faraway", "*")), allow("kms:Decrypt", source),
              dict(allow("kms:Encrypt", replica), Condition={
                  "StringLike": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}))
    pair.replicate(encrypted_rule(replica, "faraway"), role="careful")
    told = outcome(pair, pair.listen(), ServerSideEncryption="aws:kms", SSEKMSKeyId=source)
    assert told[0] == expected


def test_to_encrypt_under_the_key_of_the_replicas_suffices(pair):
    """S3 User Guide, "Replicating encrypted objects": the policy asks for kms:Encrypt alone."""
    source, replica = pair.key(), pair.key()
    pair.role("minimal", REPLICATION_SERVICE, allow(READ, arn(SOURCE, "*")),
              allow(WRITE, arn(DESTINATION, "*")), allow("kms:Decrypt", source),
              allow("kms:Encrypt", replica))
    pair.replicate(encrypted_rule(replica), role="minimal")
    told = outcome(pair, pair.listen(), ServerSideEncryption="aws:kms", SSEKMSKeyId=source)
    assert told == ("COMPLETED", [])


def test_a_key_that_is_enabled_again_is_used_again(pair):
    url = pair.listen()
    source, replica = pair.key(), pair.key()
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": source}
    pair.replicate(encrypted_rule(replica))
    pair.kms.disable_key(KeyId=replica)
    assert outcome(pair, url, "k", **encryption) == ("FAILED", ["DstKmsKeyInvalidState"])
    pair.kms.enable_key(KeyId=replica)
    assert outcome(pair, url, "k", **encryption) == ("COMPLETED", [])


# Bucket policies.

@pytest.mark.parametrize("action, code", [
    ("s3:ReplicateObject", "DstPutObjectNotPermitted"),
    ("s3:Replicate*", "DstPutObjectNotPermitted"),
])
def test_a_destination_can_deny(pair, action, code):
    url = pair.listen()
    pair.bucket_policy(DESTINATION, {
        **deny(action, arn(DESTINATION, "*")),
        "Principal": {"AWS": pair.role_arn("replication")}})
    pair.replicate()
    assert outcome(pair, url) == ("FAILED", [code])


def test_a_source_can_deny(pair):
    url = pair.listen()
    pair.bucket_policy(SOURCE, {**deny("s3:GetObjectVersionForReplication", arn(SOURCE, "*")),
                                "Principal": {"AWS": pair.role_arn("replication")}})
    pair.replicate()
    assert outcome(pair, url) == ("FAILED", ["SrcGetObjectNotPermitted"])


def test_a_denial_of_somebody_else_is_none(pair):
    url = pair.listen()
    pair.bucket_policy(DESTINATION, {**deny("s3:*", arn(DESTINATION, "*")),
                                     "Principal": {"AWS": pair.role_arn("somebody")}})
    pair.replicate()
    assert outcome(pair, url) == ("COMPLETED", [])


def test_in_one_account_the_policy_of_the_bucket_alone_may_allow(pair):
    url = pair.listen()
    pair.role("reader", REPLICATION_SERVICE, allow(READ, arn(SOURCE, "*")))
    pair.bucket_policy(DESTINATION, {**allow(WRITE, arn(DESTINATION, "*")),
                                     "Principal": {"AWS": pair.role_arn("reader")}})
    pair.replicate(role="reader")
    assert outcome(pair, url) == ("COMPLETED", [])


@pytest.mark.parametrize("ours, theirs, expected", [
    (True, True, "COMPLETED"), (True, False, "FAILED"), (False, True, "FAILED"),
    (False, False, "FAILED"),
])
def test_across_accounts_the_role_and_the_bucket_have_to_allow(pair, ours, theirs, expected):
    """S3 User Guide, "Granting permissions when the source and destination buckets are owned by
    different AWS accounts"."""
    pair.bucket("theirs", account=OTHER_ACCOUNT)
    url = pair.listen()
    pair.role("across", REPLICATION_SERVICE, allow(READ, arn(SOURCE, "*")),
              *([allow(WRITE, arn("theirs", "*"))] if ours else []))
    if theirs:
        pair.bucket_policy("theirs", {**allow(WRITE, arn("theirs", "*")),
                                      "Principal": {"AWS": pair.role_arn("across")}},
                           account=OTHER_ACCOUNT)
    pair.replicate(rule("theirs"), role="across")
    codes = [] if expected == "COMPLETED" else ["DstPutObjectNotPermitted"]
    assert outcome(pair, url) == (expected, codes)


def test_the_bucket_of_another_account_is_its_own(pair):
    pair.bucket("theirs", account=OTHER_ACCOUNT)
    refused = refusal(pair.s3.put_object, Bucket="theirs", Key="k", Body=b"x")
    assert (refused.code, refused.status) == ("AccessDenied", 403)
    pair.put("k", bucket="theirs", s3=pair.s3_of(OTHER_ACCOUNT))


@pytest.mark.parametrize("text, code", [
    ("nonsense", "MalformedPolicy"), ("[]", "MalformedPolicy"),
    (policy({"Effect": "Allow", "Action": "s3:*", "Resource": arn(DESTINATION, "*")}),
     "MalformedPolicy"),
    (policy({"Effect": "Perhaps", "Principal": "*", "Action": "s3:*",
             "Resource": arn(DESTINATION, "*")}), "MalformedPolicy"),
], ids=["no JSON", "no object", "no principal", "an unknown effect"])
def test_a_bucket_policy_that_is_none_is_refused(pair, text, code):
    refused = refusal(pair.s3.put_bucket_policy, Bucket=DESTINATION, Policy=text)
    assert (refused.code, refused.status) == (code, 400)


def test_a_bucket_policy_is_read_as_it_was_written_and_deleted(pair):
    refused = refusal(pair.s3.get_bucket_policy, Bucket=DESTINATION)
    assert (refused.code, refused.status) == ("NoSuchBucketPolicy", 404)
    statement = {**deny("s3:*", arn(DESTINATION, "*")), "Principal": "*"}
    pair.bucket_policy(DESTINATION, statement)
    told = json.loads(pair.s3.get_bucket_policy(Bucket=DESTINATION)["Policy"])
    assert told["Statement"] == [statement]
    pair.s3.delete_bucket_policy(Bucket=DESTINATION)
    assert refusal(pair.s3.get_bucket_policy, Bucket=DESTINATION).code == "NoSuchBucketPolicy"


# The role of a job.

def one_job(pair, **changes):
    """A job over one version."""
    version = pair.put("k")
    pair.replicate()
    return pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)]), **changes)


def test_the_role_of_a_job_needs_no_access_to_the_destination(pair):
    """S3 User Guide, "Configuring an IAM role for S3 Batch Replication": the replication role does
    the copying."""
    pair.forbid("batch", ["s3:Replicate*", "s3:GetObjectVersionForReplication"])
    pair.bucket_policy(DESTINATION, {**deny("s3:*", arn(DESTINATION, "*")),
                                     "Principal": {"AWS": pair.role_arn("batch")}})
    assert pair.row(one_job(pair)).status == "succeeded"


def test_initiate_replication_is_judged_for_each_object(pair):
    versions = {key: pair.put(key) for key in ("secret/k", "open/k")}
    pair.replicate()
    pair.forbid("batch", "s3:InitiateReplication", arn(SOURCE, "secret/*"))
    rows = [(SOURCE, key, version) for key, version in versions.items()]
    job = pair.run_job(Manifest=pair.manifest(rows))
    assert {row.key: row.code for row in pair.rows(job)} == {
        "secret/k": "InitiateReplicationNotPermitted", "open/k": ""}


def test_a_source_can_deny_a_job(pair):
    pair.bucket_policy(SOURCE, {**deny("s3:InitiateReplication", arn(SOURCE, "*")),
                                "Principal": {"AWS": pair.role_arn("batch")}})
    assert pair.row(one_job(pair)).code == "InitiateReplicationNotPermitted"


@pytest.mark.parametrize("action, reason", [
    ("s3:GetObject", "Reading the manifest is forbidden: AccessDenied"),
    ("s3:PutObject", "The job report could not be written to your report bucket. "
                     "Please check your permissions"),
])
def test_a_job_fails_as_a_whole_without_its_manifest_or_its_report(pair, action, reason):
    pair.forbid("batch", action, arn(REPORTS, "*"))
    job = one_job(pair)
    assert job["Status"] == "Failed"
    assert [each["FailureReason"] for each in job["FailureReasons"]] == [reason]


def test_the_replication_role_is_no_role_for_a_job(pair):
    pair.permit("replication", allow("s3:*", "*"), name="everything")
    job = one_job(pair, RoleArn=pair.role_arn("replication"))
    assert job["Status"] == "Failed"


def test_the_role_of_a_job_is_no_replication_role(pair):
    url = pair.listen()
    pair.permit("batch", allow("s3:*", "*"), name="everything")
    pair.replicate(role="batch")
    assert outcome(pair, url) == ("FAILED", ["AssumeRoleNotPermitted"])


def test_one_role_may_serve_both(pair):
    both = json.loads(trust(REPLICATION_SERVICE))
    both["Statement"][0]["Principal"]["Service"] = [REPLICATION_SERVICE, BATCH_SERVICE]
    pair.iam.create_role(RoleName="both", AssumeRolePolicyDocument=json.dumps(both))
    pair.permit("both", allow("s3:*", "*"))
    version = pair.put("k")
    pair.replicate(role="both")
    job = pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)]),
                       RoleArn=pair.role_arn("both"))
    assert pair.row(job).status == "succeeded"


# IAM.

def test_a_role_is_made_read_changed_and_deleted(aws):
    made = aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(BATCH_SERVICE),
                               Path="/healer/", Description="text")["Role"]
    assert made["Arn"] == f"arn:aws:iam::{aws.account}:role/healer/r"
    told = aws.iam.get_role(RoleName="r")["Role"]
    assert (told["Path"], told["Description"], told["RoleId"]) == (
        "/healer/", "text", made["RoleId"])
    assert told["AssumeRolePolicyDocument"] == json.loads(trust(BATCH_SERVICE))
    aws.iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust(REPLICATION_SERVICE))
    told = aws.iam.get_role(RoleName="r")["Role"]
    assert told["AssumeRolePolicyDocument"] == json.loads(trust(REPLICATION_SERVICE))
    assert [each["RoleName"] for each in aws.iam.list_roles()["Roles"]] == ["r"]
    aws.iam.delete_role(RoleName="r")
    refused = refusal(aws.iam.get_role, RoleName="r")
    assert (refused.code, refused.status) == ("NoSuchEntity", 404)


def test_an_inline_policy_is_put_read_listed_and_deleted(aws):
    aws.role("r", BATCH_SERVICE)
    document = policy(allow("s3:GetObject", "*"))
    aws.iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
    told = aws.iam.get_role_policy(RoleName="r", PolicyName="p")
    assert told["PolicyDocument"] == json.loads(document)
    assert aws.iam.list_role_policies(RoleName="r")["PolicyNames"] == ["p"]
    assert refusal(aws.iam.delete_role, RoleName="r").code == "DeleteConflict"
    aws.iam.delete_role_policy(RoleName="r", PolicyName="p")
    assert aws.iam.list_role_policies(RoleName="r")["PolicyNames"] == []
    assert refusal(aws.iam.get_role_policy, RoleName="r", PolicyName="p").code == "NoSuchEntity"


def test_a_managed_policy_permits_while_it_is_attached(pair):
    url = pair.listen()
    pair.iam.delete_role_policy(RoleName="replication", PolicyName="policy")
    made = pair.iam.create_policy(
        PolicyName="replicate", PolicyDocument=policy(allow(READ + WRITE, "*")))["Policy"]
    assert made["Arn"] == f"arn:aws:iam::{pair.account}:policy/replicate"
    pair.replicate()
    pair.iam.attach_role_policy(RoleName="replication", PolicyArn=made["Arn"])
    assert outcome(pair, url, "one") == ("COMPLETED", [])
    assert refusal(pair.iam.delete_policy, PolicyArn=made["Arn"]).code == "DeleteConflict"
    attached = pair.iam.list_attached_role_policies(RoleName="replication")["AttachedPolicies"]
    assert attached == [{"PolicyName": "replicate", "PolicyArn": made["Arn"]}]
    pair.iam.detach_role_policy(RoleName="replication", PolicyArn=made["Arn"])
    assert outcome(pair, url, "two") == ("FAILED", ["SrcGetObjectNotPermitted"])
    pair.iam.delete_policy(PolicyArn=made["Arn"])
    assert refusal(pair.iam.get_policy, PolicyArn=made["Arn"]).code == "NoSuchEntity"


def managed(pair, *actions):
    """A managed policy of version v1 that allows these actions; returns its ARN."""
    document = policy(allow(list(actions), "*"))
    return pair.iam.create_policy(PolicyName="mine", PolicyDocument=document)["Policy"]["Arn"]


def new_version(pair, name, *actions, default=False):
    """Adds a version to a managed policy; returns its id."""
    made = pair.iam.create_policy_version(
        PolicyArn=name, PolicyDocument=policy(allow(list(actions), "*")), SetAsDefault=default)
    return made["PolicyVersion"]["VersionId"]


def test_the_default_version_of_a_policy_counts_for_every_role_that_has_it(pair):
    """IAM User Guide, "Versioning IAM policies"."""
    url = pair.listen()
    mine = managed(pair, *READ)
    for name in ("one", "two"):
        pair.role(name, REPLICATION_SERVICE)
        pair.iam.attach_role_policy(RoleName=name, PolicyArn=mine)
    second = new_version(pair, mine, *READ, *WRITE)
    for name in ("one", "two"):
        pair.replicate(role=name)
        assert outcome(pair, url) == ("FAILED", ["DstPutObjectNotPermitted"])
    pair.iam.set_default_policy_version(PolicyArn=mine, VersionId=second)
    for name in ("one", "two"):
        pair.replicate(role=name)
        assert outcome(pair, url) == ("COMPLETED", [])
    assert new_version(pair, mine, *READ, default=True) == "v3"
    assert outcome(pair, url) == ("FAILED", ["DstPutObjectNotPermitted"])


def test_a_policy_has_up_to_five_versions(aws):
    """IAM User Guide, "Versioning IAM policies"."""
    mine = managed(aws, "s3:GetObject")
    made = [new_version(aws, mine, "s3:PutObject") for _ in range(4)]
    assert made == ["v2", "v3", "v4", "v5"]
    assert refusal(new_version, aws, mine, "s3:PutObject").code == "LimitExceeded"
    refused = refusal(aws.iam.delete_policy_version, PolicyArn=mine, VersionId="v1")
    assert (refused.code, refused.status) == ("DeleteConflict", 409), "the default one"
    aws.iam.delete_policy_version(PolicyArn=mine, VersionId="v2")
    assert new_version(aws, mine, "s3:*", default=True) == "v6"
    told = aws.iam.list_policy_versions(PolicyArn=mine)["Versions"]
    assert {each["VersionId"]: each["IsDefaultVersion"] for each in told} == {
        "v1": False, "v3": False, "v4": False, "v5": False, "v6": True}
    read = aws.iam.get_policy_version(PolicyArn=mine, VersionId="v6")["PolicyVersion"]
    assert read["Document"] == json.loads(policy(allow(["s3:*"], "*")))
    assert aws.iam.get_policy(PolicyArn=mine)["Policy"]["DefaultVersionId"] == "v6"


def test_a_policy_of_aws_can_be_attached(pair):
    url = pair.listen()
    pair.iam.delete_role_policy(RoleName="replication", PolicyName="policy")
    pair.iam.attach_role_policy(RoleName="replication",
                                PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    pair.replicate()
    assert outcome(pair, url) == ("COMPLETED", [])


@pytest.mark.parametrize("call, members, code", [
    ("create_role", {"RoleName": "batch", "AssumeRolePolicyDocument": trust(BATCH_SERVICE)},
     "EntityAlreadyExists"),
    ("create_role", {"RoleName": "new", "AssumeRolePolicyDocument": "nonsense"},
     "MalformedPolicyDocument"),
    ("create_role", {"RoleName": "a b", "AssumeRolePolicyDocument": trust(BATCH_SERVICE)},
     "ValidationError"),
    ("put_role_policy", {"RoleName": "nobody", "PolicyName": "p",
                         "PolicyDocument": policy(allow("s3:*", "*"))}, "NoSuchEntity"),
    ("put_role_policy", {"RoleName": "batch", "PolicyName": "p", "PolicyDocument": "nonsense"},
     "MalformedPolicyDocument"),
    ("attach_role_policy", {"RoleName": "batch",
                            "PolicyArn": "arn:aws:iam::111122223333:policy/none"},
     "NoSuchEntity"),
    ("delete_role", {"RoleName": "nobody"}, "NoSuchEntity"),
])
def test_iam_refuses_what_is_wrong(pair, call, members, code):
    assert refusal(getattr(pair.iam, call), **members).code == code


# STS.

def test_sts_says_who_asks(aws):
    told = aws.sts.get_caller_identity()
    assert told["Account"] == aws.account
    assert told["Arn"].startswith(f"arn:aws:iam::{aws.account}:")
    other = aws.client("sts", key=OTHER_ACCOUNT).get_caller_identity()
    assert other["Account"] == OTHER_ACCOUNT


def session_of(aws, role, service, **members):
    """A client with a session of a role."""
    told = aws.sts.assume_role(RoleArn=role, RoleSessionName="test", **members)["Credentials"]
    return aws.client(service, told["AccessKeyId"], told["SecretAccessKey"],
                      told["SessionToken"])


def account_role(aws, *statements):
    """A role that the account's own callers may assume."""
    principal = {"AWS": f"arn:aws:iam::{aws.account}:root"}
    aws.iam.create_role(RoleName="healer", AssumeRolePolicyDocument=policy(
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}))
    if statements:
        aws.permit("healer", *statements)
    return aws.role_arn("healer")


def test_a_role_can_be_assumed_by_whom_it_trusts(aws):
    sts = session_of(aws, account_role(aws), "sts")
    told = sts.get_caller_identity()
    assert told["Arn"] == f"arn:aws:sts::{aws.account}:assumed-role/healer/test"


def test_a_role_for_a_service_cannot_be_assumed_by_a_caller(pair):
    refused = refusal(pair.sts.assume_role, RoleArn=pair.role_arn("batch"),
                      RoleSessionName="test")
    assert (refused.code, refused.status) == ("AccessDenied", 403)


def test_a_session_may_do_what_its_role_may(pair):
    pair.put("k", b"text")
    role = account_role(pair, allow("s3:GetObject", arn(SOURCE, "*")))
    s3 = session_of(pair, role, "s3")
    assert s3.get_object(Bucket=SOURCE, Key="k")["Body"].read() == b"text"
    for call, members in (("put_object", {"Key": "k", "Body": b"x"}),
                          ("delete_object", {"Key": "k"}), ("get_bucket_replication", {})):
        refused = refusal(getattr(s3, call), Bucket=SOURCE, **members)
        assert (refused.code, refused.status) == ("AccessDenied", 403), call


@pytest.mark.parametrize("more, status", [([], 403), (["s3:ListBucket"], 404)], ids=["may not list", "may list"])
def test_what_is_missing_is_told_only_to_who_may_list(pair, more, status):
    """S3 API Reference, "GetObject" and "HeadObject": permissions. GetObjectTagging does likewise."""
    version = pair.put("k")
    actions = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging",
               "s3:GetObjectVersionTagging", *more]
    s3 = session_of(pair, account_role(pair, allow(actions, "*")), "s3")
    assert s3.head_object(Bucket=SOURCE, Key="k", VersionId=version)["VersionId"] == version
    for call in s3.get_object, s3.head_object, s3.get_object_tagging:
        for members in {"Key": "missing"}, {"Key": "missing", "VersionId": version}:
            assert refusal(call, Bucket=SOURCE, **members).status == status, members


@pytest.mark.parametrize("actions, allowed", [
    (["s3:CreateJob", "iam:PassRole"], True), (["s3:CreateJob"], False), (["iam:PassRole"], False),
], ids=["both", "only CreateJob", "only PassRole"])
def test_a_caller_needs_create_job_and_pass_role(pair, actions, allowed):
    """S3 User Guide, "Granting permissions for S3 Batch Operations"."""
    pair.put("k")
    pair.replicate()
    s3control = session_of(pair, account_role(pair, allow(actions, "*")), "s3control")
    request = pair.job_request()
    if allowed:
        assert pair.state(s3control.create_job(**request)["JobId"]) == "New"
    else:
        assert refusal(s3control.create_job, **request).status == 403
        assert pair.states() == {}


def test_a_caller_who_tags_a_job_needs_the_permission_to_tag(pair):
    """Service Authorization Reference, "Amazon S3": s3:PutJobTagging."""
    pair.replicate()
    role = account_role(pair, allow(["s3:CreateJob", "iam:PassRole"], "*"))
    s3control = session_of(pair, role, "s3control")
    request = pair.job_request(Tags=[{"Key": "app", "Value": "healer"}])
    assert refusal(s3control.create_job, **request).status == 403
    pair.permit("healer", allow(["s3:CreateJob", "s3:PutJobTagging", "iam:PassRole"], "*"))
    assert pair.state(s3control.create_job(**request)["JobId"]) == "New"


@pytest.mark.parametrize("actions, allowed", [
    (["s3:PutReplicationConfiguration", "iam:PassRole"], True),
    (["s3:PutReplicationConfiguration"], False), (["iam:PassRole"], False),
], ids=["both", "only PutReplicationConfiguration", "only PassRole"])
def test_a_caller_needs_to_pass_the_replication_role(pair, actions, allowed):
    """S3 API Reference, "PutBucketReplication"."""
    s3 = session_of(pair, account_role(pair, allow(actions, "*")), "s3")
    members = {"Bucket": SOURCE, "ReplicationConfiguration": {
        "Role": pair.role_arn("replication"), "Rules": [rule()]}}
    if allowed:
        s3.put_bucket_replication(**members)
        assert pair.s3.get_bucket_replication(Bucket=SOURCE)["ReplicationConfiguration"]
    else:
        assert refusal(s3.put_bucket_replication, **members).status == 403
        refused = refusal(pair.s3.get_bucket_replication, Bucket=SOURCE)
        assert refused.code == "ReplicationConfigurationNotFoundError"


CALLS = {
    "sqs": ("sqs:SendMessage", "arn:aws:sqs:us-east-1:111122223333:queue",
            lambda client, aws: client.send_message(QueueUrl="http://x/queue", MessageBody="m")),
    "events": ("events:PutRule", "arn:aws:events:us-east-1:111122223333:rule/mine",
               lambda client, aws: client.put_rule(Name="mine", EventPattern='{"source": ["a"]}')),
    "kms": ("kms:DescribeKey", "arn:aws:kms:us-east-1:111122223333:key/*",
            lambda client, aws: client.describe_key(KeyId=aws.kms.create_key()["KeyMetadata"]["Arn"])),
    "iam": ("iam:GetRole", "arn:aws:iam::111122223333:role/healer",
            lambda client, aws: client.get_role(RoleName="healer")),
    "s3control": ("s3:ListJobs", "*",
                  lambda client, aws: client.list_jobs(AccountId=aws.account)),
}


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("policy, allowed", [
    (lambda action, resource: [allow(action, resource)], True),
    (lambda action, resource: [allow("*", "*")], True),
    (lambda action, resource: [allow(action, resource), deny(action, "*")], False),
    (lambda action, resource: [allow("s3:GetObject", "*")], False),
    (lambda action, resource: [allow(action, "arn:aws:s3:::another")], False),
], ids=["what it needs", "everything", "denied", "something else", "another resource"])
def test_a_session_may_call_what_its_policies_name(aws, service, policy, allowed):
    """IAM User Guide, "Policy evaluation logic"."""
    aws.sqs.create_queue(QueueName="queue")
    action, resource, call = CALLS[service]
    client = session_of(aws, account_role(aws, *policy(action, resource)), service)
    if allowed:
        assert call(client, aws)["ResponseMetadata"]["HTTPStatusCode"] == 200
    else:
        assert refusal(call, client, aws).code.startswith("AccessDenied")


# KMS.

def test_a_key_is_made_disabled_enabled_and_deleted(aws):
    key = aws.key(Description="text")

    def state():
        return aws.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]

    assert aws.kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "text"
    assert state() == "Enabled"
    aws.kms.disable_key(KeyId=key)
    assert state() == "Disabled"
    aws.kms.enable_key(KeyId=key)
    told = aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (told["KeyState"], state()) == ("PendingDeletion", "PendingDeletion")
    assert refusal(aws.kms.enable_key, KeyId=key).code == "KMSInvalidStateException"
    aws.kms.cancel_key_deletion(KeyId=key)
    assert state() == "Disabled"
    assert [each["KeyArn"] for each in aws.kms.list_keys()["Keys"]] == [key]


def test_a_key_is_found_by_its_alias(pair):
    source, replica = pair.key(), pair.key()
    pair.kms.create_alias(AliasName="alias/source", TargetKeyId=source)
    assert pair.kms.describe_key(KeyId="alias/source")["KeyMetadata"]["Arn"] == source
    told = {each["AliasName"]: each["TargetKeyId"] for each in pair.kms.list_aliases()["Aliases"]
            if not each["AliasName"].startswith("alias/aws/")}
    assert told == {"alias/source": source.split("/")[-1]}
    pair.replicate(encrypted_rule(replica))
    pair.put("k", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/source")
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    pair.kms.delete_alias(AliasName="alias/source")
    assert refusal(pair.kms.describe_key, KeyId="alias/source").code == "NotFoundException"


def test_the_policy_of_a_key_is_read_as_it_was_written(aws):
    key = aws.key()
    default = json.loads(aws.kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert default["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{aws.account}:root"}
    owner = {**allow("kms:*", "*"), "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"}}
    aws.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(owner))
    told = json.loads(aws.kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert told["Statement"] == [owner]
    refused = refusal(aws.kms.put_key_policy, KeyId=key, PolicyName="default", Policy="nonsense")
    assert refused.code == "MalformedPolicyDocumentException"


# A set-up script, call by call, with the AWS CLI.

def test_the_cli_makes_the_roles_of_the_user_guide(pair):
    """S3 User Guide, "Walkthrough: configuring replication for buckets in the same account"."""
    pair.cli_ok("iam", "create-role", "--role-name", "replicationRole",
                "--assume-role-policy-document", trust(REPLICATION_SERVICE))
    pair.cli_ok("iam", "put-role-policy", "--role-name", "replicationRole", "--policy-name",
                "replicationRolePolicy", "--policy-document",
                policy(allow(READ, arn(SOURCE, "*")), allow(WRITE, arn(DESTINATION, "*"))))
    pair.replicate(role="replicationRole")
    pair.put("k")
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    told = pair.cli_ok("iam", "get-role", "--role-name", "replicationRole")
    assert told["Role"]["Arn"] == pair.role_arn("replicationRole")


def test_the_cli_makes_a_key_and_disables_it(pair):
    key = pair.cli_ok("kms", "create-key", "--description", "replicas")["KeyMetadata"]["Arn"]
    pair.cli_ok("kms", "create-alias", "--alias-name", "alias/replicas", "--target-key-id", key)
    # DisableKey takes no alias.
    pair.cli_ok("kms", "disable-key", "--key-id", key)
    told = pair.cli_ok("kms", "describe-key", "--key-id", "alias/replicas")
    assert (told["KeyMetadata"]["Arn"], told["KeyMetadata"]["KeyState"]) == (key, "Disabled")


def test_the_cli_says_who_asks(aws):
    told = aws.cli_ok("sts", "get-caller-identity")
    assert told["Account"] == aws.account


def test_the_cli_sets_the_policy_of_a_destination(pair):
    denial = {**deny("s3:ReplicateObject", arn(DESTINATION, "*")), "Principal": "*"}
    pair.cli_ok("s3api", "put-bucket-policy", "--bucket", DESTINATION, "--policy", policy(denial))
    url = pair.listen()
    pair.replicate()
    assert outcome(pair, url) == ("FAILED", ["DstPutObjectNotPermitted"])


def test_the_cli_makes_versioned_buckets(aws):
    for name in ("first", "second"):
        aws.cli_ok("s3api", "create-bucket", "--bucket", name)
        aws.cli_ok("s3api", "put-bucket-versioning", "--bucket", name,
                   "--versioning-configuration", "Status=Enabled")
    told = aws.cli_ok("s3api", "list-buckets")
    assert [each["Name"] for each in told["Buckets"]] == ["first", "second"]


def test_a_manifest_bucket_of_another_account_has_to_allow_the_role(pair):
    """S3 User Guide, "Using a CSV manifest to copy objects across AWS accounts"."""
    pair.bucket("theirs", account=OTHER_ACCOUNT)
    pair.permit("batch", allow("s3:GetObject", arn("theirs", "*")), name="theirs")
    version = pair.put("k")
    pair.replicate()
    text = csv_of([(SOURCE, "k", version)])
    written = pair.s3_of(OTHER_ACCOUNT).put_object(Bucket="theirs", Key="m.csv", Body=text)
    manifest = pair.manifest(text)
    manifest["Location"] = {"ObjectArn": arn("theirs", "m.csv"),
                            "ETag": written["ETag"].strip('"')}
    assert pair.run_job(Manifest=manifest)["Status"] == "Failed"
    pair.bucket_policy("theirs", {**allow("s3:GetObject", arn("theirs", "*")),
                                  "Principal": {"AWS": pair.role_arn("batch")}},
                       account=OTHER_ACCOUNT)
    assert pair.run_job(Manifest=manifest)["Status"] == "Complete"


# What a request brings for conditions.

def test_a_bucket_policy_denies_the_account_itself_and_can_still_be_taken_back(pair):
    """IAM User Guide, "Policy evaluation logic": an explicit denial binds everybody."""
    pair.bucket_policy(SOURCE, dict(deny("s3:PutObject", arn(SOURCE, "*")), Principal="*"))
    assert refusal(pair.s3.put_object, Bucket=SOURCE, Key="k", Body=b"x").status == 403
    pair.s3.delete_bucket_policy(Bucket=SOURCE)
    pair.put("k")


def test_a_policy_may_demand_an_encryption_header(pair):
    """S3 User Guide, "Bucket policy examples using condition keys"."""
    demand = dict(deny("s3:PutObject", arn(SOURCE, "*")), Principal="*", Condition={
        "StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}})
    pair.bucket_policy(SOURCE, demand)
    assert refusal(pair.s3.put_object, Bucket=SOURCE, Key="k", Body=b"x").status == 403
    pair.s3.put_object(Bucket=SOURCE, Key="k", Body=b"x", ServerSideEncryption="AES256")
    upload = pair.s3.create_multipart_upload(Bucket=SOURCE, Key="m", ServerSideEncryption="AES256")
    members = {"Bucket": SOURCE, "Key": "m", "UploadId": upload["UploadId"]}
    part = pair.s3.upload_part(PartNumber=1, Body=b"x", **members)
    pair.s3.complete_multipart_upload(**members, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})


def test_a_session_lists_only_the_prefix_that_it_may(pair):
    """S3 User Guide, "Bucket policy examples using condition keys"."""
    may = dict(allow("s3:ListBucket", arn(SOURCE)), Condition={
        "StringLike": {"s3:prefix": "mine/*"}})
    s3 = session_of(pair, account_role(pair, may), "s3")
    pair.put("mine/k")
    assert s3.list_objects_v2(Bucket=SOURCE, Prefix="mine/")["KeyCount"] == 1
    assert refusal(s3.list_objects_v2, Bucket=SOURCE, Prefix="yours/").status == 403
    assert refusal(s3.list_objects_v2, Bucket=SOURCE).status == 403


def test_each_key_of_a_deletion_is_judged_by_itself(pair):
    """S3 API Reference, "DeleteObjects"."""
    may = [allow("s3:DeleteObject", arn(SOURCE, "*")), deny("s3:DeleteObject", arn(SOURCE, "safe/*"))]
    s3 = session_of(pair, account_role(pair, *may), "s3")
    for key in ("safe/k", "other"):
        pair.put(key)
    told = s3.delete_objects(Bucket=SOURCE, Delete={
        "Objects": [{"Key": "safe/k"}, {"Key": "other"}]})
    assert [it["Key"] for it in told["Deleted"]] == ["other"]
    assert [(it["Key"], it["Code"]) for it in told["Errors"]] == [("safe/k", "AccessDenied")]
    assert pair.s3.head_object(Bucket=SOURCE, Key="safe/k")


def test_the_policy_of_the_user_guide_for_encrypted_objects_suffices(aws):
    """S3 User Guide, "Replicating encrypted objects": kms:ViaService and the encryption context."""
    aws.make_pair()
    source, replica = aws.key(), aws.key()

    def through_s3(action, key, bucket):
        return dict(allow(action, key), Condition={"StringLike": {
            "kms:ViaService": "s3.us-east-1.amazonaws.com",
            "kms:EncryptionContext:aws:s3:arn": [arn(bucket, "*")]}})

    # In place of the whole of the role, which may use any key.
    aws.permit("replication", allow(READ, arn(SOURCE, "*")), allow(WRITE, arn(DESTINATION, "*")))
    aws.permit("replication", through_s3("kms:Decrypt", source, SOURCE),
               through_s3("kms:Encrypt", replica, DESTINATION), name="keys")
    aws.replicate(encrypted_rule(replica))
    aws.put("k", ServerSideEncryption="aws:kms", SSEKMSKeyId=source)
    aws.settle()
    assert aws.status_of("k") == "COMPLETED"


@pytest.mark.parametrize("condition", [
    {"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}},
    {"BinaryEquals": {"s3:max-keys": "MTA="}},
    {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"StringEquals": {"s3:RequestObjectTag/team": "storage"}},
    {"StringNotEqualsIfExists": {"s3:signatureversion": "AWS4-HMAC-SHA256"}},
], ids=lambda condition: next(iter(condition)))
def test_a_condition_that_is_not_judged_is_refused_when_it_is_set(pair, condition):
    """Nothing of AWS: better no policy than one that means something else here."""
    statement = dict(deny("s3:*", arn(SOURCE, "*")), Principal="*", Condition=condition)
    refused = refusal(pair.bucket_policy, SOURCE, statement)
    assert refused.code == "MalformedPolicy"


@pytest.mark.parametrize("document", [
    {"Version": "2012-10-18", "Statement": [allow("s3:GetObject", "*")]},
    {"Statement": []},
    {"Statement": [allow("s3", "*")]},
    {"Statement": [allow("s3:GetObject", "mybucket")]},
    {"Statement": [allow("s3:GetObject", "*") | {"Ressource": "*"}]},
    {"Statement": [allow("s3:GetObject", "*") | {"Sid": "twice"}] * 2},
], ids=["another version", "no statement", "no service", "no ARN", "a misspelt element",
        "one id for two"])
def test_a_policy_that_means_nothing_is_refused(pair, document):
    """IAM User Guide, "IAM JSON policy element reference"."""
    refused = refusal(pair.iam.put_role_policy, RoleName="replication", PolicyName="odd",
                      PolicyDocument=json.dumps(document))
    assert (refused.code, refused.status) == ("MalformedPolicyDocument", 400)


@pytest.mark.parametrize("statement", [
    dict(allow("s3:GetObject", arn("another", "*")), Principal="*"),
    dict(allow("s3:GetObject", arn(SOURCE, "*")), Principal={"AWS": "nobody"}),
], ids=["about another bucket", "a principal that is none"])
def test_a_bucket_policy_that_means_nothing_is_refused(pair, statement):
    assert refusal(pair.bucket_policy, SOURCE, statement).code == "MalformedPolicy"
