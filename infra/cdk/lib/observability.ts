// The alarms and the dashboard of infra/observability.yaml. Apart from the app: alarms cost money each month, teams have their own
// ways to be woken, and the app is whole without.

import { Aws } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { Complaints, SHAPES } from './check';
import { dashboardBody } from './dashboard';
import { FUNCTION_NAMES } from './wiring';

/** Props of `ResilverObservability`. */
export interface ResilverObservabilityProps {
  /** The app's name: `heal.name`. */
  readonly stackName: string;
  /**
   * SNS topic that alarms are sent to.
   * @default alarms are only shown
   */
  readonly alarmTopicArn?: string;
  /**
   * An object that is not healed after so many hours needs a person. The canaries of an open circuit are a day apart at most.
   * @default 24
   */
  readonly unhealedHours?: number;
}

const HOURS = [1, 3, 6, 12, 24, 48, 96, 168, 336];

type Alarm = Omit<cloudwatch.CfnAlarmProps, 'evaluationPeriods' | 'comparisonOperator'> &
  Partial<Pick<cloudwatch.CfnAlarmProps, 'evaluationPeriods' | 'comparisonOperator'>>;

/** Dashboard and alarms of one app, in its account and Region. */
export class ResilverObservability extends Construct {
  /** To be woken by: whatever is wrong, some object does not get home and grows old. */
  readonly oldestUnhealed: cloudwatch.IAlarm;

  private readonly app: string;
  private readonly actions: string[] | undefined;

  constructor(scope: Construct, id: string, { stackName, alarmTopicArn, unhealedHours = 24 }: ResilverObservabilityProps) {
    super(scope, id);
    const complaints = new Complaints();
    complaints.text('stackName', stackName, SHAPES.stack, 'the name of the app, lower case, 35 characters at most');
    complaints.text(
      'alarmTopicArn',
      alarmTopicArn,
      SHAPES.topic,
      'the ARN of an SNS standard topic (arn:aws:sns:REGION:ACCOUNT:NAME)',
    );
    complaints.oneOf('unhealedHours', unhealedHours, HOURS, '1, 3, 6, 12, 24, 48, 96, 168 or 336');
    complaints.throwIfAny(`ResilverObservability at ${this.node.path}`);
    this.app = stackName;
    this.actions = alarmTopicArn === undefined ? undefined : [alarmTopicArn];

    const oldest = this.oldestUnhealedAlarm(unhealedHours);
    this.oldestUnhealed = cloudwatch.Alarm.fromAlarmArn(this, 'OldestUnhealed', oldest.attrArn);
    this.alarmsOfFunctions();
    this.alarmsOfQueues();
    // Not in OldestUnhealedAge: no retry heals these, and a person may leave them there.
    this.alarm('QuarantinedAlarm', 'quarantined', {
      alarmDescription:
        `Objects are in quarantine: no retry heals them. The dashboard ${stackName}-${Aws.REGION} shows of which bucket; the notice of that bucket ` +
        'says why, and what does help.',
      metrics: [{ id: 'worst', expression: 'SELECT MAX(Quarantined) FROM SCHEMA(Resilver, Bucket)', period: 300 }],
      threshold: 0,
    });
    this.alarm('RejectsAlarm', 'rejects', {
      alarmDescription: `Events or reports could not be read. They are kept byte for byte under rejects/ in the state bucket of ${stackName}.`,
      metrics: [{ id: 'worst', expression: 'SELECT SUM(Rejects) FROM SCHEMA(Resilver, Bucket)', period: 300 }],
      threshold: 0,
    });
    new cloudwatch.CfnDashboard(this, 'Dashboard', {
      // Dashboards are global: the same app in another Region has its own.
      dashboardName: `${stackName}-${Aws.REGION}`,
      dashboardBody: JSON.stringify(dashboardBody(stackName, Aws.REGION)),
    });
  }

  // Where nothing is unhealed there may be nothing to measure; that launch runs at all is watched by LaunchStoppedAlarm.
  private oldestUnhealedAlarm(hours: number): cloudwatch.CfnAlarm {
    return this.alarm('OldestUnhealedAlarm', 'oldest-unhealed', {
      alarmDescription:
        `An object has not been healed for more than ${hours} hours. The dashboard ${this.app}-${Aws.REGION} shows of which bucket; the last notice ` +
        'of that bucket says why, and what to do.',
      metrics: [{ id: 'worst', expression: 'SELECT MAX(OldestUnhealedAge) FROM SCHEMA(Resilver, Bucket)', period: 300 }],
      threshold: hours * 3600,
      evaluationPeriods: 3,
    });
  }

  private alarmsOfFunctions(): void {
    // Silence is not health: launch is woken every five minutes.
    this.alarm('LaunchStoppedAlarm', 'launch-stopped', {
      alarmDescription: `${this.app}-launch has not run for half an hour, so nothing is healed. Look at its schedule and its concurrency.`,
      namespace: 'AWS/Lambda',
      metricName: 'Invocations',
      dimensions: [{ name: 'FunctionName', value: `${this.app}-launch` }],
      statistic: 'Sum',
      period: 1800,
      comparisonOperator: 'LessThanThreshold',
      threshold: 1,
      treatMissingData: 'breaching',
    });
    // One failed run is nothing, the next one does it again. An hour of them is.
    const errorsOf = (name: string): cloudwatch.CfnAlarm.MetricDataQueryProperty => ({
      id: name,
      returnData: false,
      metricStat: {
        stat: 'Sum',
        period: 900,
        metric: {
          namespace: 'AWS/Lambda',
          metricName: 'Errors',
          dimensions: [{ name: 'FunctionName', value: `${this.app}-${name}` }],
        },
      },
    });
    this.alarm('FunctionErrorsAlarm', 'function-errors', {
      alarmDescription:
        `Functions of ${this.app} have failed in each of the last four quarters of an hour. The dashboard shows which; its log says ` +
        'what to do next.',
      metrics: [{ id: 'errors', expression: 'SUM(METRICS())', label: 'Failed runs' }, ...FUNCTION_NAMES.map(errorsOf)],
      threshold: 0,
      evaluationPeriods: 4,
    });
  }

  private alarmsOfQueues(): void {
    const app = this.app;
    const of = (
      queue: string,
      metricName: string,
    ): Pick<Alarm, 'namespace' | 'metricName' | 'dimensions' | 'statistic' | 'period'> => ({
      namespace: 'AWS/SQS',
      metricName,
      dimensions: [{ name: 'QueueName', value: `${app}-${queue}` }],
      statistic: 'Maximum',
      period: 300,
    });
    // The batching window is five minutes.
    this.alarm('QueueAgeAlarm', 'failures-not-collected', {
      alarmDescription: `Failures lie in the queue ${app}-failures for more than an hour: ${app}-collect does not store them. They are kept for 14 days.`,
      ...of('failures', 'ApproximateAgeOfOldestMessage'),
      threshold: 3600,
      evaluationPeriods: 2,
    });
    // These are failures that nobody heals.
    this.alarm('DeadLettersAlarm', 'dead-letters', {
      alarmDescription:
        `Failures could not be stored for days and lie in ${app}-dead-letters for about ten days more. Repair ${app}-collect, then run the command ` +
        `that the output Redrive of the stack ${app} shows.`,
      ...of('dead-letters', 'ApproximateNumberOfMessagesVisible'),
      threshold: 0,
    });
    // A rule that cannot wake its function makes healing slow, and nothing else shows it.
    this.alarm('DeadEventsAlarm', 'dead-events', {
      alarmDescription:
        `Events found no function and lie in ${app}-dead-events. Schedules make up for them; look at the permissions of the functions ` +
        'and delete the messages.',
      ...of('dead-events', 'ApproximateNumberOfMessagesVisible'),
      threshold: 0,
    });
  }

  private alarm(id: string, name: string, alarm: Alarm): cloudwatch.CfnAlarm {
    return new cloudwatch.CfnAlarm(this, id, {
      alarmName: `${this.app}-${name}`,
      comparisonOperator: 'GreaterThanThreshold',
      evaluationPeriods: 1,
      treatMissingData: 'notBreaching',
      alarmActions: this.actions,
      ...alarm,
    });
  }
}
