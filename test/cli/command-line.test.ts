import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ROUTE_YAML, TARGET_YAML } from '../config/example.ts';
import { dvipa } from './run-cli.ts';

describe('dvipa command line', function () {
  this.timeout(30_000);
  let folder = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-cli-'));
    mkdirSync(join(folder, 'pki'));
    for (const name of ['ca.pem', 'target1.pem', 'target1.key']) {
      writeFileSync(join(folder, 'pki', name), 'PEM', { mode: 0o600 });
    }
    writeFileSync(join(folder, 'target.yaml'), TARGET_YAML);
    writeFileSync(join(folder, 'broken.yaml'), ROUTE_YAML.replace('round-robin', 'random'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it('dvipa --help lists every command and the exit codes', async () => {
    const { code, stdout } = await dvipa('--help');
    expect(code).to.equal(0);
    const names = 'route target check-config reload status sas targets connections drops version pki lab';
    for (const name of names.split(' ')) expect(stdout).to.match(new RegExp(`^  ${name} `, 'm'));
    expect(stdout).to.contain(
      'Exit codes: 0 done, 1 failed, 2 wrong command line, 3 no agent reachable, 4 not done in time.',
    );
  });

  for (const args of [
    [],
    ['nonsense'],
    ['status', '--bogus'],
    ['sas', 'extra'],
    ['check-config'],
    ['route'],
  ]) {
    it(`dvipa ${args.join(' ')} is a wrong command line, exit 2`, async () => {
      const { code, stdout, stderr } = await dvipa(...args);
      expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' });
      expect(stderr).to.match(/^(error: |Usage: )/);
    });
  }

  it('dvipa check-config says that a file is good', async () => {
    const file = join(folder, 'target.yaml');
    const [text, json] = await Promise.all([
      dvipa('check-config', file),
      dvipa('check-config', file, '--json'),
    ]);
    expect(text).to.deep.equal({
      code: 0,
      signal: null,
      stdout: `${file}: ok, target target1, 1 DVIPA, routing host router1\n`,
      stderr: '',
    });
    expect(JSON.parse(json.stdout)).to.deep.equal({
      file,
      ok: true,
      role: 'target',
      host: 'target1',
      problems: [],
    });
  });

  it('dvipa check-config names file, line and column of what is wrong, exit 1', async () => {
    const file = join(folder, 'broken.yaml');
    const message =
      '"random", expected one of round-robin, weighted-active, server-load, hot-standby, maglev';
    const [text, json] = await Promise.all([
      dvipa('check-config', '--no-files', file),
      dvipa('check-config', '--no-files', '--json', file),
    ]);
    expect(text).to.deep.equal({
      code: 1,
      signal: null,
      stdout: '',
      stderr: `dvipa: configuration is not valid\n${file}:10:19: dvipas.0.distribution: ${message}\n`,
    });
    expect(json.code).to.equal(1);
    expect(JSON.parse(json.stdout)).to.deep.equal({
      file,
      ok: false,
      problems: [{ file, line: 10, column: 19, path: 'dvipas.0.distribution', message }],
    });
  });

  it('dvipa route and target refuse a broken file and a file of the other role before anything else', async () => {
    const [broken, other] = await Promise.all([
      dvipa('route', '-c', join(folder, 'broken.yaml')),
      dvipa('route', '-c', join(folder, 'target.yaml')),
    ]);
    expect(broken.code).to.equal(1);
    expect(broken.stderr).to.contain('broken.yaml:10:19: dvipas.0.distribution:');
    expect(other).to.deep.equal({
      code: 1,
      signal: null,
      stdout: '',
      stderr: `dvipa: ${folder}/target.yaml: role is target, expected route\n`,
    });
  });

  it('dvipa target refuses a key that others may read', async () => {
    const key = join(folder, 'pki/target1.key');
    chmodSync(key, 0o644);
    const { code, stderr } = await dvipa('target', '-c', join(folder, 'target.yaml'));
    chmodSync(key, 0o600);
    expect(code).to.equal(1);
    expect(stderr).to.contain(`target.yaml:10:8: coupling.key: ${key} has mode 0644, expected`);
  });
});
