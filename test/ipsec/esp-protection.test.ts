import { expect } from 'chai';
import { EspContext } from '../../src/ipsec/esp-context.ts';
import { type EspPlace, protect, unprotect } from '../../src/ipsec/esp-protection.ts';
import { BLOCK_BYTES } from '../../src/ipsec/inner-reader.ts';
import { PeekBlocks } from '../../src/ipsec/peek-blocks.ts';
import { keysOf } from '../support/crypto-batch.ts';
import { fromHex, readVectors } from '../support/vectors.ts';
import { LEAD_BLOCKS } from '../../src/ipsec/inner-reader.ts';

interface Vector {
  case: string;
  key: string;
  iv: string;
  plaintext: string;
  ciphertext: string;
}
const { ctr, ccm } = readVectors('esp-published.json') as {
  ctr: Vector[];
  ccm: (Vector & { transform: number })[];
};

const HEADER = fromHex('0000432100000001');
const PAYLOAD = 16;

describe('esp-protection', () => {
  for (const vector of ctr) {
    const keys = () =>
      keysOf({
        spi: 0x4321,
        encryption: 13,
        encryptionKey: vector.key,
        integrity: 2,
        integrityKey: '0a'.repeat(20),
      });

    it(`encrypts and decrypts case ${vector.case} of RFC 3686 section 6`, () => {
      const sa = new EspContext(keys());
      const text = fromHex(vector.plaintext);
      const slab = Buffer.concat([HEADER, fromHex(vector.iv), text, Buffer.alloc(12)]);
      const place: EspPlace = {
        slab,
        start: 0,
        payload: PAYLOAD,
        icv: PAYLOAD + text.length,
        high: 0,
        low: 1,
      };
      protect(sa, place);
      expect(slab.subarray(PAYLOAD, place.icv).toString('hex')).to.equal(vector.ciphertext);
      expect(unprotect(sa, place)).to.equal(true);
      expect(slab.subarray(PAYLOAD, place.icv).toString('hex')).to.equal(vector.plaintext);
    });

    it(`peeks at case ${vector.case} of RFC 3686 section 6`, () => {
      expectPeeked(new PeekBlocks(keys(), LEAD_BLOCKS.IPV4), vector);
    });
  }

  for (const vector of ccm.filter(({ plaintext }) => plaintext !== '')) {
    it(`peeks at ${vector.case} of NIST's CCM vectors: counter block 3 | salt | IV | from 1 (RFC 4309 section 4)`, () => {
      const keys = keysOf({ spi: 0x4321, encryption: vector.transform, encryptionKey: vector.key });
      expectPeeked(new PeekBlocks(keys, LEAD_BLOCKS.IPV4), vector);
    });
  }
});

/** The first block through the lead, the last block through the trailer's. */
function expectPeeked(blocks: PeekBlocks, vector: Vector): void {
  const text = fromHex(vector.ciphertext);
  const packet = Buffer.concat([HEADER, fromHex(vector.iv), text, Buffer.alloc(16)]);
  const places = { slab: packet, espOffset: Uint32Array.of(0), espLength: Uint32Array.of(packet.length) };
  const icvBytes = packet.length - 16 - blocks.cipherBytes(packet.length);
  places.espLength[0] = 16 + text.length + icvBytes;
  const plain = fromHex(vector.plaintext);
  expect(blocks.decrypt(places, [0]).subarray(0, plain.length)).to.deep.equal(plain.subarray(0, 48));
  const last = plain.length - 1 - ((plain.length - 1) % BLOCK_BYTES);
  const trailer = blocks.decrypt(places, [0]).subarray(48, 48 + plain.length - last);
  expect(trailer).to.deep.equal(plain.subarray(last));
  expect(blocks.decryptLong(packet, 0, plain.length).subarray(0, plain.length)).to.deep.equal(plain);
}
