import { expect } from 'chai';
import type { Capture } from '../../src/lab/capture.ts';
import { newMarker, requestMany } from '../../src/lab/demo/traffic.ts';
import { findEspRepeats } from '../../src/lab/esp-repeats.ts';
import type { Host } from '../../src/lab/host.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { dvipaCommand, PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import {
  classifyCluster,
  classifyOutside,
  countClasses,
  countPacketsWith,
} from '../../src/lab/wire-class.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { Load, median } from './support/load.ts';
import { listedSas, slowDownloads, waitForWay } from './support/observe.ts';

/** What must hold, in ms. This machine may be slow and shared: three times that is asserted, the median is told. */
const AVOIDED_MS = 2000;
const BACK_MS = 3000;
const MARGIN = 3;

/** Every rule, address and route on a host, and what else an agent may change. */
async function traces(host: Host): Promise<{ rules: string; settings: string }> {
  const rules = 'nft -s list ruleset; ip rule; ip -o -4 address; ip route show table all | sort';
  const settings = 'grep . /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/conf/*/arp_*';
  return {
    rules: await host.must(['sh', '-c', rules]),
    settings: await host.must(['sh', '-c', settings]),
  };
}

describe('cluster, failures', function () {
  this.timeout(90_000);
  // Each failure is of a cluster that the one before has left whole.
  this.bail(true);
  let cluster: Cluster;
  let dvipa = '';
  /** Of the whole test: what must never repeat, must not over all failures together. */
  let whole: Capture;
  const traceOf = new Map<string, { rules: string; settings: string }>();
  const marker = newMarker(`cluster-failures ${process.pid}`);

  before(async function () {
    this.timeout(120_000);
    const missing = missingForCluster(PROJECT_ROOT);
    if (missing.length > 0) throw new Error(`this test needs ${missing.join(', ')}`);
    cluster = await Cluster.up('fail', { tunnels: false }, async (lab) => {
      for (const host of [lab.router, ...lab.hostsOf('target')]) traceOf.set(host.name, await traces(host));
    });
    ({ dvipa } = cluster);
    whole = await cluster.capture('outside');
    await cluster.initiateAll();
    await cluster.installed();
  });

  after(async () => {
    await cluster?.down();
  });

  const client = (name: string) => cluster.lab.host(name);

  /** Captures both networks while `work` runs; afterwards nothing on them may have been in clear. */
  async function inCiphertextOnly(work: () => Promise<void>): Promise<void> {
    const captures = [await cluster.capture('outside'), await cluster.capture('cluster')] as const;
    await work();
    const [outside, inside] = await Promise.all(captures.map((capture) => capture.stop()));
    if (outside === undefined || inside === undefined) throw new Error('no captures');
    expect(outside.droppedByKernel + inside.droppedByKernel).to.equal(0);
    const [wire, link] = [readPcap(outside.file), readPcap(inside.file)];
    expect(countClasses(wire, classifyOutside)).to.not.have.any.keys('other', 'unreachable');
    expect(countClasses(link, classifyCluster)).to.not.have.property('other');
    expect(countPacketsWith(wire, marker) + countPacketsWith(link, marker)).to.equal(0);
    expect(countClasses(wire, classifyOutside).esp).to.be.greaterThan(100);
  }

  /** Stops every agent, hands over what is left on its host, and starts all of them again. */
  async function stopAgents(left: (host: string, now: { rules: string; settings: string }) => void) {
    for (const host of [...cluster.targets, 'router1']) {
      expect((await traces(cluster.lab.host(host))).rules, host).to.not.equal(traceOf.get(host)?.rules);
      await cluster.lab.process(host, 'agent').stop();
      left(host, await traces(cluster.lab.host(host)));
    }
    for (const host of ['router1', ...cluster.targets]) cluster.lab.startAgent(host);
    await cluster.serving();
    await cluster.installed();
    await everyTargetAnswers('client1');
  }

  async function everyTargetAnswers(name: string): Promise<void> {
    const { failed, perTarget } = await requestMany(client(name), dvipa, 9);
    expect(failed).to.equal(0);
    expect(Object.keys(perTarget).toSorted()).to.deep.equal(cluster.targets);
  }

  it('SIGTERM leaves no rule, address, route or setting behind, and a new start serves again', async () => {
    await stopAgents((host, now) => expect(now, host).to.deep.equal(traceOf.get(host)));
  });

  it('kill -9 of a target agent: the others’ connections go on, new ones avoid it, it comes back', async () => {
    const avoided: number[] = [];
    await inCiphertextOnly(async () => {
      for (const victim of ['target2', 'target1', 'target3']) {
        const downloads = await slowDownloads(client('client1'), dvipa, cluster.targets.length, 6, marker);
        expect([...downloads.keys()].toSorted()).to.deep.equal(cluster.targets);
        const loads = cluster.clients.map((name) => Load.start(cluster, name));
        await Promise.all(loads.map((load) => load.answered(5, 0)));

        const killedAt = Date.now();
        await cluster.lab.process(victim, 'agent').kill('SIGKILL');
        await Promise.all(loads.map((load) => load.answered(20, killedAt)));
        await Promise.all(loads.map((load) => load.stop()));
        const requests = loads.flatMap((load) => load.since(killedAt));
        const lost = requests.filter(({ server }) => server === undefined);
        avoided.push(Math.max(0, ...lost.map(({ startedAt }) => startedAt - killedAt)));
        const late = requests.filter(({ endedAt }) => endedAt > killedAt + MARGIN * AVOIDED_MS);
        expect(late.map(({ server }) => server)).to.not.include(victim);
        expect((await cluster.ask('router1', 'targets')).find(({ host }) => host === victim)?.state).to.equal(
          'down',
        );
        for (const [server, { isWhole }] of downloads) {
          if (server !== victim) expect(await isWhole, server).to.equal(true);
        }

        cluster.lab.startAgent(victim);
        await cluster.serving();
        await cluster.installed();
        const [router, target] = [await cluster.ask('router1', 'sas'), await cluster.ask(victim, 'sas')];
        expect(target.map(({ id }) => id).toSorted()).to.deep.equal(router.map(({ id }) => id).toSorted());
        await everyTargetAnswers('client2');
      }
    });
    console.log(
      `      a killed target was avoided after ${avoided.join(', ')} ms, median ${median(avoided)} ms`,
    );
    expect(Math.max(...avoided)).to.be.at.most(MARGIN * AVOIDED_MS);
  }).timeout(180_000);

  it('a target agent that hangs is avoided after its heartbeats fail, and comes back with nothing sent twice', async () => {
    await inCiphertextOnly(async () => {
      const victim = cluster.lab.process('target2', 'agent');
      const downloads = await slowDownloads(client('client1'), dvipa, cluster.targets.length, 6, marker);
      expect([...downloads.keys()].toSorted()).to.deep.equal(cluster.targets);
      const load = Load.start(cluster, 'client2');
      await load.answered(5, 0);
      const stoppedAt = Date.now();
      await victim.kill('SIGSTOP');
      await waitFor(
        'the routing agent misses it',
        async () => (await cluster.ask('router1', 'targets'))[1]?.state === 'down',
      );
      const missedAfter = Date.now() - stoppedAt;
      await load.answered(20, Date.now());
      await victim.kill('SIGCONT');
      await cluster.serving();
      await cluster.installed();
      await load.stop();
      console.log(`      a hanging target was missed after ${missedAfter} ms`);
      expect(missedAfter).to.be.at.most(MARGIN * AVOIDED_MS);
      // Its connection went on where it was; so did those of the others.
      for (const [server, { isWhole }] of downloads) expect(await isWhole, server).to.equal(true);
      await everyTargetAnswers('client2');
    });
  });

  it('kill -9 of the routing agent: SAs and state come back from the plugin, connections go on, new ones work', async () => {
    const back: number[] = [];
    await inCiphertextOnly(async () => {
      for (let round = 1; round <= 3; round++) {
        const before = await cluster.ask('router1', 'status');
        const sasBefore = await cluster.ask('router1', 'sas');
        const listedBefore = (await listedSas(cluster.lab.router)).children;
        // One alone is sent by its target, two of one client by way of the routing host.
        const downloads = await slowDownloads(client('client1'), dvipa, round === 1 ? 1 : 2, 6, marker);
        await waitForWay(cluster, '192.0.2.101:4500', round === 1 ? /^exclusive:/ : /^stamping$/);
        const load = Load.start(cluster, 'client2');
        await load.answered(5, 0);

        const killedAt = Date.now();
        await cluster.lab.process('router1', 'agent').kill('SIGKILL');
        cluster.lab.startAgent('router1');
        await load.answered(10, killedAt);
        await load.stop();
        const first = load.since(killedAt).find(({ server }) => server !== undefined);
        back.push((first?.endedAt ?? Number.POSITIVE_INFINITY) - killedAt);
        await cluster.serving();

        const after = await cluster.ask('router1', 'status');
        expect(after.epoch).to.be.greaterThan(before.epoch);
        expect(after.charon?.instance).to.equal(before.charon?.instance);
        const sas = await cluster.installed();
        expect(sas.map(({ id, spi }) => `${id} ${spi}`).toSorted()).to.deep.equal(
          sasBefore.map(({ id, spi }) => `${id} ${spi}`).toSorted(),
        );
        for (const { isWhole } of downloads.values())
          expect(await isWhole, 'a download over the restart').to.equal(true);
        for (const child of (await listedSas(cluster.lab.router)).children) {
          const earlier = listedBefore.find(({ spiIn }) => spiIn === child.spiIn);
          expect(child.packetsIn, 'charon’s counters do not go back').to.be.at.least(earlier?.packetsIn ?? 0);
        }
        await everyTargetAnswers('client1');
      }
    });
    console.log(
      `      after kill -9 of the routing agent a new connection worked after ${back.join(', ')} ms, median ${median(back)} ms`,
    );
    expect(Math.max(...back)).to.be.at.most(MARGIN * BACK_MS);
  }).timeout(180_000);

  it('a second start while one runs is refused clearly, and disturbs nothing', async () => {
    for (const [host, role] of [
      ['router1', 'route'],
      ['target1', 'target'],
    ] as const) {
      const before = await traces(cluster.lab.host(host));
      const second = await cluster.lab.host(host).exec(dvipaCommand(role, '-c', cluster.configFile(host)));
      expect(second.status).to.equal(1);
      expect(second.stderr).to.match(/^dvipa: another agent is running on \S+\n$/);
      expect(await traces(cluster.lab.host(host))).to.deep.equal(before);
    }
    await everyTargetAnswers('client1');
  });

  it('charon killed and started again: the agent reconnects, stale SAs vanish, clients come back', async () => {
    const { charon } = await cluster.ask('router1', 'status');
    await cluster.lab.process('router1', 'charon').kill('SIGKILL');
    await waitFor('the agent sees that charon is gone', async () => {
      return (await cluster.ask('router1', 'status')).charon?.connected === false;
    });
    await cluster.lab.startCharon('router1');
    await waitFor('the agent is connected to another charon', async () => {
      const now = (await cluster.ask('router1', 'status')).charon;
      return now?.connected === true && now.instance !== charon?.instance;
    });
    for (const host of ['router1', ...cluster.targets]) {
      await waitFor(`no SA is left on ${host}`, async () => (await cluster.ask(host, 'sas')).length === 0);
    }
    for (const name of cluster.clients) {
      // The peer that it would tell is gone: waiting for its answer is of no use.
      await client(name).exec(['swanctl', '--terminate', '--ike', 'dvipa', '--force', '--timeout', '2']);
      await cluster.lab.initiate(name);
    }
    await cluster.installed();
    for (const name of cluster.clients) {
      await everyTargetAnswers(name);
    }
  });

  it('SIGTERM after all that leaves no rule, address or route behind either', async () => {
    await stopAgents((host, now) => expect(now.rules, host).to.equal(traceOf.get(host)?.rules));
  });

  it('no number and no IV was used twice under one SPI, over all of this', async () => {
    const { file, droppedByKernel } = await whole.stop();
    expect(droppedByKernel).to.equal(0);
    const { packets, perSa, repeats } = findEspRepeats(readPcap(file));
    expect(repeats).to.deep.equal([]);
    expect(packets).to.be.greaterThan(5000);
    expect(perSa.size).to.be.at.least(8);
  });
});
