import { expect } from 'chai';
import { type AeadInput, openAead, sealAead } from '../../src/ipsec/aead.ts';
import { supported } from '../../src/ipsec/algorithms.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const { ccm } = readVectors('esp-published.json') as {
  ccm: {
    case: string;
    transform: number;
    key: string;
    iv: string;
    aad: string;
    plaintext: string;
    ciphertext: string;
    icv: string;
  }[];
};

describe('aead', () => {
  for (const vector of ccm) {
    const material = fromHex(vector.key);
    const result = supported({ transform: vector.transform, keyMaterialBytes: material.length });
    if (!result.isSupported) throw new Error(result.reason);
    const { suite } = result;
    const input = (text: string, aad = vector.aad): AeadInput => ({
      key: material.subarray(0, -3),
      nonce: Buffer.concat([material.subarray(-3), fromHex(vector.iv)]),
      additional: [fromHex(aad)],
      text: fromHex(text),
    });

    it(`seals and opens ${vector.case} of NIST's CCM vectors with 11-byte nonces (RFC 4309)`, () => {
      const sealed = sealAead(suite, input(vector.plaintext));
      expect(sealed.ciphertext.toString('hex')).to.equal(vector.ciphertext);
      expect(sealed.icv.toString('hex')).to.equal(vector.icv);
      const opened = openAead(suite, input(vector.ciphertext), fromHex(vector.icv));
      expect(opened?.toString('hex')).to.equal(vector.plaintext);
    });

    it(`opens ${vector.case} neither with another ICV nor with other additional data`, () => {
      const icv = fromHex(vector.icv);
      for (let at = 0; at < icv.length; at++) {
        const forged = Buffer.from(icv);
        forged.writeUInt8(forged.readUInt8(at) ^ 1, at);
        expect(openAead(suite, input(vector.ciphertext), forged), `byte ${at}`).to.equal(undefined);
      }
      expect(openAead(suite, input(vector.ciphertext, `${vector.aad}00`), icv)).to.equal(undefined);
    });
  }
});
