import { expect } from 'chai';
import { ACK_DELAY_MS } from '../../src/coupling/heartbeat.ts';
import { LEAVING_MS, LINGER_MS } from '../../src/agents/routing/leaving-targets.ts';
import type { DvipaConfig, RouteConfig } from '../../src/config/index.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import { routeConfig } from '../support/cluster/router.ts';
import { ACK, DVIPA, RST } from '../support/inner-packets.ts';
import { answers, connection, drops, load } from './cluster-helpers.ts';

const SECOND = '203.0.113.20';

/** The first configuration with the settings of its DVIPA changed. */
function withDvipa(config: RouteConfig, change: Partial<DvipaConfig>): RouteConfig {
  return { ...config, dvipas: config.dvipas.map((dvipa) => ({ ...dvipa, ...change })) };
}

/** Who gets the next connections, by the number of the target. */
async function shares(cluster: MemoryCluster, count: number): Promise<Record<number, number>> {
  const got: Record<number, number> = {};
  for (let i = 0; i < count; i++) {
    const { at } = await connection(cluster);
    got[at] = (got[at] ?? 0) + 1;
  }
  return got;
}

/** A connection on each of so many targets, by their numbers. */
async function connections(cluster: MemoryCluster, targets: number): Promise<Map<number, number>> {
  const ports = new Map<number, number>();
  while (ports.size < targets) {
    const { at, port } = await connection(cluster);
    ports.set(at, port);
  }
  return ports;
}

/** The client's kernel ends the connection. */
async function reset(cluster: MemoryCluster, port: number): Promise<void> {
  cluster.send(cluster.client(1).segment(port, RST | ACK).datagram);
  await cluster.run(30);
}

/** A reload while segments of all these connections are on their way; none of them may be lost or go elsewhere. */
async function reloadUnderLoad(
  cluster: MemoryCluster,
  config: RouteConfig,
  open: ReadonlyMap<number, number>,
): Promise<void> {
  const sent: { text: string; at: number }[] = [];
  for (let ms = 0; ms < 40; ms++) {
    for (const [at, port] of open) {
      const segment = cluster.client(1).segment(port);
      sent.push({ text: segment.text, at });
      cluster.send(segment.datagram);
    }
    if (ms === 20) expect(cluster.router.reload(config)).to.deep.equal([]);
    await cluster.run(1);
  }
  await cluster.run(20);
  expect(sent.map(({ text }) => cluster.deliveredTo(text))).to.deep.equal(sent.map(({ at }) => at));
  expect(answers(cluster, sent)).to.equal(sent.length);
  expect(cluster.allViolations).to.deep.equal([]);
}

const hosts = (cluster: MemoryCluster) => cluster.router.cluster.peers.map(({ host }) => host);

/** A record arrives, and what acknowledges it comes back. */
const ACKNOWLEDGED_MS = ACK_DELAY_MS + 5;

describe('a reload in a cluster in memory', () => {
  it('changes weights for new connections, and moves no packet of those that there are', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const open = await connections(cluster, 3);
    const config = withDvipa(cluster.router.config, { weights: { target3: 8 } });
    await reloadUnderLoad(cluster, config, open);
    expect(await shares(cluster, 20)).to.deep.equal({ 1: 2, 2: 2, 3: 16 });
  });

  it('changes the method, and keeps clients where they are as long as affinity is the same', async () => {
    const affinity = { sourceSeconds: 600 };
    const cluster = new MemoryCluster({ dvipa: { affinity } });
    await cluster.up();
    const { at, port } = await connection(cluster);
    const change = { distribution: 'hot-standby', targets: ['target3', 'target1', 'target2'] } as const;
    await reloadUnderLoad(cluster, withDvipa(cluster.router.config, change), new Map([[at, port]]));
    expect(await shares(cluster, 5)).to.deep.equal({ [at]: 5 });
    expect(cluster.router.reload(withDvipa(cluster.router.config, { affinity: 'none' }))).to.deep.equal([]);
    expect(await shares(cluster, 5)).to.deep.equal({ 3: 5 });
  });

  it('changes rules for packets of running connections, on the host that applies them', async () => {
    const deny = { action: 'deny', protocol: 'tcp', ports: { from: 80, to: 80 } } as const;
    const cluster = new MemoryCluster({ targets: 1 });
    await cluster.up();
    const { port } = await connection(cluster);
    const before = cluster.router.config;
    cluster.router.reload(withDvipa(before, { rules: [deny], inboundFilter: 'filter' }));
    const refused = await load(cluster, port, 5);
    expect([answers(cluster, refused), drops(cluster)['filter']]).to.deep.equal([0, 5]);
    cluster.router.reload(withDvipa(before, { rules: [deny], inboundFilter: 'bypass' }));
    await cluster.run(ACKNOWLEDGED_MS);
    await load(cluster, port, 5);
    await cluster.run(5);
    expect([drops(cluster)['filter'], counted(cluster.target(1).drops)['filter']]).to.deep.equal([5, 5]);
    cluster.router.reload(before);
    await cluster.run(5);
    const permitted = await load(cluster, port, 5);
    await cluster.run(5);
    expect(answers(cluster, permitted)).to.equal(5);
  });

  it('goes on filtering until the targets do', async () => {
    const cluster = new MemoryCluster({ targets: 1, dvipa: { inboundFilter: 'filter' } });
    await cluster.up();
    cluster.router.reload(withDvipa(cluster.router.config, { inboundFilter: 'bypass' }));
    const service = cluster.router.cluster.dvipas.get(DVIPA);
    expect([service?.record.filterMode, service?.filterMode]).to.deep.equal(['bypass', 'filter']);
    await cluster.run(ACKNOWLEDGED_MS);
    expect([service?.filterMode, cluster.target(1).cache.dvipas[0]?.filterMode]).to.deep.equal([
      'bypass',
      'bypass',
    ]);
  });

  it('lets a new target in, which gets SAs and its share', async () => {
    const cluster = new MemoryCluster({ targets: 2 });
    await cluster.up();
    const open = await connections(cluster, 2);
    cluster.startTarget(3);
    await cluster.run(20);
    expect(cluster.target(3).relations.session, 'a stranger').to.equal(undefined);
    await reloadUnderLoad(cluster, routeConfig(3), open);
    await cluster.run(60);
    expect(cluster.target(3).cache.inbound.size).to.equal(1);
    expect((await shares(cluster, 9))[3]).to.equal(3);
  });

  it('gives a target that has a session a DVIPA that it was not authorised for', async () => {
    const cluster = new MemoryCluster({ targets: 3, authorised: 2 });
    await cluster.up();
    const open = await connections(cluster, 2);
    expect(cluster.target(3).cache.dvipas).to.deep.equal([]);
    await reloadUnderLoad(cluster, routeConfig(3), open);
    expect([cluster.target(3).cache.inbound.size, cluster.target(3).cache.outbound.size]).to.deep.equal([
      1, 1,
    ]);
    expect((await shares(cluster, 9))[3]).to.equal(3);
  });

  it('takes a target out when its connections are over: it has no keys, and what it knew is rekeyed', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const open = await connections(cluster, 3);
    const [service] = cluster.router.cluster.dvipas.values();
    if (service === undefined) throw new Error('no DVIPA');
    cluster.router.distributor.setDraining(2, true, service.address);
    await reloadUnderLoad(cluster, routeConfig(2), open);
    expect(await shares(cluster, 6)).to.deep.equal({ 1: 3, 2: 3 });
    await cluster.run(LINGER_MS + 1000, 10);
    expect([hosts(cluster), cluster.rekeys]).to.deep.equal([['target1', 'target2', 'target3'], []]);
    const { inbound, outbound } = cluster.target(3).cache;
    const keys = [...inbound.values(), ...outbound.values()].map(({ sa }) => sa.encryption.key);
    await reset(cluster, open.get(3) as number);
    await cluster.run(LINGER_MS + 200, 10);
    expect(hosts(cluster)).to.deep.equal(['target1', 'target2']);
    expect(keys.map(({ isWiped }) => isWiped)).to.deep.equal([true, true]);
    const { dvipas } = cluster.target(3).cache;
    expect([inbound.size, outbound.size, dvipas.length]).to.deep.equal([0, 0, 0]);
    expect(cluster.rekeys).to.deep.equal(['target-removed in', 'target-removed out']);
    expect([...cluster.router.sas.all()].flatMap(({ service }) => [...service.targets])).to.not.include(
      'target3',
    );
    expect(cluster.router.distributor.isDraining(2, service.address), 'of whoever is next').to.equal(false);
    await cluster.run(3000, 10);
    expect(cluster.target(3).relations.session, 'it comes back no more').to.equal(undefined);
    expect(await shares(cluster, 6)).to.deep.equal({ 1: 3, 2: 3 });
    expect(cluster.allViolations).to.deep.equal([]);
  });

  it('ends connections of a target that leaves when its time is over', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const open = await connections(cluster, 3);
    cluster.router.reload(routeConfig(2));
    const keepUp = async (ms: number) => {
      for (let at = 0; at < ms; at += 10_000) {
        await load(cluster, open.get(3) as number, 1);
        await cluster.run(10_000, 10);
      }
    };
    await keepUp(LEAVING_MS - 10_000);
    expect(hosts(cluster)).to.have.lengthOf(3);
    await keepUp(20_000);
    expect(hosts(cluster)).to.deep.equal(['target1', 'target2']);
    expect(cluster.rekeys).to.include('target-removed in');
  });

  it('takes a target out at once that is not there, and rekeys what it may know', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    cluster.killTarget(3);
    await cluster.run(5);
    cluster.router.reload(routeConfig(2));
    await cluster.run(60);
    expect(hosts(cluster)).to.deep.equal(['target1', 'target2']);
    expect(cluster.rekeys).to.deep.equal(['target-removed in', 'target-removed out']);
  });

  it('rekeys nothing for a target that never was there', async () => {
    const cluster = new MemoryCluster({ targets: 2 });
    cluster.isolated.add(2);
    await cluster.up();
    cluster.router.reload(routeConfig(1));
    await cluster.run(60);
    expect([hosts(cluster), cluster.rekeys]).to.deep.equal([['target1'], []]);
  });

  it('keeps a target that leaves after all, if another reload says so', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const open = await connections(cluster, 3);
    cluster.router.reload(routeConfig(2));
    await cluster.run(100);
    await reloadUnderLoad(cluster, routeConfig(3), open);
    await cluster.run(LINGER_MS + 1000, 10);
    expect([hosts(cluster).length, cluster.rekeys]).to.deep.equal([3, []]);
    expect((await shares(cluster, 6))[3]).to.equal(2);
  });

  it('a target is given a new DVIPA, and all that belongs to it, when its own configuration has it', async () => {
    const cluster = new MemoryCluster({ targets: 2 });
    await cluster.up();
    const open = await connections(cluster, 2);
    const { config } = cluster.router;
    const [first] = config.dvipas as readonly [DvipaConfig];
    const both = { ...config, dvipas: [first, { ...first, address: SECOND }] };
    await reloadUnderLoad(cluster, both, open);
    const { addresses } = cluster.router.cluster;
    expect(addresses.dvipas.toJSON()).to.have.members([DVIPA, SECOND]);
    const served = () => cluster.targets.map(({ cache }) => cache.dvipas.map(({ address }) => address));
    expect(served()).to.deep.equal([[DVIPA], [DVIPA]]);
    for (const { parts } of cluster.targets) parts.configure([DVIPA, SECOND]);
    await cluster.run(5);
    expect(served()).to.deep.equal([
      [DVIPA, SECOND],
      [DVIPA, SECOND],
    ]);
    expect(cluster.target(1).parts.refusals([DVIPA])).to.have.lengthOf(1);
    expect(drops(cluster)).to.deep.equal({});
  });

  it('a target may not ask for a DVIPA that is not its, nor again and again', async () => {
    const cluster = new MemoryCluster({ targets: 2, authorised: 1 });
    await cluster.up();
    for (const target of [2, 1, 1])
      cluster.target(target).relations.session?.send('dvipa-wanted', { dvipa: DVIPA });
    await cluster.run(5);
    expect(cluster.target(2).cache.dvipas).to.deep.equal([]);
    expect(drops(cluster)).to.deep.equal({ 'coupling-not-granted': 2 });
  });

  it('refuses to take a DVIPA or an endpoint away that has SAs, and takes it when they are gone', async () => {
    const cluster = new MemoryCluster({ targets: 1 });
    await cluster.up();
    const { config } = cluster.router;
    const [first] = config.dvipas as readonly [DvipaConfig];
    const other = { ...config, dvipas: [{ ...first, address: SECOND }] };
    const moved = withDvipa(config, { endpoints: ['192.0.2.99'] });
    const [refusal = '', ...more] = cluster.router.reload(other);
    expect(refusal).to.match(/^dvipas: 203\.0\.113\.10 is still in use: 2 SAs, and policies of dvipa;/);
    expect(more).to.deep.equal([]);
    expect(cluster.router.reload(moved)[0]).to.contain('endpoint 192.0.2.10 is still in use');
    expect((await connection(cluster)).at).to.equal(1);
    for (const pair of cluster.charon.pairs.slice()) cluster.charon.deletePair(pair);
    expect(cluster.router.reload(other)[0], 'a policy is left').to.contain('is still in use: 0 SAs');
    cluster.charon.removePolicy(1);
    expect(cluster.router.reload(moved)).to.deep.equal([]);
    expect(cluster.router.reload(other)).to.deep.equal([]);
    await cluster.run(5);
    expect(cluster.router.cluster.addresses.dvipas.toJSON()).to.deep.equal([SECOND]);
    expect(cluster.target(1).cache.dvipas).to.deep.equal([]);
  });

  it('refuses a host at the address of one that is leaving', async () => {
    const cluster = new MemoryCluster({ targets: 2 });
    await cluster.up();
    await connections(cluster, 2);
    const config = routeConfig(1);
    const [address] = routeConfig(2)
      .targets.slice(1)
      .map((target) => target.address) as [string];
    const replaced = { ...config, targets: [...config.targets, { host: 'target9', address }] };
    expect(cluster.router.reload(replaced)).to.deep.equal([
      `targets: ${address} is still the address of target2; take that out first, and reload again when it is out`,
    ]);
  });

  it('sends another way from one packet to the next, and back, without a rekey: `return`', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { at, port } = await connection(cluster);
    await load(cluster, port, 5);
    expect([...cluster.senders], 'alone on its SA').to.deep.equal([at]);
    const direct = cluster.router.config;
    const open = new Map([[at, port]]);
    await reloadUnderLoad(cluster, withDvipa(direct, { returnVia: 'router' }), open);
    cluster.senders.clear();
    await reloadUnderLoad(cluster, withDvipa(direct, { returnVia: 'router', weights: { target1: 2 } }), open);
    expect([...cluster.senders]).to.deep.equal(['router']);
    await reloadUnderLoad(cluster, direct, open);
    for (let i = 0; i < 40; i++) {
      await load(cluster, port, 1);
      await cluster.run(100);
    }
    expect(cluster.senders.has(at), 'it has the SA to itself for seconds').to.equal(true);
    expect([cluster.rekeys, cluster.allViolations]).to.deep.equal([[], []]);
  });

  it('stamps or not for SAs that come from then on, and counts with another budget at once', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const ways = () => [...cluster.router.sas.outbound.values()].map(({ numbering }) => numbering.sharedWay);
    const { config } = cluster.router;
    cluster.router.reload({ ...config, stamping: 'off', verification: { perSecond: 500 } });
    expect([ways(), cluster.router.host.budget.perSecond]).to.deep.equal([['stamping'], 500]);
    await cluster.rekey(1);
    await cluster.run(400);
    expect(ways()).to.deep.equal(['funnel']);
  });

  it('leases source ports by the places in the new configuration, as a restart would', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const leased = (n: number) => cluster.target(n).cache.dvipas[0]?.sourcePorts?.leased;
    expect(leased(3)?.from).to.equal(32_768 + 2 * 1024);
    const { config } = cluster.router;
    const targets = config.targets.filter(({ host }) => host !== 'target2');
    cluster.router.reload({
      ...withDvipa(config, { targets: ['target1', 'target3'] }),
      targets,
    });
    await cluster.run(5);
    expect([leased(2), leased(3)?.from]).to.deep.equal([undefined, 32_768 + 1024]);
  });
});
