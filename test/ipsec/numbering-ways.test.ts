import { expect } from 'chai';
import { ACTIVITY_MS, LINK_SLACK, REKEY_SENDER_ID } from '../../src/ipsec/numbering-constants.ts';
import { NumberingHolder, TAKE_STAMP, TAKE_WAIT } from '../../src/ipsec/numbering-holder.ts';
import { Desk, STAMPING_OR_EXCLUSIVE } from './numbering-desk.ts';

const STAMPING_ONLY = { sharedWay: 'stamping', allowsExclusive: false } as const;

const desk = (ways: typeof STAMPING_OR_EXCLUSIVE = STAMPING_OR_EXCLUSIVE) =>
  new Desk('new', undefined, false, 1000, ways);

describe('numbering owner, where packets can be stamped', () => {
  it('tells both targets to have their packets stamped when a second one wants to send', () => {
    const { desk: both } = Desk.exclusive(STAMPING_OR_EXCLUSIVE);
    const ways = both.request('b').filter(({ kind }) => kind === 'way');
    expect(ways).to.deep.equal([
      { kind: 'way', target: 'a', way: 'stamping' },
      { kind: 'way', target: 'b', way: 'stamping' },
    ]);
  });

  it('takes no sender id for itself: it seals nothing', () => {
    const restored = new Desk(
      'restored',
      { nextSequence: 65_537n, nextSenderId: 17 },
      false,
      1000,
      STAMPING_OR_EXCLUSIVE,
    );
    restored.ready('a');
    expect([restored.owner.iv, restored.owner.senderIdOf('a')]).to.deep.equal([undefined, 17]);
  });

  it('gives numbers for what is to be stamped though it has no sender id', () => {
    const shared = Desk.shared(STAMPING_OR_EXCLUSIVE);
    expect(shared.owner.takeNumbers(1, shared.now)).to.equal(11);
  });

  it('knows the sender id of a target that is there, and none of one that is lost or was never there', () => {
    const one = desk();
    one.ready('a');
    expect([one.owner.senderIdOf('a'), one.owner.senderIdOf('b')]).to.deep.equal([1, undefined]);
    one.do(0, (owner, now) => owner.targetLost('a', now));
    expect(one.owner.senderIdOf('a')).to.equal(undefined);
  });

  it('gives no way and no lease to a target whose sender id is not stored yet', () => {
    const slow = desk();
    slow.ready('a');
    slow.holdStore = true;
    for (let i = 0; i < 16; i++) slow.do(0, (owner, now) => owner.targetReady('b', BigInt(i), now));
    expect(slow.owner.senderIdOf('b')).to.equal(undefined);
    expect(slow.request('b')).to.deep.equal([]);
    const write = slow.stored.at(-1);
    if (write === undefined) throw new Error('nothing stored');
    slow.holdStore = false;
    const kinds = slow.do(1, (owner, now) => owner.storeDone(write, now)).map(({ kind }) => kind);
    expect(kinds).to.deep.equal(['sender-id', 'grant']);
  });

  it('knows how many packets each target can have sent: lease less what came back, and what it had stamped', () => {
    const { desk: both, lease } = Desk.exclusive(STAMPING_OR_EXCLUSIVE);
    const usable = (target: string) => (both.owner.numbersUsableBy(target) ?? 0) - LINK_SLACK;
    expect(usable('a')).to.equal(72);
    both.request('b');
    both.do(1, (owner, now) => owner.leaseReturn('a', lease, 17n, now));
    expect(usable('a')).to.equal(18);
    for (let i = 1; i <= 16; i++) both.do(0, (owner, now) => owner.sharedArrived('b', i, now));
    expect([usable('a'), usable('b')]).to.deep.equal([18, 18]);
    both.do(1, (owner, now) => owner.targetLost('b', now));
    both.ready('b');
    expect(usable('b'), 'the same incarnation is back').to.equal(18);
    both.do(1, (owner, now) => owner.targetReady('b', 2n, now));
    expect(usable('b'), 'a new one').to.equal(0);
  });

  it('on the funnel counts leases only, since the routing host seals the rest; of an older SA it knows nothing', () => {
    const shared = Desk.shared();
    shared.do(0, (owner, now) => owner.sharedArrived('b', 1, now));
    expect([shared.owner.numbersUsableBy('a'), shared.owner.numbersUsableBy('b')]).to.deep.equal([10, 0]);
    const restored = new Desk('restored', { nextSequence: 65_537n, nextSenderId: 17 });
    restored.ready('a');
    expect(restored.owner.numbersUsableBy('a')).to.equal(undefined);
  });

  it('asks for a rekey when sender ids run out', () => {
    const marks = { nextSequence: 65_537n, nextSenderId: REKEY_SENDER_ID };
    const late = new Desk('restored', marks, false, 1000, STAMPING_OR_EXCLUSIVE);
    expect(late.ready('a')).to.deep.include({ kind: 'rekey', cause: 'sender-ids' });
  });
});

describe('numbering owner, where no target may send past the routing host', () => {
  it('has even a lone target stamped, and grants no lease', () => {
    const lone = desk(STAMPING_ONLY);
    lone.ready('a');
    expect(lone.request('a')).to.deep.equal([{ kind: 'way', target: 'a', way: 'stamping' }]);
    for (let i = 1; i <= 30; i++) {
      const actions = lone.do(100, (owner, now) => owner.sharedArrived('a', i, now));
      expect(actions).to.deep.equal([]);
    }
    expect(lone.owner.state.name).to.equal('shared');
  });

  it('forgets the way when nobody sends', () => {
    const lone = desk(STAMPING_ONLY);
    lone.ready('a');
    lone.request('a');
    lone.wait(ACTIVITY_MS + 200);
    expect(lone.owner.state.name).to.equal('idle');
    lone.do(0, (owner, now) => owner.sharedArrived('a', 1, now));
    expect(lone.owner.state.name).to.equal('shared');
  });
});

describe('numbering holder, told to have its packets stamped', () => {
  it('numbers nothing itself until it is told otherwise, and flushes with its last counter', () => {
    const holder = new NumberingHolder();
    expect(holder.take(1, 0)).to.equal(TAKE_WAIT);
    holder.takeActions();
    holder.way('stamping', 0n, 1);
    expect(holder.take(3, 2)).to.equal(TAKE_STAMP);
    expect(holder.granted(1, 1n, 64, 200, 3), 'a grant that came late').to.equal(false);
    holder.takeActions();
    holder.way('exclusive', 3n, 4);
    expect(holder.takeActions()).to.deep.include({ kind: 'flush', counter: 3n });
    expect(holder.take(1, 5)).to.equal(TAKE_WAIT);
  });
});
