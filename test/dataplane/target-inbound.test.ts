import { expect } from 'chai';
import { unpackNumbers } from '../../src/ipsec/number-ranges.ts';
import { REPORT_MAX_NUMBERS } from '../../src/dataplane/replay-reports.ts';
import type { ShadowInboundSa } from '../../src/dataplane/target-inbound.ts';
import { type EspVector, keysOf } from '../support/crypto-batch.ts';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { ESP_SUITES, EspPeer } from '../support/esp-peer.ts';
import {
  ACK,
  CLIENT,
  DVIPA,
  espInUdp,
  icmpEcho,
  ipv4,
  OTHER_DVIPA,
  tcp,
  udp,
} from '../support/inner-packets.ts';
import { type SaTest, testSa } from '../support/test-sas.ts';
import { fromHex, readVectors } from '../support/vectors.ts';
import { type ShadowOptions, TargetBench } from './target-bench.ts';

const SPI = 0xc000_0001;
const ANY = { fromPort: 0, toPort: 65_535, sourceNetwork: 0, sourceMask: 0 };
const DENY_WEB = { ...ANY, action: 'deny' as const, protocol: 6, fromPort: 80, toPort: 80 };
const LIMITED = { bytes: { soft: 5000, hard: 10_000 }, packets: { soft: 0, hard: 0 } };

interface Case {
  readonly it: string;
  readonly given?: Partial<SaTest> & ShadowOptions;
  readonly packet: (peer: EspPeer) => Buffer;
  /** The TUN's packet (`keep`), or a drop reason. */
  readonly want: string;
  /** Authentic: its number is spent, whatever became of the packet. */
  readonly isCommitted?: boolean;
}

const flip = (datagram: Buffer, at: number) => {
  const position = at < 0 ? datagram.length + at : at;
  datagram.writeUInt8(datagram.readUInt8(position) ^ 0x01, position);
  return datagram;
};
const sealed = (peer: EspPeer, inner = tcp()) => espInUdp(peer.seal(inner));

const CASES: readonly Case[] = [
  { it: 'a TCP segment reaches the TUN', packet: (p) => sealed(p), want: 'keep', isCommitted: true },
  { it: 'an ICMP echo too', packet: (p) => sealed(p, icmpEcho()), want: 'keep', isCommitted: true },
  {
    it: 'TFC padding behind the inner packet is cut off',
    packet: (p) => espInUdp(p.seal(Buffer.concat([tcp(), Buffer.alloc(50)]))),
    want: 'keep',
    isCommitted: true,
  },
  { it: 'an IPv4 header that was cut off', packet: (p) => sealed(p).subarray(0, 12), want: 'truncated' },
  {
    it: 'ESP too short for its ICV',
    packet: (p) => espInUdp(p.seal(tcp()).subarray(0, 24)),
    want: 'truncated',
  },
  { it: 'not IPv4', packet: (p) => sealed(p).fill(0xff, 0, 1), want: 'malformed' },
  { it: 'a fragment', packet: (p) => espInUdp(p.seal(tcp()), { fragment: 0x2000 }), want: 'fragment' },
  { it: 'clear TCP that came over the link', packet: () => tcp({ source: CLIENT }), want: 'clear' },
  { it: 'IKE that came over the link', packet: () => espInUdp(Buffer.alloc(32)), want: 'not-esp' },
  {
    it: 'a datagram to somebody else',
    packet: (p) => espInUdp(p.seal(tcp()), { destination: '192.0.2.99' }),
    want: 'outer-not-dvipa',
  },
  {
    it: 'an SPI without shadow SA',
    packet: () => espInUdp(new EspPeer('aes128gcm16', SPI + 1).seal(tcp())),
    want: 'unknown-spi',
  },
  { it: 'number 0', packet: (p) => espInUdp(p.seal(tcp(), 0)), want: 'replay' },
  { it: 'one bit of the ICV', packet: (p) => flip(sealed(p), -1), want: 'icv' },
  { it: 'one bit of the ciphertext', packet: (p) => flip(sealed(p), -40), want: 'icv' },
  { it: 'one bit of the IV', packet: (p) => flip(sealed(p), 20 + 8 + 8), want: 'icv' },
  { it: 'one bit of the number', packet: (p) => flip(sealed(p), 20 + 8 + 6), want: 'icv' },
  {
    it: 'a packet sealed under the keys of another SA',
    packet: () => {
      const esp = new EspPeer('aes128gcm16', SPI + 1).seal(tcp(), 1);
      esp.writeUInt32BE(SPI, 0);
      return espInUdp(esp);
    },
    want: 'icv',
  },
  {
    it: 'padding that is not 1, 2, 3',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(40), 1, { padding: Buffer.from([9, 9]) })),
    want: 'padding',
  },
  {
    it: 'a dummy packet',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(40), 1, { nextHeader: 59 })),
    want: 'dummy',
    isCommitted: true,
  },
  {
    it: 'a next header that is not IPv4',
    packet: (p) => espInUdp(p.seal(tcp(), 1, { nextHeader: 6 })),
    want: 'malformed',
    isCommitted: true,
  },
  {
    it: 'an authentic packet that is no IP packet',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(40))),
    want: 'malformed',
    isCommitted: true,
  },
  {
    it: 'an inner packet shorter than it says',
    packet: (p) => espInUdp(p.seal(tcp({ data: 'lost' }).subarray(0, 40))),
    want: 'truncated',
    isCommitted: true,
  },
  {
    it: 'an inner TCP header that was cut off',
    packet: (p) => espInUdp(p.seal(ipv4({ protocol: 6, payload: Buffer.alloc(13) }))),
    want: 'malformed',
    isCommitted: true,
  },
  {
    it: 'an inner destination that is no DVIPA',
    packet: (p) => sealed(p, tcp({ destination: '203.0.113.99' })),
    want: 'inner-not-dvipa',
    isCommitted: true,
  },
  {
    it: 'an inner destination that is another DVIPA',
    packet: (p) => sealed(p, tcp({ destination: OTHER_DVIPA })),
    want: 'inner-not-dvipa',
    isCommitted: true,
  },
  {
    it: 'an authentic packet outside the traffic selectors',
    packet: (p) => sealed(p, tcp({ source: '10.1.1.2' })),
    want: 'tunnel-check',
    isCommitted: true,
  },
  {
    it: 'a later fragment where the selectors name a port',
    given: { selector: { protocol: 6, fromPort: 80, toPort: 80 } },
    packet: (p) => sealed(p, ipv4({ protocol: 6, fragment: 3, payload: Buffer.alloc(40) })),
    want: 'tunnel-check',
    isCommitted: true,
  },
  {
    it: 'mode bypass: a port that a rule denies',
    given: { rules: [DENY_WEB, { ...ANY, action: 'permit', protocol: 0 }] },
    packet: (p) => sealed(p),
    want: 'filter',
    isCommitted: true,
  },
  {
    it: 'mode bypass: a port that no rule denies',
    given: { rules: [DENY_WEB, { ...ANY, action: 'permit', protocol: 0 }] },
    packet: (p) => sealed(p, udp({})),
    want: 'keep',
    isCommitted: true,
  },
  {
    it: 'mode filter: the target does not filter again what the routing host let through',
    given: { filterMode: 'filter', rules: [DENY_WEB] },
    packet: (p) => sealed(p),
    want: 'keep',
    isCommitted: true,
  },
  {
    it: 'no credit left under a hard limit',
    given: { lifetime: LIMITED, credit: { bytes: 30, packets: 100 } },
    packet: (p) => sealed(p),
    want: 'hard-limit',
    isCommitted: true,
  },
];

/** What a packet may change only after its ICV. */
function stateOf(bench: TargetBench, { window, meter, committed }: ShadowInboundSa) {
  return {
    top: window.top,
    bytes: meter.bytes,
    packets: meter.packets,
    refused: meter.refused,
    committed: committed.count,
    tracked: bench.authenticated.length,
    opened: bench.inbound.opened,
  };
}

describe('target-inbound, packet by packet', () => {
  for (const { it: title, given = {}, packet, want, isCommitted = false } of CASES) {
    it(`${title}: ${want}`, () => {
      const bench = new TargetBench();
      const entry = bench.install(testSa({ spi: SPI, ...given }), given);
      const before = stateOf(bench, entry);
      bench.run(packet(new EspPeer('aes128gcm16', SPI)));
      expect(counted(bench.drops)).to.deep.equal(want === 'keep' ? {} : { [want]: 1 });
      expect(bench.tun.packets).to.have.lengthOf(want === 'keep' ? 1 : 0);
      expect(bench.authenticated).to.have.lengthOf(want === 'keep' ? 1 : 0);
      if (isCommitted) {
        expect(entry.window.top).to.equal(1n);
        expect(unpackNumbers(entry.committed.take())).to.deep.equal([1n]);
        expect(bench.inbound.opened).to.equal(1);
      } else expect(stateOf(bench, entry)).to.deep.equal(before);
    });
  }
});

describe('target-inbound', () => {
  const setUp = (sa: Partial<SaTest> = {}, options: ShadowOptions = {}) => {
    const bench = new TargetBench();
    const entry = bench.install(testSa({ spi: SPI, ...sa }), options);
    return { bench, entry, peer: new EspPeer(sa.suite ?? 'aes128gcm16', SPI) };
  };

  for (const suite of ESP_SUITES) {
    it(`gives the TUN what the peer sealed, byte for byte (${suite})`, () => {
      const { bench, entry, peer } = setUp({ suite });
      const inner = tcp({ data: 'GET / HTTP/1.1\r\n\r\n' });
      bench.run(sealed(peer, inner));
      expect(bench.tun.packets.map((packet) => packet.equals(inner))).to.deep.equal([true]);
      expect(entry.meter.packets).to.equal(1);
      expect(entry.meter.bytes).to.equal(inner.length);
      expect(bench.authenticated).to.deep.equal([80]);
    });

    it(`leaves no plaintext behind when the ICV is wrong (${suite})`, () => {
      const { bench, peer } = setUp({ suite });
      const marker = 'a secret that must not be anywhere';
      const vector = bench.run(flip(sealed(peer, tcp({ data: marker })), -1));
      expect(outcomes(vector)).to.deep.equal(['icv']);
      expect(vector.slab.includes(marker)).to.equal(false);
    });
  }

  it('opens what scapy sealed', () => {
    const { vectors } = readVectors('esp-scapy.json') as { vectors: EspVector[] };
    for (const vector of vectors) {
      const bench = new TargetBench();
      const sa = testSa({ spi: vector.spi, hasEsn: vector.hasEsn });
      const entry = bench.install({ ...sa, ...keysOf(vector), spi: vector.spi as never });
      const datagram = espInUdp(fromHex(vector.esp));
      if (vector.hasEsn) bench.runExtended({ high: 1, datagram });
      else bench.run(datagram);
      expect(counted(bench.drops), vector.it).to.deep.equal({});
      expect(
        bench.tun.packets.map((packet) => packet.toString('hex')),
        vector.it,
      ).to.deep.equal([vector.inner]);
      expect(entry.window.top, vector.it).to.equal(BigInt(vector.sequence));
    }
  });

  it('moves its window only after the ICV: a forged high number costs the genuine low one nothing', () => {
    const { bench, entry, peer } = setUp();
    const forged = flip(espInUdp(peer.seal(tcp(), 0x7fff_ffff)), -1);
    bench.run(forged, espInUdp(peer.seal(tcp(), 1)));
    expect(counted(bench.drops)).to.deep.equal({ icv: 1 });
    expect(entry.window.top).to.equal(1n);
    expect(bench.tun.packets).to.have.lengthOf(1);
  });

  it('delivers one of two equal packets in one vector', () => {
    const { bench, peer } = setUp();
    const datagram = sealed(peer);
    expect(outcomes(bench.run(datagram, datagram))).to.deep.equal(['keep', 'replay']);
    expect(bench.tun.packets).to.have.lengthOf(1);
    expect(counted(bench.drops)).to.deep.equal({ replay: 1 });
  });

  it('takes the genuine packet behind a forged one of the same number, in one vector', () => {
    const { bench, peer } = setUp();
    const genuine = sealed(peer);
    expect(outcomes(bench.run(flip(Buffer.from(genuine), -1), genuine))).to.deep.equal(['icv', 'keep']);
  });

  it('refuses a replay in a later vector, before it is opened again', () => {
    const { bench, entry, peer } = setUp();
    const datagram = sealed(peer);
    bench.run(datagram);
    bench.run(datagram);
    expect(counted(bench.drops)).to.deep.equal({ replay: 1 });
    expect(bench.inbound.opened).to.equal(1);
    expect(entry.meter.packets).to.equal(1);
  });

  it('refuses what left the window, and accepts what is late but inside', () => {
    const { bench, peer } = setUp();
    bench.run(espInUdp(peer.seal(tcp(), 10_000)));
    bench.run(espInUdp(peer.seal(tcp(), 10_000 - 4160)), espInUdp(peer.seal(tcp(), 10_000 - 4159)));
    expect(counted(bench.drops)).to.deep.equal({ replay: 1 });
    expect(bench.tun.packets).to.have.lengthOf(2);
  });

  it('refuses what carries another epoch than the owner has, older or newer: link-epoch', () => {
    const { bench, entry, peer } = setUp();
    bench.runAs(2, [sealed(peer)]);
    bench.runAs(4, [sealed(peer)]);
    expect(counted(bench.drops)).to.deep.equal({ 'link-epoch': 2 });
    expect(entry.window.top).to.equal(0n);
    expect(bench.inbound.touched.size).to.equal(0);
  });

  it('takes nothing while it knows no owner, whatever epoch the link claims', () => {
    const { bench, peer } = setUp();
    bench.epoch = 0;
    bench.runAs(0, [sealed(peer)]);
    expect(counted(bench.drops)).to.deep.equal({ 'link-epoch': 1 });
  });

  it('does not let a packet of an old epoch use a dispatch number up', () => {
    const { bench, peer } = setUp();
    const datagram = sealed(peer);
    bench.runAs(2, [datagram], [1]);
    expect(outcomes(bench.runAs(3, [datagram], [1]))).to.deep.equal(['keep']);
  });

  it('refuses a dispatch that was there before: link-replay', () => {
    const { bench, peer } = setUp();
    bench.runAs(3, [sealed(peer)], [7]);
    expect(outcomes(bench.runAs(3, [sealed(peer)], [7]))).to.deep.equal(['link-replay']);
    expect(counted(bench.drops)).to.deep.equal({ 'link-replay': 1 });
  });

  it('refuses a dispatch that the floor has passed: the routing host counts on that', () => {
    const { bench, entry, peer } = setUp();
    bench.runAs(3, [sealed(peer)], [5]);
    bench.floor.advance();
    expect(bench.floor.advance()).to.equal(5n);
    expect(outcomes(bench.runAs(3, [sealed(peer)], [4]))).to.deep.equal(['link-replay']);
    expect(entry.window.top).to.equal(1n);
  });

  it('names the SAs that it had packets for, whatever became of them: they have numbers to settle', () => {
    const { bench, entry, peer } = setUp();
    bench.run(flip(sealed(peer), -1));
    expect([bench.inbound.touched.size, bench.inbound.touched.at(0)]).to.deep.equal([1, entry]);
    bench.run(espInUdp(new EspPeer('aes128gcm16', SPI + 9).seal(tcp())));
    expect(bench.inbound.touched.size).to.equal(0);
  });

  it('asks for a report before the buffer of committed numbers overflows, and loses none', () => {
    const { bench, entry, peer } = setUp();
    const full = Array.from({ length: REPORT_MAX_NUMBERS }, (_, i) => BigInt(i + 1));
    for (let i = 0; i <= full.length; i++) bench.run(sealed(peer));
    expect([...bench.reports, entry.committed.take()].map(unpackNumbers)).to.deep.equal([full, [4097n]]);
  });

  it('counts nothing that a hard limit refused, and delivers nothing beyond it', () => {
    const inner = tcp({ data: 'x'.repeat(960) });
    const { bench, entry, peer } = setUp({ lifetime: LIMITED }, { credit: { bytes: 2500, packets: 100 } });
    bench.run(sealed(peer, inner), sealed(peer, inner), sealed(peer, inner));
    expect(bench.tun.packets).to.have.lengthOf(2);
    expect(entry.meter.bytes).to.equal(2 * inner.length);
    expect(entry.meter.refused).to.equal(1);
    expect(entry.meter.isDue).to.equal(true);
    expect(counted(bench.drops)).to.deep.equal({ 'hard-limit': 1 });
  });

  it('opens nothing once the key is wiped, or the slot is freed', () => {
    const { bench, entry, peer } = setUp();
    entry.sa.encryption.key.wipe();
    bench.run(sealed(peer));
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 1 });
  });

  it('keeps SAs apart that share a slot one after the other', () => {
    const { bench, entry } = setUp();
    bench.sad.remove(entry.sa.id);
    bench.crypto.remove(entry.slot);
    const next = bench.install(testSa({ spi: SPI + 1 }));
    expect(next.slot).to.equal(entry.slot);
    bench.run(sealed(new EspPeer('aes128gcm16', SPI)), sealed(new EspPeer('aes128gcm16', SPI + 1)));
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 1 });
    expect(bench.tun.packets).to.have.lengthOf(1);
  });

  it('counts what the TUN refused as send-failed', () => {
    const { bench, peer } = setUp();
    bench.tun.isBroken = true;
    bench.run(sealed(peer));
    expect(counted(bench.drops)).to.deep.equal({ 'send-failed': 1 });
    expect([bench.delivery.packets, bench.delivery.bytes]).to.deep.equal([0, 0]);
  });

  it('counts each packet of a mixed vector once', () => {
    const { bench, peer } = setUp();
    const twice = sealed(peer);
    bench.run(
      twice,
      flip(sealed(peer), -1),
      twice,
      sealed(peer, tcp({ source: '10.9.9.9', flags: ACK })),
      tcp({ source: CLIENT, destination: DVIPA }),
    );
    expect(counted(bench.drops)).to.deep.equal({ icv: 1, replay: 1, 'tunnel-check': 1, clear: 1 });
    expect(bench.tun.packets).to.have.lengthOf(1);
  });
});
