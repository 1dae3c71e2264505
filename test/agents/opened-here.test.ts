import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import { addr, DVIPA } from '../support/inner-packets.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';
import { forgedSegments, holdLink, newestSa, opening, withhold, withPort } from './opening-helpers.ts';

/** Two confirmed connections on two targets. */
async function setUp() {
  const cluster = new MemoryCluster();
  await cluster.up();
  const [one, two] = [await connection(cluster), await connection(cluster)];
  await cluster.run(30);
  expect(one.at).to.not.equal(two.at);
  return { cluster, one, two };
}

/** `count` segments of the first connection; before each a copy whose peek leads to the second's target. */
async function underAttack(count: number) {
  const { cluster, one, two } = await setUp();
  const sent = [];
  for (let i = 0; i < count; i++) {
    const genuine = cluster.client(1).segment(one.port);
    sent.push(genuine);
    cluster.send(withPort(genuine.datagram, one.port, two.port));
    cluster.send(genuine.datagram);
    await cluster.run(1);
  }
  await cluster.run(20);
  return { cluster, one, two, sent };
}

describe('a forged copy that leads to another target', () => {
  it('costs the genuine packet nothing: it is delivered at its own target, once', async () => {
    const { cluster, one, two } = await setUp();
    const genuine = cluster.client(1).segment(one.port);
    const sent = [genuine];
    cluster.send(withPort(genuine.datagram, one.port, two.port));
    await cluster.run(2); // it is refused there, and the routing host does not know yet
    cluster.send(genuine.datagram);
    await cluster.run(20);
    expect(sent.map(({ text }) => cluster.deliveredTo(text))).to.deep.equal([one.at]);
    expect(answers(cluster, sent)).to.equal(1);
    expect(counted(cluster.target(two.at).drops)).to.deep.equal({ icv: 1 });
    expect([drops(cluster), opening(cluster).opened, newestSa(cluster).openedHere]).to.deep.equal([{}, 1, 1]);
    for (const { datagram } of [...sent, ...sent, ...sent]) cluster.send(datagram);
    await cluster.run(50);
    expect(drops(cluster)).to.deep.equal({ replay: 3 });
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('does the same before every packet of a connection, in vain', async () => {
    const { cluster, one, sent } = await underAttack(30);
    expect(sent.map(({ text }) => cluster.deliveredTo(text))).to.deep.equal(sent.map(() => one.at));
    expect(answers(cluster, sent)).to.equal(30);
    expect(drops(cluster)).to.deep.equal({});
    expect(opening(cluster).waiting).to.equal(0);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('is found out here when it comes after the genuine one', async () => {
    const { cluster, one, two } = await setUp();
    const genuine = cluster.client(1).segment(one.port);
    cluster.send(genuine.datagram);
    cluster.send(withPort(genuine.datagram, one.port, two.port));
    await cluster.run(20);
    expect(cluster.deliveredTo(genuine.text)).to.equal(one.at);
    expect(drops(cluster)).to.deep.equal({ icv: 1 });
    expect(opening(cluster)).to.deep.include({ granted: 1, opened: 0 });
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('adds nothing to the lifesize, and what is opened here is counted once', async () => {
    const total = async (make: () => Promise<MemoryCluster>) => {
      const cluster = await make();
      await cluster.run(1500);
      const { packets, bytes, id } = newestSa(cluster);
      const pushed = cluster.charon.counters.get(id.split(':')[1] ?? '');
      expect(pushed, 'charon knows it').to.deep.equal({ packets, bytes });
      return { packets, bytes };
    };
    const attacked = await total(async () => (await underAttack(20)).cluster);
    const calm = await total(async () => {
      const { cluster, one } = await setUp();
      await load(cluster, one.port, 20);
      return cluster;
    });
    expect(attacked).to.deep.equal(calm);
    expect(calm.packets).to.equal(22);
  });
});

describe('a target that was asked for a number', () => {
  /** A genuine packet is under way to the first target when its connection goes to another one; the peer's copy comes there. */
  const moved = async () => {
    const { cluster, one, two } = await setUp();
    const arrive = holdLink(cluster, one.at);
    const genuine = cluster.client(1).segment(one.port);
    cluster.send(genuine.datagram);
    await cluster.run(3);
    const { distributor } = cluster.router;
    distributor.table.removeTarget(one.at - 1);
    const key = { dvipa: addr(DVIPA), group: 1, protocol: 6, source: addr('10.1.1.1'), destinationPort: 80 };
    distributor.confirm({ ...key, sourcePort: one.port }, two.at - 1, cluster.clock.now());
    return { cluster, one, two, genuine, arrive };
  };

  it('does not deliver it any more once it has given it up, however late its copy is', async () => {
    const { cluster, two, genuine, arrive } = await moved();
    cluster.send(genuine.datagram);
    await cluster.run(10);
    expect(cluster.deliveredTo(genuine.text)).to.equal(two.at);
    arrive();
    await cluster.run(20);
    expect(cluster.deliveredTo(genuine.text)).to.equal(two.at);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('keeps it if it was quicker', async () => {
    const { cluster, one, genuine, arrive } = await moved();
    const ask = withhold(cluster, one.at, 'replay-report');
    arrive();
    await cluster.run(3);
    cluster.send(genuine.datagram);
    await cluster.run(10);
    ask();
    await cluster.run(20);
    expect(cluster.deliveredTo(genuine.text)).to.equal(one.at);
    expect(drops(cluster)).to.deep.equal({ replay: 1 });
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('is the only one who is believed about it', async () => {
    const { cluster, one, two, genuine, arrive } = await moved();
    const answer = withhold(cluster, one.at, 'claim-answer');
    cluster.send(genuine.datagram);
    await cluster.run(5);
    expect(opening(cluster).waiting).to.equal(1);
    const [entry] = [...cluster.router.sas.inbound.values()];
    if (entry === undefined) throw new Error('no SA');
    const sequence = BigInt(genuine.datagram.readUInt32BE(32));
    const lie = { sa: entry.sa.id, sequence, isGiven: true };
    cluster.target(two.at).relations.session?.send('claim-answer', lie);
    await cluster.run(5);
    expect(cluster.delivered.has(genuine.text)).to.equal(false);
    expect(drops(cluster)).to.deep.equal({ 'coupling-not-granted': 1 });
    answer();
    arrive();
    await cluster.run(10);
    expect(cluster.deliveredTo(genuine.text)).to.equal(two.at);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('is asked in vain when it dies: nothing is delivered, and the SA is rekeyed', async () => {
    const { cluster, one, genuine } = await moved();
    withhold(cluster, one.at, 'claim-answer');
    cluster.send(genuine.datagram);
    await cluster.run(5);
    cluster.killTarget(one.at);
    await cluster.run(20);
    cluster.send(genuine.datagram);
    await cluster.run(100);
    expect(cluster.delivered.has(genuine.text)).to.equal(false);
    expect(drops(cluster)['replay-undecided']).to.be.greaterThan(0);
    expect(cluster.rekeys).to.include('replay-undecided in');
    expect(cluster.allViolations).to.deep.equal([]);
  });
});

describe('an SA of which packets are forged in masses', () => {
  it('is shown as attacked; confirmed connections go on, new ones are opened, and it ends by itself', async () => {
    const { cluster, one, two } = await setUp();
    expect(newestSa(cluster).isAttacked).to.equal(false);
    const sent = [];
    let first = 5;
    for (let round = 0; round < 50; round++) {
      for (const datagram of forgedSegments(cluster, first, 4)) cluster.send(datagram);
      first += 4;
      sent.push(...(await load(cluster, (round % 2 === 0 ? one : two).port, 1)));
    }
    await cluster.run(20);
    expect(newestSa(cluster).isAttacked).to.equal(true);
    expect(opening(cluster).attackedSas).to.equal(1);
    expect(answers(cluster, sent)).to.equal(50);
    const fresh = await connection(cluster);
    expect(fresh.at).to.be.greaterThan(0);
    expect(cluster.client(1).answered.has(fresh.text)).to.equal(true);
    expect(drops(cluster)['replay-conflict']).to.equal(undefined);
    const { opened } = opening(cluster);
    expect(opened).to.be.greaterThan(0);
    await cluster.run(4000, 10);
    expect([newestSa(cluster).isAttacked, opening(cluster).attackedSas]).to.deep.equal([false, 0]);
    expect((await connection(cluster)).at).to.be.greaterThan(0);
    expect(opening(cluster).opened).to.equal(opened);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('has no tentative entries made for it', async () => {
    const { cluster } = await setUp();
    for (const datagram of forgedSegments(cluster, 5, 60)) cluster.send(datagram);
    await cluster.run(20);
    for (const datagram of forgedSegments(cluster, 100, 200)) cluster.send(datagram);
    await cluster.run(20);
    expect(cluster.router.distributor.table.tentativeCount).to.equal(0);
    expect(await cluster.router.answers.connections()).to.have.lengthOf(2);
  });
});
