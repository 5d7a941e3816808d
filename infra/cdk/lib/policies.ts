// Who may do what: the statements of every role, the same as in template.yaml. docs/permissions.md says of each why it is there.
// Nothing here makes a resource.

import { Aws } from 'aws-cdk-lib';
import type { FunctionName } from './wiring';

/** One Allow statement. */
export interface Statement {
  readonly sid: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Record<string, unknown>;
  /** Why a resource has a wildcard. Absent where none has. */
  readonly wildcard?: string;
}

/** The source buckets as resources of a statement. */
export class Sources {
  constructor(
    private readonly buckets: readonly string[],
    private readonly byTag: boolean,
  ) {}

  /** The buckets themselves, or all of the account where they are chosen by tag. */
  get bucketArns(): string[] {
    return this.names.map((name) => `arn:${Aws.PARTITION}:s3:::${name}`);
  }

  /** A statement on the buckets. */
  onBuckets(sid: string, actions: string[]): Statement {
    return {
      sid,
      actions,
      resources: this.bucketArns,
      ...this.ofTheAccount('by tag, any bucket of the account can be a source tomorrow'),
    };
  }

  /** A statement on the objects in the buckets. */
  onObjects(sid: string, actions: string[]): Statement {
    const resources = this.bucketArns.map((arn) => `${arn}/*`);
    return { sid, actions, resources, ...this.ofTheAccount('every object of a source can fail to replicate') };
  }

  /** What it takes to find buckets by tag: nothing where they are named. */
  finding(): Statement[] {
    if (!this.byTag) {
      return [];
    }
    return [
      {
        sid: 'FindBuckets',
        actions: ['s3:ListAllMyBuckets'],
        resources: ['*'],
        wildcard: 'listing buckets has no resource type',
      },
      this.onBuckets('ReadTags', ['s3:GetBucketTagging']),
    ];
  }

  private get names(): readonly string[] {
    return this.byTag ? ['*'] : this.buckets;
  }

  private ofTheAccount(wildcard: string): Pick<Statement, 'conditions' | 'wildcard'> {
    return this.byTag ? { conditions: OF_THIS_ACCOUNT, wildcard } : { wildcard };
  }
}

/** What the statements name. */
export interface Named {
  readonly state: string;
  readonly queue: string;
  readonly jobRole: string;
  readonly bus: string;
  readonly sources: Sources;
}

const OF_THIS_ACCOUNT = { StringEquals: { 'aws:ResourceAccount': Aws.ACCOUNT_ID } };
const JOBS = `arn:${Aws.PARTITION}:s3:${Aws.REGION}:${Aws.ACCOUNT_ID}:job/*`;
const JOBS_WILDCARD = 'S3 makes up the id of a job when it is created';

const onState = (state: string, sid: string, action: string, keys: string[]): Statement => ({
  sid,
  actions: [action],
  resources: keys.map((key) => `${state}/${key}`),
  wildcard: 'keys of the state bucket under a named prefix',
});

// No condition on the prefix: S3 answers 404 for an object that is missing only to who may list the bucket, and 403 to others (S3
// API Reference: GetObject).
const listState = (state: string): Statement => ({ sid: 'ListState', actions: ['s3:ListBucket'], resources: [state] });

/** Statements that each function has besides its log and its traces. */
export const OF_FUNCTION: Record<FunctionName, (named: Named) => Statement[]> = {
  collect: ({ state, queue }) => [
    { sid: 'TakeFailures', actions: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], resources: [queue] },
    onState(state, 'WriteState', 's3:PutObject', ['failures/*', 'outbox/*', 'rejects/events/*']),
  ],
  launch: (named) => [...launchOnState(named.state), ...launchOnSources(named)],
  settle: ({ state }) => [
    listState(state),
    onState(state, 'ReadState', 's3:GetObject', [
      'ledger/*/head.json',
      'notices/*',
      'reports/*',
      'settled/*',
      'settling/*',
      'verdicts/*',
    ]),
    onState(state, 'WriteState', 's3:PutObject', ['outbox/*', 'rejects/report/*', 'settled/*', 'settling/*', 'verdicts/*']),
    { sid: 'LookAtJobs', actions: ['s3:DescribeJob'], resources: [JOBS], wildcard: JOBS_WILDCARD },
  ],
  notify: ({ state }) => [
    listState(state),
    onState(state, 'ReadMarks', 's3:GetObject', ['notices/*']),
    onState(state, 'WriteMarks', 's3:PutObject', ['notices/*']),
  ],
  enroll: ({ state, sources }) => [
    listState(state),
    onState(state, 'ReadState', 's3:GetObject', [
      'enrolled/*',
      'enrolment.json',
      'ledger/*/head.json',
      'notices/*',
      'unenrolled/*',
    ]),
    onState(state, 'WriteState', 's3:PutObject', ['enrolled/*', 'enrolment.json', 'outbox/*', 'unenrolled/*']),
    onState(state, 'DeleteState', 's3:DeleteObject', ['enrolled/*', 'unenrolled/*']),
    sources.onBuckets('WireBuckets', [
      's3:GetBucketNotification',
      's3:PutBucketNotification',
      's3:GetBucketVersioning',
      's3:ListBucket',
    ]),
    ...sources.finding(),
  ],
  backfill: ({ state, sources }) => [
    listState(state),
    onState(state, 'ReadState', 's3:GetObject', ['configs/*', 'enrolled/*', 'notices/*']),
    onState(state, 'WriteState', 's3:PutObject', ['backfills/*', 'configs/*', 'outbox/*']),
    sources.onBuckets('ReadConfigurations', [
      's3:GetReplicationConfiguration',
      's3:GetBucketVersioning',
      's3:GetEncryptionConfiguration',
      's3:GetIntelligentTieringConfiguration',
    ]),
    { sid: 'ReadStateKey', actions: ['s3:GetEncryptionConfiguration'], resources: [state] },
    {
      sid: 'ReadLifecycles',
      actions: ['s3:GetLifecycleConfiguration'],
      resources: [`arn:${Aws.PARTITION}:s3:::*`],
      conditions: OF_THIS_ACCOUNT,
      wildcard: 'only a replication configuration names destinations; buckets of other accounts are not looked into',
    },
  ],
};

function launchOnState(state: string): Statement[] {
  return [
    listState(state),
    // A swap (If-Match) needs s3:GetObject besides s3:PutObject (S3 User Guide: conditional-writes).
    onState(state, 'ReadState', 's3:GetObject', [
      'account.json',
      'backfills/*',
      'configs/*',
      'failures/*',
      'generated/*',
      'ledger/*',
      'listed/*',
      'notices/*',
      'outbox/*',
      'plans/*',
      'settled/*',
      'verdicts/*',
    ]),
    onState(state, 'WriteState', 's3:PutObject', ['account.json', 'ledger/*', 'listed/*', 'manifests/*', 'plans/*']),
    onState(state, 'GiveUpUploads', 's3:AbortMultipartUpload', ['ledger/*', 'listed/*', 'manifests/*']),
    onState(state, 'DeleteWhatIsFolded', 's3:DeleteObject', [
      'backfills/*',
      'failures/*',
      'ledger/*',
      'listed/*',
      'outbox/*',
      'settling/*',
      'verdicts/*',
    ]),
  ];
}

function launchOnSources({ sources, jobRole, bus }: Named): Statement[] {
  return [
    sources.onObjects('ReadStatuses', ['s3:GetObjectVersion']),
    // As above: a version that is gone has to answer 404.
    sources.onBuckets('ListSources', ['s3:ListBucket']),
    {
      sid: 'StartAndFindJobs',
      actions: ['s3:CreateJob', 's3:ListJobs'],
      resources: ['*'],
      wildcard: 'S3 has no resource type for either',
    },
    {
      sid: 'ConfirmOrCancelJobs',
      actions: ['s3:DescribeJob', 's3:UpdateJobStatus'],
      resources: [JOBS],
      wildcard: JOBS_WILDCARD,
    },
    // Without iam:PassedToService: CreateJob does not fill it in, and a policy with it denies always.
    { sid: 'PassJobRole', actions: ['iam:PassRole'], resources: [jobRole] },
    { sid: 'Tell', actions: ['events:PutEvents'], resources: [bus] },
  ];
}

/** Statements that every function has, since Lambda writes its log and its traces with its role. */
export function logAndTrace(logGroup: string): Statement[] {
  return [
    { sid: 'Log', actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], resources: [logGroup] },
    {
      sid: 'Trace',
      actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
      resources: ['*'],
      wildcard: 'X-Ray has no resource type for either',
    },
  ];
}

/** Statements of the role that S3 Batch Operations takes (S3 User Guide: s3-batch-replication-policies). */
export function ofJobs(state: string, sources: Sources): Statement[] {
  return [
    sources.onObjects('Replicate', ['s3:InitiateReplication']),
    // Only for a manifest that S3 makes (sweep, backfill). No inventory comes of it.
    sources.onBuckets('MakeManifests', ['s3:GetReplicationConfiguration', 's3:PutInventoryConfiguration']),
    {
      ...onState(state, 'ReadManifests', '', ['manifests/*', 'generated/*']),
      actions: ['s3:GetObject', 's3:GetObjectVersion'],
    },
    onState(state, 'WriteReportsAndManifests', 's3:PutObject', ['reports/*', 'generated/*']),
  ];
}

/** Lets go a bucket that leaves `buckets`, see Resilver. */
export function ofLettingGo(sources: Sources): Statement[] {
  return [sources.onBuckets('LetGo', ['s3:GetBucketNotification', 's3:PutBucketNotification'])];
}
