import { expect } from 'chai';
import { OPEN_HERE, verdictOf } from '../../src/base/verdict.ts';
import { packNumbers } from '../../src/ipsec/number-ranges.ts';
import { InboundOwners } from '../../src/ipsec/inbound-owners.ts';
import { RingPool } from '../../src/ipsec/unsettled-ring.ts';

const KEPT = 0;
const REPLAY = verdictOf('replay');
const SLOTS = 256;
const [FIRST, SECOND] = [1, 2];

/** Numbers 1 to `count` go to the second target, which reports each at once. */
function settle(owners: InboundOwners, from: number, to: number): number {
  let refused = 0;
  for (let number = from; number <= to; number++) {
    if (owners.decide(0, number, SECOND, number) === KEPT) {
      refused += owners.reported(SECOND, packNumbers([BigInt(number)]), number).refused;
    }
  }
  return refused;
}

describe('the ring of unsettled numbers', () => {
  it('gives the place of a number that was lost on the link to another, once the window has passed it', () => {
    const owners = new InboundOwners(64, new RingPool({ slots: SLOTS }));
    expect(owners.decide(0, 5, FIRST, 1)).to.equal(KEPT); // never arrives, and nothing else goes to the first target
    settle(owners, 6, SLOTS + 4);
    expect(owners.decide(0, SLOTS + 5, SECOND, 1000)).to.equal(KEPT);
    expect(owners.decide(0, 5, SECOND, 1001)).to.equal(REPLAY);
  });

  it('keeps the place while the window would still take the number', () => {
    const owners = new InboundOwners(64, new RingPool({ slots: SLOTS }));
    owners.decide(0, 5, FIRST, 1);
    expect(owners.decide(0, SLOTS + 5, SECOND, 1)).to.equal(OPEN_HERE);
    expect(owners.decide(0, 5, SECOND, 2)).to.equal(OPEN_HERE);
  });

  it('does not call a late report of such a number a lie, and counts one for each', () => {
    const owners = new InboundOwners(64, new RingPool({ slots: SLOTS }));
    owners.decide(0, 5, FIRST, 1);
    settle(owners, 6, SLOTS + 5);
    expect(owners.reported(FIRST, packNumbers([5n]), 1)).to.deep.equal({ committed: 0, refused: 0 });
    expect(owners.reported(FIRST, packNumbers([5n]), 1)).to.deep.equal({ committed: 0, refused: 1 });
  });

  it('believes reports of an SA without replay check: nobody owns its numbers', () => {
    const owners = new InboundOwners(0, new RingPool({ slots: SLOTS }));
    expect(owners.decide(0, 5, FIRST, 1)).to.equal(KEPT);
    expect(owners.reported(FIRST, packNumbers([5n]), 1).refused).to.equal(0);
  });

  it('becomes larger where two numbers on their way want one place, and keeps what is in it', () => {
    const pool = new RingPool({ slots: SLOTS, first: 8 });
    const owners = new InboundOwners(64, pool);
    for (let number = 1; number <= SLOTS; number++) {
      expect(owners.decide(0, number, FIRST, number, 1000 + number), `number ${number}`).to.equal(KEPT);
    }
    expect(pool.used).to.equal(SLOTS);
    expect(owners.decide(0, SLOTS + 1, FIRST, SLOTS + 1), 'no ring is larger').to.equal(OPEN_HERE);
    expect(owners.moved(0, SLOTS, FIRST, 1000 + SLOTS)).to.equal('moved');
    for (let number = 1; number <= SLOTS; number++) {
      expect(owners.decide(0, number, SECOND, number), `number ${number}`).to.equal(OPEN_HERE);
      expect(owners.reported(FIRST, packNumbers([BigInt(number)]), 0).committed).to.equal(1);
    }
  });

  it('keeps claims and burnt numbers when it becomes larger', () => {
    const owners = new InboundOwners(4096, new RingPool({ slots: SLOTS, first: 8 }));
    owners.decide(0, 3, FIRST, 1);
    owners.targetLost(FIRST);
    owners.decide(0, 4, SECOND, 1);
    expect(owners.opened(0, 4)).to.deep.equal({ kind: 'claim', owner: SECOND });
    for (const number of [3 + 8, 4 + 8]) expect(owners.decide(0, number, SECOND, number)).to.equal(KEPT);
    expect(owners.decide(0, 3, SECOND, 100), 'burnt').to.equal(REPLAY);
    expect(owners.decide(0, 4, SECOND, 100), 'a copy waits').to.equal(REPLAY);
    expect(owners.claimAnswered(0, 4, SECOND, true)).to.equal('deliver');
  });

  it('stays small where the pool has no room, and what finds no place is opened here', () => {
    const pool = new RingPool({ slots: 32, first: 8, rings: 1 });
    const [one, two] = [new InboundOwners(64, pool), new InboundOwners(64, pool)];
    for (let number = 1; number <= 16; number++) one.decide(0, number, FIRST, number);
    expect(pool.used).to.equal(16);
    for (let number = 1; number <= 8; number++) two.decide(0, number, FIRST, number);
    expect(two.decide(0, 9, FIRST, 9)).to.equal(OPEN_HERE);
    one.close();
    expect(two.decide(0, 9, FIRST, 10)).to.equal(KEPT);
  });

  it('meets no other number of a ring that was given back', () => {
    const pool = new RingPool({ slots: 8, rings: 1 });
    const [one, two] = [new InboundOwners(64, pool), new InboundOwners(64, pool)];
    for (let number = 1; number <= 8; number++) one.decide(0, number, FIRST, number);
    one.close();
    for (let number = 1; number <= 8; number++) expect(two.decide(0, number, SECOND, number)).to.equal(KEPT);
  });
});
