import { expect } from 'chai';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { NumberingMarks } from '../../src/ipsec/numbering-marks.ts';
import { ReplayWindow } from '../../src/ipsec/replay-window.ts';
import { type EspVector, keysOf, TestBatch } from '../support/crypto-batch.ts';
import { readVectors } from '../support/vectors.ts';

const scapy = (readVectors('esp-scapy.json') as { vectors: EspVector[] }).vectors;
const suites = scapy.filter(({ it }) => it.endsWith(', ESN: tcp syn'));
const TWO_32 = 1n << 32n;

/** One SA: the sender's side, and a receiver who sees the low half of a number only. */
class EsnPair {
  readonly #crypto = new EspNodeCrypto({ randomBytes: (bytes) => Buffer.alloc(bytes, 7) });
  readonly window: ReplayWindow;

  constructor(vector: EspVector, top: bigint) {
    this.#crypto.install(0, keysOf(vector));
    this.window = new ReplayWindow(128);
    this.window.restore({ top, bitmap: new Uint8Array(16) });
  }

  seal(sequence: bigint): Buffer {
    const batch = new TestBatch([Buffer.from('payload')]);
    batch.number(0, sequence, sequence);
    batch.nextHeader[0] = 4;
    this.#crypto.seal(batch);
    expect(batch.reason()).to.equal('none');
    return batch.packet();
  }

  /** The number that was authenticated and committed, or the reason why none. */
  open(packet: Buffer): bigint | string {
    const batch = new TestBatch([packet]);
    batch.sequenceHigh[0] = this.window.inferHigh(packet.readUInt32BE(4));
    this.#crypto.open(batch);
    if (batch.reason() !== 'none') return batch.reason();
    const [high, low] = [batch.sequenceHigh.at(0) ?? 0, batch.sequenceLow.at(0) ?? 0];
    return this.window.commit(high, low) ? (BigInt(high) << 32n) | BigInt(low) : 'replay';
  }
}

describe('an SA with ESN', () => {
  for (const vector of suites) {
    const [name] = vector.it.split(',');

    it(`goes over 2^32, out of order and only once, ${name} (RFC 4303 section 2.2.1, appendix A)`, () => {
      const pair = new EsnPair(vector, TWO_32 - 4n);
      const numbers = [-3n, 2n, -1n, -2n, 0n, 1n, 100n, 3n].map((offset) => TWO_32 + offset);
      const packets = numbers.map((number) => pair.seal(number));
      for (const [i, packet] of packets.entries()) {
        expect(packet.readUInt32BE(4)).to.equal(Number((numbers[i] as bigint) % TWO_32)); // the high half is not sent
        expect(pair.open(packet)).to.equal(numbers[i]);
      }
      for (const packet of packets) expect(pair.open(packet)).to.be.oneOf(['replay', 'icv']);
    });

    it(`refuses the same low half of another 2^32 numbers, ${name}`, () => {
      const pair = new EsnPair(vector, 5n * TWO_32 + 1000n);
      expect(pair.open(pair.seal(4n * TWO_32 + 1001n))).to.equal('icv');
      expect(pair.open(pair.seal(6n * TWO_32 + 1001n))).to.equal('icv');
      expect(pair.open(pair.seal(5n * TWO_32 + 1001n))).to.equal(5n * TWO_32 + 1001n);
    });
  }

  it('is numbered on beyond 2^32; one without is not (RFC 4303 section 3.3.3)', () => {
    const marks = { nextSequence: TWO_32 - 2n, nextSenderId: 3 };
    const take = (hasEsn: boolean) => {
      const numbering = NumberingMarks.restore(marks, hasEsn);
      const written = numbering?.write(0);
      if (numbering === undefined || written === undefined) throw new Error('nothing to write');
      numbering.done(written);
      return [numbering.takeSequence(1), numbering.takeSequence(4)];
    };
    expect(take(true)).to.deep.equal([Number(TWO_32) - 2, Number(TWO_32) - 1]);
    expect(take(false)).to.deep.equal([Number(TWO_32) - 2, -1]);
  });
});
