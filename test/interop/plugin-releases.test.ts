import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { logsFolder } from '../../src/lab/host-files.ts';
import { Lab } from '../../src/lab/lab.ts';
import { PROJECT_ROOT, sourceLoader } from '../../src/lab/program.ts';
import { must, run } from '../../src/lab/run.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { skipBecause } from '../support/summary-reporter.ts';
import type { PluginListing } from './support/plugin-list.ts';
import {
  addConnections,
  kernelPolicies,
  kernelSas,
  OURS,
  siteConnection,
  THEIRS,
} from './support/site-to-site.ts';

/** Debian releases with a strongSwan 6, the nearest one first: the first whose source and programs the mirror has. */
const SUITES = ['trixie', 'forky', 'sid'];
const MAJOR = 6;
const PINGS = 10;
const PING_ROUNDS = 5;
const LAB = {
  prefix: 'rel',
  folder: join(tmpdir(), 'dvipa-releases-test'),
  targets: 0,
  clients: 0,
  kernels: 1,
  routerIsGuest: true,
  charons: false,
  agents: false,
  servers: false,
  tunnels: false,
  values: { rekey_time: 0, ike_rekey_time: 0 },
};

/** Becomes the charon of another release, with its own libraries, the plugin built for it, and the host's configuration. */
const CHARON = `
set -e
mkdir -p /run/release/up /run/release/work /run/release/root
mount -t overlay -o "lowerdir=$1/root,upperdir=/run/release/up,workdir=/run/release/work" none /run/release/root
cd /run/release/root
mkdir -p proc dev sys run var "./$3"
ln -sfn /run var/run
for folder in /proc /dev /sys /run "$3"; do mount --bind "$folder" "./$folder"; done
cp "$2" usr/lib/ipsec/plugins/
cp /etc/strongswan.conf etc/
exec chroot . /usr/sbin/charon-systemd
`;

/**
 * The plugin, built for the strongSwan of a newer Debian release and run by that release's charon on a Linux kernel of its own,
 * against a stock peer with the strongSwan that is installed here.
 */
describe('plugin kernel-dvipa with a strongSwan of another release', function () {
  this.timeout(60_000);
  let lab: Lab | undefined;
  let version = '';

  before(async function () {
    this.timeout(600_000);
    const suite = await firstSuite();
    if (suite === undefined) {
      skipBecause(
        this,
        `the mirror of this machine has a strongSwan ${MAJOR} of none of ${SUITES.join(', ')}`,
      );
    }
    await must(['scripts/build-plugin'], {
      cwd: PROJECT_ROOT,
      env: { STRONGSWAN_RELEASE: suite },
      timeoutMs: 500_000,
    });
    const release = join(PROJECT_ROOT, '.cache', `strongswan-${suite}`);
    version = readFileSync(join(release, 'version'), 'utf8').trim();
    console.log(`      strongSwan ${version} of ${suite}`);
    lab = await Lab.up(LAB);
    const plugin = join(PROJECT_ROOT, 'build/kernel-dvipa', suite, 'libstrongswan-kernel-dvipa.so');
    const argv = ['sh', '-c', CHARON, 'release', release, plugin, logsFolder(LAB.folder)];
    await lab.startCharon('router1', argv);
    await lab.startCharon('kernel1');
    for (const { host, inner } of [OURS, THEIRS])
      await lab.host(host).must(['ip', 'addr', 'add', `${inner}/32`, 'dev', 'lo']);
    await lab.router.must(['ip', 'route', 'add', THEIRS.network, 'dev', 'outside0', 'src', OURS.inner]);
    await addConnections(lab, 'kernel1', siteConnection('site', THEIRS, OURS));
    await addConnections(lab, 'router1', siteConnection('site', OURS, THEIRS));
  });

  after(async () => {
    await lab?.release();
    await Lab.downAny(LAB);
  });

  const router = () => hostOf('router1');
  const peer = () => hostOf('kernel1');
  const hostOf = (name: string) => {
    if (lab === undefined) throw new Error('the lab is not up');
    return lab.host(name);
  };

  /** What the plugin says on its socket. */
  async function listed(): Promise<PluginListing> {
    const program = join(PROJECT_ROOT, 'test/interop/support/plugin-list.ts');
    const said = await router().must([process.execPath, '--import', sourceLoader(), program]);
    return JSON.parse(said) as PluginListing;
  }

  /** Hashes of the keys that the peer's kernel has for ESP with the endpoint, by SPI. */
  async function keysOfPeer(): Promise<Map<string, string>> {
    const said = await peer().must(['ip', 'xfrm', 'state']);
    const keys = said.matchAll(/proto esp spi 0x([0-9a-f]{8})[^]*?aead \S+ 0x([0-9a-f]+)/g);
    return new Map(
      Array.from(keys, ([, spi = '', key = '']): [string, string] => [
        spi,
        createHash('sha256').update(Buffer.from(key, 'hex')).digest('hex'),
      ]),
    );
  }

  /**
   * Ten answers come through the tunnel that the kernel has, whose SAs are new, and each request left by it once. A busy machine
   * may lose some: those are asked for again.
   */
  async function pingThroughKernel(): Promise<void> {
    let [sent, answered] = [0, 0];
    for (let round = 0; round < PING_ROUNDS && answered < PINGS; round++) {
      const count = String(PINGS - answered);
      const argv = ['ping', '-q', '-c', count, '-i', '0.02', '-W', '2', '-I', OURS.inner, THEIRS.inner];
      const { stdout } = await router().exec(argv);
      const [, transmitted, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? [];
      sent += Number(transmitted);
      answered += Number(received);
    }
    expect(answered, `answers to ${sent} requests`).to.equal(PINGS);
    const sas = await kernelSas(router());
    expect(sas.length).to.equal(2);
    for (const { source, packets } of sas) {
      // What came too late for ping came through the SA all the same.
      if (source === OURS.address) expect(packets, 'requests').to.equal(sent);
      else expect(packets, 'answers').to.be.within(answered, sent);
    }
  }

  it('is loaded, and puts itself beside the kernel’s backend', async () => {
    expect(Number.parseInt(version, 10)).to.equal(MAJOR);
    const argv = ['swanctl', '--version', '--daemon', '--raw', '--uri', 'unix:///run/charon.dvipa'];
    const { stdout } = await router().exec(argv);
    expect(stdout).to.contain(`daemon=${version}`).and.to.contain('delegates=yes');
  });

  it('takes the SAs of a DVIPA, with the keys that the peer has', async () => {
    await peer().must(['swanctl', '--initiate', '--child', 'web', '--timeout', '15']);
    const { wrong, sas, policies } = await listed();
    expect(wrong).to.deep.equal([]);
    expect(sas.map(({ direction }) => direction)).to.have.members(['in', 'out']);
    const keys = await keysOfPeer();
    for (const { spi, dvipa, keySha256, peer: address } of sas) {
      expect({ dvipa, address }).to.deep.equal({ dvipa: '203.0.113.10', address: THEIRS.address });
      expect(keySha256, spi).to.equal(keys.get(spi));
    }
    expect(policies).to.deep.include({ direction: 'out', hasSa: true });
    expect(await kernelSas(router())).to.deep.equal([]);
  });

  it('leaves the SAs of an ordinary tunnel to the kernel, at the same time', async () => {
    const before = (await listed()).sas.map(({ spi }) => spi);
    await peer().must(['swanctl', '--initiate', '--child', 'site', '--timeout', '15']);
    await pingThroughKernel();
    const sas = await kernelSas(router());
    expect((await listed()).sas.map(({ spi }) => spi)).to.deep.equal(before);
    for (const { spi } of sas) expect(before).to.not.include(spi);
  });

  it('rekeys both, with the new SAs in use, and deletes both', async () => {
    const before = { dvipa: (await listed()).sas, site: await kernelSas(router()) };
    for (const child of ['web', 'site']) await router().must(['swanctl', '--rekey', '--child', child]);
    const isNew = (now: readonly { spi: string }[], then: readonly { spi: string }[]) =>
      now.length === 2 && now.every(({ spi }) => then.every((old) => old.spi !== spi));
    await waitFor('new SAs', async () => isNew(await kernelSas(router()), before.site), {
      timeoutMs: 20_000,
    });
    await waitFor('new SAs of the DVIPA', async () => isNew((await listed()).sas, before.dvipa), {
      timeoutMs: 20_000,
    });
    await pingThroughKernel();
    const keys = await keysOfPeer();
    for (const { spi, keySha256 } of (await listed()).sas) expect(keySha256).to.equal(keys.get(spi));
    for (const name of ['dvipa', 'site'])
      await peer().must(['swanctl', '--terminate', '--ike', name, '--timeout', '10']);
    expect(await kernelSas(router())).to.deep.equal([]);
    expect(await kernelPolicies(router())).to.deep.equal([]);
    expect(await listed()).to.deep.include({ sas: [], policies: [] });
  });
});

async function firstSuite(): Promise<string | undefined> {
  for (const suite of SUITES) {
    const { status } = await run(['scripts/strongswan-release', suite], {
      cwd: PROJECT_ROOT,
      timeoutMs: 300_000,
    });
    if (status === 0) return suite;
  }
  return undefined;
}
