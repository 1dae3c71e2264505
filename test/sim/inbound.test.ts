import { expect } from 'chai';
import { simulationSeeds } from './event-queue.ts';
import { InboundWorld } from './inbound-world.ts';

const SEEDS = simulationSeeds(120);

describe('inbound numbers, simulated with an adversary', () => {
  it(`delivers no number twice, whatever is replayed, forged, moved or killed, in ${SEEDS.length} runs`, () => {
    for (const seed of SEEDS) {
      const world = new InboundWorld(seed, true);
      world.run();
      expect(world.violations.slice(0, 3), `SIM_SEED=${seed}`).deep.equal([]);
      expect(world.delivered.size, `SIM_SEED=${seed}`).greaterThan(0);
    }
  });

  it(`loses no genuine packet to replays while the targets live, in ${SEEDS.length} runs`, () => {
    for (const seed of SEEDS) {
      const world = new InboundWorld(seed, false);
      world.run();
      expect(world.violations.slice(0, 3), `SIM_SEED=${seed}`).deep.equal([]);
      expect(world.sent - world.delivered.size, `lost, SIM_SEED=${seed}`).equal(0);
      expect(world.refusedReports, `SIM_SEED=${seed}`).equal(0);
    }
  });
}).timeout(120_000);
