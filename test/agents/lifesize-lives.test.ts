import { expect } from 'chai';
import type { AnySa } from '../../src/agents/routing/routing-sas.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { answers, connection, load } from './cluster-helpers.ts';

const LIMITS = { soft: 400_000, hard: 600_000 };

describe('lifesize over the lives of agents', () => {
  const inbound = (cluster: MemoryCluster): AnySa => {
    const [entry] = [...cluster.router.sas.inbound.values()];
    if (entry === undefined) throw new Error('no SA');
    return entry;
  };
  const counters = (cluster: MemoryCluster) => cluster.charon.counters.get(inbound(cluster).pluginId);
  const ofMeters = (cluster: MemoryCluster) =>
    cluster.targets
      .map(({ cache }) => [...cache.inbound.values()][0]?.meter.packets ?? 0)
      .reduce((sum, packets) => sum + packets, 0);

  it('a restarted routing agent knows what was used, counts nothing twice, and grants on', async () => {
    const cluster = new MemoryCluster();
    await cluster.up(LIMITS);
    const { port } = await connection(cluster);
    await load(cluster, port, 100);
    await cluster.run(1200);
    const before = counters(cluster);
    expect(before?.packets).to.equal(101);
    cluster.killRouter();
    await cluster.run(100);
    cluster.startRouter();
    await cluster.run(1);
    expect(inbound(cluster).lifesize.charged.bytes, 'all credit, until who has it is back').to.be.at.least(
      before?.bytes ?? 0,
    );
    await cluster.run(2000);
    const sent = await load(cluster, port, 50);
    await cluster.run(1500);
    expect(answers(cluster, sent)).to.equal(50);
    expect(counters(cluster)?.packets).to.equal(151).and.to.equal(ofMeters(cluster));
    expect(inbound(cluster).lifesize.charged.packets).to.equal(151);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('a target that dies while no routing agent lives is charged its credit, and its next life gets a new one', async () => {
    const cluster = new MemoryCluster();
    await cluster.up(LIMITS);
    const { port, at } = await connection(cluster);
    await load(cluster, port, 30);
    await cluster.run(1200);
    const credit = inbound(cluster).lifesize.creditOf(`target${at}`).bytes;
    cluster.killRouter();
    cluster.killTarget(at);
    await cluster.run(50);
    cluster.startRouter();
    cluster.startTarget(at);
    await cluster.run(500);
    const { lifesize } = inbound(cluster);
    expect(lifesize.charged.bytes).to.be.at.least(credit);
    expect(lifesize.creditOf(`target${at}`).bytes).to.be.above(0);
    // That of the routing host's own earlier life, too.
    expect(lifesize.bytes.closedCharged).to.equal(2 * credit);
  });

  it('a target has an SA only when its credit is stored', async () => {
    const cluster = new MemoryCluster();
    await cluster.up(LIMITS);
    cluster.charon.storeDelayMs = 150;
    cluster.charon.addPair(2, LIMITS);
    await cluster.run(100);
    expect(cluster.targets.map(({ cache }) => [...cache.inbound.values()].length)).to.deep.equal([1, 1, 1]);
    await cluster.run(400);
    for (const { cache } of cluster.targets) {
      const entries = [...cache.inbound.values()];
      expect(entries).to.have.length(2);
      for (const { meter } of entries) expect(meter.credit.bytes).to.be.above(0);
    }
  });

  it('rekeys that come in time let the percentage of their peer grow, of no other, and a restart keeps it', async () => {
    const cluster = new MemoryCluster({ clients: 2 });
    await cluster.up({ soft: 40_000, hard: 100_000 });
    const { port } = await connection(cluster);
    const of = (peer: string) =>
      cluster.router.answers.lifesize().configurations.find((one) => one.peer === peer);
    for (let i = 0; i < 6000 && (of('client1')?.history.length ?? 0) < 2; i++) await load(cluster, port, 1);
    await cluster.run(1500);
    const learned = of('client1');
    expect(learned?.history.slice(0, 2).map(({ outcome }) => outcome)).to.deep.equal(['in-time', 'in-time']);
    expect(learned?.history[1]).to.include({ percentageBefore: 12.5, percentageAfter: 15.625 });
    expect(learned?.history[0]?.rekeyMs).to.be.within(1, 200);
    await load(cluster, port, 30);
    await cluster.run(1100);
    cluster.killRouter();
    cluster.startRouter();
    await cluster.run(2500);
    expect(of('client1')?.percentage).to.be.closeTo(learned?.percentage ?? 0, 0.01);
    expect(of('client2')?.percentage).to.equal(10);
  }).timeout(60_000);
});
