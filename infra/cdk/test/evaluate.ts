// CloudFormation's intrinsic functions, as far as the templates of this repository use them: a template and its parameters become
// resources without parameters, conditions and functions. What is known at deployment only, an attribute of a resource, stays as
// <LogicalId.Attribute>. A function that is not known here is an error, not left alone.

import assert from 'node:assert/strict';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

export interface Resource {
  Type: string;
  Properties?: Json;
  DependsOn?: string | string[];
  DeletionPolicy?: string;
  UpdateReplacePolicy?: string;
  Condition?: string;
}

export interface Template {
  Parameters?: Record<
    string,
    { Type: string; Default?: Json; AllowedPattern?: string; AllowedValues?: Json[]; ConstraintDescription?: string }
  >;
  Mappings?: Record<string, Json>;
  Conditions?: Record<string, Json>;
  Resources: Record<string, Resource>;
  Outputs?: Record<string, { Description?: string; Value: Json }>;
}

export const PSEUDO: Record<string, string> = {
  'AWS::AccountId': '111122223333',
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-central-1',
  'AWS::StackName': 'resilver',
  'AWS::URLSuffix': 'amazonaws.com',
};

// AWS::NoValue: what it stands for is left out.
const NOTHING = Symbol('AWS::NoValue');
type Value = Json | typeof NOTHING;

export class Evaluation {
  private readonly values: Record<string, Json>;

  constructor(
    private readonly template: Template,
    parameters: Record<string, string>,
  ) {
    this.values = { ...PSEUDO };
    for (const [name, { Type, Default }] of Object.entries(template.Parameters ?? {})) {
      const given = parameters[name] ?? Default;
      assert.notEqual(given, undefined, `parameter ${name} has neither a value nor a default`);
      this.values[name] = Type === 'CommaDelimitedList' ? String(given).split(',') : given!;
    }
    for (const name of Object.keys(parameters)) {
      assert.ok(name in (template.Parameters ?? {}), `the template has no parameter ${name}`);
    }
  }

  /** Resources whose condition holds, with everything in them worked out. */
  resources(): Record<string, Resource> {
    const found = Object.entries(this.template.Resources).filter(
      ([, { Condition }]) => !Condition || this.condition(Condition),
    );
    return Object.fromEntries(
      found.map(([id, resource]) => [id, { ...resource, Properties: this.json(resource.Properties ?? {}) }]),
    );
  }

  /** A value that may hold functions, worked out. */
  json(value: Json): Json {
    const result = this.evaluate(value);
    assert.notEqual(result, NOTHING, 'AWS::NoValue where a value has to be');
    return result as Json;
  }

  private evaluate(value: Json): Value {
    if (Array.isArray(value)) {
      return value.map((each) => this.evaluate(each)).filter((each): each is Json => each !== NOTHING);
    }
    if (value === null || typeof value !== 'object') {
      return value;
    }
    const keys = Object.keys(value);
    if (keys.length === 1 && (keys[0] === 'Ref' || keys[0].startsWith('Fn::'))) {
      return this.call(keys[0], value[keys[0]]);
    }
    const pairs = Object.entries(value).map(([key, each]) => [key, this.evaluate(each)] as const);
    return Object.fromEntries(pairs.filter((pair): pair is [string, Json] => pair[1] !== NOTHING));
  }

  private call(name: string, argument: Json): Value {
    const list = argument as Json[];
    switch (name) {
      case 'Ref':
        return this.reference(argument as string);
      case 'Fn::GetAtt':
        return `<${Array.isArray(argument) ? argument.join('.') : String(argument)}>`;
      case 'Fn::If':
        return this.evaluate(this.condition(list[0] as string) ? list[1] : list[2]);
      case 'Fn::Join':
        return (this.json(list[1]) as string[]).join(this.json(list[0]) as string);
      case 'Fn::Split':
        return (this.json(list[1]) as string).split(list[0] as string);
      case 'Fn::Sub':
        return typeof argument === 'string'
          ? this.substitute(argument, {})
          : this.substitute(list[0] as string, list[1] as Record<string, Json>);
      case 'Fn::FindInMap': {
        const [map, first, second] = list.map((each) => this.json(each) as string);
        return (this.template.Mappings as Record<string, Record<string, Record<string, Json>>>)[map][first][second];
      }
      default:
        return this.logic(name, list);
    }
  }

  private logic(name: string, list: Json[]): boolean {
    switch (name) {
      case 'Fn::Equals':
        return String(this.json(list[0])) === String(this.json(list[1]));
      case 'Fn::Not':
        return !this.json(list[0]);
      case 'Fn::Or':
        return list.some((each) => this.json(each));
      case 'Fn::And':
        return list.every((each) => this.json(each));
      default:
        throw new Error(`the tests do not know ${name}`);
    }
  }

  private condition(name: string): boolean {
    const condition = this.template.Conditions?.[name];
    assert.ok(condition !== undefined, `the template has no condition ${name}`);
    return this.json(condition) as boolean;
  }

  private reference(name: string): Value {
    if (name === 'AWS::NoValue') {
      return NOTHING;
    }
    const known = this.values[name];
    if (known !== undefined) {
      return known;
    }
    assert.ok(name in this.template.Resources, `Ref of ${name}, which is neither a parameter nor a resource`);
    return `<${name}>`;
  }

  private substitute(text: string, own: Record<string, Json>): string {
    return text.replace(/\$\{([^}]+)\}/g, (_, name: string) => {
      if (name.startsWith('!')) {
        return `\${${name.slice(1)}}`;
      }
      return String(own[name] !== undefined ? this.json(own[name]) : name.includes('.') ? `<${name}>` : this.reference(name));
    });
  }
}
