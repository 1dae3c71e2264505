/**
 * How many IKE_SAs with a CHILD_SA a client sets up in a second, one after another: `scripts/bench control-ike` (root). A stock client,
 * by turns with our routing host (charon, plugin, agent, three targets, and the wait for a target's acknowledgement) and with a stock
 * charon that does ESP itself (kernel-libipsec). A set-up is an initiation through VICI; the IKE_SA is closed before the next, untimed.
 */
import type { Lab } from '../../src/lab/lab.ts';
import { initiate, openSession, terminate, type ViciSession } from '../../src/vici/index.ts';
import { Cluster } from '../interop/support/cluster.ts';
import { gatewayUp } from './support/gateway.ts';
import { type Measurement, median, round } from './support/rows.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
/** In a round, with each. */
const SET_UPS = 60;
/** Agents that have run for a while: their code is compiled. */
const WARM_UP = 200;
const TRY_MS = 10_000;
const OPTIONS = { tryForMs: TRY_MS, timeoutMs: TRY_MS + 1000 };

/** Milliseconds of each. */
async function setUps(client: ViciSession, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const startedAt = performance.now();
    await initiate(client, { child: 'web' }, OPTIONS);
    times.push(performance.now() - startedAt);
    await terminate(client, { ike: 'dvipa' }, OPTIONS);
  }
  return times;
}

const perSecond = (times: readonly number[]) =>
  (times.length * 1000) / times.reduce((sum, ms) => sum + ms, 0);
const clientOf = (lab: Lab) => openSession(`unix://${lab.options.folder}/hosts/client1/run/charon.vici`);

const cluster = await Cluster.up('bik', { scenario: 'bench', clients: 1, tunnels: false, servers: false });
const gateway = await gatewayUp('big').catch(async (error: unknown) => {
  await cluster.down();
  throw error;
});
const sessions: ViciSession[] = [];
try {
  const ours = await clientOf(cluster.lab);
  const stock = await clientOf(gateway);
  sessions.push(ours, stock);
  for (const client of sessions) await setUps(client, WARM_UP);
  const rates: { ours: number[]; stock: number[] } = { ours: [], stock: [] };
  for (let n = 0; n < ROUNDS; n++) {
    rates.ours.push(round(perSecond(await setUps(ours, SET_UPS))));
    rates.stock.push(round(perSecond(await setUps(stock, SET_UPS))));
    console.error(`round ${n + 1}: ${rates.ours.at(-1)} and ${rates.stock.at(-1)} a second`);
  }
  const ratios = rates.ours.map((rate, i) => round(rate / (rates.stock[i] as number)));
  const row: Measurement = {
    value: median(ratios),
    rounds: ratios,
    measured: `${SET_UPS} IKE_SAs with a CHILD_SA a round, one after another, of one stock client`,
    parts: { 'ours a second': median(rates.ours), 'stock a second': median(rates.stock) },
  };
  console.log(
    JSON.stringify({
      bench: 'control-ike',
      rounds: ROUNDS,
      ours_per_second: rates.ours,
      stock_per_second: rates.stock,
      rows: { 'control.ike': row },
    }),
  );
} finally {
  for (const session of sessions) session.close();
  await gateway.down();
  await cluster.down();
}
