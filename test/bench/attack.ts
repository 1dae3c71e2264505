/**
 * How much of a download's rate is kept while somebody outside floods 10 000 packets a second: rounds of one download undisturbed
 * and one under attack, by turns, so that both see the same noise. All kinds of attack but one: a "too big" that is believed leaves
 * the path narrow for minutes (docs/mtu.md), into the next undisturbed download.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { download, requestMany } from '../../src/lab/demo/traffic.ts';
import { Attacker } from '../interop/support/attack/attacker.ts';
import { sumOf } from '../interop/support/attack/kinds.ts';
import { Cluster } from '../interop/support/cluster.ts';
import { median } from '../interop/support/load.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const BYTES = 20_000_000;
const SECONDS = 120;
const PACKETS_PER_SECOND = 10_000;
/** The flood is at its height when the download begins. */
const LEAD_MS = 1000;
/** What waits anywhere has gone. */
const PAUSE_MS = 2000;

const cluster = await Cluster.up('bat', {
  clients: 2,
  tunnels: false,
  values: { rekey_time: 0, ike_rekey_time: 0 },
});
let attacker: Attacker | undefined;
try {
  await cluster.lab.initiate('client1');
  await cluster.installed(1);
  const client = cluster.lab.host('client1');
  const rate = async () => {
    const got = await download(client, cluster.dvipa, BYTES, 'bench', SECONDS);
    if (!got.sha256ok) throw new Error(`a download broke off after ${got.bytes} bytes`);
    return got.mbitPerSecond;
  };
  attacker = await Attacker.up(cluster, {
    packetsPerSecond: PACKETS_PER_SECOND,
    without: ['too-big-live'],
  });
  await requestMany(client, cluster.dvipa, 6);
  await rate();
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    await sleep(PAUSE_MS);
    const undisturbed = await rate();
    await attacker.start();
    await sleep(LEAD_MS);
    const attacked = await rate();
    const { sent, seconds } = await attacker.stop();
    rounds.push({ undisturbed, attacked, perSecond: sumOf(sent) / seconds });
    console.error(
      `round ${round + 1}: ${undisturbed.toFixed(1)} and ${attacked.toFixed(1)} Mbit/s, ${Math.round(sumOf(sent) / seconds)} packets a second`,
    );
  }
  const round1 = (value: number) => Math.round(value * 10) / 10;
  const round3 = (value: number) => Math.round(value * 1000) / 1000;
  console.log(
    JSON.stringify({
      bench: 'attack',
      rounds: ROUNDS,
      undisturbed_mbit_per_second: rounds.map(({ undisturbed }) => round1(undisturbed)),
      attacked_mbit_per_second: rounds.map(({ attacked }) => round1(attacked)),
      undisturbed_median: round1(median(rounds.map(({ undisturbed }) => undisturbed))),
      attacked_median: round1(median(rounds.map(({ attacked }) => attacked))),
      kept_ratio_median: round3(median(rounds.map(({ undisturbed, attacked }) => attacked / undisturbed))),
      attack_packets_per_second_median: Math.round(median(rounds.map(({ perSecond }) => perSecond))),
    }),
  );
} finally {
  await attacker?.down();
  await cluster.down();
}
