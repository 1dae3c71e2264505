/**
 * Runs the kept mutants (*.yaml) one after another in a copy of the tree. A mutant is caught if one of its test
 * files ran and a test in it failed; one that only keeps the file from loading proves nothing and counts as a fault
 * of the list. Exit status 0 if every mutant was caught.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mutate, readMutants } from './list.ts';

const LEAST_MUTANTS = 15;
const TEST_SECONDS = 300;

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const wanted = process.argv.slice(2);
const all = readMutants(join(root, 'test/mutants'));
const mutants = wanted.length === 0 ? all : all.filter(({ name }) => wanted.includes(name));
const unknown = wanted.filter((name) => !all.some((mutant) => mutant.name === name));

/** A copy of everything that git knows or would take, with the built addons and node_modules. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'dvipa-mutants-'));
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
  });
  const files = list
    .toString('utf8')
    .split('\0')
    .filter((file) => file !== '');
  const built = execFileSync('find', ['plugins/node', '-name', '*.node', '-print0'], { cwd: root });
  for (const file of [
    ...files,
    ...built
      .toString('utf8')
      .split('\0')
      .filter((name) => name !== ''),
  ]) {
    cpSync(join(root, file), join(copy, file), { recursive: true });
  }
  for (const folder of ['node_modules', 'build', '.cache'])
    if (existsSync(join(root, folder))) symlinkSync(join(root, folder), join(copy, folder));
  return copy;
}

interface TestRun {
  readonly passed: number;
  readonly failed: number;
  readonly output: string;
}

function runTests(copy: string, tests: readonly string[], options: readonly string[] = []): TestRun {
  const counts = join(copy, 'counts');
  writeFileSync(counts, '');
  const reporter = ['--reporter', 'test/support/summary-reporter.ts', ...options];
  const run = spawnSync('node_modules/.bin/mocha', [...reporter, '--timeout', '60000', ...tests], {
    cwd: copy,
    encoding: 'utf8',
    timeout: TEST_SECONDS * 1000,
    env: { ...process.env, DVIPA_COUNTS: counts },
  });
  const [passed = 0, failed = 0] = readFileSync(counts, 'utf8').trim().split(' ').map(Number);
  return { passed, failed, output: run.stdout + run.stderr };
}

function tryMutant(copy: string, mutant: (typeof mutants)[number]): boolean {
  const file = join(copy, mutant.file);
  const original = readFileSync(file, 'utf8');
  try {
    writeFileSync(file, mutate(original, mutant));
    if (isOfAddon(mutant.file)) buildAddons(copy);
    const { passed, failed, output } = runTests(copy, mutant.tests, ['--bail']);
    const isCaught = failed > 0;
    const verdict = isCaught ? 'caught  ' : passed > 0 ? 'SURVIVED' : 'BROKEN  ';
    console.log(`  ${verdict} ${mutant.name}: ${mutant.breaks}`);
    if (!isCaught && passed === 0) console.log(output.split('\n').slice(0, 20).join('\n'));
    return isCaught;
  } catch (error) {
    console.log(`  STALE    ${mutant.name}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  } finally {
    writeFileSync(file, original);
    if (isOfAddon(mutant.file)) buildAddons(copy);
  }
}

function isOfAddon(file: string): boolean {
  return file.startsWith('plugins/node/');
}

function buildAddons(copy: string): void {
  execFileSync(join(copy, 'scripts/build-addons'), { cwd: copy, stdio: 'pipe' });
}

function main(): boolean {
  if (unknown.length > 0) {
    console.log(`no mutant is called ${unknown.join(' or ')}`);
    return false;
  }
  const copy = copyTree();
  try {
    const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))];
    const clean = runTests(copy, tests);
    if (clean.failed > 0 || clean.passed === 0) {
      console.log(`the tests are not green without a mutant:\n${clean.output}`);
      console.log(`0 passed, ${mutants.length} failed`);
      return false;
    }
    console.log(`${clean.passed} tests pass without a mutant`);
    const caught = mutants.filter((mutant) => tryMutant(copy, mutant)).length;
    const isLong = wanted.length > 0 || all.length >= LEAST_MUTANTS;
    if (!isLong) console.log(`the list has ${all.length} mutants, expected at least ${LEAST_MUTANTS}`);
    const failed = mutants.length - caught + (isLong ? 0 : 1);
    console.log(`${caught} passed, ${failed} failed`);
    return caught > 0 && failed === 0;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

process.exitCode = main() ? 0 : 1;
