import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { newMarker } from '../../src/lab/demo/traffic.ts';
import { issueCouplingCertificates } from '../../src/lab/coupling-pki.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { type ListedChild, listedSas, slowDownload } from './support/observe.ts';
import {
  addConnections,
  editConfiguration,
  kernelPolicies,
  kernelSas,
  OURS,
  replaceNft,
  shunt,
  siteConnection,
  THEIRS,
} from './support/site-to-site.ts';

/** Packets after which the routing host's kernel asks for a rekey of the site's SA. */
const REKEY_PACKETS = 100;

/**
 * The routing host is a stock Linux kernel with IPsec of its own. Its charon has an ordinary site-to-site tunnel, which the kernel
 * serves, and a tunnel of a DVIPA, which the targets serve.
 */
describe('beside an existing strongSwan', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  const marker = newMarker(`beside ${process.pid}`);

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('bes', {
      clients: 1,
      kernels: 1,
      targets: 2,
      agents: false,
      tunnels: false,
      routerIsGuest: true,
      // All that is sent goes through the routing host, past its kernel's policies.
      values: { rekey_time: 0, ike_rekey_time: 0, return: 'router' },
    });
    const { lab } = cluster;
    await replaceNft(lab.router, cluster.file('nft'));
    await issueCouplingCertificates(lab.options.folder, lab.plan);
    for (const host of ['router1', ...cluster.targets]) lab.startAgent(host);
    for (const { host, inner } of [OURS, THEIRS])
      await lab.host(host).must(['ip', 'addr', 'add', `${inner}/32`, 'dev', 'lo']);
    for (const host of ['router1', 'kernel1'])
      editConfiguration(lab, host, (text) => text.replace('mobike = no', 'mobike = yes'));
    await addConnections(lab, 'kernel1', siteConnection('site', THEIRS, OURS));
    const limits = `rekey_packets = ${REKEY_PACKETS}\n        rand_packets = 0\n        life_packets = 100000`;
    const child = `start_action = trap\n        ${limits}`;
    await addConnections(lab, 'router1', siteConnection('site', OURS, THEIRS, { child }));
    // A route into the tunnel: the lab's charon makes none.
    await lab.router.must(['ip', 'route', 'add', THEIRS.network, 'dev', 'outside0', 'src', OURS.inner]);
    await lab.waitForTargets(2, 90_000);
    await lab.initiate('client1');
  });

  after(() => cluster?.down());

  const router = () => cluster.lab.router;
  const charonLog = () => readFileSync(cluster.file('logs/router1-charon.log'), 'utf8');

  /** Packets of a ping through the tunnel that came back. */
  async function ping(count: number, from = OURS, to = THEIRS): Promise<number> {
    const argv = ['ping', '-q', '-c', String(count), '-i', '0.02', '-W', '2', '-I', from.inner, to.inner];
    const { stdout } = await cluster.lab.host(from.host).exec(argv);
    return Number(/, (\d+) received/.exec(stdout)?.[1]);
  }

  /** The one CHILD_SA of that name that is in use. */
  async function childOf(name: string): Promise<ListedChild> {
    return waitFor(`one CHILD_SA ${name}`, async () => {
      const { children } = await listedSas(router());
      const found = children.filter((child) => child.name === name && child.state === 'INSTALLED');
      return found.length === 1 && found[0];
    });
  }

  async function spisInKernel(): Promise<string[]> {
    return (await kernelSas(router())).map(({ spi }) => spi);
  }

  it('says that it delegates', async () => {
    const argv = ['swanctl', '--version', '--daemon', '--raw', '--uri', 'unix:///run/charon.dvipa'];
    expect((await router().exec(argv)).stdout).to.contain('delegates=yes');
  });

  it('a packet for the site makes the kernel ask for an SA', async () => {
    expect(await spisInKernel()).to.deep.equal([]);
    await ping(1);
    await childOf('site');
    expect(await ping(3)).to.equal(3);
  });

  it('both tunnels carry traffic at once, each where it belongs', async () => {
    const before = { kernel: await kernelSas(router()), site: await childOf('site') };
    const slow = slowDownload(cluster.lab.host('client1'), cluster.dvipa, 3, marker);
    expect(['target1', 'target2']).to.include(await slow.server);
    expect(await ping(20)).to.equal(20);
    expect(await ping(20, THEIRS, OURS)).to.equal(20);
    expect(await slow.isWhole).to.equal(true);

    const [site, web] = [await childOf('site'), await childOf('web')];
    const after = await kernelSas(router());
    expect(after.map(({ spi }) => spi)).to.have.members([site.spiIn, site.spiOut]);
    for (const { spi, packets } of after) {
      const earlier = before.kernel.find((sa) => sa.spi === spi)?.packets ?? 0;
      expect(packets - earlier, spi).to.equal(40);
    }
    expect(site.packetsIn - before.site.packetsIn).to.equal(40);
    expect(site.packetsOut - before.site.packetsOut).to.equal(40);
    expect(web.bytesOut).to.be.greaterThan(100_000);
    // Of the DVIPA the kernel knows nothing.
    for (const policy of await kernelPolicies(router())) expect(policy).to.not.contain(cluster.dvipa);
  });

  it('a limit that the kernel counts rekeys the site’s SA, and charon rekeys the DVIPA’s', async () => {
    const before = { site: await childOf('site'), web: await childOf('web') };
    expect(await ping(REKEY_PACKETS)).to.equal(REKEY_PACKETS);
    await router().must(['swanctl', '--rekey', '--child', 'web']);
    const isNew = async (name: 'site' | 'web') => (await childOf(name)).spiIn !== before[name].spiIn;
    await waitFor('both have new SAs', async () => (await isNew('site')) && (await isNew('web')));
    expect(await ping(5)).to.equal(5);
    expect(await slowDownload(cluster.lab.host('client1'), cluster.dvipa, 1, marker).isWhole).to.equal(true);
    const { spiIn, spiOut } = await childOf('site');
    await waitFor('the old SAs are gone', async () => (await spisInKernel()).length === 2, {
      timeoutMs: 15_000,
    });
    expect(await spisInKernel()).to.have.members([spiIn, spiOut]);
  });

  it('pass and drop policies of others are the kernel’s, and go with their connection', async () => {
    const before = await kernelPolicies(router());
    await addConnections(cluster.lab, 'router1', shunt('blocked', 'drop', OURS.network, '10.66.0.0/16'));
    await addConnections(cluster.lab, 'router1', shunt('open', 'pass', OURS.network, '10.77.0.0/16'));
    const policies = (await kernelPolicies(router())).join('');
    expect(policies).to.match(/src 10\.9\.0\.0\/16 dst 10\.66\.0\.0\/16 \n\s*dir out action block/);
    expect(policies).to.match(/src 10\.9\.0\.0\/16 dst 10\.77\.0\.0\/16 \n\s*dir out (?!action block)/);
    for (const name of ['blocked', 'open'])
      await router().must(['swanctl', '--uninstall', '--child', name, '--ike', name]);
    expect((await kernelPolicies(router())).length).to.equal(before.length);
  });

  it('a drop policy of the host’s own traffic does not stop what is sent for the targets', async () => {
    const text = shunt('silent', 'drop', '192.0.2.0/24', '0.0.0.0/0');
    const undo = await addConnections(cluster.lab, 'router1', text);
    expect((await kernelPolicies(router())).join('')).to.match(
      /src 192\.0\.2\.0\/24 .*\n\s*dir out action block/,
    );
    expect(await slowDownload(cluster.lab.host('client1'), cluster.dvipa, 1, marker).isWhole).to.equal(true);
    // The control: it stops others.
    const stopped = await router().exec(['ping', '-c', '1', '-W', '1', '-I', '192.0.2.10', '192.0.2.101']);
    expect(stopped.status).to.not.equal(0);
    await router().must(['swanctl', '--uninstall', '--child', 'silent', '--ike', 'silent']);
    await undo();
  });

  const cases: [string, Parameters<typeof siteConnection>, RegExp][] = [
    [
      'a site at the endpoint',
      ['at-endpoint', { ...OURS, address: '192.0.2.10', network: '10.19.0.0/16' }, THEIRS],
      /refused: .*ESP at an endpoint is the routing agent's/,
    ],
    [
      'a network around the DVIPA',
      ['around', { ...OURS, address: '192.0.2.2', network: '203.0.113.0/24' }, THEIRS],
      /refused: a traffic selector beyond the DVIPA/,
    ],
  ];
  for (const [what, [name, from, to], reason] of cases) {
    it(`refuses with one line, and installs nothing of, ${what}`, async () => {
      const { lab } = cluster;
      const kernel = { policies: await kernelPolicies(router()), spis: await spisInKernel() };
      const undo = [
        await addConnections(lab, 'kernel1', siteConnection(name, to, from)),
        await addConnections(lab, 'router1', siteConnection(name, from, to)),
      ];
      await router().must(['ip', 'addr', 'replace', `${from.address}/32`, 'dev', 'outside0']);
      const length = charonLog().length;
      const argv = ['swanctl', '--initiate', '--child', name, '--timeout', '10'];
      expect((await lab.host('kernel1').exec(argv)).status).to.not.equal(0);
      expect(charonLog().slice(length)).to.match(reason);
      expect(await spisInKernel()).to.have.members(kernel.spis);
      expect((await kernelPolicies(router())).length).to.equal(kernel.policies.length);
      for (const one of undo) await one();
      await lab.host('kernel1').must(['swanctl', '--terminate', '--ike', name, '--timeout', '10']);
    });
  }

  it('peers of both move to another address with MOBIKE and take along what they have', async () => {
    const { lab, dvipa } = cluster;
    const peer = lab.host('kernel1');
    const there = '192.0.2.121';
    await router().must(['swanctl', '--terminate', '--ike', 'site', '--timeout', '10']);
    await peer.must(['swanctl', '--initiate', '--child', 'site', '--timeout', '10']);
    await lab.initiate('kernel1');
    const slow = slowDownload(peer, dvipa, 5, marker);
    await slow.server;
    const move = [`addr add ${there}/24 dev outside0`, `addr del ${THEIRS.address}/24 dev outside0`];
    await peer.must(['sysctl', '-qw', 'net.ipv4.conf.all.promote_secondaries=1']);
    await peer.must(['ip', '-batch', '-'], { input: `${move.join('\n')}\n` });
    await waitFor('both are there', async () => {
      const { text } = await listedSas(router());
      return text.split(`'kernel1' @ ${there}[4500]`).length === 3;
    });
    expect(await ping(5)).to.equal(5);
    expect(await slow.isWhole).to.equal(true);
    const outer = (await kernelSas(router())).flatMap(({ source, destination }) => [source, destination]);
    expect(outer).to.have.members([OURS.address, there, there, OURS.address]);
    const policies = (await kernelPolicies(router())).join('');
    expect(policies).to.contain(`tmpl src ${OURS.address} dst ${there}`);
    expect(policies).to.not.contain(THEIRS.address);
    // The site's peer was told the addresses that are neither endpoints nor DVIPAs, the DVIPA's peer none of them.
    const told = charonLog().match(/generating IKE_AUTH response 1 .*/g) ?? [];
    expect(told.slice(-2).map((line) => line.match(/ADD_4_ADDR|NO_ADD_ADDR/g))).to.deep.equal([
      ['ADD_4_ADDR', 'ADD_4_ADDR'],
      ['NO_ADD_ADDR'],
    ]);
  });

  it('the site’s tunnel leaves nothing behind, and the DVIPA’s goes on', async () => {
    await router().must(['swanctl', '--uninstall', '--child', 'site']);
    await router().must(['swanctl', '--terminate', '--ike', 'site', '--timeout', '10']);
    await waitFor('no SA in the kernel', async () => (await spisInKernel()).length === 0);
    expect(await kernelPolicies(router())).to.deep.equal([]);
    expect(await slowDownload(cluster.lab.host('client1'), cluster.dvipa, 1, marker).isWhole).to.equal(true);
  });
});
