/**
 * What the decisions about a packet cost, without cryptography and without sockets: `node --import tsx test/bench/pipeline.ts`. Prints one
 * JSON object; times are medians over vectors, in nanoseconds of one packet. `BENCH_CASES=REGEXP` picks cases; with one of them,
 * `node --cpu-prof` shows where its time goes.
 */
import { PacketVector } from '../../src/dataplane/vector.ts';
import { RoutingWorld, type WorldSize } from './support/routing-world.ts';
import { TargetWorld } from './support/target-world.ts';

const INNER_BYTES = 1440;
const WARM_UP_PACKETS = 200_000;
const PACKETS = Number(process.env['BENCH_PACKETS'] ?? 400_000);
const HEAP_VECTORS = 200;
const picked = new RegExp(process.env['BENCH_CASES'] ?? '');

/** One way of packets, in memory. */
interface World {
  next(vector: PacketVector): void;
  run(vector: PacketVector): void;
  settle(vector: PacketVector): void;
}

interface Case {
  readonly name: string;
  readonly vectorPackets: number;
  readonly make: () => World;
}

const SMALL = { sas: 100, connections: 1000 };
/** A routing host has them all; a target its part. */
const LARGE = {
  route: { sas: 100_000, connections: 1_000_000 },
  target: { sas: 10_000, connections: 50_000 },
};
/** Packets of one connection behind each other: as a sender's offload makes them, and the worst case. */
const RUNS = [40, 1];

const ways: Readonly<Record<string, { large: typeof SMALL; make: (size: WorldSize) => World }>> = {
  route_in: { large: LARGE.route, make: (size) => new RoutingWorld(size) },
  target_in: { large: LARGE.target, make: (size) => new TargetWorld(size, 'in') },
  target_out: { large: LARGE.target, make: (size) => new TargetWorld(size, 'out') },
};

const cases: Case[] = Object.entries(ways).flatMap(([way, { large, make }]) =>
  Object.entries({ small: SMALL, large }).flatMap(([size, things]) =>
    RUNS.flatMap((run) =>
      [64, 256].map((vectorPackets) => ({
        name: `${way}_${size}_run${run}_v${vectorPackets}`,
        vectorPackets,
        make: () => make({ ...things, run, innerBytes: INNER_BYTES }),
      })),
    ),
  ),
);

function measure({ name, vectorPackets, make }: Case): Record<string, number> {
  const world = make();
  const vector = new PacketVector(vectorPackets);
  const samples: number[] = [];
  for (let done = -WARM_UP_PACKETS; done < PACKETS; done += vectorPackets) {
    world.next(vector);
    const start = process.hrtime.bigint();
    world.run(vector);
    const end = process.hrtime.bigint();
    world.settle(vector);
    if (done >= 0) samples.push(Number(end - start) / vectorPackets);
  }
  samples.sort((a, b) => a - b);
  return {
    [`${name}_ns`]: Math.round(samples[samples.length >> 1] as number),
    [`${name}_heap_bytes`]: Math.round(allocated(world, vector) * 10) / 10,
  };
}

/** Bytes of heap that a packet costs; what the question itself costs is taken off. */
function allocated(world: World, vector: PacketVector): number {
  const grown = (act: () => void) => {
    const before = process.memoryUsage().heapUsed;
    act();
    return process.memoryUsage().heapUsed - before;
  };
  const samples: number[] = [];
  for (let n = 0; n < HEAP_VECTORS; n++) {
    world.next(vector);
    const nothing = grown(() => {});
    const something = grown(() => world.run(vector));
    world.settle(vector);
    samples.push((something - nothing) / vector.count);
  }
  samples.sort((a, b) => a - b);
  return samples[samples.length >> 1] as number;
}

const results: Record<string, number | string> = { bench: 'pipeline' };
for (const one of cases) if (picked.test(one.name)) Object.assign(results, measure(one));
console.log(JSON.stringify(results));
