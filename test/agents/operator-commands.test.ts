import { expect } from 'chai';
import type { AgentEvent, EventItem } from '../../src/observe/event-item.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { DVIPA } from '../support/inner-packets.ts';
import { answers, connection, load } from './cluster-helpers.ts';

const ANOTHER = '203.0.113.99';

async function up(options: ConstructorParameters<typeof MemoryCluster>[0] = {}): Promise<MemoryCluster> {
  const cluster = new MemoryCluster(options);
  await cluster.up();
  return cluster;
}

/** Targets of `count` new connections. */
async function opened(cluster: MemoryCluster, count: number): Promise<number[]> {
  const targets: number[] = [];
  for (let i = 0; i < count; i++) targets.push((await connection(cluster)).at);
  return targets;
}

async function events(cluster: MemoryCluster): Promise<AgentEvent[]> {
  const items: EventItem[] = [];
  for await (const item of cluster.router.commands.events({})) items.push(item);
  return items.filter((item) => 'event' in item);
}

/** What it throws, or says by rejecting. */
async function refusal(command: () => unknown): Promise<string> {
  try {
    await command();
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing was refused';
}

const draining = (cluster: MemoryCluster) =>
  cluster.router.answers.targets().map((target) => target.draining.length);

describe('drain', () => {
  it('keeps new connections from a target, whose own go on, until it is taken back', async () => {
    const cluster = await up();
    const first = await connection(cluster);
    const before = await opened(cluster, 3);
    expect(new Set([first.at, ...before]).size).to.equal(3);
    const at = first.at;
    const answer = await cluster.router.commands.drain({ target: `target${at}` });
    expect(answer).to.deep.equal({
      target: `target${at}`,
      draining: [DVIPA],
      maintenance: false,
      isStored: true,
      unserved: [],
    });
    expect(await opened(cluster, 9)).not.to.include(at);
    const sent = await load(cluster, first.port, 10);
    await cluster.run(20);
    expect(answers(cluster, sent)).to.equal(10);
    await cluster.router.commands.undrain({ target: `target${at}` });
    expect(await opened(cluster, 9)).to.include(at);
    expect(cluster.allViolations).to.deep.equal([]);
    cluster.close();
  });

  it('outlives the session and the agent of the target, and the routing agent', async () => {
    const cluster = await up();
    await cluster.router.commands.drain({ target: 'target2' });
    cluster.cut(2);
    await cluster.run(200);
    expect(await opened(cluster, 6)).not.to.include(2);
    cluster.killTarget(2);
    cluster.startTarget(2);
    await cluster.run(200);
    expect(await opened(cluster, 6)).not.to.include(2);
    cluster.killRouter();
    cluster.startRouter();
    await cluster.run(2000);
    expect(draining(cluster)).to.deep.equal([0, 1, 0]);
    expect(await opened(cluster, 6)).not.to.include(2);
    await cluster.router.commands.undrain({ target: 'target2' });
    cluster.killRouter();
    cluster.startRouter();
    await cluster.run(2000);
    expect(draining(cluster)).to.deep.equal([0, 0, 0]);
    expect(await opened(cluster, 6)).to.include(2);
    cluster.close();
  });

  it('says which DVIPA has nobody left, and that health has failed', async () => {
    const cluster = await up({ targets: 2 });
    expect(await cluster.router.commands.drain({ target: 'target1' })).to.deep.include({ unserved: [] });
    const { health } = cluster.router.answers.status();
    expect(health.state, 'somebody wanted it so').to.equal('ok');
    expect(health.warnings).to.deep.equal([
      { name: 'target-draining', severity: 'notice', text: `target1 is drained for ${DVIPA}` },
    ]);
    expect(await cluster.router.commands.drain({ target: 'target2' })).to.deep.include({ unserved: [DVIPA] });
    expect(cluster.router.answers.status().health).to.deep.include({ state: 'failed' });
    expect((await connection(cluster)).at).to.equal(0);
    cluster.close();
  });

  it('is of one DVIPA if that is named', async () => {
    const cluster = await up();
    const answer = await cluster.router.commands.drain({ target: 'target1', dvipa: DVIPA });
    expect(answer.draining).to.deep.equal([DVIPA]);
    cluster.close();
  });

  it('refuses by name what it does not know', async () => {
    const { router } = await up({ authorised: 2 });
    const refused = (args: Record<string, unknown>) => refusal(() => router.commands.drain(args));
    expect(await refused({})).to.match(/^wrong arguments: target: /);
    expect(await refused({ target: 'nobody' })).to.equal(
      'no target is named "nobody", expected one of target1, target2, target3',
    );
    expect(await refused({ target: 'target1', dvipa: ANOTHER })).to.contain(`does not serve ${ANOTHER}`);
    expect(await refused({ target: 'target1', dvipa: 'x' })).to.contain('dvipa: expected an IP address');
    expect(await refused({ target: 'target1', force: true })).to.contain('Unrecognized key: "force"');
    expect(draining({ router } as MemoryCluster)).to.deep.equal([0, 0, 0]);
  });

  it('holds though it cannot be stored, and says so', async () => {
    const cluster = await up();
    cluster.charon.dvipaStoreFails = true;
    expect(await cluster.router.commands.drain({ target: 'target1' })).to.include({ isStored: false });
    expect(await opened(cluster, 6)).not.to.include(1);
    expect((await events(cluster)).map(({ event }) => event)).to.include('store-failed');
    cluster.close();
  });
});

describe('maintenance', () => {
  it('of a target keeps new connections from it, by its own word, over restarts of its agent', async () => {
    const cluster = await up();
    const { at, port } = await connection(cluster);
    const target = () => cluster.target(at);
    expect(target().commands.maintenance({ action: 'status' })).to.deep.equal({
      host: `target${at}`,
      isOn: false,
      isReported: true,
      connections: 1,
    });
    expect(target().commands.maintenance({ action: 'on' })).to.include({ isOn: true, connections: 1 });
    await cluster.run(5);
    expect(cluster.router.answers.targets()[at - 1]).to.deep.include({
      maintenance: true,
      draining: [DVIPA],
    });
    expect(await opened(cluster, 6)).not.to.include(at);
    const sent = await load(cluster, port, 5);
    await cluster.run(20);
    expect(answers(cluster, sent)).to.equal(5);
    expect(
      target()
        .answers.status()
        .health.warnings.map(({ name }) => name),
    ).to.deep.equal(['maintenance']);

    cluster.killTarget(at);
    cluster.startTarget(at);
    await cluster.run(200);
    expect(target().commands.maintenance({ action: 'status' })).to.include({ isOn: true, isReported: true });
    expect(await opened(cluster, 6)).not.to.include(at);

    cluster.killRouter();
    cluster.startRouter();
    await cluster.run(2000);
    expect(await opened(cluster, 6)).not.to.include(at);

    target().commands.maintenance({ action: 'off' });
    await cluster.run(5);
    expect(draining(cluster)).to.deep.equal([0, 0, 0]);
    expect(await opened(cluster, 6)).to.include(at);
    cluster.close();
  });

  it('is not ended by undrain, nor a drain by its end', async () => {
    const cluster = await up();
    cluster.target(1).commands.maintenance({ action: 'on' });
    await cluster.run(5);
    await cluster.router.commands.drain({ target: 'target1' });
    const answer = await cluster.router.commands.undrain({ target: 'target1' });
    expect(answer).to.deep.include({ draining: [DVIPA], maintenance: true });
    await cluster.router.commands.drain({ target: 'target1' });
    cluster.target(1).commands.maintenance({ action: 'off' });
    await cluster.run(5);
    expect(draining(cluster)).to.deep.equal([1, 0, 0]);
    cluster.close();
  });

  it('is refused on the routing host, and what is the routing host’s on a target', async () => {
    const cluster = await up();
    expect(await refusal(() => cluster.router.commands.maintenance())).to.match(
      /^this is the routing host: /,
    );
    const { commands } = cluster.target(1);
    for (const command of [commands.drain, commands.undrain, commands.rekey])
      expect(await refusal(command)).to.match(/^this is a target: /);
    expect(await refusal(() => commands.maintenance({ action: 'maybe' }))).to.match(
      /^wrong arguments: action: /,
    );
    cluster.close();
  });
});

describe('rekey by command', () => {
  it('asks charon for the SAs that are meant, once for each CHILD_SA, with a reason of its own', async () => {
    const cluster = await up({ clients: 2 });
    const rekeyed = async (args: Record<string, unknown>) => {
      const { asked } = await cluster.router.commands.rekey(args);
      await cluster.run(300);
      return asked.map(({ direction, outcome }) => `${direction} ${outcome}`);
    };
    const [pair] = cluster.charon.pairs;
    expect(await rekeyed({ sa: pair?.spiIn.toString(16) })).to.deep.equal(['in taken']);
    expect(await rekeyed({ ike: 'dvipa', child: 'web' })).to.deep.equal(['out taken', 'out taken']);
    expect(await rekeyed({ all: true })).to.deep.equal(['out taken', 'out taken']);
    expect(cluster.rekeys).to.deep.equal(['operator in', ...Array.from({ length: 4 }, () => 'operator out')]);
    expect((await connection(cluster)).at, 'all goes on').to.be.greaterThan(0);
    cluster.close();
  });

  it('refuses what names no SA, or not exactly one thing', async () => {
    const cluster = await up();
    const refused = (args: Record<string, unknown>) => refusal(() => cluster.router.commands.rekey(args));
    expect(await refused({ ike: 'nobody' })).to.contain('no SA in use is meant');
    expect(await refused({ sa: '00000000' })).to.contain('no SA in use is meant');
    for (const args of [{}, { sa: 'c0000001', all: true }, { sa: 'xyz' }, { all: false }])
      expect(await refused(args), JSON.stringify(args)).to.match(/^wrong arguments: /);
    expect(cluster.rekeys).to.deep.equal([]);
    cluster.close();
  });
});

describe('what an operator is shown', () => {
  it('the events of a routing host are a story in order, numbered in one life of the agent', async () => {
    const cluster = await up();
    await cluster.rekey(1);
    await cluster.router.commands.drain({ target: 'target1' });
    await cluster.run(500);
    cluster.cut(2);
    await cluster.run(5);
    const story = await events(cluster);
    const names = story.map(({ event }) => event);
    const order = ['target-up', 'sa-added', 'sa-removed', 'target-draining', 'target-down'] as const;
    const places = order.map((name) => names.indexOf(name));
    expect(places).to.not.include(-1);
    expect(places).to.deep.equal(places.toSorted((a, b) => a - b));
    expect(story.map(({ seq }) => seq)).to.deep.equal(story.map((_, i) => i + 1));
    expect(new Set(story.map(({ instance }) => instance)).size).to.equal(1);
    const target = cluster.target(1).events;
    expect([target.at(1)?.event, target.at(target.newest)?.event]).to.deep.equal(['router-up', 'sa-removed']);
    cluster.close();
  });

  it('events are asked for from a place, the last few, or as they come', async () => {
    const cluster = await up();
    const { commands, events: log } = cluster.router;
    const seen = async (args: Record<string, unknown>) => {
      const numbers: number[] = [];
      for await (const item of commands.events(args)) if ('seq' in item) numbers.push(item.seq);
      return numbers;
    };
    const { newest, instance } = log;
    expect(await seen({ since: newest - 1 })).to.deep.equal([newest]);
    expect(await seen({ since: `${instance}:${newest - 2}` })).to.deep.equal([newest - 1, newest]);
    expect(await seen({ since: `ffffffffffffffff:${newest + 5}` }), 'of another life').to.have.lengthOf(
      newest,
    );
    expect(await seen({ last: 2 })).to.deep.equal([newest - 1, newest]);
    expect(await seen({ last: 0 })).to.deep.equal([]);
    expect(await seen({})).to.have.lengthOf(newest);
    const reader = commands.events({ since: newest, follow: true });
    const next = reader.next();
    cluster.cut(1);
    expect((await next).value).to.include({ seq: newest + 1, event: 'target-down' });
    for (const args of [{ since: newest + 9 }, { since: 'x' }, { since: 1, last: 1 }, { last: -1 }])
      expect(await refusal(() => commands.events(args)), JSON.stringify(args)).not.to.contain('nothing');
    cluster.close();
  });

  it('DVIPAs are shown with targets, leases of source ports, listeners and load', async () => {
    const cluster = await up({ dvipa: { affinity: { sourceSeconds: 60 }, weights: { target2: 3 } } });
    const { at } = await connection(cluster);
    await cluster.run(1500);
    const [dvipa] = cluster.router.answers.dvipas();
    expect(dvipa).to.deep.include({
      address: DVIPA,
      returnVia: 'direct',
      distribution: {
        method: 'round-robin',
        affinity: 'source',
        affinitySeconds: 60,
        switchBack: undefined,
        weights: [{ host: 'target2', weight: 3 }],
      },
      sourcePorts: { from: 32_768, to: 60_999, block: 1024 },
      sas: 2,
    });
    expect(dvipa?.targets[at - 1]).to.deep.equal({
      host: `target${at}`,
      state: 'up',
      isDraining: false,
      connections: 1,
      busyPerMille: 0,
      sourcePorts: { from: 32_768 + 1024 * (at - 1), to: 32_768 + 1024 * at - 1 },
      listeners: { tcp: [80], udp: [53] },
    });
    const [own] = cluster.target(at).answers.dvipas();
    expect(own).to.deep.include({ address: DVIPA, sas: 2, sourcePorts: { from: 32_768, to: 60_999 } });
    const { busyPerMille: _, ...rest } = dvipa?.targets[at - 1] ?? {};
    expect(own?.targets).to.deep.equal([rest]);
    cluster.close();
  });

  it('numbering is shown as the routing host leads it and as a target has it', async () => {
    const cluster = await up();
    const first = await connection(cluster);
    await load(cluster, first.port, 20);
    const [sa] = cluster.router.answers.numbering();
    expect(sa).to.deep.include({
      way: `exclusive:target${first.at}`,
      state: 'exclusive',
      sharedWay: 'stamping',
      storedSequence: 65_537,
      nextSenderId: 4,
      senderIdsLeft: 65_532,
      changes: 0,
    });
    expect(sa?.lease).to.deep.include({ target: `target${first.at}`, next: 1, end: sa?.nextSequence });
    expect(sa?.senders.map(({ target, senderId }) => `${target} ${senderId}`)).to.deep.equal([
      'target1 1',
      'target2 2',
      'target3 3',
    ]);
    const [held] = cluster.target(first.at).answers.numbering();
    expect(held).to.deep.include({
      state: 'exclusive',
      senders: [{ target: `target${first.at}`, senderId: first.at }],
    });
    expect(held?.lease?.lease).to.equal(sa?.lease?.lease);
    expect(held?.lease?.next).to.be.greaterThan(20);

    const second = await connection(cluster);
    for (let i = 0; i < 20; i++) for (const { port } of [first, second]) await load(cluster, port, 1);
    const [shared] = cluster.router.answers.numbering();
    expect(shared).to.deep.include({ way: 'stamping', state: 'shared', changes: 1, lease: undefined });
    expect((await events(cluster)).filter(({ event }) => event === 'way-changed')).to.have.lengthOf(1);
    cluster.close();
  });

  it('a target that is down, and one that has refused an SA, are what health tells', async () => {
    const cluster = await up();
    expect(cluster.router.answers.status().health).to.deep.equal({ state: 'ok', warnings: [] });
    cluster.isolated.add(3);
    cluster.cut(3);
    await cluster.run(50);
    expect(cluster.router.answers.status().health).to.deep.equal({
      state: 'degraded',
      warnings: [{ name: 'target-down', severity: 'degraded', text: 'target3 is down' }],
    });
    const [sa] = cluster.router.sas.all();
    sa?.refusals.set('target1', 'algorithm-not-there');
    expect(cluster.router.answers.status().health.warnings.map(({ name }) => name)).to.deep.equal([
      'target-down',
    ]);
    sa?.refusals.set('target2', 'algorithm-not-there');
    expect(cluster.router.answers.status().health.warnings.map(({ name }) => name)).to.deep.equal([
      'target-down',
      'sas-refused',
    ]);
    cluster.close();
  });
});
