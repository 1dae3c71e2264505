import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP, OPEN_HERE, verdictOf } from '../../src/base/verdict.ts';
import { packNumbers } from '../../src/ipsec/number-ranges.ts';
import { InboundOwners } from '../../src/ipsec/inbound-owners.ts';
import { RingPool } from '../../src/ipsec/unsettled-ring.ts';
import { snapshotRefuses } from '../../src/ipsec/replay-snapshot.ts';

const REPLAY = verdictOf('replay');
const A = 0;
const B = 1;

describe('inbound owners', () => {
  it('gives a number to one target, as often as it comes, and to no other', () => {
    const owners = new InboundOwners(64);
    expect(owners.decide(0, 5, A, 1)).equal(KEEP);
    expect(owners.decide(0, 5, A, 2)).equal(KEEP);
    expect(owners.decide(0, 5, B, 1)).equal(OPEN_HERE);
  });

  it('moves no window by what merely passes by (RFC 4303 section 3.4.3)', () => {
    const owners = new InboundOwners(64);
    owners.decide(0, 1_000_000, A, 1);
    expect(owners.top).equal(0n);
    expect(owners.check(0, 1)).equal(true);
  });

  it('refuses a number that was reported, and everything left of the window', () => {
    const owners = new InboundOwners(64);
    owners.decide(0, 100, A, 1);
    expect(owners.reported(A, packNumbers([100n]), 1)).deep.equal({ committed: 1, refused: 0 });
    expect(owners.top).equal(100n);
    expect(owners.decide(0, 100, A, 2)).equal(REPLAY);
    expect(owners.decide(0, 36, A, 2)).equal(REPLAY);
    expect(owners.decide(0, 37, B, 1)).equal(KEEP);
  });

  it('frees a number by the floor: it was not genuine, or was lost on the link', () => {
    const owners = new InboundOwners(64);
    owners.decide(0, 5, A, 1);
    owners.decide(0, 6, A, 2);
    owners.reported(A, packNumbers([]), 1);
    expect(owners.decide(0, 5, B, 1)).equal(KEEP);
    expect(owners.decide(0, 6, B, 2)).equal(OPEN_HERE);
    owners.reported(A, packNumbers([]), 0);
    expect(owners.decide(0, 6, B, 3), 'a floor never goes back').equal(OPEN_HERE);
  });

  it('does not free a number that was sent again after the floor', () => {
    const owners = new InboundOwners(64);
    owners.decide(0, 5, A, 1);
    owners.decide(0, 5, A, 2);
    owners.reported(A, packNumbers([]), 1);
    expect(owners.decide(0, 5, B, 1)).equal(OPEN_HERE);
  });

  it('believes a target only about numbers it was given', () => {
    const owners = new InboundOwners(64);
    owners.decide(0, 5, A, 1);
    expect(owners.reported(B, packNumbers([5n]), 0)).deep.equal({ committed: 0, refused: 1 });
    expect(owners.reported(A, packNumbers([5n, 1_000_000n]), 1)).deep.equal({ committed: 1, refused: 1 });
    expect(owners.top).equal(5n);
  });

  it('keeps two unsettled numbers in one place apart', () => {
    const owners = new InboundOwners(64, new RingPool({ slots: 128 }));
    owners.decide(0, 5, A, 1);
    expect(owners.decide(0, 5 + 128, A, 2)).equal(OPEN_HERE);
    expect(owners.decide(1, 5, A, 2)).equal(OPEN_HERE);
    owners.reported(A, packNumbers([5n]), 1);
    expect(owners.decide(0, 5 + 128, A, 2)).equal(KEEP);
  });

  it('burns what a lost target had and did not report', () => {
    const owners = new InboundOwners(64);
    for (const [i, number] of [5, 6, 7, 8].entries()) owners.decide(0, number, A, i + 1);
    owners.reported(A, packNumbers([6n]), 1);
    expect(owners.targetLost(A)).equal(2);
    expect(owners.undecided).equal(2);
    expect(owners.decide(0, 5, B, 1), 'settled by the floor').equal(KEEP);
    for (const number of [6, 7, 8]) expect(owners.decide(0, number, B, 2), `${number}`).equal(REPLAY);
  });

  it('keeps a burnt number refused when the window reaches it and its place is used again', () => {
    const owners = new InboundOwners(64, new RingPool({ slots: 128 }));
    owners.decide(0, 50, A, 1);
    owners.targetLost(A);
    owners.decide(0, 60, B, 1);
    owners.reported(B, packNumbers([60n]), 1);
    expect(owners.decide(0, 50 + 128, B, 2)).equal(KEEP);
    expect(owners.decide(0, 50, B, 3)).equal(REPLAY);
  });

  it('gives a joining target everything that is reported or burnt', () => {
    const owners = new InboundOwners(64);
    for (const [i, number] of [5, 6, 7].entries()) owners.decide(0, number, A, i + 1);
    owners.decide(0, 9, B, 1);
    owners.reported(B, packNumbers([9n]), 1);
    owners.targetLost(A);
    const snapshot = owners.snapshot();
    const refused = [4n, 5n, 6n, 7n, 8n, 9n, 10n].map((number) => snapshotRefuses(snapshot, number));
    expect(refused).deep.equal([false, true, true, true, false, true, false]);
  });

  it('takes in the windows of the targets after a restart', () => {
    const before = new InboundOwners(64);
    for (const [i, number] of [5, 6].entries()) before.decide(0, number, A, i + 1);
    before.reported(A, packNumbers([5n, 6n]), 2);
    const after = new InboundOwners(64);
    after.merge(before.snapshot());
    expect([4, 5, 6, 7].map((number) => after.check(0, number))).deep.equal([true, false, false, true]);
  });

  it('works with extended numbers', () => {
    const owners = new InboundOwners(64);
    owners.decide(0, 0xffff_ffff, A, 1);
    owners.reported(A, packNumbers([0xffff_ffffn]), 1);
    expect(owners.inferHigh(3)).equal(1);
    expect(owners.decide(1, 3, A, 2)).equal(KEEP);
    expect(owners.reported(A, packNumbers([0x1_0000_0003n]), 2).committed).equal(1);
    expect(owners.top).equal(0x1_0000_0003n);
  });

  it('believes of a range what it would believe of its numbers one by one', () => {
    const sent = fc.record({ number: fc.integer({ min: 1, max: 400 }), target: fc.constantFrom(A, B) });
    const report = fc.record({
      target: fc.constantFrom(A, B),
      first: fc.integer({ min: 0, max: 400 }),
      count: fc.integer({ min: 1, max: 120 }),
      floor: fc.integer({ min: 0, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(sent, { maxLength: 200 }), fc.array(report), (all, reports) => {
        const [ranges, singles] = [new InboundOwners(128), new InboundOwners(128)];
        for (const owners of [ranges, singles])
          for (const [i, { number, target }] of all.entries()) owners.decide(0, number, target, i + 1);
        for (const { target, first, count, floor } of reports) {
          const numbers = Array.from({ length: count }, (_, n) => BigInt(first + n));
          const together = ranges.reported(target, packNumbers(numbers), floor);
          const each = numbers.map((number) => singles.reported(target, packNumbers([number]), 0));
          singles.reported(target, packNumbers([]), floor);
          const sum = (of: 'committed' | 'refused') => each.reduce((all, outcome) => all + outcome[of], 0);
          expect(together).deep.equal({ committed: sum('committed'), refused: sum('refused') });
        }
        expect(ranges.snapshot()).deep.equal(singles.snapshot());
        const decisions = (owners: InboundOwners) =>
          Array.from({ length: 400 }, (_, n) => owners.preview(0, n, A));
        expect(decisions(ranges)).deep.equal(decisions(singles));
      }),
    );
  });

  it('believes no number whose dispatch the floor has passed', () => {
    const owners = new InboundOwners(64);
    for (const [i, number] of [5, 6, 7].entries()) owners.decide(0, number, A, i + 1);
    owners.reported(A, packNumbers([]), 2);
    expect(owners.reported(A, packNumbers([5n, 6n, 7n]), 2)).deep.equal({ committed: 1, refused: 2 });
    expect(owners.top).equal(7n);
  });

  it('sends everything where the replay check is off', () => {
    const owners = new InboundOwners(0);
    expect([owners.decide(0, 5, A, 1), owners.decide(0, 5, B, 1)]).deep.equal([KEEP, KEEP]);
  });
});
