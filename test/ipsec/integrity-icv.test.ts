import { expect } from 'chai';
import { type IntegrityAlgorithm, knownAlgorithms, lookupIntegrity } from '../../src/ipsec/algorithms.ts';
import { integrityIcv, isSameIcv } from '../../src/ipsec/integrity-icv.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const { integrity } = readVectors('esp-published.json') as {
  integrity: { case: string; transform: number; key: string; data: string; icv: string }[];
};

describe('integrity-icv', () => {
  for (const vector of integrity) {
    const algorithm = lookupIntegrity(vector.transform) as IntegrityAlgorithm;

    it(`gives the ICV of ${vector.case}, ${algorithm.name}`, () => {
      const [key, packet] = [fromHex(vector.key), fromHex(vector.data)];
      expect(integrityIcv(algorithm, key, packet).toString('hex')).to.equal(vector.icv);
      // The implied bytes of ESN count as if they stood behind the packet (RFC 4303 section 2.2.1).
      if (packet.length < 4) return;
      expect(
        integrityIcv(algorithm, key, packet.subarray(0, -4), packet.subarray(-4)).toString('hex'),
      ).to.equal(vector.icv);
    });
  }

  it('has published vectors for every row of the table', () => {
    const covered = new Set(integrity.map(({ transform }) => transform));
    for (const { transform, name } of knownAlgorithms().integrity)
      expect(covered.has(transform), name).to.equal(true);
  });

  it('gives as many bytes as the table says', () => {
    for (const algorithm of knownAlgorithms().integrity) {
      const icv = integrityIcv(algorithm, Buffer.alloc(algorithm.keyBytes, 1), Buffer.alloc(50));
      expect(icv.length, algorithm.name).to.equal(algorithm.icvBytes);
    }
  });

  it('compares all bytes, and lengths', () => {
    expect(isSameIcv(fromHex('0102'), fromHex('0102'))).to.equal(true);
    expect(isSameIcv(fromHex('0102'), fromHex('0103'))).to.equal(false);
    expect(isSameIcv(fromHex('0102'), fromHex('010203'))).to.equal(false);
  });
});
