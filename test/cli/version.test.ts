import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { FakeCharon } from '../support/fake-charon.ts';
import { dvipa } from './run-cli.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const OURS = `dvipa ${version} (Node.js ${process.versions.node})\n`;
const DAEMON = {
  daemon: 'charon-systemd',
  version: '5.9.8',
  sysname: 'Linux',
  release: '6.1.0',
  machine: 'x86_64',
};

describe('dvipa version', function () {
  this.timeout(30_000);
  let charon: FakeCharon;
  let plugin: FakeCharon;
  let mute: FakeCharon;
  const path = ({ uri }: FakeCharon) => uri.replace('unix://', '');

  before(async () => {
    const instance = '00c0ffee00c0ffee';
    charon = await new FakeCharon().on('version', () => DAEMON).start();
    plugin = await new FakeCharon()
      .on('version', () => ({ plugin: '0.1.0', daemon: '5.9.8', instance }))
      .start();
    mute = await new FakeCharon().on('version', () => undefined).start();
  });
  after(() => Promise.all([charon.destroy(), plugin.destroy(), mute.destroy()]));

  const ask = (vici: string, of: string, ...rest: string[]) =>
    dvipa('version', '--vici', vici, '--plugin', of, ...rest);

  it('dvipa version is the version of package.json where no charon runs', async () => {
    const [text, json] = await Promise.all([
      ask('/nowhere', '/nowhere'),
      ask('/nowhere', '/nowhere', '--json'),
    ]);
    expect(text).to.deep.equal({ code: 0, signal: null, stdout: OURS, stderr: '' });
    expect(JSON.parse(json.stdout)).to.deep.equal({ dvipa: version, node: process.versions.node });
  });

  it('dvipa version names strongSwan and the plugin of the charon that runs', async () => {
    const [text, json] = await Promise.all([
      ask(path(charon), path(plugin)),
      ask(path(charon), path(plugin), '--json'),
    ]);
    expect(text).to.include({ code: 0, stdout: `${OURS}strongSwan 5.9.8\nplugin kernel-dvipa 0.1.0\n` });
    expect(JSON.parse(json.stdout)).to.include({ strongswan: '5.9.8', plugin: '0.1.0' });
  });

  it('dvipa version names strongSwan without the plugin, and does not wait for a charon that says nothing', async () => {
    const [stock, silent] = await Promise.all([ask(path(charon), '/nowhere'), ask(path(charon), path(mute))]);
    expect(stock).to.include({ code: 0, stdout: `${OURS}strongSwan 5.9.8\n` });
    expect(silent).to.deep.equal(stock);
  });
});
