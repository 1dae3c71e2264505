import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP } from '../../src/base/verdict.ts';
import { Icmpv6Header, parseIcmpv6, writeIcmpv6Checksum } from '../../src/packet/icmpv6.ts';
import { Ipv6Chain, walkIpv6Chain } from '../../src/packet/ipv6-chain.ts';
import { Ipv6Header, parseIpv6 } from '../../src/packet/ipv6.ts';
import { clampMss } from '../../src/packet/mss.ts';
import { parseQuote, QuotedPacket } from '../../src/packet/quoted.ts';
import { refreshUpperChecksum } from '../../src/packet/upper-checksum.ts';
import { packetVectors, words } from '../support/packet-vectors.ts';
import { fromHex } from '../support/vectors.ts';

/** Genuine packets with some bytes changed, cut off anywhere, and noise. */
function bytesLike(...hex: string[]): fc.Arbitrary<Buffer> {
  const damaged = fc
    .tuple(
      fc.constantFrom(...hex.map(fromHex)),
      fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 6 }),
      fc.oneof(fc.constant(2000), fc.nat(120)),
    )
    .map(([bytes, changes, length]) => {
      const copy = Buffer.from(bytes);
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
      return copy.subarray(0, length);
    });
  return fc.oneof(
    fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes)),
    damaged,
  );
}

/** At the very end of a slab, where a read beyond throws; and inside one, where what is around must not matter. */
function placings(bytes: Buffer): [Buffer, Buffer] {
  return [
    Buffer.concat([Buffer.alloc(9, 0x55), bytes]),
    Buffer.concat([Buffer.alloc(9, 0xff), bytes, Buffer.alloc(80, 0xff)]),
  ];
}

const [A, B] = [words('2001:db8::101'), words('2001:db8:1::10')];
const quotes = bytesLike(...packetVectors.quotes.map(({ hex }) => hex), packetVectors.chain.whole);
const segments = bytesLike(...packetVectors.mss.map(({ before }) => before));
const uppers = bytesLike(...packetVectors.moved.map(({ before }) => before));

describe('quotes, ICMPv6, MSS and upper checksums, any bytes', () => {
  it('parseQuote never throws, and reads nothing beyond what was quoted', () => {
    const quoted = new QuotedPacket();
    let read = 0;
    fc.assert(
      fc.property(quotes, (bytes) => {
        const [atEnd, inside] = placings(bytes);
        const verdict = parseQuote(atEnd, 9, bytes.length, quoted);
        const found = JSON.stringify(quoted);
        expect(parseQuote(inside, 9, bytes.length, quoted)).to.equal(verdict);
        if (verdict !== KEEP) return;
        read++;
        expect(JSON.stringify(quoted)).to.equal(found);
        expect(quoted.upperAt + quoted.upperBytes).to.be.at.most(bytes.length);
        expect(quoted.upperBytes).to.be.at.least(0);
      }),
      { seed: 4443, numRuns: 5000 },
    );
    expect(read).to.be.above(500);
  });

  it('parseIcmpv6 never throws, and what it takes has a right checksum', () => {
    const header = new Icmpv6Header();
    const messages = bytesLike(...packetVectors.icmpv6.map(({ hex }) => hex));
    fc.assert(
      fc.property(messages, fc.boolean(), (bytes, isMended) => {
        if (isMended && bytes.length >= 8) writeIcmpv6Checksum(bytes, 0, bytes.length, A, 0, B, 0);
        const [atEnd, inside] = placings(bytes);
        const verdict = parseIcmpv6(atEnd, 9, bytes.length, A, 0, B, 0, header);
        expect(parseIcmpv6(inside, 9, bytes.length, A, 0, B, 0, header)).to.equal(verdict);
        if (isMended && bytes.length >= 8) expect(verdict).to.equal(KEEP);
        if (verdict !== KEEP) return;
        const before = Buffer.from(bytes);
        writeIcmpv6Checksum(bytes, 0, bytes.length, A, 0, B, 0);
        expect(bytes.equals(before)).to.equal(true);
      }),
      { seed: 792, numRuns: 3000 },
    );
  });

  it('the walk along IPv6 extension headers agrees with parseIpv6 about where it ends', () => {
    const chain = new Ipv6Chain();
    const header = new Ipv6Header();
    let compared = 0;
    fc.assert(
      fc.property(quotes, (bytes) => {
        if (parseIpv6(bytes, 0, bytes.length, header) !== KEEP) return;
        const verdict = walkIpv6Chain(bytes, 0, header.totalBytes, chain);
        if (verdict !== KEEP) return; // a second fragment header, which parseIpv6 walks over
        compared++;
        expect([chain.upperAt, chain.upperProtocol]).to.deep.equal([header.headerBytes, header.protocol]);
        expect(chain.perFragmentBytes).to.be.within(40, chain.upperAt);
        if (header.isFragment) expect(chain.fragmentAt).to.be.at.least(40);
      }),
      { seed: 8200, numRuns: 5000 },
    );
    expect(compared).to.be.above(200);
  });

  it('clampMss never throws, ends, changes nothing but MSS and checksum, and nothing outside', () => {
    let changed = 0;
    fc.assert(
      fc.property(segments, fc.nat(0xffff), (bytes, maximum) => {
        for (const slab of placings(bytes)) {
          const before = Buffer.from(slab);
          const isChanged = clampMss(slab, 9, bytes.length, maximum);
          const places = slab.reduce<number[]>((all, byte, at) => {
            if (byte !== before[at]) all.push(at - 9);
            return all;
          }, []);
          if (!isChanged) expect(places).to.deep.equal([]);
          else changed++;
          const headerBytes = bytes.length > 12 ? (bytes.readUInt8(12) >> 4) * 4 : 0;
          for (const at of places)
            expect(at === 16 || at === 17 || (at >= 22 && at < headerBytes), `${at}`).to.equal(true);
          expect(clampMss(slab, 9, bytes.length, maximum)).to.equal(false); // once is enough
        }
      }),
      { seed: 9293, numRuns: 5000 },
    );
    expect(changed).to.be.above(200);
  });

  it('refreshUpperChecksum never throws, and changes no byte but the checksum', () => {
    const checksumAt: Record<number, number> = { 6: 16, 17: 6, 58: 2, 136: 6 };
    const [four, other] = [words('192.0.2.1'), words('192.0.2.2')];
    fc.assert(
      fc.property(uppers, fc.constantFrom(1, 6, 17, 50, 58, 136), fc.boolean(), (bytes, protocol, isFour) => {
        const [from, to] = isFour ? [four, other] : [A, B];
        const [slab] = placings(bytes);
        const before = Buffer.from(slab);
        const verdict = refreshUpperChecksum(slab, 9, bytes.length, protocol, from, 0, to, 0);
        const at = checksumAt[protocol];
        if (verdict === KEEP && at !== undefined) before.copy(slab, 9 + at, 9 + at, 11 + at);
        expect(slab.equals(before)).to.equal(true);
      }),
      { seed: 3948, numRuns: 3000 },
    );
  });
});
