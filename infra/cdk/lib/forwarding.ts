// Changes that may be the repair of a replication, brought to where Resilver runs: the default event bus of the source's account
// and Region. The same as infra/destination-account.yaml, infra/us-east-1.yaml and infra/bus-policy.yaml. All of it needs a
// CloudTrail trail, as all events of API calls do.

import { Aws, Names } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { Complaints, SHAPES } from './check';
import type { Statement } from './policies';
import { documentOf, onlyBy, roleFor } from './roles';
import { REPAIRS } from './wiring';

// EventBridge: a rule's name has 64 characters at most, of which resilver-forward-bucket- takes 24.
const NAME = /^[A-Za-z0-9_.-]{1,40}$/;
const NAME_TAKES = 'letters, digits, dots, hyphens and underscores, 40 characters at most';
const BUCKET_EVENTS = REPAIRS.s3;
const KEY_EVENTS = REPAIRS.kms;
const ROLE_EVENTS = REPAIRS.iam;

/** Props of `ForwardBucketChanges`. */
export interface ForwardBucketChangesProps {
  /** Name of the destination bucket. */
  readonly destinationBucket: string;
  /** Account of the source buckets and of the app. */
  readonly sourceAccount: string;
  /** Region of the source buckets and of the app. */
  readonly sourceRegion: string;
  /**
   * Role of the source's replication configuration, in another account: it is let into the bucket. Leave it out if it is in this
   * account, or if the bucket has a policy already: a bucket has one policy.
   */
  readonly replicationRoleArn?: string;
  /** KMS key that replicas are encrypted with, if not keys of S3. */
  readonly keyArn?: string;
  /**
   * Ends the names of the rules.
   * @default made of the construct's path
   */
  readonly name?: string;
}

/**
 * For one destination bucket in another account or Region than the app: lets the replication role in, and forwards changes of the
 * bucket's policy, versioning and key. In a stack of the destination's account and Region.
 */
export class ForwardBucketChanges extends Construct {
  constructor(scope: Construct, id: string, props: ForwardBucketChangesProps) {
    super(scope, id);
    const { destinationBucket, sourceAccount, sourceRegion, replicationRoleArn, keyArn } = props;
    const name = props.name ?? Names.uniqueResourceName(this, { maxLength: 40, separator: '-' });
    const complaints = new Complaints();
    complaints.text('destinationBucket', destinationBucket, SHAPES.bucket, 'the name of a bucket, no ARN');
    complaints.text('sourceAccount', sourceAccount, SHAPES.account, 'an account id of 12 digits');
    complaints.text('sourceRegion', sourceRegion, SHAPES.region, 'a Region such as eu-central-1');
    complaints.text(
      'replicationRoleArn',
      replicationRoleArn,
      SHAPES.role,
      'the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)',
    );
    complaints.text('keyArn', keyArn, SHAPES.key, 'the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias');
    complaints.text('name', name, NAME, NAME_TAKES);
    complaints.throwIfAny(`ForwardBucketChanges at ${this.node.path}`);

    const forward = forwarder(this, sourceRegion, sourceAccount);
    if (replicationRoleArn !== undefined) {
      letIn(this, destinationBucket, replicationRoleArn);
    }
    forward('BucketChanged', {
      name: `resilver-forward-bucket-${name}`,
      description: "What may repair replication into the bucket, for Resilver in the source's Region.",
      eventPattern: apiCall('s3', BUCKET_EVENTS, { requestParameters: { bucketName: [destinationBucket] } }),
    });
    if (keyArn !== undefined) {
      forward('KeyChanged', {
        name: `resilver-forward-key-${name}`,
        description: "What may repair the use of the replicas' key, for Resilver in the source's Region.",
        // By the resource and not by the request, which may name the key by its id, its ARN or an alias.
        eventPattern: apiCall('kms', KEY_EVENTS, { resources: { ARN: [keyArn] } }),
      });
    }
  }
}

/** Props of `ForwardRoleChanges`. */
export interface ForwardRoleChangesProps {
  /** Region of the source buckets and of the app. */
  readonly sourceRegion: string;
  /**
   * Ends the name of the rule.
   * @default made of the construct's path
   */
  readonly name?: string;
}

/**
 * Forwards changes of roles and their policies: IAM is global and tells of them in us-east-1 only (us-gov-west-1 in GovCloud,
 * cn-north-1 in China). In a stack of the app's account there. Not needed where the app itself is in that Region.
 */
export class ForwardRoleChanges extends Construct {
  constructor(scope: Construct, id: string, { sourceRegion, name: given }: ForwardRoleChangesProps) {
    super(scope, id);
    const name = given ?? Names.uniqueResourceName(this, { maxLength: 40, separator: '-' });
    const complaints = new Complaints();
    complaints.text('sourceRegion', sourceRegion, SHAPES.region, 'a Region such as eu-central-1');
    complaints.text('name', name, NAME, NAME_TAKES);
    complaints.throwIfAny(`ForwardRoleChanges at ${this.node.path}`);
    forwarder(
      this,
      sourceRegion,
      Aws.ACCOUNT_ID,
    )('RolesChanged', {
      name: `resilver-forward-roles-${name}`,
      description: "What may repair a replication role, for Resilver in the source's Region.",
      // Not by the role's name: a managed policy that changes does not say whose it is.
      eventPattern: apiCall('iam', ROLE_EVENTS),
    });
  }
}

/** Props of `LetForwardedEventsIn`. */
export interface LetForwardedEventsInProps {
  /** Accounts that own destination buckets, 12 digits each. */
  readonly destinationAccounts: readonly string[];
  /**
   * Begins the id of the statement in the policy of the bus.
   * @default made of the construct's path
   */
  readonly name?: string;
}

/**
 * Lets the `ForwardBucketChanges` of other accounts onto the default event bus. In the account and Region of the app, deployed
 * before those. Not needed where destinations are in the same account.
 */
export class LetForwardedEventsIn extends Construct {
  constructor(scope: Construct, id: string, { destinationAccounts, name: given }: LetForwardedEventsInProps) {
    super(scope, id);
    const name = given ?? Names.uniqueResourceName(this, { maxLength: 40, separator: '-' });
    const complaints = new Complaints();
    if (destinationAccounts.length === 0) {
      complaints.add('destinationAccounts takes at least one account');
    }
    for (const account of destinationAccounts) {
      complaints.text('destinationAccounts', account, SHAPES.account, 'account ids of 12 digits');
    }
    complaints.text('name', name, NAME, NAME_TAKES);
    complaints.throwIfAny(`LetForwardedEventsIn at ${this.node.path}`);
    new events.CfnEventBusPolicy(this, 'ForwardedEvents', {
      statementId: `${name}-forwarded`,
      eventBusName: 'default',
      statement: {
        Effect: 'Allow',
        Principal: { AWS: destinationAccounts },
        Action: 'events:PutEvents',
        Resource: defaultBus(Aws.REGION, Aws.ACCOUNT_ID),
        // Only what the rules of those stacks send, and nothing that somebody there makes up (EventBridge User Guide:
        // eb-event-bus-example-policy-restrict-rule).
        Condition: { ArnLike: { 'aws:SourceArn': `arn:${Aws.PARTITION}:events:*:*:rule/resilver-forward-*` } },
      },
    });
  }
}

type Rule = Pick<events.CfnRuleProps, 'name' | 'description' | 'eventPattern'>;

// A maker of rules that all send to one bus, with one role.
function forwarder(scope: Construct, region: string, account: string): (id: string, rule: Rule) => void {
  const bus = defaultBus(region, account);
  const forward: Statement = { sid: 'Forward', actions: ['events:PutEvents'], resources: [bus] };
  const role = roleFor(scope, 'ForwardRole', new iam.ServicePrincipal('events.amazonaws.com'), 'forward', [forward]);
  return (id, rule) => {
    new events.CfnRule(scope, id, { ...rule, targets: [{ id: 'source', arn: bus, roleArn: role.roleArn }] });
  };
}

function defaultBus(region: string, account: string): string {
  return `arn:${Aws.PARTITION}:events:${region}:${account}:event-bus/default`;
}

function apiCall(service: string, eventName: string[], more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    source: [`aws.${service}`],
    'detail-type': ['AWS API Call via CloudTrail'],
    detail: { eventSource: [`${service}.amazonaws.com`], eventName, errorCode: [{ exists: false }], ...more },
  };
}

// S3 User Guide: replication-walkthrough-2. Without s3:PutBucketVersioning, with which the other account's role could suspend
// versioning.
function letIn(scope: Construct, bucket: string, role: string): void {
  const arn = `arn:${Aws.PARTITION}:s3:::${bucket}`;
  const allow = (sid: string, actions: string[], resource: string): iam.PolicyStatement =>
    new iam.PolicyStatement({ sid, principals: [new iam.ArnPrincipal(role)], actions, resources: [resource] });
  const document = documentOf([]);
  document.addStatements(
    allow(
      'WriteReplicas',
      ['s3:ReplicateObject', 's3:ReplicateDelete', 's3:ReplicateTags', 's3:ObjectOwnerOverrideToBucketOwner'],
      `${arn}/*`,
    ),
    allow('LookAtTheBucket', ['s3:ListBucket', 's3:GetBucketVersioning'], arn),
    onlyBy('OnlyByTls', 's3:*', [arn, `${arn}/*`]),
  );
  new s3.CfnBucketPolicy(scope, 'DestinationBucketPolicy', { bucket, policyDocument: document });
}
