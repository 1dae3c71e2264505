/**
 * How long a look-up in the connection table takes, and what an entry costs, beside a `Map` with text keys in the same run:
 * `node --import tsx test/bench/connection-table.ts`. Prints one JSON object; times are medians in nanoseconds of one look-up.
 */
import { Bench } from 'tinybench';
import { type ConnectionKey, newConnectionKey } from '../../src/connections/connection-key.ts';
import { ConnectionTable } from '../../src/connections/connection-table.ts';

const SIZES = [2 ** 10, 2 ** 20] as const;
/** Look-ups in one sample: a single one is shorter than the clock's step. */
const LOOK_UPS = 1024;

/** Writes connection number `i` into the key. */
function name(key: ConnectionKey, i: number): void {
  key.source[3] = i >>> 8;
  key.sourcePort = i & 0xff;
}

/** What a table in plain JavaScript would use. */
const textOf = ({ dvipa, group, protocol, source, sourcePort, destinationPort }: ConnectionKey) =>
  `${dvipa.join()} ${group} ${protocol} ${source.join()} ${sourcePort} ${destinationPort}`;

function newKey(): ConnectionKey {
  const key = newConnectionKey();
  key.dvipa.set([0, 0, 0xffff, 0xcb00710a]);
  key.source.set([0, 0, 0xffff, 0]);
  key.group = 1;
  key.protocol = 6;
  key.destinationPort = 80;
  return key;
}

function filled(entries: number): { table: ConnectionTable; map: Map<string, number> } {
  const table = new ConnectionTable({ seed: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), capacity: entries });
  const map = new Map<string, number>();
  const key = newKey();
  for (let i = 0; i < entries; i++) {
    name(key, i);
    table.confirm(key, i & 31, 0);
    map.set(textOf(key), i & 31);
  }
  return { table, map };
}

async function measure(entries: number): Promise<Record<string, number>> {
  const { table, map } = filled(entries);
  const key = newKey();
  let at = 0;
  let sum = 0;
  // In an order that no cache knows: an odd step visits all of a power of two.
  const next = () => {
    at = (at + 0x9e3779b1) >>> 0;
    name(key, at & (entries - 1));
  };
  const bench = new Bench({ time: 500, warmupTime: 200 });
  bench
    .add('table', () => {
      for (let i = 0; i < LOOK_UPS; i++) {
        next();
        sum += table.lookup(key);
      }
    })
    .add('map', () => {
      for (let i = 0; i < LOOK_UPS; i++) {
        next();
        sum += map.get(textOf(key)) ?? -1;
      }
    });
  await bench.run();
  if (sum <= 0) throw new Error('nothing was found');
  const median = (task: string) => {
    const result = bench.getTask(task)?.result;
    const latency = result !== undefined && 'latency' in result ? result.latency : undefined;
    if (latency === undefined) throw new Error(`${task} did not run`);
    return Math.round((latency.p50 * 1e6 * 10) / LOOK_UPS) / 10;
  };
  return { [`lookup_ns_${entries}`]: median('table'), [`map_lookup_ns_${entries}`]: median('map') };
}

const results: Record<string, number | string> = { bench: 'connection-table' };
const bytes = new ConnectionTable({ seed: new Uint8Array(8), capacity: 16 }).bytesPerEntry;
Object.assign(results, { bytes_per_entry: bytes });
for (const entries of SIZES) Object.assign(results, await measure(entries));
console.log(JSON.stringify(results));
