/**
 * What an agent's memory grows by: `memory.sa`, for each inbound SA in a target's shadow cache, and `memory.connection`, for each entry that the
 * routing host's connection table has room for; bytes. `node --import tsx test/bench/memory.ts`. Prints one JSON object.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ShadowCache } from '../../src/agents/target/shadow-cache.ts';
import { ConnectionTable } from '../../src/connections/connection-table.ts';
import { DVIPA, ENDPOINT } from '../support/inner-packets.ts';
import { CRYPTOS } from '../support/packet-cryptos.ts';
import { saNumber } from './support/pipeline-world.ts';

const SAS = 10_000;
const ENTRIES = 2 ** 20;
const EPOCH = 1;

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

/** A target with inbound SAs, each of which has had a packet, or none. */
function installed(isUsed: boolean): ShadowCache {
  const shadow = cache();
  for (let n = 0; n < SAS; n++) {
    const refused = shadow.install({ sa: saNumber(n), credit: { bytes: 1e9, packets: 1e6 } }, EPOCH);
    if (refused !== undefined) throw new Error(refused);
  }
  if (!isUsed) return shadow;
  for (const entry of shadow.inbound.values()) {
    entry.window.commit(0, 1);
    entry.committed.add(0, 1);
    entry.committed.take();
    entry.meter.count(1, 1440);
  }
  return shadow;
}

installed(true); // code is compiled, and shapes are known
const idle = each(SAS, () => installed(false));
const used = each(SAS, () => installed(true));
const table = each(ENTRIES, () => new ConnectionTable({ seed: new Uint8Array(8), capacity: ENTRIES }));
console.log(
  JSON.stringify({
    bench: 'memory',
    'memory.sa': used.held,
    'memory.sa.resident': used.resident,
    'memory.sa.idle': idle.held,
    'memory.connection': table.held,
  }),
);
