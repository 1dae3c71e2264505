import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted, vectorOf } from '../support/dataplane-parts.ts';
import { reply } from '../support/inner-packets.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';

describe('a cluster in memory, and what charon does', () => {
  it('drops all SAs, keys and policies of a charon that was restarted, and serves the new ones', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    await connection(cluster);
    const keys = cluster.targets.flatMap(({ cache }) =>
      [...cache.inbound.values(), ...cache.outbound.values()].map(({ sa }) => sa.encryption.key),
    );
    cluster.charon.restart('00000000000000ff');
    cluster.router.lifecycle.snapshot(cluster.charon.snapshot());
    await cluster.run(5);
    expect([...cluster.router.sas.all()]).to.deep.equal([]);
    for (const { cache } of cluster.targets) {
      expect([cache.inbound.size, cache.outbound.size, cache.outbound.policies().length]).to.deep.equal([
        0, 0, 0,
      ]);
    }
    expect(keys).to.have.lengthOf(6);
    expect(keys.every(({ isWiped }) => isWiped)).to.equal(true);
    await cluster.newPair(1);
    const { text } = await connection(cluster);
    expect(cluster.client(1).answered.has(text)).to.equal(true);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('lists twice without a change: nothing is installed again, no counter starts anew', async () => {
    const cluster = new MemoryCluster({ targets: 1 });
    await cluster.up();
    const { port } = await connection(cluster);
    await load(cluster, port, 10);
    const entries = [...cluster.router.sas.all()];
    cluster.router.lifecycle.snapshot(cluster.charon.snapshot());
    await cluster.run(5);
    expect([...cluster.router.sas.all()]).to.deep.equal(entries);
    const sent = await load(cluster, port, 10);
    await cluster.run(10);
    expect(answers(cluster, sent)).to.equal(10);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('sends to where the peer has moved, by both ways', async () => {
    const cluster = new MemoryCluster();
    const [pair] = (await cluster.up(), cluster.charon.pairs);
    if (pair === undefined) throw new Error('not up');
    cluster.charon.move(pair, '192.0.2.101', 31_000);
    await cluster.run(5);
    const ports = [
      ...cluster.router.sas.outbound.values(),
      ...cluster.targets.flatMap(({ cache }) => [...cache.outbound.values()]),
    ].map(({ outer }) => [outer.destinationPort, outer.sourcePort]);
    expect(ports).to.deep.equal(Array.from({ length: 4 }, () => [31_000, 4500]));
    const { text } = await connection(cluster);
    expect(cluster.client(1).answered.has(text)).to.equal(true);
  });

  it('lets nothing out once the policy is gone: no-policy', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { port, at } = await connection(cluster);
    cluster.charon.removePolicy(1);
    await cluster.run(5);
    const sent = await load(cluster, port, 3);
    await cluster.run(20);
    expect(answers(cluster, sent)).to.equal(0);
    expect(counted(cluster.target(at).drops)).to.deep.equal({ 'no-policy': 3 });
  });

  it('tells charon that an SA is served when a target serves it, and at once when there is none', async () => {
    const cluster = new MemoryCluster({ targets: 1 });
    const early = cluster.charon.addPair(1);
    expect(cluster.charon.acknowledged.has(early.idIn)).to.equal(true);
    await cluster.run(5);
    const late = cluster.charon.addPair(1);
    expect(cluster.charon.acknowledged.has(late.idIn)).to.equal(false);
    await cluster.run(2);
    expect([late.idIn, late.idOut].map((id) => cluster.charon.acknowledged.has(id))).to.deep.equal([
      true,
      true,
    ]);
  });

  it('gives the SAs of a DVIPA, and its keys, to authorised targets only', async () => {
    const cluster = new MemoryCluster({ targets: 3, authorised: 2 });
    const kinds: string[] = [];
    const stranger = cluster.target(3).relations;
    const onRecord = stranger.onRecord.bind(stranger);
    stranger.onRecord = (session, event) => {
      kinds.push(event.kind);
      return onRecord(session, event);
    };
    await cluster.up();
    cluster.cut(3); // and once more, with a snapshot now
    await cluster.run(100);
    expect(kinds.filter((kind) => kind === 'snapshot-end')).to.have.lengthOf(2);
    expect(new Set(kinds)).to.deep.equal(new Set(['link-key', 'snapshot-begin', 'snapshot-end']));
    const at = [];
    for (let i = 0; i < 4; i++) at.push((await connection(cluster)).at);
    expect(at.toSorted((a, b) => a - b)).to.deep.equal([1, 1, 2, 2]);
    const { cache, relations, outbound } = cluster.target(3);
    expect([cache.inbound.size, cache.outbound.size, cache.dvipas.length]).to.deep.equal([0, 0, 0]);
    expect(relations.isSnapshotComplete).to.equal(true);
    outbound.run(vectorOf(reply()), cluster.clock.now());
    expect(counted(cluster.target(3).drops)).to.deep.equal({ 'no-policy': 1 });
    const [sa] = [...cluster.router.sas.inbound.values()];
    relations.session?.send('lifesize-report', { sa: sa?.sa.id as never, bytes: 1, packets: 1, idleMs: 0 });
    await cluster.run(5);
    expect(drops(cluster)).to.deep.equal({ 'coupling-not-granted': 1 });
  });

  it('leaves no timer behind when everything has ended', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { port } = await connection(cluster);
    await load(cluster, port, 20);
    cluster.cut(1, true);
    await cluster.run(100);
    cluster.close();
    cluster.clock.advance(30_000);
    expect(cluster.clock.pending).to.equal(0);
  });
});
