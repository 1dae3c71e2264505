import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { connection } from './cluster-helpers.ts';

describe('connections over a restart of the routing agent', () => {
  it('stay at their targets from the first segment on, also the segments that waited for it', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const open = [];
    for (let i = 0; i < 9; i++) open.push(await connection(cluster));
    await cluster.run(20);
    cluster.killRouter();
    await cluster.run(20);
    cluster.startRouter();
    const sent: { text: string; at: number }[] = [];
    for (let ms = 0; ms < 30; ms++) {
      for (const { port, at } of open) {
        const segment = cluster.client(1).segment(port);
        sent.push({ text: segment.text, at });
        cluster.send(segment.datagram);
      }
      await cluster.run(1);
    }
    await cluster.run(100);
    const delivered = sent.filter(({ text }) => cluster.deliveredTo(text) !== undefined);
    expect(delivered.length).to.be.greaterThan(100);
    // A target that gets a segment of a connection that it does not have resets the connection.
    expect(delivered.map(({ text }) => cluster.deliveredTo(text))).to.deep.equal(
      delivered.map(({ at }) => at),
    );
  });
});
