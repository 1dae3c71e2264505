import { expect } from 'chai';
import { knownAlgorithms } from '../../src/ipsec/algorithms.ts';
import { keysOf, TestBatch } from '../support/crypto-batch.ts';
import { describeEach, PACKET_CRYPTOS } from '../support/packet-cryptos.ts';

const { encryption, integrity } = knownAlgorithms();
/** Every pair that there is, with the shortest key, and with and without ESN. */
const SUITES = encryption.flatMap((row) =>
  (row.icvBytes > 0 ? [undefined] : integrity).flatMap((mac) =>
    [false, true].map((hasEsn) => ({
      name: [row.name, mac?.name, hasEsn ? 'ESN' : ''].join(' '),
      hasEsn,
      encryption: row.transform,
      encryptionKey: '1b'.repeat((row.keyBytes[0] ?? 0) + row.saltBytes),
      ...(mac !== undefined && { integrity: mac.transform, integrityKey: '2c'.repeat(mac.keyBytes) }),
    })),
  ),
);

const PLAINS = [14, 100, 1406, 40, 200, 77].map((bytes, i) => Buffer.alloc(bytes, i + 1));
const FORGED = 1;
const DROPPED = 4;

/** The same packets and numbers, each right behind the one before it. */
function wallToWall(sealed: TestBatch): TestBatch {
  const packets = PLAINS.map((_, i) => sealed.packet(i));
  const row = new TestBatch(packets);
  let at = row.offset[0] as number;
  row.slab.fill(0xaa);
  packets.forEach((packet, i) => {
    row.slab.set(packet, at);
    row.offset[i] = at;
    at += packet.length;
  });
  row.sequenceHigh.set(sealed.sequenceHigh);
  return row;
}

/** Where packet i lies: from its first byte to behind its last. */
function rangeOf(batch: TestBatch, i: number): [number, number] {
  const start = batch.offset[i] as number;
  return [start, start + (batch.length[i] as number)];
}

/** Whether these bytes of the slab are still what they are now. */
function keep(batch: TestBatch, [from, to]: readonly [number, number]): () => boolean {
  const bytes = Buffer.from(batch.slab.subarray(from, to));
  return () => batch.slab.subarray(from, to).equals(bytes);
}

describeEach(PACKET_CRYPTOS, (create) => {
  it('opens packets that lie wall to wall, as the trusted link hands them up, and touches no neighbour', () => {
    for (const suite of SUITES) {
      const crypto = create({ randomBytes: (bytes) => Buffer.alloc(bytes, 0x3d) });
      crypto.install(0, keysOf({ spi: 0x3000, ...suite }));
      const sealed = new TestBatch(PLAINS);
      const high = suite.hasEsn ? 7n << 32n : 0n;
      PLAINS.forEach((_, i) => sealed.number(i, high | BigInt(i + 1), BigInt(i + 1)));
      crypto.seal(sealed);
      const row = wallToWall(sealed);
      const place = (row.offset[FORGED] as number) + 40;
      row.slab[place] = (row.slab[place] as number) ^ 1;
      row.verdict[DROPPED] = 7;
      const [first] = rangeOf(row, 0);
      const [, end] = rangeOf(row, PLAINS.length - 1);
      const ranges = [
        rangeOf(row, FORGED),
        rangeOf(row, DROPPED),
        [0, first],
        [end, row.slab.length],
      ] as const;
      const isKept = ranges.map((range) => keep(row, range));
      crypto.open(row);
      PLAINS.forEach((plain, i) => {
        if (i === FORGED) expect(row.reason(i), suite.name).to.equal('icv');
        else if (i !== DROPPED)
          expect(row.packet(i).equals(plain), `${suite.name}, packet ${i}`).to.equal(true);
      });
      expect(
        isKept.map((is) => is()),
        suite.name,
      ).to.deep.equal([true, true, true, true]);
    }
  });
});
