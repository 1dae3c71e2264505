/**
 * What an SA costs a target and a connection the routing host, in bytes: `node --import tsx test/bench/memory.ts`. Prints one JSON object.
 * An SA: growth of the process while a shadow cache takes SAs, half of them inbound, each of a peer of its own, none of which has carried a
 * packet; what lies outside of JavaScript (keys in the library's contexts) is in it. A connection: what the table allots.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ShadowCache } from '../../src/agents/target/shadow-cache.ts';
import { ConnectionTable } from '../../src/connections/connection-table.ts';
import { DVIPA, ENDPOINT } from '../support/inner-packets.ts';
import { policyFor, testSa } from '../support/test-sas.ts';
import { type Measurement, median, round } from './support/rows.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SAS = 10_000;
const CREDIT = { bytes: 1_000_000, packets: 1000 };
const SA_LIMIT = 2048;
const CONNECTION_LIMIT = 96;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function newCache(): ShadowCache {
  const cache = new ShadowCache([DVIPA], { outside: 1500, cluster: 1500 });
  cache.setDvipa({
    address: DVIPA,
    endpoints: [ENDPOINT],
    filterMode: 'bypass',
    rules: [],
    clearText: 'reject',
    returnVia: 'direct',
    router: '198.51.100.1',
  });
  return cache;
}

function fill(cache: ShadowCache, first: number, count: number): void {
  for (let n = first; n < first + count; n++) {
    const direction = n % 2 === 0 ? 'in' : 'out';
    const peer = n >>> 1;
    const low = `${(peer >>> 8) & 255}.${peer & 255}`;
    const sa = testSa({
      spi: 0xc000_0000 + n,
      direction,
      reqid: 1 + peer,
      client: `198.18.${low}`,
      clientInner: `10.1.${low}`,
    });
    const refusal = cache.install({ sa, credit: CREDIT, ...(direction === 'out' && { senderId: 1 }) }, 1);
    if (refusal !== undefined) throw new Error(refusal);
    if (direction === 'out') cache.outbound.installPolicy(policyFor(sa));
  }
}

const used = () => {
  collect();
  collect();
  return process.memoryUsage();
};

const rounds = { sa: [] as number[], heap: [] as number[] };
const kept: ShadowCache[] = [];
for (let n = 0; n < ROUNDS; n++) {
  const cache = newCache();
  kept.push(cache); // what one round lets go of would be another's room
  fill(cache, 0, 100);
  const before = used();
  fill(cache, 100, SAS);
  const after = used();
  rounds.sa.push(Math.round((after.rss - before.rss) / SAS));
  rounds.heap.push(Math.round((after.heapUsed + after.external - before.heapUsed - before.external) / SAS));
}
const connection = new ConnectionTable({ seed: new Uint8Array(8), capacity: 2 ** 20 }).bytesPerEntry;
const shares = rounds.sa.map((bytes) => round(Math.max(bytes / SA_LIMIT, connection / CONNECTION_LIMIT)));
const row: Measurement = {
  value: median(shares),
  rounds: shares,
  measured: `the larger share: growth of the process by ${SAS} SAs of AES-128-GCM in a target's shadow cache; an entry of the connection table`,
  parts: {
    'bytes of an SA': median(rounds.sa),
    'of these JavaScript': median(rounds.heap),
    'bytes of a connection': connection,
  },
};
console.log(
  JSON.stringify({
    bench: 'memory',
    sas: SAS,
    bytes_per_sa: rounds.sa,
    javascript_bytes_per_sa: rounds.heap,
    bytes_per_connection: connection,
    rows: { memory: row },
  }),
);
