import { expect } from 'chai';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { listenerKey } from '../../src/connections/listeners.ts';
import { packNumbers } from '../../src/ipsec/number-ranges.ts';
import { LINK_SLACK } from '../../src/ipsec/numbering-constants.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted, vectorOf } from '../support/dataplane-parts.ts';
import { addr, DVIPA, reply } from '../support/inner-packets.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';

describe('a routing agent and a target that lies', () => {
  const setUp = async (options: { stamping?: 'on' | 'off' } = {}) => {
    const cluster = new MemoryCluster(options);
    await cluster.up();
    const { port, at } = await connection(cluster);
    await cluster.run(30);
    const [inbound] = [...cluster.router.sas.inbound.values()];
    const [outbound] = [...cluster.router.sas.outbound.values()];
    const liar = cluster.target((at % 3) + 1).relations.session;
    if (inbound === undefined || outbound === undefined || liar === undefined) throw new Error('not up');
    return { cluster, port, at, inbound, outbound, liar, sa: inbound.sa.id };
  };

  it('believes no numbers that were not dispatched to it', async () => {
    const { cluster, inbound, liar, sa } = await setUp();
    const { top } = inbound.owners;
    liar.send('replay-report', {
      sa,
      numbers: packNumbers([top + 1n, 0xffff_ff00n]),
      floor: 1_000_000n,
      wrongIcvs: 0,
    });
    await cluster.run(5);
    expect(inbound.owners.top).to.equal(top);
    expect(drops(cluster)).to.deep.equal({ 'coupling-not-granted': 1 });
  });

  it('takes only so many words about maintenance in a minute, and then the last one again', async () => {
    const { cluster, liar } = await setUp();
    const isDrained = () => cluster.router.answers.targets({}).some(({ maintenance }) => maintenance);
    for (let i = 1; i <= 1000; i++) liar.send('maintenance', { isOn: i % 2 === 1 });
    await cluster.run(5);
    expect(drops(cluster)['coupling-not-granted']).to.be.within(400, 980);
    await cluster.run(61_000);
    liar.send('maintenance', { isOn: true });
    await cluster.run(5);
    expect(isDrained()).to.equal(true);
  });

  it('believes no window of a target that it does not wait for: one record would stop the SA', async () => {
    const { cluster, inbound, liar, sa, port } = await setUp();
    const { top } = inbound.owners;
    liar.send('window', { sa, isComplete: true, top: 0xffff_fff0n, bitmap: new Uint8Array(8).fill(0xff) });
    await cluster.run(5);
    expect(inbound.owners.top).to.equal(top);
    const sent = await load(cluster, port, 5);
    await cluster.run(20);
    expect(answers(cluster, sent)).to.equal(5);
  });

  it('believes no bytes beyond the credit', async () => {
    const cluster = new MemoryCluster();
    await cluster.up({ soft: 50_000, hard: 100_000 });
    const [entry] = [...cluster.router.sas.outbound.values()];
    if (entry === undefined) throw new Error('not up');
    const credit = entry.lifesize.creditOf('target2').bytes;
    cluster
      .target(2)
      .relations.session?.send('lifesize-report', { sa: entry.sa.id, bytes: 99_000, packets: 1, idleMs: 0 });
    await cluster.run(5);
    expect(drops(cluster)).to.deep.equal({ 'coupling-not-granted': 1 });
    expect(entry.lifesize.totals(0).bytes).to.equal(credit);
  });

  for (const [stamping, most] of [
    ['on', LINK_SLACK],
    ['off', 0],
  ] as const) {
    it(`believes no outbound packets beyond the numbers that it had, also without a limit (stamping ${stamping})`, async () => {
      const { cluster, outbound, liar } = await setUp({ stamping });
      const { packets } = outbound.lifesize.totals(0);
      liar.send('lifesize-report', { sa: outbound.sa.id, bytes: 5e9, packets: 1e6, idleMs: 0 });
      await cluster.run(5);
      expect(drops(cluster)).to.deep.equal({ 'coupling-not-granted': 1 });
      expect(outbound.lifesize.totals(0).packets - packets).to.equal(most);
    });
  }

  it('believes no traffic that was not dispatched to it', async () => {
    const { cluster, inbound, liar, sa } = await setUp();
    const before = inbound.lifesize.totals(0);
    liar.send('lifesize-report', { sa, bytes: 5000, packets: 7, idleMs: 0 });
    await cluster.run(5);
    expect(inbound.lifesize.totals(0)).to.deep.equal(before);
    expect(drops(cluster)).to.deep.equal({ 'coupling-not-granted': 1 });
  });

  it('believes no answer to a claim that was not made', async () => {
    const { cluster, inbound, liar, sa } = await setUp();
    const { top } = inbound.owners;
    liar.send('claim-answer', { sa, sequence: top + 1n, isGiven: true });
    await cluster.run(5);
    expect(inbound.owners.top).to.equal(top);
    expect(drops(cluster)).to.deep.equal({ 'coupling-not-granted': 1 });
  });

  it("lets it neither take nor close another target's connection", async () => {
    const { cluster, port, at, liar } = await setUp();
    const flow = {
      dvipa: '203.0.113.10',
      group: 1,
      protocol: 6,
      source: '10.1.1.1',
      sourcePort: port,
      destinationPort: 80,
    };
    liar.send('flow-report', { opened: [flow], closed: [], full: false });
    liar.send('flow-report', { opened: [], closed: [flow], full: false });
    liar.send('flow-report', { opened: [{ ...flow, dvipa: '203.0.113.99' }], closed: [], full: false });
    // In clear, where the DVIPA takes none.
    liar.send('flow-report', { opened: [{ ...flow, group: 0 }], closed: [], full: false });
    await cluster.run(5);
    expect(drops(cluster)['coupling-not-granted']).to.be.greaterThan(2);
    const sent = await load(cluster, port, 3);
    await cluster.run(20);
    expect(sent.map(({ text }) => cluster.deliveredTo(text))).to.deep.equal([at, at, at]);
  });

  describe('about connections', () => {
    const HTTP = new Set([listenerKey(6, 80)]);
    const flow = {
      dvipa: '203.0.113.10',
      group: 1,
      protocol: 6,
      source: '10.1.1.1',
      sourcePort: 7777,
      destinationPort: 80,
    };
    const listening = async () => {
      const made = await setUp();
      for (const index of [0, 1, 2]) made.cluster.router.distributor.setListeners(index, addr(DVIPA), HTTP);
      return { ...made, refused: () => drops(made.cluster)['coupling-not-granted'] ?? 0 };
    };
    const confirmed = (cluster: MemoryCluster) => cluster.router.distributor.table.confirmedCount;

    it('believes no connections that were not dispatched to it', async () => {
      const { cluster, liar, refused } = await listening();
      const before = confirmed(cluster);
      liar.send('flow-report', { opened: [flow], closed: [], full: false });
      liar.send('flow-report', { opened: [flow], closed: [], full: true }); // nor in a list that it was not asked for
      await cluster.run(5);
      expect([confirmed(cluster) - before, refused()]).to.deep.equal([0, 2]);
    });

    it('believes what was dispatched to it without an entry, and what it opened from a port of its own', async () => {
      const { cluster, liar, at, refused } = await listening();
      const index = at % 3;
      const { distributor } = cluster.router;
      const key = {
        ...newConnectionKey(),
        dvipa: addr(DVIPA),
        group: 1,
        protocol: 6,
        source: addr('10.1.1.1'),
        destinationPort: 80,
      };
      let port = 2000;
      const dispatchedTo = (sourcePort: number) =>
        distributor.route({ ...key, sourcePort }, false, undefined, cluster.clock.now());
      while (dispatchedTo(port) !== index) port++;
      const before = confirmed(cluster);
      const own = { ...flow, destinationPort: 45_000 };
      liar.send('flow-report', { opened: [{ ...flow, sourcePort: port }, own], closed: [], full: false });
      await cluster.run(5);
      expect([confirmed(cluster) - before, refused()]).to.deep.equal([2, 0]);
    });

    it("lets it not say that another's connection has ended, and takes the end of none for late", async () => {
      const { cluster, port, liar, refused } = await listening();
      liar.send('flow-report', { opened: [], closed: [flow], full: false });
      await cluster.run(5);
      expect(refused()).to.equal(0);
      liar.send('flow-report', { opened: [], closed: [{ ...flow, sourcePort: port }], full: false });
      await cluster.run(5);
      expect(refused()).to.equal(1);
    });

    it('believes the list of a new session, but not where another target has the connection already', async () => {
      const { cluster, port, at } = await listening();
      cluster.killRouter();
      await cluster.run(20);
      cluster.startRouter();
      const { distributor } = cluster.router;
      for (const index of [0, 1, 2]) distributor.setListeners(index, addr(DVIPA), HTTP);
      const key = {
        ...newConnectionKey(),
        dvipa: addr(DVIPA),
        group: 1,
        protocol: 6,
        source: addr('10.1.1.1'),
      };
      const its = { ...key, sourcePort: port, destinationPort: 80 };
      await cluster.run(500);
      expect(distributor.table.lookup(its)).to.equal(at - 1);
      expect(drops(cluster)['coupling-not-granted']).to.equal(undefined);
      cluster.target((at % 3) + 1).relations.session?.send('flow-report', {
        opened: [{ ...flow, sourcePort: port }, flow],
        closed: [],
        full: true,
      });
      await cluster.run(5);
      expect([distributor.table.lookup(its), distributor.table.size]).to.deep.equal([at - 1, 1]);
      expect(drops(cluster)['coupling-not-granted']).to.equal(1);
    });
  });

  it('takes no lease back that another holds, and says nothing of SAs that are gone', async () => {
    const { cluster, outbound, liar, sa } = await setUp();
    const next = outbound.numbering.nextSequence;
    for (const lease of [1, 2, 2 ** 20 + 1])
      liar.send('lease-return', { sa: outbound.sa.id, lease, firstUnused: 1n });
    liar.send('lease-request', { sa, count: 64 });
    await cluster.run(5);
    expect(outbound.numbering.nextSequence).to.be.at.least(next);
    expect(drops(cluster)['coupling-not-granted']).to.be.greaterThan(0);
    await cluster.rekey(1);
    const refused = drops(cluster)['coupling-not-granted'];
    liar.send('lifesize-report', { sa, bytes: 1, packets: 1, idleMs: 0 });
    await cluster.run(5);
    expect(drops(cluster)['coupling-not-granted']).to.equal(refused); // late, not a lie
  });

  for (const [stamping, way] of [
    ['on', 'stamping'],
    ['off', 'funnel'],
  ] as const) {
    it(`drops what a target sends over the link without a session, on either side: nothing is sealed (${way})`, async () => {
      const { cluster, port } = await setUp({ stamping });
      const two = await connection(cluster);
      await load(cluster, port, 20);
      await load(cluster, two.port, 20);
      cluster.killRouter();
      await cluster.run(10);
      const target = cluster.target(two.at);
      const before = counted(target.drops)['no-number'] ?? 0;
      const states = [...target.cache.outbound.values()].map(({ holder }) => holder.state);
      expect(states).to.deep.equal([way]);
      target.outbound.run(vectorOf(reply({ destinationPort: two.port })), cluster.clock.now());
      expect((counted(target.drops)['no-number'] ?? 0) - before).to.equal(1);
    });
  }
});
