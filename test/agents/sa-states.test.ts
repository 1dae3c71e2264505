import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { newestSa, refuseInbound, statesOf, withhold } from './opening-helpers.ts';

const all = (state: string) => ({ target1: state, target2: state, target3: state });

async function started() {
  const cluster = new MemoryCluster();
  await cluster.run(5);
  return cluster;
}

describe('the states of an SA at its targets', () => {
  it('are serving where it was acknowledged, in both directions', async () => {
    const cluster = await started();
    await cluster.newPair(1);
    await cluster.run(5);
    expect(statesOf(cluster)).to.deep.equal(all('serving'));
    expect(statesOf(cluster, 'out')).to.deep.equal(all('serving'));
    expect(newestSa(cluster)).to.deep.include({ state: 'serving', isAttacked: false, openedHere: 0 });
  });

  it('are of authorised targets only', async () => {
    const cluster = new MemoryCluster({ authorised: 2 });
    await cluster.up();
    expect(Object.keys(statesOf(cluster))).to.deep.equal(['target1', 'target2']);
  });

  it('are failed where it was refused, with the reason', async () => {
    const cluster = await started();
    refuseInbound(cluster, [2], 'no such algorithm');
    await cluster.newPair(1);
    await cluster.run(5);
    expect(statesOf(cluster)).to.deep.equal({ ...all('serving'), target2: 'failed: no such algorithm' });
    expect(newestSa(cluster).state).to.equal('serving');
    cluster.cut(2);
    await cluster.run(60);
    expect(statesOf(cluster)['target2'], 'asked again, refused again').to.equal('failed: no such algorithm');
  });

  it('are failed where an outbound one was refused', async () => {
    const cluster = await started();
    cluster.target(3).cache.install = () => 'no room';
    await cluster.newPair(1);
    await cluster.run(5);
    expect(statesOf(cluster, 'out')).to.deep.equal({ ...all('serving'), target3: 'failed: no room' });
  });

  it('are offered until the target acknowledges it', async () => {
    const cluster = await started();
    const release = withhold(cluster, 3, 'sa-installed');
    await cluster.newPair(1);
    await cluster.run(5);
    expect(statesOf(cluster)).to.deep.equal({ ...all('serving'), target3: 'offered' });
    release();
    await cluster.run(5);
    expect(statesOf(cluster)).to.deep.equal(all('serving'));
  });

  it('are down with the target, and come back with it', async () => {
    const cluster = await started();
    await cluster.newPair(1);
    cluster.killTarget(1);
    await cluster.run(5);
    expect(statesOf(cluster)).to.deep.equal({ ...all('serving'), target1: 'down' });
    cluster.startTarget(1);
    await cluster.run(100);
    expect(statesOf(cluster)).to.deep.equal(all('serving'));
  });

  it('are installed outbound until charon switches, and draining from then on where the old one is', async () => {
    const cluster = await started();
    const old = await cluster.newPair(1);
    const pair = cluster.charon.addPair(1);
    cluster.client(1).accept(pair);
    await cluster.run(10);
    const byId = (id: string) => {
      const sa = cluster.router.answers.sas().find((one) => one.id.endsWith(`:${id}`));
      return [...new Set(sa?.targets?.map(({ state }) => state))].join();
    };
    expect([byId(old.idOut), byId(pair.idOut)]).to.deep.equal(['serving', 'installed']);
    expect([byId(old.idIn), byId(pair.idIn)]).to.deep.equal(['draining', 'serving']);
    cluster.charon.usePair(pair);
    await cluster.run(5);
    expect([byId(old.idOut), byId(pair.idOut)]).to.deep.equal(['draining', 'serving']);
  });

  it('are installed while windows are missing after a restart of the routing agent', async () => {
    const cluster = await started();
    cluster.rekeySoon = () => {};
    await cluster.newPair(1);
    cluster.killRouter();
    cluster.killTarget(3);
    cluster.startRouter();
    await cluster.run(100);
    expect(statesOf(cluster)).to.deep.equal({ ...all('installed'), target3: 'down' });
  });
});
