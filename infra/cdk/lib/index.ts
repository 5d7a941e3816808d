// What an app imports. Everything else is inside.

export { Resilver } from './resilver';
export { FUNCTION_NAMES, type FunctionName } from './wiring';
export { type ResilverProps } from './props';
export { ResilverObservability, type ResilverObservabilityProps } from './observability';
export {
  ForwardBucketChanges,
  type ForwardBucketChangesProps,
  ForwardRoleChanges,
  type ForwardRoleChangesProps,
  LetForwardedEventsIn,
  type LetForwardedEventsInProps,
} from './forwarding';
