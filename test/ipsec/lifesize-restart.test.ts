import { expect } from 'chai';
import { capByNumbers } from '../../src/ipsec/granted-numbers.ts';
import { MAX_ACCOUNT_MARKS } from '../../src/ipsec/lifesize-marks.ts';
import {
  type LifesizeAction,
  LifesizeOwner,
  type LifesizeOwnerOptions,
} from '../../src/ipsec/lifesize-owner.ts';
import { StoredLifesize } from '../support/stored-lifesize.ts';

const HARD = 100_000_000;
const OPTIONS: LifesizeOwnerOptions = {
  lifetime: { bytes: { soft: 60_000_000, hard: HARD }, packets: { soft: 0, hard: 0 } },
  percentage: 10,
  now: 0,
  users: 2,
  ownUser: '(funnel)',
};
const used = (bytes: number) => ({ bytes, packets: Math.ceil(bytes / 1000), idleMs: 0 });

/** The owner after a kill of the one before: from what was stored, and not from what was on its way there. */
function killed(owner: StoredLifesize, options: Partial<LifesizeOwnerOptions> = {}): StoredLifesize {
  return new StoredLifesize({ ...OPTIONS, isRestored: true, marks: owner.marks, ...options });
}

const kinds = (actions: readonly LifesizeAction[]) => actions.map(({ kind }) => kind);

describe('lifesize over kills of the routing agent', () => {
  it('grants nothing before the store has it', () => {
    const owner = new LifesizeOwner(OPTIONS);
    owner.targetReady('a', 1n, 0);
    expect(kinds(owner.takeActions())).to.deep.equal(['store-marks']);
    expect([owner.creditOf('a').bytes, owner.hasCredit('a')]).to.deep.equal([0, false]);
    expect(owner.reported('a', used(1), 1)).to.equal(false);
    owner.storeFailed(2);
    owner.tick(1000);
    expect(kinds(owner.takeActions())).to.deep.equal(['store-marks']);
    expect(owner.creditOf('a').bytes).to.equal(0);
    owner.storeDone(1001);
    expect(owner.takeActions()[0]).to.include({ kind: 'credit', target: 'a', isFirst: true });
    expect(owner.hasCredit('a')).to.equal(true);
  });

  it('has one write under way, and what changes meanwhile goes with the next', () => {
    const owner = new LifesizeOwner(OPTIONS);
    for (const target of ['a', 'b', 'c']) owner.targetReady(target, 1n, 0);
    expect(kinds(owner.takeActions())).to.deep.equal(['store-marks']);
    owner.storeDone(1);
    const then = owner.takeActions();
    expect(kinds(then)).to.deep.equal(['credit', 'store-marks']);
    owner.storeDone(2);
    expect(owner.takeActions().map((action) => 'target' in action && action.target)).to.deep.equal([
      'b',
      'c',
    ]);
  });

  it('charges everybody his whole credit until he comes back, and then what he has used', () => {
    const owner = new StoredLifesize(OPTIONS);
    owner.targetReady('a', 1n, 0);
    owner.targetReady('b', 1n, 0);
    owner.reported('a', used(5_000_000), 1);
    const credits = owner.creditOf('a').bytes + owner.creditOf('b').bytes;
    const next = killed(owner);
    expect(next.charged.bytes).to.equal(credits);
    next.targetReady('a', 1n, 10);
    expect(next.creditOf('a')).to.deep.equal(owner.creditOf('a'));
    next.reported('a', used(6_000_000), 11);
    expect(next.charged.bytes).to.equal(6_000_000 + owner.creditOf('b').bytes);
    next.targetReady('b', 2n, 12); // it was killed, too
    expect(next.charged.bytes).to.equal(6_000_000 + owner.creditOf('b').bytes);
    expect(next.totals(12).bytes).to.equal(6_000_000);
  });

  it('asks for no rekey only because nobody has come back yet, and for one when nobody does', () => {
    const owner = new StoredLifesize({ ...OPTIONS, percentage: 25 });
    owner.targetReady('a', 1n, 0);
    owner.targetReady('b', 1n, 0);
    for (let bytes = 0; bytes < 50_000_000; bytes += 1_000_000) owner.reported('a', used(bytes), 0);
    expect(kinds(owner.takeActions())).to.not.include('rekey');
    const next = killed(owner);
    expect(next.charged.bytes).to.be.above(60_000_000);
    next.tick(2900);
    expect(kinds(next.takeActions())).to.not.include('rekey');
    next.tick(3100);
    expect(kinds(next.takeActions())).to.include('rekey');
  });

  it('takes old use that is heard of now for old: it makes no rate, and no early rekey', () => {
    const owner = new StoredLifesize(OPTIONS);
    owner.targetReady('a', 1n, 0);
    for (let bytes = 0; bytes <= 40_000_000; bytes += 1_000_000)
      owner.reported('a', used(bytes), bytes / 100);
    const next = killed(owner, { now: 500_000 });
    next.targetReady('a', 1n, 500_000);
    next.reported('a', used(40_000_000), 500_700);
    expect(next.reserve.bytes).to.equal(0);
    next.targetLost('a', 500_800);
    next.targetReady('a', 1n, 502_000);
    next.reported('a', used(41_000_000), 502_700);
    next.reported('a', used(41_100_000), 503_700);
    expect(next.reserve.bytes).to.be.within(1, 100_000);
    expect(kinds(next.takeActions())).to.not.include('rekey');
  });

  it('believes no first report beyond the credit that was stored', () => {
    const owner = new StoredLifesize(OPTIONS);
    owner.targetReady('a', 1n, 0);
    const credit = owner.creditOf('a').bytes;
    const next = killed(owner);
    next.targetReady('a', 1n, 1);
    expect(next.reported('a', used(credit + 1), 2)).to.equal(false);
    expect(next.totals(2).bytes).to.equal(credit);
  });

  it('counts nothing twice, and keeps the totals of those that are over and its own', () => {
    const owner = new StoredLifesize(OPTIONS);
    owner.targetReady('(funnel)', 1n, 0);
    owner.targetReady('a', 1n, 0);
    owner.reported('a', used(3_000_000), 1);
    owner.reported('(funnel)', used(2_000_000), 1);
    owner.targetReady('a', 2n, 2); // restarted
    owner.reported('a', used(1_000_000), 3);
    owner.keepTotals(3);
    owner.takeActions();
    const next = killed(owner);
    next.targetReady('(funnel)', 2n, 4);
    next.targetReady('a', 2n, 4);
    next.reported('a', used(1_000_000), 5);
    expect(next.totals(5).bytes).to.equal(6_000_000);
  });

  it('never grants beyond the hard limit over any number of lives', () => {
    let owner = new StoredLifesize(OPTIONS);
    let granted = 0;
    for (let life = 1n; life < 40n; life++) {
      owner.targetReady('a', life, 0);
      granted += owner.creditOf('a').bytes;
      owner = killed(owner);
      expect(owner.charged.bytes).to.equal(granted);
    }
    expect(granted).to.be.within(HARD * 0.9, HARD);
  });

  it('goes on with the percentage and the rekey time that were learned', () => {
    const owner = new StoredLifesize(OPTIONS);
    owner.learned(2.5, 1234);
    owner.targetReady('a', 1n, 0);
    const next = killed(owner);
    expect([next.percentage, next.rekeyMs]).to.deep.equal([2.5, 1234]);
  });

  it('folds accounts of hosts that are not configured any more, and forgets nothing of them', () => {
    const owner = new StoredLifesize(OPTIONS);
    for (let i = 0; i < MAX_ACCOUNT_MARKS; i++) owner.targetReady(`old${i}`, 1n, 0);
    const { charged } = killed(owner);
    const next = killed(owner);
    for (let i = 0; i < MAX_ACCOUNT_MARKS; i++) next.targetReady(`new${i}`, 1n, 0);
    expect(next.marks?.accounts).to.have.length(MAX_ACCOUNT_MARKS);
    expect(killed(next).charged.bytes).to.be.at.least(charged.bytes).and.at.most(HARD);
  });
});

describe('lifesize near the hard limit', () => {
  it('waits for the rekey when only others have credit left, and expires the SA when that took too long', () => {
    const owner = new StoredLifesize({ ...OPTIONS, percentage: 50, users: 1 });
    owner.targetReady('a', 1n, 0);
    owner.targetReady('b', 1n, 0);
    let now = 0;
    const seen: string[] = [];
    const useAll = () => {
      now += 100;
      owner.reported('a', used(owner.creditOf('a').bytes), now);
      seen.push(...kinds(owner.takeActions()));
    };
    for (let i = 0; i < 30; i++) useAll();
    expect(owner.charged.bytes).to.be.below(HARD);
    expect(seen).to.include('rekey').and.not.include('expire');
    for (let i = 0; i < 60; i++) useAll();
    expect(seen.filter((kind) => kind === 'expire')).to.have.length(1);
  });
});

describe('jitter of rekeys', () => {
  const askedAt = (jitter: number) => {
    const owner = new StoredLifesize({
      lifetime: { bytes: { soft: 1_000_000, hard: 0 }, packets: { soft: 0, hard: 0 } },
      percentage: 10,
      now: 0,
      jitter,
    });
    owner.targetReady('a', 1n, 0);
    for (let bytes = 0; ; bytes += 1000) {
      owner.reported('a', used(bytes), 0);
      if (kinds(owner.takeActions()).includes('rekey')) return bytes;
    }
  };

  it('is only ever earlier, and within the last few percent of the soft limit', () => {
    expect(askedAt(0)).to.equal(1_000_000);
    expect(askedAt(0.5)).to.equal(980_000);
    expect(askedAt(0.999)).to.be.within(960_000, 961_000);
  });
});

describe('an outbound report of a target', () => {
  it('is believed for as many packets as it had numbers, and for what fits into them', () => {
    expect(capByNumbers({ packets: 10, bytes: 10_000 }, 10)).to.deep.equal({ packets: 10, bytes: 10_000 });
    expect(capByNumbers({ packets: 11, bytes: 10_000 }, 10)).to.deep.equal({ packets: 10, bytes: 10_000 });
    expect(capByNumbers({ packets: 11, bytes: 1e9 }, 10)).to.deep.equal({ packets: 10, bytes: 655_350 });
    expect(capByNumbers({ packets: 11, bytes: 5 }, 0)).to.deep.equal({ packets: 0, bytes: 0 });
    expect(capByNumbers({ packets: 11, bytes: 5 }, undefined)).to.deep.equal({ packets: 11, bytes: 5 });
  });
});
