// The app as one construct: what template.yaml deploys, with the same names, policies, patterns and schedules. Resources stand in
// the order in which a failure meets them. test/equality.test.ts compares them with the template, one by one.

import { Annotations, Aws, CfnOutput, CustomResource, Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import * as scheduler from 'aws-cdk-lib/aws-scheduler';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { codeOf } from './code';
import { environmentOf } from './environment';
import { type Named, OF_FUNCTION, Sources, logAndTrace, ofJobs, ofLettingGo } from './policies';
import { type ResilverProps, type Settings, settingsOf } from './props';
import { acceptAll, documentOf, roleFor } from './roles';
import { deadEvents, failureQueues, letRulesIn, stateBucket } from './storage';
import { FUNCTION_NAMES, type FunctionName, type Listening, WIRING } from './wiring';

/**
 * Heals S3 replication: what S3 could not replicate is collected, and replicated again by S3 Batch Replication. One in each
 * account and Region that has source buckets; the buckets and their replication rules exist already, and stay as they are.
 *
 * @example
 * new Resilver(this, 'Heal', { functions: 'target/lambda', buckets: ['orders', 'invoices'] });
 */
export class Resilver extends Construct {
  /** Begins the names of all that is made. */
  readonly name: string;
  /** Everything that Resilver knows. It is kept when the stack is deleted. */
  readonly stateBucket: s3.Bucket;
  /** Enrolled buckets send their failures here. */
  readonly failureQueue: sqs.Queue;
  /** Failures that could not be stored for days. */
  readonly deadLetters: sqs.Queue;
  /** Events that found no function. They can be deleted. */
  readonly deadEvents: sqs.Queue;
  /** Bus of the notices. */
  readonly bus: events.EventBus;
  /** Role of the jobs. Key policies that name roles have to name the replication role, not this one. */
  readonly jobRole: iam.Role;
  /** The six functions. */
  readonly functions: Readonly<Record<FunctionName, lambda.Function>>;

  private readonly settings: Settings;
  private readonly sources: Sources;

  constructor(scope: Construct, id: string, props: ResilverProps) {
    super(scope, id);
    this.settings = settingsOf(this, props);
    this.name = this.settings.name;
    this.sources = new Sources(this.settings.buckets, this.settings.bucketTag !== '');
    this.warnOfPlainUrls();

    [this.failureQueue, this.deadLetters] = failureQueues(this, this.name, Aws.ACCOUNT_ID, this.sources.bucketArns);
    const bucketName = `${this.name}-${Aws.ACCOUNT_ID}-${Aws.REGION}`;
    this.stateBucket = stateBucket(this, bucketName, this.settings.stateKeyArn);
    this.deadEvents = deadEvents(this, this.name);
    this.bus = new events.EventBus(this, 'Bus', { eventBusName: this.name });
    const batchOperations = new iam.ServicePrincipal('batchoperations.s3.amazonaws.com');
    this.jobRole = roleFor(this, 'JobRole', batchOperations, 'replicate', ofJobs(this.stateBucket.bucketArn, this.sources));

    const made = FUNCTION_NAMES.map((name) => [name, this.makeFunction(name)] as const);
    this.functions = Object.fromEntries(made) as Record<FunctionName, lambda.Function>;
    this.wakeByQueue();
    this.wakeByRules();
    this.enrol(this.wakeBySchedules());
    this.tell();
  }

  /** A rule that hands every notice to targets of yours. */
  onNotice(id: string, ...targets: events.IRuleTarget[]): events.Rule {
    const eventPattern = { source: ['resilver'], detailType: ['Resilver Notice'] };
    return new events.Rule(this, id, { eventBus: this.bus, eventPattern, targets });
  }

  // A template can be read by many more than may read a secret.
  private warnOfPlainUrls(): void {
    for (const prop of this.settings.plainUrls) {
      const remedy = `SecretValue.secretsManager('...') or SecretValue.cfnParameter(...) keeps it out`;
      Annotations.of(this).addWarningV2(`resilver:${prop}`, `${prop} stands in the template for all to read: ${remedy}`);
    }
  }

  private makeFunction(name: FunctionName): lambda.Function {
    const wiring = WIRING[name];
    const id = capital(name);
    const logGroup = new logs.LogGroup(this, `${id}Log`, {
      logGroupName: `/aws/lambda/${this.name}-${name}`,
      retention: this.settings.logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const statements = [...OF_FUNCTION[name](this.named()), ...logAndTrace(logGroup.logGroupArn)];
    const role = roleFor(this, `${id}Role`, new iam.ServicePrincipal('lambda.amazonaws.com'), name, statements);
    const arm = this.settings.architecture === 'arm64';
    const made = new lambda.Function(this, `${id}Function`, {
      functionName: `${this.name}-${name}`,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: 'bootstrap',
      code: codeOf(name, this.settings.functions, this.settings.architecture),
      architecture: arm ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
      role,
      logGroup,
      timeout: Duration.seconds(wiring.timeoutSeconds),
      memorySize: wiring.memoryMb,
      environment: {
        RESILVER_ACCOUNT: Aws.ACCOUNT_ID,
        RESILVER_STATE_BUCKET: this.stateBucket.bucketName,
        ...environmentOf(name, this.settings, {
          jobRoleArn: this.jobRole.roleArn,
          bus: this.bus.eventBusName,
          queueArn: this.failureQueue.queueArn,
        }),
      },
      retryAttempts: wiring.retries?.attempts,
      maxEventAge: wiring.retries && Duration.seconds(wiring.retries.maxAgeSeconds),
    });
    // By the property and not by the prop, which would give the role a second policy for what the first one allows.
    (made.node.defaultChild as lambda.CfnFunction).tracingConfig = { mode: 'Active' };
    return made;
  }

  private named(): Named {
    return {
      state: this.stateBucket.bucketArn,
      queue: this.failureQueue.queueArn,
      jobRole: this.jobRole.roleArn,
      bus: this.bus.eventBusArn,
      sources: this.sources,
    };
  }

  private wakeByQueue(): void {
    new lambda.EventSourceMapping(this.functions.collect, 'Failures', {
      target: this.functions.collect,
      eventSourceArn: this.failureQueue.queueArn,
      // Few large segments instead of many small ones: launch lists and reads each.
      batchSize: 10_000,
      maxBatchingWindow: Duration.minutes(5),
      reportBatchItemFailures: true,
      // The fewest that Lambda takes. Two at a time are thousands of failures a second.
      maxConcurrency: 2,
    });
  }

  private wakeByRules(): void {
    const arns = FUNCTION_NAMES.flatMap((name) => {
      const rule = WIRING[name].rule;
      return rule === undefined ? [] : [this.listen(this.functions[name], rule)];
    });
    letRulesIn(this.deadEvents, arns);
  }

  private listen(target: lambda.Function, { id, onOurBus, pattern }: Listening): string {
    const rule = new events.CfnRule(target, id, {
      eventBusName: onOurBus ? this.bus.eventBusName : undefined,
      eventPattern: pattern,
      targets: [{ id: 'function', arn: target.functionArn, deadLetterConfig: { arn: this.deadEvents.queueArn } }],
    });
    new lambda.CfnPermission(target, `${id}Permission`, {
      action: 'lambda:InvokeFunction',
      functionName: target.functionName,
      principal: 'events.amazonaws.com',
      sourceArn: rule.attrArn,
    });
    return rule.attrArn;
  }

  private wakeBySchedules(): iam.Role {
    const woken = FUNCTION_NAMES.filter((name) => WIRING[name].schedule !== undefined);
    const us = { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } };
    const principal = new iam.ServicePrincipal('scheduler.amazonaws.com', { conditions: us });
    const resources = woken.map((name) => this.functions[name].functionArn);
    const role = roleFor(this, 'SchedulerRole', principal, 'wake', [
      { sid: 'Wake', actions: ['lambda:InvokeFunction'], resources },
    ]);
    for (const name of woken) {
      new scheduler.CfnSchedule(this.functions[name], 'Tick', {
        scheduleExpression: WIRING[name].schedule ?? '',
        flexibleTimeWindow: { mode: 'OFF' },
        target: {
          arn: this.functions[name].functionArn,
          roleArn: role.roleArn,
          // Functions have no clock: they are told the time (EventBridge Scheduler User Guide: managing-schedule-context-attributes).
          input: '{"time": "<aws.scheduler.scheduled-time>"}',
          retryPolicy: { maximumRetryAttempts: 2, maximumEventAgeInSeconds: 300 },
        },
      });
    }
    return role;
  }

  // Deploying enrols the buckets, changing them enrols the difference, deleting the stack undoes it.
  private enrol(waker: iam.Role): void {
    const { buckets, bucketTag } = this.settings;
    const enrolment = new CustomResource(this, 'Enrolment', {
      resourceType: 'Custom::ResilverEnrolment',
      serviceToken: this.functions.enroll.functionArn,
      // Three tries of the function with Lambda's pauses of one and two minutes, instead of an hour.
      serviceTimeout: Duration.minutes(20),
      properties: { Buckets: buckets, Tag: bucketTag, QueueArn: this.failureQueue.queueArn },
    });
    // S3 tests the queue when the document is written, so its policy has to be there. The functions come first so that little can
    // fail after buckets were written to.
    enrolment.node.addDependency(this.failureQueue.node.findChild('Policy'), this.stateBucket.policy!);
    for (const name of FUNCTION_NAMES.filter((each) => each !== 'enroll')) {
      enrolment.node.addDependency(this.functions[name].node.defaultChild!);
    }
    // A schedule begins at once (EventBridge Scheduler User Guide: schedule-types), so all of them, which need this role, come
    // after the enrolment, and go before it.
    waker.node.addDependency(enrolment);
    // A bucket that leaves has to be let go when enroll's role names it no longer. This policy changes after the enrolment has:
    // while that runs, one of the two names what comes, the other what goes.
    const statements = ofLettingGo(this.sources);
    const letGo = new iam.CfnPolicy(this, 'LetGoPolicy', {
      policyName: 'let-go',
      policyDocument: documentOf(statements),
      roles: [this.functions.enroll.role!.roleName],
    });
    letGo.node.addDependency(enrolment);
    acceptAll(letGo, statements);
  }

  // The same outputs as the template has.
  private tell(): void {
    const redrive = `aws sqs start-message-move-task --region ${Aws.REGION} --source-arn ${this.deadLetters.queueArn}`;
    const values: Record<string, [value: string, description?: string]> = {
      StateBucket: [this.stateBucket.bucketName, 'Everything that Resilver knows. It is kept when the stack is deleted.'],
      FailureQueue: [this.failureQueue.queueUrl, 'URL of the queue that enrolled buckets send their failures to.'],
      DeadLetters: [this.deadLetters.queueUrl, 'URL of the queue of failures that could not be stored for days.'],
      Redrive: [redrive, 'Once collect works again, this moves the dead letters back into the failure queue.'],
      DeadEvents: [this.deadEvents.queueUrl, 'URL of the queue of events that found no function. They can be deleted.'],
      Bus: [this.bus.eventBusName, 'Event bus of the notices.'],
      JobRole: [
        this.jobRole.roleArn,
        'Role of the jobs. Key policies that name roles have to name the replication role, not this one.',
      ],
    };
    for (const name of FUNCTION_NAMES) {
      values[`${capital(name)}Function`] = [this.functions[name].functionName];
    }
    for (const [id, [value, description]] of Object.entries(values)) {
      new CfnOutput(this, `${id}Output`, { value, description });
    }
  }
}

function capital(name: FunctionName): string {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}
