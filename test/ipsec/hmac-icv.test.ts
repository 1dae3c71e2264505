import { expect } from 'chai';
import { type IntegrityAlgorithm, lookupIntegrity } from '../../src/ipsec/algorithms.ts';
import { hmacIcv, isSameIcv } from '../../src/ipsec/hmac-icv.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const { hmac } = readVectors('esp-published.json') as {
  hmac: { case: string; key: string; data: string; icv: string }[];
};
const sha256 = lookupIntegrity(12) as IntegrityAlgorithm;

describe('hmac-icv', () => {
  for (const vector of hmac) {
    it(`gives the ICV of ${vector.case} in RFC 4868 section 2.7.2.1`, () => {
      const [key, packet] = [fromHex(vector.key), fromHex(vector.data)];
      expect(hmacIcv(sha256, key, packet).toString('hex')).to.equal(vector.icv);
      // The implied bytes of ESN count as if they stood behind the packet.
      expect(hmacIcv(sha256, key, packet.subarray(0, -4), packet.subarray(-4)).toString('hex')).to.equal(
        vector.icv,
      );
    });
  }

  it('compares all bytes, and lengths', () => {
    expect(isSameIcv(fromHex('0102'), fromHex('0102'))).to.equal(true);
    expect(isSameIcv(fromHex('0102'), fromHex('0103'))).to.equal(false);
    expect(isSameIcv(fromHex('0102'), fromHex('010203'))).to.equal(false);
  });
});
