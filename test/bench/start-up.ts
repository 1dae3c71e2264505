/**
 * How much longer the help of each command takes than `node -e 0`, in milliseconds: medians of interleaved runs of what
 * was built (dist).
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { commandTree, everyCommand } from '../../src/cli/command-tree.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';

const RUNS = 9;
const MAIN = join(PROJECT_ROOT, 'dist/cli/main.js');

function millisecondsOf(args: readonly string[]): number {
  const start = process.hrtime.bigint();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with status ${status}`);
  return Number(process.hrtime.bigint() - start) / 1e6;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}

const lines = everyCommand(commandTree(buildProgram())).map(({ path }) =>
  path[0] === 'help' ? path : [...path, '--help'],
);
const empty: number[] = [];
const times = lines.map((): number[] => []);
for (let run = 0; run < RUNS; run++) {
  empty.push(millisecondsOf(['-e', '0']));
  for (const [i, line] of lines.entries()) times[i]?.push(millisecondsOf([MAIN, ...line]));
}
const base = median(empty);
const more = lines.map((line, i) => [`dvipa ${line.join(' ')}`, Math.round(median(times[i] ?? []) - base)]);
console.log(
  JSON.stringify({ bench: 'start-up', 'node -e 0': Math.round(base), ...Object.fromEntries(more) }),
);
