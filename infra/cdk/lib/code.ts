// Finds the built functions. It compiles nothing: synth needs no Rust, no Docker and no network.

import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Code } from 'aws-cdk-lib/aws-lambda';
import type { FunctionName } from './wiring';

type Architecture = 'arm64' | 'x86_64';

// ELF header, e_machine (byte 18): what a program was built for.
const MACHINES: Record<Architecture, number> = { arm64: 0xb7, x86_64: 0x3e };

/** The code of one function, as an asset. */
export function codeOf(name: FunctionName, folder: string, architecture: Architecture): Code {
  const logicalId = `${name[0].toUpperCase()}${name.slice(1)}Function`;
  for (const built of [name, `resilver-${name}`, logicalId]) {
    const bootstrap = join(folder, built, 'bootstrap');
    if (existsSync(bootstrap)) {
      refuseOtherPrograms(bootstrap, architecture);
      return Code.fromAsset(join(folder, built), { exclude: ['*', '!bootstrap'] });
    }
    const zips = [join(folder, `${built}.zip`), join(folder, built, 'bootstrap.zip')];
    const zip = zips.find((path) => existsSync(path));
    if (zip !== undefined) {
      return Code.fromAsset(zip);
    }
  }
  throw new Error(
    `Resilver found no ${name} in ${resolve(folder)}: neither ${name}/bootstrap nor ${name}.zip, nor either under the names ` +
      `resilver-${name} and ${logicalId}. Build the functions (cargo lambda build --release, or sam build) and give functions the folder they are in`,
  );
}

// A function of the wrong architecture deploys and then dies with "exec format error" on every event.
function refuseOtherPrograms(bootstrap: string, architecture: Architecture): void {
  const header = Buffer.alloc(20);
  const file = openSync(bootstrap, 'r');
  try {
    readSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
  if (header.toString('latin1', 0, 5) !== '\x7fELF\x02') {
    throw new Error(
      `Resilver: ${resolve(bootstrap)} is no program for 64-bit Linux. Build it with cargo lambda build or sam build`,
    );
  }
  if (header[18] !== MACHINES[architecture]) {
    const other = architecture === 'arm64' ? 'x86_64' : 'arm64';
    throw new Error(
      `Resilver: ${resolve(bootstrap)} is not built for ${architecture}. Build it for ${architecture}` +
        (header[18] === MACHINES[other] ? `, or set architecture to '${other}'` : ''),
    );
  }
}
