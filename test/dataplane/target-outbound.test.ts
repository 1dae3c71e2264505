import { expect } from 'chai';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { ESP_SUITES, EspPeer } from '../support/esp-peer.ts';
import {
  ACK,
  CLIENT_INNER,
  DVIPA,
  icmpEcho,
  ipv4,
  OTHER_DVIPA,
  reply,
  tcp,
} from '../support/inner-packets.ts';
import { policyFor, type SaTest, selectorOf, testSa } from '../support/test-sas.ts';
import { openAll, OutboundBench, type OutboundOptions } from './outbound-bench.ts';

const SPI = 0xc100_0001;
const LIMITED = { bytes: { soft: 5000, hard: 10_000 }, packets: { soft: 0, hard: 0 } };

const setUp = (sa: Partial<SaTest> = {}, options: OutboundOptions = {}) => {
  const bench = new OutboundBench();
  const entry = bench.install(testSa({ spi: SPI, direction: 'out', ...sa }), options);
  return { bench, entry, peer: new EspPeer(sa.suite ?? 'aes128gcm16', SPI) };
};

/** As `setUp`, with a lease of 64 numbers from 1 on. */
const leased = (sa: Partial<SaTest> = {}, options: OutboundOptions = {}) => {
  const parts = setUp(sa, options);
  parts.bench.run(reply({ data: 'first' }));
  parts.bench.grant(parts.entry, 1, 64);
  parts.bench.raw.take();
  return parts;
};

interface Case {
  readonly it: string;
  readonly given?: Partial<SaTest>;
  readonly options?: OutboundOptions;
  readonly packet: Buffer;
  readonly want: string;
}

const CASES: readonly Case[] = [
  { it: 'a packet of the DVIPA to the peer', packet: reply(), want: 'keep' },
  { it: 'an ICMP answer of the DVIPA', packet: answer(icmpEcho()), want: 'keep' },
  { it: 'a header that was cut off', packet: reply().subarray(0, 19), want: 'truncated' },
  { it: 'IPv6 (the kernel asks for neighbours)', packet: Buffer.alloc(48, 0x60), want: 'truncated' },
  {
    it: 'a TCP header that was cut off',
    packet: answer(ipv4({ protocol: 6, payload: Buffer.alloc(4) })),
    want: 'malformed',
  },
  {
    it: 'a source that is no DVIPA',
    packet: reply({ source: '198.51.100.11' }),
    want: 'source-not-dvipa',
  },
  {
    it: 'a DVIPA that this target does not serve',
    packet: reply({ source: OTHER_DVIPA }),
    want: 'source-not-dvipa',
  },
  {
    it: 'a destination that no policy covers',
    packet: reply({ destination: '10.1.1.9' }),
    want: 'no-policy',
  },
  {
    it: 'a port that no policy covers',
    given: { selector: { protocol: 6, fromPort: 443, toPort: 443 } },
    packet: reply(),
    want: 'no-policy',
  },
  {
    it: 'an SA without sender id: its nonces are not ours yet',
    options: { senderId: 0 },
    packet: reply(),
    want: 'no-sa',
  },
  {
    it: 'no credit under a hard limit',
    given: { lifetime: LIMITED },
    options: { credit: { bytes: 0, packets: 0 } },
    packet: reply(),
    want: 'hard-limit',
  },
];

/** From the DVIPA to the client in place of the other way. */
function answer(packet: Buffer): Buffer {
  const turned = Buffer.from(packet);
  packet.copy(turned, 12, 16, 20);
  packet.copy(turned, 16, 12, 16);
  return turned;
}

describe('target-outbound, packet by packet', () => {
  for (const { it: title, given = {}, options = {}, packet, want } of CASES) {
    it(`${title}: ${want}`, () => {
      const { bench, entry } = setUp(given, options);
      bench.run(packet);
      bench.grant(entry, 1, 64);
      const isSent = want === 'keep';
      expect(counted(bench.drops)).to.deep.equal(isSent ? {} : { [want]: 1 });
      expect(bench.raw.packets).to.have.lengthOf(isSent ? 1 : 0);
      expect(bench.funnelled).to.have.lengthOf(0);
    });
  }
});

describe('target-outbound', () => {
  for (const suite of ESP_SUITES) {
    it(`sends what the peer opens, from the endpoint (${suite})`, () => {
      const { bench, peer } = leased({ suite });
      const inner = reply({ data: 'HTTP/1.1 200 OK' });
      bench.run(inner);
      const [sent] = bench.raw.packets;
      const [opened] = openAll(bench.raw.packets, peer);
      expect(opened?.inner.equals(inner)).to.equal(true);
      expect(opened).to.include({ sequence: 2, nextHeader: 4 });
      // 192.0.2.10:4500 to 192.0.2.101:4500, UDP checksum 0 (RFC 3948 section 2.1)
      expect(sent?.subarray(12, 28).toString('hex')).to.equal(
        `c000020ac0000265119411940${sent?.subarray(24, 26).toString('hex').slice(1)}0000`,
      );
    });
  }

  it('writes sender id and counter as IV, from counter 1 on, each once', () => {
    const { bench, peer } = setUp({}, { senderId: 0x1234 });
    bench.run(reply(), reply(), reply());
    bench.grant(bench.sad.at(0) as never, 1, 64);
    expect(openAll(bench.raw.packets, peer).map((opened) => opened?.iv)).to.deep.equal([
      '1234000000000001',
      '1234000000000002',
      '1234000000000003',
    ]);
  });

  it('copies DF, DSCP and ECN of the inner packet as the SA says (RFC 4301 section 5.1.2.1)', () => {
    const inner = reply({ trafficClass: 0xb9, hasDontFragment: true });
    for (const [copy, trafficClass, flags] of [
      [{ df: true, ecn: true, dscp: true }, 0xb9, 0x40],
      [{ df: false, ecn: true, dscp: false }, 0x01, 0],
      [{ df: false, ecn: false, dscp: true }, 0xb8, 0],
    ] as const) {
      const { bench } = leased({ copy });
      bench.run(inner);
      expect([bench.raw.packets[0]?.readUInt8(1), bench.raw.packets[0]?.readUInt8(6)]).to.deep.equal([
        trafficClass,
        flags,
      ]);
    }
  });

  it('waits for numbers and sends in order when they come, before anything newer', () => {
    const { bench, entry, peer } = setUp();
    bench.run(reply({ data: 'a' }), reply({ data: 'b' }));
    bench.run(reply({ data: 'c' }));
    expect(bench.raw.packets).to.deep.equal([]);
    expect(bench.asked).to.deep.equal(['lease-request']);
    bench.grant(entry, 10, 64);
    bench.run(reply({ data: 'd' }));
    const opened = openAll(bench.raw.packets, peer);
    expect(opened.map((one) => one?.inner.toString('latin1').at(-1))).to.deep.equal(['a', 'b', 'c', 'd']);
    expect(opened.map((one) => one?.sequence)).to.deep.equal([10, 11, 12, 13]);
  });

  it('uses a short lease up, keeps the rest in order, and goes on with the next', () => {
    const { bench, entry, peer } = setUp();
    for (let i = 0; i < 5; i++)
      bench.run(...Array.from({ length: 20 }, (_, j) => reply({ data: `${i * 20 + j}` })));
    bench.grant(entry, 1, 30);
    expect(bench.raw.packets).to.have.lengthOf(30);
    bench.grant(entry, 31, 100);
    const opened = openAll(bench.raw.packets, peer);
    expect(opened.map((one) => one?.sequence)).to.deep.equal(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(opened.map((one) => one?.inner.subarray(40).toString('latin1'))).to.deep.equal(
      Array.from({ length: 100 }, (_, i) => `${i}`),
    );
  });

  it('never uses a number of a lease whose time is over', () => {
    const { bench, entry } = leased();
    bench.now += 201;
    expect(outcomes(bench.run(reply()))).to.deep.equal(['elsewhere']);
    expect(bench.raw.packets).to.deep.equal([]);
    expect(bench.asked).to.include('lease-return');
    expect(entry.holder.available(bench.now)).to.equal(0);
  });

  it('on the funnel hands the inner packet over unsealed by ESP, and nothing leaves directly', () => {
    const { bench, entry } = setUp();
    bench.way(entry, 'funnel');
    const inner = reply({ data: 'over the link' });
    bench.run(inner);
    expect(bench.raw.packets).to.deep.equal([]);
    expect(bench.funnelled.map((packet) => packet.equals(inner))).to.deep.equal([true]);
    expect(bench.outbound.funnelled).to.equal(1);
    expect(entry.meter.packets).to.equal(0); // who seals counts
  });

  it('with return: router sends nothing itself, though it has numbers: return-router', () => {
    const dvipa: { returnVia: 'direct' | 'router' } = { returnVia: 'direct' };
    const { bench, entry } = leased({}, { dvipa });
    dvipa.returnVia = 'router';
    expect(outcomes(bench.run(reply(), reply()))).to.deep.equal(['return-router', 'return-router']);
    expect(counted(bench.drops)).to.deep.equal({ 'return-router': 2 });
    expect(bench.raw.packets).to.deep.equal([]);
    expect(entry.meter.packets).to.equal(1); // the first one, before
    bench.way(entry, 'funnel');
    bench.run(reply());
    expect([bench.raw.packets.length, bench.funnelled.length]).to.deep.equal([0, 1]);
  });

  it('sends what waited for a lease over the funnel when the way changes, in order', () => {
    const { bench, entry } = setUp();
    bench.run(reply({ data: '1' }), reply({ data: '2' }));
    bench.way(entry, 'funnel');
    bench.run(reply({ data: '3' }));
    expect(bench.funnelled.map((packet) => packet.toString('latin1').at(-1))).to.deep.equal(['1', '2', '3']);
    expect(bench.raw.packets).to.deep.equal([]);
  });

  it('in one vector sends what has a number and funnels the rest, each once', () => {
    const { bench, entry } = leased();
    const other = bench.install(
      testSa({ spi: SPI + 1, direction: 'out', reqid: 2, clientInner: '10.1.2.1' }),
    );
    bench.way(other, 'funnel');
    bench.run(reply(), reply({ destination: '10.1.2.1' }), reply());
    expect(bench.raw.packets).to.have.lengthOf(2);
    expect(bench.funnelled).to.have.lengthOf(1);
    expect(counted(bench.drops)).to.deep.equal({});
    expect(entry.holder.available(bench.now)).to.equal(61);
  });

  it('holds 512 packets of one SA at the most: queue-overflow', () => {
    const { bench } = setUp();
    for (let i = 0; i < 17; i++) bench.run(...Array.from({ length: 32 }, () => reply()));
    expect(counted(bench.drops)).to.deep.equal({ 'queue-overflow': 32 });
  });

  it('holds them 500 ms at the most: queue-timeout', () => {
    const { bench } = setUp();
    bench.run(reply(), reply());
    bench.outbound.tick(bench.now + 499);
    expect(counted(bench.drops)).to.deep.equal({});
    bench.outbound.tick(bench.now + 500);
    expect(counted(bench.drops)).to.deep.equal({ 'queue-timeout': 2 });
  });

  it('burns no credit and no packet twice when the hard limit refuses one', () => {
    const { bench, entry } = leased({ lifetime: LIMITED }, { credit: { bytes: 100, packets: 100 } });
    bench.run(reply(), reply());
    expect(bench.raw.packets).to.have.lengthOf(1);
    expect(counted(bench.drops)).to.deep.equal({ 'hard-limit': 1 });
    expect(entry.meter.packets).to.equal(2);
  });

  it('gives numbers back to the holder when the send call failed: in flight is nothing for ever', () => {
    const { bench, entry } = leased();
    const { bytes } = bench.outbound.sent;
    bench.raw.isBroken = true;
    bench.run(reply());
    expect(bench.outbound.sent).to.include({ sealed: 2, packets: 1, bytes });
    expect(counted(bench.drops)).to.deep.equal({ 'send-failed': 1 });
    entry.holder.revoked(1, bench.now);
    expect(entry.holder.takeActions().map(({ kind }) => kind)).to.include('lease-return');
  });

  it('switches SAs by the policy alone: a new SA is not used before', () => {
    const { bench, entry, peer } = leased();
    const next = testSa({ spi: SPI + 1, direction: 'out' });
    const young = bench.install(next, { hasPolicy: false });
    bench.run(reply());
    bench.sad.installPolicy(policyFor(next));
    bench.run(reply());
    bench.grant(young, 1, 64, 2);
    const spis = bench.raw.packets.map((datagram) => datagram.readUInt32BE(28));
    expect(spis).to.deep.equal([SPI, SPI + 1]);
    expect(openAll(bench.raw.packets, peer, new EspPeer('aes128gcm16', SPI + 1))).to.not.include(undefined);
    expect(entry.holder.state).to.equal('exclusive');
  });

  it('a trap policy (no SA) drops: no-sa', () => {
    const { bench, entry } = leased();
    bench.sad.installPolicy(policyFor(entry.sa, { spi: undefined }));
    bench.run(reply());
    expect(counted(bench.drops)).to.deep.equal({ 'no-sa': 1 });
  });

  it('a narrow policy without an SA drops, though a wider one has an SA: no-sa', () => {
    const { bench, entry } = leased();
    const narrow = selectorOf(DVIPA, { protocol: 6, fromPort: 80, toPort: 80 });
    const trap = { key: 'narrow', priority: 3, spi: undefined, source: narrow };
    bench.sad.installPolicy(policyFor(entry.sa, trap));
    expect(outcomes(bench.run(reply(), reply({ sourcePort: 81 })))).to.deep.equal(['no-sa', 'keep']);
    expect([counted(bench.drops), bench.raw.packets.length]).to.deep.equal([{ 'no-sa': 1 }, 1]);
  });

  it('each policy uses its own SA, by port and by type of ICMP', () => {
    const bench = new OutboundBench();
    const policies = [
      { priority: 2, source: selectorOf(DVIPA, { protocol: 6, fromPort: 443, toPort: 443 }) },
      { priority: 3, source: selectorOf(DVIPA, { protocol: 1, fromPort: 0, toPort: 0 }) },
      { priority: 9, source: selectorOf(DVIPA) },
    ];
    const entries = policies.map(({ priority, source }, i) => {
      const entry = bench.install(testSa({ spi: SPI + i, direction: 'out', reqid: i + 1 }), {
        hasPolicy: false,
      });
      bench.sad.installPolicy(policyFor(entry.sa, { priority, source }));
      return entry;
    });
    const pong = ipv4({ source: DVIPA, destination: CLIENT_INNER, protocol: 1, payload: Buffer.alloc(8) });
    bench.run(reply({ sourcePort: 443 }), pong, reply(), reply({ sourcePort: 443 }));
    for (const entry of entries) bench.grant(entry, 1, 64);
    expect(bench.raw.packets.map((sent) => sent.readUInt32BE(28) - SPI)).to.deep.equal([0, 0, 1, 2]);
  });

  it('a packet that waits when charon switches SAs goes out on the new one, and is not stranded', () => {
    const { bench, entry } = setUp();
    bench.run(reply({ data: 'waits' }));
    const next = testSa({ spi: SPI + 1, direction: 'out' });
    const young = bench.install(next);
    bench.grant(entry, 1, 64); // the answer to the old SA's request comes after the switch
    bench.grant(young, 1, 64, 2);
    const sent = openAll(bench.raw.packets, new EspPeer('aes128gcm16', SPI + 1));
    expect(sent.map((one) => one?.inner.toString('latin1').slice(-5))).to.deep.equal(['waits']);
    bench.outbound.tick(bench.now + 1000);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('a packet that waits when its SA is removed goes out on the one that took its place', () => {
    const { bench, entry } = setUp();
    bench.run(reply({ data: 'waits' }));
    const young = bench.install(testSa({ spi: SPI + 1, direction: 'out' }));
    bench.remove(entry);
    bench.grant(young, 1, 64, 2);
    expect(bench.raw.packets).to.have.lengthOf(1);
    bench.outbound.tick(bench.now + 1000);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('a packet that waits when its SA is removed without another is dropped by name', () => {
    const { bench, entry } = setUp();
    bench.run(reply());
    bench.remove(entry);
    expect(counted(bench.drops)).to.deep.equal({ 'no-sa': 1 });
    expect(bench.raw.packets).to.deep.equal([]);
  });

  it('tells flow tracking of what leaves, by either way', () => {
    const { bench, entry } = leased();
    bench.outboundSeen.length = 0;
    bench.run(reply(), tcp({ source: '198.51.100.1', flags: ACK }));
    bench.way(entry, 'funnel');
    bench.run(reply());
    expect(bench.outboundSeen).to.deep.equal([40_000, 40_000]);
  });
});
