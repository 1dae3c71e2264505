import { expect } from 'chai';
import * as fc from 'fast-check';
import { SpiTable } from '../../src/dataplane/spi-table.ts';
import { ipv4Address } from '../../src/packet/address.ts';

/** Few enough to come again, and above 2^31 as well. */
const spi = fc.oneof(fc.integer({ min: 256, max: 300 }), fc.integer({ min: 0xffff_ff00, max: 0xffff_ffff }));
const step = fc.record({
  kind: fc.constantFrom('add' as const, 'add' as const, 'remove' as const, 'move' as const),
  spi,
  slot: fc.integer({ min: 0, max: 0x7fff_fffe }),
  destination: fc.integer({ min: 1, max: 3 }),
});

describe('table of SPIs', () => {
  it('finds what is in it, at its destination only, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = new SpiTable();
        const plain = new Map<number, { slot: number; destination: number }>();
        for (const { kind, spi: each, slot, destination } of steps) {
          const known = plain.get(each);
          if (kind === 'add' && known === undefined) {
            table.add(each, slot, ipv4Address(destination));
            plain.set(each, { slot, destination });
          } else if (kind === 'remove' && known !== undefined) {
            table.remove(each);
            plain.delete(each);
          } else if (kind === 'move' && known !== undefined) {
            table.setDestination(each, ipv4Address(destination));
            known.destination = destination;
          }
          for (const { spi: asked } of steps) {
            const there = plain.get(asked);
            expect(table.slotOf(asked)).to.equal(there?.slot ?? -1);
            const isThere = there?.destination === 2;
            expect(table.lookup(asked, ipv4Address(2), 0)).to.equal(isThere ? there.slot : -1);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
