// The constructs deploy what the templates deploy: resource by resource, property by property, for several sets of parameters.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  ForwardBucketChanges,
  type ForwardBucketChangesProps,
  ForwardRoleChanges,
  LetForwardedEventsIn,
  Resilver,
  ResilverObservability,
  type ResilverObservabilityProps,
  type ResilverProps,
} from '../lib';
import { Evaluation, type Json, type Resource } from './evaluate';
import { normal, normalise } from './normal';
import { assertSame, built, outputsOf, placeholders, synthesise, templateAt, wanted } from './support';

type Case<Props> = [name: string, props: Props, parameters: Record<string, string>];

const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0';

const CASES: Case<Omit<ResilverProps, 'functions'>>[] = [
  ['one bucket and every default', { buckets: ['orders'] }, { Buckets: 'orders' }],
  ['three buckets', { buckets: ['orders', 'invoices', 'a.b.c'] }, { Buckets: 'orders,invoices,a.b.c' }],
  ['a tag', { bucketTag: 'heal=yes' }, { BucketTag: 'heal=yes' }],
  ['a tag beside buckets', { bucketTag: 'heal=', buckets: ['orders'] }, { BucketTag: 'heal=', Buckets: 'orders' }],
  ['a key of the state bucket', { buckets: ['orders'], stateKeyArn: KEY }, { Buckets: 'orders', StateKeyArn: KEY }],
  [
    'every number at its most',
    {
      buckets: ['orders'],
      waitMinutes: 1440,
      launchRows: 999_999_999,
      dayDollars: 999_999,
      dayJobs: 9999,
      activeJobs: 6,
      sweepDays: 999,
      bucketObjectsMillions: 9_999_999,
      backfillRows: 9_999_999_999,
      logDays: 3653,
    },
    {
      Buckets: 'orders',
      WaitMinutes: '1440',
      LaunchRows: '999999999',
      DayDollars: '999999',
      DayJobs: '9999',
      ActiveJobs: '6',
      SweepDays: '999',
      BucketObjectsMillions: '9999999',
      BackfillRows: '9999999999',
      LogDays: '3653',
    },
  ],
  [
    'every chat, and the other processor',
    {
      buckets: ['orders'],
      slackWebhookUrl: 'https://a/b?c',
      teamsWebhookUrl: 'https://d',
      webhookUrl: 'https://e',
      architecture: 'x86_64',
    },
    {
      Buckets: 'orders',
      SlackWebhookUrl: 'https://a/b?c',
      TeamsWebhookUrl: 'https://d',
      WebhookUrl: 'https://e',
      Architecture: 'x86_64',
    },
  ],
];

for (const [name, props, parameters] of CASES) {
  test(`the construct is the template, with ${name}`, () => {
    const functions = placeholders(props.architecture === 'x86_64' ? 0x3e : 0xb7);
    const actual = built((stack) => new Resilver(stack, 'Heal', { functions, ...props }));
    assertSame(actual, wanted('template.yaml', parameters));
  });
}

test('the construct has the outputs of the template', () => {
  const { template, idOf } = synthesise(
    (stack) => new Resilver(stack, 'Heal', { functions: placeholders(), buckets: ['orders'] }),
  );
  const expected = templateAt('template.yaml');
  const outputs = outputsOf(template, { parameters: {}, rename: (id) => idOf(id).replace(/Output$/, ''), refer: idOf });
  assert.deepEqual(outputs, outputsOf(expected, { parameters: { Buckets: 'orders' }, rename: (id) => id, refer: (id) => id }));
});

const FORWARDING: Case<ForwardBucketChangesProps>[] = [
  ['a bucket', { destinationBucket: 'copies', sourceAccount: '444455556666', sourceRegion: 'eu-central-1' }, {}],
  [
    'a role and a key',
    {
      destinationBucket: 'copies',
      sourceAccount: '444455556666',
      sourceRegion: 'eu-central-1',
      keyArn: KEY,
      replicationRoleArn: 'arn:aws:iam::444455556666:role/replicate',
    },
    { ReplicationRoleArn: 'arn:aws:iam::444455556666:role/replicate', KeyArn: KEY },
  ],
];

for (const [name, props, more] of FORWARDING) {
  test(`ForwardBucketChanges is destination-account.yaml, with ${name}`, () => {
    const actual = built((stack) => new ForwardBucketChanges(stack, 'Copies', { name: 'resilver', ...props }));
    const parameters = { DestinationBucket: 'copies', SourceAccount: '444455556666', SourceRegion: 'eu-central-1', ...more };
    assertSame(actual, wanted('infra/destination-account.yaml', parameters));
  });
}

test('ForwardRoleChanges is us-east-1.yaml', () => {
  const actual = built((stack) => new ForwardRoleChanges(stack, 'Roles', { name: 'resilver', sourceRegion: 'eu-central-1' }));
  assertSame(actual, wanted('infra/us-east-1.yaml', { SourceRegion: 'eu-central-1' }));
});

test('LetForwardedEventsIn is bus-policy.yaml', () => {
  const destinationAccounts = ['444455556666', '777788889999'];
  const actual = built((stack) => new LetForwardedEventsIn(stack, 'In', { name: 'resilver', destinationAccounts }));
  assertSame(actual, wanted('infra/bus-policy.yaml', { DestinationAccounts: destinationAccounts.join(',') }));
});

const WATCHING: Case<ResilverObservabilityProps>[] = [
  ['every default', { stackName: 'resilver' }, {}],
  [
    'a topic and other hours',
    { stackName: 'heal-prod', alarmTopicArn: 'arn:aws:sns:eu-central-1:111122223333:pager', unhealedHours: 96 },
    { StackName: 'heal-prod', AlarmTopicArn: 'arn:aws:sns:eu-central-1:111122223333:pager', UnhealedHours: '96' },
  ],
];

for (const [name, props, parameters] of WATCHING) {
  test(`ResilverObservability is observability.yaml, with ${name}`, () => {
    const actual = built((stack) => new ResilverObservability(stack, 'Watch', props));
    assertSame(actual, wanted('infra/observability.yaml', parameters));
  });
}

// What the comparison does not look at, besides spelling: test/normal.ts says why.
const NOT_COMPARED = /^(\w+Function\/(Code|Tags)\/|\w+\/Targets\/\d\/Id$)/;

/** Every value in a resource, as a path and a way to spoil it. */
function* leaves(value: Json, path: string): Generator<[path: string, spoil: () => void]> {
  const entries = value !== null && typeof value === 'object' ? Object.entries(value) : [];
  for (const [key, each] of entries) {
    if (each !== null && typeof each === 'object') {
      yield* leaves(each, `${path}/${key}`);
    } else {
      yield [`${path}/${key}`, () => void ((value as Record<string, Json>)[key] = `${String(each)}x`)];
    }
  }
}

test('the comparison sees a change of anything in the template', () => {
  const parameters = { BucketTag: 'heal=yes', Buckets: 'orders', SlackWebhookUrl: 'https://a' };
  const resources = new Evaluation(templateAt('template.yaml'), parameters).resources();
  const before = normalise(resources);
  const unseen: string[] = [];
  let seen = 0;
  for (const [id, resource] of Object.entries(resources)) {
    const paths = [...leaves(resource.Properties!, id)].map(([path]) => path);
    for (const [at, path] of paths.entries()) {
      const spoiled = structuredClone(resource);
      [...leaves(spoiled.Properties!, id)][at][1]();
      const same = isDeepStrictEqual(normalOrError(resources, spoiled), before[id]);
      unseen.push(...(same ? [path] : []));
      seen += same ? 0 : 1;
    }
  }
  assert.deepEqual(
    unseen.filter((path) => !NOT_COMPARED.test(path)),
    [],
  );
  assert.ok(seen > 600, `only ${seen} values are compared`);
});

function normalOrError(resources: Record<string, Resource>, spoiled: Resource): unknown {
  try {
    return normal(spoiled, new Map(Object.keys(resources).map((each) => [each, each])));
  } catch (error) {
    return error;
  }
}
