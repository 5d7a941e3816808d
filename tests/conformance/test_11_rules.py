"""Replication rules: what PutBucketReplication takes, and what the rules then do (S3 API Reference,
"PutBucketReplication"; S3 User Guide, "Replication configuration file elements")."""

import copy

import pytest

from cloud import (DESTINATION, OTHER_ACCOUNT, SOURCE, allow, arn, encrypted_rule, refusal, rule,
                   timed)


def put_rules(pair, *rules, source=SOURCE):
    """PutBucketReplication, and the error that it ends with."""
    config = {"Role": pair.role_arn("replication"), "Rules": list(rules)}
    return refusal(pair.s3.put_bucket_replication, Bucket=source, ReplicationConfiguration=config)


def without(made, *names):
    """A rule without some of its members."""
    return {name: value for name, value in made.items() if name not in names}


def with_destination(**members):
    """A rule with other members in its destination; None takes one out."""
    made = rule()
    made["Destination"] |= members
    made["Destination"] = {name: value for name, value in made["Destination"].items()
                           if value is not None}
    return made


def v1(prefix="", **members):
    """A rule of the first version."""
    return {"ID": "v1", "Prefix": prefix, "Status": "Enabled",
            "Destination": {"Bucket": arn(DESTINATION), "Metrics": {"Status": "Enabled"}},
            **members}


def timing(control=None, metrics=None):
    """A rule with these two blocks and no others of their kind."""
    return with_destination(ReplicationTime=control, Metrics=metrics)


FIFTEEN, TEN = {"Minutes": 15}, {"Minutes": 10}
TAG, OTHER_TAG = {"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}
MALFORMED, REQUEST, ARGUMENT = "MalformedXML", "InvalidRequest", "InvalidArgument"

# What is wrong in one rule, and the code it is refused with.
WRONG = {
    "the destination is a name": (ARGUMENT, with_destination(Bucket="destination")),
    "the destination is an object": (ARGUMENT, with_destination(Bucket=arn(DESTINATION, "key"))),
    "the destination is no ARN of S3": (
        ARGUMENT, with_destination(Bucket="arn:aws:sqs:us-east-1:111122223333:queue")),
    "the destination is not there": (REQUEST, rule("nowhere")),
    "the destination is the source": (REQUEST, rule(SOURCE)),
    "the destination is not versioned": (REQUEST, rule("unversioned")),
    "the destination's versioning is suspended": (REQUEST, rule("suspended")),
    "a filter without a priority": (REQUEST, without(rule(), "Priority")),
    "a filter without a word on delete markers": (
        REQUEST, without(rule(), "DeleteMarkerReplication")),
    "an And of nothing": (MALFORMED, {**rule(), "Filter": {"And": {}}}),
    "an And of a prefix": (MALFORMED, {**rule(), "Filter": {"And": {"Prefix": "a/"}}}),
    "an And of one tag": (MALFORMED, {**rule(), "Filter": {"And": {"Tags": [TAG]}}}),
    "a prefix and a tag without And": (
        MALFORMED, {**rule(), "Filter": {"Prefix": "a/", "Tag": TAG}}),
    "a prefix beside a filter": (MALFORMED, {**rule(), "Prefix": "a/"}),
    "a status in lower case": (MALFORMED, {**rule(), "Status": "enabled"}),
    "an empty block for delete markers": (
        MALFORMED, {**rule(), "DeleteMarkerReplication": {}}),
    "no status": (MALFORMED, without(rule(), "Status")),
    "no destination": (MALFORMED, without(rule(), "Destination")),
    "a priority of 2^31": (MALFORMED, rule(priority=2_147_483_648)),
    "a negative priority": (REQUEST, rule(priority=-1)),
    "existing objects": (
        MALFORMED, {**rule(), "ExistingObjectReplication": {"Status": "Enabled"}}),
    "no existing objects": (
        MALFORMED, {**rule(), "ExistingObjectReplication": {"Status": "Disabled"}}),
    "a tag key twice": (
        REQUEST, {**rule(), "Filter": {"And": {"Tags": [TAG, {**TAG, "Value": "2"}]}}}),
    "delete markers with a tag": (REQUEST, rule(tags={"a": "1"}, markers=True)),
    "delete markers with a prefix and a tag": (
        REQUEST, rule(prefix="a/", tags={"a": "1"}, markers=True)),
    "empty selection criteria": (REQUEST, {**rule(), "SourceSelectionCriteria": {}}),
    "KMS objects without a key for the replicas": (
        REQUEST, rule(criteria={"SseKmsEncryptedObjects": {"Status": "Enabled"}})),
    "an id of 256 characters": (ARGUMENT, rule(id="r" * 256)),
    "an id outside of ASCII": (ARGUMENT, rule(id="règle")),
    "a time control without metrics": (
        REQUEST, timing({"Status": "Enabled", "Time": FIFTEEN})),
    "a time control with metrics off": (
        REQUEST, timing({"Status": "Enabled", "Time": FIFTEEN},
                        {"Status": "Disabled", "EventThreshold": FIFTEEN})),
    "a time control of 10 minutes": (
        ARGUMENT, timing({"Status": "Enabled", "Time": TEN},
                         {"Status": "Enabled", "EventThreshold": FIFTEEN})),
    "an event threshold of 10 minutes": (
        ARGUMENT, timing({"Status": "Enabled", "Time": FIFTEEN},
                         {"Status": "Enabled", "EventThreshold": TEN})),
    "a time control without an event threshold": (
        ARGUMENT, timing({"Status": "Enabled", "Time": FIFTEEN}, {"Status": "Enabled"})),
    "an unknown class for the replicas": (MALFORMED, rule(StorageClass="COLD")),
    "a class that no replica can have": (MALFORMED, rule(StorageClass="OUTPOSTS")),
    "an account that does not own the destination": (ARGUMENT, rule(Account=OTHER_ACCOUNT)),
}


@pytest.fixture
def odd(pair):
    """The pair, with destinations that are not fit for it."""
    pair.bucket("unversioned", versioned=False)
    pair.bucket("suspended")
    pair.versioning("suspended", "Suspended")
    return pair


@pytest.mark.parametrize("code, made", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_rule_is_refused(odd, code, made):
    refused = put_rules(odd, made)
    assert (refused.code, refused.status) == (code, 400)


WRONG_TOGETHER = {
    "no rules": (MALFORMED, []),
    "an id twice": (ARGUMENT, [rule(), rule(priority=2)]),
    "a priority twice for one destination": (REQUEST, [rule(), rule(id="other")]),
    "both versions": (REQUEST, [v1(), rule(prefix="a/")]),
}


@pytest.mark.parametrize("code, rules", WRONG_TOGETHER.values(), ids=WRONG_TOGETHER.keys())
def test_rules_that_do_not_go_together_are_refused(pair, code, rules):
    refused = put_rules(pair, *rules)
    assert (refused.code, refused.status) == (code, 400)


CANNOT = ("cannot be used for this version of Cross Region Replication configuration schema. "
          "Please refer to S3 Developer Guide for more information.")


@pytest.mark.parametrize("make", [
    v1, lambda **members: without(v1(**members), "Prefix"),
], ids=["with a prefix", "with neither prefix nor filter"])
@pytest.mark.parametrize("name, members", [
    ("DeleteMarkerReplication", {"DeleteMarkerReplication": {"Status": "Enabled"}}),
    ("Priority", {"Priority": 1}),
    ("ReplicationTime", {"Destination": {"Bucket": arn(DESTINATION), **timed()}}),
    ("ReplicaModifications", {"SourceSelectionCriteria": {
        "ReplicaModifications": {"Status": "Enabled"}}}),
])
def test_a_rule_of_the_first_version_has_nothing_of_the_second(pair, make, name, members):
    """S3 User Guide, "Replication configuration file elements": backward compatibility. The
    sentence is S3's own."""
    refused = put_rules(pair, make(**members))
    assert (refused.code, refused.status) == (REQUEST, 400)
    assert refused.message == f"{name} {CANNOT}"


def test_rules_of_the_first_version_have_one_destination(pair):
    """S3 User Guide, "Replication configuration file elements": several destinations are of the
    second version. The sentence is S3's own."""
    pair.bucket("second")
    other = v1("b/", ID="other", Destination={"Bucket": arn("second")})
    refused = put_rules(pair, v1("a/"), other)
    assert (refused.code, refused.status) == (REQUEST, 400)
    assert refused.message == "Number of distinct destination bucket ARNs cannot exceed 1"


@pytest.mark.parametrize("role", [
    "", "replication", "arn:aws:iam::111122223333:user/somebody", "arn:aws:iam::111122223333:role/",
    "arn:aws:s3:::source",
])
def test_the_role_of_a_configuration_is_the_arn_of_a_role(pair, role):
    """S3 API Reference, "ReplicationConfiguration"."""
    refused = refusal(pair.s3.put_bucket_replication, Bucket=SOURCE, ReplicationConfiguration={
        "Role": role, "Rules": [rule()]})
    assert (refused.code, refused.status) == (ARGUMENT, 400)


@pytest.mark.parametrize("name", [
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER",
    "DEEP_ARCHIVE", "GLACIER_IR",
])
def test_a_replica_may_have_any_of_eight_classes(pair, name):
    pair.replicate(rule(StorageClass=name))
    pair.put("k")
    pair.settle()
    assert pair.head("k", DESTINATION).get("StorageClass", "STANDARD") == name


def test_an_empty_account_of_the_destination_is_refused(pair):
    assert put_rules(pair, with_destination(Account="")).status == 400


def test_an_owner_override_without_an_account_is_refused(pair):
    """S3 API Reference, "Destination": Account is required with AccessControlTranslation."""
    made = with_destination(AccessControlTranslation={"Owner": "Destination"})
    assert put_rules(pair, made).status == 400


def test_a_source_without_versioning_is_refused(pair):
    pair.bucket("plain", versioned=False)
    refused = put_rules(pair, rule(), source="plain")
    assert (refused.code, refused.status) == (REQUEST, 400)


def test_a_source_that_is_not_there_is_not_found(pair):
    refused = put_rules(pair, rule(), source="nowhere")
    assert (refused.code, refused.status) == ("NoSuchBucket", 404)


ACCEPTED = {
    "an id of 255 characters": [rule(id="r" * 255)],
    "two priorities for one destination": [rule(), rule(id="other", priority=2)],
    "a key that is not there": [encrypted_rule("arn:aws:kms:us-east-1:111122223333:key/none")],
    "metrics without a time control": [with_destination(Metrics={"Status": "Enabled"})],
    "a time control with its metrics": [rule(**timed())],
    "a priority of 0": [rule(priority=0)],
    "a priority of 2^31 - 1": [rule(priority=2_147_483_647)],
    "an archive as the class of replicas": [rule(StorageClass="GLACIER")],
    "a disabled rule": [rule(enabled=False)],
    "an empty prefix": [rule(prefix="")],
    "a prefix and two tags": [rule(prefix="a/", tags={"a": "1", "b": "2"})],
    "a rule of the first version": [v1("a/")],
}


@pytest.mark.parametrize("rules", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_configuration_is_read_as_it_was_written(pair, rules):
    pair.replicate(*rules)
    told = pair.s3.get_bucket_replication(Bucket=SOURCE)["ReplicationConfiguration"]
    assert told == {"Role": pair.role_arn("replication"), "Rules": rules}


@pytest.mark.parametrize("made", [without(rule(), "ID"), rule(id="")], ids=["absent", "empty"])
def test_a_rule_without_an_id_is_given_one(pair, made):
    pair.replicate(made, rule(id="other", priority=2))
    told = pair.s3.get_bucket_replication(Bucket=SOURCE)["ReplicationConfiguration"]["Rules"]
    ids = [each["ID"] for each in told]
    assert all(ids) and len(set(ids)) == 2


def test_a_configuration_that_was_refused_leaves_the_old_one(pair):
    pair.replicate(rule(prefix="a/"))
    put_rules(pair, rule("nowhere"))
    told = pair.s3.get_bucket_replication(Bucket=SOURCE)["ReplicationConfiguration"]
    assert told["Rules"] == [rule(prefix="a/")]


def test_a_bucket_without_a_configuration_says_so(pair):
    refused = refusal(pair.s3.get_bucket_replication, Bucket=SOURCE)
    assert (refused.code, refused.status) == ("ReplicationConfigurationNotFoundError", 404)


def test_a_configuration_that_is_deleted_is_gone_and_nothing_is_replicated(pair):
    pair.replicate()
    for _ in range(2):
        answer = pair.s3.delete_bucket_replication(Bucket=SOURCE)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused = refusal(pair.s3.get_bucket_replication, Bucket=SOURCE)
    assert refused.code == "ReplicationConfigurationNotFoundError"
    pair.put("k")
    pair.settle()
    assert pair.status_of("k") is None and pair.versions() == set()


def test_a_configuration_of_another_owner_than_expected_is_refused(pair):
    pair.replicate()
    refused = refusal(pair.s3.get_bucket_replication, Bucket=SOURCE,
                      ExpectedBucketOwner=OTHER_ACCOUNT)
    assert (refused.code, refused.status) == ("AccessDenied", 403)


def test_the_versioning_of_a_source_cannot_be_suspended_under_a_configuration(pair):
    """S3 User Guide, "Additional considerations for replication"."""
    pair.replicate()
    refused = refusal(pair.versioning, SOURCE, "Suspended")
    assert refused.status in (400, 409)
    assert pair.s3.get_bucket_versioning(Bucket=SOURCE)["Status"] == "Enabled"


# Which rule decides.

def test_of_rules_for_one_destination_the_highest_priority_decides(pair):
    pair.replicate(rule(id="low", priority=1, StorageClass="STANDARD_IA"),
                   rule(id="high", priority=2, prefix="a/", StorageClass="GLACIER_IR"))
    pair.put("a/k")
    pair.put("k")
    pair.settle()
    classes = {key: pair.head(key, DESTINATION)["StorageClass"] for key in ("a/k", "k")}
    assert classes == {"a/k": "GLACIER_IR", "k": "STANDARD_IA"}


def test_the_order_of_the_rules_does_not_matter(pair):
    pair.replicate(rule(id="high", priority=2, StorageClass="GLACIER_IR"),
                   rule(id="low", priority=1, StorageClass="STANDARD_IA"))
    pair.put("k")
    pair.settle()
    assert pair.head("k", DESTINATION)["StorageClass"] == "GLACIER_IR"


def test_the_priority_is_weighed_for_each_destination_by_itself(pair):
    pair.bucket("second")
    pair.replication_role(SOURCE, DESTINATION, "second", name="wider")
    pair.replicate(rule(id="one", priority=1), rule("second", id="two", priority=9), role="wider")
    version = pair.put("k")
    pair.settle()
    assert pair.versions() == pair.versions("second") == {("k", version)}


def test_a_disabled_rule_of_the_highest_priority_does_not_decide(pair):
    pair.replicate(rule(id="low", priority=1, StorageClass="STANDARD_IA"),
                   rule(id="high", priority=2, enabled=False, StorageClass="GLACIER_IR"))
    pair.put("k")
    pair.settle()
    assert pair.head("k", DESTINATION)["StorageClass"] == "STANDARD_IA"


def test_a_prefix_is_compared_byte_for_byte(pair):
    pair.replicate(rule(prefix="a/"))
    for key in ("a/1", "A/1", "ab", "a", "b/a/1"):
        pair.put(key)
    pair.settle()
    assert pair.keys() == {"a/1"}


@pytest.mark.parametrize("tagging, expected", [
    ("a=1&b=2", True), ("a=1&b=2&c=3", True), ("a=1", False), ("a=1&b=3", False), ("", False),
    ("A=1&b=2", False),
])
def test_an_object_has_to_carry_all_tags_of_a_rule(pair, tagging, expected):
    pair.replicate(rule(tags={"a": "1", "b": "2"}))
    pair.put("k", Tagging=tagging)
    pair.settle()
    assert pair.keys() == ({"k"} if expected else set())


# What a rule does.

def test_a_rule_of_the_first_version_replicates(pair):
    pair.replicate(v1("a/"))
    version = pair.put("a/k")
    pair.put("k")
    pair.settle()
    assert pair.versions() == {("a/k", version)}


@pytest.mark.parametrize("made, expected", [
    (rule(markers=True), True), (rule(), False), (v1(), True), (rule(tags={"a": "1"}), False),
], ids=["V2 that takes them", "V2 that does not", "V1", "V2 with a tag"])
def test_a_delete_marker_is_replicated_as_its_rule_says(pair, made, expected):
    pair.replicate(made)
    pair.put("k", Tagging="a=1")
    marker = pair.delete("k")
    pair.settle()
    assert pair.markers() == ({("k", marker)} if expected else set())
    assert pair.keys() == (set() if expected else {"k"})


def test_the_class_of_a_replica_is_that_of_its_source_unless_the_rule_says(pair):
    pair.replicate(rule(prefix="a/", id="a", StorageClass="STANDARD_IA"),
                   rule(prefix="b/", id="b", priority=2))
    pair.put("a/k")
    pair.put("b/k", StorageClass="ONEZONE_IA")
    pair.settle()
    assert pair.head("a/k", DESTINATION)["StorageClass"] == "STANDARD_IA"
    assert pair.head("b/k", DESTINATION)["StorageClass"] == "ONEZONE_IA"
    assert "StorageClass" not in pair.head("a/k"), "the source stays as it is"


def test_a_bucket_key_of_the_source_is_kept(pair):
    source, replica = pair.key(), pair.key()
    pair.replicate(encrypted_rule(replica))
    pair.put("k", ServerSideEncryption="aws:kms", SSEKMSKeyId=source, BucketKeyEnabled=True)
    pair.settle()
    head = pair.head("k", DESTINATION)
    assert (head["SSEKMSKeyId"], head["BucketKeyEnabled"]) == (replica, True)


def test_tags_of_a_replicated_object_follow_when_they_change(pair):
    pair.settings(replication_delay_ms=60_000)
    pair.replicate()
    version = pair.put("k", Tagging="a=1")
    pair.settle()
    pair.tag("k", b="2")
    assert pair.status_of("k") == "PENDING"
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.tags_of("k", DESTINATION) == {"b": "2"}
    assert pair.versions() == {("k", version)}, "it is the same version"


@pytest.mark.parametrize("synchronised", [True, False])
def test_a_change_of_a_replica_goes_back_where_replica_modifications_are_on(pair, synchronised):
    """S3 User Guide, "Replicating metadata changes with replica modification sync": both sides."""
    status = {"Status": "Enabled" if synchronised else "Disabled"}
    criteria = {"ReplicaModifications": status}
    pair.replication_role(DESTINATION, SOURCE, name="back")
    pair.replicate(rule(criteria=criteria))
    pair.replicate(rule(SOURCE, criteria=criteria), source=DESTINATION, role="back")
    pair.put("k")
    pair.settle()
    pair.tag("k", DESTINATION, a="1")
    pair.settle()
    assert pair.tags_of("k") == ({"a": "1"} if synchronised else {})
    assert pair.status_of("k", DESTINATION) == "REPLICA"


def override(**more):
    """A rule that gives the replicas to the owner of a destination in another account."""
    return rule("theirs", Account=OTHER_ACCOUNT,
                AccessControlTranslation={"Owner": "Destination"}, **more)


@pytest.fixture
def across(pair):
    """A destination of another account that lets the role replicate into it."""
    pair.bucket("theirs", account=OTHER_ACCOUNT)
    pair.replication_role(SOURCE, "theirs", name="across")
    grant = allow(["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags",
                   "s3:ObjectOwnerOverrideToBucketOwner"], arn("theirs", "*"))
    grant["Principal"] = {"AWS": pair.role_arn("across")}
    pair.bucket_policy("theirs", grant, account=OTHER_ACCOUNT)
    return pair


def test_the_owner_of_a_replica_can_be_the_owner_of_its_bucket(across):
    across.permit("across", allow("s3:ObjectOwnerOverrideToBucketOwner", arn("theirs", "*")),
                  name="override")
    across.replicate(override(), role="across")
    across.put("k")
    across.settle()
    assert across.status_of("k") == "COMPLETED"
    told = across.s3_of(OTHER_ACCOUNT).list_object_versions(Bucket="theirs")["Versions"]
    theirs = across.s3_of(OTHER_ACCOUNT).list_buckets()["Owner"]["ID"]
    assert [each["Owner"]["ID"] for each in told] == [theirs]


def test_the_owner_override_needs_its_permission(across):
    url = across.listen()
    across.replicate(override(), role="across")
    across.put("k")
    across.settle()
    assert across.reasons(url) == ["DstPutObjectNotPermitted"]


# Time control and metrics.

def events_of(records):
    """Event names with the rules that they are about."""
    return [(record["eventName"], record["replicationEventData"]["replicationRuleId"])
            for record in records]


def test_a_timed_rule_tells_when_an_object_is_late_and_when_it_arrives(pair):
    pair.settings(replication_delay_ms=20 * 60_000)
    url = pair.listen()
    pair.replicate(rule(**timed()))
    pair.put("k")
    pair.advance(minutes=14)
    assert pair.records(url) == []
    pair.advance(minutes=2)
    assert events_of(pair.records(url)) == [("Replication:OperationMissedThreshold", "rule")]
    assert pair.status_of("k") == "PENDING"
    pair.advance(minutes=5)
    assert events_of(pair.records(url)) == [
        ("Replication:OperationReplicatedAfterThreshold", "rule")]
    assert pair.status_of("k") == "COMPLETED"


@pytest.mark.parametrize("members, minutes", [(timed(), 10), ({}, 20)],
                         ids=["in time", "without a time control"])
def test_no_threshold_is_told_otherwise(pair, members, minutes):
    pair.settings(replication_delay_ms=minutes * 60_000)
    url = pair.listen()
    pair.replicate(rule(**members))
    pair.put("k")
    pair.advance(hours=1)
    assert pair.status_of("k") == "COMPLETED"
    assert pair.records(url) == []


def test_a_timed_rule_that_fails_late_tells_both(pair):
    pair.settings(replication_delay_ms=20 * 60_000)
    url = pair.listen()
    pair.replicate(rule(**timed()))
    pair.forbid("replication", "s3:ReplicateObject")
    pair.put("k")
    pair.advance(hours=1)
    assert [name for name, _ in events_of(pair.records(url))] == [
        "Replication:OperationMissedThreshold", "Replication:OperationFailedReplication"]


@pytest.mark.parametrize("made, told", [
    (rule(), True), (rule(metrics=False), False),
    (with_destination(Metrics={"Status": "Disabled"}), False), (rule(**timed()), True),
    (v1(), True),
], ids=["metrics", "no metrics", "metrics off", "time control", "V1 with metrics"])
def test_a_failure_is_told_only_under_a_rule_with_metrics(pair, made, told):
    """S3 User Guide, "Receiving replication failure events": the object is FAILED either way."""
    url = pair.listen()
    pair.replicate(made)
    pair.forbid("replication", "s3:ReplicateObject")
    pair.put("k")
    pair.settle()
    assert pair.status_of("k") == "FAILED"
    assert pair.reasons(url) == (["DstPutObjectNotPermitted"] if told else [])


# Several destinations.

@pytest.fixture
def three(pair):
    """Rules to three destinations under one role."""
    for name in ("second", "third"):
        pair.bucket(name)
    pair.replication_role(SOURCE, DESTINATION, "second", "third", name="wider")
    pair.replicate(rule(id="first"), rule("second", id="second", priority=2),
                   rule("third", id="third", priority=3), role="wider")
    return pair


def test_an_object_is_completed_when_every_destination_has_it(three):
    version = three.put("k")
    three.settle()
    assert three.status_of("k") == "COMPLETED"
    for name in (DESTINATION, "second", "third"):
        assert three.versions(name) == {("k", version)}


def test_an_object_is_failed_when_one_destination_has_failed(three):
    url = three.listen()
    three.forbid("wider", "s3:ReplicateObject", arn("second", "*"))
    version = three.put("k")
    three.settle()
    assert three.status_of("k") == "FAILED"
    assert three.versions() == three.versions("third") == {("k", version)}
    assert three.versions("second") == set()
    record, = three.records(url)
    data = record["replicationEventData"]
    assert (data["replicationRuleId"], data["destinationBucket"]) == ("second", arn("second"))


def test_an_object_that_failed_at_one_destination_is_completed_by_a_job(three):
    three.forbid("wider", "s3:ReplicateObject", arn("second", "*"))
    version = three.put("k")
    three.settle()
    three.forgive("wider")
    three.run_job()
    assert three.status_of("k") == "COMPLETED"
    assert three.versions("second") == {("k", version)}


def test_an_object_is_pending_until_its_destinations_have_answered(three):
    three.settings(replication_delay_ms=60_000)
    three.put("k")
    assert three.status_of("k") == "PENDING"
    three.settle()
    assert three.status_of("k") == "COMPLETED"


def test_destinations_may_have_rules_of_their_own(three):
    three.replicate(rule(id="all"), rule("second", id="part", priority=2, prefix="a/"),
                    rule("third", id="tagged", priority=3, tags={"a": "1"}), role="wider")
    three.put("k")
    three.put("a/k")
    three.put("t", Tagging="a=1")
    three.settle()
    assert [three.keys(name) for name in (DESTINATION, "second", "third")] == [
        {"k", "a/k", "t"}, {"a/k"}, {"t"}]


# With the AWS CLI.

def test_the_cli_puts_reads_and_deletes_a_configuration(pair):
    config = {"Role": pair.role_arn("replication"), "Rules": [rule(prefix="a/")]}
    pair.cli_ok("s3api", "put-bucket-replication", "--bucket", SOURCE,
                "--replication-configuration", config)
    told = pair.cli_ok("s3api", "get-bucket-replication", "--bucket", SOURCE)
    assert told["ReplicationConfiguration"] == config
    pair.cli_ok("s3api", "delete-bucket-replication", "--bucket", SOURCE)
    answer = pair.cli("s3api", "get-bucket-replication", "--bucket", SOURCE)
    assert answer.code != 0 and "ReplicationConfigurationNotFoundError" in answer.error


def test_the_cli_is_told_what_is_wrong_with_a_configuration(pair):
    made = copy.deepcopy(rule())
    made["Destination"]["Bucket"] = "destination"
    answer = pair.cli("s3api", "put-bucket-replication", "--bucket", SOURCE,
                      "--replication-configuration",
                      {"Role": pair.role_arn("replication"), "Rules": [made]})
    assert answer.code != 0 and "InvalidArgument" in answer.error


def test_the_cli_uploads_an_object_that_is_replicated(pair, tmp_path):
    pair.replicate()
    file = tmp_path / "file.txt"
    file.write_text("text")
    pair.cli_ok("s3", "cp", "--quiet", str(file), f"s3://{SOURCE}/file.txt")
    pair.settle()
    pair.cli_ok("s3", "cp", "--quiet", f"s3://{DESTINATION}/file.txt", str(tmp_path / "replica"))
    assert (tmp_path / "replica").read_text() == "text"
