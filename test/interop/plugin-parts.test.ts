import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { must } from '../../src/lab/run.ts';

// A file of its own: mutants of the plugin need no more than that.
describe('plugin kernel-dvipa, its parts', () => {
  it('pass their unit tests under AddressSanitizer and UBSan, and leak nothing', async () => {
    const said = await must(['scripts/test-plugin-asan'], { cwd: PROJECT_ROOT, timeoutMs: 110_000 });
    expect(said).to.contain('all passed');
  });
});
