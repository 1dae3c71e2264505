import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { terminate } from '../../src/lab/charon.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, difference, missingForCluster } from './support/cluster.ts';
import { sendCopies } from './support/esp-copies.ts';
import { listedSas, slowDownload } from './support/observe.ts';
import { RoadWarrior } from './support/road-warrior.ts';

const HERE = '192.0.2.111';
const THERE = '192.0.2.121';
const ENDPOINT = '192.0.2.10';
const IPV6 = '2001:db8::111';
/** Nobody's: the attacker writes it into copies. */
const ATTACKER = '192.0.2.250';

/** Moves of the client, as lines for `ip -batch`, and where it is then. */
const MOVES: readonly [what: string, lines: readonly string[], address: string][] = [
  ['another address', [`addr add ${THERE}/24 dev outside0`, `addr del ${HERE}/24 dev outside0`], THERE],
  ['the first one again', [`addr add ${HERE}/24 dev outside0`, `addr del ${THERE}/24 dev outside0`], HERE],
  ['IPv6', [`addr del ${HERE}/24 dev outside0`], IPV6],
  ['IPv4 again', [`addr add ${HERE}/24 dev outside0`, `addr del ${IPV6}/64 dev outside0`], HERE],
];

/** A stock Linux kernel whose addresses change: charon's MOBIKE (RFC 4555) moves its SAs, and the targets follow. */
describe('MOBIKE of a stock client with a kernel of its own', function () {
  this.timeout(90_000);
  let cluster: Cluster;
  let client: RoadWarrior;

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('mob', {
      scenario: 'roads',
      clients: 1,
      kernels: 1,
      targets: 2,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0 },
    });
    client = new RoadWarrior(cluster, 'kernel1');
    // A small receive buffer: what curl has not asked for is still to come when the client moves.
    const settings = ['net.ipv4.conf.all.promote_secondaries=1', 'net.ipv4.tcp_rmem=4096 65536 131072'];
    await client.host.must(['sysctl', '-qw', ...settings]);
  });

  after(() => cluster?.down());

  const peersOf = async (host: string) =>
    [...new Set((await cluster.ask(host, 'sas')).map(({ peer }) => peer))].toSorted();

  const sentBytes = async () =>
    (await cluster.ask('router1', 'sas')).find(({ direction }) => direction === 'out')?.bytes ?? 0;

  async function isAt(peer: string): Promise<void> {
    for (const host of ['router1', ...cluster.targets]) {
      const isThere = async () => (await peersOf(host)).join() === peer;
      await waitFor(`${host} has the peer at ${peer}`, isThere, { timeoutMs: 30_000 });
    }
  }

  async function connect(encap: 'yes' | 'no'): Promise<void> {
    await terminate(client.host);
    for (const address of [`${HERE}/24`, `${IPV6}/64`])
      await client.host.must(['ip', 'addr', 'replace', address, 'dev', 'outside0']);
    cluster.lab.rewriteConfiguration('kernel1', { encap });
    await client.host.must(['swanctl', '--load-conns']);
    await client.up(['web']);
  }

  /**
   * charon tries all paths at once and takes the first that answers: with IKE over IPv4 only, it is one of IPv4. Never the one to the DVIPA: from
   * there to the other family charon takes the DVIPA in the traffic selectors for the endpoint, and replaces it as well.
   */
  async function allowIpv6(isAllowed: boolean): Promise<void> {
    const rules = `table netdev paths {
      chain into {
        type filter hook ingress device "kernel1" priority 0
        ip daddr ${cluster.dvipa} udp dport { 500, 4500 } drop
        ${isAllowed ? '' : 'ip6 nexthdr udp drop'}
      }
    }`;
    const input = `table netdev paths\ndelete table netdev paths\n${rules}\n`;
    await cluster.lab.host('outside').must(['nft', '-f', '-'], { input });
  }

  for (const encap of ['no', 'yes'] as const) {
    describe(encap === 'yes' ? 'ESP in UDP' : 'native ESP', () => {
      const peerAt = (address: string) => {
        if (encap === 'no') return address;
        return address === IPV6 ? `[${address}]:4500` : `${address}:4500`;
      };

      before(async () => {
        await connect(encap);
        await isAt(peerAt(HERE));
      });

      for (const [what, lines, address] of MOVES) {
        it(`takes a download along to ${what}`, async () => {
          const slow = slowDownload(client.host, cluster.dvipa, 8);
          await slow.server;
          await allowIpv6(address === IPV6);
          const before = await sentBytes();
          await client.host.must(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
          await isAt(peerAt(address));
          await client.route();
          expect(await slow.isWhole).to.equal(true);
          // The control: much of it had not come before the move (counts are a second old at most).
          const isMore = async () => (await sentBytes()) > before + 1_000_000;
          await waitFor('the rest of the download is counted', isMore, { timeoutMs: 20_000 });
          const { text } = await listedSas(cluster.lab.router);
          expect(text).to.contain(`'kernel1' @ ${address}[4500]`);
          for (let i = 0; i < 4; i++) expect(await client.use('web')).to.contain(client.inner4);
        });
      }
    });
  }

  describe('native ESP, and nothing but IKE moves it', () => {
    before(async () => {
      await connect('no');
      await isAt(HERE);
    });

    after(() => cluster.lab.host('outside').exec(['nft', 'delete', 'table', 'netdev', 'elsewhere']));

    it('not copies from another address, genuine or forged', async () => {
      const wire = await cluster.capture('outside', ['src', HERE, 'and', 'ip', 'proto', '50']);
      const slow = slowDownload(client.host, cluster.dvipa, 5);
      await slow.server;
      const { file } = await wire.stop();
      const before = await cluster.allDrops();
      const attacker = cluster.lab.host('client1');
      for (const how of ['genuine', 'forged'] as const)
        expect(await sendCopies(attacker, file, ATTACKER, how)).to.be.greaterThan(5);
      expect(await slow.isWhole).to.equal(true);
      const refused = async (host: string, reason: 'replay' | 'icv') =>
        difference(await cluster.drops(host), before[host] ?? {})[reason] ?? 0;
      // The control: the attack was there.
      await waitFor('copies are refused', async () => (await refused('router1', 'replay')) > 0);
      const atTargets = () => Promise.all(cluster.targets.map((host) => refused(host, 'icv')));
      await waitFor('forgeries are refused', async () => Math.max(...(await atTargets())) > 0);
      for (const host of ['router1', ...cluster.targets])
        expect(await peersOf(host), host).to.deep.equal([HERE]);
    });

    it('not its own packets from another address either: they are served, and answered where IKE says', async () => {
      // On its way, at the bridge.
      const rules = `table netdev elsewhere {
        chain into {
          type filter hook ingress device "kernel1" priority 0
          ip protocol esp ip saddr set ${THERE}
        }
      }`;
      await cluster.lab.host('outside').must(['nft', '-f', '-'], { input: rules });
      const wire = await cluster.capture('outside', ['ip', 'proto', '50']);
      for (let i = 0; i < 4; i++) expect(await client.use('web')).to.contain(client.inner4);
      const { file } = await wire.stop();
      const addresses = readPcap(file).packets.map(({ bytes }) => [...bytes.subarray(26, 34)].join('.'));
      const there = [...THERE.split('.'), ...ENDPOINT.split('.')].join('.');
      const here = [...ENDPOINT.split('.'), ...HERE.split('.')].join('.');
      expect(new Set(addresses)).to.deep.equal(new Set([there, here]));
      for (const host of ['router1', ...cluster.targets])
        expect(await peersOf(host), host).to.deep.equal([HERE]);
    });
  });

  describe('when all this is done', () => {
    it('has been told of endpoints and DVIPAs only, and tried no other address of ours', () => {
      const log = readFileSync(join(cluster.lab.options.folder, 'logs/kernel1-charon.log'), 'utf8');
      const tried = [...log.matchAll(/checking path \S+ - (\S+)\[4500\]/g)].map(
        ([, address = '']) => address,
      );
      const { dvipa, endpoint, dvipa6, endpoint6 } = cluster.lab.scenario;
      expect(new Set(tried)).to.deep.equal(new Set([dvipa, endpoint, dvipa6, endpoint6]));
    });
  });
});
