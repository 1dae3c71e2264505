import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';

/** Programs that say what scripts/setup wants to hear, so that one of them at a time can say something else. */
const FITTING: Readonly<Record<string, string>> = {
  uname: 'case $1 in -s) echo Linux ;; -m) echo x86_64 ;; esac',
  id: 'echo 0',
  'apt-get': 'exit 99',
  'dpkg-query': 'exit 99',
  node: 'case $1 in --version) echo v20.19.0 ;; -e) exit 0 ;; esac',
  npm: 'exit 99',
  unshare: 'exit 0',
};

interface Refusal {
  readonly missing: string;
  readonly programs: Readonly<Record<string, string | undefined>>;
  readonly says: string;
  readonly purpose?: string;
}

const refusals: readonly Refusal[] = [
  {
    missing: 'x86-64',
    programs: { uname: 'case $1 in -s) echo Linux ;; -m) echo aarch64 ;; esac' },
    says: 'Linux on x86-64',
  },
  { missing: 'root', programs: { id: 'echo 1000' }, says: 'needs root' },
  { missing: 'apt', programs: { 'apt-get': undefined }, says: 'Debian 12' },
  { missing: 'Node.js', programs: { node: undefined }, says: 'Node.js 20.19' },
  { missing: 'npm', programs: { npm: undefined }, says: 'Node.js 20.19 or newer with npm' },
  {
    missing: 'a Node.js that is new enough',
    programs: { node: 'case $1 in --version) echo v18.19.0 ;; -e) exit 1 ;; esac' },
    says: 'this is v18.19.0',
  },
  { missing: 'network namespaces', programs: { unshare: 'exit 1' }, says: 'network and mount namespaces' },
  { missing: 'a known purpose', programs: {}, says: "unknown purpose 'party'", purpose: 'party' },
];

describe('scripts/setup', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'setup-'));
    mkdirSync(join(folder, 'project/scripts'), { recursive: true });
    cpSync(join(PROJECT_ROOT, 'scripts/setup'), join(folder, 'project/scripts/setup'));
    mkdirSync(join(folder, 'bin'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function runSetup({ programs, purpose = 'demo' }: Refusal) {
    for (const [name, body] of Object.entries({ ...FITTING, ...programs })) {
      if (body === undefined) continue;
      const file = join(folder, 'bin', name);
      writeFileSync(file, `#!/bin/sh\n${body}\n`);
      chmodSync(file, 0o755);
    }
    // Nothing but the shell's own and these: whatever else it would call is missing.
    writeFileSync(join(folder, 'bin/dirname'), '#!/bin/sh\necho "${1%/*}"\n');
    chmodSync(join(folder, 'bin/dirname'), 0o755);
    return spawnSync('/bin/bash', [join(folder, 'project/scripts/setup'), purpose], {
      encoding: 'utf8',
      env: { PATH: join(folder, 'bin') },
    });
  }

  for (const refusal of refusals) {
    it(`without ${refusal.missing} says so in one line and changes nothing`, () => {
      const { status, stdout, stderr } = runSetup(refusal);
      expect(status).to.equal(1);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/^setup: .*\n$/);
      expect(stderr).to.contain(refusal.says);
      expect(readdirSync(join(folder, 'project'))).to.deep.equal(['scripts']);
    });
  }
});
