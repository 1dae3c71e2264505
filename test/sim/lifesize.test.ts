import { expect } from 'chai';
import { simulationSeeds, simulationTimeout } from './event-queue.ts';
import { LifesizeWorld } from './lifesize-world.ts';

const SEEDS = simulationSeeds(5000);

describe('lifesize, simulated with delay, loss and crashes', () => {
  it(`passes no hard limit, counts nothing twice, forgets nothing and asks once for a need, in ${SEEDS.length} runs`, () => {
    const sum = { packets: 0, messages: 0, crashes: 0, hardExpiries: 0, tight: 0, moments: 0 };
    for (const seed of SEEDS) {
      const world = new LifesizeWorld(seed);
      world.run();
      expect(world.violations, `SIM_SEED=${seed}`).to.deep.equal([]);
      expect(
        world.unexcusedExpiries,
        `hard limit met though the rekey was in its p99, SIM_SEED=${seed}`,
      ).to.equal(0);
      sum.packets += world.packets;
      sum.messages += world.messages;
      sum.crashes += world.crashes;
      sum.hardExpiries += world.hardExpiries;
      sum.tight += world.tightMoments;
      sum.moments += world.moments;
    }
    const each = Math.round(sum.packets / sum.messages);
    console.log(
      `      ${sum.packets} packets, one message (either way) for ${each}; ${sum.crashes} crashes and lost sessions, ` +
        `${sum.hardExpiries} hard expiries (slow rekeys, lost credit); ` +
        `${((100 * sum.tight) / sum.moments).toFixed(1)} % of moments without room between the limits`,
    );
    if (SEEDS.length > 100)
      for (const [what, count] of Object.entries(sum)) expect(count, what).to.be.above(0);
  });

  const generations = 8;
  const learned = (rekeyMs: number, seed: number) => {
    const world = new LifesizeWorld(seed, {
      generations,
      isPeaceful: true,
      gap: 0.3,
      rekeyMs: () => rekeyMs,
    });
    world.run();
    return world.credit;
  };

  it('a peer whose rekeys are quick makes the percentage rise over generations, one whose are too slow makes it fall', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const quick = learned(50, seed).history;
      expect(
        quick.map(({ outcome }) => outcome),
        `seed ${seed}`,
      ).to.deep.equal(Array(generations).fill('in-time'));
      for (const { percentageBefore, percentageAfter } of quick) {
        expect(percentageAfter).to.be.at.least(Math.min(percentageBefore * 1.2, 50));
      }
      const slow = learned(20_000, seed).history;
      expect(
        slow.map(({ outcome }) => outcome),
        `seed ${seed}`,
      ).to.not.include('in-time');
      expect(slow.at(-1)?.percentageAfter).to.be.below(Math.max(1.01, (slow[0]?.percentageBefore ?? 0) / 20));
    }
  });

  it('a rekey time that is known is reckoned with: a peer that was late once is asked earlier, and is in time', () => {
    let learnt = 0;
    for (let seed = 1; seed <= 50; seed++) {
      const { history } = learned(900, seed);
      if (history[0]?.outcome !== 'in-time' && history.at(-1)?.outcome === 'in-time') learnt++;
    }
    expect(learnt).to.be.above(0);
  });
}).timeout(simulationTimeout(120_000));
