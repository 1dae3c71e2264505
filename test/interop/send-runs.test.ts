import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { RUNS_PORT } from '../../src/io/guard-constants.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { NetHost, type NetWorker } from './support/net-host.ts';
import {
  destinationOf,
  expectSamePacket,
  numberOf,
  packetHex,
  type PacketSpec,
  packetSpec,
  PLAIN,
} from './support/run-packets.ts';

const ENDPOINT = '192.0.2.10';
const HOST = '192.0.2.21';
const MARK = 0x44564950;
/** Words of C, so built from its source each time, with sanitizers: what they find is in the folder's files. */
const SANITIZERS = { ASAN: 'detect_leaks=0:halt_on_error=1', UBSAN: 'halt_on_error=1:print_stacktrace=1' };

describe('runs of packets', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'dvipa-runs-'));
  const reports = join(folder, 'reports');
  const cc = (...words: string[]) => execFileSync('cc', words, { encoding: 'utf8' }).trim();
  let client: NetHost;
  let host: NetHost;
  let clientWorker: NetWorker;
  let hostWorker: NetWorker;
  let number = 0;

  /** A worker on a build with sanitizers. */
  function worker(of: NetHost, ...preload: string[]): Promise<NetWorker> {
    return of.worker({
      preload: [cc('-print-file-name=libasan.so'), ...preload],
      env: {
        DVIPA_PACKET_IO: join(folder, 'built/packet-io'),
        ASAN_OPTIONS: `${SANITIZERS.ASAN}:log_path=${reports}/asan`,
        UBSAN_OPTIONS: `${SANITIZERS.UBSAN}:log_path=${reports}/ubsan`,
      },
    });
  }

  before(async () => {
    for (const part of ['vector.h', 'crew.h', 'packet-io']) {
      const from = join(PROJECT_ROOT, 'plugins/node', part);
      cpSync(from, join(folder, 'source', part), {
        recursive: true,
        filter: (name) => !name.includes('prebuilds'),
      });
    }
    mkdirSync(reports);
    execFileSync(join(PROJECT_ROOT, 'scripts/build-addons'), {
      env: { ...process.env, SANITIZE: '1', SOURCE: join(folder, 'source'), OUT: join(folder, 'built') },
    });
    client = new NetHost('runs-client');
    host = new NetHost('runs-host');
    NetHost.wire(client, 'outside0', host, 'outside0');
    // As on a wire: whole packets with whole checksums.
    host.run('ethtool -K outside0 tx off >/dev/null');
    const { ether, silent } = { ether: client.linkAddress('outside0'), silent: 'dev outside0 nud permanent' };
    host.ip(`address add ${HOST}/24 dev outside0`);
    host.ip(`address add 2001:db8:2::21/64 dev outside0 nodad`);
    for (const address of ['192.0.2.101', '192.0.2.102', '2001:db8:2::101', '2001:db8:2::102']) {
      host.ip(`neighbour replace ${address} lladdr ${ether} ${silent}`);
    }
    host.ip('route add default via 192.0.2.101 dev outside0');
    host.ip('-6 route add default via 2001:db8:2::101 dev outside0');
    [clientWorker, hostWorker] = await Promise.all([worker(client), worker(host)]);
    await clientWorker.do('capture', 'outside0', {
      dvipas: [
        '192.0.2.101',
        '192.0.2.102',
        '198.51.100.7',
        '2001:db8:2::101',
        '2001:db8:2::102',
        '2001:db8:9::7',
      ],
      endpoints: [],
    });
    await hostWorker.do('raw', MARK, true, 4500, 2);
  });

  after(async () => {
    await client?.close();
    await host?.close();
    const found = readdirSync(reports).map((name) => readFileSync(join(reports, name), 'utf8'));
    rmSync(folder, { recursive: true });
    expect(found, 'complaints of the sanitizers').to.deep.equal([]);
  });

  const hexOf = (specs: readonly PacketSpec[]) => specs.map((spec) => packetHex(spec, ++number));

  /** Sends them in one vector; what arrived, after which of each family nothing is on its way any more. */
  async function exchange(sender: NetWorker, packets: readonly string[]): Promise<string[]> {
    const verdicts = await sender.do('send', 'raw', ...packets);
    expect(verdicts.filter((verdict) => verdict !== 0)).to.deep.equal([]);
    const ends = hexOf([
      { ...PLAIN, bytes: 20 },
      { ...PLAIN, family: 6, bytes: 20 },
    ]);
    await sender.do('send', 'raw', ...ends);
    const arrived: string[] = [];
    for (const end of ends) {
      if (arrived.some((packet) => numberOf(packet) === numberOf(end))) continue;
      arrived.push(...(await clientWorker.do('take', 'outside0', end.slice(-8))));
    }
    const sentinels = new Set(ends.map(numberOf));
    return arrived.filter((packet) => !sentinels.has(numberOf(packet)));
  }

  function expectAll(arrived: readonly string[], sent: readonly string[]): void {
    for (const destination of new Set(sent.map(destinationOf))) {
      const ofIt = (packets: readonly string[]) =>
        packets.filter((packet) => destinationOf(packet) === destination);
      const [came, went] = [ofIt(arrived), ofIt(sent)];
      expect(came.map(numberOf), 'order at one destination').to.deep.equal(went.map(numberOf));
      for (const [i, packet] of came.entries()) expectSamePacket(packet, went[i] as string);
    }
    expect(arrived.length).to.equal(sent.length);
  }

  /** Sends and checks them; how many messages were runs, and how many packets were in these. */
  async function runsOf(specs: readonly PacketSpec[]): Promise<readonly [number, number]> {
    const packets = hexOf(specs);
    const before = await hostWorker.do('runs');
    const arrived = await exchange(hostWorker, packets);
    const { runs, packets: inRuns } = await hostWorker.do('runs');
    expectAll(arrived, packets);
    return [runs - before.runs, inRuns - before.packets];
  }

  const times = (count: number, spec: Partial<PacketSpec> = {}) =>
    Array.from({ length: count }, () => ({ ...PLAIN, ...spec }));

  it('runs of packets arrive as they were sent, in order, whatever is between them and whoever sends them', async () => {
    const { runs } = await hostWorker.do('runs');
    await fc.assert(
      fc.asyncProperty(fc.array(packetSpec, { minLength: 1, maxLength: 60, size: 'max' }), async (specs) => {
        const packets = hexOf(specs);
        expectAll(await exchange(hostWorker, packets), packets);
      }),
      { numRuns: 40 },
    );
    expect((await hostWorker.do('runs')).runs - runs).to.be.above(100);
    expect(await hostWorker.do('crewRuns'), 'vectors that two threads sent').to.be.above(0);
  });

  it('runs of packets are as long as the kernel takes them: 64 packets, and less than 64 KiB', async () => {
    expect(await runsOf(times(130, { bytes: 100 }))).to.deep.equal([3, 130]);
    expect(await runsOf(times(60, { bytes: 1400 }))).to.deep.equal([2, 60]);
    expect(await runsOf(times(60, { bytes: 1400, family: 6 }))).to.deep.equal([2, 60]);
    expect(await runsOf(times(300, { bytes: 40 }))).to.deep.equal([5, 300]);
  });

  it('runs of packets end with a shorter packet, and a longer one begins another', async () => {
    expect(await runsOf([...times(5), ...times(1, { bytes: 999 }), ...times(5)])).to.deep.equal([2, 11]);
    expect(await runsOf([...times(3), ...times(3, { bytes: 1001 })])).to.deep.equal([2, 6]);
    expect(await runsOf([...times(1), ...times(1, { bytes: 1001 })])).to.deep.equal([0, 0]);
  });

  it('runs of packets to several peers are found in one another, whatever order they come in', async () => {
    const peers = times(60).map(
      (spec, i) => ({ ...spec, peer: (i % 3) as 0 | 1 | 2, family: i % 2 ? 4 : 6 }) as const,
    );
    expect(await runsOf(peers)).to.deep.equal([6, 60]);
  });

  for (const [what, odd] of [
    ['native ESP', { odd: 'native' }],
    ['packets without DF, whose numbers (identification) would come twice', { hasDf: false }],
    ['packets from another port', { odd: 'other-port' }],
    ['packets with a UDP checksum of their own', { odd: 'checksummed' }],
    ['packets with a number of their own', { odd: 'numbered' }],
    ['packets with options', { odd: 'options' }],
    ['pieces', { odd: 'cut' }],
    ['packets with a flow label', { odd: 'flow', family: 6 }],
  ] as const) {
    it(`runs of packets are never made of ${what}`, async () => {
      expect(await runsOf(times(6, odd))).to.deep.equal([0, 0]);
    });
  }

  for (const [what, other] of [
    ['another port', { port: 33_333 }],
    ['another traffic class', { trafficClass: 0x28 }],
    ['another ECN', { trafficClass: 2 }],
    ['another hop limit', { hopLimit: 9 }],
  ] as const) {
    it(`runs of packets do not go on with ${what}`, async () => {
      for (const family of [4, 6] as const) {
        const [one, two] = [times(3, { family }), times(3, { family, ...other })];
        expect(await runsOf([...one, ...two, ...one])).to.deep.equal([3, 9]);
      }
    });
  }

  it('runs of packets that are too long for the device are too big one by one, and others leave', async () => {
    const packets = hexOf([...times(3, { bytes: 1473 }), ...times(3, { bytes: 1472 })]);
    const verdicts = await hostWorker.do('send', 'raw', ...packets);
    const [tooBig] = await hostWorker.do('send', 'raw', packets[0] as string);
    expect(verdicts).to.deep.equal([tooBig, tooBig, tooBig, 0, 0, 0]);
    expectAll(await exchange(hostWorker, []), packets.slice(3));
    expect(await hostWorker.do('tend')).to.equal(null);
    expect(await runsOf(times(2))).to.deep.equal([1, 2]);
  });

  it('runs of packets have the mark, by which guards and policy routing know them', async () => {
    host.run('nft add table inet runs');
    host.run('nft add chain inet runs output "{ type filter hook output priority 0; }"');
    host.run(`nft add rule inet runs output udp sport 4500 meta mark != ${MARK} counter drop`);
    expect(await runsOf([...times(2), ...times(2, { family: 6 })])).to.deep.equal([2, 4]);
    expect(host.run('nft list table inet runs')).to.contain('counter packets 0 ');
    host.run('nft delete table inet runs');
  });

  it('runs of packets leave whatever IPsec policies the host has', async () => {
    const policies = ['192.0.2.0/24', '2001:db8:2::/64'].map((net) => `src ${net} dst ${net} dir out`);
    for (const policy of policies) host.ip(`xfrm policy add ${policy} action block`);
    expect(await runsOf([...times(2), ...times(2, { family: 6 })])).to.deep.equal([2, 4]);
    for (const policy of policies) host.ip(`xfrm policy delete ${policy}`);
  });

  it('a source hears nothing: who shares its address and port hears all, opened before or after it', async () => {
    host.ip(`address add ${ENDPOINT}/32 dev outside0`);
    client.ip('address add 192.0.2.101/24 dev outside0');
    await hostWorker.do('udp', 'other', '0.0.0.0', 4500, true);
    await runsOf(times(2));
    await clientWorker.do('udp', 'peer', '192.0.2.101', 4500, true);
    await clientWorker.do('udpSend', 'peer', ENDPOINT, 4500, '00000000c1');
    await hostWorker.do('take', 'other', 'c1');
    await hostWorker.do('udpClose', 'other');
    await hostWorker.do('udp', 'other', '0.0.0.0', 4500, true);
    await clientWorker.do('udpSend', 'peer', ENDPOINT, 4500, '00000000c2');
    const heard = await hostWorker.do('take', 'other', 'c2');
    expect(heard).to.deep.equal(['192.0.2.101:4500 00000000c2']);
    await hostWorker.do('udpClose', 'other');
    host.ip(`address delete ${ENDPOINT}/32 dev outside0`);
  });

  it('a source is closed when no run has left from it for a while, and opened again for the next', async () => {
    await runsOf([...times(2), ...times(2, { family: 6 })]);
    await hostWorker.do('tend');
    expect((await hostWorker.do('runs')).sources).to.equal(2);
    await runsOf(times(2));
    await hostWorker.do('tend');
    expect((await hostWorker.do('runs')).sources).to.equal(1);
    await hostWorker.do('tend');
    expect((await hostWorker.do('runs')).sources).to.equal(0);
    expect(await runsOf(times(2))).to.deep.equal([1, 2]);
  });

  it('packets leave singly where another program has the port for itself, which is said once, until it is gone', async () => {
    for (let i = 0; i < 2; i++) await hostWorker.do('tend');
    await hostWorker.do('udp', 'other', '0.0.0.0', 4500);
    expect(await runsOf(times(4))).to.deep.equal([0, 0]);
    expect(await hostWorker.do('tend')).to.deep.equal({ refused: 'socket', error: 'EADDRINUSE' });
    expect(await runsOf(times(4))).to.deep.equal([0, 0]);
    expect(await hostWorker.do('tend')).to.equal(null);
    await hostWorker.do('udpClose', 'other');
    expect(await runsOf(times(4))).to.deep.equal([1, 4]);
  });

  it('runs of packets leave a routing host from no port that charon wants, and peers see port 4500', async () => {
    const guard = { dvipas: [], endpoints: [ENDPOINT], mark: MARK };
    const both = [...times(4), ...times(3, { family: 6 })];
    host.ip(`address add ${ENDPOINT}/32 dev outside0`);
    for (let i = 0; i < 2; i++) await hostWorker.do('tend'); // nothing of the socket before is left
    await hostWorker.do('routerInstall', guard);
    await hostWorker.do('raw', MARK, true, RUNS_PORT);
    expect(await runsOf(both)).to.deep.equal([2, 7]);
    await hostWorker.do('udp', 'charon', '0.0.0.0', 4500);
    expect(await runsOf(both)).to.deep.equal([2, 7]);
    await clientWorker.do('udpSend', 'peer', ENDPOINT, 4500, '00000000c3');
    expect(await hostWorker.do('take', 'charon', 'c3')).to.deep.equal(['192.0.2.101:4500 00000000c3']);
    await hostWorker.do('udpClose', 'charon');
    await hostWorker.do('routerRemove', guard);
    await hostWorker.do('raw', MARK);
    host.ip(`address delete ${ENDPOINT}/32 dev outside0`);
  });

  it('packets leave singly where the kernel takes no runs, which is said once, and none is lost', async () => {
    const library = join(folder, 'no-segments.so');
    cc(
      '-shared',
      '-fPIC',
      '-D_GNU_SOURCE',
      '-o',
      library,
      join(PROJECT_ROOT, 'test/interop/support/no-segments.c'),
    );
    const refused = await worker(host, library);
    await refused.do('raw', MARK);
    const packets = hexOf([...times(5), ...times(3, { peer: 1 }), ...times(1, { odd: 'native' })]);
    expectAll(await exchange(refused, packets), packets);
    expect(await refused.do('tend')).to.deep.equal({ refused: 'run', error: 'EIO' });
    const more = hexOf(times(5));
    expectAll(await exchange(refused, more), more);
    expect(await refused.do('tend')).to.equal(null);
    expect(await refused.do('runs')).to.deep.equal({ runs: 0, packets: 0, sources: 0 });
    await refused.kill();
  });

  it('packets leave singly where it is switched off', async () => {
    const single = await worker(host);
    await single.do('raw', MARK, false);
    const packets = hexOf(times(5));
    expectAll(await exchange(single, packets), packets);
    expect(await single.do('runs')).to.deep.equal({ runs: 0, packets: 0, sources: 0 });
    await single.kill();
  });
});
