import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';
import { newestSa, opening, refuseInbound, withhold, withholdFromStart } from './opening-helpers.ts';

const ALL = [1, 2, 3];

/** No target serves the inbound SA. Returns how to end that. */
async function unserved() {
  const cluster = new MemoryCluster();
  await cluster.run(5);
  const end = refuseInbound(cluster, ALL, 'not today');
  await cluster.newPair(1);
  return { cluster, end };
}

describe('targets that do not serve an SA', () => {
  it('get their packets opened by the routing host, and answer', async () => {
    const { cluster } = await unserved();
    const { port, at, text } = await connection(cluster);
    await cluster.run(60);
    expect(cluster.deliveredTo(text)).to.be.greaterThan(0);
    expect(cluster.client(1).answered.has(text)).to.equal(true);
    const sent = await load(cluster, port, 20);
    await cluster.run(10);
    expect(answers(cluster, sent), `connection at target${at}`).to.equal(20);
    expect(opening(cluster)).to.deep.include({ opened: 21, inPlaceOfTargets: 21 });
    expect(newestSa(cluster)).to.deep.include({ openedHere: 21, state: 'refused' });
    expect(cluster.router.answers.status().counters).to.deep.include({ opened: 21, linkOut: 21 });
    expect(drops(cluster)).to.deep.equal({});
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('have 50 ms for it, also those that came back after the SA did', async () => {
    const cluster = new MemoryCluster({ targets: 1 });
    await cluster.up();
    cluster.killTarget(1);
    await cluster.run(1000, 10);
    cluster.startTarget(1);
    withholdFromStart(cluster, 1, 'sa-installed');
    while (cluster.router.cluster.peers[0]?.hasSnapshot !== true) await cluster.run(1);
    const { text, datagram } = cluster.client(1).open();
    cluster.send(datagram);
    await cluster.run(45);
    expect(cluster.delivered.has(text)).to.equal(false);
    await cluster.run(60);
    expect(cluster.deliveredTo(text)).to.equal(1);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('are served so no longer than until they serve it themselves', async () => {
    const cluster = new MemoryCluster();
    await cluster.run(5);
    const releases = ALL.map((n) => withhold(cluster, n, 'sa-installed'));
    await cluster.newPair(1);
    const { port } = await connection(cluster);
    await cluster.run(60);
    for (const release of releases) release();
    await cluster.run(10);
    const { opened } = opening(cluster);
    expect(opened).to.equal(1);
    const sent = await load(cluster, port, 20);
    await cluster.run(10);
    expect(answers(cluster, sent)).to.equal(20);
    expect(opening(cluster).opened).to.equal(opened);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('cost the connections of the others nothing: only theirs are opened here', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const [one, two] = [await connection(cluster), await connection(cluster)];
    await cluster.run(30);
    refuseInbound(cluster, [one.at], 'not today');
    await cluster.rekey(1);
    const sent = [];
    for (let i = 0; i < 20; i++)
      sent.push(...(await load(cluster, one.port, 1)), ...(await load(cluster, two.port, 1)));
    await cluster.run(60);
    expect(answers(cluster, sent)).to.equal(40);
    expect(opening(cluster).opened).to.equal(20);
    expect((await connection(cluster)).at, 'new ones go to others').to.not.equal(one.at);
    expect(drops(cluster)).to.deep.equal({});
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('get nothing while the store has the mark not yet, and everything when it has', async () => {
    const { cluster } = await unserved();
    cluster.charon.storeDelayMs = 150;
    const opened = [];
    for (let i = 0; i < 5; i++) {
      const { text, datagram } = cluster.client(1).open();
      opened.push(text);
      cluster.send(datagram);
      await cluster.run(20);
    }
    expect([opening(cluster).opened, cluster.delivered.size]).to.deep.equal([0, 0]);
    await cluster.run(100);
    expect(opened.filter((text) => cluster.deliveredTo(text) !== undefined)).to.have.lengthOf(5);
    expect(drops(cluster)).to.deep.equal({});
  });

  it('get nothing if the store does not take the mark', async () => {
    const { cluster } = await unserved();
    cluster.charon.storeFailure = 1;
    const { datagram, text } = cluster.client(1).open();
    for (let i = 0; i < 10; i++) {
      cluster.send(datagram);
      await cluster.run(40);
    }
    expect(cluster.delivered.has(text)).to.equal(false);
    expect(opening(cluster).opened).to.equal(0);
    cluster.charon.storeFailure = 0;
    await cluster.run(60);
    cluster.send(datagram);
    await cluster.run(10);
    expect(cluster.deliveredTo(text)).to.be.greaterThan(0);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('get nothing of the SA from a next life of the routing agent: it is rekeyed before anything is dispatched', async () => {
    const { cluster, end } = await unserved();
    const { datagram, text } = cluster.client(1).open();
    cluster.send(datagram);
    await cluster.run(80);
    expect(cluster.deliveredTo(text)).to.be.greaterThan(0);
    cluster.killRouter();
    end(); // from now on they serve it, and their windows know nothing of it
    cluster.startRouter();
    for (let i = 0; i < 28; i++) {
      cluster.send(datagram);
      await cluster.run(50);
    }
    expect(newestSa(cluster).targets?.map(({ state }) => state)).to.deep.equal(ALL.map(() => 'installed'));
    expect(cluster.router.inbound.dispatched + opening(cluster).opened).to.equal(0);
    await cluster.run(400);
    expect(cluster.rekeys).to.include('windows-lost in');
    expect((await connection(cluster)).at).to.be.greaterThan(0);
    cluster.send(datagram);
    await cluster.run(20);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('have what was opened for them counted in the totals, once', async () => {
    const { cluster } = await unserved();
    const { port } = await connection(cluster);
    await cluster.run(60);
    await load(cluster, port, 20);
    await cluster.run(1500);
    const { packets, id } = newestSa(cluster);
    expect(packets).to.equal(21);
    expect(cluster.charon.counters.get(id.split(':')[1] ?? '')?.packets).to.equal(21);
  });
});
