/**
 * `scripts/bench [NAME...]`: runs benches (test/bench/NAME.ts, all of them if none is named) one after another. Each prints one
 * JSON object; all of them go to out/bench.json, by name, and a table to people. What an object has under `rows` is judged by
 * `targets.ts`. Exit status 1 if a bench failed; a target that is not reached is no failure of the bench.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT, sourceLoader } from '../../../src/lab/program.ts';
import { derivedRows } from './derived.ts';
import { judge, type Measurement, tableOf } from './rows.ts';

type Value = number | string | boolean | readonly number[];
type Figures = Readonly<Record<string, Value>>;

/** What a bench prints. */
interface Printed {
  readonly figures: Figures;
  readonly rows: Readonly<Record<string, Measurement>>;
}

const folder = join(PROJECT_ROOT, 'test/bench');
/** One that hangs must not take the figures of the others along. */
const BENCH_TIMEOUT_MS = 20 * 60_000;

function names(): string[] {
  const all = readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length));
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !all.includes(name));
  if (unknown.length > 0)
    throw new Error(`no bench named ${unknown.join(', ')}; there are ${all.toSorted().join(', ')}`);
  return asked.length > 0 ? asked : all.toSorted();
}

/** What it printed from the first brace on. */
function runBench(name: string): Printed {
  const argv = ['--import', sourceLoader(), join(folder, `${name}.ts`)];
  const { status, stdout } = spawnSync(process.execPath, argv, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    timeout: BENCH_TIMEOUT_MS,
  });
  if (status !== 0) throw new Error(`${name} ended with status ${status}`);
  const printed = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Figures & { rows?: Printed['rows'] };
  const { bench: _, rows = {}, ...figures } = printed;
  return { figures, rows };
}

function textOf(value: Value): string {
  return Array.isArray(value) ? value.join('  ') : String(value);
}

const results: Record<string, Figures> = {};
const measurements: Record<string, Measurement> = {};
const failures: string[] = [];
for (const name of names()) {
  console.log(`== ${name}`);
  const startedAt = performance.now();
  try {
    const { figures, rows } = runBench(name);
    results[name] = figures;
    Object.assign(measurements, rows);
  } catch (error) {
    failures.push(`${name}: ${(error as Error).message}`);
  }
  console.log(`== ${name} took ${Math.round((performance.now() - startedAt) / 1000)} s`);
}
const machine = { cores: cpus().length, loadAverage: loadavg(), node: process.version };
const file = join(PROJECT_ROOT, 'out/bench.json');
mkdirSync(join(file, '..'), { recursive: true });
const rows = judge({ ...derivedRows(results), ...measurements });
writeFileSync(file, `${JSON.stringify({ machine, ...rows, results, failures }, undefined, 2)}\n`);

const lines = Object.entries(results).flatMap(([name, figures]) =>
  Object.entries(figures).map(([figure, value]) => [`${name} ${figure}`, textOf(value)] as const),
);
const width = Math.max(0, ...lines.map(([label]) => label.length));
console.log(
  `== ${file}; ${machine.cores} cores, load ${machine.loadAverage.map((n) => n.toFixed(1)).join(' ')}`,
);
for (const [label, text] of lines) console.log(`${label.padEnd(width)}  ${text}`);
console.log('== what is to be reached');
for (const line of tableOf(rows)) console.log(line);
for (const failure of failures) console.log(`FAILED ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;
