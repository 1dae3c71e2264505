import { expect } from 'chai';
import { simulationSeeds, simulationTimeout } from './event-queue.ts';
import { World } from './numbering-world.ts';

const SEEDS = simulationSeeds(5000);

/** Every change of state there is (`src/ipsec/numbering-actions.ts`). */
const ARROWS = [
  'idle > exclusive',
  'idle > shared',
  'exclusive > idle',
  'exclusive > drain-to-shared',
  'exclusive > shared',
  'drain-to-shared > shared',
  'shared > idle',
  'shared > drain-to-exclusive',
  'drain-to-exclusive > exclusive',
  'drain-to-exclusive > shared',
];

describe('numbering, simulated with delay, loss, clock drift, crashes and an attacker on the link', () => {
  const arrows = new Set<string>();
  const sums = { packets: 0, stamped: 0, funnelled: 0, refused: 0, leaseRecords: 0, right: 0, wrong: 0 };
  const skews = new Map<number, number>();

  it(`sends no number and no IV twice, and nothing outside the peer's window, in ${SEEDS.length} runs`, () => {
    for (const seed of SEEDS) {
      const world = new World(seed);
      world.run();
      const { peer, totals } = world;
      expect(peer.violations.slice(0, 3), `SIM_SEED=${seed}`).deep.equal([]);
      const isBlocked = world.owner?.state.name === 'blocked';
      if (isBlocked) expect(world.rekeys, `SIM_SEED=${seed}`).include('marks-lost');
      else expect(world.stuck, `packets stuck, SIM_SEED=${seed}`).equal(0);
      if (world.faults.linkAttack === 0) expect(peer.icvs.wrong, `wrong ICVs, SIM_SEED=${seed}`).equal(0);
      for (const arrow of world.arrows) arrows.add(arrow);
      skews.set(peer.window, Math.max(skews.get(peer.window) ?? 0, peer.skew));
      sums.packets += peer.received;
      sums.stamped += totals.stamped;
      sums.funnelled += totals.funnelled;
      sums.refused += totals.refused;
      sums.leaseRecords += totals.leaseRecords;
      sums.right += peer.icvs.right;
      sums.wrong += peer.icvs.wrong;
    }
  });

  it('went over every arrow of the state table, on both shared ways', () => {
    const skew = [...skews].toSorted(([a], [b]) => a - b).map(([window, most]) => `${most} of ${window}`);
    console.log(`      largest skew: ${skew.join(', ')}; ${JSON.stringify(sums)}`);
    console.log(`      records for numbers per packet: ${(sums.leaseRecords / sums.packets).toFixed(4)}`);
    if (SEEDS.length < 100) return;
    expect([...arrows]).include.members(ARROWS);
    expect(sums.packets).greaterThan(SEEDS.length * 100);
    expect(Math.min(sums.stamped, sums.funnelled, sums.refused, sums.right)).greaterThan(SEEDS.length);
  });
}).timeout(simulationTimeout(600_000));
