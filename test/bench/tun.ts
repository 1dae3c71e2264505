/**
 * What the two ends of a TUN cost, with offloads and without: `node --import tsx test/bench/tun.ts` (root). One kernel sends TCP, a
 * worker carries its packets from a TUN to that of another kernel, vector by vector, and does nothing else. `read` says whether the TUN
 * that the data comes out of has offloads, `write` the same of that which it goes into; `many` are eight connections at once, `queues` the same
 * through two queues of each TUN and two threads. Prints one JSON object: CPU nanoseconds of the
 * worker for each packet in its vectors (what the kernel does in its reads and writes is in it), and throughput; medians of rounds by turns.
 */
import { NetHost, type NetWorker } from '../interop/support/net-host.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const POUR_MS = 1500;
const MTU = 1360;
const PORT = 5000;
interface Way {
  readonly offloads: readonly [boolean, boolean];
  readonly connections: number;
  readonly queues: number;
}
const ONE = { connections: 1, queues: 1 };
const BOTH = [true, true] as const;
const WAYS: Readonly<Record<string, Way>> = {
  plain: { ...ONE, offloads: [false, false] },
  read: { ...ONE, offloads: [true, false] },
  write: { ...ONE, offloads: [false, true] },
  both: { ...ONE, offloads: BOTH },
  many: { connections: 8, queues: 1, offloads: BOTH },
  queues: { connections: 8, queues: 2, offloads: BOTH },
};

interface Round {
  readonly nsPerPacket: number;
  readonly mbit: number;
}

async function wire(worker: NetWorker, a: NetHost, b: NetHost, { offloads, queues }: Way) {
  await worker.do('tun', 'tun-a', offloads[0], queues);
  await worker.do('tun', 'tun-b', offloads[1], queues);
  b.ip('link set lo up');
  a.ip(`link set tun-b netns ${b.name}`);
  for (const [host, tun, address] of [
    [a, 'tun-a', '10.9.0.1'],
    [b, 'tun-b', '10.9.0.2'],
  ] as const) {
    host.ip(`address add ${address}/24 dev ${tun}`);
    host.ip(`link set ${tun} up mtu ${MTU}`);
  }
  await worker.do('relay', 'tun-a', 'tun-b', MTU);
}

async function measure(a: NetHost, b: NetHost, way: Way): Promise<Round> {
  const worker = await a.worker();
  const [client, server] = await Promise.all([a.worker(), b.worker()]);
  try {
    await wire(worker, a, b, way);
    await server.do('tcpEcho', '10.9.0.2', PORT, true);
    const packets = async () => {
      const all = await Promise.all(['tun-a', 'tun-b'].map((tun) => worker.do('stats', tun)));
      return all.reduce((sum, { received }) => sum + received, 0);
    };
    const pour = async (ms: number) => {
      const pours = Array.from({ length: way.connections }, () => client.do('tcpPour', '10.9.0.2', PORT, ms));
      return (await Promise.all(pours)).reduce((sum, bytes) => sum + bytes, 0);
    };
    await pour(300);
    const before = { packets: await packets(), cpu: await worker.do('cpuTime') };
    const bytes = await pour(POUR_MS);
    const cpu = (await worker.do('cpuTime')) - before.cpu;
    const count = (await packets()) - before.packets;
    return { nsPerPacket: (cpu * 1000) / count, mbit: (bytes * 8) / 1000 / POUR_MS };
  } finally {
    for (const each of [worker, client, server]) await each.kill();
    for (const [host, tun] of [
      [a, 'tun-a'],
      [b, 'tun-b'],
    ] as const)
      host.ip(`link delete ${tun}`);
  }
}

function median(values: readonly number[]): number {
  return Math.round(values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] as number);
}

const [a, b] = [new NetHost('bench-tun-a'), new NetHost('bench-tun-b')];
const rounds: Record<string, Round[]> = {};
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, way] of Object.entries(WAYS)) (rounds[name] ??= []).push(await measure(a, b, way));
  }
} finally {
  await Promise.all([a.close(), b.close()]);
}
const results: Record<string, unknown> = { bench: 'tun' };
for (const [way, measured] of Object.entries(rounds)) {
  results[`${way}_ns_per_packet`] = median(measured.map(({ nsPerPacket }) => nsPerPacket));
  results[`${way}_ns_by_round`] = measured.map(({ nsPerPacket }) => Math.round(nsPerPacket));
  results[`${way}_mbit`] = median(measured.map(({ mbit }) => mbit));
  results[`${way}_mbit_by_round`] = measured.map(({ mbit }) => Math.round(mbit));
}
console.log(JSON.stringify(results));
