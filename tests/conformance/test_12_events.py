"""Events: those of a bucket's replication to its queue (S3 User Guide, "Receiving replication
failure events with Amazon S3 Event Notifications"), and those of jobs and configurations on the
event bus, where a trail puts them (S3 User Guide, "Tracking an S3 Batch Operations job in Amazon
EventBridge through AWS CloudTrail")."""

import json
import re
from collections import Counter

import pytest

from cloud import DESTINATION, SOURCE, arn, generator, refusal, rule, timed

FAILED = "Replication:OperationFailedReplication"


def fail(pair, *keys, **members):
    """Writes objects that cannot be replicated; returns the version id of the last."""
    pair.forbid("replication", "s3:ReplicateObject")
    version = None
    for key in keys:
        version = pair.put(key, **members)
    pair.settle()
    return version


# To the queue.

def test_a_failure_event_says_what_the_user_guide_says(pair):
    url = pair.listen("s3:Replication:OperationFailedReplication")
    pair.replicate()
    version = fail(pair, "k", body=b"12345")
    head = pair.head("k")
    record, = pair.records(url)
    assert (record["eventName"], record["eventSource"]) == (FAILED, "aws:s3")
    assert record["awsRegion"] == pair.region
    assert record["eventVersion"].startswith("2.")
    assert record["userIdentity"] == {"principalId": "s3.amazonaws.com"}
    assert record["requestParameters"] == {"sourceIPAddress": "s3.amazonaws.com"}
    assert record["responseElements"].keys() == {"x-amz-request-id", "x-amz-id-2"}
    told = record["s3"]
    assert (told["s3SchemaVersion"], told["configurationId"]) == ("1.0", "healer")
    assert told["bucket"] == {"name": SOURCE, "arn": arn(SOURCE),
                              "ownerIdentity": {"principalId": pair.account}}
    assert re.fullmatch("[0-9A-F]+", told["object"].pop("sequencer"))
    assert told["object"] == {"key": "k", "size": 5, "eTag": head["ETag"].strip('"'),
                              "versionId": version}
    data = record["replicationEventData"]
    assert data["replicationRuleId"] == "rule"
    assert data["destinationBucket"] == arn(DESTINATION)
    assert data["s3Operation"] == "OBJECT_PUT"
    assert data["failureReason"] == "DstPutObjectNotPermitted"
    assert data["requestTime"] <= record["eventTime"]


def test_an_object_that_is_replicated_sends_no_event(pair):
    url = pair.listen()
    pair.replicate(rule(**timed()))
    pair.put("k")
    pair.settle()
    assert pair.status_of("k") == "COMPLETED"
    assert pair.messages(url) == []


@pytest.mark.parametrize("event, name", [
    ("s3:Replication:OperationFailedReplication", FAILED),
    ("s3:Replication:OperationMissedThreshold", "Replication:OperationMissedThreshold"),
    ("s3:Replication:OperationReplicatedAfterThreshold",
     "Replication:OperationReplicatedAfterThreshold"),
    ("s3:Replication:OperationNotTracked", "Replication:OperationNotTracked"),
])
def test_each_event_reaches_the_queue_that_asked_for_it_alone(pair, event, name):
    pair.settings(replication_delay_ms=20 * 60_000)
    url = pair.listen(event)
    pair.replicate(rule("destination", id="timed", prefix="timed/", **timed()),
                   rule("destination", id="metered", priority=2, prefix="metered/"))
    pair.forbid("replication", "s3:ReplicateObject", arn(DESTINATION, "timed/failed"))
    pair.put("timed/failed")
    pair.put("timed/late")
    pair.put("metered/untracked")
    pair.advance(minutes=16)
    # An object that is eligible and is no longer tracked: its rule has lost the metrics.
    pair.replicate(rule("destination", id="timed", prefix="timed/", **timed()),
                   rule("destination", id="metered", priority=2, prefix="metered/",
                        metrics=False))
    pair.settle()
    records = pair.records(url)
    assert records and {record["eventName"] for record in records} == {name}


def test_an_event_that_is_no_failure_has_no_reason(pair):
    pair.settings(replication_delay_ms=20 * 60_000)
    url = pair.listen()
    pair.replicate(rule(**timed()))
    pair.put("k")
    pair.settle()
    records = pair.records(url)
    assert len(records) == 2
    assert all("failureReason" not in record["replicationEventData"] for record in records)


@pytest.mark.parametrize("key, text", [
    ("red flower.jpg", "red+flower.jpg"), ("a+b", "a%2Bb"), ("a/b", "a/b"), ("ä", "%C3%A4"),
    ("100%", "100%25"), ("a,b", "a%2Cb"),
])
def test_the_key_of_an_event_is_encoded_as_a_form(pair, key, text):
    """S3 User Guide, "Event message structure": not as a manifest encodes it."""
    url = pair.listen()
    pair.replicate()
    fail(pair, key)
    record, = pair.records(url)
    assert record["s3"]["object"]["key"] == text


def test_each_rule_that_fails_sends_an_event_of_its_own(pair):
    pair.bucket("second")
    url = pair.listen()
    pair.replicate(rule(id="first"), rule("second", id="second", priority=2))
    fail(pair, "k")
    rules = [record["replicationEventData"]["replicationRuleId"] for record in pair.records(url)]
    assert sorted(rules) == ["first", "second"]


def test_the_sequencers_of_a_key_are_in_the_order_of_its_versions(pair):
    url = pair.listen()
    pair.replicate()
    versions = [fail(pair, "k") for _ in range(3)]
    told = {record["s3"]["object"]["versionId"]: record["s3"]["object"]["sequencer"]
            for record in pair.records(url)}
    sequencers = [told[version].zfill(32) for version in versions]
    assert sequencers == sorted(sequencers) and len(set(sequencers)) == 3


def test_a_filter_of_the_notification_chooses_the_keys(pair):
    url = pair.queue()
    pair.notify([{
        "QueueArn": pair.queue_arn(), "Events": ["s3:Replication:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "a/"},
                                           {"Name": "suffix", "Value": ".txt"}]}}}])
    pair.replicate()
    fail(pair, "a/1.txt", "a/2.csv", "b/1.txt")
    assert [record["s3"]["object"]["key"] for record in pair.records(url)] == ["a/1.txt"]


@pytest.mark.parametrize("told", [True, False])
def test_a_failed_task_of_a_job_may_send_an_event(pair, told):
    """Whether it does, AWS does not say: either is to be had."""
    pair.settings(batch_failure_events=told)
    version = pair.put("k")
    url = pair.listen()
    pair.replicate()
    pair.forbid("replication", "s3:ReplicateObject")
    pair.run_job(Manifest=pair.manifest([(SOURCE, "k", version)]))
    pair.settle()
    assert pair.reasons(url) == (["DstPutObjectNotPermitted"] if told else [])


# The document.

def test_a_test_event_is_sent_when_the_document_is_put(pair):
    url = pair.queue()
    pair.notify([{"QueueArn": pair.queue_arn(), "Events": ["s3:Replication:*"]}], validate=True)
    pair.settle()
    message, = pair.messages(url)
    assert (message["Service"], message["Event"]) == ("Amazon S3", "s3:TestEvent")
    assert message["Bucket"] == SOURCE and "Records" not in message
    assert {"Time", "RequestId", "HostId"} <= message.keys()


def test_no_test_event_is_sent_where_the_validation_is_skipped(pair):
    url = pair.listen()
    pair.settle()
    assert pair.messages(url) == []


def test_a_document_replaces_the_one_before(pair):
    first = pair.listen(name="first")
    second = pair.listen(name="second")
    pair.replicate()
    fail(pair, "k")
    assert (len(pair.records(first)), len(pair.records(second))) == (0, 1)
    told = pair.s3.get_bucket_notification_configuration(Bucket=SOURCE)
    assert [each["QueueArn"] for each in told["QueueConfigurations"]] == [
        pair.queue_arn("second")]
    pair.notify([])
    told = pair.s3.get_bucket_notification_configuration(Bucket=SOURCE)
    assert "QueueConfigurations" not in told


def test_a_document_is_read_as_it_was_written(pair):
    pair.queue()
    document = {
        "QueueConfigurations": [{
            "Id": "healer", "QueueArn": pair.queue_arn(),
            "Events": ["s3:Replication:OperationFailedReplication"],
            "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "a/"}]}}}],
        "TopicConfigurations": [{
            "Id": "topic", "TopicArn": f"arn:aws:sns:{pair.region}:{pair.account}:topic",
            "Events": ["s3:ObjectCreated:*"]}],
        "EventBridgeConfiguration": {},
    }
    pair.s3.put_bucket_notification_configuration(
        Bucket=SOURCE, NotificationConfiguration=document, SkipDestinationValidation=True)
    told = pair.s3.get_bucket_notification_configuration(Bucket=SOURCE)
    assert {name: told[name] for name in document} == document


def wrong_documents(pair):
    """What PutBucketNotificationConfiguration refuses (S3 User Guide, "Configuring event
    notifications using object key name filtering" and "Supported event destinations")."""
    queue = {"QueueArn": pair.queue_arn(), "Events": ["s3:Replication:*"]}
    one = {"QueueArn": pair.queue_arn(),
           "Events": ["s3:Replication:OperationFailedReplication"]}
    missing = {**queue, "QueueArn": pair.queue_arn("nowhere")}
    fifo = {**queue, "QueueArn": pair.queue_arn("events.fifo")}

    def at(prefix):
        return {**one, "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}}

    return {
        "a queue that is not there": [missing],
        "a FIFO queue": [fifo],
        "an unknown event": [{**queue, "Events": ["s3:Replication:Everything"]}],
        "one event twice": [one, one],
        "an event and its family": [queue, one],
        "overlapping prefixes": [at("a/"), at("a/b/")],
        "one id twice": [{**at("a/"), "Id": "x"}, {**at("b/"), "Id": "x"}],
        "two prefixes": [{**one, "Filter": {"Key": {"FilterRules": [
            {"Name": "prefix", "Value": each} for each in ("a/", "b/")]}}}],
    }


@pytest.mark.parametrize("case", [
    "a queue that is not there", "a FIFO queue", "an unknown event", "one event twice",
    "an event and its family", "overlapping prefixes", "one id twice", "two prefixes",
])
def test_a_wrong_document_is_refused_and_the_old_one_stays(pair, case):
    pair.listen("s3:ObjectRemoved:*")
    refused = refusal(pair.notify, wrong_documents(pair)[case], validate=True)
    assert (refused.code, refused.status) == ("InvalidArgument", 400)
    told = pair.s3.get_bucket_notification_configuration(Bucket=SOURCE)
    assert [each["Events"] for each in told["QueueConfigurations"]] == [["s3:ObjectRemoved:*"]]


def test_prefixes_that_do_not_overlap_may_have_queues_of_their_own(pair):
    for name in ("first", "second"):
        pair.queue(name)
    pair.notify([
        {"QueueArn": pair.queue_arn(name), "Events": ["s3:Replication:*"],
         "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}}
        for name, prefix in (("first", "a/"), ("second", "b/"))])
    pair.replicate()
    fail(pair, "a/1", "b/1")
    for name, key in (("first", "a/1"), ("second", "b/1")):
        url = pair.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        assert [record["s3"]["object"]["key"] for record in pair.records(url)] == [key]


def test_a_queue_whose_policy_does_not_let_s3_send_is_refused(pair):
    """S3 User Guide, "Granting permissions to publish event notification messages"."""
    pair.sqs.create_queue(QueueName="closed")
    refused = refusal(pair.notify, [{"QueueArn": pair.queue_arn("closed"),
                                     "Events": ["s3:Replication:*"]}], validate=True)
    assert (refused.code, refused.status) == ("InvalidArgument", 400)
    assert "Unable to validate the following destination configurations" in refused.message


# Delivery.

def test_an_event_may_come_twice(pair):
    pair.faults(duplicate_per_mille=1_000)
    url = pair.listen()
    pair.replicate()
    fail(pair, "k")
    records = pair.records(url)
    assert len(records) >= 2
    assert len({record["s3"]["object"]["sequencer"] for record in records}) == 1


def test_every_event_comes_at_least_once_in_any_order(pair):
    pair.faults(duplicate_per_mille=300, reorder_per_mille=500)
    url = pair.listen()
    pair.replicate()
    keys = [f"{at:03}" for at in range(60)]
    fail(pair, *keys)
    # What waits behind a moment of its own is taken later.
    got = []
    for _ in range(5):
        got += [record["s3"]["object"]["key"] for record in pair.records(url)]
        pair.advance(minutes=2)
    assert set(got) == set(keys)
    assert got != sorted(got), "reordered"
    assert max(Counter(got).values()) > 1, "doubled"


def test_without_faults_every_event_comes_once(pair):
    url = pair.listen()
    pair.replicate()
    keys = [f"{at:03}" for at in range(30)]
    fail(pair, *keys)
    assert sorted(record["s3"]["object"]["key"] for record in pair.records(url)) == keys


def test_a_message_that_is_not_deleted_comes_again(pair):
    url = pair.listen()
    pair.replicate()
    fail(pair, "k")
    first, = pair.sqs.receive_message(QueueUrl=url, VisibilityTimeout=60)["Messages"]
    assert "Messages" not in pair.sqs.receive_message(QueueUrl=url)
    pair.advance(minutes=2)
    second, = pair.sqs.receive_message(QueueUrl=url)["Messages"]
    assert (second["MessageId"], second["Body"]) == (first["MessageId"], first["Body"])


# On the bus.

JOB_EVENTS = {
    "source": ["aws.s3"], "detail-type": ["AWS Service Event via CloudTrail"],
    "detail": {"eventSource": ["s3.amazonaws.com"],
               "eventName": ["JobCreated", "JobStatusChanged"]},
}
CONFIGURATION_EVENTS = {
    "source": ["aws.s3"], "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {"eventSource": ["s3.amazonaws.com"],
               "eventName": ["PutBucketReplication", "DeleteBucketReplication"]},
}


def test_the_bus_is_told_of_every_state_of_a_job(pair):
    url = pair.on_bus(JOB_EVENTS)
    pair.put("k")
    pair.replicate()
    job_id = pair.create_job()
    pair.settle()
    events = pair.messages(url)
    told = [(event["detail"]["eventName"], event["detail"]["serviceEventDetails"]["status"])
            for event in events]
    assert Counter(told) == Counter([
        ("JobCreated", "New"), *(("JobStatusChanged", state) for state in (
            "Preparing", "Ready", "Active", "Completing", "Complete"))])
    details = [event["detail"]["serviceEventDetails"] for event in events]
    assert {each["jobId"] for each in details} == {job_id}
    assert len({each["jobEventId"] for each in details}) == len(details)


def test_a_job_event_says_what_the_user_guide_says(pair):
    pattern = {**JOB_EVENTS, "detail": {"serviceEventDetails": {"status": ["Complete"]}}}
    url = pair.on_bus(pattern)
    pair.put("k")
    pair.replicate()
    job = pair.run_job()
    pair.settle()
    event, = pair.messages(url)
    assert event["version"] == "0" and event["resources"] == []
    assert event["detail-type"] == "AWS Service Event via CloudTrail"
    assert (event["source"], event["region"]) == ("aws.s3", pair.region)
    detail = event["detail"]
    expected = {"eventSource": "s3.amazonaws.com", "eventName": "JobStatusChanged",
                "awsRegion": pair.region, "sourceIPAddress": "s3.amazonaws.com",
                "userAgent": "s3.amazonaws.com", "readOnly": False,
                "eventType": "AwsServiceEvent"}
    assert {name: detail[name] for name in expected} == expected
    assert detail["userIdentity"]["invokedBy"] == "s3.amazonaws.com"
    details = detail["serviceEventDetails"]
    assert (details["jobId"], details["jobArn"], details["status"]) == (
        job["JobId"], job["JobArn"], "Complete")
    assert details["failureCodes"] == [] and details["statusChangeReason"] == []


def test_the_bus_is_told_of_a_job_that_failed(pair):
    pattern = {**JOB_EVENTS, "detail": {"serviceEventDetails": {"status": ["Failed"]}}}
    url = pair.on_bus(pattern)
    pair.replicate()
    job = pair.run_job(ManifestGenerator=generator("FAILED"))
    pair.settle()
    event, = pair.messages(url)
    assert event["detail"]["serviceEventDetails"]["jobId"] == job["JobId"]
    assert isinstance(event["detail"]["serviceEventDetails"]["failureCodes"], list)


def test_the_bus_is_told_of_a_job_that_waits_and_is_cancelled(pair):
    url = pair.on_bus(JOB_EVENTS)
    pair.put("k")
    pair.replicate()
    job_id = pair.create_job(ConfirmationRequired=True)
    pair.wait_for(job_id, "Suspended")
    pair.ask(job_id, "Cancelled")
    pair.settle()
    states = Counter(event["detail"]["serviceEventDetails"]["status"]
                     for event in pair.messages(url))
    assert states == Counter(["New", "Preparing", "Suspended", "Cancelling", "Cancelled"])


def test_the_bus_is_told_of_a_configuration_with_one_rule(pair):
    """CloudTrail turns XML into JSON, in which one rule is an object."""
    url = pair.on_bus(CONFIGURATION_EVENTS)
    pair.replicate()
    pair.settle()
    event, = pair.messages(url)
    detail = event["detail"]
    assert detail["eventName"] == "PutBucketReplication"
    assert (detail["eventType"], detail["managementEvent"]) == ("AwsApiCall", True)
    assert detail["requestParameters"]["bucketName"] == SOURCE
    told = detail["requestParameters"]["ReplicationConfiguration"]
    assert told["Rule"]["Destination"]["Bucket"] == arn(DESTINATION)
    assert "errorCode" not in detail


def test_the_bus_is_told_of_a_configuration_with_several_rules(pair):
    url = pair.on_bus(CONFIGURATION_EVENTS)
    pair.replicate(rule(), rule(id="other", priority=2))
    pair.settle()
    event, = pair.messages(url)
    told = event["detail"]["requestParameters"]["ReplicationConfiguration"]
    assert [each["ID"] for each in told["Rule"]] == ["rule", "other"]


def test_the_bus_is_told_of_a_configuration_that_is_deleted(pair):
    url = pair.on_bus(CONFIGURATION_EVENTS)
    pair.replicate()
    pair.s3.delete_bucket_replication(Bucket=SOURCE)
    pair.settle()
    names = [event["detail"]["eventName"] for event in pair.messages(url)]
    assert sorted(names) == ["DeleteBucketReplication", "PutBucketReplication"]


def test_the_bus_is_told_of_a_configuration_that_was_refused(pair):
    """CloudTrail User Guide, "CloudTrail record contents": errorCode of a request that failed."""
    url = pair.on_bus(CONFIGURATION_EVENTS)
    refusal(pair.replicate, rule("nowhere"))
    pair.settle()
    event, = pair.messages(url)
    assert event["detail"]["errorCode"] == "InvalidRequest"


def test_a_pattern_leaves_out_what_was_refused(pair):
    pattern = {**CONFIGURATION_EVENTS, "detail": {
        **CONFIGURATION_EVENTS["detail"], "errorCode": [{"exists": False}]}}
    url = pair.on_bus(pattern)
    refusal(pair.replicate, rule("nowhere"))
    pair.replicate()
    pair.settle()
    assert len(pair.messages(url)) == 1


def test_no_replication_event_goes_to_the_bus(pair):
    """S3 User Guide, "Using EventBridge": replication is not among the types of events."""
    url = pair.on_bus({"source": ["aws.s3"], "detail": {"eventName": [{"prefix": "Replication"}]}})
    other = pair.on_bus({"source": ["aws.s3"], "detail-type": [{"prefix": "Object"}]}, "objects")
    pair.s3.put_bucket_notification_configuration(
        Bucket=SOURCE, NotificationConfiguration={"EventBridgeConfiguration": {}})
    pair.replicate()
    fail(pair, "k")
    assert pair.messages(url) == []
    assert not any("Replication" in json.dumps(event) for event in pair.messages(other))


def test_without_a_trail_the_bus_is_told_nothing(pair):
    """EventBridge User Guide, "AWS service events delivered via AWS CloudTrail": there has to be a
    trail."""
    pair.settings(trail=False)
    url = pair.on_bus(JOB_EVENTS)
    other = pair.on_bus(CONFIGURATION_EVENTS, "configurations")
    pair.put("k")
    pair.replicate()
    assert pair.run_job()["Status"] == "Complete"
    pair.settle()
    assert pair.messages(url) == pair.messages(other) == []


def test_a_disabled_rule_of_the_bus_passes_nothing_on(pair):
    url = pair.on_bus(CONFIGURATION_EVENTS)
    pair.events.disable_rule(Name="bus")
    pair.replicate()
    pair.settle()
    assert pair.messages(url) == []
    pair.events.enable_rule(Name="bus")
    pair.replicate()
    pair.settle()
    assert len(pair.messages(url)) == 1


def test_a_job_event_may_come_twice(pair):
    pair.faults(duplicate_per_mille=1_000)
    pattern = {**JOB_EVENTS, "detail": {"serviceEventDetails": {"status": ["Complete"]}}}
    url = pair.on_bus(pattern)
    pair.put("k")
    pair.replicate()
    pair.run_job()
    pair.settle()
    events = pair.messages(url)
    assert len(events) >= 2
    assert len({event["detail"]["serviceEventDetails"]["jobEventId"] for event in events}) == 1


def test_a_wrong_pattern_is_refused(pair):
    refused = refusal(pair.events.put_rule, Name="wrong", EventPattern='{"source": "aws.s3"}')
    assert refused.code == "InvalidEventPatternException"


def test_the_cli_sets_up_a_queue_and_its_notification(pair):
    """S3 User Guide, "Walkthrough: Configuring a bucket for notifications"."""
    url = pair.cli_ok("sqs", "create-queue", "--queue-name", "events")["QueueUrl"]
    told = pair.cli_ok("sqs", "get-queue-attributes", "--queue-url", url,
                       "--attribute-names", "QueueArn")
    queue_arn = told["Attributes"]["QueueArn"]
    permission = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": queue_arn,
        "Condition": {"ArnLike": {"aws:SourceArn": arn(SOURCE)},
                      "StringEquals": {"aws:SourceAccount": pair.account}}}]}
    pair.cli_ok("sqs", "set-queue-attributes", "--queue-url", url, "--attributes",
                {"Policy": json.dumps(permission)})
    pair.cli_ok("s3api", "put-bucket-notification-configuration", "--bucket", SOURCE,
                "--notification-configuration", {"QueueConfigurations": [
                    {"QueueArn": queue_arn,
                     "Events": ["s3:Replication:OperationFailedReplication"]}]})
    pair.replicate()
    fail(pair, "k")
    told = pair.cli_ok("sqs", "receive-message", "--queue-url", url,
                       "--max-number-of-messages", "10")
    bodies = [json.loads(message["Body"]) for message in told["Messages"]]
    assert sorted(body.get("Event", "") for body in bodies) == ["", "s3:TestEvent"]


def test_the_cli_is_told_of_a_queue_that_is_not_there(pair):
    answer = pair.cli(
        "s3api", "put-bucket-notification-configuration", "--bucket", SOURCE,
        "--notification-configuration", {"QueueConfigurations": [
            {"QueueArn": pair.queue_arn("nowhere"), "Events": ["s3:Replication:*"]}]})
    assert answer.code != 0
    assert "Unable to validate the following destination configurations" in answer.error


def test_the_cli_sets_up_a_rule_for_the_end_of_jobs(pair):
    url = pair.queue("ended")
    pair.cli_ok("events", "put-rule", "--name", "ended", "--event-pattern", {
        **JOB_EVENTS, "detail": {"serviceEventDetails": {
            "status": ["Complete", "Failed", "Cancelled"]}}})
    told = pair.cli_ok("events", "put-targets", "--rule", "ended", "--targets",
                       [{"Id": "queue", "Arn": pair.queue_arn("ended")}])
    assert told["FailedEntryCount"] == 0
    pair.put("k")
    pair.replicate()
    pair.run_job()
    pair.settle()
    event, = pair.messages(url)
    assert event["detail"]["serviceEventDetails"]["status"] == "Complete"
