import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { connection, drops, load } from './cluster-helpers.ts';

/** A target dies with a number that it delivered and did not report; charon cannot rekey, its peer is away. */
async function undecided() {
  const cluster = new MemoryCluster();
  cluster.rekeySoon = () => {};
  await cluster.up();
  const { port, at } = await connection(cluster);
  await load(cluster, port, 20);
  await cluster.run(30);
  const last = cluster.client(1).segment(port);
  cluster.send(last.datagram);
  while (cluster.deliveredTo(last.text) === undefined) await cluster.run(1);
  cluster.killTarget(at);
  await cluster.run(20);
  expect(drops(cluster)['replay-undecided']).to.equal(1);
  cluster.startTarget(at);
  await cluster.run(300);
  return { cluster, last, at };
}

async function replay(cluster: MemoryCluster, datagram: Buffer) {
  for (let i = 0; i < 5; i++) {
    cluster.send(datagram);
    await cluster.run(20);
  }
}

describe('a number that nobody knows the fate of', () => {
  it('is not delivered again, whoever comes back', async () => {
    const { cluster, last } = await undecided();
    await replay(cluster, last.datagram);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('is not delivered again after the routing agent was killed too: the SA waits for its rekey', async () => {
    const { cluster, last } = await undecided();
    cluster.killRouter();
    await cluster.run(10);
    cluster.startRouter();
    await cluster.run(300);
    await replay(cluster, last.datagram);
    expect(cluster.allViolations).to.deep.equal([]);
    await cluster.run(2000);
    await replay(cluster, last.datagram);
    expect(cluster.allViolations).to.deep.equal([]);
    expect(cluster.rekeys).to.include('windows-lost in');
  });

  it('is not delivered again after the agent was killed twice, and a target with its windows between', async () => {
    const cluster = new MemoryCluster();
    cluster.rekeySoon = () => {};
    await cluster.up();
    const { port, at } = await connection(cluster);
    const sent = await load(cluster, port, 20);
    await cluster.run(50);
    cluster.killTarget(at);
    cluster.killRouter();
    await cluster.run(10);
    cluster.startTarget(at);
    cluster.startRouter();
    await cluster.run(400); // the target has the SA again, with a window that knows nothing
    cluster.killRouter();
    await cluster.run(10);
    cluster.startRouter();
    await cluster.run(400);
    for (const { datagram } of sent) await replay(cluster, datagram);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('stops nothing for longer than the rekey takes', async () => {
    const { cluster } = await undecided();
    cluster.killRouter();
    await cluster.run(10);
    cluster.startRouter();
    await cluster.run(300);
    await cluster.rekey(1);
    const { at, text } = await connection(cluster);
    expect(at).to.be.greaterThan(0);
    expect(cluster.client(1).answered.has(text)).to.equal(true);
    expect(cluster.allViolations).to.deep.equal([]);
  });
});
