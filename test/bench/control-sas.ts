/**
 * How long SAs take from charon to the targets: `scripts/bench control-sas` (root). A routing agent and sixteen target agents are
 * real processes in the lab; in place of charon a stand-in on the plugin's socket makes SAs. Milliseconds.
 *
 * `ack*`: from the plugin's word of an SA until the routing host has the acknowledgement of 1, 3 or 16 targets, as its admin socket
 * tells, which is asked again and again: so a figure is too long by one answer at most. By turns, in one run.
 * `snapshot_10000`: a target's agent is started when there are 10 000 SAs, from its first word with the routing host until it has them all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { followAgent } from '../../src/io/admin-stream.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import type { AgentEvent } from '../../src/observe/event-item.ts';
import { FakeCharonLab, type TargetCount } from './support/fake-charon-lab.ts';
import { type Measurement, median, quantile, round } from './support/rows.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
/** Of each count of targets, in a round: enough that one in a hundred is not the slowest. */
const SAS = 200;
const COUNTS: readonly TargetCount[] = [1, 3, 16];
const SNAPSHOT_SAS = 10_000;
/** No peers come faster: IKE takes longer. */
const BURST = 20;
const BURST_MS = 10;
/** Between two of them what one causes has gone by. */
const PAUSE_MS = 5;

const lab = await FakeCharonLab.up('bct');
const router = lab.cluster.lab.router.name;
const sas = () => lab.cluster.ask(router, 'sas');

async function acknowledged(targets: TargetCount): Promise<number> {
  const startedAt = performance.now();
  const id = lab.addSa(targets);
  const name = lab.nameOf(id);
  for (;;) {
    const entry = (await sas()).find((sa) => sa.id === name);
    const took = performance.now() - startedAt;
    if (took > 5000) throw new Error(`an SA was not acknowledged by ${targets} targets within 5 s`);
    if (entry?.installedOn.length !== targets) continue;
    lab.plugin.deleteSa(id);
    await sleep(PAUSE_MS);
    return took;
  }
}

/** Starts a target's agent anew and reads in its events how long the snapshot took. */
async function snapshot(host: string): Promise<number> {
  const { lab: hosts } = lab.cluster;
  await hosts.process(host, 'agent').stop();
  const agent = hosts.startAgent(host);
  const socket = lab.cluster.run(host, 'dvipa/target.sock');
  const times = new Map<string, number>();
  await waitFor(
    'the whole snapshot',
    async () => {
      if (!agent.isRunning()) throw new Error(`${host}: the agent ended, see ${agent.logFile}`);
      for await (const item of followAgent(socket, 'events', {})) {
        const { event, time } = item as AgentEvent;
        times.set(event, Date.parse(time));
      }
      return times.has('snapshot-complete');
    },
    { timeoutMs: 60_000, everyMs: 200 },
  );
  return (times.get('snapshot-complete') ?? 0) - (times.get('router-up') ?? 0);
}

try {
  const samples = new Map<TargetCount, number[][]>(COUNTS.map((count) => [count, []]));
  for (let i = 0; i < 50; i++) await acknowledged(3); // code that is compiled, connections that are warm
  for (let n = 0; n < ROUNDS; n++) {
    for (const count of COUNTS) samples.get(count)?.push([]);
    for (let i = 0; i < SAS; i++)
      for (const count of COUNTS)
        samples
          .get(count)
          ?.at(-1)
          ?.push(await acknowledged(count));
    console.error(
      `round ${n + 1}: p99 ${COUNTS.map((count) => round(quantile(samples.get(count)?.at(-1) ?? [], 0.99))).join(', ')} ms`,
    );
  }
  const figures: Record<string, number | readonly number[]> = {};
  for (const [count, rounds] of samples) {
    figures[`ack${count}_p50_ms`] = round(median(rounds.flat()));
    figures[`ack${count}_p99_ms`] = round(quantile(rounds.flat(), 0.99));
  }
  for (let i = 0; i < SNAPSHOT_SAS; i++) {
    lab.addSa(3);
    if (i % BURST === 0) await sleep(BURST_MS);
  }
  await waitFor(
    'all SAs are installed',
    async () => (await sas()).every((sa) => sa.installedOn.length === 3),
    {
      timeoutMs: 60_000,
      everyMs: 2000,
    },
  );
  const snapshots: number[] = [];
  for (let n = 0; n < ROUNDS; n++) snapshots.push(await snapshot('target3'));
  const rounds = (samples.get(3) ?? []).map((times) => round(quantile(times, 0.99)));
  const row: Measurement = {
    value: median(rounds),
    rounds,
    measured: `p99 of ${SAS} SAs a round, from the plugin's event until the routing host's admin socket shows three acknowledgements; 16 targets on one machine`,
  };
  console.log(
    JSON.stringify({
      bench: 'control-sas',
      rounds: ROUNDS,
      ...figures,
      snapshot_10000_ms: median(snapshots),
      snapshot_10000_ms_by_round: snapshots,
      rows: { 'control.ack3': row },
    }),
  );
} finally {
  await lab.down();
}
