// What the tests share: placeholders for the functions, a stack around a construct, and the templates as AWS would transform them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, CfnElement, Stack } from 'aws-cdk-lib';
import { Template as Synthesized } from 'aws-cdk-lib/assertions';
import type { Construct } from 'constructs';
import { FUNCTION_NAMES } from '../lib';
import { Evaluation, type Json, type Template } from './evaluate';
import { normalise, type Normal, renameIn } from './normal';

const ROOT = join(__dirname, '../../..');

// All that tests write, the assemblies of the CDK too, goes into one folder, which goes with the process.
const scratch = mkdtempSync(join(tmpdir(), 'resilver-cdk-'));
process.env.TMPDIR = scratch;
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** A folder with six bootstraps that are ELF headers and nothing else. */
export function placeholders(machine: number = 0xb7): string {
  return fill(mkdtempSync(join(scratch, 'functions-')), machine);
}

/** Puts those into a folder. */
export function fill(folder: string, machine: number): string {
  for (const name of FUNCTION_NAMES) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'bootstrap'), elf(machine), { mode: 0o755 });
  }
  return folder;
}

/** The header of a 64-bit ELF program: 0xb7 is arm64, 0x3e x86_64. */
export function elf(machine: number): Buffer {
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header[18] = machine;
  return header;
}

/** Builds a construct in a stack of its own, and synthesises it. */
export function synthesise(build: (stack: Stack) => Construct): {
  template: Template;
  idOf: (logicalId: string) => string;
  stack: Stack;
} {
  const app = new App({ context: { 'aws:cdk:version-reporting': false } });
  const stack = new Stack(app, 'resilver');
  const construct = build(stack);
  const template = Synthesized.fromStack(stack).toJSON() as Template;
  const paths = new Map<string, string>();
  for (const child of construct.node.findAll()) {
    if (CfnElement.isCfnElement(child)) {
      const steps = child.node.path.slice(construct.node.path.length + 1).split('/');
      const id = steps.filter((step) => step !== 'Resource' && step !== 'Default').join('');
      paths.set(stack.resolve(child.logicalId) as string, id);
    }
  }
  const idOf = (logicalId: string): string => paths.get(logicalId) ?? assert.fail(`${logicalId} is outside of the construct`);
  return { template, idOf, stack };
}

/** The resources of a construct as they are compared, by the ids that the template gives them. */
export function built(build: (stack: Stack) => Construct): Record<string, Normal> {
  const { template, idOf } = synthesise(build);
  return normalise(new Evaluation(template, parametersOf(template)).resources(), idOf);
}

interface Naming {
  readonly parameters: Record<string, string>;
  /** The id of an output. */
  readonly rename: (id: string) => string;
  /** The id of a resource that an output refers to. */
  readonly refer: (id: string) => string;
}

/** The outputs of a template as they are compared. */
export function outputsOf(template: Template, { parameters, rename, refer }: Naming): Record<string, Json> {
  parametersOf(template);
  const evaluation = new Evaluation(template, parameters);
  const names = new Map(Object.keys(template.Resources).map((id) => [id, refer(id)]));
  const pairs = Object.entries(template.Outputs ?? {}).map(
    ([id, { Description, Value }]) =>
      [rename(id), [Description ?? '', renameIn(evaluation.json(Value), names)] as Json] as const,
  );
  return Object.fromEntries(pairs);
}

// Of the stack and not of the app: the version of the bootstrapping.
function parametersOf(template: Template): Record<string, string> {
  delete template.Parameters?.BootstrapVersion;
  return {};
}

let transformed: Record<string, Template> | undefined;

/** A template of this repository, transformed by the SAM translator. */
export function templateAt(path: string): Template {
  transformed ??= transformAll();
  return transformed[path] ?? assert.fail(`no template ${path}`);
}

const TEMPLATES = [
  'template.yaml',
  'infra/observability.yaml',
  'infra/destination-account.yaml',
  'infra/us-east-1.yaml',
  'infra/bus-policy.yaml',
];

function transformAll(): Record<string, Template> {
  const python = process.env.RESILVER_SAM_PYTHON ?? join(ROOT, 'target/infra/sam/bin/python');
  assert.ok(
    existsSync(python),
    `no ${python}: infra/check installs it, or set RESILVER_SAM_PYTHON to a Python that has aws-sam-translator`,
  );
  const text = execFileSync(python, [join(__dirname, 'transform.py'), ...TEMPLATES], { cwd: ROOT, maxBuffer: 1 << 26 });
  return JSON.parse(text.toString()) as Record<string, Template>;
}

/** The resources of a template as they are compared. */
export function wanted(path: string, parameters: Record<string, string>): Record<string, Normal> {
  return normalise(new Evaluation(templateAt(path), parameters).resources());
}

/** Both have the same resources, and each of them is the same. */
export function assertSame(actual: Record<string, Normal>, expected: Record<string, Normal>): void {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), 'not the same resources');
  for (const [id, resource] of Object.entries(expected)) {
    assert.deepEqual(actual[id], resource, `${id} differs from the template`);
  }
}
