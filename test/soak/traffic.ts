/**
 * `make soak`: moves GB gigabytes (10) through a cluster of three targets, up and down by turns, with all offloads on, and checks every
 * byte by SHA-256: nine tenths by a client made of our data plane, the rest by a stock one (kernel-libipsec). Says what was dropped, by
 * reason. Exit status 1 if a hash was wrong or a connection broke off.
 */
import type { Host } from '../../src/lab/host.ts';
import { PROJECT_ROOT, sourceLoader } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { fastClientUp } from '../bench/support/fast-client-host.ts';
import { SUPER_PACKETS } from '../bench/support/gateway.ts';
import { Cluster, difference } from '../interop/support/cluster.ts';

const GIGABYTES = Number(process.env['GB'] ?? 10);
const PORT = 80;
/** Of one turn, both ways and all connections together. */
const TURN_BYTES = 1e9;
/** Of a client, at once: each target has some. */
const CONNECTIONS = 3;
const STOCK_SHARE = 0.1;

interface Moved {
  readonly bytes: number;
  readonly seconds: number;
  readonly sha256ok: boolean;
}

const program = (...args: readonly (string | number)[]) => [
  process.execPath,
  '--import',
  sourceLoader(),
  `${PROJECT_ROOT}/test/soak/hashed-load.ts`,
  ...args.map(String),
];

const cluster = await Cluster.up('sok', {
  scenario: 'bench',
  clients: 2,
  tunnels: false,
  servers: false,
  ...SUPER_PACKETS,
});

async function move(client: Host, way: 'up' | 'down', bytes: number): Promise<Moved[]> {
  const each = Math.round(bytes / CONNECTIONS);
  const argv = program(way, cluster.dvipa, PORT, each);
  const one = async () => JSON.parse(await client.must(argv, { timeoutMs: 3_600_000 })) as Moved;
  return Promise.all(Array.from({ length: CONNECTIONS }, one));
}

try {
  const { lab } = cluster;
  for (const target of lab.hostsOf('target')) {
    target.spawn('hashed', program('serve', PORT));
    await waitFor(`${target.name} listens`, async () =>
      (await target.must(['ss', '-Hltn', `sport = :${PORT}`])).includes(`:${PORT}`),
    );
  }
  await lab.initiate('client1');
  await fastClientUp(lab);
  await cluster.installed();
  const clients = [
    { host: lab.host('client2'), share: 1 - STOCK_SHARE },
    { host: lab.host('client1'), share: STOCK_SHARE },
  ];
  const before = await cluster.allDrops();
  const total = { bytes: 0, failed: 0 };
  for (let left = GIGABYTES * 1e9; left > 0; left -= TURN_BYTES) {
    const turn = Math.min(left, TURN_BYTES);
    for (const way of ['up', 'down'] as const) {
      for (const { host, share } of clients) {
        const startedAt = performance.now();
        const moved = await move(host, way, (turn / 2) * share);
        const seconds = (performance.now() - startedAt) / 1000;
        const bytes = moved.reduce((sum, one) => sum + one.bytes, 0);
        const failed = moved.filter(({ sha256ok }) => !sha256ok).length;
        total.bytes += bytes;
        total.failed += failed;
        console.log(
          `${(total.bytes / 1e9).toFixed(2)} GB: ${host.name} ${way} ${Math.round((bytes * 8) / 1e6 / seconds)} Mbit/s${failed > 0 ? `, ${failed} FAILED` : ''}`,
        );
      }
    }
  }
  const after = await cluster.allDrops();
  for (const [host, drops] of Object.entries(after)) {
    const some = Object.entries(difference(drops, before[host] ?? {}));
    console.log(
      `${host} dropped: ${some.map(([reason, count]) => `${reason} ${count}`).join(', ') || 'nothing'}`,
    );
  }
  console.log(`${(total.bytes / 1e9).toFixed(2)} GB, ${total.failed} transfers failed`);
  process.exitCode = total.failed > 0 ? 1 : 0;
} finally {
  await cluster.down();
}
