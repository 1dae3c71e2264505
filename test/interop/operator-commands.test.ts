import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { requestMany } from '../../src/lab/demo/traffic.ts';
import { dvipaCommand, PROJECT_ROOT } from '../../src/lab/program.ts';
import type { RunResult } from '../../src/lab/run.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import type { AgentEvent } from '../../src/observe/event-item.ts';
import type { RekeySnapshot } from '../../src/observe/operator-snapshots.ts';
import type { TargetSnapshot } from '../../src/observe/snapshots.ts';
import { type Answer, missingForSchemas, schemaViolations } from '../support/json-schema.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { runDownloads } from './support/download-load.ts';

const LISTS = [
  ['status'],
  ['dvipas'],
  ['sas'],
  ['targets'],
  ['connections'],
  ['connections', '--count'],
  ['connections', '--top', '3'],
  ['numbering'],
  ['filters'],
  ['lifesize'],
];
/** Who is drained, and whose work it becomes. */
const [DRAINED, OTHER] = ['target1', 'target2'] as const;

/** What an operator does in a day, by the command itself, on a cluster with charon and a stock peer. */
describe("the operator's commands", function () {
  this.timeout(90_000);
  let cluster: Cluster;
  /** `dvipa events --follow --json` on the routing host, from before the tunnel until its agent goes. */
  let following: Promise<RunResult>;

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('op', {
      clients: 1,
      targets: 2,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0 },
    });
    following = cluster.lab.router.exec(dvipaCommand('events', '--follow', '--json'), { timeoutMs: 180_000 });
    await sleep(1500); // it is there before what it shall tell
    await cluster.initiateAll();
    await cluster.installed();
  });
  after(() => cluster?.down());

  const client = () => cluster.lab.host('client1');
  const run = (host: string, ...args: string[]) =>
    cluster.lab.host(host).exec(dvipaCommand(...args), { timeoutMs: 60_000 });
  const must = async (host: string, ...args: string[]) => {
    const { status, stdout, stderr } = await run(host, ...args);
    expect(status, `${args.join(' ')}: ${stderr}`).to.equal(0);
    return stdout;
  };
  const servers = async () =>
    Object.keys((await requestMany(client(), cluster.dvipa, 8)).perTarget).toSorted();
  const targets = async () => JSON.parse(await must('router1', 'targets', '--json')) as TargetSnapshot[];

  it('print JSON whose every key is documented, on a routing host and on a target', async () => {
    expect(await servers()).to.deep.equal([DRAINED, OTHER]);
    const answers: Answer[] = [];
    for (const host of ['router1', DRAINED])
      for (const list of LISTS)
        answers.push([`dvipa ${list[0]}`, JSON.parse(await must(host, ...list, '--json'))]);
    answers.push(['dvipa maintenance', JSON.parse(await must(DRAINED, 'maintenance', 'status', '--json'))]);
    expect(missingForSchemas()).to.equal(undefined);
    expect(schemaViolations(answers)).to.deep.equal([]);
  });

  it('a drain under load loses no request, sends new connections elsewhere, and waits for the last one', async () => {
    const download = { dvipa: cluster.dvipa, marker: 'drain' };
    // Both go on when the drain begins; the long ones are the last that are left.
    const long = runDownloads(client(), {
      ...download,
      parallel: 4,
      seconds: 0,
      bytes: 400_000,
      bytesPerSecond: 50_000,
      spreadSeconds: 0,
    });
    const short = runDownloads(client(), {
      ...download,
      parallel: 4,
      seconds: 6,
      bytes: 20_000,
      spreadSeconds: 1,
    });
    await sleep(2000);
    expect((await run('router1', 'drain', DRAINED, '--wait', '0')).status, 'too soon').to.equal(4);
    const drainedAt = Date.now();
    const waited = must('router1', 'drain', DRAINED, '--wait', '60').then(() => Date.now());
    const [longOnes, shortOnes] = [await long, await short];
    for (const { isWhole } of [...longOnes, ...shortOnes]) expect(isWhole).to.equal(true);
    expect(new Set(longOnes.map(({ server }) => server)).size, 'both had some').to.equal(2);
    const before = shortOnes.filter(({ startedAt }) => startedAt < drainedAt - 2000);
    expect(new Set(before.map(({ server }) => server)).size).to.equal(2);
    const after = shortOnes.filter(({ startedAt }) => startedAt > drainedAt);
    expect(after.length).to.be.greaterThan(4);
    expect([...new Set(after.map(({ server }) => server))]).to.deep.equal([OTHER]);
    const lastAt = Math.max(
      ...longOnes.filter(({ server }) => server === DRAINED).map(({ endedAt }) => endedAt),
    );
    expect(await waited).to.be.greaterThan(lastAt);
    expect((await targets()).map(({ draining }) => draining)).to.deep.equal([[cluster.dvipa], []]);
    expect((await run('router1', 'status', '--check')).stdout).to.equal(
      `ok: ${DRAINED} is drained for ${cluster.dvipa}\n`,
    );
  });

  it('a rekey asked for by command comes to its end, and a drain goes on over it', async () => {
    const spis = async () => (await cluster.ask('router1', 'sas')).map(({ spi }) => spi);
    const old = await spis();
    const { asked } = JSON.parse(
      await must('router1', 'rekey', '--ike', 'dvipa', '--child', 'web', '--json'),
    ) as RekeySnapshot;
    expect(asked.map(({ outcome, direction }) => `${direction} ${outcome}`)).to.deep.equal(['out taken']);
    await waitFor('the SAs are others', async () => !(await spis()).some((spi) => old.includes(spi)), {
      timeoutMs: 20_000,
    });
    expect(await servers()).to.deep.equal([OTHER]);
  });

  it('a drain outlives kill -9 of the routing agent, and is taken back by command', async () => {
    await cluster.lab.process('router1', 'agent').kill('SIGKILL');
    cluster.lab.startAgent('router1');
    await cluster.serving();
    expect((await targets()).map(({ draining }) => draining)).to.deep.equal([[cluster.dvipa], []]);
    expect(await servers()).to.deep.equal([OTHER]);
    await must('router1', 'undrain', DRAINED);
    expect(await servers()).to.deep.equal([DRAINED, OTHER]);
  });

  it('maintenance of a target keeps connections from it, over a restart of its agent, until it is off', async () => {
    expect((await run('router1', 'maintenance', 'on')).stderr).to.match(/^dvipa: this is the routing host/);
    await must(OTHER, 'maintenance', 'on', '--wait', '20');
    expect(await servers()).to.deep.equal([DRAINED]);
    expect((await targets()).map(({ maintenance }) => maintenance)).to.deep.equal([false, true]);
    await cluster.lab.process(OTHER, 'agent').stop();
    cluster.lab.startAgent(OTHER);
    await cluster.serving();
    expect(await servers()).to.deep.equal([DRAINED]);
    await must(OTHER, 'maintenance', 'off');
    expect(await servers()).to.deep.equal([DRAINED, OTHER]);
  });

  it('events told all that as one story, in order and without a gap, to whoever followed', async () => {
    const { status, stdout, stderr } = await following;
    expect([status, stderr]).to.deep.equal([3, stderr]);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AgentEvent);
    expect(events.map(({ seq }) => seq)).to.deep.equal(events.map((_, i) => i + 1));
    expect(schemaViolations(events.map((event) => ['dvipa events', event]))).to.deep.equal([]);
    const story = [
      'agent-started',
      'target-up',
      'sa-added',
      'target-draining',
      'rekey-requested',
      'rekey-finished',
      'sa-removed',
    ];
    let at = 0;
    for (const name of story) {
      const found = events.findIndex(({ event }, i) => i >= at && event === name);
      expect(
        found,
        `${name} after event ${at}: ${events.map(({ event }) => event).join(' ')}`,
      ).to.be.at.least(0);
      at = found;
    }
    expect(events.find(({ event }) => event === 'rekey-finished')?.fields).to.include({ reason: 'operator' });
  });
});
