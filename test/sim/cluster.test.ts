import { expect } from 'chai';
import { ClusterLife } from './cluster-life.ts';
import { simulationSeeds, simulationTimeout } from './event-queue.ts';

const SEEDS = simulationSeeds(50);

describe('a cluster, simulated with an attacker, crashes and loss', () => {
  const sum = { peaceful: 0, delivered: 0, replayed: 0, crashes: 0, funnelled: 0, rekeys: 0 };

  it(`delivers no packet twice, sends no number or IV twice, and works in the end, in ${SEEDS.length} runs`, async () => {
    for (const seed of SEEDS) {
      const life = new ClusterLife(seed);
      const { cluster } = life;
      await life.run();
      const unanswered = await life.unanswered();
      expect(cluster.allViolations.slice(0, 3), `SIM_SEED=${seed}`).to.deep.equal([]);
      expect(unanswered, `connections without answer, SIM_SEED=${seed}`).to.equal(0);
      if (life.isPeaceful) {
        expect(life.lost, `lost in peace, SIM_SEED=${seed}`).to.equal(0);
        expect(cluster.router.rekeyer.expired, `hard limit reached, SIM_SEED=${seed}`).to.deep.equal([]);
        sum.peaceful++;
      }
      sum.delivered += cluster.delivered.size;
      sum.replayed += life.replayed;
      sum.crashes += life.crashes;
      sum.rekeys += cluster.rekeys.length;
      sum.funnelled += cluster.router.funnel.sent.sealed;
    }
  });

  it('did all of it: traffic, replays, crashes, both ways out', () => {
    if (SEEDS.length < 50) return;
    for (const [what, count] of Object.entries(sum)) expect(count, what).to.be.greaterThan(0);
  });
}).timeout(simulationTimeout(300_000));
