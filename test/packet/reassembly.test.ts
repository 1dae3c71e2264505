import { expect } from 'chai';
import { DROP_REASONS, DropCounters, ELSEWHERE, KEEP } from '../../src/base/verdict.ts';
import type { WordHash } from '../../src/packet/fragment-table.ts';
import { hasValidIpv4Checksum } from '../../src/packet/ipv4.ts';
import { Reassembler, type ReassemblyLimits } from '../../src/packet/reassembly.ts';
import { fragment4, fragment6, type FragmentTest } from '../support/fragments.ts';
import { packetVectors, pattern, testHash } from '../support/packet-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

function newReassembler(limits: Partial<ReassemblyLimits> = {}, hash: WordHash = testHash) {
  const drops = new DropCounters();
  const reassembler = new Reassembler({ hash, drops, limits });
  const take = (packet: Buffer, now = 0): string => {
    const verdict = reassembler.take(inSlab(packet), 37, packet.length, now);
    if (verdict === KEEP) return 'complete';
    return verdict === ELSEWHERE ? 'waits' : (DROP_REASONS[verdict] as string);
  };
  /** What was taken and given up again. */
  const given = () => Object.fromEntries(Object.entries(drops.toJSON()).filter(([, count]) => count > 0));
  const built = () => Buffer.from(reassembler.slab.subarray(0, reassembler.length));
  return { reassembler, take, given, built };
}

/** Data of 16 bytes at offset 0, 16, and the end at 32. */
const families: [string, (test: FragmentTest) => Buffer][] = [
  ['IPv4', fragment4],
  ['IPv6', fragment6],
];
const piece = (from: number, to: number, rest: Partial<FragmentTest> = {}): FragmentTest => ({
  offset: from,
  hasMore: to < 48,
  data: pattern(to - from, from),
  ...rest,
});

describe('reassembly, fragments made by scapy', () => {
  for (const { it: name, whole, parts } of packetVectors.fragments) {
    const packets = parts.map(fromHex);
    const orders: [string, Buffer[]][] = [
      ['in order', packets],
      ['last first', packets.toReversed()],
      ['the middle last', [packets[0], ...packets.slice(2), packets[1]] as Buffer[]],
    ];
    for (const [order, sequence] of orders) {
      it(`rebuilds ${name}, ${order}`, () => {
        const { take, built, reassembler } = newReassembler();
        const free = reassembler.freeBlocks;
        for (const packet of sequence.slice(0, -1)) expect(take(packet)).to.equal('waits');
        expect(take(sequence.at(-1) as Buffer)).to.equal('complete');
        expect(built()).to.deep.equal(fromHex(whole));
        expect([reassembler.datagrams, reassembler.freeBlocks]).to.deep.equal([0, free]);
      });
    }
  }
});

describe('reassembly', () => {
  for (const [family, make] of families) {
    const at = (from: number, to: number, rest: Partial<FragmentTest> = {}) => make(piece(from, to, rest));

    it(`drops an ${family} datagram whose fragments overlap, and what still comes of it (RFC 5722)`, () => {
      const { take, given, reassembler } = newReassembler();
      expect(take(at(0, 16))).to.equal('waits');
      expect(take(at(8, 24))).to.equal('fragment-overlap');
      expect(take(at(16, 32))).to.equal('fragment-overlap');
      expect(take(at(0, 16))).to.equal('fragment-overlap');
      expect(take(at(32, 48))).to.equal('fragment-overlap');
      expect(given()).to.deep.equal({ 'fragment-overlap': 1 });
      // The identification is free again when the time is over.
      for (const [from, to] of [[0, 16] as const, [16, 32] as const])
        expect(take(at(from, to), 5_000)).to.equal('waits');
      expect(take(at(32, 48), 5_000)).to.equal('complete');
      expect(reassembler.datagrams).to.equal(0);
    });

    it(`finds an overlap of one 8-byte unit on either side, or all inside or around (${family})`, () => {
      for (const [from, to] of [
        [8, 24],
        [24, 40],
        [16, 24],
        [24, 32],
        [8, 40],
        [0, 24],
      ] as const) {
        const { take } = newReassembler();
        expect(take(at(16, 32))).to.equal('waits');
        expect(take(at(from, to)), `${from}..${to}`).to.equal('fragment-overlap');
      }
    });

    it(`lets a repeated ${family} fragment pass as harmless, but not one with other bytes or another end`, () => {
      const { take, given } = newReassembler();
      expect(take(at(16, 32))).to.equal('waits');
      expect(take(at(16, 32))).to.equal('fragment-duplicate');
      expect(take(at(0, 16))).to.equal('waits');
      expect(take(at(32, 48))).to.equal('complete');
      expect(given()).to.deep.equal({});
      const other = newReassembler();
      expect(other.take(at(16, 32))).to.equal('waits');
      expect(other.take(at(16, 32, { data: pattern(16, 17) }))).to.equal('fragment-overlap');
      const last = newReassembler();
      expect(last.take(at(16, 32))).to.equal('waits');
      expect(last.take(at(16, 32, { hasMore: false }))).to.equal('fragment-overlap');
    });

    it(`drops an ${family} datagram whose fragments disagree about its end`, () => {
      const behind = newReassembler();
      expect(behind.take(at(16, 32, { hasMore: false }))).to.equal('waits');
      expect(behind.take(at(32, 40))).to.equal('fragment-overlap');
      const before = newReassembler();
      expect(before.take(at(32, 40))).to.equal('waits');
      expect(before.take(at(16, 24, { hasMore: false }))).to.equal('fragment-overlap');
      const twice = newReassembler();
      expect(twice.take(at(16, 32, { hasMore: false }))).to.equal('waits');
      expect(twice.take(at(8, 16, { hasMore: false }))).to.equal('fragment-overlap');
    });

    it(`refuses ${family} fragments that no sender makes (RFC 8200 section 4.5)`, () => {
      const { take, reassembler } = newReassembler();
      expect(take(at(0, 15))).to.equal('malformed'); // more follow, and no multiple of 8
      expect(take(at(8, 8, { hasMore: true, data: pattern(0) }))).to.equal('malformed');
      expect(take(make({ offset: 65_528, hasMore: false, data: pattern(8) }))).to.equal('malformed');
      expect(reassembler.datagrams).to.equal(0);
    });

    it(`keeps ${family} datagrams apart by addresses and identification, whatever their hash`, () => {
      const { take, reassembler } = newReassembler({}, { words: () => 7 });
      const other = family === 'IPv4' ? '192.0.2.77' : '2001:db8::77';
      expect(take(at(0, 16))).to.equal('waits');
      expect(take(at(16, 48, { identification: 8 }))).to.equal('waits');
      expect(take(at(16, 48, { source: other }))).to.equal('waits');
      expect(take(at(16, 48, { destination: other }))).to.equal('waits');
      expect(reassembler.datagrams).to.equal(4);
      expect(take(at(16, 48))).to.equal('complete');
    });

    it(`gives up an ${family} datagram after its time, and counts what it had`, () => {
      const { take, given, reassembler } = newReassembler({ timeoutMs: 5_000 });
      take(at(0, 16), 1_000);
      take(at(16, 32), 5_900);
      expect(reassembler.expire(5_999)).to.equal(0);
      expect(reassembler.expire(6_000)).to.equal(1);
      expect(given()).to.deep.equal({ 'fragment-timeout': 2 });
      expect(take(at(32, 48), 6_001)).to.equal('waits');
    });

    it(`takes over congestion that any ${family} fragment has seen (RFC 3168 section 5.3)`, () => {
      const ecnOf = (packet: Buffer) =>
        family === 'IPv4' ? packet.readUInt8(1) & 3 : (packet.readUInt8(1) >> 4) & 3;
      const { take, built } = newReassembler();
      take(at(0, 16, { ecn: 2 }));
      take(at(16, 32, { ecn: 3 }));
      expect(take(at(32, 48, { ecn: 2 }))).to.equal('complete');
      expect(ecnOf(built())).to.equal(3);
      const mixed = newReassembler();
      mixed.take(at(0, 16, { ecn: 0 }));
      expect(mixed.take(at(16, 48, { ecn: 3 }))).to.equal('malformed');
      expect(mixed.given()).to.deep.equal({ malformed: 1 });
      const plain = newReassembler();
      plain.take(at(0, 16, { ecn: 1 }));
      expect(plain.take(at(16, 48, { ecn: 2 }))).to.equal('complete');
      expect(ecnOf(plain.built())).to.equal(1);
    });
  }

  it('keeps IPv4 datagrams of two protocols apart (RFC 791 section 2.3), whatever their hash', () => {
    const { take } = newReassembler({}, { words: () => 7 });
    expect(take(fragment4(piece(0, 16)))).to.equal('waits');
    expect(take(fragment4(piece(16, 48, { protocol: 17 })))).to.equal('waits');
    expect(take(fragment4(piece(16, 48)))).to.equal('complete');
  });

  it('rebuilds the largest datagram, 65535 bytes, and none above', () => {
    const data = pattern(65_535 - 20);
    const cut = (from: number, to: number) =>
      fragment4({ offset: from, hasMore: to < data.length, data: data.subarray(from, to) });
    const { take, built } = newReassembler();
    for (let from = 0; from + 8192 < data.length; from += 8192)
      expect(take(cut(from, from + 8192))).to.equal('waits');
    expect(take(cut(57_344, data.length))).to.equal('complete');
    expect(built().subarray(20)).to.deep.equal(data);
    expect(built().readUInt16BE(2)).to.equal(65_535);
    expect(hasValidIpv4Checksum(built(), 0, 20)).to.equal(true);
  });

  it('refuses a datagram that only its first header makes too long', () => {
    // 40 bytes of options in the first fragment, none in the others: 60 + 65500 bytes.
    const { take, given } = newReassembler();
    const first = fragment4({ offset: 0, hasMore: true, data: pattern(32_000 + 40) });
    first.writeUInt8(0x4f, 0);
    first.fill(1, 20, 60);
    first.writeUInt16BE(0, 10);
    let sum = 0;
    for (let at = 0; at < 60; at += 2) sum += first.readUInt16BE(at);
    first.writeUInt16BE(~((sum & 0xffff) + Math.floor(sum / 0x10000)) & 0xffff, 10);
    expect(take(first)).to.equal('waits');
    expect(take(fragment4({ offset: 32_000, hasMore: false, data: pattern(33_500) }))).to.equal('malformed');
    expect(given()).to.deep.equal({ malformed: 1 });
  });

  it('passes on what is whole: an IPv4 packet as it is, an atomic IPv6 fragment without its header (RFC 6946)', () => {
    const { take, built, reassembler } = newReassembler();
    const whole = fragment4({ offset: 0, hasMore: false, data: pattern(31), hasDontFragment: true });
    expect(take(whole)).to.equal('complete');
    expect(built()).to.deep.equal(whole);
    expect(take(fragment6(piece(0, 16)))).to.equal('waits');
    const atomic = fragment6({ offset: 0, hasMore: false, data: pattern(31) });
    expect(take(atomic)).to.equal('complete');
    const expected = Buffer.concat([atomic.subarray(0, 40), atomic.subarray(48)]);
    expected.writeUInt16BE(31, 4);
    expected.writeUInt8(50, 6);
    expect(built()).to.deep.equal(expected);
    expect(reassembler.datagrams).to.equal(1); // the one with the same identification goes on
  });

  it('refuses a first IPv6 fragment that does not show all headers (RFC 7112), and a second fragment header', () => {
    const { take } = newReassembler();
    const onlyOptions = fragment6({
      offset: 0,
      hasMore: true,
      protocol: 60,
      data: fromHex('32000104000000 00'),
    });
    expect(take(onlyOptions)).to.equal('malformed');
    const goesOn = fragment6({ offset: 0, hasMore: true, protocol: 60, data: fromHex('3201010c00000000') });
    expect(take(goesOn)).to.equal('truncated');
    const nested = fragment6({
      offset: 0,
      hasMore: true,
      protocol: 44,
      data: fromHex('3200000100000009 0000000000000000'),
    });
    expect(take(nested)).to.equal('malformed');
  });

  it('refuses IPv6 fragments from an IPv4-mapped address, and IPv4 ones with a wrong header checksum', () => {
    const { take } = newReassembler();
    const mapped = fragment6(piece(0, 16));
    fromHex('00000000000000000000ffffc0000265').copy(mapped, 8);
    expect(take(mapped)).to.equal('malformed');
    const damaged = fragment4(piece(0, 16));
    damaged.writeUInt8(63, 8);
    expect(take(damaged)).to.equal('checksum');
  });
});

describe('reassembly under attack', () => {
  const host = (number: number) => `198.51.${number >> 8}.${number & 255}`;

  it('a source that begins too many datagrams loses its own oldest one, nobody else does', () => {
    const { take, given, reassembler } = newReassembler({ datagramsPerSource: 4, datagrams: 64 });
    take(fragment4(piece(0, 16, { source: host(1) })));
    for (let identification = 100; identification < 200; identification++)
      expect(take(fragment4(piece(0, 16, { identification })))).to.equal('waits');
    expect(reassembler.datagrams).to.equal(5);
    expect(given()).to.deep.equal({ 'fragment-overflow': 96 });
    expect(take(fragment4(piece(16, 48, { source: host(1) })))).to.equal('complete');
    expect(take(fragment4(piece(16, 48, { identification: 199 })))).to.equal('complete');
    expect(take(fragment4(piece(16, 48, { identification: 195 })))).to.equal('waits'); // its first part is gone
  });

  it('all addresses of an IPv6 network of 64 bits are one source', () => {
    const { take, reassembler } = newReassembler({ datagramsPerSource: 4 });
    for (let number = 1; number < 50; number++)
      take(fragment6(piece(0, 16, { source: `2001:db8::${number.toString(16)}` })));
    expect(reassembler.datagrams).to.equal(4);
    take(fragment6(piece(0, 16, { source: '2001:db8:0:1::1' })));
    expect(reassembler.datagrams).to.equal(5);
  });

  it('when all places are taken, the source with most of them loses its oldest', () => {
    const { take } = newReassembler({ datagrams: 8, datagramsPerSource: 5 });
    for (let number = 1; number <= 3; number++) take(fragment4(piece(0, 16, { source: host(number) })));
    for (let identification = 0; identification < 5; identification++)
      take(fragment4(piece(0, 16, { identification })));
    expect(take(fragment4(piece(0, 16, { source: host(9) })))).to.equal('waits');
    for (const number of [1, 2, 3, 9])
      expect(take(fragment4(piece(16, 48, { source: host(number) })))).to.equal('complete');
    expect(take(fragment4(piece(16, 48, { identification: 1 })))).to.equal('complete');
    expect(take(fragment4(piece(16, 48, { identification: 0 })))).to.equal('waits');
  });

  it('memory is bounded for one source and in all, and a smaller source loses none to a larger one', () => {
    const big = (rest: Partial<FragmentTest>, offset: number) =>
      fragment4({ offset, hasMore: true, data: pattern(8192), ...rest });
    // A first fragment of 16 bytes takes two blocks, one for the header; one of 8192 bytes four.
    const { take, reassembler } = newReassembler({ bytes: 16 * 2048, bytesPerSource: 14 * 2048 });
    expect(take(fragment4(piece(0, 16, { source: host(1) })))).to.equal('waits');
    expect(take(big({ identification: 1 }, 8192))).to.equal('waits');
    expect(take(big({ identification: 2 }, 8192))).to.equal('waits');
    expect(take(big({ identification: 3 }, 8192))).to.equal('waits');
    expect(take(big({ identification: 3 }, 16_384))).to.equal('waits'); // number 1 made room
    expect(reassembler.freeBlocks).to.equal(2);
    expect(take(big({ identification: 3 }, 24_576))).to.equal('waits'); // number 2 did
    expect(take(big({ identification: 3 }, 32_768))).to.equal('fragment-overflow'); // nothing of its own is left
    expect(reassembler.freeBlocks).to.equal(14);
    expect(take(fragment4(piece(16, 48, { source: host(1) })))).to.equal('complete');
  });

  it('one datagram has a bounded number of fragments', () => {
    const { take, given } = newReassembler({ fragmentsPerDatagram: 3 });
    for (const from of [0, 16, 32])
      expect(take(fragment4({ offset: from, hasMore: true, data: pattern(16) }))).to.equal('waits');
    expect(take(fragment4({ offset: 48, hasMore: false, data: pattern(16) }))).to.equal('fragment-overflow');
    expect(given()).to.deep.equal({ 'fragment-overflow': 3 });
  });
});
