import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { CORRECTED_BLOCKS_MAX, GcmCorrection } from '../../src/ipsec/gcm-correction.ts';
import { multiply, ONE } from '../../src/ipsec/ghash-field.ts';
import { STAMP_VECTORS } from '../support/stamping.ts';
import { fromHex } from '../support/vectors.ts';

/** The obvious field: a block as one big number, its first bit the highest. */
const R = 0xe1n << 120n;
function product(x: bigint, y: bigint): bigint {
  let [z, v] = [0n, y];
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) z ^= v;
    v = v & 1n ? (v >> 1n) ^ R : v >> 1n;
  }
  return z;
}

const toWords = (value: bigint) =>
  Int32Array.from({ length: 4 }, (_, i) => Number((value >> BigInt(96 - 32 * i)) & 0xffff_ffffn));
const toBig = (words: Int32Array) => words.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);

function hashKey(key: Buffer): bigint {
  const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null);
  return BigInt(`0x${cipher.update(Buffer.alloc(16)).toString('hex')}`);
}

function correction(of: GcmCorrection, high: number, low: number, blocks: number): bigint {
  const out = new Int32Array(4).fill(0x5eadbeef);
  of.correct(high, low, blocks, out);
  return toBig(out);
}

describe('ghash-field', () => {
  const element = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });

  it("multiplies as GCM's field does, also into one of its factors (SP 800-38D section 6.3)", () => {
    fc.assert(
      fc.property(element, element, (x, y) => {
        const [a, b, out] = [toWords(x), toWords(y), new Int32Array(4)];
        multiply(a, b, out);
        expect(toBig(out)).to.equal(product(x, y));
        multiply(a, b, a);
        expect(a).to.deep.equal(out);
        const square = toWords(x);
        multiply(square, square, square);
        expect(toBig(square)).to.equal(product(x, x));
        multiply(ONE, b, b);
        expect(toBig(b)).to.equal(y);
      }),
    );
  });
});

describe('gcm-correction', () => {
  for (const vector of STAMP_VECTORS) {
    it(`gives the correction of ${vector.it}`, () => {
      const { key, hasEsn } = vector.setting;
      expect(hashKey(fromHex(key))).to.equal(BigInt(`0x${vector.hash}`));
      const blocks = Math.ceil(vector.cipher.length / 32);
      const value = correction(new GcmCorrection(fromHex(key), hasEsn), vector.high, vector.low, blocks);
      expect(value).to.equal(BigInt(`0x${vector.correction}`));
    });
  }

  for (const keyBytes of [16, 24, 32]) {
    for (const hasEsn of [false, true]) {
      it(`is D * H^(m+2) for every m to 65 535 bytes: AES-${keyBytes * 8}, ${hasEsn ? 'ESN' : 'no ESN'}`, () => {
        const key = Buffer.alloc(keyBytes, 0x3b);
        const hash = hashKey(key);
        const tested = new GcmCorrection(key, hasEsn);
        let power = product(hash, hash); // m = 0
        for (let m = 0; m <= CORRECTED_BLOCKS_MAX; m++) {
          if (m <= 140 || m % 97 === 0 || m >= CORRECTED_BLOCKS_MAX - 1) {
            const high = Math.imul(m + 1, 0x9e3779b1) >>> 0;
            const low = Math.imul(m + 1, 0x85ebca6b) >>> 0;
            const difference = hasEsn ? (BigInt(high) << 64n) | (BigInt(low) << 32n) : BigInt(low) << 64n;
            expect(correction(tested, high, low, m), `m ${m}`).to.equal(product(difference, power));
          }
          power = product(power, hash);
        }
      });
    }
  }

  it('gives one answer whether a table was there before or not, and in any order of lengths', () => {
    const key = Buffer.alloc(16, 9);
    const used = new GcmCorrection(key, true);
    for (const m of [128, 1, 129, 2, 128, 1, 129]) {
      expect(correction(used, 7, 8, m)).to.equal(correction(new GcmCorrection(key, true), 7, 8, m));
    }
  });

  it('is linear in the number, and nothing for number 0', () => {
    const tested = new GcmCorrection(Buffer.alloc(32, 5), true);
    const word = fc.nat(0xffff_ffff);
    fc.assert(
      fc.property(word, word, word, word, fc.nat(200), (h1, l1, h2, l2, m) => {
        const sum = correction(tested, (h1 ^ h2) >>> 0, (l1 ^ l2) >>> 0, m);
        expect(sum).to.equal(correction(tested, h1, l1, m) ^ correction(tested, h2, l2, m));
        expect(correction(tested, 0, 0, m)).to.equal(0n);
      }),
    );
  });

  it('knows nothing of the key any more once it is wiped', () => {
    const tested = new GcmCorrection(Buffer.alloc(16, 5), false);
    correction(tested, 0, 1, 3);
    tested.wipe();
    for (const m of [3, 4, 500]) expect(correction(tested, 0, 1, m)).to.equal(0n);
  });
});
