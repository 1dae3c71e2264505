import { expect } from 'chai';
import { KEEP, OPEN_HERE, verdictOf } from '../../src/base/verdict.ts';
import { packNumbers } from '../../src/ipsec/number-ranges.ts';
import { InboundOwners } from '../../src/ipsec/inbound-owners.ts';
import { RingPool, UNSETTLED_SLOTS } from '../../src/ipsec/unsettled-ring.ts';

const REPLAY = verdictOf('replay');
const A = 0;
const B = 1;

/** Number 5 was sent to A; a copy for B was opened here, and A is asked. */
function claimed(): InboundOwners {
  const owners = new InboundOwners(64);
  owners.decide(0, 5, A, 1);
  expect(owners.decide(0, 5, B, 1)).equal(OPEN_HERE);
  expect(owners.opened(0, 5)).deep.equal({ kind: 'claim', owner: A });
  return owners;
}

describe('inbound owners, of packets opened on the routing host', () => {
  it('takes a number at once that no target has', () => {
    const owners = new InboundOwners(64);
    expect(owners.opened(0, 9)).deep.equal({ kind: 'deliver' });
    expect(owners.top).equal(9n);
    expect(owners.opened(0, 9)).deep.equal({ kind: 'replay' });
    expect(owners.decide(0, 9, A, 1)).equal(REPLAY);
  });

  it('takes a number at once whose place another number has, and leaves that one to its owner', () => {
    const owners = new InboundOwners(4096, new RingPool({ slots: 128 }));
    owners.decide(0, 5, A, 1);
    expect(owners.decide(0, 5 + 128, A, 2)).equal(OPEN_HERE);
    expect(owners.opened(0, 5 + 128)).deep.equal({ kind: 'deliver' });
    expect(owners.reported(A, packNumbers([5n]), 1)).deep.equal({ committed: 1, refused: 0 });
    for (const number of [5, 5 + 128]) expect(owners.decide(0, number, B, 1)).equal(REPLAY);
  });

  it('asks the owner of a number that is not settled, once', () => {
    const owners = claimed();
    expect(owners.decide(0, 5, A, 2), 'a copy waits').equal(REPLAY);
    expect(owners.decide(0, 5, B, 2)).equal(REPLAY);
    expect(owners.opened(0, 5)).deep.equal({ kind: 'replay' });
  });

  it('delivers when the owner has given the number up, and spends it', () => {
    const owners = claimed();
    expect(owners.claimAnswered(0, 5, A, true)).equal('deliver');
    expect(owners.decide(0, 5, B, 2)).equal(REPLAY);
    expect(owners.top).equal(5n);
    expect(owners.reported(A, packNumbers([5n]), 1).refused, 'it gave it up').equal(1);
  });

  it('delivers nothing when the owner has it, whichever of answer and report comes first', () => {
    const answered = claimed();
    expect(answered.claimAnswered(0, 5, A, false)).equal('replay');
    expect(answered.reported(A, packNumbers([5n]), 1)).deep.equal({ committed: 1, refused: 0 });
    const reported = claimed();
    expect(reported.reported(A, packNumbers([5n]), 1)).deep.equal({ committed: 1, refused: 0 });
    expect(reported.claimAnswered(0, 5, A, false)).equal('replay');
    for (const owners of [answered, reported]) expect(owners.decide(0, 5, B, 2)).equal(REPLAY);
  });

  it('lets a floor settle nothing that was asked for', () => {
    const owners = claimed();
    owners.reported(A, packNumbers([]), 1);
    expect(owners.decide(0, 5, B, 2)).equal(REPLAY);
    expect(owners.claimAnswered(0, 5, A, true)).equal('deliver');
  });

  it('needs no asking when the floor has settled the number', () => {
    const owners = new InboundOwners(64);
    owners.decide(0, 5, A, 1);
    owners.reported(A, packNumbers([]), 1);
    expect(owners.opened(0, 5)).deep.equal({ kind: 'deliver' });
  });

  it('keeps the place of a number that was asked for', () => {
    const owners = claimed();
    expect(owners.decide(0, 5 + UNSETTLED_SLOTS, B, 2)).equal(OPEN_HERE);
    expect(owners.opened(0, 5 + UNSETTLED_SLOTS)).deep.equal({ kind: 'deliver' });
  });

  it('delivers what the window has passed while the owner was asked: it came in time, and nobody else gets it', () => {
    const owners = claimed();
    expect(owners.opened(0, 5 + 64)).deep.equal({ kind: 'deliver' });
    expect(owners.check(0, 5), 'left of the window by now').equal(false);
    expect(owners.claimAnswered(0, 5, A, true)).equal('deliver');
    for (const target of [A, B]) expect(owners.decide(0, 5, target, 9)).equal(REPLAY);
    expect(owners.opened(0, 5)).deep.equal({ kind: 'replay' });
    expect(owners.claimAnswered(0, 5, A, true), 'once').equal('refused');
  });

  it('delivers nothing that another window says was delivered, while the owner was asked', () => {
    const owners = claimed();
    owners.merge({ top: 8n, bitmap: Uint8Array.of(0b1000) });
    expect(owners.claimAnswered(0, 5, A, true)).equal('replay');
  });

  it('burns the number when the owner is lost before it answers', () => {
    const owners = claimed();
    owners.reported(A, packNumbers([]), 1);
    expect(owners.targetLost(A), 'whatever its floor said').equal(1);
    expect(owners.claimAnswered(0, 5, A, true)).equal('refused');
    expect(owners.decide(0, 5, B, 2)).equal(REPLAY);
    expect(owners.opened(0, 5)).deep.equal({ kind: 'replay' });
  });

  it('does not burn what was reported before the owner was lost', () => {
    const owners = claimed();
    owners.reported(A, packNumbers([5n]), 0);
    expect(owners.targetLost(A)).equal(0);
    expect(owners.decide(0, 5, B, 2)).equal(REPLAY);
  });

  it('believes an answer of the owner only, to what it was asked', () => {
    const owners = claimed();
    expect(owners.claimAnswered(0, 5, B, true)).equal('refused');
    expect(owners.claimAnswered(0, 6, A, true)).equal('refused');
    expect(owners.claimAnswered(1, 5, A, true)).equal('refused');
    owners.reported(A, packNumbers([5n]), 0);
    expect(owners.claimAnswered(0, 5, A, true), 'it has reported it').equal('refused');
    expect(owners.opened(0, 5)).deep.equal({ kind: 'replay' });
  });
});

describe('rings of unsettled numbers', () => {
  it('are taken with the first packet and given back when idle and settled', () => {
    const pool = new RingPool({ slots: 128, rings: 2 });
    const owners = new InboundOwners(64, pool);
    expect(pool.used).equal(0);
    owners.decide(0, 5, A, 1);
    owners.releaseIfIdle();
    owners.releaseIfIdle();
    expect(pool.used, 'number 5 is open').above(0);
    owners.reported(A, packNumbers([5n]), 1);
    owners.releaseIfIdle();
    expect(pool.used).equal(0);
    expect(owners.decide(0, 5, B, 1)).equal(REPLAY);
    expect(owners.decide(0, 6, B, 1)).equal(KEEP);
  });

  it('are kept while a burnt number beyond the top is refused by nothing else', () => {
    const pool = new RingPool({ slots: 128 });
    const owners = new InboundOwners(64, pool);
    owners.decide(0, 5, A, 1);
    owners.targetLost(A);
    for (let i = 0; i < 3; i++) owners.releaseIfIdle();
    expect(pool.used).above(0);
    expect(owners.decide(0, 5, B, 1)).equal(REPLAY);
    owners.opened(0, 9);
    for (let i = 0; i < 3; i++) owners.releaseIfIdle();
    expect(pool.used).equal(0);
    expect(owners.decide(0, 5, B, 1)).equal(REPLAY);
  });

  it('are so many in all: who gets none has its packets opened on the routing host', () => {
    const pool = new RingPool({ slots: 128, rings: 1, first: 128 });
    const [one, two] = [new InboundOwners(64, pool), new InboundOwners(64, pool)];
    one.decide(0, 5, A, 1);
    expect(two.decide(0, 5, A, 1)).equal(OPEN_HERE);
    expect(two.opened(0, 5)).deep.equal({ kind: 'deliver' });
    expect(two.decide(0, 5, A, 1)).equal(REPLAY);
    one.close();
    expect(two.decide(0, 6, A, 1)).equal(KEEP);
  });
});
