//! Good requests of every service, to be broken.

/// One good request: method, path with query, headers, body.
pub(super) type Good =
    (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

pub(super) const REPLICATION: &str = "<ReplicationConfiguration><Role>arn:aws:iam::111122223333:role/rep</Role><Rule><ID>r</ID><Priority>1</Priority><Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Status>Enabled</Status><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Destination><Bucket>arn:aws:s3:::dst</Bucket><ReplicationTime><Status>Enabled</Status><Time><Minutes>15</Minutes></Time></ReplicationTime><Metrics><Status>Enabled</Status><EventThreshold><Minutes>15</Minutes></EventThreshold></Metrics></Destination></Rule></ReplicationConfiguration>";
const JOB: &str = "<CreateJobRequest><ConfirmationRequired>false</ConfirmationRequired><Operation><S3ReplicateObject/></Operation><Report><Bucket>arn:aws:s3:::dst</Bucket><Format>Report_CSV_20180820</Format><Enabled>true</Enabled><Prefix>p</Prefix><ReportScope>AllTasks</ReportScope></Report><ClientRequestToken>t</ClientRequestToken><ManifestGenerator><S3JobManifestGenerator><SourceBucket>arn:aws:s3:::src</SourceBucket><Filter><EligibleForReplication>true</EligibleForReplication><CreatedAfter>2025-01-01T00:00:00Z</CreatedAfter><ObjectSizeGreaterThanBytes>1</ObjectSizeGreaterThanBytes><KeyNameConstraint><MatchAnyPrefix><member>a</member></MatchAnyPrefix></KeyNameConstraint></Filter><EnableManifestOutput>false</EnableManifestOutput></S3JobManifestGenerator></ManifestGenerator><Priority>10</Priority><RoleArn>arn:aws:iam::111122223333:role/job</RoleArn></CreateJobRequest>";
const MANIFEST: &str = "<CreateJobRequest><ConfirmationRequired>false</ConfirmationRequired><Operation><S3PutObjectCopy><TargetResource>arn:aws:s3:::dst</TargetResource><NewObjectMetadata><UserMetadata><entry><key>a</key><value>b</value></entry></UserMetadata></NewObjectMetadata></S3PutObjectCopy></Operation><Report><Enabled>false</Enabled></Report><ClientRequestToken>u</ClientRequestToken><Manifest><Spec><Format>S3BatchOperations_CSV_20180820</Format><Fields><member>Bucket</member><member>Key</member></Fields></Spec><Location><ObjectArn>arn:aws:s3:::src/m.csv</ObjectArn><ETag>0123456789abcdef0123456789abcdef</ETag></Location></Manifest><Priority>1</Priority><RoleArn>arn:aws:iam::111122223333:role/job</RoleArn></CreateJobRequest>";
const LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>l</ID><Status>Enabled</Status><Filter><And><Prefix>x/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter><Expiration><Days>3</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration><Transition><Date>2026-02-01T00:00:00Z</Date><StorageClass>GLACIER</StorageClass></Transition></Rule></LifecycleConfiguration>";
pub(super) const NOTIFICATION: &str = "<NotificationConfiguration><QueueConfiguration><Id>q</Id><Queue>arn:aws:sqs:us-east-1:111122223333:q</Queue><Event>s3:Replication:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>a</Value></FilterRule></S3Key></Filter></QueueConfiguration></NotificationConfiguration>";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Allow","Principal":{"AWS":["111122223333","*"]},"Action":["s3:*"],"Resource":"arn:aws:s3:::src/*","Condition":{"StringLike":{"aws:PrincipalArn":"arn:*"}}}]}"#;

pub(super) const GOOD: &[Good] = &[
    ("GET", "/", &[], ""),
    (
        "PUT",
        "/new-bucket",
        &[],
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>",
    ),
    (
        "PUT",
        "/src/a/b%20c?x-id=PutObject",
        &[
            ("x-amz-meta-m", "v"),
            ("x-amz-tagging", "a=b&c=d"),
            ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="),
            ("x-amz-storage-class", "STANDARD_IA"),
        ],
        "hello world",
    ),
    (
        "PUT",
        "/src/chunked",
        &[
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "5"),
            ("content-encoding", "aws-chunked"),
        ],
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
    ),
    (
        "GET",
        "/src/k?versionId=null&partNumber=1",
        &[("range", "bytes=0-3"), ("if-none-match", "\"x\"")],
        "",
    ),
    ("HEAD", "/src/k", &[("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT")], ""),
    (
        "GET",
        "/src?list-type=2&prefix=a&delimiter=%2F&max-keys=2&start-after=a&encoding-type=url",
        &[],
        "",
    ),
    ("GET", "/src?list-type=2&continuation-token=k61", &[], ""),
    ("GET", "/src?versions&key-marker=a&version-id-marker=b&max-keys=1", &[], ""),
    ("GET", "/src?uploads&prefix=a", &[], ""),
    ("POST", "/src/big?uploads", &[("x-amz-checksum-algorithm", "SHA256")], ""),
    ("PUT", "/src/big?partNumber=1&uploadId=abc", &[], "part"),
    (
        "POST",
        "/src/big?uploadId=abc",
        &[],
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"x\"</ETag></Part></CompleteMultipartUpload>",
    ),
    (
        "POST",
        "/src?delete",
        &[],
        "<Delete><Quiet>false</Quiet><Object><Key>a</Key><VersionId>null</VersionId></Object></Delete>",
    ),
    (
        "PUT",
        "/dst/copy",
        &[("x-amz-copy-source", "/src/k?versionId=null"), ("x-amz-metadata-directive", "REPLACE")],
        "",
    ),
    ("GET", "/src/k?attributes", &[("x-amz-object-attributes", "ETag,ObjectParts,Checksum")], ""),
    (
        "PUT",
        "/src/k?tagging",
        &[],
        "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    ),
    (
        "POST",
        "/src/k?restore",
        &[],
        "<RestoreRequest><Days>2</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>",
    ),
    (
        "PUT",
        "/src/k?retention",
        &[],
        "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2027-01-01T00:00:00Z</RetainUntilDate></Retention>",
    ),
    (
        "PUT",
        "/src?object-lock",
        &[],
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    ),
    ("PUT", "/src?replication", &[], REPLICATION),
    ("PUT", "/src?lifecycle", &[], LIFECYCLE),
    ("PUT", "/src?notification", &[], NOTIFICATION),
    ("PUT", "/src?policy", &[], POLICY),
    (
        "PUT",
        "/src?versioning",
        &[],
        "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    ),
    (
        "PUT",
        "/src?intelligent-tiering&id=t",
        &[],
        "<IntelligentTieringConfiguration><Id>t</Id><Status>Enabled</Status><Tiering><Days>90</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering></IntelligentTieringConfiguration>",
    ),
    ("POST", "/v20180820/jobs", &[("x-amz-account-id", "111122223333")], JOB),
    ("POST", "/v20180820/jobs", &[("x-amz-account-id", "111122223333")], MANIFEST),
    ("GET", "/v20180820/jobs?jobStatuses=Active&maxResults=5&nextToken=1", &[], ""),
    ("GET", "/v20180820/jobs/00000000-0000-4000-a000-000000000000", &[], ""),
    ("POST", "/v20180820/jobs/x/status?requestedJobStatus=Ready&statusUpdateReason=y", &[], ""),
    ("POST", "/v20180820/jobs/x/priority?priority=3", &[], ""),
    (
        "POST",
        "/",
        &[("x-amz-target", "AmazonSQS.CreateQueue")],
        r#"{"QueueName":"made","Attributes":{"VisibilityTimeout":"30","RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:111122223333:q\",\"maxReceiveCount\":3}"}}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AmazonSQS.SendMessageBatch")],
        r#"{"QueueUrl":"x/q","Entries":[{"Id":"1","MessageBody":"m"},{"Id":"2","MessageBody":"n"}]}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AmazonSQS.ReceiveMessage")],
        r#"{"QueueUrl":"x/q","MaxNumberOfMessages":10,"VisibilityTimeout":0}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AmazonSQS.ChangeMessageVisibility")],
        r#"{"QueueUrl":"x/q","ReceiptHandle":"r","VisibilityTimeout":43200}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AWSEvents.PutRule")],
        r#"{"Name":"r","EventPattern":"{\"source\":[\"aws.s3\",{\"prefix\":\"a\"},{\"anything-but\":[\"b\"]},{\"exists\":true},{\"numeric\":[\">\",0]}]}"}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AWSEvents.PutTargets")],
        r#"{"Rule":"r","Targets":[{"Id":"1","Arn":"arn:aws:sqs:us-east-1:111122223333:q"}]}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AWSEvents.PutEvents")],
        r#"{"Entries":[{"Source":"s","DetailType":"d","Detail":"{\"a\":[1,{\"b\":null}]}","Time":1767225600.5,"Resources":["r"]}]}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "TrentService.CreateKey")],
        r#"{"Description":"d","Policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}}"}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "TrentService.ScheduleKeyDeletion")],
        r#"{"KeyId":"k","PendingWindowInDays":7}"#,
    ),
    (
        "POST",
        "/",
        &[("content-type", "application/x-www-form-urlencoded")],
        "Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument=%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22s3.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D&Tags.member.1.Key=a&Tags.member.1.Value=b",
    ),
    (
        "POST",
        "/",
        &[("content-type", "application/x-www-form-urlencoded")],
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::111122223333:role/job&RoleSessionName=me",
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AmazonSQS.SetQueueAttributes")],
        r#"{"QueueUrl":"x/q","Attributes":{"DelaySeconds":"900","MaximumMessageSize":"1024","MessageRetentionPeriod":"60"}}"#,
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AmazonSQS.SendMessage")],
        r#"{"QueueUrl":"x/q","MessageBody":"m","MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"AAEC"},"b":{"DataType":"Number.int","StringValue":"42"}}}"#,
    ),
    (
        "POST",
        "/",
        &[("content-type", "application/x-www-form-urlencoded")],
        "Action=SendMessageBatch&Version=2012-11-05&QueueUrl=x%2Fq&SendMessageBatchRequestEntry.1.Id=1&SendMessageBatchRequestEntry.1.MessageBody=m&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=a&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v",
    ),
    (
        "POST",
        "/111122223333/q",
        &[("content-type", "application/x-www-form-urlencoded")],
        "Action=ReceiveMessage&Version=2012-11-05&MaxNumberOfMessages=10&AttributeName.1=All&MessageAttributeName.1=a.*&VisibilityTimeout=0",
    ),
    (
        "GET",
        "/111122223333/q?Action=GetQueueAttributes&Version=2012-11-05&AttributeName.1=All",
        &[],
        "",
    ),
    (
        "POST",
        "/",
        &[("x-amz-target", "AWSEvents.TestEventPattern")],
        r#"{"EventPattern":"{\"source\":[\"s\"]}","Event":"{\"id\":\"1\",\"account\":\"2\",\"source\":\"s\",\"time\":\"t\",\"region\":\"r\",\"resources\":[],\"detail-type\":\"d\"}"}"#,
    ),
    (
        "POST",
        "/",
        &[("content-type", "application/x-www-form-urlencoded")],
        "Action=CreatePolicy&Version=2010-05-08&PolicyName=p&PolicyDocument=%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D",
    ),
    (
        "POST",
        "/",
        &[("content-type", "application/x-www-form-urlencoded")],
        "Action=DeletePolicyVersion&Version=2010-05-08&PolicyArn=arn:aws:iam::111122223333:policy/p&VersionId=v1",
    ),
    (
        "POST",
        "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Asrc",
        &[("x-amz-account-id", "111122223333")],
        "<TagResourceRequest><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></TagResourceRequest>",
    ),
    (
        "POST",
        "/_resilver/faults",
        &[],
        r#"{"rules":[{"service":"s3","operation":"Nothing","verdict":{"refuse":{"code":"SlowDown","status":503}},"times":1}]}"#,
    ),
];
