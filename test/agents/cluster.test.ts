import { expect } from 'chai';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import { ESP_SUITES } from '../support/esp-peer.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';

/** So long after charon has deleted it a replaced outbound SA is gone everywhere. */
const LINGERING_MS = 400;

describe('a cluster in memory', () => {
  for (const suite of ESP_SUITES) {
    it(`spreads connections over its targets, and each target answers for itself (${suite})`, async () => {
      const cluster = new MemoryCluster({ suite });
      await cluster.up();
      const opened = Array.from({ length: 6 }, () => cluster.client(1).open());
      for (const { datagram } of opened) cluster.send(datagram);
      await cluster.run(50);
      const at = opened.map(({ text }) => cluster.deliveredTo(text) ?? 0);
      expect(at.toSorted((a, b) => a - b)).to.deep.equal([1, 1, 2, 2, 3, 3]);
      expect(answers(cluster, opened)).to.equal(6);
      expect(drops(cluster)).to.deep.equal({});
      for (const target of cluster.targets) expect(counted(target.drops)).to.deep.equal({});
      expect(cluster.allViolations).to.deep.equal([]);
    });
  }

  it('opens nothing on the routing host, and something on every target', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    for (let i = 0; i < 6; i++) await connection(cluster);
    expect(cluster.targets.map(({ inbound }) => inbound.opened > 0)).to.deep.equal([true, true, true]);
  });

  it('keeps a connection on its target', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { port, at } = await connection(cluster);
    await connection(cluster);
    const sent = await load(cluster, port, 30);
    await cluster.run(20);
    expect(sent.map(({ text }) => cluster.deliveredTo(text))).to.deep.equal(sent.map(() => at));
  });

  it('keeps two clients apart that use the same ports', async () => {
    const cluster = new MemoryCluster({ clients: 2 });
    await cluster.up();
    const [one, two] = [await connection(cluster, 1), await connection(cluster, 2)];
    expect(one.port).to.equal(two.port);
    expect(cluster.client(1).answered.has(one.text)).to.equal(true);
    expect(cluster.client(2).answered.has(two.text)).to.equal(true);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('lets a lone target send by itself, straight to the client', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { port } = await connection(cluster);
    const sent = await load(cluster, port, 100);
    await cluster.run(20);
    expect(answers(cluster, sent)).to.equal(100);
    expect(cluster.router.funnel.sent.sealed).to.equal(0);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  for (const way of ['stamping', 'funnel'] as const) {
    it(`takes the shared way (${way}) when two targets send, and goes back to the lone sender: in order, nothing lost`, async () => {
      const cluster = new MemoryCluster({ peerWindow: 32, stamping: way === 'stamping' ? 'on' : 'off' });
      await cluster.up();
      const { stamping, funnel } = cluster.router.host;
      const [taken, other] = way === 'stamping' ? [stamping, funnel] : [funnel, stamping];
      const [one, two] = [await connection(cluster), await connection(cluster)];
      const both = [];
      for (let i = 0; i < 50; i++)
        both.push(...(await load(cluster, one.port, 1)), ...(await load(cluster, two.port, 1)));
      expect(taken.sent.sealed).to.be.greaterThan(60);
      const sealed = () => taken.sent.sealed;
      both.push(...(await load(cluster, one.port, 1400)));
      const before = sealed();
      both.push(...(await load(cluster, one.port, 100)));
      await cluster.run(50);
      expect(sealed() - before).to.equal(0);
      expect(other.sent.sealed).to.equal(0);
      expect(answers(cluster, both)).to.equal(both.length);
      expect(drops(cluster)).to.deep.equal({});
      expect(cluster.allViolations).to.deep.equal([]);
    }).timeout(30_000);
  }

  it('rekeys under load: both SAs are served, the switch is by policy, no packet is lost', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const [one, two] = [await connection(cluster), await connection(cluster)];
    const sent = [...(await load(cluster, one.port, 20)), ...(await load(cluster, two.port, 20))];
    const rekeyed = cluster.rekey(1);
    for (let i = 0; i < 200; i++) {
      for (const { port } of [one, two]) {
        const segment = cluster.client(1).segment(port);
        sent.push(segment);
        cluster.send(segment.datagram);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await rekeyed;
    await cluster.run(LINGERING_MS);
    expect(answers(cluster, sent)).to.equal(sent.length);
    expect(cluster.targets.map(({ cache }) => [cache.inbound.size, cache.outbound.size])).to.deep.equal([
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    expect(drops(cluster)).to.deep.equal({});
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('wipes the keys of a deleted SA on every host', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const keys = [cluster.router.sas, ...cluster.targets.map(({ cache }) => cache)].flatMap(
      ({ inbound, outbound }) =>
        [...inbound.values(), ...outbound.values()].map(({ sa }) => sa.encryption.key),
    );
    expect(keys.filter(({ isWiped }) => isWiped)).to.have.lengthOf(0);
    await cluster.rekey(1);
    await cluster.run(LINGERING_MS);
    expect(keys).to.have.lengthOf(8);
    expect(keys.filter(({ isWiped }) => !isWiped)).to.have.lengthOf(0);
  });

  it('loses a target: the others go on, new connections avoid it, and it serves again after its restart', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const all = [await connection(cluster), await connection(cluster), await connection(cluster)];
    const lost = all[0] as (typeof all)[number];
    const rest = all.slice(1);
    cluster.killTarget(lost.at);
    await cluster.run(5);
    const serving = () =>
      [...cluster.router.sas.inbound.values()].map((entry) => entry.serving.has(lost.at - 1));
    expect(serving()).to.deep.equal([false]);
    for (const { port } of rest) {
      const sent = await load(cluster, port, 20);
      await cluster.run(400);
      expect(answers(cluster, sent)).to.equal(20);
    }
    for (let i = 0; i < 4; i++) expect((await connection(cluster)).at).to.not.equal(lost.at);
    cluster.startTarget(lost.at);
    await cluster.run(100);
    expect(serving()).to.deep.equal([true]);
    const at = [];
    for (let i = 0; i < 3; i++) at.push((await connection(cluster)).at);
    expect(at).to.include(lost.at);
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(20_000);

  it('notices a target that fell silent within 2 s', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { at } = await connection(cluster);
    cluster.killTarget(at, true);
    await cluster.run(2000);
    for (let i = 0; i < 4; i++) expect((await connection(cluster)).at).to.be.greaterThan(0);
  }).timeout(20_000);

  it('delivers nothing twice when everything is replayed after its target is gone', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { port, at } = await connection(cluster);
    const sent = await load(cluster, port, 50);
    await cluster.run(20);
    cluster.killTarget(at);
    await cluster.run(5);
    for (const { datagram } of sent) cluster.send(datagram);
    await cluster.run(50);
    cluster.startTarget(at);
    await cluster.run(100);
    for (const { datagram } of sent) cluster.send(datagram);
    await cluster.run(50);
    expect(sent.map(({ text }) => cluster.delivered.get(text))).to.deep.equal(sent.map(() => [at]));
    expect(drops(cluster)['replay']).to.equal(100);
  });

  it('burns what was under way to a lost target, and asks for a rekey once', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { port, at } = await connection(cluster);
    await cluster.run(30);
    const sent = Array.from({ length: 5 }, () => cluster.client(1).segment(port));
    cluster.target(at).kill();
    for (const { datagram } of sent) cluster.send(datagram);
    await cluster.run(3);
    cluster.cut(at);
    await cluster.run(5);
    for (const { datagram } of sent) cluster.send(datagram);
    await cluster.run(30);
    expect(sent.map(({ text }) => cluster.delivered.get(text))).to.deep.equal(sent.map(() => undefined));
    expect(drops(cluster)).to.include({ 'replay-undecided': 5, replay: 5 });
    expect(cluster.rekeys).to.deep.equal(['replay-undecided in']);
  });

  it('restarts the routing agent: higher epoch, windows returned, no number or nonce again, replays refused', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const [one, two] = [await connection(cluster), await connection(cluster)];
    const before = [...(await load(cluster, one.port, 30)), ...(await load(cluster, two.port, 30))];
    await cluster.run(20);
    cluster.killRouter();
    await cluster.run(20);
    cluster.startRouter();
    expect(cluster.router.gate.epoch).to.equal(2);
    await cluster.run(100);
    expect(
      [...cluster.router.sas.inbound.values()].map(({ isWaitingForWindows }) => isWaitingForWindows),
    ).to.deep.equal([false]);
    for (const { datagram } of before) cluster.send(datagram);
    await cluster.run(20);
    expect(drops(cluster)).to.include({ replay: 60 });
    const after = [...(await load(cluster, one.port, 30)), ...(await load(cluster, two.port, 30))];
    await cluster.run(300);
    expect(answers(cluster, after)).to.equal(60);
    expect((await connection(cluster)).at).to.be.greaterThan(0);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('rekeys an SA whose windows are lost, since a target with them is gone, before anything is dispatched', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { port, at } = await connection(cluster);
    const sent = await load(cluster, port, 10);
    await cluster.run(20);
    cluster.killRouter();
    cluster.killTarget(at);
    await cluster.run(20);
    cluster.startRouter();
    cluster.startTarget(at);
    await cluster.run(100);
    for (const { datagram } of sent) cluster.send(datagram);
    await cluster.run(2000);
    expect(cluster.rekeys).to.include('windows-lost in');
    expect(sent.map(({ text }) => cluster.delivered.get(text))).to.deep.equal(sent.map(() => [at]));
    expect((await connection(cluster)).at).to.be.greaterThan(0);
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(20_000);

  it('lets a session break and come back: the same incarnation keeps its sender id and its counter', async () => {
    const cluster = new MemoryCluster({ targets: 1 });
    await cluster.up();
    const { port } = await connection(cluster);
    for (let i = 0; i < 3; i++) {
      await load(cluster, port, 20);
      cluster.cut(1);
      await cluster.run(100);
    }
    const sent = await load(cluster, port, 20);
    await cluster.run(LINGERING_MS);
    expect(answers(cluster, sent)).to.equal(20);
    expect([...cluster.target(1).cache.outbound.values()].map(({ iv }) => iv?.senderId)).to.deep.equal([1]);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('gives every incarnation of a target a sender id of its own', async () => {
    const cluster = new MemoryCluster({ targets: 1 });
    await cluster.up();
    const ids: (number | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      await connection(cluster);
      ids.push(...[...cluster.target(1).cache.outbound.values()].map(({ iv }) => iv?.senderId));
      cluster.killTarget(1);
      await cluster.run(300);
      cluster.startTarget(1);
      await cluster.run(100);
    }
    expect(ids).to.deep.equal([1, 2, 3, 4]);
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('counts what the targets opened, tells charon, and asks for a rekey once at the soft limit', async () => {
    const cluster = new MemoryCluster();
    await cluster.up({ soft: 20_000, hard: 60_000 });
    const { port } = await connection(cluster);
    for (let i = 0; i < 900 && cluster.rekeys.length === 0; i++) await load(cluster, port, 1);
    await load(cluster, port, 50);
    await cluster.run(1500);
    // Both ways carry the same here; each SA asks once.
    expect(cluster.rekeys.filter((rekey) => rekey === 'bytes in')).to.have.lengthOf(1);
    expect(cluster.rekeys.length).to.be.at.most(2);
    const [entry] = [...cluster.router.sas.inbound.values()];
    const meters = cluster.targets.map(({ cache }) => [...cache.inbound.values()][0]?.meter.bytes ?? 0);
    const bytes = meters.reduce((sum, each) => sum + each, 0);
    expect(bytes).to.be.greaterThan(0);
    expect(entry?.lifesize.totals(cluster.clock.now()).bytes).to.equal(bytes);
    expect(cluster.charon.counters.get(entry?.pluginId ?? '')?.bytes).to.equal(bytes);
    expect(cluster.allViolations).to.deep.equal([]);
  }).timeout(20_000);
});
