/**
 * What ESP's cryptography costs a packet in batches of 64, by each library, beside `openssl speed` in the same round:
 * `node --import tsx test/bench/crypto.ts`. Prints one JSON object; times are medians in nanoseconds of one packet, of as many bytes
 * to encrypt as the name says.
 */
import { randomBytes } from 'node:crypto';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { KEEP } from '../../src/base/verdict.ts';
import { EspNativeCrypto } from '../../src/io/esp-native-crypto.ts';
import { nativeCrypto } from '../../src/io/native-crypto.ts';
import { knownAlgorithms, lookupEncryption, lookupIntegrity } from '../../src/ipsec/algorithms.ts';
import type { EspKeys, PacketCrypto } from '../../src/ipsec/packet-crypto.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { forgetSpeeds, opensslSpeed } from './support/openssl-speed.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const PACKETS = 64;
const SIZES = [64, 256, 1408] as const;
const GCM = 20;
const TRAILER_BYTES = 2;
/** Batches of one figure. */
const SAMPLES = 200;

const { ipsecMb } = nativeCrypto().libraries();
const LIBRARIES = ipsecMb === undefined ? (['openssl'] as const) : (['openssl', 'ipsec-mb'] as const);

function keysOf(encryption: number, integrity: number | undefined, keyBytes: number): EspKeys {
  const { saltBytes } = lookupEncryption(encryption) as { saltBytes: number };
  const random = (bytes: number) => KeyMaterial.copyOf(randomBytes(bytes));
  return {
    spi: 0x1000,
    hasEsn: false,
    encryption: { transform: encryption, key: random(keyBytes + saltBytes) },
    ...(integrity !== undefined && {
      integrity: { transform: integrity, key: random(lookupIntegrity(integrity)?.keyBytes as number) },
    }),
  };
}

/** Every encryption with its longest key, and AES-GCM with the shortest; those without an ICV go with SHA-256, one with each. */
function suites(): Map<string, EspKeys> {
  const { encryption, integrity } = knownAlgorithms();
  const all = new Map([['AES-GCM-16/128', keysOf(GCM, undefined, 16)]]);
  for (const { transform, name, keyBytes, icvBytes } of encryption) {
    const longest = keyBytes.at(-1) as number;
    const label = longest > 0 ? `${name}/${longest * 8}` : name;
    if (icvBytes > 0) all.set(label, keysOf(transform, undefined, longest));
    else if (name !== 'AES-CBC') all.set(`${label} HMAC-SHA2-256-128`, keysOf(transform, 12, longest));
    else
      for (const mac of integrity) all.set(`${label} ${mac.name}`, keysOf(transform, mac.transform, longest));
  }
  return all;
}

/** A batch that can be worked on again and again. */
class Repeated {
  readonly batch: TestBatch;
  readonly #crypto: PacketCrypto;
  readonly #slab: Buffer;
  readonly #offset: Uint32Array;
  readonly #length: Uint32Array;

  constructor(crypto: PacketCrypto, batch: TestBatch) {
    this.batch = batch;
    this.#crypto = crypto;
    this.#slab = Buffer.from(batch.slab);
    this.#offset = batch.offset.slice();
    this.#length = batch.length.slice();
  }

  /** Nanoseconds of one packet, the median of all batches. */
  time(way: 'open' | 'seal'): number {
    const { batch } = this;
    const samples: number[] = [];
    for (let n = 0; n < SAMPLES; n++) {
      this.#slab.copy(batch.slab);
      batch.offset.set(this.#offset);
      batch.length.set(this.#length);
      const from = process.hrtime.bigint();
      this.#crypto[way](batch);
      samples.push(Number(process.hrtime.bigint() - from) / PACKETS);
      if (batch.verdict.some((verdict) => verdict !== KEEP)) throw new Error(`${way}: ${batch.reason()}`);
    }
    return median(samples);
  }
}

function timesOf(crypto: PacketCrypto, bytes: number): { open: number; seal: number } {
  const plain = Buffer.alloc(bytes - TRAILER_BYTES, 0x5a);
  const toSeal = new TestBatch(Array.from({ length: PACKETS }, () => plain));
  for (let i = 0; i < PACKETS; i++) toSeal.number(i, BigInt(i + 1), BigInt(i + 1));
  toSeal.nextHeader.fill(4);
  const seal = new Repeated(crypto, toSeal).time('seal');
  const toOpen = new TestBatch(Array.from({ length: PACKETS }, (_, i) => toSeal.packet(i)));
  return { seal, open: new Repeated(crypto, toOpen).time('open') };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

const round = (value: number) => Number(value.toPrecision(3));

const rounds = new Map<string, number[]>();
function note(key: string, value: number): void {
  rounds.set(key, [...(rounds.get(key) ?? []), value]);
}

const all = suites();
for (let n = 0; n < ROUNDS; n++) {
  forgetSpeeds();
  for (const bytes of SIZES) {
    for (const [name, keys] of all) {
      note(`speed open ${name} ${bytes}`, opensslSpeed(name, 'open', bytes));
      note(`speed seal ${name} ${bytes}`, opensslSpeed(name, 'seal', bytes));
      for (const library of LIBRARIES) {
        const crypto = new EspNativeCrypto({ library, randomBytes });
        crypto.install(0, keys);
        const { open, seal } = timesOf(crypto, bytes);
        note(`${library} open ${name} ${bytes}`, open);
        note(`${library} seal ${name} ${bytes}`, seal);
        crypto.remove(0);
      }
    }
  }
}

const figures = Object.fromEntries([...rounds].map(([key, values]) => [key, Math.round(median(values))]));

/** The worse way, against `openssl speed` of the same round. */
function rowOf(library: 'openssl' | 'ipsec-mb') {
  const of = (key: string) => rounds.get(key) as number[];
  const [open, seal] = (['open', 'seal'] as const).map((way) => of(`${library} ${way} AES-GCM-16/128 1408`));
  const theirs = of('speed seal AES-GCM-16/128 1408');
  const ratios = theirs.map((time, i) => round(Math.max(open?.[i] as number, seal?.[i] as number) / time));
  return {
    value: median(ratios),
    rounds: ratios,
    measured: `AES-128-GCM of 1408 bytes, batches of ${PACKETS}, the slower of open and seal, against openssl speed -evp`,
    parts: {
      'open ns': round(median(open as number[])),
      'seal ns': round(median(seal as number[])),
      'openssl speed ns': round(median(theirs)),
    },
  };
}

const rows = {
  'crypto.gcm1408.evp': rowOf('openssl'),
  ...(ipsecMb !== undefined && { 'crypto.gcm1408.mb': rowOf('ipsec-mb') }),
};
console.log(JSON.stringify({ bench: 'crypto', ...figures, rows }));
