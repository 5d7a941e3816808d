"""A replica breaks and heals through the deployed stack; see ./run.

What ministack 1.5 does otherwise than AWS, and what is done about it, stands where it is done: here, in stack.py and in
servers.py. What it leaves out altogether: a batching window (collect is called at once, with what is there), and the dead
letters of a rule's target (nothing here fails so).
"""

import argparse
import datetime
import hashlib
import json
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import servers
import stack
from servers import ACCOUNT, REGION, ask

STACK = "heal"
STATE = f"{STACK}-{ACCOUNT}-{REGION}"
SOURCE, REPLICA = "photos", "photos-replica"
OBJECTS = 20
# The keys of `resilver local`. ministack hands every function the account's id as its key, which `resilver local` takes as
# that account's key under the same secret: so it checks every signature.
SECRET = "resilver-local-secret"
SECONDS_MAX = 60


class Failed(Exception):
    """What was to happen did not."""


def wait(what, check, seconds=SECONDS_MAX):
    """What `check` gives, once it gives something."""
    until = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > until:
            raise Failed(f"not within {seconds} seconds: {what}")
        time.sleep(0.2)


def client(service, endpoint, key, secret, token=None):
    settings = Config(region_name=REGION, retries={"max_attempts": 2}, s3={"addressing_style": "path"})
    return boto3.client(service, endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret,
                        aws_session_token=token, config=settings)


class Cloud:
    """Both emulators as one account."""

    def __init__(self, there, local, functions_s3, chat):
        self.there, self.local, self.functions_s3, self.chat = there, local["endpoint"], functions_s3, chat
        for service in ("cloudformation", "events", "iam", "logs", "scheduler", "sqs"):
            setattr(self, service, client(service, there, "test", "test"))
        self.functions = client("lambda", there, "test", "test")
        self.code = client("s3", there, "test", "test")
        keys = local["access_key_id"], local["secret_access_key"]
        self.s3, self.local_iam, self.sts = (client(service, self.local, *keys) for service in ("s3", "iam", "sts"))
        self.sessions, self.roles = {}, set()

    # ---- what is there before the stack ---------------------------------------------------------------------------

    def buckets(self):
        """A source, its replica, and the state bucket: the stack's own is made in ministack's S3, where nobody looks."""
        for name in (SOURCE, REPLICA, STATE):
            self.s3.create_bucket(Bucket=name)
            self.version(name, "Enabled")
        arn = f"arn:aws:s3:::{SOURCE}"
        trust = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
        read = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
        write = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
        self.local_iam.create_role(RoleName="replication", AssumeRolePolicyDocument=document(trust))
        self.local_iam.put_role_policy(RoleName="replication", PolicyName="replicate", PolicyDocument=document(
            allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], arn),
            allow(read, f"{arn}/*"),
            allow(write, f"arn:aws:s3:::{REPLICA}/*")))
        rule = {"ID": "all", "Priority": 1, "Status": "Enabled", "Filter": {},
                "DeleteMarkerReplication": {"Status": "Disabled"},
                "Destination": {"Bucket": f"arn:aws:s3:::{REPLICA}", "Metrics": {"Status": "Enabled"}}}
        role = f"arn:aws:iam::{ACCOUNT}:role/replication"
        self.s3.put_bucket_replication(Bucket=SOURCE, ReplicationConfiguration={"Role": role, "Rules": [rule]})

    def version(self, bucket, status):
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    # ---- the stack ------------------------------------------------------------------------------------------------

    def deploy(self, template, functions, enforced):
        """Deploys the stack; its custom resource enrols the source."""
        self.code.create_bucket(Bucket="code")
        code = {}
        for name in stack.FUNCTIONS:
            self.code.put_object(Bucket="code", Key=f"{name}.zip", Body=stack.package(functions, name))
            code[name] = f"s3://code/{name}.zip"
        endpoints = {"AWS_ENDPOINT_URL": self.there, "AWS_ENDPOINT_URL_S3": self.functions_s3,
                     "AWS_ENDPOINT_URL_S3_CONTROL": self.functions_s3}
        text = stack.copy(stack.read(template), code, endpoints, servers.Relay.SOURCE, enforced)
        self.code.put_object(Bucket="code", Key="template.json", Body=text)
        given = {"Buckets": SOURCE, "WaitMinutes": "1", "SweepDays": "0", "Architecture": "x86_64", "WebhookUrl": self.chat.url}
        # By its address, as it is longer than a template may be in a request.
        self.cloudformation.create_stack(
            StackName=STACK, TemplateURL=f"{self.there}/code/template.json", Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()])
        self.wait_for_stack("CREATE_COMPLETE")
        # Jobs run in `resilver local`, which has to know their role; and the others may have got more since it learned of them.
        resources = self.cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
        for resource in resources:
            if resource["ResourceType"] == "AWS::IAM::Role":
                self.copy_role(resource["PhysicalResourceId"])

    def copy_role(self, name):
        """Makes a role of the stack one of `resilver local`, where the account may assume it, too."""
        if name not in self.roles:
            self.roles.add(name)
            trust = self.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
            trust["Statement"].append({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                                       "Action": "sts:AssumeRole"})
            self.local_iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        for policy in self.iam.list_role_policies(RoleName=name)["PolicyNames"]:
            text = self.iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            self.local_iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(text))

    def session_of(self, key):
        """The key in `resilver local` of the role whose session in ministack has this key."""
        if key not in self.sessions:
            found = self.functions.list_functions()["Functions"]
            role = next(it["Role"] for it in found if session(it)[0] == key)
            self.copy_role(role.rsplit("/", 1)[-1])
            made = self.sts.assume_role(RoleArn=role, RoleSessionName="function")
            self.sessions[key] = made["Credentials"]["AccessKeyId"]
        return self.sessions[key]

    def wait_for_stack(self, status):
        def reached():
            try:
                found = self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
            except ClientError as problem:
                if "does not exist" in str(problem):
                    return status == "DELETE_COMPLETE"
                raise
            if "FAILED" in found or "ROLLBACK" in found:
                events = self.cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
                why = [f"{it['LogicalResourceId']}: {it.get('ResourceStatusReason')}" for it in events
                       if "FAILED" in it["ResourceStatus"]]
                raise Failed(f"the stack is {found}: {'; '.join(why)}")
            return found == status

        wait(f"the stack is {status}", reached, 120)

    def delete(self):
        self.cloudformation.delete_stack(StackName=STACK)
        self.wait_for_stack("DELETE_COMPLETE")

    # ---- time -----------------------------------------------------------------------------------------------------

    def clock(self, minutes=0):
        """Moves the clock of `resilver local`, and says what it shows."""
        return ask(f"{self.local}/_resilver/clock", {"advance_ms": minutes * 60_000})["now"]

    def tick(self, *names):
        """Lets the Scheduler wake functions, by schedules that differ from the stack's own in two things: they fire once and
        now, since nobody here waits five minutes (ministack looks every ten seconds), and the time in their input stands there
        already, the one of S3, since ministack does not fill `<aws.scheduler.scheduled-time>` in."""
        before = {name: self.runs(name) for name in names}
        for name in names:
            self.schedule(name)
        wait(f"{names} are woken and done", lambda: all(self.runs(name) > runs for name, runs in before.items()))

    def schedule(self, name):
        own = next(it for it in self.schedules() if it["Target"]["Arn"].endswith(f":{STACK}-{name}"))
        now = datetime.datetime.now(datetime.timezone.utc)
        text = own["Target"]["Input"].replace("<aws.scheduler.scheduled-time>", self.clock())
        if text == own["Target"]["Input"]:
            raise Failed(f"the schedule of {name} brings no time: {text}")
        self.scheduler.create_schedule(
            Name=f"now-{name}-{now:%H%M%S%f}", ScheduleExpression=f"at({now:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow=own["FlexibleTimeWindow"], Target=own["Target"] | {"Input": text},
            ActionAfterCompletion="DELETE")

    def schedules(self):
        names = [it["Name"] for it in self.scheduler.list_schedules()["Schedules"]]
        return [self.scheduler.get_schedule(Name=name) for name in names]

    def lines(self, name):
        """What a function has logged."""
        group = f"/aws/lambda/{STACK}-{name}"
        try:
            pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            return [event["message"].rstrip() for page in pages for event in page["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def runs(self, name):
        """How often a function has run to its end."""
        return sum(line.startswith("REPORT RequestId") for line in self.lines(name))

    # ---- S3 -------------------------------------------------------------------------------------------------------

    def statuses(self):
        """The replication statuses of the source's objects, and how often each is there."""
        found = {}
        for key in keys():
            status = self.s3.head_object(Bucket=SOURCE, Key=key).get("ReplicationStatus")
            found[status] = found.get(status, 0) + 1
        return found

    def state(self, prefix):
        listed = self.s3.list_objects_v2(Bucket=STATE, Prefix=prefix)
        return [it["Key"] for it in listed.get("Contents", [])]

    def head(self):
        return json.loads(self.s3.get_object(Bucket=STATE, Key=f"ledger/{SOURCE}/head.json")["Body"].read())

    def queue_is_told(self):
        """Whether the source's failures go to the stack's queue."""
        document = self.s3.get_bucket_notification_configuration(Bucket=SOURCE)
        return [it["QueueArn"] for it in document.get("QueueConfigurations", [])]


def session(function):
    """What ministack gives a function to sign with where it enforces IAM: key, secret and token."""
    digest = hashlib.sha256(f"{function['FunctionArn']}:{function['Role']}".encode()).hexdigest()
    more = (hashlib.sha256(f"{what}:{digest}".encode()).hexdigest() for what in ("secret", "token"))
    return f"ASIA{digest[:16].upper()}", *more


def allow(actions, resource):
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def keys():
    """Names that an event spells otherwise than a manifest does."""
    return [f"summer 2026/ünder+way {n}.jpg" for n in range(OBJECTS)]


def story(cloud, template, functions, enforced):
    """The way of a failure through the stack."""
    cloud.buckets()
    cloud.deploy(template, functions, enforced)
    step("deployed; the custom resource has enrolled the source")
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-failures"
    expect("the source's notifications", cloud.queue_is_told(), [queue])
    if enforced:
        judged(cloud)

    cloud.version(REPLICA, "Suspended")
    for key in keys():
        cloud.s3.put_object(Bucket=SOURCE, Key=key, Body=key.encode())
    wait("S3 fails to replicate", lambda: cloud.statuses() == {"FAILED": OBJECTS})
    wait("collect has stored a segment", lambda: cloud.state(f"failures/{SOURCE}/"))
    # ministack calls collect with what is there; so they may come in several segments.
    wait("all failures are collected", lambda: rows(cloud) == OBJECTS)
    step(f"{OBJECTS} objects failed and were collected")

    cloud.tick("launch")
    expect("rows held", cloud.head()["counts"]["held"], OBJECTS)
    wait("the chat hears what is wrong", lambda: said(cloud, "held"))
    step("held, and told in the chat")

    cloud.version(REPLICA, "Enabled")
    # The canary's turn; then company is waited for.
    for turn in range(2):
        cloud.clock(minutes=16)
        cloud.tick("launch")
        jobs = wait("a job is started", lambda: len(cloud.state(f"plans/{SOURCE}/")) > turn and cloud.head()["flights"])
        wait("settle hears that the job ended", lambda: advance(cloud) or len(cloud.state(f"settled/{SOURCE}/")) > turn)
        step(f"job {turn + 1} is settled: {sum(flight['rows'] for flight in jobs.values())} rows")
    cloud.tick("launch")
    expect("statuses", cloud.statuses(), {"COMPLETED": OBJECTS})
    for key in keys():
        replica = cloud.s3.get_object(Bucket=REPLICA, Key=key)
        expect(f"the replica of {key}", replica["Body"].read(), key.encode())
    wait("the chat hears that it is healed", lambda: said(cloud, "job-finished"))
    step("healed: every replica is there, and the chat knows")

    cloud.tick("settle", "backfill", "enroll")
    for name in stack.FUNCTIONS:
        wrong = [line for line in cloud.lines(name) if "ERROR" in line or "timed out" in line]
        expect(f"errors of {name}", wrong, [])
    cloud.delete()
    expect("the source's notifications", cloud.queue_is_told(), [])
    step("deleted; the source is let go")


def judged(cloud):
    """That both emulators judge what a function's role may do: enroll may neither write a ledger nor publish a notice."""
    keys = session(cloud.functions.get_function(FunctionName=f"{STACK}-enroll")["Configuration"])
    strangers = client("s3", cloud.local, cloud.session_of(keys[0]), "any"), client("events", cloud.there, *keys)
    entry = {"Source": "resilver", "DetailType": "Resilver Notice", "Detail": "{}", "EventBusName": STACK}
    for what, call in {
        "a ledger": lambda: strangers[0].put_object(Bucket=STATE, Key="ledger/x", Body=b""),
        "a notice": lambda: strangers[1].put_events(Entries=[entry]),
    }.items():
        try:
            call()
        except ClientError as problem:
            expect(f"enroll writes {what}", problem.response["Error"]["Code"].removesuffix("Exception"), "AccessDenied")
        else:
            raise Failed(f"enroll may write {what}")


def advance(cloud):
    """S3 works: a minute goes by."""
    cloud.clock(minutes=1)


def rows(cloud):
    stored = [cloud.s3.get_object(Bucket=STATE, Key=key)["Body"].read() for key in cloud.state(f"failures/{SOURCE}/")]
    return sum(len(body.splitlines()) for body in stored)


def said(cloud, kind):
    return [it for it in cloud.chat.said if it["notice"]["fact"]["kind"] == kind]


def expect(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what}: {found}, not {wanted}")


BEGUN = time.monotonic()


def step(what):
    print(f"{time.monotonic() - BEGUN:6.1f} s  {what}", flush=True)


def play(given, enforced):
    work = given.root / "target" / "ministack"
    name = "enforced" if enforced else "open"
    # Where IAM is enforced, the keys are the way in; see Keys in servers.py. "any" is what `resilver local` signs its messages
    # with then, which has to be the key of ministack's account.
    credentials, root = ("any", "any") if enforced else ("printed", "AKIARESILVERLOCAL000")
    env = {"AWS_ACCESS_KEY_ID": root, "AWS_SECRET_ACCESS_KEY": SECRET, "AUTH": "true" if enforced else "false"}
    binary = Path(sys.executable).with_name("ministack")
    with (servers.ministack(binary, work / f"ministack-{name}.log", servers.free_port(), env) as there,
          servers.Relay() as relay, servers.Keys() as keys, servers.Chat() as chat,
          servers.resilver(given.resilver, work / f"resilver-{name}.log", there, relay.url, credentials) as local):
        cloud = Cloud(there, local, keys.url if enforced else local["endpoint"], chat)
        relay.events, keys.local, keys.session_of = cloud.events, local["endpoint"], cloud.session_of
        story(cloud, given.root / "template.yaml", given.functions, enforced)


def main():
    parser = argparse.ArgumentParser()
    for name in ("root", "functions", "resilver"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    for enforced in (False, True):
        step("ministack enforces IAM" if enforced else "ministack lets everybody in")
        play(given, enforced)


if __name__ == "__main__":
    try:
        main()
    except Failed as why:
        print(f"{why}\nSee target/ministack/*.log", file=sys.stderr)
        sys.exit(1)
