/**
 * What it costs to hand sealed packets to the kernel, one by one and in runs (`offloads.gso`), in a namespace of its own:
 * `node --import tsx test/bench/send.ts` (root). What gets to the other end of a veth is not for it and thrown
 * away at once. Once the device cuts messages itself (a veth has not to), once the kernel does for it. Prints one JSON object: CPU time of the process in nanoseconds of one packet, medians and all rounds.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { HEADROOM_BYTES, PacketVector } from '../../src/dataplane/vector.ts';
import { encapsulate, type OuterHeader } from '../../src/dataplane/encapsulate.ts';
import { AGENT_MARK } from '../../src/io/guard-constants.ts';
import { RawSocket } from '../../src/io/raw-socket.ts';
import { sourceLoader } from '../../src/lab/program.ts';
import { type IpAddress, parseAddress } from '../../src/packet/address.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 7);
const VECTOR_PACKETS = 64;
const VECTORS = 400;
const SIZES = [100, 1440];
/** Bytes of a packet in front of its ESP payload. */
const OUTER_BYTES = 20 + 8;
const OUTER: OuterHeader = {
  mode: 'tunnel',
  source: parseAddress('192.0.2.10') as IpAddress,
  destination: parseAddress('192.0.2.101') as IpAddress,
  hasUdpEncapsulation: true,
  sourcePort: 4500,
  destinationPort: 4500,
  copyDf: true,
  copyEcn: true,
  copyDscp: false,
};
const NATIVE: OuterHeader = { ...OUTER, hasUdpEncapsulation: false };

/** Packets of so many bytes, outer headers included. */
function vectorOf(bytes: number, outer: OuterHeader): PacketVector {
  const vector = new PacketVector(VECTOR_PACKETS);
  for (let i = 0; i < VECTOR_PACKETS; i++) {
    vector.push(Buffer.alloc(bytes - OUTER_BYTES + (outer.hasUdpEncapsulation ? 0 : 8), 0xc1 + i));
    vector.dontFragment[i] = 1;
    encapsulate(vector, i, outer);
    if ((vector.offset[i] as number) < i * HEADROOM_BYTES) throw new Error('no headroom');
  }
  return vector;
}

/** CPU time of one packet, in ns. */
function cost(socket: RawSocket, vector: PacketVector): number {
  const before = process.cpuUsage();
  for (let i = 0; i < VECTORS; i++) {
    if (socket.send(vector) !== VECTOR_PACKETS) throw new Error('a packet was refused');
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (VECTORS * VECTOR_PACKETS);
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

function measure(): Record<string, number | readonly number[]> {
  const [single, runs] = [false, true].map((gso) => RawSocket.open({ mark: AGENT_MARK, gso })) as [
    RawSocket,
    RawSocket,
  ];
  const ways = { single: [single, OUTER], runs: [runs, OUTER], native: [runs, NATIVE] } as const;
  const results: Record<string, number | readonly number[]> = {};
  for (const device of ['cuts', 'cuts_not']) {
    execFileSync('ethtool', ['-K', 'sink0', 'tx', device === 'cuts' ? 'on' : 'off'], { stdio: 'ignore' });
    for (const bytes of SIZES) {
      const rounds: Record<string, number[]> = {};
      for (let round = -1; round < ROUNDS; round++) {
        for (const [way, [socket, outer]] of Object.entries(ways)) {
          const ns = Math.round(cost(socket, vectorOf(bytes, outer)));
          if (round >= 0) (rounds[way] ??= []).push(ns);
        }
      }
      for (const [way, values] of Object.entries(rounds)) {
        results[`${way}_ns_${bytes}_${device}`] = median(values);
        results[`${way}_ns_${bytes}_${device}_rounds`] = values;
      }
      const [one, many] = [rounds['single'] ?? [], rounds['runs'] ?? []];
      const ratio = median(one.map((ns, i) => ns / (many[i] as number)));
      results[`single_to_runs_${bytes}_${device}`] = Math.round(ratio * 10) / 10;
    }
  }
  if (runs.runs().packets === 0 || single.runs().runs !== 0) throw new Error('runs were not as switched');
  return results;
}

if (process.argv[2] === 'inside') {
  for (const words of [
    'link set lo up',
    'link add sink0 type veth peer name drain0',
    'link set sink0 up',
    'link set drain0 up',
    'address add 192.0.2.21/24 dev sink0',
    'neighbour add 192.0.2.101 lladdr 02:00:00:00:00:01 dev sink0 nud permanent',
  ])
    execFileSync('ip', words.split(' '));
  console.log(JSON.stringify({ bench: 'send', ...measure() }));
} else {
  const self = [process.execPath, '--import', sourceLoader(), process.argv[1] as string, 'inside'];
  const { status } = spawnSync('unshare', ['--net', ...self], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
