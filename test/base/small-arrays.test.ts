import { expect } from 'chai';
import * as fc from 'fast-check';
import { smallBytesOf, smallWords, smallWordsOf } from '../../src/base/small-arrays.ts';

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const words = fc.array(word, { maxLength: 48 });
const bytes = fc.uint8Array({ maxLength: 160 });

describe('small arrays', () => {
  it('have what was given, and keep it whatever comes after and whoever writes into another', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(words, bytes), { maxLength: 60 }), (given) => {
        const made = given.map((each) => (Array.isArray(each) ? smallWordsOf(each) : smallBytesOf(each)));
        const others = made.map(({ length }) => smallWords(length));
        for (const other of others) other.fill(0xffff_ffff);
        expect(made.map((array) => [...array])).to.deep.equal(given.map((each) => [...each]));
      }),
    );
  });

  it('begin as zeros', () => {
    for (let n = 0; n < 100; n++) {
      const array = smallWords(n % 40);
      expect([...array]).to.deep.equal(Array(n % 40).fill(0));
      array.fill(1);
    }
  });

  it('share memory, and a long one has its own', () => {
    const buffers = new Set(Array.from({ length: 64 }, () => smallWords(4).buffer));
    expect(buffers.size).to.be.at.most(2);
    expect(smallWords(1000).buffer.byteLength).to.equal(4000);
  });
});
