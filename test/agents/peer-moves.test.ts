import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { outerOf } from '../support/cluster/charon.ts';
import { ENDPOINT } from '../support/inner-packets.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';

const HERE = `${outerOf(1)}:4500`;

async function setUp() {
  const cluster = new MemoryCluster();
  await cluster.up();
  const { port, at } = await connection(cluster);
  await load(cluster, port, 5);
  await cluster.run(30);
  return { cluster, client: cluster.client(1), charon: cluster.charon, port, at };
}

/** Where each host has the peer, in both directions, once each. */
function peers(cluster: MemoryCluster): string[] {
  const { router, targets } = cluster;
  const inbound = [router.sas, ...targets.map(({ cache }) => cache)].flatMap((sas) =>
    [...sas.inbound.values()].map(({ sa: { outer } }) => `${outer.source}:${outer.sourcePort}`),
  );
  const outbound = [router.sas, ...targets.map(({ cache }) => cache)].flatMap((sas) =>
    [...sas.outbound.values()].map(({ sa: { outer } }) => `${outer.destination}:${outer.destinationPort}`),
  );
  return [...new Set([...inbound, ...outbound])];
}

describe('a peer that moves, over the whole cluster', () => {
  it('is followed by charon, the routing host and every target, in both directions', async () => {
    const { cluster, client, charon, port } = await setUp();
    client.moveTo(outerOf(1), 61_000);
    const sent = await load(cluster, port, 20);
    await cluster.run(20);
    expect(charon.mappings).to.deep.equal([`${outerOf(1)}:61000`]); // one, not one for each packet
    expect(peers(cluster)).to.deep.equal([`${outerOf(1)}:61000`]);
    expect(answers(cluster, sent)).to.equal(20);
    expect(client.addressedTo).to.equal(61_000);
    expect(drops(cluster)).to.deep.equal({});
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('is followed again when it goes on, and back, but not more often than once a second', async () => {
    const { cluster, client, charon, port } = await setUp();
    for (const to of [61_000, 61_001, 4500]) {
      client.moveTo(outerOf(1), to);
      await load(cluster, port, 3);
      await cluster.run(20);
    }
    expect(charon.mappings).to.have.lengthOf(1);
    await cluster.run(1100);
    client.moveTo(outerOf(1), 4500);
    await load(cluster, port, 3);
    await cluster.run(20);
    expect(peers(cluster)).to.deep.equal([HERE]);
    expect(charon.mappings).to.deep.equal([`${outerOf(1)}:61000`, `${outerOf(1)}:4500`]);
  });

  it('is asked for once a second where charon does not follow, not for each packet', async () => {
    const { cluster, client, charon, port } = await setUp();
    charon.follows = false;
    client.moveTo(outerOf(1), 61_000);
    await load(cluster, port, 100);
    expect(charon.mappings).to.have.lengthOf(1);
    await cluster.run(1000);
    await load(cluster, port, 100);
    expect(charon.mappings).to.have.lengthOf(2);
    expect(drops(cluster)).to.deep.equal({});
  });

  it('does not move for a replay, nor for a forged packet, from elsewhere', async () => {
    const { cluster, client, charon, port } = await setUp();
    const [sent] = await load(cluster, port, 1);
    await cluster.run(20);
    const copy = client.sentFrom(sent?.datagram ?? Buffer.alloc(0), '192.0.2.250', 4500);
    for (const number of [0, 1, 5000]) {
      const packet = Buffer.from(copy);
      packet.writeUInt32BE(packet.readUInt32BE(32) + number, 32);
      cluster.send(packet);
      await cluster.run(10);
    }
    expect(charon.mappings).to.deep.equal([]);
    expect(peers(cluster)).to.deep.equal([HERE]);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  for (const [address, port] of [
    ['192.0.2.99', 0],
    ['255.255.255.255', 4500],
    ['224.0.0.1', 4500],
    ['127.0.0.1', 4500],
    ['0.0.0.0', 4500],
    [ENDPOINT, 4500],
  ] as const) {
    it(`does not move to ${address}:${port}, whatever stood in the outer header of a genuine packet`, async () => {
      const { cluster, client, charon, port: connected } = await setUp();
      client.moveTo(address, port);
      await load(cluster, connected, 3);
      await cluster.run(20);
      expect(charon.mappings).to.deep.equal([]);
      expect(peers(cluster)).to.deep.equal([HERE]);
      client.moveTo(outerOf(1), 61_000);
      await load(cluster, connected, 3);
      await cluster.run(20);
      expect(charon.mappings).to.have.lengthOf(1); // the bad ones used nothing up
      // No peer sends from an address of the cluster: that is not even dispatched.
      expect(drops(cluster)).to.deep.equal(address === ENDPOINT ? { 'tunnel-check': 3 } : {});
    });
  }

  it('does not move for a genuine packet that was held back, at a target that never saw a newer one', async () => {
    const { cluster, client, charon, port, at } = await setUp();
    // The SYN of another connection goes to another target; it is held back while the first goes on.
    const { datagram, text } = client.open();
    await load(cluster, port, 10);
    await cluster.run(30);
    cluster.send(client.sentFrom(datagram, '192.0.2.250', 4500));
    await cluster.run(30);
    expect(cluster.deliveredTo(text)).to.be.a('number').and.not.equal(at); // it is genuine, after all
    expect(charon.mappings).to.deep.equal([]);
    expect(peers(cluster)).to.deep.equal([HERE]);
    expect(drops(cluster)).to.deep.equal({});
  });

  it('does not move for a target that lies: not given, not from there, not its own', async () => {
    const { cluster, client, charon, port, at } = await setUp();
    const [entry] = [...cluster.router.sas.inbound.values()];
    const liar = cluster.target((at % 3) + 1).relations.session;
    const sa = entry?.sa.id;
    if (sa === undefined || liar === undefined) throw new Error('not up');
    const last = client.segment(port); // the next number, on its way to another target than the liar
    cluster.router.captured(last.datagram);
    cluster.router.deliver();
    const sequence = BigInt(last.datagram.readUInt32BE(32));
    const word = { sa, address: outerOf(1), port: 4501 };
    for (const number of [sequence, sequence + 1n, 0xffff_ffffn, 0n])
      liar.send('mapping-report', { ...word, sequence: number });
    await cluster.run(20);
    expect(charon.mappings).to.deep.equal([]);
    expect(drops(cluster)['coupling-not-granted']).to.be.within(3, 4);
  });

  it('is told to a target that was away meanwhile', async () => {
    const { cluster, charon, at } = await setUp();
    const [pair] = charon.pairs;
    if (pair === undefined) throw new Error('not up');
    cluster.cut(at);
    charon.move(pair, outerOf(1), 61_000);
    expect(peers(cluster)).to.have.members([`${outerOf(1)}:61000`, HERE]);
    await cluster.run(100);
    expect(peers(cluster)).to.deep.equal([`${outerOf(1)}:61000`]);
  });
});
