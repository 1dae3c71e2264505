import { expect } from 'chai';
import * as fc from 'fast-check';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { LINK_HEADER_BYTES, LINK_TAG_BYTES, type NewLinkCipher } from '../../src/ipsec/link-cipher.ts';
import { LinkHeaders, LinkOpener, LinkSealer } from '../../src/ipsec/link-seal.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { LINK_CIPHERS, LinkHeader, newLinkNodeCipher, openOne } from '../support/link-seal.ts';
import { describeEach } from '../support/packet-cryptos.ts';

const EPOCH = 7;
const SLOT_BYTES = 9400;
/** Two keys, as while a session is renewed, and one that the opener has not. */
const linkKey = (which: number) => ({
  keyId: 0xfedcba00 + which,
  key: KeyMaterial.copyOf(Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + which) & 255))),
});
const INSTALLED = [0, 1];

const packet = fc.record({
  key: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 1) }, fc.constant(2)),
  length: fc.oneof(fc.nat(60), fc.nat(1500), fc.constant(9000)),
  kind: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) }, fc.nat(255)),
  flags: fc.nat(255),
  group: fc.nat(0xffff_ffff),
  isMarked: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, fc.constant(false)),
  /** Of this packet of the same vector it is a copy. */
  copyOf: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, fc.nat(40)),
  flip: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    fc.tuple(fc.oneof(fc.nat(40), fc.nat(9100)), fc.integer({ min: 1, max: 255 })),
  ),
  cut: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(60)),
  verdict: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.constant(5)),
});
type Packet = typeof packet extends fc.Arbitrary<infer Value> ? Value : never;
const vectors = fc.array(
  fc.record({
    packets: fc.array(packet, { minLength: 1, maxLength: 40 }),
    epoch: fc.constantFrom(7, 7, 7, 8),
  }),
  { minLength: 1, maxLength: 3 },
);

function batchOf(packets: readonly Packet[]): TestBatch {
  const batch = new TestBatch(
    packets.map(({ length }, i) => Buffer.alloc(length, i + 1)),
    SLOT_BYTES,
  );
  packets.forEach(({ verdict }, i) => {
    batch.verdict[i] = verdict;
  });
  return batch;
}

/** Each packet under its key, with one call a key. */
function seal(sealers: readonly LinkSealer[], packets: readonly Packet[]): TestBatch {
  const batch = batchOf(packets);
  const headers = new LinkHeaders();
  sealers.forEach((sealer, which) => {
    headers.begin(batch.count);
    packets.forEach(({ key, isMarked, kind, flags, group }, i) => {
      if (key === which && isMarked) headers.mark(i, kind, flags, group);
    });
    sealer.seal(batch, headers, EPOCH);
  });
  return batch;
}

/** What becomes of a sealed vector on its way. */
function spoil(batch: TestBatch, packets: readonly Packet[]): void {
  packets.forEach(({ copyOf, flip, cut }, i) => {
    const start = batch.offset[i] as number;
    if (copyOf !== undefined && copyOf < i) {
      const original = Buffer.from(batch.packet(copyOf));
      batch.slab.set(original, start);
      batch.length[i] = original.length;
    }
    const length = batch.length[i] as number;
    if (flip !== undefined && flip[0] < length) {
      const at = start + flip[0];
      batch.slab.writeUInt8(batch.slab.readUInt8(at) ^ flip[1], at);
    }
    batch.length[i] = Math.max(0, length - cut);
  });
}

const ONE: readonly Packet[] = [
  {
    key: 0,
    length: 100,
    kind: 1,
    flags: 0,
    group: 9,
    isMarked: true,
    copyOf: undefined,
    flip: undefined,
    cut: 0,
    verdict: 0,
  },
];

const sealersOf = (newCipher: NewLinkCipher) =>
  [0, 1, 2].map((which) => new LinkSealer(newCipher(linkKey(which))));
function openerOf(newCipher: NewLinkCipher): LinkOpener {
  const opener = new LinkOpener();
  for (const which of INSTALLED) opener.install(newCipher(linkKey(which)));
  return opener;
}

const resultOf = ({ verdict, offset, length }: TestBatch) => ({ verdict, offset, length });
const columnsOf = (batch: TestBatch, { kind, flags, group, counter }: LinkHeaders) =>
  Array.from({ length: batch.count }, (_, i) =>
    batch.verdict[i] === 0 ? [kind[i], flags[i], group[i], counter[i]] : undefined,
  );

const CHECKED = new Map([...LINK_CIPHERS].filter(([name]) => name !== 'link-node-cipher'));

describeEach(CHECKED, (newCipher) => {
  it('makes of every vector what node:crypto makes of it, sealing and opening, whatever is wrong with it', () => {
    const seen = new Set<number>();
    fc.assert(
      fc.property(vectors, (rows) => {
        const [sealers, wanted] = [sealersOf(newCipher), sealersOf(newLinkNodeCipher)];
        const [opener, oracle] = [openerOf(newCipher), openerOf(newLinkNodeCipher)];
        for (const { packets, epoch } of rows) {
          const [ours, theirs] = [seal(sealers, packets), seal(wanted, packets)];
          expect(resultOf(ours)).to.deep.equal(resultOf(theirs));
          expect(Buffer.compare(ours.slab, theirs.slab)).to.equal(0);
          for (const batch of [ours, theirs]) spoil(batch, packets);
          const [out, said] = [new LinkHeaders(), new LinkHeaders()];
          opener.open(ours, epoch, out);
          oracle.open(theirs, epoch, said);
          expect(resultOf(ours)).to.deep.equal(resultOf(theirs));
          expect(Buffer.compare(ours.slab, theirs.slab)).to.equal(0);
          expect(columnsOf(ours, out)).to.deep.equal(columnsOf(theirs, said));
          for (const verdict of ours.verdict) seen.add(verdict);
        }
      }),
      { seed: 2784, numRuns: 200 },
    );
    expect(seen.size, 'verdicts').to.be.at.least(6);
  });
});

describeEach(LINK_CIPHERS, (newCipher) => {
  it('does nothing with a wiped key, whoever calls it', () => {
    const key = linkKey(0);
    const cipher = newCipher(key);
    const sealed = seal([new LinkSealer(newLinkNodeCipher(linkKey(0)))], ONE);
    const bytes = Buffer.from(sealed.slab);
    expect(cipher.isUsable).to.equal(true);
    key.key.wipe();
    expect(cipher.isUsable).to.equal(false);
    for (const way of ['seal', 'open'] as const) {
      sealed.verdict[0] = 0;
      cipher[way](sealed, Uint8Array.of(1), EPOCH);
      expect(sealed.reason()).to.equal('link-authentication');
      expect(Buffer.compare(sealed.slab, bytes)).to.equal(0);
    }
  });
});

describe('link-seal, opening a vector', () => {
  it('gives every packet the verdict that it would get after those before it', () => {
    fc.assert(
      fc.property(vectors, (rows) => {
        const sealers = sealersOf(newLinkNodeCipher);
        const [opener, oracle] = [openerOf(newLinkNodeCipher), openerOf(newLinkNodeCipher)];
        for (const { packets, epoch } of rows) {
          const batch = seal(sealers, packets);
          spoil(batch, packets);
          const wanted = Array.from({ length: batch.count }, (_, i) => {
            if (batch.verdict[i] !== 0) return { verdict: batch.verdict[i] };
            const one = new TestBatch([batch.packet(i)], SLOT_BYTES);
            const header = new LinkHeader();
            const verdict = openOne(oracle, one, 0, epoch, header);
            if (verdict !== 0) return { verdict };
            const { kind, flags, group, counter } = header;
            return { verdict, kind, flags, group, counter, inner: one.packet().toString('hex') };
          });
          const out = new LinkHeaders();
          opener.open(batch, epoch, out);
          const got = Array.from({ length: batch.count }, (_, i) => {
            const verdict = batch.verdict[i];
            if (verdict !== 0) return { verdict };
            const [kind, flags, group, counter] = [out.kind[i], out.flags[i], out.group[i], out.counter[i]];
            return { verdict, kind, flags, group, counter, inner: batch.packet(i).toString('hex') };
          });
          expect(got).to.deep.equal(wanted);
        }
      }),
      { seed: 1024, numRuns: 200 },
    );
  });

  it('lets a genuine packet through behind a forged one of its number', () => {
    const sealer = sealersOf(newLinkNodeCipher)[0] as LinkSealer;
    const genuine = seal([sealer], ONE).packet();
    expect(genuine.length).to.equal(LINK_HEADER_BYTES + 100 + LINK_TAG_BYTES);
    const forged = Buffer.from(genuine);
    forged.writeUInt8(forged.readUInt8(20) ^ 1, 20);
    const batch = new TestBatch([forged, genuine, genuine, forged]);
    openerOf(newLinkNodeCipher).open(batch, EPOCH, new LinkHeaders());
    const reasons = ['link-authentication', 'none', 'link-replay', 'link-replay'];
    expect([0, 1, 2, 3].map((i) => batch.reason(i))).to.deep.equal(reasons);
    expect(batch.packet(1).equals(Buffer.alloc(100, 1))).to.equal(true);
  });
});
