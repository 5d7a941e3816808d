// What the functions are told: the settings that ARCHITECTURE.md and the README list, RESILVER_*.

import { Tokenization } from 'aws-cdk-lib';
import type { Settings } from './props';
import type { FunctionName } from './wiring';

/** What settings name. */
export interface Told {
  readonly jobRoleArn: string;
  readonly bus: string;
  readonly queueArn: string;
}

/** Settings of one function besides the account and the state bucket, which all are told. */
export function environmentOf(name: FunctionName, settings: Settings, told: Told): Record<string, string> {
  switch (name) {
    case 'launch':
      return { RESILVER_JOB_ROLE_ARN: told.jobRoleArn, RESILVER_BUS: told.bus, RESILVER_LIMITS: limits(settings) };
    case 'backfill':
      return { RESILVER_LIMITS: limits(settings) };
    case 'notify':
      return { RESILVER_CHATS: chats(settings) };
    case 'enroll':
      return {
        RESILVER_QUEUE_ARN: told.queueArn,
        RESILVER_BUCKETS: settings.buckets.join(','),
        RESILVER_BUCKET_TAG: settings.bucketTag,
        RESILVER_STACK: settings.name,
      };
    default:
      return {};
  }
}

// Spelled, not computed: a number can be a parameter of the stack, which has a value at deployment only. Dollars in millionths,
// millions of objects in objects.
function limits(settings: Settings): string {
  const fields = {
    launch_wait_minutes: digits(settings.waitMinutes),
    launch_rows_min: digits(settings.launchRows),
    day_jobs_max: digits(settings.dayJobs),
    day_micro_usd_max: `${digits(settings.dayDollars)}000000`,
    jobs_active_max: digits(settings.activeJobs),
    sweep_days: digits(settings.sweepDays),
    bucket_objects: `${digits(settings.bucketObjectsMillions)}000000`,
    backfill_rows_unconfirmed_max: digits(settings.backfillRows),
  };
  const spelled = Object.entries(fields).map(([field, value]) => `"${field}": ${value}`);
  return `{${spelled.join(', ')}}`;
}

function digits(value: number): string {
  return Tokenization.stringifyNumber(value);
}

// A chat without a URL is left out by notify.
function chats({ slackWebhookUrl, teamsWebhookUrl, webhookUrl }: Settings): string {
  return JSON.stringify([
    { name: 'slack', kind: 'slack', url: slackWebhookUrl },
    { name: 'teams', kind: 'teams', url: teamsWebhookUrl },
    { name: 'webhook', kind: 'webhook', url: webhookUrl },
  ]);
}
