import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../../src/base/verdict.ts';
import { FragmentHeader, parseFragment } from '../../src/packet/fragment-header.ts';
import { Fragmenter } from '../../src/packet/fragmentation.ts';
import { Reassembler } from '../../src/packet/reassembly.ts';
import { fragment4, fragment6 } from '../support/fragments.ts';
import { packetVectors, testHash } from '../support/packet-vectors.ts';
import { fromHex } from '../support/vectors.ts';

const UNITS = 12;
/** The original datagrams: 8 bytes a unit, and an end that is no multiple of 8. */
const ORIGINALS = [0, 1].map((which) =>
  Buffer.from(Uint8Array.from({ length: UNITS * 8 - 3 }, (_, at) => which * 128 + at)),
);

interface Step {
  readonly isSix: boolean;
  readonly which: number;
  /** In units of 8 bytes. */
  readonly from: number;
  readonly units: number;
  /** Says that more follow although it is the end, or the other way round. */
  readonly liesAboutEnd: boolean;
  readonly isDamaged: boolean;
  readonly after: number;
}

const clock = fc.oneof({ weight: 30, arbitrary: fc.nat(50) }, fc.constant(5_000));
/** Anything: pieces that overlap, lie about the end, or have other bytes. */
const stray: fc.Arbitrary<Step> = fc.record({
  isSix: fc.boolean(),
  which: fc.nat(1),
  from: fc.oneof(fc.constantFrom(0, 3, 6, 9), fc.nat(UNITS - 1)),
  units: fc.oneof(fc.constant(3), fc.integer({ min: 1, max: 6 })),
  liesAboutEnd: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  isDamaged: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  after: clock,
});
/** The genuine pieces of one datagram, in any order, mostly all of them, seldom with a stray one among them. */
const round: fc.Arbitrary<Step[]> = fc
  .tuple(
    fc.boolean(),
    fc.nat(1),
    fc.oneof(
      { weight: 4, arbitrary: fc.shuffledSubarray([0, 3, 6, 9], { minLength: 4 }) },
      fc.shuffledSubarray([0, 3, 6, 9]),
    ),
    fc.oneof(
      { weight: 4, arbitrary: fc.constant([]) },
      fc.array(fc.tuple(fc.nat(4), stray), { maxLength: 2 }),
    ),
    clock,
  )
  .map(([isSix, which, order, strays, after]) => {
    const steps: Step[] = order.map((from) => {
      return { isSix, which, from, units: 3, liesAboutEnd: false, isDamaged: false, after };
    });
    for (const [at, step] of strays) steps.splice(at, 0, step);
    return steps;
  });

/** Reassembly said plainly: all pieces of one datagram, compared one by one. */
interface Waiting {
  readonly startedAt: number;
  pieces: { from: number; to: number; hasMore: boolean; data: Buffer }[];
  isSpoilt: boolean;
}

type Told = 'waits' | 'complete' | 'duplicate' | 'overlap' | 'malformed';

function tell(
  model: Map<string, Waiting>,
  name: string,
  piece: Waiting['pieces'][number],
  now: number,
): Told {
  for (const [other, { startedAt }] of model) if (startedAt + 5_000 <= now) model.delete(other);
  if (piece.hasMore && piece.data.length % 8 !== 0) return 'malformed';
  const waiting = model.get(name) ?? { startedAt: now, pieces: [], isSpoilt: false };
  model.set(name, waiting);
  if (waiting.isSpoilt) return 'overlap';
  for (const other of waiting.pieces) {
    const isSame = other.from === piece.from && other.data.equals(piece.data);
    if (isSame && other.hasMore === piece.hasMore) return 'duplicate';
    const isApart = piece.to <= other.from || piece.from >= other.to;
    const isBehindEnd = (!other.hasMore && piece.to > other.to) || (!piece.hasMore && other.to > piece.to);
    if (!isApart || isBehindEnd) {
      waiting.isSpoilt = true;
      waiting.pieces = [];
      return 'overlap';
    }
  }
  waiting.pieces.push(piece);
  const end = waiting.pieces.find(({ hasMore }) => !hasMore)?.to;
  const bytes = waiting.pieces.reduce((sum, { data }) => sum + data.length, 0);
  if (bytes !== end) return 'waits';
  model.delete(name);
  return 'complete';
}

function toldBy(verdict: Verdict): Told {
  if (verdict === KEEP) return 'complete';
  if (verdict === ELSEWHERE) return 'waits';
  if (verdict === verdictOf('fragment-duplicate')) return 'duplicate';
  if (verdict === verdictOf('fragment-overlap')) return 'overlap';
  return 'malformed';
}

describe('reassembly, any sequence of fragments', () => {
  it('says what a naive model says; a datagram is rebuilt as it was, and only without an overlap', () => {
    let rebuilt = 0;
    let overlapped = 0;
    fc.assert(
      fc.property(fc.array(round, { maxLength: 12 }), (rounds) => {
        const drops = new DropCounters();
        const limits = { datagrams: 8, bytes: 64 * 2048 };
        const reassembler = new Reassembler({ hash: testHash, drops, limits });
        const allFree = reassembler.freeBlocks;
        const model = new Map<string, Waiting>();
        const counts = { taken: 0, left: 0 };
        let now = 0;
        for (const { isSix, which, from, units, liesAboutEnd, isDamaged, after } of rounds.flat()) {
          now += after;
          const original = ORIGINALS[which] as Buffer;
          const data = Buffer.from(original.subarray(from * 8, (from + units) * 8));
          if (isDamaged) data.writeUInt8(data.readUInt8(0) ^ 0xff, 0);
          const hasMore = from + units < UNITS !== liesAboutEnd;
          if (from === 0 && !hasMore) continue; // that would be no fragment
          const packet = (isSix ? fragment6 : fragment4)({
            offset: from * 8,
            hasMore,
            data,
            identification: which,
          });
          const piece = { from: from * 8, to: from * 8 + data.length, hasMore, data };
          const name = `${isSix}${which}`;
          const waiting = model.get(name);
          const told = tell(model, name, piece, now);
          const verdict = reassembler.take(packet, 0, packet.length, now);
          expect(toldBy(verdict)).to.equal(told);
          if (told === 'waits' || told === 'complete') counts.taken++;
          if (told === 'overlap') overlapped++;
          if (told !== 'complete') continue;
          const pieces = (waiting as Waiting).pieces.toSorted((a, b) => a.from - b.from);
          const all = Buffer.concat(pieces.map((part) => part.data));
          counts.left += pieces.length;
          const built = reassembler.slab.subarray(isSix ? 40 : 20, reassembler.length);
          expect(built.equals(all)).to.equal(true);
          if (all.equals(original)) rebuilt++;
        }
        // Everything that was taken has left in a datagram or is counted; nothing is held for ever.
        reassembler.expire(now + 5_000);
        expect([reassembler.datagrams, reassembler.freeBlocks]).to.deep.equal([0, allFree]);
        const given = drops.get('fragment-overlap') + drops.get('fragment-timeout');
        expect(given).to.equal(counts.taken - counts.left);
      }),
      { seed: 5722, numRuns: 1000 },
    );
    expect(rebuilt).to.be.above(500);
    expect(overlapped).to.be.above(500);
  });

  it('never holds more than its limits, whatever comes from many sources', () => {
    const limits = { datagrams: 8, datagramsPerSource: 3, bytes: 24 * 2048, bytesPerSource: 9 * 2048 };
    const flood = fc.record({
      source: fc.nat(5),
      identification: fc.nat(6),
      from: fc.nat(10),
      bytes: fc.constantFrom(8, 1480, 4096, 8000),
    });
    fc.assert(
      fc.property(fc.array(flood, { maxLength: 80 }), (steps) => {
        const drops = new DropCounters();
        const reassembler = new Reassembler({ hash: testHash, drops, limits });
        let taken = 0;
        for (const { source, identification, from, bytes } of steps) {
          const packet = fragment4({
            source: `198.51.100.${source}`,
            identification,
            offset: from * 2048,
            hasMore: true,
            data: Buffer.alloc(bytes),
          });
          if (reassembler.take(packet, 0, packet.length, 0) === ELSEWHERE) taken++;
          expect(reassembler.datagrams).to.be.at.most(limits.datagrams);
        }
        reassembler.expire(5_000);
        expect([reassembler.datagrams, reassembler.freeBlocks]).to.deep.equal([0, 24]);
        expect(Object.values(drops.toJSON()).reduce((sum, count) => sum + count, 0)).to.equal(taken);
      }),
      { seed: 1122, numRuns: 500 },
    );
  });
});

/** Genuine fragments with some bytes changed reach further than noise does. */
const genuine = packetVectors.fragments.flatMap(({ parts }) => parts.map(fromHex));
const damaged = fc
  .tuple(
    fc.constantFrom(...genuine),
    fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 5 }),
    fc.nat(1500),
  )
  .map(([bytes, changes, length]) => {
    const copy = Buffer.from(bytes);
    for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
    // A right header checksum, or IPv4 fragments would go no further.
    if (copy.readUInt8(0) === 0x45 && copy.length >= 20) {
      copy.writeUInt16BE(0, 10);
      let sum = 0;
      for (let at = 0; at < 20; at += 2) sum += copy.readUInt16BE(at);
      copy.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 10);
    }
    return copy.subarray(0, Math.max(length, copy.length - length));
  });
const any = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  damaged,
);

describe('fragments, any bytes', () => {
  it('parseFragment never throws, and reads nothing beyond what was received', () => {
    const header = new FragmentHeader();
    fc.assert(
      fc.property(any, (bytes) => {
        const atEnd = Buffer.concat([Buffer.alloc(5), bytes]);
        const verdict = parseFragment(atEnd, 5, bytes.length, header);
        const found = JSON.stringify(header);
        const inside = Buffer.concat([Buffer.alloc(9, 0xff), bytes, Buffer.alloc(80, 0xff)]);
        expect(parseFragment(inside, 9, bytes.length, header)).to.equal(verdict);
        if (verdict !== KEEP) return;
        expect(JSON.stringify(header)).to.equal(found);
        expect(header.dataAt + header.dataBytes).to.be.at.most(bytes.length);
        expect(header.headerBytes).to.be.at.most(header.dataAt);
        expect(header.dataOffset % 8).to.equal(0);
      }),
      { seed: 791, numRuns: 5000 },
    );
  });

  it('reassembly never throws, and gives only datagrams that are whole by their own header', () => {
    const drops = new DropCounters();
    const reassembler = new Reassembler({ hash: testHash, drops });
    const header = new FragmentHeader();
    let now = 0;
    let complete = 0;
    fc.assert(
      fc.property(any, (bytes) => {
        now += 3;
        if (reassembler.take(bytes, 0, bytes.length, now) !== KEEP) return;
        complete++;
        expect(parseFragment(reassembler.slab, 0, reassembler.length, header)).to.equal(KEEP);
        expect([header.isWhole, header.namedAt]).to.deep.equal([true, -1]);
      }),
      { seed: 8200, numRuns: 5000 },
    );
    expect(complete).to.be.above(20);
  });

  it('cutting never throws, and what it gives is a fragment that fits, or the packet', () => {
    const fragmenter = new Fragmenter(1500);
    const header = new FragmentHeader();
    fc.assert(
      fc.property(any, fc.integer({ min: 1, max: 1500 }), (bytes, mtu) => {
        const before = Buffer.from(bytes);
        fragmenter.cut(bytes, 0, bytes.length, { mtu, identification: 9 }, (slab, offset, length) => {
          expect(length).to.be.at.most(mtu);
          if (slab === bytes) return;
          expect(parseFragment(slab, offset, length, header)).to.equal(KEEP);
          expect(header.isWhole).to.equal(false);
        });
        expect(bytes.equals(before)).to.equal(true);
      }),
      { seed: 1191, numRuns: 5000 },
    );
  });
});
