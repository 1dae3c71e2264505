/**
 * What an agent's memory grows by, bytes: `memory.sa`, for each SA in a target's shadow cache, half of what a CHILD_SA's two SAs and its outbound
 * policy take; and `memory.connection`, for each entry that the routing host's connection table has room for. SAs come as records of the
 * coupling channel, so that they are what a target has. `node --import tsx test/bench/memory.ts`. Prints one JSON object.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ShadowCache } from '../../src/agents/target/shadow-cache.ts';
import { ConnectionTable } from '../../src/connections/connection-table.ts';
import { decodeFrame, encodeFrame } from '../../src/coupling/envelope.ts';
import { FRAME_HEADER_BYTES } from '../../src/coupling/framing.ts';
import type { RouteBodies } from '../../src/coupling/records.ts';
import { routeCodecs } from '../../src/coupling/route-schemas.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import type { SaDirection, SaId } from '../../src/ipsec/sa.ts';
import { DVIPA, ENDPOINT } from '../support/inner-packets.ts';
import { CRYPTOS } from '../support/packet-cryptos.ts';
import { policyFor } from '../support/test-sas.ts';
import { saNumber } from './support/pipeline-world.ts';

const SAS = 10_000;
const ENTRIES = 2 ** 20;
const EPOCH = 1;
const CREDIT = { bytes: 1e9, packets: 1e6 };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Memory {
  /** Objects, and the memory outside of the heap that they hold. */
  readonly held: number;
  readonly resident: number;
}

function memory(): Memory {
  for (let round = 0; round < 3; round++) collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { held: heapUsed + external, resident: rss };
}

/** Bytes that each of `count` things takes; what `make` returns is alive until it was measured. */
function each(count: number, make: () => unknown): Memory {
  const before = memory();
  const kept = make();
  const after = memory();
  if (kept === undefined) throw new Error('nothing was made');
  const per = (of: (memory: Memory) => number) => Math.round((of(after) - of(before)) / count);
  return { held: per(({ held }) => held), resident: per(({ resident }) => resident) };
}

function cache(): ShadowCache {
  const shadow = new ShadowCache([DVIPA], { outside: 1500, cluster: 1600 }, CRYPTOS);
  shadow.setDvipa({
    address: DVIPA,
    endpoints: [ENDPOINT],
    filterMode: 'bypass',
    rules: [],
    clearText: 'reject',
    returnVia: 'direct',
    router: '198.51.100.1',
  });
  return shadow;
}

/** As the routing host sends it and a target receives it. */
function received<K extends 'sa-install' | 'policy-install'>(kind: K, body: RouteBodies[K]): RouteBodies[K] {
  const codec = routeCodecs[kind];
  const frame = encodeFrame({ n: 1, a: 0, e: EPOCH, k: kind, b: codec.encode(body) });
  const record = codec.decode(decodeFrame(frame.subarray(FRAME_HEADER_BYTES)).b);
  frame.fill(0);
  return record;
}

function install(shadow: ShadowCache, n: number, direction: SaDirection): void {
  const id = `00c0ffee00c0ffee:${direction === 'in' ? n : SAS + n}` as SaId;
  const sa = { ...saNumber(n, direction), id };
  const isOut = direction === 'out';
  const record = { sa, credit: CREDIT, ...(isOut && { senderId: 1 }) };
  const refused = shadow.install(received('sa-install', record), EPOCH);
  if (refused !== undefined) throw new Error(refused);
  if (!isOut) return;
  const policy = policyFor(sa, { spi: sa.spi });
  shadow.installPolicy(received('policy-install', { policy }).policy);
}

/** A target with SAs of these directions. Inbound ones had a packet, unless they are `idle`. */
function installed(directions: readonly SaDirection[], isIdle = false): ShadowCache {
  const shadow = cache();
  for (let n = 0; n < SAS; n++) for (const direction of directions) install(shadow, n, direction);
  if (isIdle) return shadow;
  shadow.outbound.policyFor(new PacketVector(1), 0); // policies are put in order when a packet asks
  for (const entry of shadow.inbound.values()) {
    entry.window.commit(0, 1);
    entry.committed.add(0, 1);
    entry.committed.take();
    entry.meter.count(1, 1440);
  }
  return shadow;
}

installed(['in', 'out']); // code is compiled, and shapes are known
const idle = each(SAS, () => installed(['in'], true));
const inbound = each(SAS, () => installed(['in']));
const outbound = each(SAS, () => installed(['out']));
const pairs = each(2 * SAS, () => installed(['in', 'out']));
const table = each(ENTRIES, () => new ConnectionTable({ seed: new Uint8Array(8), capacity: ENTRIES }));
console.log(
  JSON.stringify({
    bench: 'memory',
    'memory.sa': pairs.held,
    'memory.sa.resident': pairs.resident,
    'memory.sa.in': inbound.held,
    'memory.sa.in.idle': idle.held,
    'memory.sa.in.resident': inbound.resident,
    'memory.sa.out': outbound.held,
    'memory.sa.out.resident': outbound.resident,
    'memory.connection': table.held,
  }),
);
