// Where things lie: the state bucket and the three queues.

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { accept } from './nag';
import { onlyBy } from './roles';

// S3 forgets a job after 90 days.
const KEPT = Duration.days(120);
const KEPT_PREFIXES = [
  'plans',
  'manifests',
  'generated',
  'listed',
  'reports',
  'settling',
  'verdicts',
  'settled',
  'notices',
  'rejects',
];

/** Everything that Resilver knows. It outlives the stack, but not a first deployment that fails. */
export function stateBucket(scope: Construct, bucketName: string, keyArn: string): s3.Bucket {
  const bucket = new s3.Bucket(scope, 'StateBucket', {
    bucketName,
    removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    versioned: true,
    // The functions ask for keys of S3 with each object, since S3 Batch Operations refuses a CSV manifest that is encrypted with
    // KMS (S3 User Guide: batch-ops-create-job). The key covers what others put into the bucket.
    ...(keyArn === ''
      ? { encryption: s3.BucketEncryption.S3_MANAGED }
      : {
          encryption: s3.BucketEncryption.KMS,
          encryptionKey: kms.Key.fromKeyArn(scope, 'StateKey', keyArn),
          bucketKeyEnabled: true,
        }),
    lifecycleRules: [
      // What was deleted or replaced, and the marks of it, go within a day: folded segments would make listings long.
      {
        id: 'forget-old-versions',
        noncurrentVersionExpiration: Duration.days(1),
        expiredObjectDeleteMarker: true,
        abortIncompleteMultipartUploadAfter: Duration.days(1),
      },
      ...KEPT_PREFIXES.map((prefix) => ({ id: prefix, prefix: `${prefix}/`, expiration: KEPT })),
    ],
  });
  const everything = [bucket.bucketArn, `${bucket.bucketArn}/*`];
  bucket.addToResourcePolicy(onlyBy('OnlyByTls', 's3:*', everything));
  bucket.addToResourcePolicy(onlyBy('OnlyByModernTls', 's3:*', everything, { NumericLessThan: { 's3:TlsVersion': '1.2' } }));
  accept(
    bucket,
    'S1',
    'access logs need a second bucket, which would be found wanting in the same way; CloudTrail data events do it',
  );
  return bucket;
}

/** A queue with keys of SQS that keeps a message as long as SQS does, and takes requests by TLS only. */
function queue(scope: Construct, id: string, queueName: string, more: Partial<sqs.QueueProps> = {}): sqs.Queue {
  // Keys of SQS: S3 cannot send to a queue with the AWS managed key (S3 User Guide: grant-destinations-permissions-to-s3).
  return new sqs.Queue(scope, id, {
    queueName,
    encryption: sqs.QueueEncryption.SQS_MANAGED,
    retentionPeriod: Duration.days(14),
    removalPolicy: RemovalPolicy.DESTROY,
    ...more,
  });
}

/** The failure queue, which S3 sends to, and its dead letters. */
export function failureQueues(scope: Construct, name: string, account: string, buckets: string[]): [sqs.Queue, sqs.Queue] {
  const deadLetters = queue(scope, 'DeadLetters', `${name}-dead-letters`);
  const failures = queue(scope, 'FailureQueue', `${name}-failures`, {
    // Six times collect's timeout and the window (Lambda Developer Guide: services-sqs-configure).
    visibilityTimeout: Duration.seconds(660),
    // collect acknowledges what it cannot read, after keeping it. What keeps coming could not be stored: for days.
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: 500 },
  });
  failures.addToResourcePolicy(
    new iam.PolicyStatement({
      sid: 'FailuresOfEnrolledBuckets',
      principals: [new iam.ServicePrincipal('s3.amazonaws.com')],
      actions: ['sqs:SendMessage'],
      resources: [failures.queueArn],
      conditions: { StringEquals: { 'aws:SourceAccount': account }, ArnLike: { 'aws:SourceArn': buckets } },
    }),
  );
  for (const each of [failures, deadLetters]) {
    each.addToResourcePolicy(onlyBy('OnlyByTls', 'sqs:*', [each.queueArn]));
  }
  return [failures, deadLetters];
}

/**
 * Events that EventBridge could not hand to a function. Nothing is lost with them. Not among the dead letters, from which
 * messages are moved back into the failure queue.
 */
export function deadEvents(scope: Construct, name: string): sqs.Queue {
  const events = queue(scope, 'DeadEvents', `${name}-dead-events`);
  accept(events, 'SQS3', 'it is the dead letter queue of rules');
  return events;
}

/** Lets the rules in. */
export function letRulesIn(events: sqs.Queue, ruleArns: string[]): void {
  events.addToResourcePolicy(
    new iam.PolicyStatement({
      sid: 'EventsThatFoundNobody',
      principals: [new iam.ServicePrincipal('events.amazonaws.com')],
      actions: ['sqs:SendMessage'],
      resources: [events.queueArn],
      conditions: { ArnEquals: { 'aws:SourceArn': ruleArns } },
    }),
  );
  events.addToResourcePolicy(onlyBy('OnlyByTls', 'sqs:*', [events.queueArn]));
}
