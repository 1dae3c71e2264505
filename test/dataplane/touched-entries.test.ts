import { expect } from 'chai';
import * as fc from 'fast-check';
import { TouchedEntries } from '../../src/dataplane/touched-entries.ts';

function walk<Entry extends { slot: number }>(touched: TouchedEntries<Entry>): Entry[] {
  return Array.from({ length: touched.size }, (_, n) => touched.at(n));
}

describe('touched entries', () => {
  it('are each there once, in their order, with how often they came, until they are cleared', () => {
    const touched = new TouchedEntries<{ slot: number }>();
    const vectors = fc.array(fc.array(fc.integer({ min: 0, max: 300 })), { maxLength: 5 });
    fc.assert(
      fc.property(vectors, (given) => {
        for (const slots of given) {
          const plain = new Map<number, number>();
          for (const slot of slots) {
            touched.add({ slot });
            plain.set(slot, (plain.get(slot) ?? 0) + 1);
          }
          expect(walk(touched).map((entry) => [entry.slot, touched.countOf(entry)])).to.deep.equal([
            ...plain,
          ]);
          touched.clear();
          expect(walk(touched)).to.deep.equal([]);
          expect(touched.countOf({ slot: slots[0] ?? 0 })).to.equal(0);
        }
      }),
    );
  });
});
