import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';

for (const stamping of ['on', 'off'] as const) {
  describe(`a DVIPA with return: router, stamping ${stamping}`, () => {
    async function up(): Promise<MemoryCluster> {
      const cluster = new MemoryCluster({ targets: 3, stamping, dvipa: { returnVia: 'router' } });
      await cluster.up();
      return cluster;
    }
    const targetDrops = (cluster: MemoryCluster) => cluster.targets.map(({ drops: each }) => counted(each));

    it('answers from the routing host only, however few targets send', async () => {
      const cluster = await up();
      const sent = [];
      for (let n = 0; n < 3; n++) sent.push(...(await load(cluster, (await connection(cluster)).port, 30)));
      await cluster.run(1500); // long enough for a lease, if one were to be had
      const { port } = await connection(cluster);
      sent.push(...(await load(cluster, port, 30)));
      await cluster.run(50);
      expect(answers(cluster, sent)).to.equal(120);
      expect([...cluster.senders]).to.deep.equal(['router']);
      expect([drops(cluster), ...targetDrops(cluster)]).to.deep.equal([{}, {}, {}, {}]);
      expect(cluster.allViolations).to.deep.equal([]);
    });

    it('does so after the routing agent was killed, and after a target was', async () => {
      const cluster = await up();
      const { port, at } = await connection(cluster);
      cluster.killRouter();
      await cluster.run(5);
      cluster.startRouter();
      await cluster.run(400);
      const sent = await load(cluster, port, 10);
      cluster.killTarget((at % 3) + 1);
      sent.push(...(await load(cluster, port, 10)));
      await cluster.run(100);
      expect(answers(cluster, sent)).to.equal(20);
      expect([...cluster.senders]).to.deep.equal(['router']);
      expect(cluster.allViolations).to.deep.equal([]);
    });
  });
}
