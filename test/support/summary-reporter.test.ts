import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';

const root = new URL('../..', import.meta.url).pathname;
/** As scripts/test names it to mocha. */
const reporter = join('test/support', 'summary-reporter.ts');

/** Runs mocha with our reporter on one file of `source`, as scripts/test does. */
function runTests(source: string): { output: string; counts: string; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), 'summary-'));
  try {
    const file = join(folder, 'sample.test.ts');
    const counts = join(folder, 'counts');
    writeFileSync(file, source);
    writeFileSync(counts, '');
    const run = spawnSync('node_modules/.bin/mocha', ['--reporter', reporter, file], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, DVIPA_COUNTS: counts },
    });
    return { output: run.stdout + run.stderr, counts: readFileSync(counts, 'utf8'), status: run.status };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('summary-reporter', () => {
  it('counts passes, failures and skips, and prints the reason of a skip', () => {
    const { output, counts, status } = runTests(`
      import { skipBecause } from ${JSON.stringify(join(root, reporter))};
      describe('sample', () => {
        it('passes', () => {});
        it('passes too', () => {});
        it('fails', () => { throw new Error('on purpose'); });
        it('is skipped', function () { skipBecause(this, 'there is no moon'); });
      });`);
    expect(counts).to.equal('2 1 1\n');
    expect(status).to.not.equal(0);
    expect(output).to.contain('SKIPPED sample is skipped: there is no moon');
    expect(output).to.contain('on purpose');
  }).timeout(30_000);

  it('leaves no count when the file cannot be loaded, so that scripts/test sees the status', () => {
    const { counts, status } = runTests(`import './nothing.ts';`);
    expect(counts).to.equal('');
    expect(status).to.not.equal(0);
  }).timeout(30_000);

  it('is the reporter that scripts/test asks for', () => {
    expect(
      execFileSync('grep', ['-c', reporter, join(root, 'scripts/test')], {
        encoding: 'utf8',
      }).trim(),
    ).to.equal('1');
  });
});
