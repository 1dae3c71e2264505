import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { connection } from './cluster-helpers.ts';

describe('dispatches of a session that is over', () => {
  it('are not delivered by the next life of the target, however quickly it comes back', async () => {
    const cluster = new MemoryCluster({ targets: 1 });
    await cluster.up();
    for (let round = 0; round < 40; round++) {
      cluster.network.faults = { loss: 0, duplicates: 0, jitterMs: 0 };
      const { port } = await connection(cluster);
      await cluster.run(20);
      // Each dispatch comes twice, the second one late: to a target that has begun anew and knows of nothing.
      cluster.network.faults = { loss: 0, duplicates: 1, jitterMs: 12 };
      const { text, datagram } = cluster.client(1).segment(port);
      cluster.send(datagram);
      for (let ms = 0; ms < 20 && cluster.deliveredTo(text) === undefined; ms++) await cluster.run(1);
      cluster.killTarget(1);
      cluster.startTarget(1);
      await cluster.run(60);
    }
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(60_000);
});
