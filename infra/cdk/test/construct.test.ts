// What only the construct has: code found and looked at, secrets kept out of the template, things to build upon.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, CfnParameter, SecretValue, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { FUNCTION_NAMES, Resilver, type ResilverProps } from '../lib';
import { elf, placeholders } from './support';

function heal(props: Partial<ResilverProps> = {}): { stack: Stack; heal: Resilver } {
  const stack = new Stack(new App(), 'resilver');
  return { stack, heal: new Resilver(stack, 'Heal', { functions: placeholders(), buckets: ['orders'], ...props }) };
}

test('functions are found as sam build and cargo lambda lay them out', () => {
  for (const rename of [
    (name: string) => `resilver-${name}`,
    (name: string) => `${name[0].toUpperCase()}${name.slice(1)}Function`,
  ]) {
    const functions = placeholders();
    for (const name of FUNCTION_NAMES) {
      renameSync(join(functions, name), join(functions, rename(name)));
    }
    Template.fromStack(heal({ functions }).stack).resourceCountIs('AWS::Lambda::Function', 6);
  }
});

test('functions are found as zip files', () => {
  const functions = mkdtempSync(join(tmpdir(), 'resilver-cdk-'));
  for (const name of FUNCTION_NAMES.slice(1)) {
    writeFileSync(join(functions, `${name}.zip`), 'zip');
  }
  mkdirSync(join(functions, 'resilver-collect'));
  writeFileSync(join(functions, 'resilver-collect', 'bootstrap.zip'), 'zip');
  Template.fromStack(heal({ functions }).stack).resourceCountIs('AWS::Lambda::Function', 6);
});

test('only the bootstrap goes into the asset', () => {
  const functions = placeholders();
  writeFileSync(join(functions, 'collect', 'bootstrap.debug'), 'symbols');
  const app = new App();
  new Resilver(new Stack(app, 'resilver'), 'Heal', { functions, buckets: ['orders'] });
  const { directory } = app.synth();
  const assets = readdirSync(directory).filter((name) => name.startsWith('asset.'));
  assert.deepEqual([...new Set(assets.flatMap((asset) => readdirSync(join(directory, asset))))], ['bootstrap']);
});

test('a function that is not there is named, with where it was looked for and what to do', () => {
  const functions = placeholders();
  rmSync(join(functions, 'settle'), { recursive: true });
  assert.throws(() => heal({ functions }), {
    message:
      `Resilver found no settle in ${functions}: neither settle/bootstrap nor settle.zip, nor either under the names resilver-settle and ` +
      'SettleFunction. Build the functions (cargo lambda build --release, or sam build) and give functions the folder they are in',
  });
});

test('a function built for another processor is refused', () => {
  assert.throws(
    () => heal({ functions: placeholders(0x3e) }),
    /collect\/bootstrap is not built for arm64. .*, or set architecture to 'x86_64'$/,
  );
  assert.throws(
    () => heal({ architecture: 'x86_64' }),
    /collect\/bootstrap is not built for x86_64. .*, or set architecture to 'arm64'$/,
  );
  const functions = placeholders();
  writeFileSync(join(functions, 'collect', 'bootstrap'), elf(0x28));
  assert.throws(() => heal({ functions }), /is not built for arm64. Build it for arm64$/);
});

test('what is no Linux program is refused', () => {
  const functions = placeholders();
  for (const content of ['', '#!/bin/sh', '\xcf\xfa\xed\xfe mach-o']) {
    writeFileSync(join(functions, 'collect', 'bootstrap'), content, 'latin1');
    assert.throws(() => heal({ functions }), /collect\/bootstrap is no program for 64-bit Linux/);
  }
});

const chatsOf = (stack: Stack): string => {
  const notify = Template.fromStack(stack).findResources('AWS::Lambda::Function', {
    Properties: { FunctionName: 'resilver-notify' },
  });
  return JSON.stringify(Object.values(notify)[0].Properties.Environment.Variables.RESILVER_CHATS);
};

test('a secret stays out of the template, and a plain URL is warned of', () => {
  const secret = heal({ slackWebhookUrl: SecretValue.secretsManager('chat/slack') });
  assert.match(chatsOf(secret.stack), /\{\{resolve:secretsmanager:chat\/slack:SecretString:::?\}\}/);
  Annotations.fromStack(secret.stack).hasNoWarning('*', Match.anyValue());

  const plain = heal({ teamsWebhookUrl: 'https://teams/hook' });
  Annotations.fromStack(plain.stack).hasWarning(
    '/resilver/Heal',
    Match.stringLikeRegexp('teamsWebhookUrl stands in the template for all to read'),
  );
});

test('a parameter of the stack can be a URL or a number', () => {
  const stack = new Stack(new App(), 'resilver');
  const url = new CfnParameter(stack, 'Url', { noEcho: true });
  const dollars = new CfnParameter(stack, 'Dollars', { type: 'Number' });
  const webhookUrl = SecretValue.cfnParameter(url);
  new Resilver(stack, 'Heal', {
    functions: placeholders(),
    buckets: ['orders'],
    webhookUrl,
    dayDollars: dollars.valueAsNumber,
  });
  assert.match(chatsOf(stack), /\{"Ref":"Url"\}/);
  const launch = Template.fromStack(stack).findResources('AWS::Lambda::Function', {
    Properties: { FunctionName: 'resilver-launch' },
  });
  const limits = JSON.stringify(Object.values(launch)[0].Properties.Environment.Variables.RESILVER_LIMITS);
  assert.match(limits, /day_micro_usd_max\\": ",\{"Ref":"Dollars"\},"000000,/);
});

test('a bucket of the same stack can be a source', () => {
  const stack = new Stack(new App(), 'resilver');
  const orders = new Bucket(stack, 'Orders', { versioned: true });
  new Resilver(stack, 'Heal', { functions: placeholders(), buckets: [orders] });
  Template.fromStack(stack).hasResourceProperties('Custom::ResilverEnrolment', { Buckets: [stack.resolve(orders.bucketName)] });
});

test("notices can be had by targets of one's own", () => {
  const { stack, heal: resilver } = heal();
  resilver.onNotice('ToPager', new LambdaFunction(resilver.functions.notify));
  Template.fromStack(stack).hasResourceProperties('AWS::Events::Rule', {
    EventBusName: stack.resolve(resilver.bus.eventBusName),
    EventPattern: { source: ['resilver'], 'detail-type': ['Resilver Notice'] },
    Targets: [{ Arn: stack.resolve(resilver.functions.notify.functionArn) }],
  });
});
