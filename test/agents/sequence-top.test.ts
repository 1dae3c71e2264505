import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { connection } from './cluster-helpers.ts';

describe('how far an SA with ESN has come', () => {
  it('is told to every target, so that one which gets nothing of it infers the right high half', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { at } = await connection(cluster);
    await cluster.run(30);
    const [entry] = [...cluster.router.sas.inbound.values()];
    if (entry === undefined) throw new Error('not up');
    const highs = () =>
      [1, 2, 3].map((n) => cluster.target(n).cache.inbound.get(entry.sa.id)?.window.inferHigh(0x4000_0006));
    const report = async (target: number) => {
      const session = cluster.target(target).relations.session;
      session?.send('replay-report', {
        sa: entry.sa.id,
        numbers: new Uint8Array(0),
        floor: 0n,
        wrongIcvs: 0,
      });
      await cluster.run(5);
    };
    entry.owners.merge({ top: 5n << 30n, bitmap: new Uint8Array(8) });
    await report((at % 3) + 1);
    expect(highs(), 'without ESN there are no high halves').to.deep.equal([0, 0, 0]);
    Object.assign(entry, { sa: { ...entry.sa, hasEsn: true } });
    await report((at % 3) + 1);
    expect(highs()).to.deep.equal([1, 1, 1]);
    expect(entry.toldTop).to.equal(5n << 30n);
    entry.owners.merge({ top: (5n << 30n) + 100n, bitmap: new Uint8Array(8) });
    await report((at % 3) + 1);
    expect(entry.toldTop, 'in steps, not with every report').to.equal(5n << 30n);
  });
});
