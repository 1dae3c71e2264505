import { expect } from 'chai';
import * as fc from 'fast-check';
import { TopCounter } from '../../src/connections/top-counter.ts';

describe('top counter', () => {
  it('is exact while there is room, the highest first', () => {
    const counter = new TopCounter(3);
    for (const thing of ['b', 'a', 'c', 'b', 'c', 'b']) counter.add(thing);
    expect(counter.top(2)).to.deep.equal([
      ['b', 3],
      ['c', 2],
    ]);
    expect(counter.error).to.equal(0);
  });

  it('is never too high, too low by no more than it says, and has whatever came more often than that', () => {
    const things = fc.array(fc.constantFrom(...Array.from('aaaabbbcdefghijkl')), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), things, (capacity, list) => {
        const counter = new TopCounter(capacity);
        const real = new Map<string, number>();
        for (const thing of list) {
          counter.add(thing);
          real.set(thing, (real.get(thing) ?? 0) + 1);
        }
        const found = new Map(counter.top(capacity));
        expect(found.size).to.be.at.most(capacity);
        expect(counter.error * (capacity + 1)).to.be.at.most(list.length);
        for (const [thing, count] of real) {
          const counted = found.get(thing) ?? 0;
          expect(counted)
            .to.be.at.most(count)
            .and.at.least(count - counter.error);
        }
      }),
    );
  });
});
