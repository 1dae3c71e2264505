import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { run } from '../../src/lab/run.ts';
import { scenarioNames } from '../../src/lab/scenario.ts';
import { skipBecause } from '../support/summary-reporter.ts';

describe('Vagrantfile', () => {
  let home: string;

  before(async function () {
    const { status } = await run(['sh', '-c', 'command -v vagrant']);
    if (status !== 0) skipBecause(this, 'vagrant is not installed (scripts/setup test installs it)');
    home = mkdtempSync(join(tmpdir(), 'vagrant-'));
  });

  after(() => {
    if (home !== undefined) rmSync(home, { recursive: true });
  });

  const vagrant = (scenario: string, ...args: string[]) =>
    run(['vagrant', ...args], {
      cwd: PROJECT_ROOT,
      env: { DVIPA_SCENARIO: scenario, VAGRANT_HOME: home, VAGRANT_DOTFILE_PATH: join(home, 'dot') },
    });

  for (const scenario of scenarioNames(PROJECT_ROOT)) {
    it(`is valid and fills every template of scenario ${scenario}`, async () => {
      const { status, stdout, stderr } = await vagrant(scenario, 'validate', '--ignore-provider');
      expect(status, stdout + stderr).to.equal(0);
    });
  }

  it('is refused for a scenario that does not exist, so its templates are really read', async () => {
    expect((await vagrant('nowhere', 'validate', '--ignore-provider')).status).to.not.equal(0);
  });
});
