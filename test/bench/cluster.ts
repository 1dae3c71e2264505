/**
 * TCP as a user has it: `scripts/bench cluster` (root). A cluster with three targets, and a strongSwan gateway with kernel-libipsec that
 * forwards to one server, each with a stock client (kernel-libipsec) and a client made of our data plane (`support/fast-client.ts`), by turns.
 * All of it runs on one machine, so a rate is what its processors can do for all ends together; CPU is the whole machine's.
 */
import type { Host } from '../../src/lab/host.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { PROJECT_ROOT, sourceLoader } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster } from '../interop/support/cluster.ts';
import { fastClientUp } from './support/fast-client-host.ts';
import { gatewayUp, SUPER_PACKETS } from './support/gateway.ts';
import { machineCpu } from './support/machine-cpu.ts';
import { type Measurement, median, quantile, round } from './support/rows.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 2);
const PORT = 80;
const DIRECTIONS = ['up', 'down'] as const;
/**
 * Some kernels pace by default (BBR): with all ends on a few processors they take each other's delays for a narrow path. This one every
 * kernel has, and every network namespace may choose it.
 */
const CONGESTION_CONTROL = 'reno';
/** So that all three targets have work. */
const CONNECTIONS = 3;
/** New connections that are being made at once. */
const PARALLEL = 16;
const ECHOES = 300;

const program = (...args: readonly (string | number)[]) => [
  process.execPath,
  '--import',
  sourceLoader(),
  `${PROJECT_ROOT}/test/bench/support/tcp-load.ts`,
  ...args.map(String),
];

async function load<Result>(client: Host, ...args: readonly (string | number)[]): Promise<Result> {
  return JSON.parse(await client.must(program(...args), { timeoutMs: 60_000 })) as Result;
}

/** One client with one way to the servers, and what was measured of it, by round. */
class Way {
  readonly name: string;
  readonly #client: Host;
  readonly #address: string;
  readonly figures = new Map<string, number[]>();

  constructor(name: string, client: Host, address: string) {
    this.name = name;
    this.#client = client;
    this.#address = address;
  }

  of(what: string): number[] {
    return this.figures.get(what) ?? [];
  }

  /** What has just been started compiles its code first. */
  async warmUp(): Promise<void> {
    for (const direction of DIRECTIONS) await this.#move(direction);
  }

  async measure(): Promise<void> {
    for (const direction of DIRECTIONS) {
      const cpu = await machineCpu();
      const { bytes, seconds } = await this.#move(direction);
      if (bytes === 0) throw new Error(`${this.name} ${direction}: nothing was moved`);
      this.#note(`${direction} mbit_per_second`, (bytes * 8) / 1e6 / seconds);
      this.#note(`${direction} cpu_seconds_per_gb`, (await cpu()) / (bytes / 1e9));
    }
    const made = await load<{ connections: number; failed: number; seconds: number }>(
      this.#client,
      'connect',
      this.#address,
      PORT,
      PARALLEL,
      SECONDS,
    );
    this.#note('connections_per_second', made.connections / made.seconds);
    this.#note('connections_failed', made.failed);
    await this.measureLatency();
  }

  #move(direction: (typeof DIRECTIONS)[number]): Promise<{ bytes: number; seconds: number }> {
    return load(this.#client, direction, this.#address, PORT, CONNECTIONS, SECONDS);
  }

  async measureLatency(): Promise<void> {
    const { ms } = await load<{ ms: number[] }>(this.#client, 'echo', this.#address, PORT, ECHOES);
    this.#note('rtt_p50_ms', quantile(ms, 0.5));
    this.#note('rtt_p99_ms', quantile(ms, 0.99));
  }

  #note(what: string, value: number): void {
    this.figures.set(what, [...this.of(what), round(value)]);
  }
}

async function serve(lab: Lab): Promise<void> {
  for (const { name } of lab.plan)
    await lab.host(name).must(['sysctl', '-qw', `net.ipv4.tcp_congestion_control=${CONGESTION_CONTROL}`]);
  for (const target of lab.hostsOf('target')) {
    target.spawn('tcp', program('serve', PORT));
    await waitFor(`${target.name} listens`, async () =>
      (await target.must(['ss', '-Hltn', `sport = :${PORT}`])).includes(`:${PORT}`),
    );
  }
}

const cluster = await Cluster.up('bcl', {
  scenario: 'bench',
  clients: 2,
  tunnels: false,
  servers: false,
  ...SUPER_PACKETS,
});
const gateway = await gatewayUp('bcg').catch(async (error: unknown) => {
  await cluster.down();
  throw error;
});
try {
  const { dvipa, lab } = cluster;
  const ways: Way[] = [];
  for (const [name, one] of [
    ['cluster', lab],
    ['gateway', gateway],
  ] as const) {
    await serve(one);
    await one.initiate('client1');
    await fastClientUp(one);
    ways.push(
      new Way(`${name}.stock`, one.host('client1'), dvipa),
      new Way(`${name}.fast`, one.host('client2'), dvipa),
    );
  }
  await cluster.installed();
  const address = lab.plan.find(({ name }) => name === 'target1')?.outsideAddress ?? '';
  const direct = new Way('direct', lab.host('client1'), address);
  for (const way of ways) await way.warmUp();
  for (let n = 0; n < ROUNDS; n++) {
    for (const way of ways) {
      await way.measure();
      console.error(
        `round ${n + 1}: ${way.name} ${way.of('up mbit_per_second').at(-1)} up, ${way.of('down mbit_per_second').at(-1)} down, Mbit/s; ` +
          `${way.of('connections_per_second').at(-1)} connections a second, round trip ${way.of('rtt_p50_ms').at(-1)} ms`,
      );
    }
    await direct.measureLatency();
  }
  const figures: Record<string, number | number[]> = {};
  for (const way of [...ways, direct]) {
    for (const [what, rounds] of way.figures) {
      figures[`${way.name} ${what}`] = median(rounds);
      figures[`${way.name} ${what}_by_round`] = rounds;
    }
  }
  for (const way of ways) {
    for (const p of ['rtt_p50_ms', 'rtt_p99_ms'])
      figures[`${way.name} added_${p}`] = round(median(way.of(p)) - median(direct.of(p)));
  }
  const of = (name: string, what: string) => ways.find((way) => way.name === name)?.of(what) ?? [];
  const [ours, stock] = ['cluster.fast', 'gateway.stock'].map((name) =>
    of(name, 'up mbit_per_second').map((up, i) => (up + (of(name, 'down mbit_per_second')[i] as number)) / 2),
  ) as [number[], number[]];
  const ratios = ours.map((rate, i) => round(rate / (stock[i] as number)));
  const row: Measurement = {
    value: median(ratios),
    rounds: ratios,
    measured: `${CONNECTIONS} TCP connections, mean of upload and download: cluster with the fast client against gateway with the stock client`,
    parts: { 'ours Mbit/s': round(median(ours)), 'stock Mbit/s': round(median(stock)) },
  };
  console.log(JSON.stringify({ bench: 'cluster', rounds: ROUNDS, ...figures, rows: { 'cluster.tcp': row } }));
} finally {
  await gateway.down();
  await cluster.down();
}
