/**
 * What two threads gain where packets are handed to the kernel, in a namespace of its own: `node --import tsx test/bench/queues.ts`
 * (root). Segments of TCP are written into a TUN whose kernel throws them away behind its IP layer, and sealed packets are sent to peers
 * over a veth whose other end does, by one thread and by two (a TUN of two queues) in turn. Prints one JSON object: nanoseconds of time and
 * of all threads' CPU time for a packet, medians and all rounds (of CPU time the mean, since the kernel counts it in ticks). Under `chrt -f 1` where the machine is not free: a second
 * thread that waits for a processor gains nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import type { PacketSink } from '../../src/dataplane/ports.ts';
import { encapsulate, type OuterHeader } from '../../src/dataplane/encapsulate.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { Crew } from '../../src/io/crew.ts';
import { RawSocket } from '../../src/io/raw-socket.ts';
import { Tun } from '../../src/io/tun.ts';
import { sourceLoader } from '../../src/lab/program.ts';
import { type IpAddress, parseAddress } from '../../src/packet/address.ts';
import { pattern } from '../support/packet-vectors.ts';
import { packetOf, PLAIN } from '../support/tun-pair/segments.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 15);
/** Of one figure: short, for the sake of others at that priority. */
const PACKETS = 20_000;
const PAYLOAD_BYTES = 1308;
/** How many flows a vector has, and packets of each. */
const SHAPES = [
  [8, 32],
  [8, 4],
  [64, 1],
] as const;
const WORKERS = [1, 2] as const;

/** Of the route that throws away. */
const SERVER = '203.0.113.0/24';
const peer = (n: number) => `192.0.2.${100 + n}`;
const sh = (words: string) => execFileSync('ip', words.split(' '));

/** Flows by turns, as they come from many senders. */
function segments(flows: number, each: number): PacketVector {
  const vector = new PacketVector(flows * each);
  for (let n = 0; n < each; n++) {
    for (let flow = 0; flow < flows; flow++) {
      const sequence = 1000 + n * PAYLOAD_BYTES;
      vector.push(packetOf({ ...PLAIN, port: 40_000 + flow, sequence, payload: pattern(PAYLOAD_BYTES) }));
    }
  }
  return vector;
}

function sealed(peers: number, each: number): PacketVector {
  const vector = new PacketVector(peers * each);
  for (let i = 0; i < peers * each; i++) {
    const outer: OuterHeader = {
      mode: 'tunnel',
      source: parseAddress('192.0.2.10') as IpAddress,
      destination: parseAddress(peer(i % peers)) as IpAddress,
      hasUdpEncapsulation: true,
      sourcePort: 4500,
      destinationPort: 4500,
      copyDf: true,
      copyEcn: true,
      copyDscp: false,
    };
    vector.push(Buffer.alloc(PAYLOAD_BYTES + 100, 0xc1));
    vector.dontFragment[i] = 1;
    encapsulate(vector, i, outer);
  }
  return vector;
}

function openTuns(crew: Crew): Tun[] {
  return WORKERS.map((workers) => {
    const name = `bench${workers}`;
    const tun = Tun.open(name, {
      isPersistent: false,
      hasOffloads: true,
      queues: workers,
      onOneQueue: (error) => {
        throw error;
      },
    });
    sh(`link set ${name} up mtu 1500`);
    if (workers > 1) tun.useCrew(crew);
    return tun;
  });
}

function openSockets(crew: Crew): RawSocket[] {
  return WORKERS.map((workers) => {
    const socket = RawSocket.open({ mark: 1 });
    if (workers > 1) socket.useCrew(crew);
    return socket;
  });
}

function cost(sink: PacketSink, vector: PacketVector): { wall: number; cpu: number } {
  const vectors = Math.ceil(PACKETS / vector.count);
  const started = { cpu: process.cpuUsage(), at: performance.now() };
  for (let i = 0; i < vectors; i++) {
    if (sink.send(vector) !== vector.count) throw new Error('a packet was refused');
  }
  const ms = performance.now() - started.at;
  const { user, system } = process.cpuUsage(started.cpu);
  const packets = vectors * vector.count;
  return { wall: Math.round((ms * 1e6) / packets), cpu: Math.round(((user + system) * 1000) / packets) };
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

function measure(): Record<string, unknown> {
  const crew = new Crew(2);
  const ways = [
    ['tun', openTuns(crew), segments],
    ['peers', openSockets(crew), sealed],
  ] as const;
  const results: Record<string, unknown> = {};
  for (const [way, sinks, vectorOf] of ways) {
    for (const [flows, each] of SHAPES) {
      const vector = vectorOf(flows, each);
      const rounds: Record<string, { wall: number; cpu: number }[]> = {};
      for (let round = -1; round < ROUNDS; round++) {
        for (const [i, sink] of sinks.entries()) {
          const figure = cost(sink, vector);
          if (round >= 0) (rounds[`${WORKERS[i]}`] ??= []).push(figure);
        }
      }
      for (const [workers, figures] of Object.entries(rounds)) {
        const key = `${way}_${flows}x${each}_${workers}`;
        results[`${key}_wall_ns`] = median(figures.map(({ wall }) => wall));
        results[`${key}_wall_ns_by_round`] = figures.map(({ wall }) => wall);
        results[`${key}_cpu_ns`] = Math.round(
          figures.reduce((sum, { cpu }) => sum + cpu, 0) / figures.length,
        );
      }
    }
  }
  return { ...results, ...crew.stats() };
}

if (process.argv[2] === 'inside') {
  for (const words of [
    'link set lo up',
    `route add blackhole ${SERVER}`,
    'link add sink0 type veth peer name drain0',
    'link set sink0 up',
    'link set drain0 up',
    'address add 192.0.2.21/24 dev sink0',
    ...Array.from({ length: 64 }, (_, n) => `neighbour add ${peer(n)} lladdr 02:00:00:00:00:01 dev sink0`),
  ])
    sh(words);
  execFileSync('sh', ['-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
  console.log(JSON.stringify({ bench: 'queues', ...measure() }));
  process.exit(0);
} else {
  const self = [process.execPath, '--import', sourceLoader(), process.argv[1] as string, 'inside'];
  const { status } = spawnSync('unshare', ['--net', ...self], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
