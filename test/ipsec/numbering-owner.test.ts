import { expect } from 'chai';
import type { OwnerAction } from '../../src/ipsec/numbering-actions.ts';
import { FLUSH_WAIT_MS } from '../../src/ipsec/numbering-constants.ts';
import type { Marks } from '../../src/ipsec/numbering-marks.ts';
import { NumberingOwner } from '../../src/ipsec/numbering-owner.ts';
import { Desk, FUNNEL_OR_EXCLUSIVE } from './numbering-desk.ts';

describe('numbering owner', () => {
  it('grants nothing before the store has the marks, and grants at once when it has', () => {
    const desk = new Desk();
    desk.holdStore = true;
    const fresh = new NumberingOwner({
      origin: 'new',
      hasEsn: false,
      epoch: 1,
      now: 0,
      ...FUNNEL_OR_EXCLUSIVE,
    });
    const [store] = fresh.takeActions();
    expect(store).property('kind', 'store-marks');
    fresh.targetReady('a', 1n, 0);
    fresh.leaseRequest('a', 64, 0);
    expect(fresh.takeActions()).deep.equal([]);
    fresh.storeDone((store as { marks: Marks }).marks, 1);
    expect(fresh.takeActions().map(({ kind }) => kind)).deep.equal(['sender-id', 'grant']);
  });

  it('never uses a number above the acknowledged mark', () => {
    const desk = Desk.shared();
    desk.holdStore = true;
    const last = Number(desk.stored.at(-1)?.nextSequence) - 1;
    let highest = 0;
    for (let i = 0; i < 200; i++) {
      desk.do(0, (owner, now) => {
        const first = owner.takeNumbers(1000, now);
        if (first > 0) highest = first + 999;
      });
    }
    expect(highest).within(last - 999, last);
    const write = desk.stored.at(-1) as Marks;
    expect(desk.do(1, (owner, now) => owner.storeDone(write, now))).deep.equal([{ kind: 'shared-open' }]);
    expect(desk.owner.takeNumbers(1000, desk.now)).equal(highest + 1);
  });

  it('believes only the acknowledgement of the write in flight', () => {
    const desk = new Desk();
    desk.holdStore = true;
    desk.ready('a');
    desk.owner.storeDone({ nextSequence: 10n ** 6n, nextSenderId: 500 }, desk.now);
    expect(desk.owner.nextSequence).equal(1);
  });

  it('gives sender ids ascending from 1, one per incarnation, and never the same again', () => {
    const desk = new Desk();
    const id = (actions: OwnerAction[]) => (actions[0] as { senderId: number }).senderId;
    expect(id(desk.ready('a'))).equal(1);
    expect(id(desk.ready('b'))).equal(2);
    expect(id(desk.do(0, (owner, now) => owner.targetReady('a', 1n, now))), 'same incarnation').equal(1);
    expect(id(desk.do(0, (owner, now) => owner.targetReady('a', 2n, now))), 'restarted').equal(3);
    desk.do(0, (owner, now) => owner.targetRemoved('b', now));
    expect(id(desk.do(0, (owner, now) => owner.targetReady('b', 1n, now))), 'SA was removed').equal(4);
  });

  it('never lets a target with a sender id wait behind one without', () => {
    const desk = new Desk();
    desk.ready('a');
    desk.holdStore = true;
    for (let i = 0; i < 16; i++) desk.do(0, (owner, now) => owner.targetReady('b', BigInt(i), now));
    const actions = desk.do(0, (owner, now) => owner.targetReady('a', 1n, now));
    expect(actions).deep.include({ kind: 'sender-id', target: 'a', incarnation: 1n, senderId: 1 });
  });

  it('is sender 0 in its first life and takes a fresh id after a restart', () => {
    expect(new Desk().owner.iv?.senderId).equal(0);
    const restored = new Desk('restored', { nextSequence: 65537n, nextSenderId: 17 });
    expect(restored.owner.iv?.senderId).equal(17);
    expect((restored.ready('a')[0] as { senderId: number }).senderId).equal(18);
    expect(restored.stored[0]?.nextSenderId).greaterThan(18);
  });

  it('takes the exclusive way for a lone target and continues its lease without a gap', () => {
    const { desk, lease } = Desk.exclusive();
    expect(desk.owner.state).deep.equal({ name: 'exclusive', target: 'a' });
    expect(desk.request('a', 100, 50)).deep.equal([
      { kind: 'grant', target: 'a', lease, first: 65n, count: 100, ttlMs: 200 },
    ]);
  });

  it('lets a lease grow by a factor of 8 at a time, up to 16384', () => {
    const { desk } = Desk.exclusive();
    const counts = [1, 2, 3, 4].map(() => (desk.request('a', 1e9, 1)[0] as { count: number }).count);
    expect(counts).deep.equal([512, 4096, 16384, 16384]);
  });

  it('tells the holder how long its request has waited', () => {
    const desk = new Desk('restored', { nextSequence: 1000n, nextSenderId: 2 });
    desk.ready('a');
    expect(desk.request('a')).deep.equal([]);
    const [grant] = desk.wait(300);
    expect(grant).include({ kind: 'grant', first: 1000n, ttlMs: 200 + 223 });
  });

  it('revokes when another target wants to send, and opens the funnel Delta after the return', () => {
    const { desk, lease } = Desk.exclusive();
    expect(desk.request('b')).deep.equal([
      { kind: 'way', target: 'a', way: 'funnel' },
      { kind: 'revoke', target: 'a', lease },
      { kind: 'way', target: 'b', way: 'funnel' },
    ]);
    desk.do(0.5, (owner, now) => {
      expect(owner.sharedArrived('b', 1, now)).equal(true);
      expect(owner.takeNumbers(3, now), 'lease is still out').equal(-1);
    });
    desk.do(0.5, (owner, now) => expect(owner.leaseReturn('a', lease, 11n, now)).equal(true));
    expect(desk.owner.takeNumbers(3, desk.now + 0.9), 'Delta').equal(-1);
    expect(desk.wait(1)).deep.equal([{ kind: 'shared-open' }]);
    expect(desk.owner.takeNumbers(3, desk.now), 'highest used + 1').equal(11);
  });

  it('burns the lease of a holder that does not answer, and keeps silence for D before the jump', () => {
    const { desk } = Desk.exclusive();
    desk.request('b', 64, 100);
    desk.do(0, (owner, now) => owner.sharedArrived('b', 1, now));
    expect(desk.owner.takeNumbers(1, desk.now)).equal(-1);
    expect(desk.wait(100 + 3 + 19.9)).deep.equal([]);
    expect(desk.owner.takeNumbers(1, desk.now)).equal(-1);
    expect(desk.wait(0.2)).deep.equal([{ kind: 'shared-open' }]);
    expect(desk.owner.takeNumbers(1, desk.now)).equal(65);
    expect(desk.owner.books.expiredLeases).equal(1);
  });

  it('burns the lease of a lost target in the same way', () => {
    const { desk } = Desk.exclusive();
    desk.do(10, (owner, now) => owner.targetLost('a', now));
    expect(desk.request('b')).deep.equal([{ kind: 'way', target: 'b', way: 'funnel' }]);
    desk.do(0, (owner, now) => owner.sharedArrived('b', 1, now));
    expect(desk.owner.takeNumbers(1, desk.now)).equal(-1);
    desk.wait(220);
    expect(desk.owner.takeNumbers(1, desk.now)).equal(65);
  });

  it('believes a return only of the holder, of its lease, within its numbers, and once', () => {
    const { desk, lease } = Desk.exclusive();
    const returns = (target: string, id: number, firstUnused: bigint) =>
      desk.owner.leaseReturn(target, id, firstUnused, desk.now);
    expect(returns('b', lease, 5n)).equal(false);
    expect(returns('a', lease + 1, 5n)).equal(false);
    expect(returns('a', lease, 0n)).equal(false);
    expect(returns('a', lease, 66n)).equal(false);
    expect(returns('stranger', lease, 5n)).equal(false);
    desk.do(0, (owner, now) => owner.targetReady('a', 2n, now));
    expect(returns('a', lease, 5n), 'another incarnation').equal(false);
    expect(desk.owner.nextSequence).equal(65);
    const second = Desk.exclusive();
    expect(second.desk.owner.leaseReturn('a', second.lease, 5n, 1001)).equal(true);
    expect(second.desk.owner.leaseReturn('a', second.lease, 5n, 1001)).equal(false);
  });

  it('does not take a return of an expired lease', () => {
    const { desk, lease } = Desk.exclusive();
    expect(desk.owner.leaseReturn('a', lease, 5n, desk.now + 203)).equal(false);
    expect(desk.owner.nextSequence).equal(65);
  });

  it('gives the next life of a holder no numbers before the lease of its last life is dead and silent', () => {
    const { desk, lease } = Desk.exclusive();
    desk.do(50, (owner, now) => owner.targetReady('a', 2n, now));
    expect(desk.request('a')).deep.equal([]);
    expect(desk.wait(203 + 20 - 50 - 1)).deep.equal([]);
    const [grant] = desk.wait(1);
    expect(grant).include({ kind: 'grant', target: 'a', first: 65n });
    expect(grant).property('lease').not.equal(lease);
  });

  it('goes idle when the holder has been silent for a second', () => {
    const { desk, lease } = Desk.exclusive();
    desk.do(100, (owner, now) => owner.leaseReturn('a', lease, 11n, now));
    desk.wait(999);
    expect(desk.owner.state.name).equal('exclusive');
    desk.wait(1);
    expect(desk.owner.state.name).equal('idle');
    expect(desk.request('b')[0]).include({ kind: 'grant', target: 'b', first: 11n });
  });

  it('moves the lone sender of the funnel to the exclusive way, after its flush and Delta', () => {
    const desk = Desk.shared();
    const actions: OwnerAction[] = [];
    for (let i = 1; i <= 12; i++) {
      actions.push(...desk.do(100, (owner, now) => owner.sharedArrived('b', i, now)));
      desk.owner.takeNumbers(1, desk.now);
    }
    expect(actions).deep.equal([{ kind: 'way', target: 'b', way: 'exclusive' }]);
    const { nextSequence } = desk.owner;
    desk.request('b', 64, 0.1);
    expect(
      desk.do(0, (owner, now) => owner.flush('b', 13n, now)),
      'counter 13 is missing',
    ).deep.equal([]);
    expect(desk.owner.takeNumbers(1, desk.now), 'still numbered').equal(nextSequence);
    expect(desk.do(0.5, (owner, now) => owner.sharedArrived('b', 13, now))).deep.equal([]);
    expect(desk.owner.takeNumbers(1, desk.now)).equal(nextSequence + 1);
    const [grant] = desk.wait(1);
    expect(grant).include({ kind: 'grant', target: 'b', first: BigInt(nextSequence + 2) });
  });

  it('goes back to the funnel for a link packet that comes after its flush was answered by a grant', () => {
    const desk = Desk.shared();
    for (let i = 1; i <= 12; i++) desk.do(100, (owner, now) => owner.sharedArrived('b', i, now));
    const { nextSequence } = desk.owner;
    desk.request('b', 64);
    desk.do(0, (owner, now) => owner.flush('b', 13n, now));
    expect(desk.wait(FLUSH_WAIT_MS)[0]).include({ kind: 'grant', target: 'b', first: BigInt(nextSequence) });
    const [way, revoke] = desk.do(100, (owner, now) => {
      expect(owner.sharedArrived('b', 13, now)).equal(true);
    });
    expect(way).deep.equal({ kind: 'way', target: 'b', way: 'funnel' });
    expect(revoke).include({ kind: 'revoke', target: 'b' });
    expect(desk.owner.takeNumbers(1, desk.now), 'while the lease lives').equal(-1);
    const lease = revoke?.kind === 'revoke' ? revoke.lease : 0;
    desk.do(1, (owner, now) => owner.leaseReturn('b', lease, BigInt(nextSequence + 5), now));
    expect(desk.wait(1)).deep.equal([{ kind: 'shared-open' }]);
    expect(desk.owner.takeNumbers(1, desk.now)).equal(nextSequence + 5);
  });

  it('numbers the last link packet of a flush, though Delta has passed when it comes', () => {
    const desk = Desk.shared();
    for (let i = 1; i <= 12; i++) {
      desk.do(100, (owner, now) => owner.sharedArrived('b', i, now));
      desk.owner.takeNumbers(1, desk.now);
    }
    const { nextSequence } = desk.owner;
    desk.request('b', 64, 2);
    desk.do(0, (owner, now) => owner.flush('b', 13n, now));
    expect(desk.do(FLUSH_WAIT_MS - 0.1, (owner, now) => owner.sharedArrived('b', 13, now))).deep.equal([]);
    expect(desk.owner.takeNumbers(1, desk.now)).equal(nextSequence);
    expect(desk.wait(1)[0]).include({ kind: 'grant', target: 'b', first: BigInt(nextSequence + 1) });
  });

  it('does not wait for lost link packets for ever', () => {
    const desk = Desk.shared();
    for (let i = 1; i <= 12; i++) desk.do(100, (owner, now) => owner.sharedArrived('b', i, now));
    desk.request('b', 64);
    desk.do(0, (owner, now) => owner.flush('b', 99n, now));
    expect(desk.wait(FLUSH_WAIT_MS - 0.1)).deep.equal([]);
    expect(desk.wait(0.1)[0]).include({ kind: 'grant', target: 'b' });
  });

  it('stays in the funnel when somebody else sends during the move', () => {
    const desk = Desk.shared();
    for (let i = 1; i <= 12; i++) desk.do(100, (owner, now) => owner.sharedArrived('b', i, now));
    expect(desk.owner.state.name).equal('drain-to-exclusive');
    const actions = desk.do(0, (owner, now) => owner.sharedArrived('a', 1, now));
    expect(actions).deep.equal([{ kind: 'way', target: 'b', way: 'funnel' }]);
    expect(desk.owner.state.name).equal('shared');
  });

  it('is back in the funnel if the flush never comes', () => {
    const desk = Desk.shared();
    for (let i = 1; i <= 12; i++) desk.do(100, (owner, now) => owner.sharedArrived('b', i, now));
    const actions = desk.wait(1000);
    expect(actions).deep.include({ kind: 'way', target: 'b', way: 'funnel' });
  });

  it('sends everybody through the funnel when two ask at the same time', () => {
    const desk = new Desk('restored', { nextSequence: 1000n, nextSenderId: 2 });
    desk.ready('a', 'b');
    expect(desk.request('a')).deep.equal([]);
    expect(desk.request('b')).have.deep.members([
      { kind: 'way', target: 'a', way: 'funnel' },
      { kind: 'way', target: 'b', way: 'funnel' },
    ]);
  });

  it('refuses strangers', () => {
    const { desk } = Desk.exclusive();
    expect(desk.owner.leaseRequest('stranger', 64, desk.now)).equal(false);
    expect(desk.owner.flush('stranger', 1n, desk.now)).equal(false);
    expect(desk.owner.sharedArrived('stranger', 1, desk.now)).equal(false);
  });

  it('after a restart, grants nothing until all old leases are dead and D has passed', () => {
    const desk = new Desk('restored', { nextSequence: 65537n, nextSenderId: 17 });
    desk.ready('a');
    desk.request('a');
    expect(desk.wait(222.9)).deep.equal([]);
    expect(desk.wait(0.1)[0]).include({ kind: 'grant', first: 65537n });
  });

  for (const [what, marks] of [
    ['missing', undefined],
    ['number 0', { nextSequence: 0n, nextSenderId: 5 }],
    ['a number beyond 2^32', { nextSequence: 2n ** 32n + 1n, nextSenderId: 5 }],
    ['sender id 0', { nextSequence: 5n, nextSenderId: 0 }],
    ['a sender id beyond 16 bits', { nextSequence: 5n, nextSenderId: 65_537 }],
  ] as const) {
    it(`sends nothing and asks for a rekey if the mark is doubtful: ${what}`, () => {
      const desk = new Desk('restored', marks);
      expect(desk.actions).deep.equal([{ kind: 'rekey', cause: 'marks-lost' }]);
      expect(desk.owner.state.name).equal('blocked');
      desk.actions.length = 0;
      expect([...desk.ready('a'), ...desk.request('a')]).deep.equal([]);
      expect(desk.owner.takeNumbers(1, desk.now + 9e5)).equal(-1);
    });
  }

  it('asks for a rekey past 2^31 numbers without ESN, once, and again with back-off', () => {
    const desk = new Desk('restored', { nextSequence: 2n ** 31n + 1n, nextSenderId: 2 });
    expect(desk.actions.splice(0)).deep.equal([{ kind: 'rekey', cause: 'numbers' }]);
    expect(desk.wait(9_999)).deep.equal([]);
    expect(desk.wait(1)).deep.equal([{ kind: 'rekey', cause: 'numbers' }]);
    desk.owner.replaced();
    expect(desk.wait(500_000)).deep.equal([]);
  });

  it('goes on past 2^31 with ESN', () => {
    const desk = new Desk('restored', { nextSequence: 2n ** 40n, nextSenderId: 2 }, true);
    desk.ready('a');
    desk.request('a');
    expect(desk.wait(300)[0]).include({ kind: 'grant', first: 2n ** 40n });
  });

  it('never issues a number beyond 2^32 - 1 without ESN (RFC 4303 section 3.3.3)', () => {
    const desk = new Desk('restored', { nextSequence: 2n ** 32n - 100n, nextSenderId: 2 });
    desk.ready('a', 'b');
    desk.wait(300);
    desk.do(0, (owner, now) => owner.sharedArrived('a', 1, now));
    expect(desk.owner.takeNumbers(100, desk.now)).equal(2 ** 32 - 100);
    expect(desk.owner.takeNumbers(1, desk.now)).equal(-1);
  });

  it('asks for a rekey when 65000 sender ids are used', () => {
    const desk = new Desk('restored', { nextSequence: 5n, nextSenderId: 65_000 });
    expect(desk.actions).deep.equal([{ kind: 'rekey', cause: 'sender-ids' }]);
  });

  it('writes failed marks again with back-off', () => {
    const desk = new Desk();
    desk.holdStore = true;
    const fresh = new NumberingOwner({
      origin: 'new',
      hasEsn: false,
      epoch: 1,
      now: 0,
      ...FUNNEL_OR_EXCLUSIVE,
    });
    fresh.takeActions();
    fresh.storeFailed(1);
    expect(fresh.takeActions()).deep.equal([]);
    expect(fresh.deadline()).equal(101);
    fresh.tick(101);
    expect(fresh.takeActions()[0]).property('kind', 'store-marks');
  });
});
