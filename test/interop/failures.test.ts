import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { askAgent } from '../../src/lab/agent.ts';
import { type Capture, startCapture } from '../../src/lab/capture.ts';
import { requestMany } from '../../src/lab/demo/traffic.ts';
import { findEspRepeats } from '../../src/lab/esp-repeats.ts';
import { Lab } from '../../src/lab/lab.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { classifyCluster, classifyOutside, countClasses } from '../../src/lab/wire-class.ts';
import { logsOf, slowDownload, whoAnswers } from './support/lab-observations.ts';

const folder = join(tmpdir(), 'dvipa-failures');

/** How long new connections may still go to a target that died, and how long a routing agent may be missed. */
const TARGET_AVOIDED_MS = 2_000;
const ROUTER_BACK_MS = 3_000;

describe('failures', () => {
  let lab: Lab;
  let outside: Capture;
  let cluster: Capture;

  beforeEach(async function () {
    lab = await Lab.up({ prefix: 'dvipatest', folder, targets: 3, clients: 2 });
    const name = (this.currentTest?.title ?? 'test').replaceAll(/\W+/g, '-').slice(0, 40);
    outside = await startCapture(lab.host('outside'), undefined, join(folder, `${name}-outside.pcap`));
    cluster = await startCapture(lab.host('cluster'), undefined, join(folder, `${name}-cluster.pcap`));
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(await logsOf(folder));
    await lab?.down();
  });

  /** Whatever failed: nothing in clear on a wire, no number or nonce used twice. */
  async function expectCleanWires(): Promise<void> {
    const [wire, inner] = await Promise.all([outside.stop(), cluster.stop()]);
    expect(wire.droppedByKernel + inner.droppedByKernel).to.equal(0);
    const capture = readPcap(wire.file);
    expect(countClasses(capture, classifyOutside).other ?? 0).to.equal(0);
    expect(countClasses(readPcap(inner.file), classifyCluster).other ?? 0).to.equal(0);
    const { packets, repeats } = findEspRepeats(capture);
    expect(packets).to.be.greaterThan(100);
    expect(repeats).to.deep.equal([]);
  }

  it('kill -9 of a target agent: others go on, new connections avoid it, and it comes back', async () => {
    const { dvipa } = lab.scenario;
    const [client1, client2] = lab.hostsOf('client');
    if (client1 === undefined || client2 === undefined) throw new Error('no clients');
    const downloads = [0, 1, 2].map(() => slowDownload(client1, dvipa, 8));
    const hosts = await Promise.all(downloads.map(({ host }) => host));
    expect(hosts.toSorted()).to.deep.equal(['target1', 'target2', 'target3']);

    await lab.process('target2', 'agent').kill('SIGKILL');
    await sleep(TARGET_AVOIDED_MS);
    const after = await requestMany(client2, dvipa, 12);
    expect(after.failed).to.equal(0);
    expect(Object.keys(after.perTarget).toSorted()).to.deep.equal(['target1', 'target3']);

    const whole = await Promise.all(downloads.map(({ isWhole }) => isWhole));
    for (const [index, host] of hosts.entries()) {
      if (host !== 'target2') expect(whole[index], `the download from ${host}`).to.equal(true);
    }

    lab.startAgent('target2');
    await lab.waitForTargets(3);
    const back = await requestMany(client2, dvipa, 12);
    expect(back.failed).to.equal(0);
    expect(Object.keys(back.perTarget)).to.include('target2');
    await expectCleanWires();
  });

  it('kill -9 of the routing agent: SAs and state come back from the plugin', async () => {
    const { dvipa } = lab.scenario;
    const client = lab.host('client1');
    expect((await requestMany(client, dvipa, 9)).failed).to.equal(0);
    const before = await askAgent(lab.router, 'status');
    const spis = async () => (await askAgent(lab.router, 'sas')).map(({ spi }) => spi).toSorted();
    const spisBefore = await spis();

    await lab.process('router1', 'agent').kill('SIGKILL');
    expect(await whoAnswers(client, dvipa, 1)).to.equal(undefined);
    lab.startAgent('router1');
    const from = performance.now();
    await waitFor('a connection through the new routing agent', () => whoAnswers(client, dvipa, 1), {
      timeoutMs: 10_000,
    });
    expect(performance.now() - from).to.be.lessThan(ROUTER_BACK_MS);

    const after = await askAgent(lab.router, 'status');
    expect(after.epoch).to.equal(before.epoch + 1);
    expect(after.charon?.instance).to.equal(before.charon?.instance);
    expect(await spis()).to.deep.equal(spisBefore);
    await lab.waitForTargets(3);
    const again = await requestMany(client, dvipa, 9);
    expect(again.failed).to.equal(0);
    expect(Object.keys(again.perTarget)).to.have.length(3);
    await expectCleanWires();
  });

  it('charon restarted: the agent connects again, stale SAs vanish, clients come back', async () => {
    const { dvipa } = lab.scenario;
    const client = lab.host('client1');
    expect((await requestMany(client, dvipa, 9)).failed).to.equal(0);
    const before = await askAgent(lab.router, 'status');

    await lab.process('router1', 'charon').stop();
    await lab.startCharon('router1');
    await waitFor('no SA is left of the old charon', async () => {
      const { charon } = await askAgent(lab.router, 'status');
      return (
        charon?.instance !== undefined &&
        charon.instance !== before.charon?.instance &&
        (await askAgent(lab.router, 'sas')).length === 0
      );
    });
    for (const target of lab.hostsOf('target')) {
      await waitFor(`no SA on ${target.name}`, async () => (await askAgent(target, 'sas')).length === 0);
    }

    await client.exec(['swanctl', '--terminate', '--ike', 'dvipa', '--force', '--timeout', '2']);
    await lab.initiate('client1');
    const again = await requestMany(client, dvipa, 12);
    expect(again.failed).to.equal(0);
    expect(Object.keys(again.perTarget)).to.have.length(3);
    await expectCleanWires();
  });
});
