import { expect } from 'chai';
import * as fc from 'fast-check';
import { newSlotChain, NONE, SlotIndex, SlotLinks, SlotList } from '../../src/base/slot-list.ts';

const SLOTS = 8;

function listed(first: number, after: (slot: number) => number): number[] {
  const slots: number[] = [];
  for (let slot = first; slot !== NONE; slot = after(slot)) slots.push(slot);
  return slots;
}

describe('slot lists', () => {
  it('behave like arrays that are appended to and removed from', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(SLOTS - 1), { maxLength: 60 }), (touched) => {
        const list = new SlotList(SLOTS);
        let model: number[] = [];
        for (const slot of touched) {
          if (model.includes(slot)) {
            list.remove(slot);
            model = model.filter((other) => other !== slot);
          } else {
            list.append(slot);
            model.push(slot);
          }
          expect(listed(list.first, (at) => list.after(at))).to.deep.equal(model);
          expect(list.size).to.equal(model.length);
        }
      }),
      { seed: 1 },
    );
  });

  it('share links without mixing: two chains over the same slots', () => {
    const links = new SlotLinks(SLOTS);
    const [even, odd] = [newSlotChain(), newSlotChain()];
    for (let slot = 0; slot < SLOTS; slot++) links.append(slot % 2 === 0 ? even : odd, slot);
    links.remove(even, 4);
    links.remove(odd, 7);
    expect(listed(even.first, (at) => links.after(at))).to.deep.equal([0, 2, 6]);
    expect(listed(odd.first, (at) => links.after(at))).to.deep.equal([1, 3, 5]);
    expect([even.last, odd.last, even.size, odd.size]).to.deep.equal([6, 5, 3, 3]);
  });
});

describe('slot index', () => {
  it('finds every slot under its whole hash, and no other, when hashes share buckets', () => {
    const hash = fc.constantFrom(0, 1, 8, 9, 16, 0x8000_0000, 0xffff_fff8);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(SLOTS - 1), hash), { maxLength: 60 }), (steps) => {
        const index = new SlotIndex(SLOTS);
        const model = new Map<number, number>();
        for (const [slot, of] of steps) {
          if (model.delete(slot)) index.remove(slot);
          else {
            index.add(slot, of);
            model.set(slot, of);
          }
          for (const each of [0, 1, 8, 9, 16, 0x8000_0000, 0xffff_fff8]) {
            const want = [...model].filter(([, other]) => other === each).map(([at]) => at);
            expect(listed(index.first(each), (at) => index.after(at))).to.have.members(want);
          }
        }
      }),
      { seed: 2 },
    );
  });
});
