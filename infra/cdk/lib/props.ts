// The props of the construct: the parameters of template.yaml in camelCase, with the same defaults and bounds. What is wrong is
// said at synth, all of it at once.

import { SecretValue, Stack, Token } from 'aws-cdk-lib';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { Complaints, SHAPES } from './check';

/** Props of `Resilver`. Name the buckets to heal in `buckets`, or a tag that they have in `bucketTag`. */
export interface ResilverProps {
  /**
   * Folder with the six functions, built for Linux: `<name>/bootstrap` or `<name>.zip`, where a name is `collect`,
   * `resilver-collect` (as `cargo lambda build` calls it) or `CollectFunction` (as `sam build` calls it).
   */
  readonly functions: string;
  /** Source buckets in this account and Region. Some sixty, if names are of usual length: they have to fit into a role's policies. */
  readonly buckets?: readonly (string | IBucket)[];
  /**
   * `key=value`. Every bucket of this account and Region with this tag is healed, also one that gets the tag later. It gives the
   * roles access to all buckets of the account; naming buckets does not.
   */
  readonly bucketTag?: string;
  /**
   * Begins the names of all that is made: lower case, digits and hyphens, 35 characters at most.
   * @default the stack's name, in lower case
   */
  readonly name?: string;
  /**
   * Minutes that a failed object waits for others that fail, since a job costs $0.25 however small it is.
   * @default 15
   */
  readonly waitMinutes?: number;
  /**
   * A job starts at once when so many objects wait.
   * @default 100000
   */
  readonly launchRows?: number;
  /**
   * Dollars that jobs may cost in one day (UTC). What is over waits for the next day.
   * @default 100
   */
  readonly dayDollars?: number;
  /**
   * Jobs that may be started in one day (UTC).
   * @default 96
   */
  readonly dayJobs?: number;
  /**
   * Of the six active Batch Replication jobs that AWS lets an account have, so many may be Resilver's.
   * @default 4
   */
  readonly activeJobs?: number;
  /**
   * Every so many days S3 lists what failed without an event, for $0.015 a million objects in the bucket. 0 is never.
   * @default 7
   */
  readonly sweepDays?: number;
  /**
   * Objects in your largest source bucket, in millions, by which the price of a sweep is reckoned.
   * @default 10
   */
  readonly bucketObjectsMillions?: number;
  /**
   * A backfill of more objects than this waits until a person confirms it. 0 is always.
   * @default 1000000
   */
  readonly backfillRows?: number;
  /** Slack incoming webhook. A secret (`SecretValue`): a string stands in the template for all to read. */
  readonly slackWebhookUrl?: string | SecretValue;
  /** Power Automate workflow for Microsoft Teams. A secret, as above. */
  readonly teamsWebhookUrl?: string | SecretValue;
  /** Takes notices as JSON. A secret, as above. */
  readonly webhookUrl?: string | SecretValue;
  /**
   * What the functions were built for. arm64 costs a fifth less.
   * @default 'arm64'
   */
  readonly architecture?: 'arm64' | 'x86_64';
  /**
   * Days that logs are kept.
   * @default 30
   */
  readonly logDays?: number;
  /**
   * ARN of a KMS key as the default of the state bucket. Resilver's own objects have keys of S3 in either case.
   * @default keys of S3
   */
  readonly stateKeyArn?: string;
}

/** Props with every default filled in. */
export interface Settings {
  readonly functions: string;
  readonly buckets: readonly string[];
  readonly bucketTag: string;
  readonly name: string;
  readonly waitMinutes: number;
  readonly launchRows: number;
  readonly dayDollars: number;
  readonly dayJobs: number;
  readonly activeJobs: number;
  readonly sweepDays: number;
  readonly bucketObjectsMillions: number;
  readonly backfillRows: number;
  readonly slackWebhookUrl: string;
  readonly teamsWebhookUrl: string;
  readonly webhookUrl: string;
  readonly architecture: 'arm64' | 'x86_64';
  readonly logDays: number;
  readonly stateKeyArn: string;
  /** Names of the props whose webhook URL stands in the template for all to read. */
  readonly plainUrls: readonly string[];
}

// All policies of a role have 10,240 characters at most (IAM User Guide: reference_iam-quotas). In the longest one each bucket
// stands twice, in an ARN, and so many characters are left for that.
const BUCKETS_CHARACTERS_MAX = 5800;
const charactersOf = (bucket: string): number => 2 * (bucket.length + 'arn:aws-us-gov:s3:::/*",'.length);

const LOG_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

const URLS = ['slackWebhookUrl', 'teamsWebhookUrl', 'webhookUrl'] as const;

/** The props with their defaults, or an error that says all that is wrong with them. */
export function settingsOf(scope: Construct, props: ResilverProps): Settings {
  const settings = withDefaults(scope, props);
  const complaints = new Complaints();
  checkBuckets(complaints, settings);
  checkNumbers(complaints, settings);
  if (settings.name === '') {
    complaints.add('name has to be given in a nested stack, which CloudFormation names at deployment');
  } else {
    complaints.text(
      'name',
      settings.name,
      SHAPES.stack,
      'a letter and then lower case, digits and hyphens, 35 characters at most',
    );
  }
  for (const url of URLS) {
    complaints.text(
      url,
      settings[url] || undefined,
      SHAPES.url,
      'a URL that begins with https://, without spaces, quotes or backslashes',
    );
  }
  complaints.text(
    'stateKeyArn',
    settings.stateKeyArn || undefined,
    SHAPES.key,
    'the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias',
  );
  complaints.oneOf('architecture', settings.architecture, ['arm64', 'x86_64'], 'arm64 or x86_64');
  complaints.throwIfAny(`Resilver at ${scope.node.path}`);
  return settings;
}

function withDefaults(scope: Construct, props: ResilverProps): Settings {
  const plain = (url: string | SecretValue | undefined): string =>
    url === undefined ? '' : typeof url === 'string' ? url : url.unsafeUnwrap();
  return {
    functions: props.functions,
    buckets: (props.buckets ?? []).map((bucket) => (typeof bucket === 'string' ? bucket : bucket.bucketName)),
    bucketTag: props.bucketTag ?? '',
    name: props.name ?? nameOfStack(scope),
    waitMinutes: props.waitMinutes ?? 15,
    launchRows: props.launchRows ?? 100_000,
    dayDollars: props.dayDollars ?? 100,
    dayJobs: props.dayJobs ?? 96,
    activeJobs: props.activeJobs ?? 4,
    sweepDays: props.sweepDays ?? 7,
    bucketObjectsMillions: props.bucketObjectsMillions ?? 10,
    backfillRows: props.backfillRows ?? 1_000_000,
    slackWebhookUrl: plain(props.slackWebhookUrl),
    teamsWebhookUrl: plain(props.teamsWebhookUrl),
    webhookUrl: plain(props.webhookUrl),
    architecture: props.architecture ?? 'arm64',
    logDays: props.logDays ?? 30,
    stateKeyArn: props.stateKeyArn ?? '',
    plainUrls: URLS.filter((url) => typeof props[url] === 'string' && props[url] && !Token.isUnresolved(props[url])),
  };
}

function nameOfStack(scope: Construct): string {
  const name = Stack.of(scope).stackName;
  return Token.isUnresolved(name) ? '' : name.toLowerCase();
}

function checkBuckets(complaints: Complaints, { buckets, bucketTag }: Settings): void {
  if (buckets.length === 0 && bucketTag === '') {
    complaints.add('name the buckets to heal in buckets, or a tag that they have in bucketTag (key=value)');
  }
  for (const bucket of buckets) {
    complaints.text(
      'buckets',
      bucket,
      SHAPES.bucket,
      'names of buckets, 3 to 63 characters each: no ARNs, no wildcards, no s3://',
    );
  }
  const twice = buckets.find((bucket, at) => buckets.indexOf(bucket) !== at);
  if (twice !== undefined) {
    complaints.add(`buckets names ${twice} twice`);
  }
  const characters = buckets.reduce((sum, bucket) => sum + charactersOf(bucket), 0);
  if (characters > BUCKETS_CHARACTERS_MAX) {
    complaints.add(
      `buckets has ${buckets.length} names, which do not fit into the policies of a role (10240 characters): use bucketTag`,
    );
  }
  complaints.text('bucketTag', bucketTag || undefined, SHAPES.tag, 'one tag as key=value, such as heal=yes');
}

function checkNumbers(complaints: Complaints, settings: Settings): void {
  const check = (name: NumberProp, bounds: readonly [number, number], takes: string): void =>
    complaints.number(name, settings[name], bounds, takes);
  check('waitMinutes', [1, 1440], 'whole minutes from 1 to 1440');
  check('launchRows', [1, 999_999_999], 'a whole number from 1 to 999999999');
  check('dayDollars', [1, 999_999], 'whole dollars from 1 to 999999');
  check('dayJobs', [1, 9999], 'a whole number from 1 to 9999');
  check('activeJobs', [1, 6], '1 to 6, which is all that AWS allows an account');
  check('sweepDays', [0, 999], 'whole days from 0 (never) to 999');
  check('bucketObjectsMillions', [1, 9_999_999], 'whole millions from 1 to 9999999');
  check('backfillRows', [0, 9_999_999_999], 'a whole number from 0 (always wait for a person) to 9999999999');
  complaints.oneOf('logDays', settings.logDays, LOG_DAYS, 'one of the periods that CloudWatch Logs has, such as 30, 90 or 365');
}

type NumberProp =
  | 'waitMinutes'
  | 'launchRows'
  | 'dayDollars'
  | 'dayJobs'
  | 'activeJobs'
  | 'sweepDays'
  | 'bucketObjectsMillions'
  | 'backfillRows';
