import { expect } from 'chai';
import * as fc from 'fast-check';
import { countNumbers, packNumbers, unpackNumbers } from '../../src/ipsec/number-ranges.ts';

const range = (first: string, count: string) => Buffer.from(first + count, 'hex');

describe('number-ranges', () => {
  it('are the first number in 64 bits and how many in 32, big endian, at any alignment', () => {
    const numbers = [7n, 8n, 9n, 0x0102030405060708n];
    const packed = packNumbers(numbers);
    expect(Buffer.from(packed).toString('hex')).to.equal('000000000000000700000003010203040506070800000001');
    expect(unpackNumbers(Buffer.concat([Buffer.from([9]), packed]).subarray(1))).to.deep.equal(numbers);
  });

  it('keep every number and its place, whatever follows what', () => {
    const step = fc.oneof({ weight: 3, arbitrary: fc.constant(1n) }, fc.bigInt({ min: -9n, max: 9n }));
    const near = fc.constantFrom(10n, 2n ** 32n - 20n, 2n ** 64n - 200n);
    fc.assert(
      fc.property(near, fc.array(step, { maxLength: 20 }), (start, steps) => {
        const numbers = steps.map((_, i) => steps.slice(0, i).reduce((sum, by) => sum + by, start));
        fc.pre(numbers.every((number) => number >= 0n));
        const packed = packNumbers(numbers);
        expect(unpackNumbers(packed)).to.deep.equal(numbers);
        expect(countNumbers(packed)).to.equal(numbers.length);
      }),
    );
  });

  it('are refused with half a range, without numbers, and across two high halves', () => {
    expect(countNumbers(range('00000000ffffffff', '00000001'))).to.equal(1);
    for (const bad of [
      range('0000000000000001', '000001'),
      range('0000000000000001', '00000000'),
      range('00000000ffffffff', '00000002'),
    ])
      expect(countNumbers(bad)).to.equal(undefined);
  });
});
