import { expect } from 'chai';
import { DrainedTargets } from '../../src/agents/routing/drained-targets.ts';
import { Cluster, type TargetPeer } from '../../src/agents/routing/target-peers.ts';
import { Distributor } from '../../src/connections/distributor.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { routeConfig, silent } from '../support/cluster/router.ts';
import { DVIPA } from '../support/inner-packets.ts';

function setUp(epoch = 1) {
  const cluster = new Cluster(routeConfig(2));
  const distributor = new Distributor({ seed: Buffer.alloc(8, 1) });
  for (const { address, distribution } of cluster.dvipas.values())
    distributor.setDvipa(address, distribution);
  const store = new MemoryStore();
  const drains = new DrainedTargets({ cluster, distributor, store, log: silent, epoch: () => epoch });
  return { cluster, store, drains, peer: cluster.peers[0] as TargetPeer };
}

describe('drained targets', () => {
  it('are not stored before this host is the owner: an epoch that was stored would be written over', async () => {
    const { store, drains, peer } = setUp(0);
    const error: unknown = await drains.set(peer, peer.services, true).catch((reason: unknown) => reason);
    expect((error as Error).message).to.contain('charon has not been heard yet');
    expect([drains.drainingOf(peer), (await store.load()).dvipas.size]).to.deep.equal([[], 0]);
  });

  it('that were stored are drained again, by their names; others, and DVIPAs that are gone, are passed over', async () => {
    const { store, drains, peer } = setUp();
    await drains.set(peer, peer.services, true);
    const stored = (await store.load()).dvipas.get(DVIPA);
    expect(stored?.drained).to.have.lengthOf(1);
    const next = setUp();
    next.drains.restored('203.0.113.77', stored ?? {});
    next.drains.restored(DVIPA, { drained: ['0000000000000000', ...(stored?.drained ?? [])] });
    expect(next.cluster.peers.map((each) => next.drains.drainingOf(each))).to.deep.equal([[DVIPA], []]);
  });
});
