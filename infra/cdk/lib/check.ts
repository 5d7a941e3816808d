// Checks of props at synth. The sentences are those of the SAM templates' ConstraintDescription, with the value that was given.
// A token is known at deployment only and passes.

import { Token } from 'aws-cdk-lib';

/** What is wrong with the props of one construct, all of it at once. */
export class Complaints {
  private readonly found: string[] = [];

  add(sentence: string): void {
    this.found.push(sentence);
  }

  /** A text that has to match, if there is one. */
  text(name: string, value: string | undefined, pattern: RegExp, takes: string): void {
    if (value !== undefined && !Token.isUnresolved(value) && !pattern.test(value)) {
      this.add(`${name} takes ${takes}, not ${JSON.stringify(value)}`);
    }
  }

  /** A whole number between two bounds. */
  number(name: string, value: number, [least, most]: readonly [number, number], takes: string): void {
    const known = !Token.isUnresolved(value);
    if (known && !(Number.isInteger(value) && value >= least && value <= most)) {
      this.add(`${name} takes ${takes}, not ${value}`);
    }
  }

  /** One of a few values. */
  oneOf<T>(name: string, value: T, allowed: readonly T[], takes: string): void {
    if (!Token.isUnresolved(value) && !allowed.includes(value)) {
      this.add(`${name} takes ${takes}, not ${JSON.stringify(value)}`);
    }
  }

  /** Throws when there was anything to complain about. */
  throwIfAny(construct: string): void {
    if (this.found.length > 0) {
      throw new Error(`${construct}: ${this.found.join('; ')}`);
    }
  }
}

/** Shapes of names, the same as in the templates' AllowedPattern. */
export const SHAPES = {
  account: /^[0-9]{12}$/,
  bucket: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
  tag: /^[A-Za-z0-9 _.:/+@-]{1,128}=[A-Za-z0-9 _.:/=+@-]{0,256}$/,
  url: /^https:\/\/[^\s"\\]+$/,
  key: /^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key\/[A-Za-z0-9-]+$/,
  region: /^[a-z]{2}(-[a-z]+)+-[0-9]+$/,
  role: /^arn:[a-z-]+:iam::[0-9]{12}:role\/.+$/,
  stack: /^[a-z][a-z0-9-]{0,34}$/,
  topic: /^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$/,
} as const;
