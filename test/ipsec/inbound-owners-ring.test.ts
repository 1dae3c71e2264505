import { expect } from 'chai';
import { OPEN_HERE, verdictOf } from '../../src/base/verdict.ts';
import { packNumbers } from '../../src/coupling/records.ts';
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
});
