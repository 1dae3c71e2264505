import { expect } from 'chai';
import { AttackWorld } from './attack/attack-world.ts';
import { simulationSeeds, simulationTimeout } from './event-queue.ts';

const SEEDS = simulationSeeds(5000);

describe('the way in, simulated with an adversary who sees and sends everything', () => {
  const sum = { sent: 0, delivered: 0, calm: 0, restarts: 0, claims: 0, opened: 0, conflicts: 0, excused: 0 };

  it(`delivers nothing twice, loses nothing to forgeries, moves nothing without an ICV, in ${SEEDS.length} runs`, () => {
    for (const seed of SEEDS) {
      const world = new AttackWorld(seed);
      world.run();
      const { oracle } = world;
      expect(oracle.violations.slice(0, 3), `SIM_SEED=${seed}`).to.deep.equal([]);
      sum.sent += oracle.sentCount;
      sum.delivered += oracle.deliveredCount;
      sum.restarts += world.restarts;
      sum.claims += world.claims;
      sum.opened += world.router?.opening.opened ?? 0;
      sum.conflicts += world.drops('replay-conflict');
      if (!world.settings.isCalm) continue;
      sum.calm++;
      expect(world.refusals, `honest targets refused, SIM_SEED=${seed}`).to.equal(0);
      const excused =
        world.drops('replay-conflict') + world.drops('hold-overflow') + world.drops('sa-not-serving');
      if (world.settings.isBudgetAmple) sum.excused += oracle.lost.length;
      expect(oracle.lost.length, `lost, beyond what the budget left out, SIM_SEED=${seed}`).to.be.at.most(
        excused,
      );
      expect(world.counted, `lifesize, SIM_SEED=${seed}`).to.equal(oracle.deliveredCount);
    }
  });

  it('did all of it: traffic, restarts, claims, openings; an ample budget left out next to nothing', () => {
    console.log(`      ${JSON.stringify(sum)}`);
    if (SEEDS.length < 100) return;
    for (const [what, count] of Object.entries(sum)) {
      if (what !== 'excused') expect(count, what).to.be.greaterThan(0);
    }
    expect(sum.excused / sum.sent, JSON.stringify(sum)).to.be.below(0.0001);
  });
}).timeout(simulationTimeout(1_100_000));
