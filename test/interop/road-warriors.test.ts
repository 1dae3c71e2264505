import { expect } from 'chai';
import { startCharon, terminate } from '../../src/lab/charon.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, difference, missingForCluster } from './support/cluster.ts';
import { listedSas, slowDownload } from './support/observe.ts';
import { sealWrongly, type Violation, VIOLATION_PORT } from './support/xfrm-violation.ts';
import { type Child, CHILDREN, faultsOf, RoadWarrior, startMoreServers } from './support/road-warrior.ts';

const WARRIORS = ['client1', 'client2', 'kernel1'];

/** Bytes to download, echoes to send. */
const AMOUNTS: Readonly<Record<Child, number>> = {
  web: 100_000,
  admin: 400_000,
  ping: 5,
  web6: 200_000,
  ping6: 10,
};

/** What a kernel with other ideas of its policies seals under a CHILD_SA. */
const VIOLATIONS: readonly (Violation & { readonly what: string })[] = [
  { what: 'a port of no CHILD_SA', child: 'web', port: 8082, from: 'own' },
  { what: 'another protocol', child: 'ping', port: 8083, from: 'own' },
  { what: 'the port of another CHILD_SA', child: 'web', port: 8081, from: 'own' },
  { what: 'the virtual address of another client', child: 'web', port: 80, from: 'other' },
];
const CURL_TIMED_OUT = 28;

/**
 * Clients with virtual addresses from a pool, and a CHILD_SA for each service: two in user space (kernel-libipsec), and a
 * Linux kernel with native ESP.
 */
describe('road warriors with virtual addresses and narrow CHILD_SAs', function () {
  this.timeout(90_000);
  let cluster: Cluster;
  let warriors: RoadWarrior[];

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('road', {
      scenario: 'roads',
      clients: 2,
      kernels: 1,
      targets: 2,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0 },
    });
    startMoreServers(cluster);
    warriors = WARRIORS.map((name) => new RoadWarrior(cluster, name));
    for (const warrior of warriors) await warrior.up();
  });

  after(() => cluster?.down());

  const warrior = (name: string) => warriors.find((one) => one.name === name) as RoadWarrior;
  const kernel = () => warrior('kernel1');

  async function counts(one: RoadWarrior): Promise<Record<string, [into: number, out: number]>> {
    const sas = [...(await one.sas())];
    return Object.fromEntries(sas.map(([name, child]) => [name, [child.in.packets, child.out.packets]]));
  }

  it('have addresses of their own from both pools', async () => {
    const addresses = warriors.flatMap(({ inner4, inner6 }) => [inner4, inner6]);
    expect(new Set(addresses).size).to.equal(2 * WARRIORS.length);
    for (const address of addresses) expect(address).to.match(/^(10\.3\.0\.\d+|2001:db8:3::\w+)$/);
    const pools = await cluster.lab.router.must(['swanctl', '--list-pools']);
    expect(pools)
      .to.match(/roads4 +\S+ +3 \/ 0 \//)
      .and.match(/roads6 +\S+ +3 \/ 0 \//);
  });

  for (const name of WARRIORS) {
    it(`are served under the CHILD_SA that a packet belongs to, replies too: ${name}`, async () => {
      const one = warrior(name);
      const [from6, from4] = [await one.use('web6'), await one.use('web')];
      expect([from6?.trim().split(' ')[1], from4?.trim().split(' ')[1]]).to.deep.equal([
        one.inner6,
        one.inner4,
      ]);
      const before = await one.sas();
      for (const child of CHILDREN) expect(await one.move(child, AMOUNTS[child]), child).to.equal(true);
      const grown = async (way: 'in' | 'out', unit: 'bytes' | 'packets') => {
        const sas = await one.sas();
        const of = (child: Child, all: typeof before) => all.get(child)?.[way][unit] ?? 0;
        return new Map(CHILDREN.map((child) => [child, of(child, sas) - of(child, before)]));
      };
      const amount = (child: Child) => (one.isEcho(child) ? 56 : 1) * AMOUNTS[child];
      const leastIn = (child: Child) => (one.isEcho(child) ? AMOUNTS[child] : 5);
      const areCounted = async () =>
        [...(await grown('out', 'bytes'))].every(([child, bytes]) => bytes >= amount(child)) &&
        [...(await grown('in', 'packets'))].every(([child, packets]) => packets >= leastIn(child));
      await waitFor('all is counted', areCounted, { timeoutMs: 20_000 });
      // Headers are some percent, but for small echoes: no amount can be mistaken for another.
      for (const [child, bytes] of await grown('out', 'bytes'))
        expect(bytes, child).to.be.below(amount(child) * 1.9);
    });
  }

  it('agree with charon about bytes and packets of each SA, to the last one, where their kernel counts', async () => {
    const ours = async () => {
      const { children } = await listedSas(cluster.lab.router);
      const sas = new Set(
        [...(await kernel().sas()).values()].flatMap((child) => [child.in.spi, child.out.spi]),
      );
      return Object.fromEntries(
        children
          .flatMap(({ spiIn, bytesIn, packetsIn, spiOut, bytesOut, packetsOut }) => [
            [spiIn, `${bytesIn} bytes, ${packetsIn} packets`] as const,
            [spiOut, `${bytesOut} bytes, ${packetsOut} packets`] as const,
          ])
          .filter(([spi]) => sas.has(spi)),
      );
    };
    const theirs = async () => {
      const text = await kernel().host.must(['ip', '-s', 'xfrm', 'state']);
      const state = /spi 0x([0-9a-f]{8})[^]*?lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)/g;
      return Object.fromEntries(
        [...text.matchAll(state)].map(([, spi = '', bytes, packets]) => [
          spi,
          `${bytes} bytes, ${packets} packets`,
        ]),
      );
    };
    expect(Object.keys(await ours())).to.have.lengthOf(2 * CHILDREN.length);
    const isEqual = async () =>
      JSON.stringify(sorted(await ours())) === JSON.stringify(sorted(await theirs()));
    await waitFor('charon has counted all', isEqual).catch(() => {});
    expect(await ours()).to.deep.equal(await theirs());
    for (const said of Object.values(await theirs())) expect(said).to.not.match(/^0 bytes/);
  });

  for (const violation of VIOLATIONS) {
    it(`are refused what an SA was not negotiated for, though sealed under it: ${violation.what}`, async () => {
      const one = kernel();
      const theirs = warrior('client1').inner4;
      const [before, drops] = [await counts(one), await cluster.allDrops()];
      const end = await sealWrongly(one, cluster, { ...violation, theirs });
      try {
        const source = violation.from === 'other' ? ['--interface', theirs] : ['--interface', one.inner4];
        const url = `http://${cluster.dvipa}:${violation.port}/`;
        const said = await one.host.exec([
          'curl',
          '-s',
          '--max-time',
          '2',
          '--local-port',
          String(VIOLATION_PORT),
          ...source,
          url,
        ]);
        expect(said.status).to.equal(CURL_TIMED_OUT);
      } finally {
        await end();
      }
      const refused = difference(await cluster.drops('router1'), drops['router1'] ?? {});
      expect(refused).to.have.all.keys('tunnel-check');
      for (const target of cluster.targets)
        expect(difference(await cluster.drops(target), drops[target] ?? {})).to.deep.equal({});
      expect(await counts(one)).to.deep.equal(before);
    });
  }

  for (const name of ['client1', 'kernel1']) {
    it(`rekey one CHILD_SA, under a download of another, and leave the others: ${name}`, async () => {
      const one = warrior(name);
      const spis = async () =>
        [...(await one.sas())].map(([child, sas]) => [child, `${sas.in.spi} ${sas.out.spi}`] as const);
      const before = await spis();
      const slow = slowDownload(one.host, cluster.dvipa, 5);
      await slow.server;
      await one.host.must(['swanctl', '--rekey', '--child', 'admin']);
      const changed = async () =>
        (await spis()).filter(([, text]) => !before.some(([, old]) => old === text));
      const isRekeyed = async () => (await changed()).length > 0;
      await waitFor('admin is rekeyed', isRekeyed, { timeoutMs: 40_000 });
      expect((await changed()).map(([child]) => child)).to.deep.equal(['admin']);
      expect(await slow.isWhole).to.equal(true);
      for (const child of CHILDREN) expect(await one.use(child), child).to.be.a('string');
    });
  }

  it('go and come back, one politely and one without a word, and are served again', async () => {
    const [polite, rude] = [warrior('client1'), warrior('client2')];
    await terminate(polite.host);
    const isGone = async () =>
      (await cluster.ask('router1', 'sas')).every(({ peer }) => !peer.startsWith(polite.outsideAddress));
    await waitFor('the SAs are gone', isGone, { timeoutMs: 20_000 });
    await cluster.lab.process(rude.name, 'charon').kill('SIGKILL');
    expect(await warrior('kernel1').use('web')).to.be.a('string');
    await startCharon(rude.host);
    for (const one of [polite, rude]) {
      await one.up();
      for (const child of CHILDREN) expect(await one.use(child), `${one.name} ${child}`).to.be.a('string');
    }
    expect(new Set(warriors.map(({ inner4 }) => inner4)).size).to.equal(WARRIORS.length);
  });

  it('lose no packet for a fault of a packet but those that were sealed wrongly', async () => {
    expect(await faultsOf(cluster)).to.deep.equal(['router1: tunnel-check']);
  });
});

function sorted(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
