// Findings of cdk-nag that are accepted, each with its reason, so that an app that runs AwsSolutionsChecks needs none of its own
// for Resilver. Acknowledgements are part of aws-cdk-lib: without cdk-nag they do nothing.

import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Accepts one finding on a construct. */
export function accept(construct: IConstruct, rule: string, reason: string): void {
  Validations.of(construct).acknowledge({ id: `AwsSolutions-${rule}`, reason });
}

/**
 * Accepts the wildcards in one statement's resources: exactly those, so that another one is found. When the construct is
 * validated, just before cdk-nag looks: only then is it known how a bucket of another stack is spelled.
 */
export function acceptWildcards(construct: IConstruct, resources: readonly string[], reason: string): void {
  const accepted = new Set<string>();
  construct.node.addValidation({
    validate: () => {
      const spelled = resources.map((resource) => spell(Stack.of(construct).resolve(resource)));
      for (const resource of spelled.filter((each) => each.includes('*') && !accepted.has(each))) {
        accepted.add(resource);
        accept(construct, `IAM5[Resource::${resource}]`, reason);
      }
      return [];
    },
  });
}

// As cdk-nag spells a reference: <LogicalId.Attribute> or <LogicalId>.
function spell(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  const reference = value as Record<string, unknown>;
  if ('Fn::Join' in reference) {
    const [delimiter, parts] = reference['Fn::Join'] as [string, unknown[]];
    return parts.map(spell).join(delimiter);
  }
  if ('Fn::GetAtt' in reference) {
    return `<${(reference['Fn::GetAtt'] as string[]).join('.')}>`;
  }
  if ('Fn::ImportValue' in reference) {
    return spell(reference['Fn::ImportValue']);
  }
  return 'Ref' in reference ? `<${String(reference.Ref)}>` : JSON.stringify(value);
}
