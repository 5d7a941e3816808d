// All tests in one process: loading aws-cdk-lib takes longer than they do.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

for (const file of readdirSync(__dirname).filter((name) => name.endsWith('.test.ts'))) {
  require(join(__dirname, file));
}
