// cdk-nag finds nothing that is not accepted, nothing is accepted that it does not find, and every acceptance says why.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, CfnResource, Stack, Validations } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks, type IApplyRule } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import {
  ForwardBucketChanges,
  ForwardRoleChanges,
  LetForwardedEventsIn,
  Resilver,
  ResilverObservability,
  type ResilverProps,
} from '../lib';
import { placeholders } from './support';

/** Every finding, accepted or not, as `path rule`. */
class Findings extends AwsSolutionsChecks {
  readonly all: { node: CfnResource; id: string }[] = [];

  protected override applyRule({ rule, ruleSuffixOverride, node }: IApplyRule): void {
    const id = `AwsSolutions-${ruleSuffixOverride ?? rule.name}`;
    const result = rule(node);
    if (Array.isArray(result)) {
      this.all.push(...result.map((finding) => ({ node, id: `${id}[${finding}]` })));
    } else if (result === 'Non-Compliant') {
      this.all.push({ node, id });
    }
  }
}

function acceptedOn(node: IConstruct): Map<string, string> {
  const entries = node.node.metadata.filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY);
  const pairs = entries.flatMap(({ data }) => Object.entries(data as Record<string, unknown>));
  const ours = pairs.map(([id, reason]) => [id.replace(/^annotation::/i, ''), JSON.stringify(reason)] as const);
  return new Map(ours.filter(([id]) => id.startsWith('AwsSolutions-')));
}

function check(build: (stack: Stack) => void): { app: App; accepted: number } {
  const app = new App();
  build(new Stack(app, 'resilver'));
  // References between stacks are settled by then, and wildcards accepted.
  app.synth();
  const findings = new Findings();
  findings.validateScope(app);

  const used = new Set<string>();
  for (const { node, id } of findings.all) {
    const by = node.node.scopes.find((scope) => acceptedOn(scope).has(id));
    assert.ok(by, `${node.node.path} is found wanting: ${id}`);
    used.add(`${by.node.path} ${id}`);
  }
  for (const construct of app.node.findAll()) {
    for (const [id, reason] of acceptedOn(construct)) {
      assert.ok(used.has(`${construct.node.path} ${id}`), `${construct.node.path} accepts what nobody finds: ${id}`);
      assert.match(reason, /\w+ \w+ \w+/, `${construct.node.path} does not say why it accepts ${id}`);
    }
  }
  return { app, accepted: used.size };
}

const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0';
const APPS: [name: string, props: Omit<ResilverProps, 'functions'>][] = [
  ['buckets', { buckets: ['orders', 'invoices'] }],
  ['a tag', { bucketTag: 'heal=yes' }],
  ['a key', { buckets: ['orders'], stateKeyArn: KEY }],
];

for (const [name, props] of APPS) {
  test(`cdk-nag finds what is accepted and nothing else, with ${name}`, () => {
    const { accepted } = check((stack) => {
      new Resilver(stack, 'Heal', { functions: placeholders(), ...props });
      new ResilverObservability(stack, 'Watch', { stackName: 'resilver' });
    });
    assert.ok(accepted > 40, `only ${accepted} findings: does cdk-nag look at anything?`);
  });
}

test('cdk-nag finds what is accepted and nothing else, with a bucket of another stack', () => {
  check((stack) => {
    const data = new Stack(stack.node.root, 'data');
    const orders = new Bucket(data, 'Orders', { enforceSSL: true, serverAccessLogsPrefix: 'access/' });
    new Resilver(stack, 'Heal', { functions: placeholders(), buckets: [orders] });
  });
});

test('cdk-nag finds what is accepted and nothing else in the helper constructs', () => {
  check((stack) => {
    const source = { sourceAccount: '444455556666', sourceRegion: 'eu-central-1' };
    const replicationRoleArn = 'arn:aws:iam::444455556666:role/replicate';
    new ForwardBucketChanges(stack, 'Copies', { destinationBucket: 'copies', replicationRoleArn, keyArn: KEY, ...source });
    new ForwardRoleChanges(stack, 'Roles', { sourceRegion: 'eu-central-1' });
    new LetForwardedEventsIn(stack, 'In', { destinationAccounts: ['444455556666'] });
  });
});

test('a finding that nobody accepted stops the synth', () => {
  const app = new App();
  const stack = new Stack(app, 'resilver');
  new Resilver(stack, 'Heal', { functions: placeholders(), buckets: ['orders'] });
  new Bucket(stack, 'Careless');
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  assert.throws(() => app.synth(), /Validation failed/);
});
