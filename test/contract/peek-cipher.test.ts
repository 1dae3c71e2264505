import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP } from '../../src/base/verdict.ts';
import { NativePeek } from '../../src/io/native-peek.ts';
import { knownAlgorithms } from '../../src/ipsec/algorithms.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { Peeker, type PeekKeys } from '../../src/ipsec/peek.ts';
import { type EspVector, keysOf, peekKeysOf, TestBatch } from '../support/crypto-batch.ts';
import { hostileInner, upperHeader } from '../support/hostile-inner.ts';
import { describeEachWay } from '../support/instruction-ways.ts';
import { columnsOf } from '../support/inner-columns.ts';
import { selectorOf } from '../support/test-sas.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const SLOT_BYTES = 2048;
const KINDS = [
  { mode: 'tunnel', destinationSelectors: [] },
  { mode: 'tunnel', destinationSelectors: [selectorOf('2001:db8::1')] },
  { mode: 'transport', destinationSelectors: [] },
] as const;

/** Every algorithm with every length of key, as each kind of SA. */
const SAS: readonly PeekKeys[] = knownAlgorithms().encryption.flatMap((row) =>
  row.keyBytes.flatMap((keyBytes) =>
    KINDS.map((kind, at) => {
      const seed = (row.transform * 16 + keyBytes + at) & 255;
      const encryptionKey = Buffer.from(
        Array.from({ length: keyBytes + row.saltBytes }, (_, i) => (seed + i * 31) & 255),
      ).toString('hex');
      const mac = row.icvBytes > 0 ? {} : { integrity: 12, integrityKey: '0f'.repeat(32) };
      const spi = 0x1000 + row.transform * 256 + keyBytes * 4 + at;
      return { ...keysOf({ spi, encryption: row.transform, encryptionKey, ...mac }), ...kind };
    }),
  ),
);

const packet = fc.record({
  slot: fc.nat(SAS.length - 1),
  claimed: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -1, max: 200 }) },
  ),
  inner: hostileInner,
  payload: upperHeader,
  nextHeader: fc.constantFrom<'right' | number>('right', 'right', 4, 41, 59, 6),
  family: fc.constantFrom(4, 6),
  changes: fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 255 })), { maxLength: 2 }),
  cut: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(80)),
});
type Packet = typeof packet extends fc.Arbitrary<infer Value> ? Value : never;

const sealing = new EspNodeCrypto({ randomBytes: (bytes) => Buffer.alloc(bytes, 0x5a) });
SAS.forEach((sa, slot) => sealing.install(slot, sa));

function nextHeaderOf({ slot, inner, nextHeader }: Packet): number {
  if (nextHeader !== 'right') return nextHeader;
  if (SAS[slot]?.mode === 'transport') return 6;
  return (inner[0] ?? 0) >> 4 === 6 ? 41 : 4;
}

/** Sealed, then changed: what a hostile network delivers. */
function delivered(packets: readonly Packet[]): TestBatch {
  const batch = new TestBatch(
    packets.map(({ slot, inner, payload }) => (SAS[slot]?.mode === 'transport' ? payload : inner)),
    SLOT_BYTES,
  );
  packets.forEach((given, i) => {
    batch.saSlot[i] = given.slot;
    batch.nextHeader[i] = nextHeaderOf(given);
    batch.number(i, BigInt(i + 1), BigInt(i + 1));
  });
  sealing.seal(batch);
  packets.forEach(({ changes, cut, claimed, family }, i) => {
    const [start, length] = [batch.offset[i] as number, batch.length[i] as number];
    for (const [at, by] of changes)
      if (at < length) batch.slab[start + at] = (batch.slab[start + at] as number) ^ by;
    batch.espOffset[i] = start;
    batch.espLength[i] = Math.max(0, length - cut);
    if (claimed !== 0) batch.saSlot[i] = claimed;
    batch.family[i] = family;
  });
  return batch;
}

function peeked(peeker: Peeker, packets: readonly Packet[]) {
  const batch = delivered(packets);
  const before = Uint8Array.from(batch.slab);
  peeker.peek(batch);
  expect(Buffer.compare(batch.slab, before), 'nothing is decrypted in place').to.equal(0);
  const columns = columnsOf(batch);
  return packets.map((_, i) => {
    if (batch.verdict[i] !== KEEP) return batch.reason(i);
    const values = Object.entries(columns).map(([name, column]) => [
      name,
      column.length === packets.length ? column[i] : [...column.subarray(i * 4, i * 4 + 4)],
    ]);
    return { nextHeader: batch.nextHeader[i], ...(Object.fromEntries(values) as object) };
  });
}

describeEachWay('peek by the addon', () => {
  const native = () => new Peeker(new NativePeek());

  it('sees what node:crypto sees, of every algorithm, mode and packet', () => {
    const [tested, oracle] = [native(), new Peeker()];
    SAS.forEach((sa, slot) => {
      tested.install(slot, sa);
      oracle.install(slot, sa);
    });
    let seen = 0;
    fc.assert(
      fc.property(fc.array(packet, { minLength: 1, maxLength: 24 }), (packets) => {
        const wanted = peeked(oracle, packets);
        expect(peeked(tested, packets)).to.deep.equal(wanted);
        seen += wanted.filter((value) => typeof value !== 'string').length;
      }),
      { numRuns: 120 },
    );
    expect(seen).to.be.above(50);
  });

  it('sees the headers of packets that scapy made', () => {
    const { vectors } = readVectors('esp-scapy.json') as { vectors: EspVector[] };
    const tested = native();
    vectors.forEach((vector, slot) => tested.install(slot, peekKeysOf(vector)));
    const batch = new TestBatch(vectors.map(({ esp }) => fromHex(esp)));
    vectors.forEach((_, slot) => {
      batch.saSlot[slot] = slot;
    });
    tested.peek(batch);
    vectors.forEach((vector, i) => {
      const { protocol, sourcePort, destinationPort, tcpFlags } = vector;
      expect(
        {
          reason: batch.reason(i),
          protocol: batch.protocol[i],
          sourcePort: batch.sourcePort[i],
          destinationPort: batch.destinationPort[i],
          tcpFlags: batch.tcpFlags[i],
        },
        vector.it,
      ).to.deep.equal({ reason: 'none', protocol, sourcePort, destinationPort, tcpFlags });
    });
  });

  it('ends with the SA, with its key, and with what takes its slot', () => {
    const tested = native();
    const saOf = (spi: number) => peekKeysOf({ spi, encryption: 20, encryptionKey: '07'.repeat(20) });
    const [keys, sa, other] = [saOf(0xc0de), saOf(0xc0de), saOf(0xc0df)];
    const esp = Buffer.alloc(64);
    esp.writeUInt32BE(0xc0de, 0);
    const reason = () => {
      const batch = new TestBatch([esp]);
      tested.peek(batch);
      return batch.reason();
    };
    tested.install(0, keys);
    expect(reason()).to.not.equal('unknown-spi');
    keys.encryption.key.wipe();
    expect(reason()).to.equal('unknown-spi');
    tested.install(0, sa);
    expect(reason()).to.not.equal('unknown-spi');
    tested.install(0, other);
    expect(reason()).to.equal('unknown-spi');
    tested.install(0, sa);
    tested.remove(0);
    tested.remove(0);
    expect(reason()).to.equal('unknown-spi');
  });
});
