import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { KEEP } from '../../src/base/verdict.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { Peeker } from '../../src/ipsec/peek.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { type EspVector, keysOf, peekKeysOf, TestBatch } from '../support/crypto-batch.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const scapy = (readVectors('esp-scapy.json') as { vectors: EspVector[] }).vectors;
const vectorOf = (it: string) => scapy.find((vector) => vector.it === it) as EspVector;
const CLIENT = '10.1.1.1';
const DVIPA = '203.0.113.10';

function peekOne(vector: EspVector, esp: Buffer = fromHex(vector.esp)): TestBatch {
  const peeker = new Peeker();
  peeker.install(0, peekKeysOf(vector));
  const batch = new TestBatch([esp]);
  peeker.peek(batch);
  return batch;
}

function expectColumns(batch: TestBatch, i: number, vector: EspVector): void {
  expect(batch.reason(i), vector.it).to.equal('none');
  const columns = {
    family: batch.family[i],
    innerSource: formatAddress(batch.innerSource, 4 * i),
    innerDestination: formatAddress(batch.innerDestination, 4 * i),
    protocol: batch.protocol[i],
    sourcePort: batch.sourcePort[i],
    destinationPort: batch.destinationPort[i],
    tcpFlags: batch.tcpFlags[i],
    isFragment: (batch.fragment[i] as number) > 0,
    nextHeader: batch.nextHeader[i],
  };
  expect(columns, vector.it).to.deep.equal({
    family: 4,
    innerSource: CLIENT,
    innerDestination: DVIPA,
    protocol: vector.protocol,
    sourcePort: vector.sourcePort,
    destinationPort: vector.destinationPort,
    tcpFlags: vector.tcpFlags,
    isFragment: vector.isFragment,
    nextHeader: 4,
  });
}

/** An ESP packet of the vector's SA around any plaintext and next header. */
function seal(vector: EspVector, plain: Buffer, nextHeader = 4): Buffer {
  const crypto = new EspNodeCrypto({ randomBytes: (bytes) => Buffer.alloc(bytes, 0x5a) });
  crypto.install(0, keysOf(vector));
  const batch = new TestBatch([plain]);
  batch.number(0, 1n, 1n);
  batch.nextHeader[0] = nextHeader;
  crypto.seal(batch);
  return batch.packet();
}

describe('peek', () => {
  for (const vector of scapy) {
    it(`sees the inner headers of ${vector.it}, made by scapy`, () => {
      const batch = peekOne(vector);
      expectColumns(batch, 0, vector);
      expect(batch.packet().toString('hex')).to.equal(vector.esp); // nothing was decrypted in place
    });
  }

  it('does a whole batch of many SAs in one go', () => {
    const peeker = new Peeker();
    scapy.forEach((vector, slot) => peeker.install(slot, peekKeysOf(vector)));
    const order = scapy.map((_, k) => (k * 37) % scapy.length);
    const packets = [...order, ...order].map((slot) => fromHex((scapy[slot] as EspVector).esp));
    const batch = new TestBatch(packets);
    batch.saSlot.set([...order, ...order]);
    for (let round = 0; round < 2; round++) {
      peeker.peek(batch);
      [...order, ...order].forEach((slot, i) => expectColumns(batch, i, scapy[slot] as EspVector));
    }
  });

  const names = ['aes256gcm16', 'aes128-sha256', 'aes256ccm16', 'aes192ctr-sha256', 'chacha20poly1305'];
  for (const name of [...names, 'aes128gmac', 'null-sha512']) {
    const isChained = name === 'aes128-sha256';
    const firstByte = isChained || name.startsWith('null') ? 8 : 16;
    const big = vectorOf(`${name}: tcp ack, 1300 bytes of data`);

    it(`${name}: looks at the first blocks and the trailer only`, () => {
      const esp = fromHex(big.esp);
      esp.fill(0xee, 100, esp.length - 16 - 32); // everything between
      expectColumns(peekOne(big, esp), 0, big);
    });

    it(`${name}: is not authenticated: a bit flipped in ${isChained ? 'the IV' : 'the payload'} shows in the header`, () => {
      const esp = fromHex(big.esp);
      const at = firstByte + 15; // last byte of the inner source address
      esp.writeUInt8(esp.readUInt8(at) ^ 2, at);
      const batch = peekOne(big, esp);
      expect(batch.verdict[0]).to.equal(KEEP);
      expect(formatAddress(batch.innerSource)).to.equal('10.1.1.3');
    });

    it(`${name}: next header 59 is a dummy, whatever the length`, () => {
      for (let length = 0; length < 80; length++)
        expect(peekOne(big, seal(big, Buffer.alloc(length), 59)).reason(), `${length}`).to.equal('dummy');
    });

    it(`${name}: an inner header that is none is peek-malformed`, () => {
      const inner = fromHex(big.inner);
      const malformed = (change: (copy: Buffer) => void, nextHeader = 4) => {
        const copy = Buffer.from(inner);
        change(copy);
        return peekOne(big, seal(big, copy, nextHeader)).reason();
      };
      expect(malformed(() => {})).to.equal('none');
      expect(malformed((copy) => copy.writeUInt8(0x65, 0))).to.equal('peek-malformed');
      expect(malformed((copy) => copy.writeUInt8(0x44, 0))).to.equal('peek-malformed');
      expect(malformed((copy) => copy.writeUInt16BE(inner.length + 40, 2))).to.equal('peek-malformed');
      expect(malformed((copy) => copy.writeUInt16BE(33, 2))).to.equal('peek-malformed'); // no room for the TCP flags
      expect(malformed(() => {}, 6)).to.equal('peek-malformed'); // not a tunnel packet
      expect(malformed(() => {}, 41)).to.equal('peek-malformed'); // the trailer says IPv6
      expect(peekOne(big, seal(big, inner.subarray(0, 19))).reason()).to.equal('peek-malformed');
      expect(peekOne(big, seal(big, Buffer.alloc(0))).reason()).to.equal('peek-malformed');
    });

    it(`${name}: reads IPv4 options of every length`, () => {
      for (let options = 0; options <= 40; options += 4) {
        const inner = Buffer.alloc(20 + options + 20);
        fromHex(big.inner).copy(inner, 0, 0, 20);
        fromHex(big.inner).copy(inner, 20 + options, 20, 40);
        inner.writeUInt8(0x45 + options / 4, 0);
        inner.writeUInt16BE(inner.length, 2);
        expectColumns(peekOne(big, seal(big, inner)), 0, big);
      }
    });

    it(`${name}: truncations never throw`, () => {
      const esp = fromHex(big.esp);
      for (let length = 0; length < 90; length++) {
        const reason = peekOne(big, esp.subarray(0, length)).reason();
        expect(['truncated', 'peek-malformed', 'dummy']).to.include(reason);
      }
    });
  }

  it('reads a packet that ends with the slab, and refuses one that is said to go on', () => {
    const vector = vectorOf('aes128gcm16: udp, empty');
    const esp = fromHex(vector.esp);
    const peeker = new Peeker();
    peeker.install(0, peekKeysOf(vector));
    const batch = new TestBatch([esp]);
    const end = batch.slab.length - esp.length;
    batch.slab.set(esp, end);
    batch.espOffset[0] = end;
    peeker.peek(batch);
    expectColumns(batch, 0, vector);
    batch.espLength[0] = esp.length + 1;
    peeker.peek(batch);
    expect(batch.reason()).to.equal('truncated');
  });

  it('gives unknown-spi for an empty slot, another SPI, a removed SA and a wiped key', () => {
    const vector = vectorOf('aes128gcm16: tcp syn');
    const peeker = new Peeker();
    const keys = peekKeysOf(vector);
    const reason = () => {
      const batch = new TestBatch([fromHex(vector.esp)]);
      peeker.peek(batch);
      return batch.reason();
    };
    expect(reason()).to.equal('unknown-spi');
    peeker.install(0, { ...keys, spi: 0x1234 });
    expect(reason()).to.equal('unknown-spi');
    peeker.install(0, keys);
    expect(reason()).to.equal('none');
    peeker.remove(0);
    peeker.remove(0);
    expect(reason()).to.equal('unknown-spi');
    peeker.install(0, keys);
    keys.encryption.key.wipe();
    expect(reason()).to.equal('unknown-spi');
  });

  it('passes over packets that have a verdict', () => {
    const vector = vectorOf('aes128gcm16: tcp syn');
    const peeker = new Peeker();
    peeker.install(0, peekKeysOf(vector));
    const batch = new TestBatch([fromHex(vector.esp)]);
    batch.verdict[0] = 9;
    peeker.peek(batch);
    expect([batch.verdict[0], batch.innerSource[0]]).to.deep.equal([9, 0]);
  });

  it('counts blocks as GCM does: the first plaintext block is counter 2 (SP 800-38D section 7.1)', () => {
    // Made with AES-CTR, apart from any GCM code.
    const vector = vectorOf('aes128gcm16: tcp syn');
    const material = fromHex(vector.encryptionKey);
    const esp = fromHex(vector.esp);
    const counter = Buffer.concat([material.subarray(16), esp.subarray(8, 16), fromHex('00000002')]);
    const plain = createCipheriv('aes-128-ctr', material.subarray(0, 16), counter).update(
      esp.subarray(16, 64),
    );
    expect(plain.subarray(0, 44).toString('hex')).to.equal(vector.inner);
  });
});
