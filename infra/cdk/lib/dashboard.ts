// The body of the dashboard. Buckets are not named: it searches, so that those enrolled later are there, too.

import { FUNCTION_NAMES } from './wiring';

type Metric = unknown[];
type Series = Record<string, unknown> & { readonly period: number };
interface Widget {
  readonly title: string;
  readonly metrics: Metric[];
  /** Whatever else this widget has among its properties. */
  readonly more: Record<string, unknown>;
}

const QUEUES = ['failures', 'dead-letters', 'dead-events'];
const FROM_ZERO = { yAxis: { left: { min: 0 } } };
const SERIES = { view: 'timeSeries', period: 300, ...FROM_ZERO };
const A_DAY = { view: 'bar', period: 86_400 };

/** Rows of widgets, each with its height and the widgets in it side by side. */
export function dashboardBody(app: string, region: string): object {
  const rows = [
    [
      byBucket('Seconds since the oldest unhealed object failed, by bucket', 'OldestUnhealedAge', {
        ...SERIES,
        stat: 'Maximum',
      }),
      sums('Where the objects are', ['Waiting', 'InFlight', 'Confirming', 'Held', 'Quarantined'], 'Maximum', {
        ...SERIES,
        stacked: true,
      }),
    ],
    [
      sums('Came and went, an hour', ['Captured', 'Healed', 'Unproved', 'Gone'], 'Sum', { ...SERIES, period: 3600 }),
      byBucket('Held, by bucket', 'Held', SERIES),
    ],
    ['Jobs', 'Rows', 'Dollars'].map((name) => sums(`${name} a day`, [name], 'Sum', A_DAY)),
    [
      ofFunctions(app, 'Failed runs', 'Errors', 'Sum'),
      ofFunctions(app, 'Longest run, milliseconds', 'Duration', 'Maximum'),
      queues(app),
    ],
  ];
  return { widgets: rows.flatMap((row, at) => layOut(row, at * 6, region)) };
}

function layOut(row: Widget[], y: number, region: string): object[] {
  const width = 24 / row.length;
  return row.map(({ title, metrics, more }, at) => ({
    type: 'metric',
    x: at * width,
    y,
    width,
    height: 6,
    properties: { title, region, ...more, metrics },
  }));
}

function search(name: string, stat: string, period: number): string {
  return `SEARCH('{Resilver,Bucket} MetricName="${name}"', '${stat}', ${period})`;
}

function sum(name: string, stat: string, period: number): Metric {
  const id = `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
  return [{ expression: `SUM(${search(name, stat, period)})`, id, label: name }];
}

function sums(title: string, names: string[], stat: string, more: Series): Widget {
  return { title, metrics: names.map((name) => sum(name, stat, more.period)), more };
}

function byBucket(title: string, name: string, more: Series): Widget {
  return {
    title,
    metrics: [[{ expression: search(name, 'Maximum', more.period), id: 'e', label: "${PROP('Dim.Bucket')}" }]],
    more,
  };
}

function ofFunctions(app: string, title: string, metric: string, stat: string): Widget {
  const metrics = FUNCTION_NAMES.map((name) => ['AWS/Lambda', metric, 'FunctionName', `${app}-${name}`, { label: name, stat }]);
  return { title, metrics, more: SERIES };
}

function queues(app: string): Widget {
  const metrics: Metric[] = QUEUES.map((queue) => [
    'AWS/SQS',
    'ApproximateNumberOfMessagesVisible',
    'QueueName',
    `${app}-${queue}`,
    { label: queue.replace('-', ' '), stat: 'Maximum' },
  ]);
  return { title: 'Queues and rejects', metrics: [...metrics, sum('Rejects', 'Sum', 300)], more: SERIES };
}
