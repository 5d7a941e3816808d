"""What set-up scripts and clients of other kinds ask of the services: SQS in both of its protocols,
EventBridge, IAM, KMS, and of S3 what a bucket has, and what it never has here."""

import base64
import hashlib
import json
import struct
import time
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from cloud import (BATCH_SERVICE, OTHER_ACCOUNT, REPLICATION_SERVICE, SOURCE, allow, arn, policy,
                   refusal, trust)


# SQS: the attributes of queues and messages.

def make_queue(aws, name="q", **attributes):
    """A queue; returns its URL."""
    return aws.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def attributes_of(aws, url, *names):
    """GetQueueAttributes."""
    told = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names) or ["All"])
    return told.get("Attributes", {})


def receive(aws, url, **members):
    """The messages of one ReceiveMessage."""
    told = aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **members)
    return told.get("Messages", [])


def test_a_queue_tells_the_attributes_that_were_asked_for(aws):
    """SQS API Reference, "GetQueueAttributes"."""
    url = make_queue(aws)
    assert "Attributes" not in aws.sqs.get_queue_attributes(QueueUrl=url)
    assert attributes_of(aws, url, "QueueArn") == {"QueueArn": aws.queue_arn("q")}
    assert attributes_of(aws, url, "QueueArn", "VisibilityTimeout") == {
        "QueueArn": aws.queue_arn("q"), "VisibilityTimeout": "30"}
    assert attributes_of(aws, url).items() >= {
        "DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30",
        "ApproximateNumberOfMessages": "0"}.items()


def test_a_message_tells_the_attributes_that_were_asked_for(aws):
    """SQS API Reference, "ReceiveMessage"."""
    url = make_queue(aws)
    aws.sqs.send_message(QueueUrl=url, MessageBody="m", MessageAttributes={
        name: {"DataType": "String", "StringValue": "v"} for name in ("one", "two")})

    def told(**members):
        message, = receive(aws, url, VisibilityTimeout=0, **members)
        return message.get("Attributes", {}), set(message.get("MessageAttributes", {}))

    assert told() == ({}, set())
    assert told(MessageSystemAttributeNames=["ApproximateReceiveCount"]) == (
        {"ApproximateReceiveCount": "2"}, set())
    assert told(AttributeNames=["SenderId"]) == ({"SenderId": aws.account}, set())
    assert told(MessageAttributeNames=["one"]) == ({}, {"one"})
    assert told(MessageAttributeNames=["All"]) == ({}, {"one", "two"})
    assert told(MessageAttributeNames=["tw.*"]) == ({}, {"two"})


@pytest.mark.parametrize("name, value", [
    ("DelaySeconds", "5"), ("MaximumMessageSize", "1024"), ("MessageRetentionPeriod", "60"),
    ("ReceiveMessageWaitTimeSeconds", "20"), ("VisibilityTimeout", "43200"),
])
def test_an_attribute_of_a_queue_is_told_as_it_was_set(aws, name, value):
    made = make_queue(aws, "made", **{name: value})
    changed = make_queue(aws, "changed")
    assert attributes_of(aws, changed, name)[name] != value
    aws.sqs.set_queue_attributes(QueueUrl=changed, Attributes={name: value})
    assert attributes_of(aws, made, name) == attributes_of(aws, changed, name) == {name: value}


def test_a_queue_may_delay_its_messages(aws):
    url = make_queue(aws, DelaySeconds="60")
    aws.sqs.send_message(QueueUrl=url, MessageBody="late")
    aws.sqs.send_message(QueueUrl=url, MessageBody="at once", DelaySeconds=0)
    assert [each["Body"] for each in receive(aws, url)] == ["at once"]
    assert attributes_of(aws, url, "ApproximateNumberOfMessagesDelayed") == {
        "ApproximateNumberOfMessagesDelayed": "1"}
    aws.advance(seconds=61)
    assert "late" in [each["Body"] for each in receive(aws, url)]


def test_a_queue_may_refuse_long_messages(aws):
    url = make_queue(aws, MaximumMessageSize="1024")
    aws.sqs.send_message(QueueUrl=url, MessageBody="m" * 1_024)
    refused = refusal(aws.sqs.send_message, QueueUrl=url, MessageBody="m" * 1_025)
    assert (refused.code, refused.status) == ("InvalidParameterValue", 400)


def test_a_queue_keeps_a_message_for_its_retention_period(aws):
    url = make_queue(aws, MessageRetentionPeriod="60")
    aws.sqs.send_message(QueueUrl=url, MessageBody="m")
    aws.advance(seconds=30)
    assert len(receive(aws, url, VisibilityTimeout=0)) == 1
    aws.advance(seconds=40)
    assert receive(aws, url) == []


def test_a_queue_may_keep_who_asks_waiting(aws):
    """The wait is one of the wall clock: it is the client's."""
    url = make_queue(aws, ReceiveMessageWaitTimeSeconds="1")
    begun = time.monotonic()
    assert receive(aws, url, WaitTimeSeconds=0) == []
    assert time.monotonic() - begun < 0.9
    begun = time.monotonic()
    assert receive(aws, url) == []
    assert time.monotonic() - begun >= 0.9


def test_an_attribute_that_no_queue_has_is_refused(aws):
    url = make_queue(aws)
    for refused in (
        refusal(attributes_of, aws, url, "Colour"), refusal(make_queue, aws, "other", Colour="red"),
        refusal(aws.sqs.set_queue_attributes, QueueUrl=url, Attributes={"Colour": "red"}),
    ):
        assert (refused.code, refused.status) == ("InvalidAttributeName", 400)
    assert refusal(aws.sqs.get_queue_url, QueueName="other").status == 400


def test_a_queue_is_made_again_only_as_it_is(aws):
    """SQS API Reference, "CreateQueue": QueueNameExists."""
    url = make_queue(aws, DelaySeconds="5")
    assert make_queue(aws) == make_queue(aws, DelaySeconds="5") == url
    with pytest.raises(aws.sqs.exceptions.QueueNameExists):
        make_queue(aws, DelaySeconds="6")
    assert attributes_of(aws, url, "DelaySeconds") == {"DelaySeconds": "5"}


ATTRIBUTES = {
    "b": {"DataType": "Number.int", "StringValue": "42"},
    "a": {"DataType": "String", "StringValue": "täxt"},
    "c": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}


def md5_of(attributes):
    """SQS Developer Guide, "Calculating the MD5 message digest for message attributes"."""
    whole = b""
    for name, attribute in sorted(attributes.items()):
        binary = "BinaryValue" in attribute
        value = attribute["BinaryValue"] if binary else attribute["StringValue"].encode()
        for piece in (name.encode(), attribute["DataType"].encode()):
            whole += struct.pack(">I", len(piece)) + piece
        whole += (b"\x02" if binary else b"\x01") + struct.pack(">I", len(value)) + value
    return hashlib.md5(whole).hexdigest()


def test_the_attributes_of_a_message_come_with_it_and_with_their_md5(aws):
    url = make_queue(aws)
    sent = aws.sqs.send_message(QueueUrl=url, MessageBody="m", MessageAttributes=ATTRIBUTES)
    assert sent["MD5OfMessageAttributes"] == md5_of(ATTRIBUTES)
    message, = receive(aws, url, MessageAttributeNames=["a", "c"])
    told = {name: ATTRIBUTES[name] for name in ("a", "c")}
    assert message["MessageAttributes"] == told
    assert message["MD5OfMessageAttributes"] == md5_of(told)


def test_the_tags_of_a_queue_are_set_told_and_removed(aws):
    url = aws.sqs.create_queue(QueueName="q", tags={"app": "healer"})["QueueUrl"]
    aws.sqs.tag_queue(QueueUrl=url, Tags={"team": "storage", "run": "1"})
    assert aws.sqs.list_queue_tags(QueueUrl=url)["Tags"] == {
        "app": "healer", "team": "storage", "run": "1"}
    aws.sqs.untag_queue(QueueUrl=url, TagKeys=["app", "run", "none"])
    assert aws.sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "storage"}


def test_queues_are_listed_page_by_page(aws):
    names = [f"q{at}" for at in range(5)]
    for name in ("other", *names):
        make_queue(aws, name)
    pages = aws.sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix="q", PaginationConfig={"PageSize": 2})
    told = [[url.rsplit("/")[-1] for url in page["QueueUrls"]] for page in pages]
    assert told == [["q0", "q1"], ["q2", "q3"], ["q4"]]


# SQS: dead letters.

@pytest.fixture
def dead(aws):
    """A queue that puts a message aside after one reading, and one that has been put aside."""
    target = make_queue(aws, "dead")
    url = make_queue(aws, "q", RedrivePolicy=json.dumps(
        {"deadLetterTargetArn": aws.queue_arn("dead"), "maxReceiveCount": 1}))
    message = aws.sqs.send_message(QueueUrl=url, MessageBody="m")["MessageId"]
    assert len(receive(aws, url, VisibilityTimeout=0)) == 1
    assert receive(aws, url) == []
    return aws, url, target, message


def test_a_message_that_is_put_aside_keeps_its_id(dead):
    """SQS Developer Guide, "Using dead-letter queues"."""
    aws, _, target, message = dead
    taken, = receive(aws, target, AttributeNames=["All"])
    assert (taken["MessageId"], taken["Body"]) == (message, "m")
    assert taken["Attributes"]["DeadLetterQueueSourceArn"] == aws.queue_arn("q")


def test_the_queues_that_put_aside_into_another_are_listed(dead):
    aws, url, target, _ = dead
    assert aws.sqs.list_dead_letter_source_queues(QueueUrl=target)["queueUrls"] == [url]
    assert aws.sqs.list_dead_letter_source_queues(QueueUrl=url)["queueUrls"] == []


@pytest.mark.parametrize("elsewhere", [False, True], ids=["where they came from", "elsewhere"])
def test_dead_letters_can_be_moved(dead, elsewhere):
    """SQS API Reference, "StartMessageMoveTask"."""
    aws, url, target, message = dead
    members = {"SourceArn": aws.queue_arn("dead")}
    if elsewhere:
        url = make_queue(aws, "other")
        members["DestinationArn"] = aws.queue_arn("other")
    assert aws.sqs.start_message_move_task(**members)["TaskHandle"]
    assert receive(aws, target) == []
    # As if it were sent anew (SQS Developer Guide, "Configure a dead-letter queue redrive").
    moved, = receive(aws, url)
    assert moved["MessageId"] != message
    same = {**members, "DestinationArn": members["SourceArn"]}
    assert refusal(aws.sqs.start_message_move_task, **same).status == 400
    task, = aws.sqs.list_message_move_tasks(SourceArn=members["SourceArn"])["Results"]
    assert task.items() >= {**members, "Status": "COMPLETED",
                            "ApproximateNumberOfMessagesMoved": 1}.items()


def test_a_queue_without_dead_letters_moves_none(aws):
    make_queue(aws)
    refused = refusal(aws.sqs.start_message_move_task, SourceArn=aws.queue_arn("q"))
    assert refused.status == 400


# SQS: the query protocol of older clients (SQS Developer Guide, "Making Query API requests").

def form(aws, action, path="/", **members):
    """One call as a signed form: its status and the document of its answer. Double underscores in
    the names of members stand for dots."""
    pairs = {"Action": action, "Version": "2012-11-05"}
    pairs |= {name.replace("__", "."): value for name, value in members.items()}
    answer = aws.raw("POST", path, urlencode(pairs).encode(), service="sqs",
                     Content_Type="application/x-www-form-urlencoded")
    assert answer.headers["content-type"] == "text/xml"
    return answer.status, ElementTree.fromstring(answer.data)


def texts(document, name):
    """The texts of all elements of this name."""
    return [each.text for each in document.iter() if each.tag.endswith("}" + name)]


def test_the_oldest_client_leaves_the_number_out_where_there_is_one(aws):
    """boto 2: `AttributeName=All`, `Attribute.Name=…`."""
    url = make_queue(aws)
    form(aws, "SetQueueAttributes", QueueUrl=url, Attribute__Name="VisibilityTimeout",
         Attribute__Value="45")
    _, told = form(aws, "GetQueueAttributes", QueueUrl=url, AttributeName="All")
    pairs = dict(zip(texts(told, "Name"), texts(told, "Value")))
    assert (pairs["VisibilityTimeout"], pairs["QueueArn"]) == ("45", aws.queue_arn("q"))


def test_an_older_client_makes_a_queue_sends_and_receives(aws):
    status, made = form(aws, "CreateQueue", QueueName="q", Attribute__1__Name="DelaySeconds",
                        Attribute__1__Value="0", Tag__1__Key="app", Tag__1__Value="healer")
    assert (status, made.tag) == (
        200, "{http://queue.amazonaws.com/doc/2012-11-05/}CreateQueueResponse")
    url, = texts(made, "QueueUrl")
    assert aws.sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"app": "healer"}
    status, sent = form(aws, "SendMessage", QueueUrl=url, MessageBody="a+b & <c>")
    assert status == 200
    assert texts(sent, "MD5OfMessageBody") == [hashlib.md5(b"a+b & <c>").hexdigest()]
    status, received = form(aws, "ReceiveMessage", QueueUrl=url, AttributeName__1="SenderId")
    assert (status, texts(received, "Body")) == (200, ["a+b & <c>"])
    assert texts(received, "MessageId") == texts(sent, "MessageId")
    assert (texts(received, "Name"), texts(received, "Value")) == (["SenderId"], [aws.account])
    receipt, = texts(received, "ReceiptHandle")
    status, _ = form(aws, "DeleteMessage", QueueUrl=url, ReceiptHandle=receipt)
    assert status == 200
    aws.advance(minutes=1)
    assert receive(aws, url) == []


def test_an_older_client_sends_several_messages_at_once(aws):
    url = make_queue(aws)
    entry = "SendMessageBatchRequestEntry"
    members = {f"{entry}__{at}__{name}": value for at, name, value in (
        (1, "Id", "one"), (1, "MessageBody", "1"), (2, "Id", "two"), (2, "MessageBody", "2"),
        (1, "MessageAttribute__1__Name", "a"), (1, "MessageAttribute__1__Value__StringValue", "v"),
        (1, "MessageAttribute__1__Value__DataType", "String"))}
    status, sent = form(aws, "SendMessageBatch", QueueUrl=url, **members)
    assert (status, texts(sent, "Id")) == (200, ["one", "two"])
    attributes = {"a": {"DataType": "String", "StringValue": "v"}}
    assert texts(sent, "MD5OfMessageAttributes") == [md5_of(attributes)]
    taken = receive(aws, url, MessageAttributeNames=["All"])
    assert {each["Body"]: each.get("MessageAttributes") for each in taken} == {
        "1": attributes, "2": None}


@pytest.mark.parametrize("named", [True, False], ids=["named in the form", "named by the path"])
def test_an_older_client_is_told_of_errors_in_xml(aws, named):
    path = f"/{aws.account}/gone"
    members = {"QueueUrl": aws.endpoint + path} if named else {}
    status, refused = form(aws, "ReceiveMessage", "/" if named else path, **members)
    assert (status, refused.tag) == (
        400, "{http://queue.amazonaws.com/doc/2012-11-05/}ErrorResponse")
    assert texts(refused, "Code") == ["AWS.SimpleQueueService.NonExistentQueue"]
    assert texts(refused, "Type") == ["Sender"]


def test_an_older_client_may_call_at_the_path_of_the_queue(aws):
    url = make_queue(aws)
    status, _ = form(aws, "SendMessage", f"/{aws.account}/q", MessageBody="m")
    assert status == 200
    status, received = form(aws, "ReceiveMessage", f"/{aws.account}/q")
    assert (status, texts(received, "Body")) == (200, ["m"])
    assert receive(aws, url) == [], "it is in flight"


# EventBridge.

def test_a_rule_of_the_bus_tells_its_targets_and_a_target_its_rules(aws):
    """EventBridge API Reference, "ListTargetsByRule" and "ListRuleNamesByTarget"."""
    target = {"Id": "queue", "Arn": aws.queue_arn("q")}
    for name in ("one", "two", "three"):
        aws.events.put_rule(Name=name, EventPattern='{"source": ["a"]}')
    for name in ("one", "two"):
        aws.events.put_targets(Rule=name, Targets=[target])
    assert aws.events.list_targets_by_rule(Rule="one")["Targets"] == [target]
    assert aws.events.list_targets_by_rule(Rule="three")["Targets"] == []
    told = aws.events.list_rule_names_by_target(TargetArn=target["Arn"])["RuleNames"]
    assert sorted(told) == ["one", "two"]
    refused = refusal(aws.events.list_targets_by_rule, Rule="none")
    assert refused.code == "ResourceNotFoundException"


def test_a_pattern_can_be_tried(aws):
    """EventBridge API Reference, "TestEventPattern"."""
    event = {"id": "1", "account": aws.account, "source": "aws.s3", "region": aws.region,
             "time": "2026-01-01T00:00:00Z", "resources": [], "detail-type": "t", "detail": {}}

    def tried(**pattern):
        return aws.events.test_event_pattern(EventPattern=json.dumps(pattern),
                                             Event=json.dumps(event))["Result"]

    assert tried(source=["aws.s3"]) is True
    assert tried(source=["aws.s3"], region=["eu-west-1"]) is False
    refused = refusal(aws.events.test_event_pattern, EventPattern="[]", Event=json.dumps(event))
    assert refused.code == "InvalidEventPatternException"


def test_a_bus_has_tags(aws):
    made = aws.events.create_event_bus(Name="mine", Tags=[{"Key": "app", "Value": "healer"}])
    told = aws.events.list_tags_for_resource(ResourceARN=made["EventBusArn"])
    assert told["Tags"] == [{"Key": "app", "Value": "healer"}]
    default = made["EventBusArn"].replace("mine", "default")
    assert aws.events.list_tags_for_resource(ResourceARN=default)["Tags"] == []


def test_a_rule_with_a_schedule_is_refused_by_name(aws):
    refused = refusal(aws.events.put_rule, Name="hourly", ScheduleExpression="rate(1 hour)")
    assert refused.code == "NotImplemented" and "ScheduleExpression" in refused.message


def test_a_rule_of_the_bus_has_a_description_and_tags(aws):
    made = aws.events.put_rule(Name="r", EventPattern='{"source": ["a"]}', Description="failures",
                               Tags=[{"Key": "app", "Value": "healer"}])
    rule = made["RuleArn"]
    assert aws.events.describe_rule(Name="r")["Description"] == "failures"
    aws.events.tag_resource(ResourceARN=rule, Tags=[{"Key": "team", "Value": "storage"}])
    told = aws.events.list_tags_for_resource(ResourceARN=rule)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in told} == {"app": "healer", "team": "storage"}
    aws.events.untag_resource(ResourceARN=rule, TagKeys=["app"])
    told = aws.events.list_tags_for_resource(ResourceARN=rule)["Tags"]
    assert told == [{"Key": "team", "Value": "storage"}]


# IAM.

def test_a_role_is_changed(aws):
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(BATCH_SERVICE),
                        Description="old")
    aws.iam.update_role(RoleName="r", Description="new", MaxSessionDuration=7_200)
    told = aws.iam.get_role(RoleName="r")["Role"]
    assert (told["Description"], told["MaxSessionDuration"]) == ("new", 7_200)
    refused = refusal(aws.iam.update_role, RoleName="none", Description="new")
    assert refused.code == "NoSuchEntity"


def test_the_tags_of_a_role_are_told_and_removed(aws):
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(BATCH_SERVICE),
                        Tags=[{"Key": "app", "Value": "healer"}])
    aws.iam.tag_role(RoleName="r", Tags=[{"Key": "team", "Value": "storage"}])
    told = aws.iam.list_role_tags(RoleName="r")["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in told} == {"app": "healer", "team": "storage"}
    aws.iam.untag_role(RoleName="r", TagKeys=["app"])
    assert aws.iam.list_role_tags(RoleName="r")["Tags"] == [{"Key": "team", "Value": "storage"}]


def test_a_role_is_in_no_instance_profile(aws):
    """What tools ask before they delete a role."""
    aws.role("r", BATCH_SERVICE)
    assert aws.iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"] == []
    refused = refusal(aws.iam.list_instance_profiles_for_role, RoleName="none")
    assert refused.code == "NoSuchEntity"


def test_a_policy_tells_which_roles_have_it(aws):
    """IAM API Reference, "ListEntitiesForPolicy"."""
    mine = aws.iam.create_policy(
        PolicyName="mine", PolicyDocument=policy(allow("s3:*", "*")))["Policy"]["Arn"]
    for name in ("one", "two", "other"):
        aws.role(name, REPLICATION_SERVICE)
    for name in ("one", "two"):
        aws.iam.attach_role_policy(RoleName=name, PolicyArn=mine)
    told = aws.iam.list_entities_for_policy(PolicyArn=mine)
    assert {role["RoleName"] for role in told["PolicyRoles"]} == {"one", "two"}
    assert told["PolicyUsers"] == told["PolicyGroups"] == []
    assert aws.iam.get_policy(PolicyArn=mine)["Policy"]["AttachmentCount"] == 2


# KMS.

def test_the_tags_of_a_key_are_set_told_and_removed(aws):
    key = aws.key(Tags=[{"TagKey": "app", "TagValue": "healer"}])
    aws.kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "storage"}])
    told = aws.kms.list_resource_tags(KeyId=key)["Tags"]
    assert {tag["TagKey"]: tag["TagValue"] for tag in told} == {"app": "healer", "team": "storage"}
    aws.kms.untag_resource(KeyId=key, TagKeys=["app"])
    assert aws.kms.list_resource_tags(KeyId=key)["Tags"] == [
        {"TagKey": "team", "TagValue": "storage"}]


def test_the_rotation_of_a_key_is_switched_and_told(aws):
    key = aws.key()
    assert aws.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    aws.kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=100)
    told = aws.kms.get_key_rotation_status(KeyId=key)
    assert (told["KeyRotationEnabled"], told["RotationPeriodInDays"]) == (True, 100)
    aws.kms.disable_key_rotation(KeyId=key)
    assert aws.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def test_a_key_that_is_no_symmetric_one_is_not_made(aws):
    """Nothing of AWS, which makes them: better none than another than was asked for."""
    for members in ({"KeySpec": "RSA_2048"}, {"KeyUsage": "SIGN_VERIFY"}, {"MultiRegion": True}):
        assert refusal(aws.kms.create_key, **members).code == "NotImplemented", members
    assert aws.kms.list_keys()["Keys"] == []
    made = aws.kms.create_key()["KeyMetadata"]
    assert made["CustomerMasterKeySpec"] == made["KeySpec"] == "SYMMETRIC_DEFAULT"


def test_an_alias_is_given_to_another_key(aws):
    """AWS KMS API Reference, "UpdateAlias" and "ListAliases"."""
    first, second = aws.key(), aws.key()
    for name in ("alias/one", "alias/two"):
        aws.kms.create_alias(AliasName=name, TargetKeyId=first)

    def names(key):
        return [each["AliasName"] for each in aws.kms.list_aliases(KeyId=key)["Aliases"]]

    assert (names(first), names(second)) == (["alias/one", "alias/two"], [])
    aws.kms.update_alias(AliasName="alias/two", TargetKeyId=second)
    assert (names(first), names(second)) == (["alias/one"], ["alias/two"])
    assert aws.kms.describe_key(KeyId="alias/two")["KeyMetadata"]["Arn"] == second
    refused = refusal(aws.kms.update_alias, AliasName="alias/none", TargetKeyId=second)
    assert refused.code == "NotFoundException"


# S3: what a bucket has, and what it never has.

@pytest.mark.parametrize("call, members, code", [
    ("get_bucket_cors", {}, "NoSuchCORSConfiguration"),
    ("get_bucket_website", {}, "NoSuchWebsiteConfiguration"),
    ("get_bucket_policy_status", {}, "NoSuchBucketPolicy"),
    ("get_bucket_metrics_configuration", {"Id": "all"}, "NoSuchConfiguration"),
    ("get_bucket_analytics_configuration", {"Id": "all"}, "NoSuchConfiguration"),
    ("get_bucket_inventory_configuration", {"Id": "all"}, "NoSuchConfiguration"),
])
def test_what_a_bucket_never_has_is_not_found(pair, call, members, code):
    """S3 API Reference, the errors of these calls: what tools that describe buckets expect."""
    refused = refusal(getattr(pair.s3, call), Bucket=SOURCE, **members)
    assert (refused.code, refused.status) == (code, 404)
    refused = refusal(getattr(pair.s3, call), Bucket="nowhere", **members)
    assert (refused.code, refused.status) == ("NoSuchBucket", 404)


@pytest.mark.parametrize("call, told", [
    ("get_bucket_accelerate_configuration", {}), ("get_bucket_logging", {}),
    ("get_bucket_request_payment", {"Payer": "BucketOwner"}),
    ("list_bucket_metrics_configurations", {"IsTruncated": False}),
    ("list_bucket_analytics_configurations", {"IsTruncated": False}),
    ("list_bucket_inventory_configurations", {"IsTruncated": False}),
])
def test_what_a_bucket_never_has_is_told_as_none(pair, call, told):
    answer = getattr(pair.s3, call)(Bucket=SOURCE)
    del answer["ResponseMetadata"]
    assert answer == told
    refused = refusal(getattr(pair.s3, call), Bucket="nowhere")
    assert (refused.code, refused.status) == ("NoSuchBucket", 404)


def test_the_policy_of_a_bucket_makes_nothing_public(pair):
    pair.bucket_policy(SOURCE, dict(allow("s3:GetObject", arn(SOURCE, "*")), Principal="*"))
    told = pair.s3.get_bucket_policy_status(Bucket=SOURCE)["PolicyStatus"]
    assert told == {"IsPublic": False}


def test_ownership_controls_that_were_deleted_are_not_found(pair):
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    pair.s3.put_bucket_ownership_controls(Bucket=SOURCE, OwnershipControls=controls)
    told = pair.s3.get_bucket_ownership_controls(Bucket=SOURCE)["OwnershipControls"]
    assert told == controls
    pair.s3.delete_bucket_ownership_controls(Bucket=SOURCE)
    refused = refusal(pair.s3.get_bucket_ownership_controls, Bucket=SOURCE)
    assert (refused.code, refused.status) == ("OwnershipControlsNotFoundError", 404)


@pytest.mark.parametrize("members", [
    {"BucketKeyEnabled": True}, {"BucketKeyEnabled": False},
], ids=["with a bucket key", "without one"])
def test_the_default_encryption_of_a_bucket_is_read_as_it_was_written(pair, members):
    """S3 API Reference, "PutBucketEncryption": a key that is not named is not made up."""
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, **members}
    pair.s3.put_bucket_encryption(Bucket=SOURCE, ServerSideEncryptionConfiguration={
        "Rules": [rule]})
    told, = pair.s3.get_bucket_encryption(Bucket=SOURCE)[
        "ServerSideEncryptionConfiguration"]["Rules"]
    assert {name: told[name] for name in rule} == rule


def test_a_bucket_whose_owner_owns_all_takes_no_acl(pair):
    """S3 User Guide, "Controlling ownership of objects and disabling ACLs": every new bucket."""
    for acl in ("private", "public-read"):
        refused = refusal(pair.s3.put_bucket_acl, Bucket=SOURCE, ACL=acl)
        assert (refused.code, refused.status) == ("AccessControlListNotSupported", 400), acl
    pair.s3.put_bucket_ownership_controls(Bucket=SOURCE, OwnershipControls={
        "Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    pair.s3.put_bucket_acl(Bucket=SOURCE, ACL="private")


def test_a_bucket_is_made_with_its_tags_and_s3_control_changes_them(aws):
    """S3 API Reference, "CreateBucketConfiguration", "TagResource": as newer Terraform does it."""
    aws.s3.create_bucket(Bucket="tagged", CreateBucketConfiguration={
        "Tags": [{"Key": "app", "Value": "healer"}]})

    def tags():
        told = aws.s3control.list_tags_for_resource(AccountId=aws.account,
                                                    ResourceArn=arn("tagged"))
        return {tag["Key"]: tag["Value"] for tag in told.get("Tags", [])}

    assert tags() == {"app": "healer"}
    names = {"AccountId": aws.account, "ResourceArn": arn("tagged")}
    aws.s3control.tag_resource(**names, Tags=[{"Key": "team", "Value": "storage"}])
    aws.s3control.untag_resource(**names, TagKeys=["app"])
    assert tags() == {"team": "storage"}
    assert aws.s3.get_bucket_tagging(Bucket="tagged")["TagSet"] == [
        {"Key": "team", "Value": "storage"}]


# S3: objects and uploads.

def test_an_object_tells_when_and_by_which_rule_it_expires(pair):
    """S3 API Reference, "GetObject", "PutObject": x-amz-expiration."""
    pair.lifecycle(SOURCE, ID="three days", Expiration={"Days": 3}, Filter={"Prefix": "a/"})
    written = pair.s3.put_object(Bucket=SOURCE, Key="a/k", Body=b"x")
    told = pair.head("a/k")["Expiration"]
    assert told == written["Expiration"]
    assert told.endswith(' 00:00:00 GMT", rule-id="three%20days"')
    assert "Expiration" not in pair.s3.put_object(Bucket=SOURCE, Key="b/k", Body=b"x")


def test_the_plus_in_the_source_of_a_copy_is_a_space(pair):
    """As S3 takes it (aws-sdk-js issue 1821); boto3 encodes it, others do not."""
    pair.put("a b")
    pair.put("c+d")
    for source, status in (("a+b", 200), ("c%2Bd", 200), ("c+d", 404)):
        answer = pair.raw("PUT", f"/{SOURCE}/copy", x_amz_copy_source=f"{SOURCE}/{source}",
                          Content_Length="0")
        assert answer.status == status, source


def test_a_version_is_deleted_without_a_condition(pair):
    """As has been reported of S3; what was to be kept must not be deleted."""
    version = pair.put("k")
    refused = refusal(pair.s3.delete_object, Bucket=SOURCE, Key="k", VersionId=version,
                      IfMatch="*")
    assert (refused.code, refused.status) == ("NotImplemented", 501)
    assert pair.versions(SOURCE) == {("k", version)}


def completed(pair, begun, part):
    """Completes an upload of one part, named so."""
    return pair.s3.complete_multipart_upload(
        Bucket=SOURCE, Key="k", UploadId=begun["UploadId"], MultipartUpload={"Parts": [part]})


def test_the_parts_of_an_upload_with_a_checksum_are_named_by_theirs(pair):
    """S3 User Guide, "Checking object integrity"."""
    begun = pair.s3.create_multipart_upload(Bucket=SOURCE, Key="k", ChecksumAlgorithm="CRC32")
    sent = pair.s3.upload_part(Bucket=SOURCE, Key="k", UploadId=begun["UploadId"], PartNumber=1,
                               Body=b"x", ChecksumAlgorithm="CRC32")
    part = {"PartNumber": 1, "ETag": sent["ETag"]}
    missing = refusal(completed, pair, begun, part)
    assert missing.code == "InvalidRequest"
    assert "The complete request must include the checksum for each part" in missing.message
    wrong = refusal(completed, pair, begun, {**part, "ChecksumCRC32": "AAAAAA=="})
    assert wrong.code == "InvalidPart"
    completed(pair, begun, {**part, "ChecksumCRC32": sent["ChecksumCRC32"]})
    assert pair.read("k", SOURCE) == b"x"


def test_a_listing_tells_whole_seconds_as_head_object_does(pair):
    pair.advance(ms=345)
    pair.put("k")
    at = pair.head("k")["LastModified"]
    for call, name in (("list_objects", "Contents"), ("list_objects_v2", "Contents"),
                       ("list_object_versions", "Versions")):
        told, = getattr(pair.s3, call)(Bucket=SOURCE)[name]
        assert told["LastModified"] == at, call


def test_an_upload_tells_its_encryption(pair):
    key = pair.key()
    names = {"Bucket": SOURCE, "Key": "k"}
    begun = pair.s3.create_multipart_upload(**names)
    assert begun["ServerSideEncryption"] == "AES256"
    begun = pair.s3.create_multipart_upload(
        **names, ServerSideEncryption="aws:kms", SSEKMSKeyId=key, BucketKeyEnabled=True)
    part = pair.s3.upload_part(**names, UploadId=begun["UploadId"], PartNumber=1, Body=b"x")
    for told in (begun, part):
        assert (told["ServerSideEncryption"], told["SSEKMSKeyId"], told["BucketKeyEnabled"]) == (
            "aws:kms", key, True)


def test_a_part_of_an_upload_under_a_key_of_the_customer_brings_the_key(pair):
    """S3 API Reference, "UploadPart": the same headers as in CreateMultipartUpload."""
    key = b"k" * 32
    customer = {"SSECustomerAlgorithm": "AES256",
                "SSECustomerKey": base64.b64encode(key).decode(),
                "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode()}
    names = {"Bucket": SOURCE, "Key": "k"}
    begun = pair.s3.create_multipart_upload(**names, **customer)
    assert begun["SSECustomerKeyMD5"] == customer["SSECustomerKeyMD5"]
    part = {**names, "UploadId": begun["UploadId"], "PartNumber": 1, "Body": b"x"}
    assert refusal(pair.s3.upload_part, **part).status == 400
    told = pair.s3.upload_part(**part, **customer)
    assert told["SSECustomerKeyMD5"] == customer["SSECustomerKeyMD5"]


def test_a_deletion_that_expects_an_object_finds_none(pair):
    """S3 User Guide, "How to perform conditional deletes"."""
    refused = refusal(pair.s3.delete_object, Bucket=SOURCE, Key="none", IfMatch="*")
    assert refused.status == 404
    assert pair.markers(SOURCE) == set()


def test_a_checksum_that_is_not_computed_is_refused(pair):
    """Nothing of AWS, which has them: better no object than one that was not checked."""
    digest = base64.b64encode(hashlib.sha512(b"x").digest()).decode()
    answer = pair.raw("PUT", f"/{SOURCE}/k", b"x", x_amz_checksum_sha512=digest)
    assert answer.status == 501
    assert b"<Code>NotImplemented</Code>" in answer.data
    assert pair.keys(SOURCE) == set()


@pytest.mark.parametrize("stranger", [
    {"key": OTHER_ACCOUNT}, {"secret": "wrong"},
], ids=["of another account", "with a wrong secret"])
def test_a_bucket_tells_its_region_also_to_whom_it_lets_in_nowhere(pair, stranger):
    """S3 API Reference, "HeadBucket"; SDKs find the Region of a bucket so."""
    pair.bucket("faraway", region="eu-west-1")
    answer = pair.raw("HEAD", "/faraway", **stranger)
    assert (answer.status, answer.headers["x-amz-bucket-region"]) == (403, "eu-west-1")


@pytest.mark.parametrize("path", [
    f"/{SOURCE}/k?versionId=", f"/{SOURCE}?encoding-type=foo",
    f"/{SOURCE}?list-type=2&encoding-type=foo", f"/{SOURCE}?versions&encoding-type=foo",
])
def test_a_parameter_that_cannot_be_is_refused(pair, path):
    pair.put("k")
    answer = pair.raw("GET", path)
    assert answer.status == 400
    assert b"<Code>InvalidArgument</Code>" in answer.data
