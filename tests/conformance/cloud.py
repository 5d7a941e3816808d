"""The emulator as the tests speak to it: clients, the clock, and short words for what every test
needs: a rule, a role, an object, a job and what became of it."""

import csv
import io
import json
import os
import subprocess
import uuid
from collections import namedtuple

import boto3
import pytest
import urllib3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

SOURCE, DESTINATION, REPORTS = "source", "destination", "reports"
OTHER_ACCOUNT = "444455556666"
ENDED = ("Complete", "Failed", "Cancelled")

REPLICATION_SERVICE, BATCH_SERVICE = "s3.amazonaws.com", "batchoperations.s3.amazonaws.com"
CSV_FORMAT = "S3BatchOperations_CSV_20180820"
INVENTORY_FORMAT = "S3InventoryReport_CSV_20161130"
GENERATED_FORMAT = "S3InventoryReport_CSV_20211130"

# S3 Control is named by a host in front of which the SDKs put the account id, so that the emulator
# has to be their proxy.
CONTROL_ENDPOINT = "http://aws.resilver.test"

# Nothing that is due later than this is waited for by `settle`: lifecycles run every day for ever.
HORIZON_MS = 6 * 60 * 60 * 1_000

# The columns of a result file as they are, which is not as its schema declares them (the S3 User
# Guide's own sample rows have the HTTP status in front of the error code).
Row = namedtuple("Row", "bucket key version status http code message")
Refusal = namedtuple("Refusal", "code message status")
Answer = namedtuple("Answer", "code out error")


def arn(bucket, key=None):
    """The ARN of a bucket, or of an object."""
    return f"arn:aws:s3:::{bucket}" + (f"/{key}" if key is not None else "")


def refusal(call, *args, **kwargs):
    """The error that a call ends with; a call that ends without one fails the test."""
    with pytest.raises(ClientError) as raised:
        call(*args, **kwargs)
    response = raised.value.response
    error, status = response["Error"], response["ResponseMetadata"]["HTTPStatusCode"]
    return Refusal(error["Code"], error.get("Message", ""), status)


def allow(actions, resources):
    """A statement of a policy that allows."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def deny(actions, resources="*"):
    """A statement of a policy that denies."""
    return {"Effect": "Deny", "Action": actions, "Resource": resources}


def policy(*statements):
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(service):
    """The trust policy of a role that a service assumes."""
    principal = {"Service": service}
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


def rule(destination=DESTINATION, *, id="rule", priority=1, prefix=None, tags=None, markers=False,
         metrics=True, enabled=True, criteria=None, **destination_members):
    """A V2 rule: for everything unless `prefix` or `tags` say less, with metrics, so that failures
    are told. What is left over goes into `Destination`."""
    members = {"Bucket": arn(destination), **destination_members}
    if metrics and "Metrics" not in members:
        members["Metrics"] = {"Status": "Enabled"}
    made = {
        "ID": id,
        "Priority": priority,
        "Filter": rule_filter(prefix, tags or {}),
        "Status": "Enabled" if enabled else "Disabled",
        "DeleteMarkerReplication": {"Status": "Enabled" if markers else "Disabled"},
        "Destination": members,
    }
    if criteria:
        made["SourceSelectionCriteria"] = criteria
    return made


def rule_filter(prefix, tags):
    """The `Filter` of a rule; two predicates and more need an `And` around them."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    if len(pairs) + (prefix is not None) > 1:
        return {"And": {"Tags": pairs} | ({"Prefix": prefix} if prefix is not None else {})}
    if pairs:
        return {"Tag": pairs[0]}
    return {"Prefix": prefix} if prefix is not None else {}


def timed():
    """The members of a `Destination` under Replication Time Control."""
    minutes = {"Minutes": 15}
    return {
        "ReplicationTime": {"Status": "Enabled", "Time": minutes},
        "Metrics": {"Status": "Enabled", "EventThreshold": minutes},
    }


def encrypted_rule(key, destination=DESTINATION, **more):
    """A rule that takes SSE-KMS objects and encrypts their replicas under `key`."""
    criteria = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    return rule(destination, criteria=criteria,
                EncryptionConfiguration={"ReplicaKmsKeyID": key}, **more)


def generator(*statuses, source=SOURCE, output=None, **members):
    """A `ManifestGenerator` for what the rules of `source` want; `members` go into its filter."""
    chosen = {"EligibleForReplication": True, **members}
    if statuses:
        chosen["ObjectReplicationStatuses"] = list(statuses)
    made = {
        "SourceBucket": arn(source),
        "EnableManifestOutput": output is not None,
        "Filter": chosen,
    }
    if output is not None:
        made["ManifestOutputLocation"] = output
    return {"S3JobManifestGenerator": made}


def manifest_output(bucket=REPORTS, **members):
    """A `ManifestOutputLocation`."""
    location = {"Bucket": arn(bucket), "ManifestFormat": GENERATED_FORMAT,
                "ManifestPrefix": "manifests"}
    return location | members


class Cloud:
    """The emulated account."""

    def __init__(self, ready, aws_cli):
        self.endpoint = ready["endpoint"]
        self.account, self.region = ready["account_id"], ready["region"]
        self._key, self._secret = ready["access_key_id"], ready["secret_access_key"]
        self._aws_cli = aws_cli
        self._http = urllib3.PoolManager()
        self._others = {}
        # The server has the last word on what is a valid request, not the SDK.
        self.s3 = self.client("s3")
        self.s3control = self.client("s3control")
        self.sqs = self.client("sqs")
        self.events = self.client("events")
        self.iam = self.client("iam")
        self.kms = self.client("kms")
        self.sts = self.client("sts")
        self._defaults = self.admin("GET", "settings")

    def client(self, service, key=None, secret=None, token=None):
        """A boto3 client; it asks once and does not check what it asks."""
        config = Config(
            retries={"total_max_attempts": 1}, parameter_validation=False,
            s3={"addressing_style": "path"},
            proxies={"http": self.endpoint} if service == "s3control" else None,
        )
        return boto3.client(
            service, region_name=self.region, config=config,
            endpoint_url=CONTROL_ENDPOINT if service == "s3control" else self.endpoint,
            aws_access_key_id=key or self._key, aws_session_token=token,
            aws_secret_access_key=secret or self._secret,
        )

    def raw(self, method, path, body=b"", service="s3", key=None, secret=None, **headers):
        """A signed request that no client would send; underscores in the names of headers stand for
        hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method, self.endpoint + path, headers=named, data=body)
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        keys = Credentials(key or self._key, secret or self._secret)
        signer(keys, service, self.region).add_auth(request)
        return self._http.request(method, self.endpoint + path, body=body, retries=False,
                                  headers=dict(request.headers))

    def s3_of(self, account):
        """S3 as another account, if one is named."""
        if account is None:
            return self.s3
        if account not in self._others:
            self._others[account] = self.client("s3", key=account)
        return self._others[account]

    def cli(self, *arguments):
        """The AWS CLI: its exit code, what it printed (as data where it is JSON), and its error."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": self._key,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_DEFAULT_OUTPUT": "json",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3_CONTROL": CONTROL_ENDPOINT,
            "HTTP_PROXY": self.endpoint,
        }
        if arguments[0] == "sqs":
            # Version 1 of the CLI has its own endpoint for SQS, which only an argument changes.
            arguments = (*arguments, "--endpoint-url", self.endpoint)
        texts = [each if isinstance(each, str) else json.dumps(each) for each in arguments]
        done = subprocess.run([self._aws_cli, *texts], env=environment, text=True,
                              capture_output=True, timeout=60, check=False)
        try:
            out = json.loads(done.stdout)
        except ValueError:
            out = done.stdout
        return Answer(done.returncode, out, done.stderr)

    def cli_ok(self, *arguments):
        """What the AWS CLI printed; it has to succeed."""
        answer = self.cli(*arguments)
        assert answer.code == 0, answer.error
        return answer.out

    # The emulator's own questions: the clock, the settings, the faults.

    def admin(self, method, what, body=None):
        """One request of the admin API."""
        data = None if body is None else json.dumps(body)
        answer = self._http.request(method, f"{self.endpoint}/_resilver/{what}", body=data)
        assert answer.status == 200, answer.data
        return json.loads(answer.data)

    def reset(self):
        """An empty world with the settings of the start."""
        self.admin("POST", "reset")
        self.admin("POST", "settings", self._defaults)

    def settings(self, **changes):
        """Changes settings for this test."""
        return self.admin("POST", "settings", changes)

    def faults(self, **faults):
        """Adds faults for this test."""
        return self.admin("POST", "faults", faults)

    def now_ms(self):
        """The world's time."""
        return self.admin("GET", "clock")["now_ms"]

    def advance(self, seconds=0, minutes=0, hours=0, days=0, ms=0):
        """Moves the clock on; all that is due until then happens."""
        seconds += 60 * (minutes + 60 * (hours + 24 * days))
        return self.admin("POST", "clock", {"advance_ms": seconds * 1_000 + ms})

    def step(self):
        """Moves the clock on to the next thing that is due; says whether there was one."""
        clock = self.admin("GET", "clock")
        due = clock["next_due_ms"]
        if due is None or due - clock["now_ms"] > HORIZON_MS:
            return False
        self.advance(ms=max(0, due - clock["now_ms"]))
        return True

    def settle(self):
        """Moves the clock on until nothing is due."""
        for _ in range(20_000):
            if not self.step():
                return
        raise AssertionError("the world does not come to rest")

    # Buckets, roles and keys.

    def bucket(self, name, versioned=True, account=None, region=None, locked=False):
        """A bucket; `locked` turns Object Lock on."""
        members = {"ObjectLockEnabledForBucket": True} if locked else {}
        if region:
            members["CreateBucketConfiguration"] = {"LocationConstraint": region}
        self.s3_of(account).create_bucket(Bucket=name, **members)
        if versioned:
            self.versioning(name, account=account)
        return name

    def versioning(self, bucket, status="Enabled", account=None):
        """Enables or suspends versioning."""
        self.s3_of(account).put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": status})

    def bucket_policy(self, bucket, *statements, account=None):
        """Replaces the policy of a bucket."""
        self.s3_of(account).put_bucket_policy(Bucket=bucket, Policy=policy(*statements))

    def role(self, name, service, *statements):
        """A role that a service assumes, with these statements; returns its ARN."""
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))
        if statements:
            self.permit(name, *statements)
        return made["Role"]["Arn"]

    def permit(self, role, *statements, name="policy"):
        """Replaces an inline policy of a role."""
        self.iam.put_role_policy(RoleName=role, PolicyName=name,
                                 PolicyDocument=policy(*statements))

    def forbid(self, role, actions, resources="*"):
        """Denies a role what its other policies allow, until `forgive`."""
        self.permit(role, deny(actions, resources), name="denied")

    def forgive(self, role):
        """Takes back what `forbid` did."""
        self.iam.delete_role_policy(RoleName=role, PolicyName="denied")

    def replication_role(self, source=SOURCE, *destinations, name="replication"):
        """The role of a replication configuration as the S3 User Guide has it ("Setting up
        permissions for live replication")."""
        targets = [arn(each, "*") for each in destinations or (DESTINATION,)]
        return self.role(
            name, REPLICATION_SERVICE,
            allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], arn(source)),
            allow(["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl",
                   "s3:GetObjectVersionTagging"], arn(source, "*")),
            allow(["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"], targets),
            allow(["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"], "*"),
        )

    def job_role(self, source=SOURCE, reports=REPORTS, name="batch"):
        """The role of a job as the S3 User Guide has it ("Configuring an IAM role for S3 Batch
        Replication")."""
        return self.role(
            name, BATCH_SERVICE,
            allow("s3:InitiateReplication", arn(source, "*")),
            allow(["s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"],
                  arn(source)),
            allow(["s3:GetObject", "s3:GetObjectVersion"], arn(reports, "*")),
            allow("s3:PutObject", arn(reports, "*")),
        )

    def role_arn(self, name):
        """The ARN of a role of this account."""
        return f"arn:aws:iam::{self.account}:role/{name}"

    def make_pair(self):
        """The buckets and roles of the fixture `pair`."""
        for name in (SOURCE, DESTINATION, REPORTS):
            self.bucket(name)
        self.replication_role()
        self.job_role()

    def replicate(self, *rules, source=SOURCE, role="replication"):
        """Replaces the replication configuration; without rules, one for everything."""
        self.s3.put_bucket_replication(
            Bucket=source,
            ReplicationConfiguration={"Role": self.role_arn(role), "Rules": rules or [rule()]},
        )

    def key(self, **members):
        """A KMS key; returns its ARN."""
        return self.kms.create_key(**members)["KeyMetadata"]["Arn"]

    def encrypt_by_default(self, bucket, key):
        """Gives a bucket a KMS key for whatever is written without a word on encryption."""
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        self.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]})

    def lifecycle(self, bucket, **members):
        """Replaces the lifecycle configuration of a bucket by one rule for everything."""
        made = {"ID": "lifecycle", "Status": "Enabled", "Filter": {"Prefix": ""}, **members}
        self.s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": [made]})

    # Objects.

    def put(self, key, body=b"x", bucket=SOURCE, s3=None, **members):
        """Writes an object; returns its version id."""
        written = (s3 or self.s3).put_object(Bucket=bucket, Key=key, Body=body, **members)
        return written.get("VersionId", "null")

    def delete(self, key, bucket=SOURCE):
        """Puts a delete marker on top of a key; returns its version id."""
        return self.s3.delete_object(Bucket=bucket, Key=key)["VersionId"]

    def restore(self, key, days=None, tier="Standard"):
        """RestoreObject; without days, out of an archive tier of Intelligent-Tiering."""
        request = {"GlacierJobParameters": {"Tier": tier}} | ({"Days": days} if days else {})
        self.s3.restore_object(Bucket=SOURCE, Key=key, RestoreRequest=request)

    def tag(self, key, bucket=SOURCE, **tags):
        """Replaces the tags of an object."""
        pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
        self.s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": pairs})

    def tags_of(self, key, bucket=SOURCE):
        """The tags of an object."""
        answer = self.s3.get_object_tagging(Bucket=bucket, Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def head(self, key, bucket=SOURCE, version=None, **members):
        """HeadObject."""
        if version:
            members["VersionId"] = version
        return self.s3.head_object(Bucket=bucket, Key=key, **members)

    def status_of(self, key, bucket=SOURCE, version=None, **members):
        """The replication status of an object; None where there is none."""
        return self.head(key, bucket, version, **members).get("ReplicationStatus")

    def versions(self, bucket=DESTINATION, prefix=""):
        """Key and version id of every version that is no delete marker."""
        answer = self.s3.list_object_versions(Bucket=bucket, Prefix=prefix)
        return {(each["Key"], each["VersionId"]) for each in answer.get("Versions", [])}

    def markers(self, bucket=DESTINATION, prefix=""):
        """Key and version id of every delete marker."""
        answer = self.s3.list_object_versions(Bucket=bucket, Prefix=prefix)
        return {(each["Key"], each["VersionId"]) for each in answer.get("DeleteMarkers", [])}

    def keys(self, bucket=DESTINATION, prefix=""):
        """The keys that a listing shows."""
        answer = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return {each["Key"] for each in answer.get("Contents", [])}

    def read(self, key, bucket=REPORTS):
        """The bytes of an object."""
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    # Jobs.

    def manifest(self, rows, fields=("Bucket", "Key", "VersionId"), key="manifest.csv",
                 bucket=REPORTS, **put):
        """Writes a CSV manifest (rows, or its very text); returns it as a job names it."""
        text = rows if isinstance(rows, (str, bytes)) else csv_of(rows)
        written = self.s3.put_object(Bucket=bucket, Key=key, Body=text, **put)
        return located(bucket, key, written["ETag"].strip('"'), CSV_FORMAT, fields)

    def long_manifest(self, good, bad=0, key="long.csv"):
        """A manifest whose first tasks succeed and whose others fail; each row is a task, whether
        it names an object again or none at all."""
        version = self.put("good")
        rows = [(SOURCE, "good", version)] * good
        return self.manifest(rows + [(SOURCE, "bad", version)] * bad, key=key)

    def copy_role(self, name="copier"):
        """The role of a job that copies objects of the source onto themselves (S3 User Guide,
        "Granting permissions for S3 Batch Operations": Copy objects)."""
        return self.role(
            name, BATCH_SERVICE,
            allow(["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAcl",
                   "s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObject",
                   "s3:PutObjectAcl", "s3:PutObjectTagging"], arn(SOURCE, "*")),
            allow("s3:ListBucket", arn(SOURCE)),
            allow(["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], arn(REPORTS, "*")),
        )

    def inventory(self, files, schema="Bucket, Key, VersionId", folder="inventory",
                  suffix="csv", form="CSV"):
        """Writes an inventory report of several files, each of these bytes; returns it as a job
        names it."""
        listed = []
        for at, body in enumerate(files):
            key = f"{folder}/data/{at}.{suffix}"
            written = self.s3.put_object(Bucket=REPORTS, Key=key, Body=body)
            listed.append({"key": key, "size": len(body),
                           "MD5checksum": written["ETag"].strip('"')})
        document = {
            "sourceBucket": SOURCE, "destinationBucket": arn(REPORTS), "version": "2016-11-30",
            "creationTimestamp": str(self.now_ms()), "fileFormat": form, "fileSchema": schema,
            "files": listed,
        }
        key = f"{folder}/manifest.json"
        written = self.s3.put_object(Bucket=REPORTS, Key=key, Body=json.dumps(document))
        return located(REPORTS, key, written["ETag"].strip('"'), INVENTORY_FORMAT)

    def job_request(self, **changes):
        """A `CreateJob` request: by default, everything that the rules of the source want. What is
        None is left out."""
        if "Manifest" not in changes and "ManifestGenerator" not in changes:
            changes["ManifestGenerator"] = generator()
        request = {
            "AccountId": self.account,
            "Operation": {"S3ReplicateObject": {}},
            "ConfirmationRequired": False,
            "Report": self.report(),
            "ClientRequestToken": str(uuid.uuid4()),
            "Priority": 10,
            "RoleArn": self.role_arn("batch"),
            **changes,
        }
        return {name: value for name, value in request.items() if value is not None}

    def report(self, **changes):
        """A `Report` of all tasks."""
        made = {"Bucket": arn(REPORTS), "Format": "Report_CSV_20180820", "Enabled": True,
                "Prefix": "jobs", "ReportScope": "AllTasks", **changes}
        return {name: value for name, value in made.items() if value is not None}

    def create_job(self, **changes):
        """Creates a job; returns its id."""
        return self.s3control.create_job(**self.job_request(**changes))["JobId"]

    def job(self, job_id):
        """DescribeJob."""
        return self.s3control.describe_job(AccountId=self.account, JobId=job_id)["Job"]

    def state(self, job_id):
        """The state of a job."""
        return self.job(job_id)["Status"]

    def ask(self, job_id, status, **members):
        """UpdateJobStatus."""
        return self.s3control.update_job_status(AccountId=self.account, JobId=job_id,
                                                RequestedJobStatus=status, **members)

    def prioritise(self, job_id, priority):
        """UpdateJobPriority."""
        return self.s3control.update_job_priority(AccountId=self.account, JobId=job_id,
                                                  Priority=priority)

    def finish(self, job_id):
        """Moves the clock until the job has ended; returns it."""
        for _ in range(200):
            job = self.job(job_id)
            if job["Status"] in ENDED:
                return job
            self.advance(minutes=1)
        raise AssertionError(f"the job does not end: {job}")

    def run_job(self, **changes):
        """Creates a job and waits for its end; returns it."""
        return self.finish(self.create_job(**changes))

    def wait_for(self, job_id, *states):
        """Moves the clock step by step until the job is in one of these states."""
        for _ in range(2_000):
            if self.state(job_id) in states:
                return
            if not self.step():
                break
        raise AssertionError(f"the job is {self.state(job_id)} and not {states}")

    def states(self):
        """The state of every job that is known, by job id."""
        listed = self.s3control.list_jobs(AccountId=self.account).get("Jobs", [])
        return {job["JobId"]: job["Status"] for job in listed}

    def watch(self, *job_ids):
        """Every state that each job passes through until all have ended or nothing happens."""
        seen = {job_id: [] for job_id in job_ids}
        for _ in range(5_000):
            now = self.states()
            for job_id, states in seen.items():
                if states[-1:] != [now[job_id]]:
                    states.append(now[job_id])
            if all(states[-1] in ENDED for states in seen.values()) or not self.step():
                return seen
        raise AssertionError(f"the jobs do not end: {seen}")

    def report_folder(self, job):
        """The folder of a job's report."""
        prefix = job["Report"].get("Prefix")
        return (f"{prefix}/" if prefix else "") + f"job-{job['JobId']}"

    def report_document(self, job):
        """The `manifest.json` of a job's report."""
        return json.loads(self.read(f"{self.report_folder(job)}/manifest.json"))

    def has_report(self, job):
        """Whether a job left a report."""
        return bool(self.keys(REPORTS, self.report_folder(job) + "/"))

    def rows(self, job):
        """The rows of a job's report, file by file."""
        rows = []
        for result in self.report_document(job)["Results"]:
            text = self.read(result["Key"], result["Bucket"]).decode()
            rows += [Row(*fields) for fields in csv.reader(io.StringIO(text, newline=""))]
        return rows

    def row(self, job):
        """The one row of a job's report."""
        rows = self.rows(job)
        assert len(rows) == 1, rows
        return rows[0]

    # Queues.

    def queue(self, name="events"):
        """A queue that S3 and the event bus may send to."""
        queue_arn = self.queue_arn(name)
        sender = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue_arn,
                  "Principal": {"Service": ["s3.amazonaws.com", "events.amazonaws.com"]}}
        made = self.sqs.create_queue(QueueName=name, Attributes={"Policy": policy(sender)})
        return made["QueueUrl"]

    def queue_arn(self, name="events"):
        """The ARN of a queue."""
        return f"arn:aws:sqs:{self.region}:{self.account}:{name}"

    def listen(self, *events, bucket=SOURCE, name="events"):
        """A queue for these events of a bucket (all replication events by default)."""
        url = self.queue(name)
        self.notify([{"Id": "healer", "QueueArn": self.queue_arn(name),
                      "Events": list(events) or ["s3:Replication:*"]}], bucket)
        return url

    def notify(self, queues, bucket=SOURCE, validate=False):
        """Replaces the notification document; unless told to, no test events are sent."""
        self.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": queues},
            SkipDestinationValidation=not validate,
        )

    def on_bus(self, pattern, name="bus"):
        """A queue behind a rule of the default event bus."""
        url = self.queue(name)
        self.events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        self.events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": self.queue_arn(name)}])
        return url

    def messages(self, url):
        """Takes all that waits in a queue, as data."""
        bodies = []
        while taken := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
                "Messages"):
            bodies += [json.loads(each["Body"]) for each in taken]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=[
                {"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]}
                for at, each in enumerate(taken)])
        return bodies

    def records(self, url):
        """Takes the records of all S3 notifications that wait in a queue."""
        return [record for body in self.messages(url) for record in body.get("Records", [])]

    def reasons(self, url):
        """Takes the failure reasons of all replication events that wait in a queue."""
        return [record["replicationEventData"].get("failureReason")
                for record in self.records(url)]


def located(bucket, key, etag, form, fields=()):
    """A `Manifest`."""
    spec = {"Format": form} | ({"Fields": list(fields)} if fields else {})
    return {"Spec": spec, "Location": {"ObjectArn": arn(bucket, key), "ETag": etag}}


def csv_of(rows):
    """Rows as the CSV of a manifest."""
    return "".join(",".join(row) + "\n" for row in rows)
