import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { askAgent } from '../../src/lab/agent.ts';
import { requestMany } from '../../src/lab/demo/traffic.ts';
import { espIn } from '../../src/lab/esp-repeats.ts';
import { type CapturedPacket, readPcap } from '../../src/lab/pcap.ts';
import { dvipaCommand, PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { TestAuthority } from '../support/coupling-certificates.ts';
import { Cluster, difference, type Drops, missingForCluster } from './support/cluster.ts';
import { hello, type IntruderFiles, intrude, issueAnyUse, record } from './support/coupling-intruder.ts';
import { ForgedPeer, readPeerSas, sendRaw } from './support/forged-peer.ts';
import { ipv4Hex, pingHex, udpHex } from './support/ipv4-packets.ts';

const DVIPA = '203.0.113.10';
const ROUTER = '198.51.100.1';
const TARGET = '198.51.100.11';
const LINK_PORT = 4754;
const ETHERNET_HEADER_BYTES = 14;

/**
 * What must be refused is refused, and counted once, under its own name, on the host that refused it; nothing else is.
 * client1 is a stock client that goes on working. client2 brought its tunnel up the same way, then its charon was
 * killed: the test plays it, with its keys.
 */
describe('cluster, wrong input', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let peer: ForgedPeer;
  let epoch = 0;
  /** Far above what client2 itself has sent. */
  let sequence = 1000;

  const none: Record<string, Drops> = { router1: {}, target1: {}, target2: {}, target3: {} };
  const ping = (source = '10.1.2.1', destination = DVIPA) =>
    ipv4Hex(source, destination, 1, pingHex('00'.repeat(32)));
  const opened = async () => {
    const all = await Promise.all(cluster.targets.map((target) => cluster.ask(target, 'status')));
    return all.reduce((sum, { counters }) => sum + counters.opened, 0);
  };

  /** One good packet of client2 through everything: also, what was sent before it has been judged by then. */
  async function passes(): Promise<void> {
    const before = await opened();
    await peer.send(peer.seal(ping(), { sequence: ++sequence }));
    await waitFor('a good packet is opened', async () => (await opened()) === before + 1);
  }

  /** `act` makes just these drops: each named one, nothing else, nowhere else. */
  async function expectDrops(expected: Record<string, Drops>, act: () => Promise<void>): Promise<void> {
    const before = await cluster.allDrops();
    await act();
    const changes = async () => {
      const after = await cluster.allDrops();
      return Object.fromEntries(
        Object.entries(after).map(([host, drops]) => [host, difference(drops, before[host] ?? {})]),
      );
    };
    const wanted = { ...none, ...expected };
    await waitFor('drops are counted', async () => sumOf(await changes()) >= sumOf(wanted)).catch(() => {});
    await passes();
    expect(await changes()).to.deep.equal(wanted);
  }

  /** The same where any one target may be the one. */
  async function expectDropOnATarget(reason: keyof Drops, act: () => Promise<void>): Promise<void> {
    const before = await cluster.allDrops();
    await act();
    const changes = async () => {
      const after = await cluster.allDrops();
      return Object.entries(after).map(
        ([host, drops]) => [host, difference(drops, before[host] ?? {})] as const,
      );
    };
    await waitFor('a drop is counted', async () => sumOf(Object.fromEntries(await changes())) > 0);
    await passes();
    const seen = (await changes()).filter(([, drops]) => Object.keys(drops).length > 0);
    expect(seen.map(([, drops]) => drops)).to.deep.equal([{ [reason]: 1 }]);
    expect(seen[0]?.[0]).to.match(/^target/);
  }

  before(async function () {
    this.timeout(120_000);
    const missing = missingForCluster(PROJECT_ROOT);
    if (missing.length > 0) throw new Error(`this test needs ${missing.join(', ')}`);
    cluster = await Cluster.up('wrong');
    const sas = await readPeerSas(cluster.run('router1', 'charon.dvipa'), '192.0.2.102');
    await cluster.installed();
    await cluster.lab.process('client2', 'charon').kill('SIGKILL');
    // Its TUN and routes are gone with it: now what it sends to the DVIPA goes out as it is.
    await cluster.lab.host('client2').must(['ip', 'route', 'add', DVIPA, 'via', '192.0.2.1']);
    peer = new ForgedPeer(cluster.lab.host('client2'), sas);
    ({ epoch } = await cluster.ask('router1', 'status'));
    await passes();
  });

  after(async () => {
    await cluster?.down();
  });

  describe('from outside', () => {
    it('an unknown SPI is refused on the routing host', async () => {
      await expectDrops({ router1: { 'unknown-spi': 1 } }, () =>
        peer.send(peer.seal(ping(), { sequence: ++sequence, spi: 0xdeadbeef })),
      );
    });

    it('a bad ICV is refused on the target, and the good packet of the same number is not lost by it', async () => {
      sequence += 1;
      const good = peer.seal(ping(), { sequence });
      const forged = Buffer.from(good);
      forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1);
      await expectDropOnATarget('icv', () => peer.send(forged));
      await expectDrops({}, async () => {
        const before = await opened();
        await peer.send(good);
        await waitFor('the good packet is opened', async () => (await opened()) === before + 1);
      });
    });

    it('a forged packet with a number far ahead moves no window', async () => {
      const forged = peer.seal(ping(), { sequence: sequence + 1_000_000 });
      forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1);
      // What is good and far behind the forged number passes: expectDropOnATarget sends one.
      await expectDropOnATarget('icv', () => peer.send(forged));
    });

    it('a packet recorded on the outside network and sent again is refused on the routing host, new or old', async () => {
      const capture = await cluster.capture('outside', ['src', '192.0.2.101', 'and', 'udp', 'port', '4500']);
      const { failed } = await requestMany(cluster.lab.host('client1'), DVIPA, 12);
      expect(failed).to.equal(0);
      const { file } = await capture.stop();
      const recorded = readPcap(file).packets.filter(({ bytes }) => espIn(bytes) !== undefined);
      expect(recorded.length).to.be.greaterThan(40);
      for (const packet of [recorded.at(-1), recorded.at(0)]) {
        await expectDrops({ router1: { replay: 1 } }, () => sendRaw(peer.host, [ipOf(packet)]));
      }
    });

    it('a packet outside the traffic selectors is refused on the routing host', async () => {
      await expectDrops({ router1: { 'tunnel-check': 1 } }, () =>
        peer.send(peer.seal(ping('10.1.1.1'), { sequence: ++sequence })),
      );
    });

    it('an inner destination that is no DVIPA is refused on the routing host', async () => {
      await expectDrops({ router1: { 'inner-not-dvipa': 1 } }, () =>
        peer.send(peer.seal(ping('10.1.2.1', ROUTER), { sequence: ++sequence })),
      );
    });

    it('a truncated packet is refused on the routing host', async () => {
      const whole = peer.datagram(peer.seal(ping(), { sequence: ++sequence }));
      await expectDrops({ router1: { truncated: 1 } }, () => peer.send(whole.slice(0, -20)));
    });

    it('an ESP packet too short for its algorithm is refused on the routing host', async () => {
      const esp = peer.seal(ping(), { sequence: ++sequence }).subarray(0, 20);
      await expectDrops({ router1: { truncated: 1 } }, () => peer.send(esp));
    });

    it('an inner packet that is none is refused on the routing host', async () => {
      await expectDrops({ router1: { 'peek-malformed': 1 } }, () =>
        peer.send(peer.seal('ff'.repeat(60), { sequence: ++sequence })),
      );
    });

    it('a port that no rule permits is refused on the routing host', async () => {
      const inner = ipv4Hex('10.1.2.1', DVIPA, 17, udpHex(1024, 53, '00'.repeat(12)));
      await expectDrops({ router1: { filter: 1 } }, () =>
        peer.send(peer.seal(inner, { sequence: ++sequence })),
      );
    });

    it('a clear-text packet to the DVIPA is refused on the routing host, and nobody answers it', async () => {
      const capture = await cluster.capture('outside', ['src', DVIPA]);
      await expectDrops({ router1: { clear: 2 } }, async () => {
        const udp = ipv4Hex('192.0.2.102', DVIPA, 17, udpHex(1024, 80, '00'.repeat(12)));
        await sendRaw(peer.host, [udp, ipv4Hex('192.0.2.102', DVIPA, 1, pingHex('00'.repeat(32)))]);
      });
      expect((await capture.stop()).packets).to.equal(0);
    });
  });

  describe('on the trusted link', () => {
    const gre = (
      key: number,
      source: string,
      options: { protocol?: string; rest?: string; to?: string } = {},
    ) => {
      const { protocol = '0800', rest = `00000001${ping()}`, to = TARGET } = options;
      const flags = protocol === '0800' ? '3000' : '2000';
      const payload = `${flags}${protocol}${key.toString(16).padStart(8, '0')}${rest}`;
      return ipv4Hex(source, to, 17, udpHex(LINK_PORT, LINK_PORT, payload));
    };

    it('GRE from a stranger is refused, on a target and on the routing host', async () => {
      await expectDrops({ target1: { 'link-stranger': 1 }, router1: { 'link-stranger': 1 } }, () =>
        sendRaw(cluster.lab.host('target2'), [
          gre(epoch, '198.51.100.99'),
          gre(epoch, '198.51.100.99', { to: ROUTER }),
        ]),
      );
    });

    it('GRE that comes in from outside is taken by nobody, though it says it comes from the cluster', async () => {
      const stray = async () =>
        Promise.all(
          ['router1', 'target1'].map(async (host) => {
            const counters = await cluster.lab.host(host).must(['nft', 'list', 'counters']);
            return Number(/counter link_stray \{\s*packets (\d+)/.exec(counters)?.[1] ?? 0);
          }),
        );
      for (const route of [`${TARGET} via 192.0.2.21`, `${ROUTER} via 192.0.2.1`])
        await peer.host.must(['ip', 'route', 'add', ...route.split(' ')]);
      sequence += 1;
      const genuine = peer.datagram(peer.seal(ping(), { sequence }));
      const before = await stray();
      await expectDrops({}, () =>
        sendRaw(peer.host, [
          // Would be a replay that no window knows, if it got there; and a number of a dispatch that is far ahead.
          gre(epoch, ROUTER, { rest: `7f000000${genuine}` }),
          gre(epoch, TARGET, { protocol: '88b5', rest: '5a'.repeat(64), to: ROUTER }),
        ]),
      );
      expect(await stray()).to.deep.equal(before.map((count) => count + 1));
    });

    it('GRE of an old epoch is refused on the target', async () => {
      await expectDrops({ target1: { 'link-epoch': 1 } }, () =>
        sendRaw(cluster.lab.router, [gre(epoch - 1, ROUTER)]),
      );
    });

    it('GRE of an old epoch is refused on the routing host', async () => {
      await expectDrops({ router1: { 'link-epoch': 1 } }, () =>
        sendRaw(cluster.lab.host('target1'), [
          gre(epoch - 1, TARGET, { protocol: '88b5', rest: '00'.repeat(64), to: ROUTER }),
        ]),
      );
    });

    it('what is not GRE as we use it is refused on the target', async () => {
      const plain = ipv4Hex(ROUTER, TARGET, 17, udpHex(LINK_PORT, LINK_PORT, `00000800${ping()}`));
      await expectDrops({ target1: { 'link-malformed': 1 } }, () => sendRaw(cluster.lab.router, [plain]));
    });

    it('a sealed packet that does not open is refused on the routing host', async () => {
      await expectDrops({ router1: { 'link-authentication': 1 } }, () =>
        sendRaw(cluster.lab.host('target1'), [
          gre(epoch, TARGET, { protocol: '88b5', rest: '5a'.repeat(64), to: ROUTER }),
        ]),
      );
    });

    it('a dispatch recorded on the cluster network and sent again is refused on the target', async () => {
      const filter = ['src', ROUTER, 'and', 'udp', 'port', String(LINK_PORT)];
      const capture = await cluster.capture('cluster', filter);
      await passes();
      const { file } = await capture.stop();
      const [recorded] = readPcap(file).packets;
      const host = `target${Number(recorded?.bytes.readUInt8(ETHERNET_HEADER_BYTES + 19)) - 10}`;
      await expectDrops({ [host]: { 'link-replay': 1 } }, () =>
        sendRaw(cluster.lab.router, [ipOf(recorded)]),
      );
    });
  });

  describe('on the coupling channel', () => {
    const port = { address: ROUTER, port: 4754 };
    let authority: string;
    let foreign: TestAuthority;
    let own: IntruderFiles;

    before(async () => {
      authority = cluster.file('pki/coupling');
      foreign = await TestAuthority.create();
      await foreign.issue('target', 'target3');
      own = {
        ca: join(authority, 'ca.pem'),
        certificate: join(authority, 'target3.pem'),
        key: join(authority, 'target3.key'),
      };
    });

    after(() => foreign?.remove());

    type Files = () => Promise<IntruderFiles | undefined> | IntruderFiles | undefined;
    const ownFiles: Files = () => own;
    const issued = (role: 'route' | 'target', host: string): Files => {
      return () => issueAnyUse(authority, cluster.file('pki/intruder'), role, host);
    };
    const foreignFiles: Files = () => ({
      ca: own.ca,
      certificate: join(foreign.folder, 'target3.pem'),
      key: join(foreign.folder, 'target3.key'),
    });
    const cases: [string, keyof Drops, Files, Buffer[]][] = [
      ['no certificate', 'coupling-certificate', () => undefined, []],
      ['a foreign certificate', 'coupling-certificate', foreignFiles, []],
      ['a certificate of no configured host', 'coupling-certificate', issued('target', 'target9'), []],
      ['a certificate of the wrong role', 'coupling-role', issued('route', 'router9'), []],
      ['a hello of another host than the certificate’s', 'coupling-role', ownFiles, [hello('target1')]],
      ['a hello of the wrong role', 'coupling-role', ownFiles, [hello('target3', { role: 'route' })]],
      ['another version', 'coupling-version', ownFiles, [hello('target3', { version: 99 })]],
      ['an oversized record', 'coupling-oversized', ownFiles, [Buffer.from('00001001', 'hex')]],
      ['a malformed record', 'coupling-malformed', ownFiles, [Buffer.from('00000004c1c1c1c1', 'hex')]],
      ['a record before hello', 'coupling-order', ownFiles, [record('heartbeat', {})]],
    ];
    for (const [what, reason, files, frames] of cases) {
      it(`${what} is refused as ${reason}`, async () => {
        const given = await files();
        await expectDrops({ router1: { [reason]: 1 } }, () =>
          intrude(cluster.lab.host('target3'), port, given, frames),
        );
      });
    }

    it('leaves the sessions of the real targets alone', async () => {
      const targets = await cluster.ask('router1', 'targets');
      expect(targets.map(({ state }) => state)).to.deep.equal(['up', 'up', 'up']);
    });
  });

  describe('in a configuration', () => {
    const broken: [string, string, (text: string) => string, RegExp][] = [
      [
        'router1',
        'route',
        (text) => text.replace('inbound_filter: filter', 'inbound_filter: some'),
        /inbound_filter/,
      ],
      ['target1', 'target', (text) => text.replace('mtu: 1360', 'mtu: many'), /mtu/],
      ['target1', 'target', (text) => `${text}\nsurprise: 1\n`, /surprise/],
    ];
    for (const [host, role, change, said] of broken) {
      it(`${said.source} that is wrong on ${host} is named with its place, and the agent does not start`, async () => {
        const file = cluster.file(`broken-${host}.yaml`);
        writeFileSync(file, change(readFileSync(cluster.configFile(host), 'utf8')));
        const checked = await cluster.lab.host(host).exec(dvipaCommand('check-config', file));
        expect(checked.status).to.equal(1);
        expect(checked.stderr).to.match(new RegExp(`broken-${host}\\.yaml:\\d+:\\d+: .*${said.source}`));
        const started = await cluster.lab.host(host).exec(dvipaCommand(role, '-c', file));
        expect(started.status).to.equal(1);
        expect(started.stderr).to.match(new RegExp(`broken-${host}\\.yaml:\\d+:\\d+: .*${said.source}`));
      });
    }
  });

  describe('afterwards', () => {
    it('dvipa drops --json tells all of it on the host where it was refused', async () => {
      const router = await cluster.dropsAsTold('router1');
      expect(router).to.include({
        'unknown-spi': 1,
        replay: 2,
        'tunnel-check': 1,
        'inner-not-dvipa': 1,
        truncated: 2,
        'peek-malformed': 1,
        filter: 1,
        clear: 2,
        'link-stranger': 1,
        'link-authentication': 1,
        'coupling-role': 3,
        'coupling-oversized': 1,
        'coupling-malformed': 1,
      });
      const target = await cluster.dropsAsTold('target1');
      expect(target).to.include({ 'link-stranger': 1, 'link-epoch': 1, 'link-malformed': 1 });
      // And every reason is there, zeros included.
      const all = await askAgent(cluster.lab.host('target1'), 'drops');
      expect(Object.keys(all)).to.include.members(['icv', 'replay', 'unknown-spi', 'hard-limit']);
    });

    it('the main job still works', async () => {
      const { failed, perTarget } = await requestMany(cluster.lab.host('client1'), DVIPA, 12);
      expect(failed).to.equal(0);
      expect(Object.keys(perTarget).toSorted()).to.deep.equal(cluster.targets);
    });
  });
});

function sumOf(drops: Record<string, Drops>): number {
  return Object.values(drops)
    .flatMap((counts) => Object.values(counts))
    .reduce((sum, count) => sum + count, 0);
}

/** The IP packet of a captured frame with UDP, without the padding of short frames. */
function ipOf(packet: CapturedPacket | undefined): string {
  if (packet === undefined) throw new Error('nothing was recorded');
  const ip = Buffer.from(packet.bytes.subarray(ETHERNET_HEADER_BYTES));
  // Between namespaces nobody computes the UDP checksum (offload), so what was recorded is not right: none, then.
  ip.writeUInt16BE(0, 26);
  return ip.subarray(0, ip.readUInt16BE(2)).toString('hex');
}
