import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP } from '../../src/base/verdict.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { LINK_KIND } from '../../src/ipsec/link-seal.ts';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { Peeker } from '../../src/ipsec/peek.ts';
import { type EspVector, keysOf, peekKeysOf, TestBatch } from '../support/crypto-batch.ts';
import { LinkHeader, newOpener, newSealer, openOne, sealOne } from '../support/link-seal.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const scapy = (readVectors('esp-scapy.json') as { vectors: EspVector[] }).vectors;
const REASONS = ['icv', 'truncated', 'malformed', 'unknown-spi'];

const crypto = new EspNodeCrypto({ randomBytes: (bytes) => Buffer.alloc(bytes, 3) });
const peeker = new Peeker();
scapy.forEach((vector, slot) => {
  crypto.install(slot, keysOf(vector));
  peeker.install(slot, peekKeysOf(vector));
});

/** A genuine packet, changed: bytes overwritten, cut off at the end, or appended. */
const changed = fc
  .record({
    slot: fc.nat(scapy.length - 1),
    changes: fc.array(fc.tuple(fc.nat(1500), fc.integer({ min: 1, max: 255 })), { maxLength: 4 }),
    cut: fc.oneof(fc.constant(0), fc.nat(60)),
    tail: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 40 })),
  })
  .map(({ slot, changes, cut, tail }) => {
    const genuine = fromHex((scapy[slot] as EspVector).esp);
    const bytes = Buffer.concat([genuine.subarray(0, genuine.length - cut), tail]);
    for (const [at, flip] of changes) if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ flip;
    return { slot, bytes, isGenuine: bytes.equals(genuine) };
  });

function batchOf(slot: number, bytes: Buffer): TestBatch {
  const batch = new TestBatch([bytes]);
  batch.saSlot[0] = slot;
  batch.sequenceHigh[0] = Number(BigInt((scapy[slot] as EspVector).sequence) >> 32n);
  return batch;
}

describe('ESP, changed packets', () => {
  it('open never accepts one, never throws, and leaves it as it was', () => {
    fc.assert(
      fc.property(changed, ({ slot, bytes, isGenuine }) => {
        const batch = batchOf(slot, bytes);
        crypto.open(batch);
        expect(batch.reason()).to.be.oneOf(isGenuine ? ['none'] : REASONS);
        if (!isGenuine) expect(batch.packet().equals(bytes)).to.equal(true);
      }),
      { seed: 4303, numRuns: 2000 },
    );
  });

  it('open never accepts a genuine packet under another SA or another high half (ESN)', () => {
    fc.assert(
      fc.property(fc.nat(scapy.length - 1), fc.nat(scapy.length - 1), fc.nat(3), (from, to, high) => {
        const batch = batchOf(to, fromHex((scapy[from] as EspVector).esp));
        const right = batch.sequenceHigh[0];
        batch.sequenceHigh[0] = high;
        crypto.open(batch);
        const isRight = from === to && (high === right || !(scapy[to] as EspVector).hasEsn);
        expect(batch.verdict[0] === KEEP).to.equal(isRight);
      }),
      { seed: 4304, numRuns: 2000 },
    );
  });

  it('peek never throws, changes no packet, and shows what open shows of a genuine one', () => {
    fc.assert(
      fc.property(changed, ({ slot, bytes, isGenuine }) => {
        const batch = batchOf(slot, bytes);
        peeker.peek(batch);
        expect(batch.reason()).to.be.oneOf(['none', 'peek-malformed', 'truncated', 'dummy', 'unknown-spi']);
        expect(batch.packet().equals(bytes)).to.equal(true);
        if (isGenuine) expect(batch.destinationPort[0]).to.equal((scapy[slot] as EspVector).destinationPort);
      }),
      { seed: 4305, numRuns: 2000 },
    );
  });

  it('seal and open are inverse for any plaintext and number', () => {
    const number = fc.bigInt({ min: 1n, max: (1n << 64n) - 1n });
    fc.assert(
      fc.property(
        fc.nat(scapy.length - 1),
        fc.uint8Array({ maxLength: 1500 }),
        number,
        number,
        (slot, plain, n, iv) => {
          const sequence = (scapy[slot] as EspVector).hasEsn ? n : (n % 0xffff_fffen) + 1n;
          const batch = new TestBatch([plain]);
          batch.saSlot[0] = slot;
          batch.number(0, sequence, iv);
          batch.nextHeader[0] = 4;
          crypto.seal(batch);
          crypto.open(batch);
          expect(batch.reason()).to.equal('none');
          expect(batch.packet().equals(plain)).to.equal(true);
        },
      ),
      { seed: 4306, numRuns: 500 },
    );
  });
});

describe('sealed link packets, changed', () => {
  it('open never accepts one and never throws', () => {
    const key = () => KeyMaterial.copyOf(Buffer.alloc(32, 9));
    const [sealer, opener] = [newSealer(9, key()), newOpener(9, key())];
    const header = Object.assign(new LinkHeader(), { kind: LINK_KIND.COMMITTED, group: 0x1000 });
    const change = fc.record({
      inner: fc.uint8Array({ maxLength: 100 }),
      flips: fc.array(fc.tuple(fc.nat(140), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
      cut: fc.oneof(fc.constant(0), fc.nat(140)),
    });
    fc.assert(
      fc.property(change, ({ inner, flips, cut }) => {
        const batch = new TestBatch([inner]);
        sealOne(sealer, batch, 0, header, 1);
        const genuine = batch.packet();
        const bytes = Buffer.from(genuine.subarray(0, Math.max(0, genuine.length - cut)));
        for (const [at, flip] of flips) if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ flip;
        const got = new TestBatch([bytes]);
        const verdict = openOne(opener, got, 0, 1);
        expect(verdict === KEEP).to.equal(bytes.equals(genuine));
        if (verdict === KEEP) expect(got.packet().equals(inner)).to.equal(true);
        else expect(got.packet().equals(bytes)).to.equal(true);
      }),
      { seed: 8086, numRuns: 1000 },
    );
  });
});
