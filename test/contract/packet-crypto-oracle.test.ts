import { createHash } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { knownAlgorithms } from '../../src/ipsec/algorithms.ts';
import type { EspKeys } from '../../src/ipsec/packet-crypto.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import {
  describeEach,
  NATIVE_CRYPTOS,
  type NewCrypto,
  NODE_CRYPTO,
  SHARED_CRYPTOS,
} from '../support/packet-cryptos.ts';

const SLOT_BYTES = 2048;
const { encryption, integrity } = knownAlgorithms();
/** Every pair that there is, with every length of key. */
const SUITES = encryption.flatMap((row) =>
  row.keyBytes.flatMap((keyBytes) =>
    (row.icvBytes > 0 ? [undefined] : integrity).map((mac) => ({ row, keyBytes, mac })),
  ),
);

interface SaSetting {
  readonly suite: (typeof SUITES)[number];
  readonly hasEsn: boolean;
  readonly seed: number;
  readonly isWiped: boolean;
}

interface PacketSetting {
  readonly bytes: Uint8Array;
  readonly saSlot: number;
  readonly sequence: bigint;
  readonly iv: bigint;
  readonly nextHeader: number;
  readonly verdict: number;
  /** Where in the slot it begins: less than the headroom is too little. */
  readonly at: number;
  readonly change: Change;
}

type Change = { readonly kind: (typeof CHANGES)[number]; readonly at: number; readonly by: number };
const CHANGES = ['none', 'none', 'flip', 'cut', 'longer', 'beyond', 'slot', 'high'] as const;

const sa: fc.Arbitrary<SaSetting> = fc.record({
  suite: fc.constantFrom(...SUITES),
  hasEsn: fc.boolean(),
  seed: fc.nat(255),
  isWiped: fc.nat(15).map((n) => n === 0),
});
const packet: fc.Arbitrary<PacketSetting> = fc.record({
  bytes: fc.oneof(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ minLength: 1000, maxLength: 1500 })),
  saSlot: fc.integer({ min: -1, max: 8 }),
  sequence: fc.oneof(fc.bigInt({ min: 0n, max: 3n }), fc.bigInt({ min: 1n, max: (1n << 64n) - 1n })),
  iv: fc.oneof(fc.constant(0n), fc.bigInt({ min: 1n, max: (1n << 64n) - 1n })),
  nextHeader: fc.constantFrom(4, 41, 59, 6),
  verdict: fc.nat(9).map((n) => (n === 0 ? 7 : 0)),
  at: fc.oneof(fc.constant(64), fc.constant(64), fc.nat(40)),
  change: fc.record({
    kind: fc.constantFrom(...CHANGES),
    at: fc.nat(2000),
    by: fc.integer({ min: 1, max: 255 }),
  }),
});
/** More than one chunk of the addon's at times. */
const vector = fc.record({
  sas: fc.array(sa, { minLength: 8, maxLength: 8 }),
  packets: fc.oneof(fc.array(packet, { maxLength: 20 }), fc.array(packet, { minLength: 60, maxLength: 140 })),
});

function keysOf({ suite: { row, keyBytes, mac }, hasEsn, seed }: SaSetting, spi: number): EspKeys {
  const key = (bytes: number) => KeyMaterial.copyOf(Buffer.alloc(bytes, `${seed}.${spi}.`));
  return {
    spi,
    hasEsn,
    encryption: { transform: row.transform, key: key(keyBytes + row.saltBytes) },
    ...(mac !== undefined && { integrity: { transform: mac.transform, key: key(mac.keyBytes) } }),
  };
}

const IV_BYTES = 16;
/** Bytes that only look random: the same IV for each packet, however many are asked for at once. */
const drawn = (bytes: number) => Buffer.from(Array.from({ length: bytes }, (_, i) => (i % IV_BYTES) * 167));

function batchOf(packets: readonly PacketSetting[]): TestBatch {
  const batch = new TestBatch(
    packets.map(({ bytes }) => bytes),
    SLOT_BYTES,
  );
  packets.forEach(({ bytes, saSlot, sequence, iv, nextHeader, verdict, at }, i) => {
    batch.offset[i] = i * SLOT_BYTES + at;
    batch.slab.set(bytes, batch.offset[i]);
    batch.saSlot[i] = saSlot;
    batch.number(i, sequence, iv);
    batch.nextHeader[i] = nextHeader;
    batch.verdict[i] = verdict;
  });
  return batch;
}

/** What was sealed, damaged on the way; what was not is opened as it is. */
function damage(batch: TestBatch, packets: readonly PacketSetting[]): void {
  packets.forEach(({ verdict, change: { kind, at, by } }, i) => {
    batch.verdict[i] = verdict;
    const [start, length] = [batch.offset[i] as number, batch.length[i] as number];
    const place = start + (at % Math.max(1, length));
    if (kind === 'flip') batch.slab[place] = (batch.slab[place] as number) ^ by;
    if (kind === 'cut') batch.length[i] = length - Math.min(length, at);
    if (kind === 'longer') batch.length[i] = length + by;
    if (kind === 'beyond') batch.length[i] = batch.slab.length - start + by;
    if (kind === 'slot') batch.saSlot[i] = by % 9;
    if (kind === 'high') batch.sequenceHigh[i] = by;
  });
}

/** All that a call may change. */
function stateOf(batch: TestBatch): Record<string, unknown> {
  const { slab, offset, length, sequenceHigh, sequenceLow, nextHeader, verdict } = batch;
  // The slab is long, and so would be what a failure prints.
  const digest = createHash('sha1').update(slab).digest('hex');
  return { verdict, offset, length, sequenceHigh, sequenceLow, nextHeader, digest };
}

/** The same vector through one of them, sealed, damaged and opened; what there was after each. */
function passed(create: NewCrypto, sas: readonly SaSetting[], packets: readonly PacketSetting[]) {
  const crypto = create({ randomBytes: drawn });
  const keys = sas.map((setting, slot) => keysOf(setting, 0x1000 + slot));
  keys.forEach((sa, slot) => crypto.install(slot, sa));
  const batch = batchOf(packets);
  crypto.seal(batch);
  const sealed = structuredClone(stateOf(batch));
  sas.forEach(({ isWiped }, slot) => isWiped && keys[slot]?.encryption.key.wipe());
  damage(batch, packets);
  crypto.open(batch);
  return { sealed, opened: stateOf(batch), count: crypto.opened };
}

describeEach(new Map([...NATIVE_CRYPTOS, ...SHARED_CRYPTOS]), (create) => {
  it('makes of every vector what node:crypto makes of it, sealing and opening, whatever is wrong with it', () => {
    fc.assert(
      fc.property(vector, ({ sas, packets }) => {
        expect(passed(create, sas, packets)).to.deep.equal(passed(NODE_CRYPTO, sas, packets));
      }),
      { seed: 4303, numRuns: 150 },
    );
  });

  it('opens with every suite what node:crypto has sealed, and the other way round', () => {
    for (const [slot, suite] of SUITES.entries()) {
      for (const hasEsn of [false, true]) {
        const keys = keysOf({ suite, hasEsn, seed: slot, isWiped: false }, 0x2000);
        for (const [sealer, opener] of [
          [create, NODE_CRYPTO],
          [NODE_CRYPTO, create],
        ] as const) {
          const [seals, opens] = [sealer({ randomBytes: drawn }), opener({ randomBytes: drawn })];
          seals.install(slot, keys);
          opens.install(slot, keys);
          const plains = [0, 1, 14, 100, 1406].map((bytes) => Buffer.alloc(bytes, bytes));
          const batch = new TestBatch(plains);
          batch.saSlot.fill(slot);
          plains.forEach((_, i) =>
            batch.number(i, hasEsn ? (5n << 32n) | BigInt(i) : BigInt(i + 1), BigInt(i + 1)),
          );
          seals.seal(batch);
          opens.open(batch);
          plains.forEach((plain, i) => {
            expect(batch.reason(i), suite.row.name).to.equal('none');
            expect(batch.packet(i)).to.deep.equal(plain);
          });
        }
      }
    }
  });
});
