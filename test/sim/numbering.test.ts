import { expect } from 'chai';
import { simulationSeeds, simulationTimeout } from './event-queue.ts';
import { World } from './numbering-world.ts';

const SEEDS = simulationSeeds(500);

describe('numbering, simulated with delay, loss and crashes', () => {
  const ways = new Set<string>();
  let packets = 0;

  it(`sends no number and no IV twice, and nothing outside the peer's window, in ${SEEDS.length} runs`, () => {
    for (const seed of SEEDS) {
      const world = new World(seed);
      world.run();
      expect(world.peer.violations.slice(0, 3), `SIM_SEED=${seed}`).deep.equal([]);
      const isBlocked = world.owner?.state.name === 'blocked';
      if (isBlocked) expect(world.rekeys, `SIM_SEED=${seed}`).include('marks-lost');
      else expect(world.stuck, `packets stuck, SIM_SEED=${seed}`).equal(0);
      for (const way of world.waysTaken) ways.add(way);
      packets += world.peer.received;
    }
  });

  it('went every way and sent something', () => {
    if (SEEDS.length < 100) return;
    expect([...ways]).include.members([
      'idle',
      'exclusive',
      'drain-to-shared',
      'shared',
      'drain-to-exclusive',
    ]);
    expect(packets).greaterThan(SEEDS.length * 100);
  });
}).timeout(simulationTimeout(120_000));
