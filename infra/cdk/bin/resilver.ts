// An app to copy from, and what infra/check synthesises: everything that the package has, looked at by cdk-nag.
//
//   npx cdk synth -c functions=../../target/infra/build -c architecture=x86_64 -c buckets=orders,invoices
//
// Context: functions (the folder with the built functions), buckets or bucketTag, architecture, and slackSecret, the name of a
// secret that is the URL of a Slack webhook.

import { App, SecretValue, Stack, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ForwardBucketChanges, ForwardRoleChanges, LetForwardedEventsIn, Resilver, ResilverObservability } from '../lib';

const SOURCE = { account: '111122223333', region: 'eu-central-1' };
const DESTINATION = { account: '444455556666', region: 'eu-west-1' };

const app = new App();
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));

const context = (name: string): string | undefined => app.node.tryGetContext(name) as string | undefined;
const bucketTag = context('bucketTag');
const buckets = context('buckets')?.split(',') ?? (bucketTag === undefined ? ['orders', 'invoices'] : []);
const slackSecret = context('slackSecret');

// In the account and Region of the source buckets.
const source = new Stack(app, 'Resilver', { env: SOURCE, description: 'Heals S3 replication by S3 Batch Replication.' });
const heal = new Resilver(source, 'Heal', {
  functions: context('functions') ?? '../../target/lambda',
  architecture: context('architecture') as 'arm64' | 'x86_64' | undefined,
  buckets,
  bucketTag,
  slackWebhookUrl: slackSecret === undefined ? undefined : SecretValue.secretsManager(slackSecret),
});
new ResilverObservability(source, 'Watch', { stackName: heal.name });
new LetForwardedEventsIn(source, 'FromDestinations', { destinationAccounts: [DESTINATION.account] });

// In us-east-1, where IAM tells of roles.
const roles = new Stack(app, 'ResilverRoles', { env: { account: SOURCE.account, region: 'us-east-1' } });
new ForwardRoleChanges(roles, 'Roles', { sourceRegion: SOURCE.region });

// In the account and Region of each destination.
const destination = new Stack(app, 'ResilverDestination', { env: DESTINATION });
new ForwardBucketChanges(destination, 'OrdersCopy', {
  destinationBucket: 'orders-copy',
  sourceAccount: SOURCE.account,
  sourceRegion: SOURCE.region,
  replicationRoleArn: `arn:aws:iam::${SOURCE.account}:role/replicate-orders`,
});

app.synth();
