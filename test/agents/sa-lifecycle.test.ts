import { expect } from 'chai';
import type { RoutingSession } from '../../src/coupling/session.ts';
import type { PluginPolicy, PluginSnapshot } from '../../src/vici/index.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { NO_FAULTS } from '../support/cluster/network.ts';
import { counted } from '../support/dataplane-parts.ts';
import { addr } from '../support/inner-packets.ts';
import { answers, connection, load } from './cluster-helpers.ts';

async function setUp() {
  const cluster = new MemoryCluster();
  await cluster.up();
  const { charon, router } = cluster;
  const { port } = await connection(cluster);
  const [policy] = charon.snapshot().policies;
  const [outbound] = [...router.sas.outbound.values()];
  if (policy === undefined || outbound === undefined) throw new Error('not up');
  const change = router.lifecycle.change.bind(router.lifecycle, charon.instance);
  return { cluster, charon, router, port, policy, outbound, change };
}

describe('the life of SAs on the routing host', () => {
  it('acknowledges the last use of a policy only, however often charon has switched', async () => {
    const { cluster, charon, router, policy, change } = await setUp();
    for (const id of ['a', 'b', 'c']) change({ type: 'policy-add', policy: { ...policy, id } });
    await cluster.run(20);
    expect([...charon.acknowledged]).to.include.members(['a', 'b', 'c']); // each barrier was opened
    charon.acknowledged.clear();
    const again: PluginSnapshot = { ...charon.snapshot(), policies: [{ ...policy, id: 'd' }] };
    router.lifecycle.snapshot(again);
    await cluster.run(20);
    expect([...charon.acknowledged]).to.deep.equal(['d']);
  });

  it('lets a target send on the old SA until it has the new one, whose sender id is stored late', async () => {
    const { cluster, charon, router, port } = await setUp();
    charon.storeDelayMs = 300;
    const pair = charon.addPair(1);
    cluster.client(1).accept(pair);
    charon.usePair(pair);
    const during = await load(cluster, port, 200);
    const target = cluster.target(1).cache.outbound;
    expect(target.policies().map(({ spi }) => spi)).to.not.deep.equal([pair.spiOut]);
    await cluster.run(400);
    const after = await load(cluster, port, 50);
    await cluster.run(100);
    expect(target.policies().map(({ spi }) => spi)).to.deep.equal([pair.spiOut]);
    expect(answers(cluster, during)).to.equal(200);
    expect(answers(cluster, after)).to.equal(50);
    const sent = [...router.sas.outbound.values()].find(({ sa }) => sa.spi === pair.spiOut);
    expect(sent?.numbering.nextSequence).to.be.greaterThan(50);
  });

  it('sends a policy that is there before the SA is stored once, behind the SA', async () => {
    const { cluster, charon, router } = await setUp();
    const sent: string[] = [];
    const session = router.cluster.peer('target1')?.session as RoutingSession;
    const send = session.send.bind(session);
    session.send = (kind, body) => {
      sent.push(kind);
      return send(kind, body);
    };
    charon.usePair(charon.addPair(2));
    await cluster.run(100);
    expect(sent.filter((kind) => /install/.test(kind))).to.deep.equal([
      'sa-install',
      'sa-install',
      'policy-install',
    ]);
  });

  it('sends what was sealed on the old SA before the switch, though it comes when charon has deleted that SA', async () => {
    const cluster = new MemoryCluster({ peerWindow: 1024 });
    await cluster.up();
    const { charon, router } = cluster;
    const connections = [await connection(cluster), await connection(cluster)];
    expect(new Set(connections.map(({ at }) => at)).size).to.equal(2);
    const [old] = charon.pairs;
    if (old === undefined) throw new Error('not up');
    const rounds = async (count: number) => {
      for (let i = 0; i < count; i++) for (const { port } of connections) await load(cluster, port, 1);
    };
    await rounds(10);
    cluster.network.faults = { ...NO_FAULTS, jitterMs: 60 }; // of the link, while the sessions are quick
    await rounds(50);
    const pair = charon.addPair(1);
    cluster.client(1).accept(pair);
    await rounds(10);
    cluster.client(1).use(pair);
    charon.usePair(pair);
    await rounds(5);
    charon.deletePair(old);
    await rounds(10);
    await cluster.run(200);
    for (const { drops } of [router, ...cluster.targets])
      expect(counted(drops)).to.not.have.property('no-sa');
    await cluster.run(1000);
    expect([...router.sas.outbound.values()].map(({ sa }) => sa.spi)).to.deep.equal([pair.spiOut]);
    expect(
      cluster
        .target(1)
        .cache.outbound.policies()
        .map(({ spi }) => spi),
    ).to.deep.equal([pair.spiOut]);
  });

  it('removes a policy by its key', async () => {
    const { cluster, router, policy, change } = await setUp();
    change({ type: 'policy-delete', id: policy.id, key: policy.key });
    await cluster.run(5);
    expect(router.sas.outbound.policies()).to.deep.equal([]);
    expect(cluster.target(1).cache.outbound.policies()).to.deep.equal([]);
  });

  it('outlives policies and moves of a peer that it cannot serve', async () => {
    const { cluster, router, policy, outbound, change, port } = await setUp();
    const selector = { ...policy.sourceSelector, family: 6, from: '2001:db8::1', to: '2001:db8::1' } as const;
    const foreign: PluginPolicy = {
      ...policy,
      id: '77',
      key: 'out 6',
      sourceSelector: selector,
      destinationSelector: selector,
    };
    change({ type: 'policy-add', policy: foreign });
    const { outer } = outbound.sa;
    const sa = {
      id: outbound.pluginId,
      source: '192.0.2.10',
      destination: '2001:db8::99',
      sourcePort: 4500,
      destinationPort: 4500,
      hasUdpEncapsulation: true,
    };
    change({ type: 'sa-update', sa } as Parameters<typeof change>[0]);
    expect(outbound.sa.outer).to.deep.equal(outer);
    expect(router.sas.outbound.policies()).to.have.length(1);
    const sent = await load(cluster, port, 10);
    await cluster.run(20);
    expect(answers(cluster, sent)).to.equal(10);
  });

  it('takes packets of a peer that moved to another endpoint of ours there, and no longer at the old one', async () => {
    const { cluster, router, change } = await setUp();
    const [inbound] = [...router.sas.inbound.values()];
    if (inbound === undefined) throw new Error('not up');
    const { spi, outer } = inbound.sa;
    const moved = { ...outer, source: '2001:db8::99', destination: '2001:db8::10' };
    const sa = { id: inbound.pluginId, ...moved, hasUdpEncapsulation: false };
    change({ type: 'sa-update', sa } as Parameters<typeof change>[0]);
    await cluster.run(5);
    for (const sad of [router.sas.inbound, cluster.target(1).cache.inbound]) {
      expect(sad.lookup(spi, addr('2001:db8::10'), 0)).to.be.at.least(0);
      expect(sad.lookup(spi, addr(outer.destination), 0)).to.equal(-1);
    }
  });

  it('counts the age of a listed SA from the question, not from the answer: it may be older than this agent', async () => {
    for (const [askedAt, isDoubtful] of [
      [30, true],
      [100, false],
    ] as const) {
      const cluster = new MemoryCluster();
      const { charon, router } = cluster;
      await cluster.run(100);
      charon.listener = undefined;
      charon.addPair(1);
      const snapshot = charon.snapshot();
      const sas = snapshot.sas.map((sa) => ({ ...sa, ageMs: 40 }));
      router.lifecycle.snapshot({ ...snapshot, sas }, askedAt);
      const [entry] = [...router.sas.inbound.values()];
      expect(entry?.isWaitingForWindows).to.equal(isDoubtful);
    }
  });

  it('keeps nothing of a policy that is gone', async () => {
    const { cluster, charon, policy, change } = await setUp();
    change({ type: 'policy-add', policy: { ...policy, id: 'a' } });
    change({ type: 'policy-delete', id: 'a', key: policy.key });
    await cluster.run(20);
    expect(charon.acknowledged.has('a')).to.equal(false); // nobody waits for it any more
  });
});
