// Makes resources of two templates comparable: spelling that makes no difference to AWS is made the same. What is left out here is
// not compared, so each rule says why it may be.

import { type Json, type Resource } from './evaluate';

/** One resource as it is compared. */
export interface Normal {
  type: string;
  properties: Json;
  dependsOn: string[];
  deletionPolicy: string;
  updateReplacePolicy: string;
}

/** Resources by logical id, with references renamed by `rename`. */
export function normalise(
  resources: Record<string, Resource>,
  rename: (id: string) => string = (id) => id,
): Record<string, Normal> {
  const names = new Map(Object.keys(resources).map((id) => [id, rename(id)]));
  const pairs = Object.entries(resources).map(([id, resource]) => [names.get(id), normal(resource, names)] as const);
  return Object.fromEntries(pairs);
}

/** One resource; `names` are the logical ids and what they are renamed to. */
export function normal(resource: Resource, names: Map<string, string>): Normal {
  const properties = { ...(resource.Properties as Record<string, Json>) };
  if (resource.Type === 'AWS::Lambda::Function') {
    // Where the code lies, and a tag that says that SAM made the function.
    delete properties.Code;
    delete properties.Tags;
  }
  if (resource.Type === 'AWS::Events::Rule') {
    // The id of a target names it within its rule only.
    properties.Targets = (properties.Targets as Record<string, Json>[]).map((target) => ({ ...target, Id: 'target' }));
  }
  const renamed = renameIn(properties, names);
  const implied = JSON.stringify(renamed);
  const depends = [resource.DependsOn ?? []].flat().map((id) => names.get(id) ?? id);
  return {
    type: resource.Type,
    properties: spelled(renamed, ''),
    // What a resource refers to is made before it in any case.
    dependsOn: depends.filter((id) => !implied.includes(`<${id}>`) && !implied.includes(`<${id}.`)).sort(),
    // Both are Delete where nothing is said, for all that is made here.
    deletionPolicy: resource.DeletionPolicy ?? 'Delete',
    updateReplacePolicy: resource.UpdateReplacePolicy ?? 'Delete',
  };
}

/** A value with the logical ids in its references renamed. */
export function renameIn(value: Json, names: Map<string, string>): Json {
  if (typeof value === 'string') {
    return value.replace(/<([A-Za-z0-9]+)(\.[A-Za-z.]+)?>/g, (all, id: string, attribute = '') =>
      names.has(id) ? `<${names.get(id)}${attribute}>` : all,
    );
  }
  if (Array.isArray(value)) {
    return value.map((each) => renameIn(each, names));
  }
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, renameIn(each, names)]));
  }
  return value;
}

// Lists whose order means nothing; one element alone is the same as a list of it.
const SETS = new Set(['Action', 'Resource', 'aws:SourceArn', 'AWS', 'eventName', 'status']);
// The environment of a function, the input of a schedule and the body of a dashboard may hold JSON.
const JSON_TEXT = /^\s*[[{]/;

function spelled(value: Json, key: string): Json {
  if (Array.isArray(value)) {
    const list = value.map((each) => spelled(each, ''));
    return SETS.has(key) ? list.map(String).sort() : list;
  }
  if (value !== null && typeof value === 'object') {
    const pairs = Object.entries(value)
      .filter(([name, each]) => !saysNothing(name, each))
      .map(([name, each]) => [name, spelled(each, name)] as const);
    return Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  const text = typeof value === 'string' ? value.replaceAll('arn:*:s3:::', 'arn:aws:s3:::') : String(value);
  if (JSON_TEXT.test(text)) {
    return spelled(JSON.parse(text) as Json, '');
  }
  // CloudFormation makes no difference between 900 and "900".
  return SETS.has(key) ? [text] : text;
}

// No list of buckets is an empty one; SAM writes an empty DestinationConfig, which is the same as none.
function saysNothing(name: string, value: Json): boolean {
  const empty = JSON.stringify(value);
  return (name === 'Buckets' && ['[]', '[""]'].includes(empty)) || (name === 'DestinationConfig' && empty === '{}');
}
