import { expect } from 'chai';
import * as fc from 'fast-check';
import { DROP_REASONS, DropCounters, ELSEWHERE, KEEP } from '../../src/base/verdict.ts';
import { Fragmenter } from '../../src/packet/fragmentation.ts';
import { hasValidIpv4Checksum, Ipv4Header, parseIpv4 } from '../../src/packet/ipv4.ts';
import { Ipv6Chain, walkIpv6Chain } from '../../src/packet/ipv6-chain.ts';
import { Reassembler } from '../../src/packet/reassembly.ts';
import { fragment4, fragment6 } from '../support/fragments.ts';
import { packetVectors, pattern, testHash } from '../support/packet-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const fragmenter = new Fragmenter(9000);

function cut(packet: Buffer, mtu: number, identification = 9): { reason: string; parts: Buffer[] } {
  const parts: Buffer[] = [];
  const slab = inSlab(packet);
  const before = Buffer.from(slab);
  const verdict = fragmenter.cut(slab, 37, packet.length, { mtu, identification }, (from, offset, length) => {
    parts.push(Buffer.from(from.subarray(offset, offset + length)));
  });
  expect(slab).to.deep.equal(before); // the source stays as it is
  return { reason: DROP_REASONS[verdict] as string, parts };
}

function rebuild(parts: readonly Buffer[]): Buffer {
  const reassembler = new Reassembler({ hash: testHash, drops: new DropCounters() });
  const verdicts = parts.map((part) => reassembler.take(part, 0, part.length, 0));
  expect(verdicts).to.deep.equal(parts.map((_, at) => (at === parts.length - 1 ? KEEP : ELSEWHERE)));
  return Buffer.from(reassembler.slab.subarray(0, reassembler.length));
}

const datagram4 = (bytes: number, rest = {}) =>
  fragment4({ offset: 0, hasMore: false, data: pattern(bytes), ...rest });
const datagram6 = (bytes: number) => {
  const atomic = fragment6({ offset: 0, hasMore: false, data: pattern(bytes) });
  const packet = Buffer.concat([atomic.subarray(0, 40), atomic.subarray(48)]);
  packet.writeUInt16BE(bytes, 4);
  packet.writeUInt8(50, 6);
  return packet;
};

describe('fragmentation', () => {
  for (const { it: name, mtu, identification, whole, parts } of packetVectors.fragments) {
    it(`cuts into the same fragments as scapy: ${name}`, () => {
      const made = cut(fromHex(whole), mtu, identification);
      expect(made.reason).to.equal('none');
      expect(made.parts).to.deep.equal(parts.map(fromHex));
    });
  }

  it('passes on what fits, as it is', () => {
    for (const packet of [datagram4(1480), datagram6(1460)])
      expect(cut(packet, 1500)).to.deep.equal({ reason: 'none', parts: [packet] });
  });

  it('any datagram of either family, cut and rebuilt, is the same, and no fragment is above the MTU', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 56, max: 9000 }),
        (isSix, bytes, mtu) => {
          const packet = isSix ? datagram6(bytes) : datagram4(bytes, { identification: 5 });
          const { reason, parts } = cut(packet, mtu);
          expect(reason).to.equal('none');
          for (const part of parts) expect(part.length).to.be.at.most(mtu);
          if (parts.length > 128) return; // more than reassembly takes
          expect(parts.length === 1 ? parts[0] : rebuild(parts)).to.deep.equal(packet);
        },
      ),
      { seed: 791, numRuns: 300 },
    );
  });

  it('cuts IPv4 fragments again: offsets go on, and only the very last has no more (RFC 791 section 3.2)', () => {
    const whole = datagram4(5000, { identification: 77 });
    const coarse = cut(whole, 2500).parts;
    expect(coarse.length).to.equal(3);
    const fine = coarse.flatMap((part) => cut(part, 700).parts);
    expect(fine.every((part) => part.length <= 700 && hasValidIpv4Checksum(part, 0, 20))).to.equal(true);
    expect(rebuild(fine)).to.deep.equal(whole);
  });

  it('gives an IPv4 datagram without identification one, never 0, and leaves others theirs', () => {
    const ids = (packet: Buffer, identification: number) =>
      cut(packet, 600, identification).parts.map((part) => part.readUInt16BE(4));
    expect(ids(datagram4(1000, { identification: 0 }), 0x1_0003)).to.deep.equal([5, 5]);
    for (const given of [0, 0xffff, 0x1_0000, 0xffff_ffff])
      expect(ids(datagram4(1000, { identification: 0 }), given)[0]).to.be.within(1, 0xffff);
    expect(ids(datagram4(1000, { identification: 8 }), 3)).to.deep.equal([8, 8]);
    // A fragment that another one cut: 0 is its number.
    const fragment = fragment4({ offset: 800, hasMore: true, data: pattern(800), identification: 0 });
    expect(ids(fragment, 3)).to.deep.equal([0, 0]);
  });

  it('refuses IPv4 with DF, an IPv6 fragment, and an MTU without room', () => {
    expect(cut(datagram4(1481, { hasDontFragment: true }), 1500)).to.deep.equal({
      reason: 'too-big',
      parts: [],
    });
    expect(cut(datagram4(100), 27).reason).to.equal('too-big');
    expect(cut(datagram4(100), 28).parts.length).to.equal(13);
    expect(cut(datagram6(100), 55).reason).to.equal('too-big');
    expect(cut(datagram6(100), 56).parts.length).to.equal(13);
    const fragment = fragment6({ offset: 0, hasMore: true, data: pattern(1600) });
    expect(cut(fragment, 1500).reason).to.equal('too-big');
  });

  it('refuses a header that contradicts itself, and offsets beyond the largest datagram', () => {
    const beyond = fragment4({ offset: 65_000, hasMore: false, data: pattern(1600) });
    expect(cut(beyond, 1500).reason).to.equal('malformed');
    const odd = fragment4({ offset: 8, hasMore: true, data: pattern(1601) });
    expect(cut(odd, 1500).reason).to.equal('malformed');
    expect(cut(datagram4(100).subarray(0, 19), 1500).reason).to.equal('truncated');
    expect(cut(datagram6(100).subarray(0, 100), 1500).reason).to.equal('truncated');
    const neither = datagram4(100);
    neither.writeUInt8(0x75, 0);
    expect(cut(neither, 1500).reason).to.equal('malformed');
    expect(() => cut(datagram4(100), 9001)).to.throw(RangeError);
  });

  it('later IPv4 fragments have the options that say so, and no others (RFC 791 section 3.1)', () => {
    // No operation, record route (7: first only), loose source route (131: copied), end.
    const options = fromHex('01 0707040a010101 8307040a010102 00');
    const packet = Buffer.concat([Buffer.alloc(36), pattern(1500)]);
    datagram4(0).copy(packet, 0);
    packet.writeUInt8(0x49, 0);
    packet.writeUInt16BE(packet.length, 2);
    options.copy(packet, 20);
    const { parts } = cut(packet, 576);
    const header = new Ipv4Header();
    const headers = parts.map((part) => {
      expect(parseIpv4(part, 0, part.length, header)).to.equal(KEEP);
      expect(hasValidIpv4Checksum(part, 0, header.headerBytes)).to.equal(true);
      return part.subarray(20, header.headerBytes).toString('hex');
    });
    expect(headers).to.deep.equal([options.toString('hex'), ...parts.slice(1).map(() => '8307040a01010200')]);
    const rebuilt = rebuild(parts);
    expect(rebuilt.subarray(12)).to.deep.equal(packet.subarray(12));
  });

  it('an IPv6 fragment header goes behind hop-by-hop and routing headers, before what the destination reads (RFC 8200 4.5)', () => {
    const { whole, perFragmentBytes, upperAt } = packetVectors.chain;
    const packet = fromHex(whole);
    const chain = new Ipv6Chain();
    expect(walkIpv6Chain(packet, 0, packet.length, chain)).to.equal(KEEP);
    expect(chain).to.deep.include({ perFragmentBytes, upperAt, upperProtocol: 17, fragmentAt: -1 });
    const { parts } = cut(packet, packet.length - 8);
    expect(parts.length).to.equal(2);
    for (const part of parts) {
      expect(part.subarray(40, perFragmentBytes - 8)).to.deep.equal(
        packet.subarray(40, perFragmentBytes - 8),
      );
      expect(part.readUInt8(perFragmentBytes)).to.equal(60); // destination options come next
    }
    expect(rebuild(parts)).to.deep.equal(packet);
    // Not all headers fit the first fragment: 72 of them, 8, and room for 16 of destination options.
    expect(cut(packet, 96).reason).to.equal('too-big');
  });
});
