// What the six functions are and what wakes them: a table, in the order of the path. It says nothing of permissions.

/** The functions, in the order in which a failure meets them. */
export const FUNCTION_NAMES = ['collect', 'launch', 'settle', 'notify', 'enroll', 'backfill'] as const;

/** Name of one of the six functions. */
export type FunctionName = (typeof FUNCTION_NAMES)[number];

/** A rule that wakes a function. */
export interface Listening {
  readonly id: string;
  /** On the bus of notices instead of the default bus. */
  readonly onOurBus?: boolean;
  readonly pattern: Record<string, unknown>;
}

/** How one function runs. */
export interface Wiring {
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  /** Of asynchronous invocations. Absent: Lambda's defaults. */
  readonly retries?: { readonly attempts: number; readonly maxAgeSeconds: number };
  readonly rule?: Listening;
  readonly schedule?: string;
}

// A run that failed is not repeated: the next tick does the same with fresher news.
const NOT_AGAIN = { attempts: 0, maxAgeSeconds: 300 };

const apiCall = (eventName: string[]): Record<string, unknown> => ({
  source: ['aws.s3'],
  'detail-type': ['AWS API Call via CloudTrail'],
  detail: { eventSource: ['s3.amazonaws.com'], eventName, errorCode: [{ exists: false }] },
});

/**
 * Calls that may be the repair of what versions are held for, by service. Other services make grants all day, so CreateGrant is
 * not among them.
 */
export const REPAIRS = {
  s3: [
    'CreateBucket',
    'PutBucketPolicy',
    'DeleteBucketPolicy',
    'PutBucketVersioning',
    'PutBucketReplication',
    'PutBucketEncryption',
    'PutBucketOwnershipControls',
    'PutBucketObjectLockConfiguration',
  ],
  kms: ['PutKeyPolicy', 'EnableKey', 'CancelKeyDeletion'],
  iam: [
    'CreateRole',
    'UpdateAssumeRolePolicy',
    'PutRolePolicy',
    'DeleteRolePolicy',
    'AttachRolePolicy',
    'DetachRolePolicy',
    'PutRolePermissionsBoundary',
    'DeleteRolePermissionsBoundary',
    'CreatePolicyVersion',
    'DeletePolicyVersion',
    'SetDefaultPolicyVersion',
  ],
};

/** All six. template.yaml says of each number why it is that one. */
export const WIRING: Record<FunctionName, Wiring> = {
  // Woken by the failure queue, see Resilver.
  collect: { timeoutSeconds: 60, memoryMb: 512 },
  launch: {
    timeoutSeconds: 900,
    memoryMb: 1769,
    retries: NOT_AGAIN,
    // A canary goes up at once, not in its turn. Nothing that Resilver does is among it.
    rule: {
      id: 'MaybeRepaired',
      pattern: {
        source: ['aws.s3', 'aws.kms', 'aws.iam'],
        'detail-type': ['AWS API Call via CloudTrail'],
        detail: {
          eventSource: ['s3.amazonaws.com', 'kms.amazonaws.com', 'iam.amazonaws.com'],
          eventName: Object.values(REPAIRS).flat(),
          errorCode: [{ exists: false }],
        },
      },
    },
    schedule: 'rate(5 minutes)',
  },
  settle: {
    timeoutSeconds: 600,
    memoryMb: 512,
    retries: NOT_AGAIN,
    // Comes only where the account has a CloudTrail trail. Without one the schedule settles all jobs, a few minutes later.
    rule: {
      id: 'JobEnded',
      pattern: {
        source: ['aws.s3'],
        'detail-type': ['AWS Service Event via CloudTrail'],
        detail: {
          eventSource: ['s3.amazonaws.com'],
          eventName: ['JobStatusChanged'],
          serviceEventDetails: { status: ['Complete', 'Failed', 'Cancelled'] },
        },
      },
    },
    schedule: 'rate(15 minutes)',
  },
  notify: {
    timeoutSeconds: 60,
    memoryMb: 256,
    // A chat that is down is tried twice more; after that launch publishes the notice again.
    retries: { attempts: 2, maxAgeSeconds: 900 },
    rule: { id: 'Notice', onOurBus: true, pattern: { source: ['resilver'], 'detail-type': ['Resilver Notice'] } },
  },
  enroll: {
    timeoutSeconds: 300,
    memoryMb: 256,
    // Another tool has written the document, which has no lock.
    rule: { id: 'NotificationsChanged', pattern: apiCall(['PutBucketNotification']) },
    schedule: 'rate(1 hour)',
  },
  backfill: {
    timeoutSeconds: 300,
    memoryMb: 256,
    retries: NOT_AGAIN,
    rule: {
      id: 'ReplicationChanged',
      pattern: apiCall([
        'PutBucketReplication',
        'DeleteBucketReplication',
        'PutBucketVersioning',
        'PutBucketLifecycle',
        'DeleteBucketLifecycle',
      ]),
    },
    schedule: 'rate(5 minutes)',
  },
};
