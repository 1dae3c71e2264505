/**
 * What a packet's ESP takes when one, two or four threads work on its vector, as many as there are processors, by turns in one process:
 * `node --import tsx test/bench/workers.ts`. Prints one JSON object; times are nanoseconds of one packet of 1408 bytes to encrypt, in vectors
 * of 128: the median of all vectors, the best tenth of them (every thread had a processor), and processor time of all threads, looking for work
 * included.
 */
import { randomBytes } from 'node:crypto';
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
const PACKETS = 128;
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

  /** Opens it `VECTORS` times. `restoring`: processor time of what is not that, in nanoseconds. */
  measure(restoring: number): void {
    const before = cpuNs();
    for (let n = 0; n < VECTORS; n++) {
      this.restore();
      const from = process.hrtime.bigint();
      this.#crypto.open(this.#batch);
      this.times.push(Number(process.hrtime.bigint() - from) / PACKETS);
      if (this.#batch.verdict.some((verdict) => verdict !== KEEP)) throw new Error(this.#batch.reason());
    }
    this.cpu.push((cpuNs() - before - restoring * VECTORS) / VECTORS / PACKETS);
  }

  restore(): void {
    this.#sealed.slab.copy(this.#batch.slab);
    this.#batch.offset.set(this.#sealed.offset);
    this.#batch.length.set(this.#sealed.length);
  }
}

function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function restoringNs(vector: Vector): number {
  const before = cpuNs();
  for (let n = 0; n < VECTORS; n++) vector.restore();
  return (cpuNs() - before) / VECTORS;
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
for (const { vector } of cases) vector.measure(0);
for (const { vector } of cases) [vector.times.length, vector.cpu.length] = [0, 0];
for (let n = 0; n < ROUNDS; n++) {
  for (const { vector } of cases) vector.measure(restoringNs(vector));
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
