import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { takeLock } from '../../src/lab/lock.ts';

describe('lab lock', () => {
  let folder: string;
  const file = () => join(folder, 'lock');
  const never = () => expect.fail('waited');

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lab-lock-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is held by one, and free again after its release', async () => {
    const first = await takeLock(file(), 0, never);
    let waits = 0;
    let refused = '';
    await takeLock(file(), 0, () => (waits += 1)).catch((error: Error) => (refused = error.message));
    expect(waits).to.equal(1);
    expect(refused).to.contain('held by another lab');
    await first.release();
    const second = await takeLock(file(), 0, never);
    await second.release();
  });

  it('is taken over as soon as the holder lets go, within the time limit', async () => {
    const first = await takeLock(file(), 0, never);
    const second = takeLock(file(), 20_000, () => void first.release());
    await (await second).release();
  });

  it('is given back by the kernel when its holder dies, and does not keep it alive', async () => {
    const source = `import { takeLock } from ${JSON.stringify(new URL('../../src/lab/lock.ts', import.meta.url).href)};
      takeLock(${JSON.stringify(file())}, 0, () => {}).then(() => console.log('held'));`;
    const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
      encoding: 'utf8',
      cwd: PROJECT_ROOT,
      timeout: 10_000,
    });
    expect(child.stdout, child.stderr).to.equal('held\n');
    expect(child.status).to.equal(0);
    const mine = await takeLock(file(), 5_000, () => {});
    await mine.release();
  }).timeout(20_000);
});
