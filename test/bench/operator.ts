/**
 * What an operator waits for: `dvipa` as it was built, each figure the median of several runs of a process, in milliseconds.
 * `*_ms` of a list: the whole command against a routing host in memory with SAS SAs and CONNECTIONS connections, whose admin socket
 * this process serves; `agent_*_ms`: how long the agent is busy with it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAdminServer } from '../../src/io/admin-server.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { median } from '../interop/support/load.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { addr, DVIPA } from '../support/inner-packets.ts';

const SAS = 10_000;
const CONNECTIONS = 50_000;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 9);
const MAIN = join(PROJECT_ROOT, 'dist/cli/main.js');
const LISTS = [
  ['status'],
  ['sas'],
  ['targets'],
  ['dvipas'],
  ['numbering'],
  ['connections', '--count'],
  ['connections', '--top', '10'],
];

function millisecondsOf(argv: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(performance.now() - startedAt);
      else reject(new Error(`${argv.join(' ')}: exit ${code}`));
    });
  });
}

async function medianOf(argv: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await millisecondsOf(argv));
  return Math.round(median(times));
}

/** A routing host with its targets up, SAs of many clients, and connections of theirs. */
async function routingHost(): Promise<MemoryCluster> {
  const cluster = new MemoryCluster({ clients: 1 });
  await cluster.run(50);
  for (let n = 1; n <= SAS / 2; n++) cluster.charon.addPair(n);
  await cluster.run(200);
  const { distributor } = cluster.router;
  const key = { ...newConnectionKey(), dvipa: addr(DVIPA), protocol: 6, destinationPort: 80 };
  for (let i = 0; i < CONNECTIONS; i++) {
    key.source.set([0, 0, 0xffff, 0x0a010000 + (i % 5000)]);
    Object.assign(key, { group: 1 + (i % (SAS / 2)), sourcePort: 1024 + Math.floor(i / 5000) });
    distributor.confirm(key, i % 3, cluster.clock.now());
  }
  return cluster;
}

const folder = mkdtempSync(join(tmpdir(), 'dvipa-bench-'));
const figures: Record<string, number | string> = { bench: 'operator' };
const cluster = await routingHost();
const { answers } = cluster.router;
const socket = join(folder, 'route.sock');
const server = await startAdminServer(socket, answers);
try {
  const served = answers.sas().length;
  if (served !== SAS) throw new Error(`${served} SAs, expected ${SAS}`);
  figures['node_ms'] = await medianOf(['-e', '0']);
  for (const list of LISTS) {
    const label = list
      .filter((word) => !/^\d/.test(word))
      .join('_')
      .replaceAll('-', '');
    figures[`${label}_ms`] = await medianOf([MAIN, ...list, '--socket', socket]);
  }
  for (const name of ['status', 'sas', 'targets', 'numbering'] as const) {
    const times = Array.from({ length: ROUNDS }, () => {
      const startedAt = performance.now();
      JSON.stringify(answers[name](), (_, value: unknown) =>
        typeof value === 'bigint' ? `${value}` : value,
      );
      return performance.now() - startedAt;
    });
    figures[`agent_${name}_ms`] = Math.round(median(times) * 10) / 10;
  }
  console.log(JSON.stringify(figures));
} finally {
  await server.close();
  cluster.close();
  rmSync(folder, { recursive: true, force: true });
}
