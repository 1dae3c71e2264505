import { expect } from 'chai';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { Peeker } from '../../src/ipsec/peek.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { type EspVector, keysOf, TestBatch } from '../support/crypto-batch.ts';
import { selectorOf } from '../support/test-sas.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

interface ModeVector extends EspVector {
  readonly mode: 'tunnel' | 'transport';
}

const { vectors } = readVectors('esp-scapy-modes.json') as { vectors: ModeVector[] };
const familyOf = ({ inner }: ModeVector) => (inner.startsWith('6') ? 6 : 4);

/** A batch of one, as `classify` leaves it: in transport mode family and addresses are those of the outer header. */
function batchOf(vector: ModeVector, esp: Buffer = fromHex(vector.esp)): TestBatch {
  const batch = new TestBatch([esp]);
  if (vector.mode === 'transport') batch.family[0] = familyOf(vector);
  batch.sequenceHigh[0] = Number(BigInt(vector.sequence) >> 32n);
  return batch;
}

function peek(vector: ModeVector, esp?: Buffer, selectors = ['2001:db8:113::10']): TestBatch {
  const peeker = new Peeker();
  const destinationSelectors = selectors.map((address) => selectorOf(address));
  peeker.install(0, { ...keysOf(vector), mode: vector.mode, destinationSelectors });
  const batch = batchOf(vector, esp);
  peeker.peek(batch);
  return batch;
}

const seen = (batch: TestBatch) => ({
  reason: batch.reason(),
  family: batch.family[0],
  protocol: batch.protocol[0],
  sourcePort: batch.sourcePort[0],
  destinationPort: batch.destinationPort[0],
  tcpFlags: batch.tcpFlags[0],
});

describe('peek, IPv6 and transport mode', () => {
  for (const vector of vectors) {
    it(`sees the headers of ${vector.it}, made by scapy`, () => {
      const { protocol, sourcePort, destinationPort, tcpFlags } = vector;
      const wanted = {
        reason: 'none',
        family: familyOf(vector),
        protocol,
        sourcePort,
        destinationPort,
        tcpFlags,
      };
      const batch = peek(vector);
      expect(seen(batch)).to.deep.equal(wanted);
      expect(batch.packet().toString('hex'), 'nothing was decrypted in place').to.equal(vector.esp);
      // An SA of IPv4 selectors decrypts less at first, and asks for more.
      expect(seen(peek(vector, undefined, ['203.0.113.10']))).to.deep.equal(wanted);
      if (vector.mode === 'transport') return;
      expect(formatAddress(batch.innerSource)).to.equal('2001:db8:a::1');
      expect(formatAddress(batch.innerDestination)).to.equal('2001:db8:113::10');
    });
  }

  it('reads what an ICMPv6 error quotes, beyond the first blocks', () => {
    const quoting = vectors.filter(({ it }) => it.endsWith('icmp error'));
    expect(quoting).to.have.lengthOf.above(20);
    for (const vector of quoting) {
      const batch = peek(vector);
      expect(batch.quotedProtocol[0], vector.it).to.equal(6);
      expect(formatAddress(batch.quotedDestination), vector.it).to.equal('2001:db8:a::1');
      expect([batch.quotedSourcePort[0], batch.quotedDestinationPort[0]], vector.it).to.deep.equal([
        80, 51_000,
      ]);
    }
  });

  it('in transport mode looks at the first block and the trailer only', () => {
    for (const vector of vectors.filter(({ it }) => it.includes('1300 bytes'))) {
      const esp = fromHex(vector.esp);
      const wanted = seen(peek(vector));
      // Behind SPI, number, IV and one block (ChaCha20's is as long as four); in front of the trailer with the block before it and the longest ICV.
      esp.fill(0xee, 8 + 16 + 64, esp.length - 32 - 32);
      expect(seen(peek(vector, esp)), vector.it).to.deep.equal(wanted);
    }
  });

  it('never looks beyond sixteen blocks, whatever the extension headers say', () => {
    const [vector] = vectors as [ModeVector];
    const crypto = new EspNodeCrypto({ randomBytes: (bytes) => Buffer.alloc(bytes) });
    crypto.install(0, keysOf(vector));
    const sealed = (options: number) => {
      const inner = Buffer.alloc(40 + 8 * options + 20);
      fromHex(vector.inner).copy(inner, 0, 0, 40);
      inner.writeUInt16BE(inner.length - 40, 4);
      inner.writeUInt8(60, 6);
      inner.writeUInt8(6, 40);
      inner.writeUInt8(options - 1, 41);
      const batch = new TestBatch([inner]);
      batch.number(0, 1n, 1n);
      batch.nextHeader[0] = 41;
      crypto.seal(batch);
      return batch.packet();
    };
    expect(peek(vector, sealed(24)).reason()).to.equal('none'); // the flags of TCP end at byte 246
    expect(peek(vector, sealed(26)).reason()).to.equal('peek-malformed');
  });
});

describe('opening, IPv6 and transport mode', () => {
  for (const vector of vectors) {
    it(`gives the payload of ${vector.it}`, () => {
      const crypto = new EspNodeCrypto({ randomBytes: (bytes) => Buffer.alloc(bytes) });
      crypto.install(0, keysOf(vector));
      const batch = batchOf(vector);
      crypto.open(batch);
      expect(batch.reason()).to.equal('none');
      const inner = fromHex(vector.inner);
      const headerBytes = familyOf(vector) === 6 ? 40 : 20;
      const wanted = vector.mode === 'tunnel' ? inner : inner.subarray(headerBytes);
      expect(batch.packet().toString('hex')).to.equal(wanted.toString('hex'));
      expect(batch.nextHeader[0]).to.equal(vector.mode === 'transport' ? vector.protocol : 41);
    });
  }
});
