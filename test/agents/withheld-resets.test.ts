import { expect } from 'chai';
import { TAKEN_FOR_DEAD_MS } from '../../src/agents/routing/target-completeness.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import { answers, connection } from './cluster-helpers.ts';

interface Open {
  readonly port: number;
  readonly at: number;
}

async function withConnections() {
  const cluster = new MemoryCluster();
  await cluster.up();
  const open: Open[] = [];
  for (let i = 0; i < 9; i++) open.push(await connection(cluster));
  await cluster.run(30);
  return { cluster, open, ofFirst: open.filter(({ at }) => at === 1) };
}

/** A segment on each connection; what was sent. */
async function segments(cluster: MemoryCluster, open: readonly Open[]) {
  const sent = open.map(({ port, at }) => ({ ...cluster.client(1).segment(port), at }));
  for (const { datagram } of sent) cluster.send(datagram);
  await cluster.run(20);
  return sent;
}

const withheld = (cluster: MemoryCluster) =>
  cluster.targets.reduce((sum, { drops }) => sum + (counted(drops)['reset-withheld'] ?? 0), 0);

describe('a target whose session is lost while it lives', () => {
  const lostFirst = async () => {
    const parts = await withConnections();
    parts.cluster.isolated.add(1);
    parts.cluster.cut(1);
    return parts;
  };

  it('has no connection reset by the others, and its connections go on when it is back', async () => {
    const { cluster, open, ofFirst } = await lostFirst();
    for (let i = 0; i < 50; i++) {
      await segments(cluster, ofFirst);
      await cluster.run(100, 20);
    }
    expect(withheld(cluster)).to.be.greaterThan(50);
    expect(cluster.client(1).resets).to.deep.equal([]);
    cluster.isolated.delete(1);
    await cluster.run(200);
    const sent = await segments(cluster, open);
    await cluster.run(200);
    expect(sent.map(({ text }) => cluster.deliveredTo(text))).to.deep.equal(sent.map(({ at }) => at));
    expect(answers(cluster, sent)).to.equal(sent.length);
    expect(cluster.client(1).resets).to.deep.equal([]);
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(20_000);

  it('has them reset when it is away for more than 30 s: by then it is taken for dead', async () => {
    const { cluster, ofFirst } = await lostFirst();
    await cluster.run(TAKEN_FOR_DEAD_MS - 1000, 50);
    await segments(cluster, ofFirst);
    expect(cluster.client(1).resets).to.deep.equal([]);
    await cluster.run(1100, 50);
    await segments(cluster, ofFirst);
    await cluster.run(100);
    expect(cluster.client(1).resets).to.have.members(ofFirst.map(({ port }) => port));
  }).timeout(20_000);

  it('leaves new connections alone: one is refused at once where nobody listens', async () => {
    const { cluster } = await lostFirst();
    for (const { listening } of cluster.targets) listening.tcp.clear();
    const { port } = await connection(cluster);
    await cluster.run(50);
    expect(cluster.client(1).resets).to.deep.equal([port]);
    expect(withheld(cluster)).to.equal(0);
  });
});

describe('a routing agent that was restarted', () => {
  it('has nobody reset what a target has not listed yet', async () => {
    const { cluster, open, ofFirst } = await withConnections();
    cluster.killRouter();
    cluster.isolated.add(1);
    await cluster.run(50);
    cluster.startRouter();
    // It lacks the windows of the missing target, and asks for SAs of which all numbers are free.
    await cluster.run(3000, 5);
    await cluster.rekey(1);
    for (let i = 0; i < 20; i++) await segments(cluster, ofFirst);
    expect(withheld(cluster)).to.be.greaterThan(20);
    expect(cluster.client(1).resets).to.deep.equal([]);
    cluster.isolated.delete(1);
    await cluster.run(300);
    const sent = await segments(cluster, open);
    await cluster.run(100);
    expect(sent.map(({ text }) => cluster.deliveredTo(text))).to.deep.equal(sent.map(({ at }) => at));
    expect(cluster.client(1).resets).to.deep.equal([]);
  }).timeout(20_000);
});

describe('a complete cluster', () => {
  it('lets a target refuse a segment of a connection that nobody has', async () => {
    const { cluster } = await withConnections();
    await segments(cluster, [{ port: 999, at: 0 }]);
    await cluster.run(50);
    expect(cluster.client(1).resets).to.deep.equal([999]);
    expect(withheld(cluster)).to.equal(0);
  });
});
