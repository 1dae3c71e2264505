import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { hostFolder } from '../../src/lab/host-files.ts';
import { Lab } from '../../src/lab/lab.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { charonLog, PLUGIN_LAB, startPluginLab } from '../support/plugin-lab.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const script = async (name: string, env: Record<string, string> = {}) => {
  const result = await promisify(execFile)(path.join(root, 'scripts', name), [], {
    cwd: root,
    env: { ...process.env, ...env },
    timeout: 110_000,
  });
  return result.stdout;
};

describe('plugin kernel-dvipa, installed', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dvipa-install-'));
  const conf = path.join(folder, 'etc/strongswan.d/charon/kernel-dvipa.conf');
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('goes where charon looks for it, with a configuration that makes it critical', async () => {
    await script('install-plugin', { DESTDIR: folder });
    expect(
      statSync(path.join(folder, 'usr/lib/ipsec/plugins/libstrongswan-kernel-dvipa.so')).isFile(),
    ).to.equal(true);
    expect(readFileSync(conf, 'utf8')).to.match(/^kernel-dvipa! \{\n\n.*\n {4}load = yes\n\n\}/m);
  });

  it('leaves a configuration alone that was edited, and puts the default beside it', async () => {
    writeFileSync(conf, 'mine\n');
    expect(await script('install-plugin', { DESTDIR: folder })).to.contain('was edited and is left alone');
    expect(readFileSync(conf, 'utf8')).to.equal('mine\n');
    expect(readFileSync(`${conf}.new`, 'utf8')).to.contain('kernel-dvipa!');
  });
});

describe('charon with the plugin kernel-dvipa configured', () => {
  let lab: Lab;
  const plugin = () =>
    path.join(hostFolder(PLUGIN_LAB.folder, 'router1'), 'plugins/libstrongswan-kernel-dvipa.so');

  before(async () => {
    lab = await startPluginLab();
    await lab.process('router1', 'charon').stop();
  });

  after(async () => {
    await lab?.release();
    await Lab.downAny(PLUGIN_LAB);
  });

  /** Starts charon, which has to end by itself; returns what it logged. */
  const ends = async () => {
    const from = charonLog('router1').length;
    const charon = lab.router.spawn('charon', ['/usr/sbin/charon-systemd']);
    await waitFor('the end of charon', () => !charon.isRunning());
    return charonLog('router1').slice(from);
  };

  it('does not start with a plugin that was built for another version of strongSwan', async () => {
    const bytes = readFileSync(plugin());
    const version = /(\d+\.\d+\.\d+)-/.exec(
      await lab.router.must(['dpkg-query', '-W', 'libstrongswan']),
    )?.[1];
    if (version === undefined) throw new Error('no version');
    const other = `${version.slice(0, -1)}${version.endsWith('1') ? 2 : 1}`;
    let at = -1;
    let patched = 0;
    while ((at = bytes.indexOf(`\0${version}\0`, at + 1)) !== -1) {
      bytes.write(other, at + 1);
      patched += 1;
    }
    expect(patched, 'places with the version').to.be.greaterThan(0);
    rmSync(plugin());
    writeFileSync(plugin(), bytes);
    const log = await ends();
    expect(log).to.contain(`kernel-dvipa: built for strongSwan ${other}, but this is ${version}`);
    expect(log).to.contain("loading critical plugin 'kernel-dvipa' failed");
  });

  it('does not start without it: the kernel never takes over silently', async () => {
    rmSync(plugin());
    expect(await ends()).to.contain("loading critical plugin 'kernel-dvipa' failed");
  });
});
