import { expect } from 'chai';
import { cpuTimes, parseCpuTimes } from '../../src/io/cpu-times.ts';

describe('cpu times', () => {
  it('are work but for idling and waiting for disks, with guests counted once (proc(5))', () => {
    const stat = 'cpu  100 10 50 1000 40 3 20 7 60 5\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n';
    expect(parseCpuTimes(stat)).to.deep.equal({ busy: 190, total: 1230 });
  });

  it('of this machine grow', async () => {
    const before = await cpuTimes();
    for (const end = Date.now() + 60; Date.now() < end; );
    const after = await cpuTimes();
    expect(after.busy).to.be.greaterThan(before.busy);
    expect(after.total).to.be.at.least(after.busy);
  });

  for (const bad of ['', 'cpu0 1 2 3 4 5 6 7 8\n', 'cpu  1 2 3 4\n', 'cpu  1 2 3 4 5 6 -7 8\n']) {
    it(`are not in ${JSON.stringify(bad)}`, () => {
      expect(() => parseCpuTimes(bad)).to.throw('/proc/stat has no times');
    });
  }
});
