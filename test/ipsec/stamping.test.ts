import { expect } from 'chai';
import { STAMP_HEADER_BYTES } from '../../src/ipsec/stamp-packet.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { SETTING, STAMP_VECTORS, StampingPair } from '../support/stamping.ts';
import { fromHex } from '../support/vectors.ts';

const INNER = Buffer.from('4500001c an inner packet of some length');
const IV = 0x0003_0000_0000_0001n;
const LOW_32 = 0xffff_ffffn;

describe('stamping, vectors', () => {
  for (const vector of STAMP_VECTORS) {
    it(`masks, checks, stamps: ${vector.it}`, () => {
      const pair = new StampingPair(vector.setting);
      const { icvBytes, spi = 0 } = vector.setting;
      const cut = (tag: string) => fromHex(tag).subarray(0, icvBytes);
      const head = (number: number) => {
        const bytes = Buffer.alloc(8);
        bytes.writeUInt32BE(spi, 0);
        bytes.writeUInt32BE(number, 4);
        return Buffer.concat([bytes, fromHex(vector.iv), fromHex(vector.cipher)]);
      };
      const batch = new TestBatch([Buffer.concat([head(0), cut(vector.tag0)])]);
      expect(pair.sealer.mask(batch, 0)).to.equal(0);
      const onLink = batch.packet();
      expect(onLink.subarray(0, 8).toString('hex')).to.equal('01000000c0ffee01');
      expect(onLink.subarray(STAMP_HEADER_BYTES)).to.deep.equal(Buffer.concat([head(0), cut(vector.masked)]));
      const number = (BigInt(vector.high) << 32n) | BigInt(vector.low);
      expect(pair.pass(onLink, number)).to.deep.equal(Buffer.concat([head(vector.low), cut(vector.icv)]));
    });
  }
});

describe('stamping is sealing with the number, byte for byte, by OpenSSL', () => {
  const inner = Buffer.from(Array.from({ length: 65_000 }, (_, i) => (i * 37 + (i >> 8)) & 0xff));
  for (const keyBytes of [16, 24, 32]) {
    for (const icvBytes of [8, 12, 16] as const) {
      for (const hasEsn of [false, true]) {
        const name = `AES-${keyBytes * 8}, ICV ${icvBytes}, ${hasEsn ? 'ESN' : 'no ESN'}`;
        const key = Array.from({ length: keyBytes }, (_, i) =>
          ((i * 11 + icvBytes) & 0xff).toString(16).padStart(2, '0'),
        );
        const numberOf = (i: number) => {
          const low = BigInt(Math.imul(i + 1, 0x9e3779b1) >>> 0);
          return hasEsn ? (BigInt(Math.imul(i + 1, 0x85ebca6b) >>> 0) << 32n) | low : low;
        };
        const same = (pair: StampingPair, length: number, isOpened: boolean) => {
          const iv = IV + BigInt(length);
          const number = numberOf(length);
          const plain = inner.subarray(0, length);
          const stamped = pair.pass(pair.seal(plain, iv), number) as Buffer;
          const direct = pair.direct(plain, iv, number);
          if (Buffer.compare(stamped, direct) !== 0) expect(stamped, `${length} bytes`).to.deep.equal(direct);
          if (isOpened) expect(pair.open(stamped, Number(number >> 32n))).to.deep.equal(plain);
        };

        if (keyBytes !== 24) {
          it(`every length from 0 to 1500: ${name}`, () => {
            const pair = new StampingPair({ ...SETTING, key: key.join(''), icvBytes, hasEsn });
            for (let length = 0; length <= 1500; length++) same(pair, length, length % 50 === 0);
          });
        }

        it(`long ones: ${name}`, () => {
          const pair = new StampingPair({ ...SETTING, key: key.join(''), icvBytes, hasEsn });
          for (const length of [2013, 2014, 2030, 2046, 2047, 8972, 9000, 16_384, 32_767, 65_000]) {
            same(pair, length, true);
          }
        });
      }
    }
  }

  it('has the edges of the numbers right', () => {
    const narrow = new StampingPair();
    const wide = new StampingPair({ ...SETTING, hasEsn: true });
    let iv = IV;
    for (const number of [1n, 0x8000_0000n, LOW_32]) {
      iv++;
      expect(narrow.pass(narrow.seal(INNER, iv), number)).to.deep.equal(narrow.direct(INNER, iv, number));
    }
    for (const number of [1n, LOW_32, 1n << 32n, (1n << 52n) - 1n, (1n << 64n) - 1n]) {
      iv++;
      expect(wide.pass(wide.seal(INNER, iv), number)).to.deep.equal(wide.direct(INNER, iv, number));
    }
  });
});
