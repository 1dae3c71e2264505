import { expect } from 'chai';
import type { DvipaConfig } from '../../src/config/index.ts';
import { dataOf, MARKER } from '../support/cluster/client.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted, vectorOf } from '../support/dataplane-parts.ts';
import { ACK, DVIPA, reply, SYN, tcp } from '../support/inner-packets.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';
import { entriesOf } from '../support/table-entries.ts';

const STRANGER = '192.0.2.200';
const CLIENT1 = '10.1.1.1';
const port = (number: number) => ({ from: number, to: number });
const RULES: DvipaConfig['rules'] = [
  { action: 'require-ipsec', protocol: 'tcp', ports: port(443) },
  { action: 'permit', protocol: 'tcp', ports: port(80) },
];

async function clusterWith(dvipa: Partial<DvipaConfig> = {}, targets = 3): Promise<MemoryCluster> {
  const cluster = new MemoryCluster({ targets, dvipa: { clearText: 'distribute', rules: RULES, ...dvipa } });
  await cluster.up();
  return cluster;
}

let count = 0;

/** A segment of a stranger, with a text of its own. */
function segment(given: Parameters<typeof tcp>[0] = {}): { packet: Buffer; text: string } {
  const text = `${MARKER}-clear-${count++};`;
  return { text, packet: tcp({ source: STRANGER, data: text, ...given }) };
}

async function sendInClear(cluster: MemoryCluster, given: Parameters<typeof tcp>[0] = {}) {
  const { packet, text } = segment(given);
  cluster.sendInClear(packet);
  await cluster.run(15);
  return { text, at: cluster.deliveredTo(text) ?? 0 };
}

/** charon deletes SAs and policies of the client. */
async function tunnelDown(cluster: MemoryCluster): Promise<void> {
  const { charon } = cluster;
  for (let [pair] = charon.pairs; pair !== undefined; [pair] = charon.pairs) charon.deletePair(pair);
  charon.removePolicy(1);
  await cluster.run(10);
}

const texts = (packets: readonly Buffer[]) => packets.map(dataOf);
const targetDrops = (cluster: MemoryCluster) => {
  const all = new Map<string, number>();
  for (const { drops: counters } of cluster.targets) {
    for (const [reason, packets] of Object.entries(counted(counters))) {
      all.set(reason, (all.get(reason) ?? 0) + packets);
    }
  }
  return Object.fromEntries(all);
};

describe('clear text in a cluster', () => {
  for (const inboundFilter of ['filter', 'bypass'] as const) {
    it(`is spread over the targets where a rule permits it, sealed between hosts, and answered in clear (${inboundFilter})`, async () => {
      const cluster = await clusterWith({ inboundFilter });
      const sent = [];
      for (let n = 0; n < 6; n++) sent.push(await sendInClear(cluster, { sourcePort: 50_000 + n }));
      expect(sent.map(({ at }) => at).toSorted((a, b) => a - b)).to.deep.equal([1, 1, 2, 2, 3, 3]);
      expect(texts(cluster.leftInClear)).to.deep.equal(sent.map(({ text }) => text));
      for (const packet of cluster.leftInClear) expect(packet.subarray(16, 20).join('.')).to.equal(STRANGER);
      const again = await sendInClear(cluster, { sourcePort: 50_003, flags: ACK });
      expect(again.at).to.equal(sent[3]?.at);
      const { table } = cluster.router.distributor;
      const entries = entriesOf(table, cluster.clock.now()).map(({ group, state }) => `${group} ${state}`);
      expect(entries).to.deep.equal(Array.from({ length: 6 }, () => '0 established'));
      expect([drops(cluster), targetDrops(cluster)]).to.deep.equal([{}, {}]);
      // Plaintext on the cluster network would be among these.
      expect(cluster.allViolations).to.deep.equal([]);
    });

    it(`is refused where a rule requires IPsec, and where none permits it, on the routing host (${inboundFilter})`, async () => {
      const cluster = await clusterWith({ inboundFilter });
      for (const destinationPort of [443, 22]) {
        expect((await sendInClear(cluster, { destinationPort })).at).to.equal(0);
      }
      expect([drops(cluster), targetDrops(cluster)]).to.deep.equal([{ clear: 2 }, {}]);
      expect(cluster.router.inbound.dispatched).to.equal(0);
      expect(texts(cluster.leftInClear)).to.deep.equal([]);
    });
  }

  it('with return: router is answered by the routing host only, and the answers cross the cluster sealed', async () => {
    const cluster = await clusterWith({ returnVia: 'router' });
    const sent = [];
    for (let n = 0; n < 6; n++) sent.push(await sendInClear(cluster, { sourcePort: 50_000 + n }));
    await sendInClear(cluster, { sourcePort: 50_003, flags: ACK });
    await cluster.run(5);
    expect(texts(cluster.leftInClear).slice(0, 6)).to.deep.equal(sent.map(({ text }) => text));
    expect(cluster.leftInClear).to.have.lengthOf(7);
    expect([...cluster.senders]).to.deep.equal(['router']);
    expect(cluster.router.host.clearReturn.packets).to.equal(7);
    expect(cluster.targets.map(({ clearFrom }) => clearFrom)).to.deep.equal([[], [], []]);
    expect([drops(cluster), targetDrops(cluster)]).to.deep.equal([{}, {}]);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('with return: router waits for the routing host: without a session nothing leaves', async () => {
    const cluster = await clusterWith({ returnVia: 'router' });
    const { at } = await sendInClear(cluster, { sourcePort: 50_000 });
    await cluster.run(5);
    cluster.leftInClear.length = 0;
    cluster.cut(at);
    const target = cluster.target(at);
    target.parts.send(vectorOf(reply({ destination: STRANGER, destinationPort: 50_000, data: 'too early' })));
    await cluster.run(5);
    expect([counted(target.drops), texts(cluster.leftInClear)]).to.deep.equal([{ 'no-policy': 1 }, []]);
  });

  it('leaves from targets where the DVIPA says so, by their guards too', async () => {
    const cluster = await clusterWith();
    await sendInClear(cluster);
    expect([...cluster.senders]).to.not.include('router');
    expect(cluster.targets.map(({ clearFrom }) => clearFrom)).to.deep.equal([[DVIPA], [DVIPA], [DVIPA]]);
  });

  it('is refused where the DVIPA rejects it, whatever the rules say', async () => {
    const cluster = await clusterWith({ clearText: 'reject' });
    expect((await sendInClear(cluster)).at).to.equal(0);
    expect([drops(cluster), targetDrops(cluster)]).to.deep.equal([{ clear: 1 }, {}]);
  });

  it('leaves clients with a tunnel alone: both are served at the same time', async () => {
    const cluster = await clusterWith();
    const own = await connection(cluster);
    const foreign = await sendInClear(cluster, { sourcePort: own.port });
    const sent = await load(cluster, own.port, 20);
    await cluster.run(20);
    expect([own.at > 0, foreign.at > 0, answers(cluster, sent)]).to.deep.equal([true, true, 20]);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('is refused from a peer whose traffic a policy wants protected (RFC 4301 section 5.2)', async () => {
    const cluster = await clusterWith();
    expect((await sendInClear(cluster, { source: CLIENT1 })).at).to.equal(0);
    expect([drops(cluster), targetDrops(cluster)]).to.deep.equal([{ clear: 1 }, {}]);
  });

  it('stays out of a connection that began through an SA, both ways, when the tunnel is gone', async () => {
    const cluster = await clusterWith({}, 1);
    const { port: sourcePort, at } = await connection(cluster);
    await load(cluster, sourcePort, 3);
    await tunnelDown(cluster);
    const target = cluster.target(at);
    target.parts.send(vectorOf(reply({ destinationPort: sourcePort, data: 'secret' })));
    await cluster.run(5);
    expect(counted(target.drops)).to.deep.equal({ 'no-policy': 1 });
    // Whoever is there now may have a connection of its own, but not this one: neither go on with it nor begin it again.
    const before = cluster.delivered.size;
    for (const flags of [ACK, SYN, ACK]) await sendInClear(cluster, { source: CLIENT1, sourcePort, flags });
    expect(counted(target.drops)).to.deep.equal({ 'no-policy': 1, clear: 3 });
    expect(texts(cluster.leftInClear)).to.deep.equal([]);
    expect(cluster.delivered.size).to.equal(before);
    expect((await sendInClear(cluster, { source: CLIENT1, sourcePort: 50_000 })).at).to.be.greaterThan(0);
  });

  it('stops when a policy comes that wants the connection protected', async () => {
    const cluster = await clusterWith();
    await tunnelDown(cluster);
    const { at } = await sendInClear(cluster, { source: CLIENT1, sourcePort: 50_000 });
    expect(at).to.be.greaterThan(0);
    await cluster.newPair(1);
    cluster.leftInClear.length = 0;
    await sendInClear(cluster, { source: CLIENT1, sourcePort: 50_000, flags: ACK });
    cluster.target(at).parts.send(vectorOf(reply({ destinationPort: 50_000, data: 'now sealed' })));
    await cluster.run(20);
    expect(drops(cluster)).to.deep.equal({ clear: 1 });
    expect(texts(cluster.leftInClear)).to.deep.equal([]);
    expect(cluster.allViolations).to.deep.equal(['an answer to nothing: now sealed']);
  });

  it('takes nothing that a target began itself, nor the middle of a connection, for one that came in clear', async () => {
    const cluster = await clusterWith();
    const { parts, drops: counters } = cluster.target(1);
    parts.send(
      vectorOf(
        reply({ destination: STRANGER, flags: SYN }),
        reply({ destination: STRANGER, flags: SYN | ACK }),
        reply({ destination: STRANGER, data: 'secret' }),
      ),
    );
    await cluster.run(5);
    expect(counted(counters)).to.deep.equal({ 'no-policy': 3 });
    expect((await sendInClear(cluster, { flags: ACK })).at).to.equal(0);
    expect(targetDrops(cluster)).to.deep.equal({ 'no-policy': 3, clear: 1 });
    expect(texts(cluster.leftInClear)).to.deep.equal([]);
  });

  it('waits for the routing host: a target without a session lets nothing out in clear', async () => {
    const cluster = await clusterWith();
    const { at } = await sendInClear(cluster, { sourcePort: 50_000 });
    cluster.leftInClear.length = 0;
    cluster.cut(at);
    const target = cluster.target(at);
    target.parts.send(vectorOf(reply({ destination: STRANGER, destinationPort: 50_000, data: 'too early' })));
    expect(counted(target.drops)).to.deep.equal({ 'no-policy': 1 });
    await cluster.run(200);
    target.parts.send(vectorOf(reply({ destination: STRANGER, destinationPort: 50_000, data: 'in time' })));
    await cluster.run(5);
    expect(texts(cluster.leftInClear)).to.deep.equal(['in time']);
  });

  it('goes on after a restart of the routing agent: its target lists the connection', async () => {
    const cluster = await clusterWith();
    const opened = [];
    for (let n = 0; n < 4; n++) opened.push(await sendInClear(cluster, { sourcePort: 50_000 + n }));
    cluster.killRouter();
    await cluster.run(5);
    cluster.startRouter();
    await cluster.run(300);
    for (const [n, { at }] of opened.entries()) {
      expect((await sendInClear(cluster, { sourcePort: 50_000 + n, flags: ACK })).at).to.equal(at);
    }
  });

  it('counts by rule on both hosts', async () => {
    const cluster = await clusterWith();
    await sendInClear(cluster, { destinationPort: 443 });
    const { at } = await sendInClear(cluster, { sourcePort: 50_000 });
    const [routed] = [...cluster.router.cluster.dvipas.values()];
    const [served] = [...cluster.target(at).cache.services];
    const clear = (filter: typeof routed | typeof served) =>
      [0, 1, 2].map((rule) => filter?.filter.countOf(rule).clear);
    expect([clear(routed), clear(served)]).to.deep.equal([
      [1, 1, 0],
      [0, 1, 0],
    ]);
  });
});
