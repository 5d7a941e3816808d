// Roles and policy documents out of statements. It decides no permission: that is policies.ts.

import * as iam from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';
import type { Construct } from 'constructs';
import { acceptWildcards } from './nag';
import type { Statement } from './policies';

/** A role with one policy, of the statements as they are. */
export function roleFor(
  scope: Construct,
  id: string,
  assumedBy: iam.IPrincipal,
  policy: string,
  statements: Statement[],
): iam.Role {
  const role = new iam.Role(scope, id, { assumedBy, inlinePolicies: { [policy]: documentOf(statements) } });
  acceptAll(role, statements);
  return role;
}

/** The document, with its statements in their order and none merged. */
export function documentOf(statements: Statement[]): iam.PolicyDocument {
  return new iam.PolicyDocument({
    minimize: false,
    statements: statements.map(
      ({ sid, actions, resources, conditions }) =>
        new iam.PolicyStatement({ sid, actions: [...actions], resources: [...resources], conditions }),
    ),
  });
}

/** Accepts the wildcards of the statements, each with the reason that its statement gives. */
export function acceptAll(construct: IConstruct, statements: Statement[]): void {
  for (const { resources, wildcard } of statements) {
    if (wildcard !== undefined) {
      acceptWildcards(construct, resources, wildcard);
    }
  }
}

/** A Deny for everyone who does not come by TLS, or, with a condition, by TLS that is too old. */
export function onlyBy(
  sid: string,
  action: string,
  resources: string[],
  conditions: Record<string, unknown> = { Bool: { 'aws:SecureTransport': 'false' } },
): iam.PolicyStatement {
  const everyone = new iam.StarPrincipal();
  return new iam.PolicyStatement({
    sid,
    effect: iam.Effect.DENY,
    principals: [everyone],
    actions: [action],
    resources,
    conditions,
  });
}
