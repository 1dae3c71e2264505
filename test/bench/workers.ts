/**
 * What a packet's ESP takes when one, two or four threads work on its vector, as many as there are processors, by turns in one process:
 * `node --import tsx test/bench/workers.ts`. Prints one JSON object; times are nanoseconds of one packet of 1408 bytes to encrypt, in vectors
 * of 128 (`BENCH_PACKETS`): the median of all vectors, the best tenth of them (every thread had a processor), and the same median with the processor time
 * of the other threads, looking for work included.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { KEEP } from '../../src/base/verdict.ts';
import { Crew } from '../../src/io/crew.ts';
import { EspNativeCrypto } from '../../src/io/esp-native-crypto.ts';
import { nativeCrypto } from '../../src/io/native-crypto.ts';
import type { EspKeys, PacketCrypto } from '../../src/ipsec/packet-crypto.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { median, quantile } from './support/rows.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 20);
const VECTORS = 25;
/** Threads sleep by then. */
const SETTLE_MS = 1;
const clock = new Int32Array(new SharedArrayBuffer(4));
const PACKETS = Number(process.env['BENCH_PACKETS'] ?? 128);
const PLAIN_BYTES = 1406;

const key = (bytes: number) => KeyMaterial.copyOf(randomBytes(bytes));
const suites: Readonly<Record<string, () => EspKeys>> = {
  'AES-128-GCM': () => ({ spi: 256, hasEsn: false, encryption: { transform: 20, key: key(20) } }),
  'ChaCha20-Poly1305': () => ({ spi: 256, hasEsn: false, encryption: { transform: 28, key: key(36) } }),
  'AES-256-CBC HMAC-SHA2-256': () => ({
    spi: 256,
    hasEsn: false,
    encryption: { transform: 12, key: key(32) },
    integrity: { transform: 12, key: key(32) },
  }),
};
const libraries =
  nativeCrypto().libraries().ipsecMb === undefined
    ? (['openssl'] as const)
    : (['openssl', 'ipsec-mb'] as const);
const crews = [1, 2, 4]
  .filter((workers) => workers <= availableParallelism())
  .map((workers) => new Crew(workers));

/** A vector that can be opened again and again. */
class Vector {
  readonly times: number[] = [];
  readonly cpu: number[] = [];
  readonly #crypto: PacketCrypto;
  readonly #batch: TestBatch;
  readonly #sealed: TestBatch;

  constructor(crypto: PacketCrypto, keys: EspKeys) {
    this.#crypto = crypto;
    crypto.install(0, keys);
    const plain = Buffer.alloc(PLAIN_BYTES, 0x5a);
    const batch = new TestBatch(Array.from({ length: PACKETS }, () => plain));
    for (let i = 0; i < PACKETS; i++) batch.number(i, BigInt(i + 1), BigInt(i + 1));
    batch.nextHeader.fill(4);
    crypto.seal(batch);
    const packets = Array.from({ length: PACKETS }, (_, i) => batch.packet(i));
    [this.#batch, this.#sealed] = [new TestBatch(packets), new TestBatch(packets)];
  }

  /** Opens it `VECTORS` times. */
  measure(): void {
    const before = helpersNs();
    const own: number[] = [];
    for (let n = 0; n < VECTORS; n++) {
      this.restore();
      const from = process.hrtime.bigint();
      this.#crypto.open(this.#batch);
      own.push(Number(process.hrtime.bigint() - from) / PACKETS);
      if (this.#batch.verdict.some((verdict) => verdict !== KEEP)) throw new Error(this.#batch.reason());
    }
    this.times.push(...own);
    Atomics.wait(clock, 0, 0, SETTLE_MS);
    this.cpu.push(median(own) + (helpersNs() - before) / VECTORS / PACKETS);
  }

  restore(): void {
    this.#sealed.slab.copy(this.#batch.slab);
    this.#batch.offset.set(this.#sealed.offset);
    this.#batch.length.set(this.#sealed.length);
  }
}

/** Processor time of all threads of crews; what they have is known when they sleep. */
function helpersNs(): number {
  let sum = 0;
  for (const thread of readdirSync('/proc/self/task')) {
    const folder = `/proc/self/task/${thread}`;
    if (!readFileSync(`${folder}/comm`, 'utf8').startsWith('dvipa-crew')) continue;
    sum += Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]);
  }
  return sum;
}

const cases = libraries.flatMap((library) =>
  Object.entries(suites).flatMap(([name, keysOf]) => {
    if (library === 'ipsec-mb' && name.startsWith('ChaCha')) return []; // OpenSSL's there, too
    const keys = keysOf();
    return crews.map((crew) => ({
      name: `${library} ${name}, ${crew.stats().workers} workers`,
      vector: new Vector(new EspNativeCrypto({ library, randomBytes, crew }), keys),
    }));
  }),
);
for (const { vector } of cases) vector.measure();
for (const { vector } of cases) [vector.times.length, vector.cpu.length] = [0, 0];
for (let n = 0; n < ROUNDS; n++) {
  for (const { vector } of cases) vector.measure();
}

const figures: Record<string, number> = {};
for (const { name, vector } of cases) {
  figures[`${name}, median ns`] = Math.round(median(vector.times));
  figures[`${name}, best tenth ns`] = Math.round(quantile(vector.times, 0.1));
  figures[`${name}, processors ns`] = Math.round(median(vector.cpu));
}
for (const crew of crews) {
  const { workers, runs, stalls } = crew.stats();
  if (workers > 1)
    Object.assign(figures, { [`${workers} workers, runs`]: runs, [`${workers} workers, stalls`]: stalls });
  crew.close();
}
console.log(JSON.stringify({ bench: 'workers', ...figures }));
