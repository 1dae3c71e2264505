import { expect } from 'chai';
import * as fc from 'fast-check';
import type { LifesizeAction } from '../../src/ipsec/lifesize-owner.ts';
import { StoredLifesize } from '../support/stored-lifesize.ts';

const UNLIMITED = Number.MAX_SAFE_INTEGER;
const limits = (soft: number, hard: number) => ({
  bytes: { soft, hard },
  packets: { soft: 0, hard: 0 },
});

function ownerOf(soft: number, hard: number, percentage = 10, isRestored = false): StoredLifesize {
  return new StoredLifesize({ lifetime: limits(soft, hard), percentage, now: 0, isRestored });
}

const kinds = (actions: readonly LifesizeAction[]) => actions.map(({ kind }) => kind);
const bytesOnly = (bytes: number, idleMs = 0) => ({ bytes, packets: Math.ceil(bytes / 1000), idleMs });

describe('lifesize owner', () => {
  it('gives a target the percentage of the hard limit as credit before it serves', () => {
    const owner = ownerOf(80_000_000, 100_000_000);
    owner.targetReady('a', 1n, 0);
    expect(owner.creditOf('a')).deep.equal({ bytes: 10_000_000, packets: UNLIMITED });
    expect(kinds(owner.takeActions())).deep.equal(['credit']);
  });

  it('takes the percentage of the soft limit where there is no hard one', () => {
    const owner = ownerOf(50_000_000, 0);
    owner.targetReady('a', 1n, 0);
    expect(owner.creditOf('a').bytes).equal(5_000_000);
  });

  it('needs no credit where there are no limits', () => {
    const owner = ownerOf(0, 0);
    owner.targetReady('a', 1n, 0);
    expect(owner.creditOf('a')).deep.equal({ bytes: UNLIMITED, packets: UNLIMITED });
    expect(owner.reported('a', bytesOnly(1e12), 10)).equal(true);
    expect(kinds(owner.takeActions())).deep.equal([]);
  });

  it('adds up cumulative reports of all targets and counts nothing twice', () => {
    const owner = ownerOf(0, 0);
    owner.targetReady('a', 1n, 0);
    owner.targetReady('b', 1n, 0);
    owner.reported('a', { bytes: 100, packets: 2, idleMs: 0 }, 10);
    owner.reported('b', { bytes: 50, packets: 1, idleMs: 5 }, 10);
    owner.reported('a', { bytes: 100, packets: 2, idleMs: 0 }, 20);
    owner.reported('a', { bytes: 90, packets: 1, idleMs: 0 }, 30);
    expect(owner.totals(110)).deep.equal({ bytes: 150, packets: 3, idleMs: 100 });
    owner.targetReady('a', 1n, 40);
    owner.reported('a', { bytes: 130, packets: 3, idleMs: 0 }, 50);
    expect(owner.totals(50).bytes, 'same incarnation').equal(180);
    owner.targetReady('a', 2n, 60);
    owner.reported('a', { bytes: 7, packets: 1, idleMs: 0 }, 60);
    expect(owner.totals(60).bytes, 'new incarnation').equal(187);
  });

  it('asks for exactly one rekey when the soft limit is reached', () => {
    const owner = ownerOf(1_000_000, 0, 50);
    owner.targetReady('a', 1n, 0);
    owner.targetReady('b', 1n, 0);
    owner.takeActions();
    owner.reported('a', bytesOnly(600_000), 10);
    expect(kinds(owner.takeActions())).not.include('rekey');
    owner.reported('b', bytesOnly(400_000), 20);
    expect(owner.takeActions()).deep.include({ kind: 'rekey', cause: 'bytes' });
    owner.reported('b', bytesOnly(500_000), 30);
    owner.tick(5000);
    expect(kinds(owner.takeActions())).not.include('rekey');
  });

  it('asks again with back-off if the rekey does not finish, and not after it did', () => {
    const owner = ownerOf(1_000_000, 0);
    owner.targetReady('a', 1n, 0);
    owner.reported('a', bytesOnly(1_000_000), 0);
    owner.takeActions();
    const times: number[] = [];
    for (let now = 1000; now < 100_000; now += 1000) {
      owner.tick(now);
      if (kinds(owner.takeActions()).includes('rekey')) times.push(now);
    }
    expect(times).deep.equal([10_000, 30_000, 70_000]);
    owner.replaced();
    owner.tick(1e9);
    expect(kinds(owner.takeActions())).deep.equal([]);
  });

  it('counts packets as a cause of its own', () => {
    const lifetime = { bytes: { soft: 0, hard: 0 }, packets: { soft: 100, hard: 0 } };
    const owner = new StoredLifesize({ lifetime, percentage: 10, now: 0 });
    owner.targetReady('a', 1n, 0);
    owner.reported('a', { bytes: 1, packets: 100, idleMs: 0 }, 1);
    expect(owner.takeActions()).deep.include({ kind: 'rekey', cause: 'packets' });
  });

  it('takes 80 % of a hard limit without a soft one', () => {
    const owner = ownerOf(0, 1_000_000, 10);
    owner.targetReady('a', 1n, 0);
    let asked = 0;
    for (let sum = 0; sum < 1_000_000 && asked === 0; sum += 50_000) {
      owner.reported('a', bytesOnly(sum), 0);
      if (kinds(owner.takeActions()).includes('rekey')) asked = sum;
    }
    expect(asked).equal(800_000);
  });

  it('asks earlier than the soft limit if the traffic of a rekey would pass the hard one', () => {
    const owner = ownerOf(900_000, 1_000_000, 10);
    owner.targetReady('a', 1n, 0);
    let asked = 0;
    // 100 000 per 100 ms: 500 000 in the time that a rekey may take.
    for (let i = 1; i < 10 && asked === 0; i++) {
      owner.reported('a', bytesOnly(Math.min(i * 100_000, owner.creditOf('a').bytes)), i * 100);
      if (kinds(owner.takeActions()).includes('rekey')) asked = owner.totals(0).bytes;
    }
    expect(asked).within(450_000, 899_999);
  });

  it('charges a lost target its whole credit, and takes that back if the same incarnation returns', () => {
    const owner = ownerOf(80_000_000, 100_000_000);
    owner.targetReady('a', 1n, 0);
    owner.reported('a', bytesOnly(1_000_000), 1);
    const { bytes } = owner.creditOf('a');
    owner.targetLost('a', 2);
    expect(owner.charged.bytes).equal(bytes);
    expect(owner.totals(2).bytes).equal(1_000_000);
    owner.targetReady('a', 1n, 3);
    expect(owner.charged.bytes).equal(1_000_000);
    owner.targetLost('a', 4);
    owner.targetReady('a', 2n, 5);
    expect(owner.charged.bytes, 'another incarnation').equal(bytes);
  });

  it('does not believe more than was granted under a hard limit, and charges all of that', () => {
    const owner = ownerOf(80_000_000, 100_000_000);
    owner.targetReady('a', 1n, 0);
    expect(owner.reported('a', bytesOnly(10_000_001), 1)).equal(false);
    expect(owner.charged.bytes).equal(10_000_000);
    expect(owner.reported('stranger', bytesOnly(1), 1)).equal(false);
    expect(owner.reported('a', { bytes: Number.NaN, packets: 0, idleMs: 0 }, 1)).equal(false);
  });

  it('after a restart takes the first report as it is, and no second one', () => {
    const owner = ownerOf(80_000_000, 100_000_000, 10, true);
    owner.targetReady('a', 1n, 0);
    expect(owner.reported('a', bytesOnly(50_000_000), 1)).equal(true);
    expect(owner.totals(1).bytes).equal(50_000_000);
    expect(owner.creditOf('a').bytes).within(50_000_001, 60_000_000);
    expect(owner.reported('a', bytesOnly(90_000_000), 2)).equal(false);
  });

  it('never grants more than the hard limit in all, whatever comes', () => {
    const HARD = 1_000_000;
    const step = fc.tuple(
      fc.integer({ min: 0, max: 3 }),
      fc.nat(2),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 1, max: 50 }),
        (steps, percentage) => {
          const owner = ownerOf(700_000, HARD, percentage);
          const live = new Map<string, { incarnation: bigint; used: number }>();
          let dead = 0;
          let now = 0;
          for (const [host, what, part] of steps) {
            const name = `t${host}`;
            const target = live.get(name);
            now += 100;
            if (what === 0 || target === undefined) {
              if (target !== undefined) dead += owner.creditOf(name).bytes;
              const incarnation = BigInt(now);
              live.set(name, { incarnation, used: 0 });
              owner.targetReady(name, incarnation, now);
            } else if (what === 1) owner.targetLost(name, now);
            else {
              target.used += Math.floor((owner.creditOf(name).bytes - target.used) * part);
              owner.targetReady(name, target.incarnation, now);
              expect(owner.reported(name, bytesOnly(target.used), now)).equal(true);
            }
            let sum = dead;
            for (const each of live.keys()) sum += owner.creditOf(each).bytes;
            expect(sum).most(HARD);
            expect(owner.charged.bytes).most(HARD);
          }
        },
      ),
    );
  });

  it('expires the SA, once, when the hard limit is used up', () => {
    const owner = ownerOf(80_000, 100_000, 20);
    owner.targetReady('a', 1n, 0);
    const seen: string[] = [];
    for (let i = 1; i < 40; i++) {
      owner.reported('a', bytesOnly(owner.creditOf('a').bytes), i * 10);
      seen.push(...kinds(owner.takeActions()));
    }
    expect(seen.filter((kind) => kind === 'expire')).have.length(1);
    expect(owner.totals(0).bytes).equal(100_000);
  });

  it('stays exact at 2^53 - 1', () => {
    const owner = ownerOf(0, 0);
    owner.targetReady('a', 1n, 0);
    owner.targetReady('b', 1n, 0);
    owner.reported('a', { bytes: UNLIMITED - 1, packets: 1, idleMs: 0 }, 1);
    owner.reported('b', { bytes: 1, packets: 1, idleMs: 0 }, 1);
    expect(owner.totals(1).bytes).equal(UNLIMITED);
    owner.reported('b', { bytes: 1000, packets: 1, idleMs: 0 }, 1);
    expect(owner.totals(1).bytes).equal(UNLIMITED);
  });
});
