import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';

const refused = (cluster: MemoryCluster) =>
  cluster.targets.map(({ drops }) => counted(drops)['look-alike'] ?? 0);

async function alike(
  options: { clients?: number; targets?: number; stamping?: 'on' | 'off' } = {},
): Promise<MemoryCluster> {
  const cluster = new MemoryCluster({ clients: 2, ...options, alike: true });
  await cluster.up();
  return cluster;
}

describe('clients with one inner address, in a cluster in memory', () => {
  it('have the same ports on different targets, and each gets its own answers', async () => {
    const cluster = await alike({ targets: 2 });
    for (let i = 0; i < 4; i++) {
      const [one, two] = [await connection(cluster, 1), await connection(cluster, 2)];
      expect(one.port).to.equal(two.port);
      expect([one.at, two.at]).to.have.members([1, 2]);
      const [first, second] = [await load(cluster, one.port, 20, 1), await load(cluster, two.port, 20, 2)];
      await cluster.run(400);
      expect([answers(cluster, first, 1), answers(cluster, second, 2)]).to.deep.equal([20, 20]);
    }
    expect(refused(cluster)).to.deep.equal([0, 0]);
    expect(drops(cluster)).to.deep.equal({});
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(30_000);

  for (const way of ['stamping', 'funnel'] as const) {
    it(`are answered by several targets at once as well, each under its own SA (${way})`, async () => {
      const cluster = await alike({ targets: 3, stamping: way === 'stamping' ? 'on' : 'off' });
      const open = [];
      for (let i = 0; i < 3; i++) {
        for (const client of [1, 2]) open.push({ client, ...(await connection(cluster, client)) });
      }
      const sent = new Map<number, { text: string }[]>([
        [1, []],
        [2, []],
      ]);
      for (let i = 0; i < 20; i++) {
        for (const { client, port } of open) {
          const segments = await load(cluster, port, 1, client);
          sent.get(client)?.push(...segments);
        }
      }
      await cluster.run(300);
      expect(cluster.router.host[way].sent.sealed).to.be.greaterThan(50);
      for (const [client, texts] of sent) expect(answers(cluster, texts, client)).to.equal(texts.length);
      expect(refused(cluster)).to.deep.equal([0, 0, 0]);
      expect(cluster.allViolations).to.deep.equal([]);
    }).timeout(30_000);
  }

  it('are refused by name what the other one has, when there is no other target', async () => {
    const cluster = await alike({ targets: 1 });
    const one = await connection(cluster, 1);
    const two = await connection(cluster, 2);
    expect([one.at, two.at, one.port - two.port]).to.deep.equal([1, 0, 0]);
    expect(refused(cluster)).to.deep.equal([1]);
    expect(cluster.client(2).answered.size).to.equal(0);
    // Another port is free, and the first one's connection goes on.
    const free = await connection(cluster, 2);
    const sent = [await load(cluster, one.port, 10, 1), await load(cluster, free.port, 10, 2)];
    await cluster.run(300);
    expect([answers(cluster, sent[0] ?? [], 1), answers(cluster, sent[1] ?? [], 2)]).to.deep.equal([10, 10]);
    expect(refused(cluster)).to.deep.equal([1]);
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(30_000);

  it('keep their connections over a rekey of either', async () => {
    const cluster = await alike({ targets: 2 });
    const [one, two] = [await connection(cluster, 1), await connection(cluster, 2)];
    for (const client of [1, 2]) {
      await cluster.rekey(client);
      const sent = [await load(cluster, one.port, 10, 1), await load(cluster, two.port, 10, 2)];
      await cluster.run(300);
      expect([answers(cluster, sent[0] ?? [], 1), answers(cluster, sent[1] ?? [], 2)]).to.deep.equal([
        10, 10,
      ]);
    }
    expect(refused(cluster)).to.deep.equal([0, 0]);
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(30_000);

  it('may be one that comes again: it gets new connections at once, and its old ones when charon deletes the old SAs', async () => {
    const cluster = new MemoryCluster({ clients: 2, targets: 1, alike: true });
    await cluster.run(5);
    const old = await cluster.newPair(1);
    const before = await connection(cluster, 1);
    await cluster.newPair(2); // the same host, elsewhere
    cluster.client(2).open(); // the port of `before`
    const resumed = () => cluster.client(2).segment(before.port);
    const meanwhile = await connection(cluster, 2);
    const sent = await load(cluster, meanwhile.port, 10, 2);
    const early = resumed();
    cluster.send(early.datagram);
    await cluster.run(300);
    expect([meanwhile.at, answers(cluster, sent, 2)]).to.deep.equal([1, 10]);
    expect(cluster.client(2).answered.has(early.text)).to.equal(false);
    expect(refused(cluster)).to.deep.equal([1]);
    cluster.charon.removePolicy(1);
    cluster.charon.deletePair(old);
    await cluster.run(10);
    const later = [resumed(), resumed()];
    for (const { datagram } of later) cluster.send(datagram);
    await cluster.run(300);
    expect(answers(cluster, later, 2)).to.equal(2);
    expect(refused(cluster)).to.deep.equal([1]);
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(30_000);

  it('are told apart by a restarted routing agent and a restarted target as well', async () => {
    const cluster = await alike({ targets: 2 });
    const [one, two] = [await connection(cluster, 1), await connection(cluster, 2)];
    cluster.killRouter();
    await cluster.run(20);
    cluster.startRouter();
    await cluster.run(200);
    const sent = [await load(cluster, one.port, 10, 1), await load(cluster, two.port, 10, 2)];
    await cluster.run(300);
    expect([answers(cluster, sent[0] ?? [], 1), answers(cluster, sent[1] ?? [], 2)]).to.deep.equal([10, 10]);
    expect((await connection(cluster, 1)).at).to.be.greaterThan(0);
    cluster.killTarget(1);
    await cluster.run(20);
    cluster.startTarget(1);
    await cluster.run(300);
    for (let i = 0; i < 3; i++) {
      for (const client of [1, 2]) {
        const fresh = await connection(cluster, client);
        expect(cluster.client(client).answered.has(fresh.text)).to.equal(true);
      }
    }
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(30_000);
});
