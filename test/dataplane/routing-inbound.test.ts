import { expect } from 'chai';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { packNumbers } from '../../src/coupling/records.ts';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { ESP_SUITES, EspPeer } from '../support/esp-peer.ts';
import {
  ACK,
  CLIENT,
  DVIPA,
  ENDPOINT,
  espInUdp,
  icmpEcho,
  ip,
  ipv4,
  OTHER_DVIPA,
  RST,
  tcp,
  udp,
} from '../support/inner-packets.ts';
import { type SaTest, testSa } from '../support/test-sas.ts';
import { type EspVector, keysOf } from '../support/crypto-batch.ts';
import { fromHex, readVectors } from '../support/vectors.ts';
import { type InstallOptions, RoutingBench } from './routing-bench.ts';

const SPI = 0xc000_0001;
const ANY = { fromPort: 0, toPort: 65_535, sourceNetwork: 0, sourceMask: 0 };
const DENY_WEB = { ...ANY, action: 'deny' as const, protocol: 6, fromPort: 80, toPort: 80 };
const PERMIT_WEB = { ...DENY_WEB, action: 'permit' as const };

interface Case {
  readonly it: string;
  readonly given?: Partial<SaTest> & InstallOptions;
  readonly packet: (peer: EspPeer) => Buffer;
  /** A drop reason, or what is left of it: `keep` (dispatched), `elsewhere` (held). */
  readonly want: string;
}

/** The datagram with bytes cut off its end; the headers still promise them. */
const cut = (datagram: Buffer, bytes: number) => datagram.subarray(0, datagram.length - bytes);
const patch = (datagram: Buffer, at: number, value: number) => {
  datagram.writeUInt8(value, at);
  return datagram;
};

const CASES: readonly Case[] = [
  { it: 'a TCP SYN to the DVIPA is dispatched', packet: (p) => espInUdp(p.seal(tcp())), want: 'keep' },
  { it: 'a UDP datagram goes by hash', packet: (p) => espInUdp(p.seal(udp({}))), want: 'keep' },
  { it: 'an ICMP echo goes by hash', packet: (p) => espInUdp(p.seal(icmpEcho())), want: 'keep' },
  {
    it: 'Ethernet padding behind the datagram does not matter',
    packet: (p) => Buffer.concat([espInUdp(p.seal(tcp())), Buffer.alloc(6)]),
    want: 'keep',
  },
  {
    it: 'any UDP source port will do: the peer may be behind a NAT',
    packet: (p) => espInUdp(p.seal(tcp()), { source: '198.51.100.77', sourcePort: 31_000 }),
    want: 'keep',
  },
  {
    it: 'an IPv4 header that was cut off',
    packet: (p) => espInUdp(p.seal(tcp())).subarray(0, 19),
    want: 'truncated',
  },
  {
    it: 'a total length beyond what was received',
    packet: (p) => cut(espInUdp(p.seal(tcp())), 1),
    want: 'truncated',
  },
  { it: 'a UDP header that was cut off', packet: () => ipv4(outer17(Buffer.alloc(7))), want: 'truncated' },
  {
    it: 'an ESP header that was cut off',
    packet: (p) => espInUdp(p.seal(tcp()).subarray(0, 7)),
    want: 'truncated',
  },
  {
    it: 'ESP too short for its IV and ICV',
    packet: (p) => espInUdp(p.seal(tcp()).subarray(0, 8 + 8 + 16)),
    want: 'truncated',
  },
  { it: 'IP version 5', packet: (p) => patch(espInUdp(p.seal(tcp())), 0, 0x55), want: 'malformed' },
  { it: 'an IHL of 4', packet: (p) => patch(espInUdp(p.seal(tcp())), 0, 0x44), want: 'malformed' },
  {
    it: 'a UDP length below its header',
    packet: (p) => patch(patch(espInUdp(p.seal(tcp())), 24, 0), 25, 7),
    want: 'malformed',
  },
  {
    it: 'the first fragment of a datagram',
    packet: (p) => espInUdp(p.seal(tcp()), { fragment: 0x2000 }),
    want: 'fragment',
  },
  { it: 'a later fragment', packet: (p) => espInUdp(p.seal(tcp()), { fragment: 3 }), want: 'fragment' },
  {
    it: 'IKE, whose non-ESP marker is a reserved SPI',
    packet: () => espInUdp(Buffer.alloc(40)),
    want: 'not-esp',
  },
  {
    it: 'TCP to the endpoint',
    packet: () => tcp({ source: CLIENT, destination: ENDPOINT }),
    want: 'not-esp',
  },
  {
    it: 'UDP to another port of the endpoint',
    packet: (p) => espInUdp(p.seal(tcp()), { destinationPort: 4501 }),
    want: 'not-esp',
  },
  {
    it: 'ESP to somebody else',
    packet: (p) => espInUdp(p.seal(tcp()), { destination: '192.0.2.99' }),
    want: 'outer-not-dvipa',
  },
  { it: 'clear TCP to the DVIPA', packet: () => tcp({ source: CLIENT }), want: 'clear' },
  { it: 'ICMP in clear to the DVIPA', packet: () => icmpEcho({ source: CLIENT }), want: 'clear' },
  { it: 'number 0', packet: (p) => espInUdp(p.seal(tcp(), 0)), want: 'replay' },
  {
    it: 'a dummy packet (next header 59)',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(20), 1, { nextHeader: 59 })),
    want: 'dummy',
  },
  {
    it: 'an inner packet that is none',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(40, 0xee))),
    want: 'peek-malformed',
  },
  {
    it: 'inner IPv6',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(60, 0x60), 1, { nextHeader: 41 })),
    want: 'peek-malformed',
  },
  {
    it: 'an inner destination that is no DVIPA',
    packet: (p) => espInUdp(p.seal(tcp({ destination: '203.0.113.99' }))),
    want: 'inner-not-dvipa',
  },
  {
    it: 'an inner destination that is another DVIPA than the SA is for',
    packet: (p) => espInUdp(p.seal(tcp({ destination: OTHER_DVIPA }))),
    want: 'inner-not-dvipa',
  },
  {
    it: 'an inner source outside the traffic selectors',
    packet: (p) => espInUdp(p.seal(tcp({ source: '10.1.1.2' }))),
    want: 'tunnel-check',
  },
  {
    it: 'a port outside the traffic selectors',
    given: { selector: { protocol: 6, fromPort: 443, toPort: 443 } },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'tunnel-check',
  },
  {
    it: 'a protocol outside the traffic selectors',
    given: { selector: { protocol: 6 } },
    packet: (p) => espInUdp(p.seal(udp({}))),
    want: 'tunnel-check',
  },
  {
    it: 'mode filter: a port that a rule denies',
    given: { filterMode: 'filter', rules: [DENY_WEB, { ...ANY, action: 'permit', protocol: 0 }] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'filter',
  },
  {
    it: 'mode filter: rules, and none fits',
    given: { filterMode: 'filter', rules: [PERMIT_WEB] },
    packet: (p) => espInUdp(p.seal(tcp({ destinationPort: 22 }))),
    want: 'filter',
  },
  {
    it: 'mode filter: a port that a rule permits',
    given: { filterMode: 'filter', rules: [PERMIT_WEB] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'keep',
  },
  {
    it: 'mode bypass: the routing host does not filter (the target does)',
    given: { filterMode: 'bypass', rules: [DENY_WEB] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'keep',
  },
  {
    it: 'an SPI that nobody knows is held: its SA may be on its way',
    packet: () => espInUdp(new EspPeer('aes128gcm16', 0xdead_beef).seal(tcp())),
    want: 'elsewhere',
  },
  {
    it: 'an SA that no target serves yet is held',
    given: { serving: [] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'elsewhere',
  },
  {
    it: 'an SA whose windows are missing after a restart is held',
    given: { isWaitingForWindows: true },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'elsewhere',
  },
  {
    it: 'a target that no longer gets connections does not count',
    given: { serving: [7] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'no-target',
  },
];

function outer17(payload: Uint8Array) {
  return { source: CLIENT, destination: ENDPOINT, protocol: 17, payload };
}

describe('routing-inbound, packet by packet', () => {
  for (const { it: title, given = {}, packet, want } of CASES) {
    it(`${title}: ${want}`, () => {
      const bench = new RoutingBench();
      bench.install(testSa({ spi: SPI, ...given }), given);
      const vector = bench.run(packet(new EspPeer('aes128gcm16', SPI)));
      expect(outcomes(vector)).to.deep.equal([want]);
      const isDrop = want !== 'keep' && want !== 'elsewhere';
      expect(counted(bench.drops)).to.deep.equal(isDrop ? { [want]: 1 } : {});
      expect(bench.link.sent).to.have.lengthOf(want === 'keep' ? 1 : 0);
    });
  }

  it('counts each packet of a vector once, under its own reason', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }));
    const peer = new EspPeer('aes128gcm16', SPI);
    bench.run(
      espInUdp(peer.seal(tcp())),
      tcp({ source: CLIENT }),
      espInUdp(peer.seal(tcp({ source: '10.1.1.2' }))),
      tcp({ source: CLIENT }),
      espInUdp(peer.seal(tcp(), 0)),
    );
    expect(counted(bench.drops)).to.deep.equal({ clear: 2, 'tunnel-check': 1, replay: 1 });
    expect(bench.inbound.packets).to.equal(5);
    expect(bench.inbound.dispatched).to.equal(1);
  });
});

describe('routing-inbound', () => {
  const setUp = (options: InstallOptions = {}, sa: Partial<SaTest> = {}) => {
    const bench = new RoutingBench();
    const entry = bench.install(testSa({ spi: SPI, ...sa }), options);
    return { bench, entry, peer: new EspPeer(sa.suite ?? 'aes128gcm16', SPI) };
  };

  for (const suite of ESP_SUITES) {
    it(`sends the datagram on as it was received (${suite})`, () => {
      const { bench, peer } = setUp({}, { suite });
      const datagram = espInUdp(peer.seal(tcp({ data: 'GET / HTTP/1.1' })));
      bench.run(datagram);
      const [sent] = bench.link.sent;
      expect(sent?.bytes.equals(datagram)).to.equal(true);
      expect(sent).to.include({ protocol: LINK_PROTOCOL.OUTER_IPV4, epoch: 3, dispatch: 1 });
    });
  }

  it('dispatches what scapy sealed', () => {
    const { vectors } = readVectors('esp-scapy.json') as { vectors: EspVector[] };
    for (const vector of vectors.filter(({ it: name }) => name.endsWith('tcp syn'))) {
      const bench = new RoutingBench();
      // ESN: the number's high half is 1, which only a window that has come so far can infer.
      const entry = bench.install({
        ...testSa({ spi: vector.spi, hasEsn: vector.hasEsn }),
        ...keysOf(vector),
        spi: vector.spi as never,
      });
      if (vector.hasEsn)
        entry.owners.merge({ top: BigInt(vector.sequence) - 10n, bitmap: new Uint8Array(8) });
      bench.run(espInUdp(fromHex(vector.esp)));
      expect(counted(bench.drops), vector.it).to.deep.equal({});
      expect(bench.link.sent, vector.it).to.have.lengthOf(1);
    }
  });

  it('spreads new connections by round robin and keeps each on its target', () => {
    const { bench, peer } = setUp();
    const open = [1, 2, 3, 4].map((n) => espInUdp(peer.seal(tcp({ sourcePort: 40_000 + n }))));
    bench.run(...open);
    const targets = new Map(
      bench.link.take().map(({ peer: target, dispatch }) => [`${target}/${dispatch}`, target]),
    );
    expect([...targets.values()].toSorted()).to.deep.equal([0, 0, 1, 2]);
    bench.run(espInUdp(peer.seal(tcp({ sourcePort: 40_001, flags: ACK }))));
    bench.run(espInUdp(peer.seal(tcp({ sourcePort: 40_001, flags: ACK }))));
    expect(new Set(bench.link.take().map(({ peer: target }) => target)).size).to.equal(1);
  });

  it('makes no durable entry from what it peeked: only a target confirms, and a forged RST ends nothing', () => {
    const { bench, peer } = setUp();
    bench.run(espInUdp(peer.seal(tcp())), espInUdp(peer.seal(tcp({ flags: ACK, sourcePort: 9 }))));
    const { table } = bench.distributor;
    expect(table.confirmedCount).to.equal(0);
    expect(table.tentativeCount).to.equal(1);
    const key = {
      dvipa: ip(DVIPA),
      reqid: 1,
      protocol: 6,
      source: ip('10.1.1.1'),
      sourcePort: 40_000,
      destinationPort: 80,
    };
    const target = table.lookup(key);
    expect(bench.distributor.confirm(key, target, bench.now)).to.equal('new');
    bench.run(espInUdp(peer.seal(tcp({ flags: RST }))), espInUdp(peer.seal(tcp())));
    expect(table.confirmedCount).to.equal(1);
    expect(table.lookup(key)).to.equal(target);
    bench.now += 6000;
    table.sweep(bench.now, 1 << 20);
    expect(table.tentativeCount).to.equal(0);
    expect(table.lookup(key)).to.equal(target);
  });

  it('moves no window by what passes: a forged number in front costs genuine packets nothing', () => {
    const { bench, entry, peer } = setUp();
    bench.run(
      espInUdp(peer.seal(tcp({ flags: ACK }), 0xffff_fff0)),
      espInUdp(peer.seal(tcp({ flags: ACK }), 1)),
    );
    expect(entry.owners.top).to.equal(0n);
    expect(bench.link.sent).to.have.lengthOf(2);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('drops a number that a target has reported, before any target sees it', () => {
    const { bench, entry, peer } = setUp();
    const datagram = espInUdp(peer.seal(tcp()));
    bench.run(datagram);
    const target = bench.link.take()[0]?.peer ?? -1;
    expect(entry.owners.reported(target, packNumbers([1n]), 1)).to.deep.equal({ committed: 1, refused: 0 });
    expect(outcomes(bench.run(datagram))).to.deep.equal(['replay']);
    expect(bench.link.sent).to.deep.equal([]);
  });

  it('sends a repeated number to the same target only (its window decides)', () => {
    const { bench, peer } = setUp();
    const datagram = espInUdp(peer.seal(tcp()));
    bench.run(datagram, datagram);
    expect(bench.link.sent.map(({ peer: target, dispatch }) => [target, dispatch])).to.deep.equal([
      [0, 1],
      [0, 2],
    ]);
  });

  it('drops a number that is under way to another target: replay-conflict', () => {
    const { bench, peer } = setUp();
    const [first, second] = [tcp({ sourcePort: 1 }), tcp({ sourcePort: 2 })].map((inner) =>
      espInUdp(peer.seal(inner, 5)),
    );
    bench.run(first as Buffer);
    expect(outcomes(bench.run(second as Buffer))).to.deep.equal(['replay-conflict']);
    expect(counted(bench.drops)).to.deep.equal({ 'replay-conflict': 1 });
  });

  it('believes no report about numbers that the target was not given', () => {
    const { bench, entry, peer } = setUp();
    bench.run(espInUdp(peer.seal(tcp())));
    const owner = bench.link.take()[0]?.peer ?? -1;
    const other = (owner + 1) % 3;
    expect(entry.owners.reported(other, packNumbers([1n, 900n]), 0)).to.deep.equal({
      committed: 0,
      refused: 2,
    });
    expect(entry.owners.top).to.equal(0n);
  });

  it('refuses a burnt number from then on: its target was lost, so nobody knows', () => {
    const { bench, entry, peer } = setUp();
    const datagram = espInUdp(peer.seal(tcp()));
    bench.run(datagram);
    const owner = bench.link.take()[0]?.peer ?? -1;
    expect(entry.owners.targetLost(owner)).to.equal(1);
    entry.serving.delete(owner);
    bench.distributor.removeTarget(owner);
    expect(outcomes(bench.run(datagram))).to.deep.equal(['replay']);
    expect(bench.link.sent).to.deep.equal([]);
  });

  it('holds the packet of a connection whose target does not have the new SA yet, and lets it go then', () => {
    const { bench, peer } = setUp();
    bench.run(espInUdp(peer.seal(tcp())));
    const target = bench.link.take()[0]?.peer ?? -1;
    const rekeyed = new EspPeer('aes128gcm16', SPI + 1);
    const entry = bench.install(testSa({ spi: SPI + 1 }), { serving: [(target + 1) % 3] });
    expect(outcomes(bench.run(espInUdp(rekeyed.seal(tcp({ flags: ACK })))))).to.deep.equal(['elsewhere']);
    entry.serving.add(target);
    bench.inbound.release(SPI + 1, bench.now);
    expect(bench.link.take().map(({ peer: to }) => to)).to.deep.equal([target]);
    expect(counted(bench.drops)).to.deep.equal({});
  });
});

describe('routing-inbound, packets that wait for their SA', () => {
  const held = (bench: RoutingBench, count: number, spi = SPI) => {
    const peer = new EspPeer('aes128gcm16', spi);
    const datagrams = Array.from({ length: count }, (_, i) =>
      espInUdp(peer.seal(tcp({ data: `packet ${i}` }))),
    );
    for (const datagram of datagrams) bench.run(datagram);
    return datagrams;
  };

  it('lets them go in their order when the SA is served', () => {
    const bench = new RoutingBench([0]);
    const datagrams = held(bench, 20);
    expect(bench.link.sent).to.deep.equal([]);
    bench.install(testSa({ spi: SPI }), { serving: [0] });
    bench.inbound.release(SPI, bench.now);
    const sent = bench.link.take();
    expect(sent.map(({ bytes }) => datagrams.findIndex((datagram) => datagram.equals(bytes)))).to.deep.equal(
      datagrams.map((_, i) => i),
    );
    bench.inbound.release(SPI, bench.now);
    expect(bench.link.sent).to.deep.equal([]);
  });

  it('holds 64 packets of unknown SPIs for 300 ms and counts them as unknown-spi', () => {
    const bench = new RoutingBench();
    held(bench, 70);
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 6 });
    bench.inbound.tick(bench.now + 299);
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 6 });
    bench.inbound.tick(bench.now + 300);
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 70 });
  });

  it('holds 64 packets of SAs without a target for 300 ms: hold-overflow, then sa-not-serving', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }), { serving: [] });
    held(bench, 66);
    expect(counted(bench.drops)).to.deep.equal({ 'hold-overflow': 2 });
    bench.inbound.tick(bench.now + 300);
    expect(counted(bench.drops)).to.deep.equal({ 'hold-overflow': 2, 'sa-not-serving': 64 });
  });

  it('a forger who fills the place of unknown SPIs takes none from an SA that is being rekeyed', () => {
    const bench = new RoutingBench();
    const entry = bench.install(testSa({ spi: SPI }), { serving: [] });
    for (let spi = 1; spi <= 200; spi++) held(bench, 1, 0xdd00_0000 + spi);
    held(bench, 10);
    entry.serving.add(0);
    bench.inbound.release(SPI, bench.now);
    expect(bench.link.sent).to.have.lengthOf(10);
  });

  it('does not let a packet of an SA go that has no windows yet', () => {
    const bench = new RoutingBench();
    const entry = bench.install(testSa({ spi: SPI }), { isWaitingForWindows: true });
    held(bench, 3);
    bench.inbound.release(SPI, bench.now);
    expect(bench.link.sent).to.deep.equal([]);
    entry.isWaitingForWindows = false;
    bench.inbound.release(SPI, bench.now);
    expect(bench.link.sent).to.have.lengthOf(3);
  });
});
