import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { DropReason } from '../../src/base/verdict.ts';
import type { Capture } from '../../src/lab/capture.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT, sourceLoader } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, difference, type Drops, missingForCluster } from './support/cluster.ts';
import { NarrowRouter } from './support/narrow-router.ts';
import { type Path, PathPeer, SERVER_PORT } from './support/path-mtu-peer.ts';

const LINK_MTU = 1500;
const FRAME_BYTES = LINK_MTU + 14;
const FILE_BYTES = 2_000_000;
/** Almost an IP packet of 64 KB; ESP around more of it would be longer than IP packets are. */
const LARGE_PING_BYTES = 65_000;
const PINGS = 3;
/** Both ends remember what they heard of a path, so it shrinks further each time. */
const NARROW_MTUS = [1400, 1360, 1320];
/** Of a reply to such a ping: all but the last fragment, which are multiples of 8 bytes behind headers of 40 and 8. */
const FULL_FRAGMENTS6 = Math.floor((LARGE_PING_BYTES + 8) / (LINK_MTU - 52));

const PATHS: readonly (Path & { readonly peer: string; readonly what: string })[] = [
  {
    peer: 'kernel1',
    what: 'a Linux kernel, IPv4 in an IPv4 tunnel, native ESP',
    name: 'tunnel44',
    wrapping: { mode: 'tunnel', way: 'native', outside: 4, inside: 4 },
  },
  {
    peer: 'kernel1',
    what: 'a Linux kernel, IPv6 in an IPv4 tunnel, ESP in UDP',
    name: 'tunnel64',
    wrapping: { mode: 'tunnel', way: 'udp', outside: 4, inside: 6 },
  },
  {
    peer: 'kernel1',
    what: 'a Linux kernel, IPv4 in transport mode, native ESP',
    name: 'transport4',
    wrapping: { mode: 'transport', way: 'native', outside: 4, inside: 4 },
  },
  {
    peer: 'kernel1',
    what: 'a Linux kernel, IPv6 in transport mode, native ESP',
    name: 'transport6',
    wrapping: { mode: 'transport', way: 'native', outside: 6, inside: 6 },
  },
  {
    peer: 'client1',
    what: 'kernel-libipsec, IPv4 in an IPv4 tunnel, ESP in UDP',
    name: 'tunnel44',
    wrapping: { mode: 'tunnel', way: 'udp', outside: 4, inside: 4 },
  },
  {
    peer: 'client1',
    what: 'kernel-libipsec, IPv6 in an IPv6 tunnel, ESP in UDP',
    name: 'tunnel66',
    wrapping: { mode: 'tunnel', way: 'udp', outside: 6, inside: 6 },
  },
];

/** The peer that does all modes, and tells of path MTUs. */
const KERNEL_PATHS = PATHS.filter(({ peer }) => peer === 'kernel1');

/** IPv6 in a tunnel is cut by its sender alone (RFC 8200 section 5), who must hear of the path MTU first. */
const isToldByMessage = ({ wrapping }: Path) => wrapping.inside === 6 && wrapping.mode === 'tunnel';

/** The count in a line about drops for `too-big`; of others 0. */
const tooBig = (line: string) => Number(/too-big (\d+)/.exec(line)?.[1] ?? 0);

/** Replies to large pings of which nothing but the last fragment went out. */
const refusedReplies = (drops: readonly string[]) =>
  drops.reduce((sum, line) => sum + Math.floor(tooBig(line) / FULL_FRAGMENTS6), 0);

/** What of a good peer's packets must never be dropped for. */
const FAULTS: readonly DropReason[] = [
  'truncated',
  'malformed',
  'fragment',
  'fragment-overlap',
  'fragment-duplicate',
  'fragment-overflow',
  'fragment-timeout',
  'checksum',
  'unknown-spi',
  'replay',
  'icv',
  'padding',
  'peek-malformed',
  'inner-not-dvipa',
  'tunnel-check',
  'filter',
  'path-mtu-refused',
  'link-malformed',
  'too-big',
  'queue-overflow',
  'send-failed',
  'receive-overrun',
];

/** TCP, ICMP, and ICMPv6 but for neighbours; also as what the first fragment of an IPv6 packet holds. */
const CLEAR =
  'tcp or icmp or (ip6[6] == 58 and ip6[40] < 130) or (ip6[6] == 44 and (ip6[40] == 6 or ip6[40] == 58))';

/** "A 64 KB ping and bulk transfers with 1500-byte links everywhere, IPv4 and IPv6, never stall", seen from outside. */
describe('large packets over links of 1500 bytes', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  const peers = new Map<string, PathPeer>();
  let clear: Capture;
  const long: Capture[] = [];

  before(async function () {
    this.timeout(400_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('pm', {
      scenario: 'matrix',
      clients: 1,
      kernels: 1,
      targets: 2,
      tunnels: false,
      servers: false,
    });
    clear = await cluster.capture('outside', [CLEAR]);
    // Not the coupling sessions: what a kernel's own TCP hands to the device for it to cut is captured whole.
    for (const network of ['outside', 'cluster'])
      long.push(await cluster.capture(network, [`greater ${FRAME_BYTES - 14}`, 'and', 'not', 'tcp']));
    startServers();
    const startPeer = async (name: string) => {
      const paths = PATHS.filter(({ peer }) => peer === name);
      peers.set(name, await PathPeer.up(cluster, name, paths));
    };
    await Promise.all([...new Set(PATHS.map(({ peer }) => peer))].map(startPeer));
    const areInstalled = async () =>
      (await cluster.ask('router1', 'sas')).every(({ installedOn }) => installedOn.length === 2);
    await waitFor('all SAs are installed on all targets', areInstalled, { timeoutMs: 30_000 });
  });

  after(() => cluster?.down());

  function startServers(): void {
    const { dvipa, dvipa6 = '' } = cluster.lab.scenario;
    const program = fileURLToPath(new URL('./support/matrix/file-server.ts', import.meta.url));
    const argv = [process.execPath, '--import', sourceLoader(), program, String(SERVER_PORT), '1'];
    for (const target of cluster.targets) cluster.lab.host(target).spawn('files', [...argv, dvipa, dvipa6]);
  }

  const peerOf = ({ peer }: { readonly peer: string }) => peers.get(peer) as PathPeer;

  /** What all agents have dropped since then, for faults. */
  async function faultsSince(before: Record<string, Drops>): Promise<string[]> {
    return Object.entries(await cluster.allDrops()).flatMap(([host, drops]) =>
      Object.entries(difference(drops, before[host] ?? {}))
        .filter(([reason]) => FAULTS.includes(reason as DropReason))
        .map(([reason, count]) => `${host}: ${reason} ${count}`),
    );
  }

  it('have no longer link anywhere, and no shorter one', async () => {
    const { lab } = cluster;
    const names = ['outside', 'cluster', ...lab.plan.map(({ name }) => name)];
    for (const name of names) {
      const links = JSON.parse(await lab.host(name).must(['ip', '-j', 'link'])) as {
        ifname: string;
        mtu: number;
      }[];
      const own = links.filter(({ ifname }) => !['lo', 'dvipa0', 'ipsec0'].includes(ifname));
      expect(own, name).to.not.have.lengthOf(0);
      expect(own.map(({ ifname, mtu }) => `${name} ${ifname} ${mtu}`)).to.deep.equal(
        own.map(({ ifname }) => `${name} ${ifname} ${LINK_MTU}`),
      );
    }
  });

  for (const path of PATHS) {
    it(`move ${FILE_BYTES} bytes each way: ${path.what}`, async () => {
      const before = await cluster.allDrops();
      expect(await peerOf(path).move(path, FILE_BYTES, path.what)).to.equal(null);
      expect(await faultsSince(before)).to.deep.equal([]);
    });

    it(`bring all replies to a ping of ${LARGE_PING_BYTES} bytes: ${path.what}`, async () => {
      const before = await cluster.allDrops();
      const pinged = await peerOf(path).ping(path, LARGE_PING_BYTES, PINGS);
      const drops = await faultsSince(before);
      expect({ ...pinged, drops }).to.deep.equal({ sent: PINGS, received: PINGS, oddities: [], drops: [] });
    });
  }

  describe('and a TUN of 1500 bytes', () => {
    before(async () => {
      for (const target of cluster.targets)
        await cluster.lab.host(target).must(['ip', 'link', 'set', 'dvipa0', 'mtu', String(LINK_MTU)]);
    });

    for (const path of KERNEL_PATHS) {
      it(`move ${FILE_BYTES} bytes each way and no segment that is too long: ${path.what}`, async () => {
        const before = await cluster.allDrops();
        expect(await peerOf(path).move(path, FILE_BYTES, path.what)).to.equal(null);
        expect(await faultsSince(before)).to.deep.equal([]);
      });

      const isTold = isToldByMessage(path);
      const replies = isTold ? 'replies as soon as their sender has heard of the path MTU' : 'all replies';
      it(`bring ${replies} to a ping of ${LARGE_PING_BYTES} bytes: ${path.what}`, async () => {
        const before = await cluster.allDrops();
        const pinged = await peerOf(path).ping(path, LARGE_PING_BYTES, PINGS);
        const drops = await faultsSince(before);
        const refused = refusedReplies(drops);
        const others = drops.filter((line) => !isTold || tooBig(line) === 0);
        const received = isTold ? PINGS - refused : PINGS;
        expect({ ...pinged, others }).to.deep.equal({ sent: PINGS, received, oddities: [], others: [] });
        // All of a first reply is sent before its sender can hear anything; on a busy machine that may be so of a second one.
        if (isTold) expect(refused).to.be.within(1, PINGS - 1);
      });
    }

    it('carry nothing of all that in clear outside', async () => {
      const { packets, droppedByKernel } = await clear.stop();
      expect([packets, droppedByKernel]).to.deep.equal([0, 0]);
    });
  });

  describe('and a router with a narrower path behind it', () => {
    let router: NarrowRouter;

    before(async () => {
      router = await NarrowRouter.inFrontOf(cluster, (peers.get('kernel1') as PathPeer).plan, LINK_MTU);
    });

    /** How often the routing agent has believed a router so far. */
    const believed = () =>
      readFileSync(cluster.lab.router.logFile('agent'), 'utf8').split('path MTU lowered').length - 1;

    const narrowed = KERNEL_PATHS.filter(({ name }) => name !== 'transport4');
    for (const [index, path] of narrowed.entries()) {
      const mtu = NARROW_MTUS[index] as number;
      it(`go on moving when the path shrinks to ${mtu} bytes: ${path.what}`, async () => {
        await router.setPathMtu(LINK_MTU);
        const before = {
          drops: await cluster.allDrops(),
          refusals: await router.refusals(),
          believed: believed(),
          bytes: await router.bytesOfGuest(),
        };
        let isOver = false;
        const moved = peerOf(path)
          .move(path, 1.5 * FILE_BYTES, path.what)
          .finally(() => (isOver = true));
        const isUnderWay = async () => (await router.bytesOfGuest()) > before.bytes + FILE_BYTES / 10;
        await waitFor('the upload is under way', isUnderWay, { timeoutMs: 60_000, everyMs: 20 });
        await router.setPathMtu(mtu);
        expect(isOver).to.equal(false);
        expect(await moved).to.equal(null);
        const { outside } = path.wrapping;
        expect((await router.refusals())[outside]).to.be.greaterThan(before.refusals[outside]);
        expect(believed()).to.be.greaterThan(before.believed);
        const pinged = await peerOf(path).ping(path, LARGE_PING_BYTES, PINGS);
        const drops = await faultsSince(before.drops);
        // Echoes may go to a target whose kernel has not heard of it yet; that costs replies, as above.
        const refused = isToldByMessage(path) ? refusedReplies(drops) : 0;
        expect(pinged).to.deep.equal({ sent: PINGS, received: PINGS - refused, oddities: [] });
        expect(refused).to.be.below(PINGS);
        expect(drops.filter((line) => tooBig(line) === 0)).to.deep.equal([]);
      });
    }

    it('carry frames as long as they may be, and no longer one, on both networks', async () => {
      for (const capture of long) {
        const { file, droppedByKernel } = await capture.stop();
        const lengths = readPcap(file).packets.map(({ originalLength }) => originalLength);
        expect([Math.max(...lengths), droppedByKernel], file).to.deep.equal([FRAME_BYTES, 0]);
      }
    });
  });
});
