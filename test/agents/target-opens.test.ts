import { expect } from 'chai';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import type { TargetBodies } from '../../src/coupling/records.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted, vectorOf } from '../support/dataplane-parts.ts';
import { addr, CLIENT_INNER, DVIPA, SYN, tcp } from '../support/inner-packets.ts';
import { drops } from './cluster-helpers.ts';

/** Ports of the cluster in memory: 32768 to 60999 in blocks of 1024. */
const OWN = (n: number) => 32_768 + (n - 1) * 1024;
const PEER_PORT = 8090;

const opening = (sourcePort: number) =>
  tcp({ source: DVIPA, destination: CLIENT_INNER, sourcePort, destinationPort: PEER_PORT, flags: SYN });

const keyOf = (port: number) => ({
  ...newConnectionKey(),
  dvipa: addr(DVIPA),
  group: 1,
  protocol: 6,
  source: addr(CLIENT_INNER),
  sourcePort: PEER_PORT,
  destinationPort: port,
});

/** What the kernel of a target sends. */
const send = (cluster: MemoryCluster, n: number, packet: Buffer) =>
  cluster.target(n).parts.send(vectorOf(packet));

/** Packets that have left a target, whichever way. */
function sealed(cluster: MemoryCluster, n: number): number {
  const { sent, funnelled, stamped } = cluster.target(n).outbound;
  return sent.packets + funnelled + stamped;
}

describe('a cluster whose targets open connections', () => {
  const setUp = async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    await cluster.run(30);
    return cluster;
  };
  const targetOf = (cluster: MemoryCluster, port: number) =>
    cluster.router.distributor.route(keyOf(port), false, undefined, cluster.clock.now()) + 1;

  it('each target has ports of its own, the same over all restarts, and their answers belong to it before it sends', async () => {
    const cluster = await setUp();
    const leases = () =>
      [1, 2, 3].map((n) => [...cluster.target(n).cache.services].map(({ sourcePorts }) => sourcePorts));
    const before = leases();
    expect(before).deep.equal(
      [1, 2, 3].map((n) => [{ all: { from: 32_768, to: 60_999 }, own: { from: OWN(n), to: OWN(n) + 1023 } }]),
    );
    cluster.killRouter();
    cluster.killTarget(2);
    cluster.startRouter();
    cluster.startTarget(2);
    await cluster.run(2000);
    expect(leases()).deep.equal(before);
    for (const n of [1, 2, 3]) {
      expect(targetOf(cluster, OWN(n))).equal(n);
      send(cluster, n, opening(OWN(n)));
    }
    await cluster.run(300);
    expect([1, 2, 3].map((n) => sealed(cluster, n))).deep.equal([1, 1, 1]);
    expect(cluster.router.distributor.table.size).equal(3); // as they report
    expect(cluster.allViolations).deep.equal([]);
  });

  it('a port of nobody is one target’s at a time: the others’ packets are dropped', async () => {
    const cluster = await setUp();
    for (const n of [3, 1, 2]) send(cluster, n, opening(20_000));
    await cluster.run(50);
    const senders = [1, 2, 3].filter((n) => sealed(cluster, n) > 0);
    expect(senders).length(1);
    expect(targetOf(cluster, 20_000)).equal(senders[0]);
    for (const n of [1, 2, 3]) {
      expect(counted(cluster.target(n).drops)).deep.equal(n === senders[0] ? {} : { 'source-port-taken': 1 });
    }
    expect(drops(cluster), 'that is no lie').deep.equal({});
  });

  it('another target’s ports are not used, and nothing of it leaves the host', async () => {
    const cluster = await setUp();
    send(cluster, 1, opening(OWN(2)));
    await cluster.run(50);
    expect(counted(cluster.target(1).drops)).deep.equal({ 'source-port-not-leased': 1 });
    expect(sealed(cluster, 1)).equal(0);
  });

  it('who asks while the routing agent is away waits, and has its answer when it is back', async () => {
    const cluster = await setUp();
    cluster.killRouter();
    send(cluster, 1, opening(20_000));
    await cluster.run(100);
    expect(sealed(cluster, 1)).equal(0);
    cluster.startRouter();
    await cluster.run(600);
    expect(sealed(cluster, 1)).equal(1);
    expect(targetOf(cluster, 20_000)).equal(1);
  });

  it('a target that lies about a flow, or asks for one of a DVIPA or group that it was not given, is refused', async () => {
    const cluster = await setUp();
    const { session } = cluster.target(1).relations;
    const flow = {
      dvipa: DVIPA,
      group: 1,
      protocol: 6,
      source: CLIENT_INNER,
      sourcePort: PEER_PORT,
      destinationPort: OWN(2),
    };
    session?.send('flow-report', { opened: [flow], closed: [], full: false });
    session?.send('flow-ask', { flow });
    await cluster.run(5);
    expect(targetOf(cluster, OWN(2))).equal(2);
    expect(drops(cluster), 'the report, not the question').deep.equal({ 'coupling-not-granted': 1 });
    for (const wrong of [{ group: 77 }, { group: 0 }, { dvipa: '203.0.113.11' }])
      session?.send('flow-ask', { flow: { ...flow, destinationPort: 20_000, ...wrong } });
    await cluster.run(5);
    expect(drops(cluster)).deep.equal({ 'coupling-not-granted': 4 });
    expect(cluster.router.distributor.table.size).equal(0);
  });
});

describe('a cluster with a policy that is only a trap', () => {
  const setUp = async () => {
    const cluster = new MemoryCluster();
    await cluster.run(50);
    const key = cluster.charon.addTrap(1);
    await cluster.run(10);
    return { cluster, key };
  };

  it('a target asks for an SA, once for all targets, and its packets leave when it is there', async () => {
    const { cluster, key } = await setUp();
    for (const n of [1, 2]) send(cluster, n, opening(OWN(n)));
    await cluster.run(10);
    expect(cluster.charon.acquires).deep.equal([key]);
    expect([1, 2].map((n) => sealed(cluster, n))).deep.equal([0, 0]);
    await cluster.newPair(1);
    await cluster.run(100);
    for (const n of [1, 2]) {
      expect(sealed(cluster, n), `target${n}`).equal(1);
      expect(counted(cluster.target(n).drops)).deep.equal({});
    }
    expect(cluster.allViolations).deep.equal([]);
  });

  it('it asks again, when a second has passed, and after a restart of the routing agent', async () => {
    const { cluster, key } = await setUp();
    for (let i = 0; i < 22; i++) {
      send(cluster, 1, opening(OWN(1) + i));
      await cluster.run(100);
    }
    expect(cluster.charon.acquires).deep.equal([key, key, key]);
    cluster.killRouter();
    cluster.startRouter();
    await cluster.run(300);
    send(cluster, 1, opening(OWN(1)));
    await cluster.run(10);
    expect(cluster.charon.acquires).length(4);
  });

  it('a target is believed about packets of its policies, and asks for nothing where there is an SA', async () => {
    const { cluster, key } = await setUp();
    const { session } = cluster.target(1).relations;
    const packet: TargetBodies['acquire'] = {
      key,
      protocol: 6,
      source: DVIPA,
      sourcePort: OWN(1),
      destination: CLIENT_INNER,
      destinationPort: 80,
    };
    for (const wrong of [{ source: '203.0.113.11' }, { destination: '10.1.1.2' }, { source: '2001:db8::1' }])
      session?.send('acquire', { ...packet, ...wrong });
    await cluster.run(5);
    expect(drops(cluster)).deep.equal({ 'coupling-not-granted': 3 });
    session?.send('acquire', { ...packet, key: 'gone' });
    await cluster.run(5);
    expect([cluster.charon.acquires, drops(cluster)]).deep.equal([[], { 'coupling-not-granted': 3 }]);
    const pair = await cluster.newPair(1);
    const policy = cluster.router.sas.outbound.policies().find(({ spi }) => spi === pair.spiOut);
    session?.send('acquire', { ...packet, key: policy?.key ?? '' });
    await cluster.run(5);
    expect([cluster.charon.acquires, drops(cluster)]).deep.equal([[], { 'coupling-not-granted': 3 }]);
    session?.send('acquire', { ...packet, protocol: 1, sourcePort: 0, destinationPort: 0 });
    await cluster.run(5);
    expect(cluster.charon.acquires).deep.equal([key]);
  });
});
