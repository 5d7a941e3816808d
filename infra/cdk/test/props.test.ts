// Bad props get a sentence at synth: the template's sentence, for the values that the template refuses.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, NestedStack, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import {
  ForwardBucketChanges,
  ForwardRoleChanges,
  LetForwardedEventsIn,
  Resilver,
  ResilverObservability,
  type ResilverProps,
} from '../lib';
import { Evaluation } from './evaluate';
import { settingsOf } from '../lib/props';
import { placeholders, synthesise, templateAt } from './support';

const functions = placeholders();

function heal(props: Partial<Record<keyof ResilverProps, unknown>>, stackName = 'resilver'): Resilver {
  const stack = new Stack(new App(), stackName);
  return new Resilver(stack, 'Heal', { functions, ...props } as ResilverProps);
}

/** Only looks at the props, which is quicker. */
function look(props: Partial<Record<keyof ResilverProps, unknown>>): unknown {
  return settingsOf(new Construct(new Stack(new App(), 'resilver'), 'Heal'), { functions, ...props } as ResilverProps);
}

/** What is said of props, or nothing if they are taken. */
function saidOf(make: () => unknown): string {
  try {
    make();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const NOT_STRINGS: Record<string, unknown[]> = {
  waitMinutes: [0, 1, 15, 1439, 1440, 1441, -1, 1.5],
  launchRows: [0, 1, 999_999_999, 1_000_000_000, -5, 0.5],
  dayDollars: [0, 1, 999_999, 1_000_000, 99.5],
  dayJobs: [0, 1, 9999, 10_000, 1.25],
  activeJobs: [0, 1, 6, 7, 2.5],
  sweepDays: [0, 1, 999, 1000, -1, 0.1],
  bucketObjectsMillions: [0, 1, 9_999_999, 10_000_000, 0.25],
  backfillRows: [0, 1, 9_999_999_999, 10_000_000_000, -1, 1.5],
  logDays: [0, 1, 2, 30, 3653, 3654, 30.5],
};
const URLS = ['https://hooks/a', 'http://hooks/a', 'hooks', 'https://a b', 'https://a"b', 'https://a\\b', 'https://'];
const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/0b1c2d3e';
const STRINGS: Record<string, string[]> = {
  slackWebhookUrl: URLS,
  teamsWebhookUrl: URLS,
  webhookUrl: URLS,
  bucketTag: ['heal=yes', 'heal=', 'heal', '=yes', 'a=b=c', 'a*=b', `${'k'.repeat(129)}=v`],
  stateKeyArn: [
    KEY,
    'alias/aws/s3',
    KEY.replace('key/', 'alias/'),
    'arn:aws:kms:eu-central-1:1:key/a',
    'arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/a',
  ],
  architecture: ['arm64', 'x86', 'ARM64'],
};

function templateTakes(parameter: string, value: unknown): boolean {
  const { AllowedPattern, AllowedValues } = templateAt('template.yaml').Parameters![parameter];
  return AllowedValues?.map(String).includes(String(value)) ?? new RegExp(AllowedPattern!).test(String(value));
}

for (const [prop, values] of Object.entries({ ...NOT_STRINGS, ...STRINGS })) {
  test(`${prop} takes what the template takes, and refuses the rest with the same sentence`, () => {
    const parameter = `${prop.charAt(0).toUpperCase()}${prop.slice(1)}`;
    const sentence = templateAt('template.yaml')
      .Parameters![parameter].ConstraintDescription!.replace(parameter, prop)
      .replace(/\.$/, '');
    assert.ok(
      values.some((value) => !templateTakes(parameter, value)),
      'nothing to refuse',
    );
    for (const value of values) {
      const said = saidOf(() => look({ buckets: ['orders'], [prop]: value }));
      const expected = templateTakes(parameter, value)
        ? ''
        : `Resilver at resilver/Heal: ${sentence}, not ${JSON.stringify(value)}`;
      assert.equal(said, expected, `${prop} ${value}`);
    }
  });
}

test('a bucket is a name, given once', () => {
  for (const bucket of ['arn:aws:s3:::orders', 's3://orders', 'or*', 'Orders', 'ab', 'a'.repeat(64), '']) {
    assert.equal(templateTakes('Buckets', bucket), bucket === '');
    assert.match(
      saidOf(() => heal({ buckets: [bucket] })),
      /buckets takes names of buckets, .* no ARNs, no wildcards, no s3:\/\/, not "/,
    );
  }
  assert.match(
    saidOf(() => heal({ buckets: ['orders', 'invoices', 'orders'] })),
    /buckets names orders twice/,
  );
});

/** The longest list of names of one length that is taken. */
function most(length: number): string[] {
  const buckets: string[] = [];
  for (;;) {
    const more = [...buckets, `${buckets.length}`.padStart(3, '0').padEnd(length, 'x')];
    const said = saidOf(() => look({ buckets: more }));
    if (said !== '') {
      assert.match(
        said,
        /buckets has \d+ names, which do not fit into the policies of a role \(10240 characters\): use bucketTag$/,
      );
      return buckets;
    }
    buckets.push(more.at(-1)!);
  }
}

// IAM User Guide, reference_iam-quotas: all inline policies of a role together have 10,240 characters, without spaces.
function charactersOfRoles(buckets: string[]): Map<string, number> {
  const name = 'n'.repeat(35);
  const { template, idOf } = synthesise((stack) => new Resilver(stack, 'Heal', { functions, buckets, name }));
  delete template.Parameters;
  const state = `arn:aws-us-gov:s3:::${'s'.repeat(63)}`;
  const sizes = new Map<string, number>();
  for (const [id, { Type, Properties }] of Object.entries(new Evaluation(template, {}).resources())) {
    const { Policies, PolicyDocument, Roles } = Properties as Record<string, never>;
    const role = Type === 'AWS::IAM::Role' ? `<${id}>` : Type === 'AWS::IAM::Policy' ? String(Roles[0]) : undefined;
    if (role !== undefined) {
      const text = JSON.stringify(
        PolicyDocument ?? (Policies as { PolicyDocument: unknown }[]).map((policy) => policy.PolicyDocument),
      );
      const long = text
        .replaceAll('arn:aws:', 'arn:aws-us-gov:')
        .replace(/<([^>.]+)\.Arn>/g, (_, of: string) => (idOf(of) === 'StateBucket' ? state : 'a'.repeat(120)));
      sizes.set(role, (sizes.get(role) ?? 0) + long.length);
    }
  }
  return sizes;
}

test('as many buckets as are taken fit into every role, and one more is refused', () => {
  for (const [length, least] of [
    [63, 30],
    [30, 50],
    [20, 60],
  ]) {
    const buckets = most(length);
    assert.ok(buckets.length >= least, `only ${buckets.length} of ${length} characters`);
    const sizes = charactersOfRoles(buckets);
    assert.equal(sizes.size, 8);
    for (const [role, size] of sizes) {
      assert.ok(size <= 10_240, `with ${buckets.length} of ${length} characters ${role} has ${size}`);
    }
    assert.ok(Math.max(...sizes.values()) > 8_000, 'far too few are taken');
  }
});

test('neither buckets nor a tag is refused', () => {
  for (const props of [{}, { buckets: [] }, { bucketTag: '' }]) {
    assert.equal(
      saidOf(() => heal(props)),
      'Resilver at resilver/Heal: name the buckets to heal in buckets, or a tag that they have in bucketTag (key=value)',
    );
  }
});

test('everything that is wrong is said at once', () => {
  const said = saidOf(() => heal({ buckets: ['s3://a'], waitMinutes: 0, name: 'No' }));
  assert.match(said, /buckets takes .*; waitMinutes takes .*; name takes /);
});

test("the name is the stack's in lower case, and has to be short", () => {
  assert.equal(heal({ buckets: ['orders'] }, 'Replication-Prod').name, 'replication-prod');
  assert.equal(heal({ buckets: ['orders'], name: 'heal' }).name, 'heal');
  assert.match(
    saidOf(() => heal({ buckets: ['orders'] }, 'a'.repeat(36))),
    /name takes .* 35 characters at most, not "a{36}"/,
  );
});

test('a nested stack needs a name', () => {
  const nested = (name?: string): string =>
    saidOf(
      () =>
        new Resilver(new NestedStack(new Stack(new App(), 'outer'), 'Inner'), 'Heal', { functions, buckets: ['orders'], name }),
    );
  assert.match(nested(), /name has to be given in a nested stack/);
  assert.equal(nested('heal'), '');
});

test('the helpers refuse what their templates refuse', () => {
  const stack = new Stack(new App(), 'resilver');
  const good = { destinationBucket: 'copies', sourceAccount: '444455556666', sourceRegion: 'eu-central-1' };
  const cases: [RegExp, () => unknown][] = [
    [
      /destinationBucket takes the name of a bucket, no ARN, not "arn:/,
      () => new ForwardBucketChanges(stack, 'A', { ...good, destinationBucket: 'arn:aws:s3:::a' }),
    ],
    [
      /sourceAccount takes an account id of 12 digits, not "1"/,
      () => new ForwardBucketChanges(stack, 'B', { ...good, sourceAccount: '1' }),
    ],
    [
      /sourceRegion takes a Region such as eu-central-1, not "Frankfurt"/,
      () => new ForwardRoleChanges(stack, 'C', { sourceRegion: 'Frankfurt' }),
    ],
    [
      /replicationRoleArn takes the ARN of a role/,
      () => new ForwardBucketChanges(stack, 'D', { ...good, replicationRoleArn: 'replicate' }),
    ],
    [
      /keyArn takes the ARN of a KMS key .*, not an alias/,
      () => new ForwardBucketChanges(stack, 'E', { ...good, keyArn: 'alias/copies' }),
    ],
    [
      /name takes letters, .* 40 characters at most/,
      () => new ForwardBucketChanges(stack, 'F', { ...good, name: 'x'.repeat(41) }),
    ],
    [/destinationAccounts takes at least one account/, () => new LetForwardedEventsIn(stack, 'G', { destinationAccounts: [] })],
    [
      /destinationAccounts takes account ids of 12 digits, not "me"/,
      () => new LetForwardedEventsIn(stack, 'H', { destinationAccounts: ['me'] }),
    ],
    [
      /unhealedHours takes 1, 3, 6, 12, 24, 48, 96, 168 or 336, not 5/,
      () => new ResilverObservability(stack, 'I', { stackName: 'a', unhealedHours: 5 }),
    ],
    [
      /alarmTopicArn takes the ARN of an SNS standard topic/,
      () => new ResilverObservability(stack, 'J', { stackName: 'a', alarmTopicArn: 'pager' }),
    ],
    [/stackName takes the name of the app/, () => new ResilverObservability(stack, 'K', { stackName: 'Upper' })],
  ];
  for (const [sentence, make] of cases) {
    assert.match(saidOf(make), sentence);
  }
});

test('the README lists every prop, and every parameter of the template is one', () => {
  const readme = readFileSync(join(__dirname, '../README.md'), 'utf8');
  const table = readme.split('\n## Props\n')[1].split('\n## ')[0];
  const rows = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, prop]) => prop);
  const source = readFileSync(join(__dirname, '../lib/props.ts'), 'utf8').split('export interface Settings')[0];
  const props = [...source.matchAll(/readonly (\w+)\??:/g)].map(([, prop]) => prop);
  assert.deepEqual(rows.sort(), props.sort());
  const parameters = Object.keys(templateAt('template.yaml').Parameters!).map(
    (name) => `${name.charAt(0).toLowerCase()}${name.slice(1)}`,
  );
  assert.deepEqual(props, [...parameters, 'functions', 'name'].sort());
});
