import { createCipheriv, createHmac } from 'node:crypto';
import { expect } from 'chai';
import { knownAlgorithms } from '../../src/ipsec/algorithms.ts';
import { type EspVector, keysOf, TestBatch } from '../support/crypto-batch.ts';
import { describeEach, type NewCrypto, PACKET_CRYPTOS } from '../support/packet-cryptos.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

interface Published {
  gcm: { key: string; nonce: string; plaintext: string; aad: string; ciphertext: string; tag: string }[];
  cbc: {
    case: string;
    spi: number;
    sequence: number;
    key: string;
    nextHeader: number;
    esp: string;
    payload: string;
  }[];
  esp: {
    case: string;
    encryption: number;
    encryptionKey: string;
    spi: number;
    sequence: number;
    esp: string;
    payload: string;
    nextHeader: number;
  }[];
}

const published = readVectors('esp-published.json') as Published;
const scapy = (readVectors('esp-scapy.json') as { vectors: EspVector[] }).vectors;
const MAC_KEY = '0f'.repeat(32);

const noRandom = () => {
  throw new Error('no random bytes wanted here');
};
/** Random bytes that are not: the IV of the vector. */
const fixed = (hex: string) => () => fromHex(hex);

function publishedVectors(create: NewCrypto): void {
  published.gcm.forEach((vector, index) => {
    const [aad, nonce, plaintext] = [vector.aad, vector.nonce, vector.plaintext].map(fromHex) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    const hasEsn = aad.length === 12;
    const low = aad.readUInt32BE(aad.length - 4);
    const high = hasEsn ? aad.readUInt32BE(4) : 0;
    const header = Buffer.concat([aad.subarray(0, 4), aad.subarray(-4), nonce.subarray(4)]);
    const esp = Buffer.concat([header, fromHex(vector.ciphertext), fromHex(vector.tag)]);
    const padding = plaintext.at(-2) as number;
    const payload = plaintext.subarray(0, plaintext.length - 2 - padding);
    const keys = () =>
      keysOf({
        spi: aad.readUInt32BE(0),
        hasEsn,
        encryption: 20,
        encryptionKey: vector.key + nonce.subarray(0, 4).toString('hex'),
      });

    it(`opens ESP case ${index + 1} of draft-mcgrew-gcm-test-01 (RFC 4106)`, () => {
      const crypto = create({ randomBytes: noRandom });
      crypto.install(3, keys());
      const batch = new TestBatch([esp]);
      batch.saSlot[0] = 3;
      batch.sequenceHigh[0] = high;
      crypto.open(batch);
      expect(batch.reason()).to.equal('none');
      expect(batch.packet()).to.deep.equal(payload);
      expect(batch.nextHeader[0]).to.equal(plaintext.at(-1));
      expect([batch.sequenceHigh[0], batch.sequenceLow[0]]).to.deep.equal([high, low]);
    });

    const iv = nonce.readBigUInt64BE(4);
    if (iv === 0n) return; // an IV of 0 is never sealed with: see below
    it(`seals ESP case ${index + 1} of draft-mcgrew-gcm-test-01 to the same bytes`, () => {
      const crypto = create({ randomBytes: noRandom });
      crypto.install(0, keys());
      const batch = new TestBatch([payload]);
      batch.number(0, (BigInt(high) << 32n) | BigInt(low), iv);
      batch.nextHeader[0] = plaintext.at(-1) as number;
      crypto.seal(batch);
      expect(batch.reason()).to.equal('none');
      expect(batch.packet()).to.deep.equal(esp);
    });
  });

  for (const vector of published.cbc) {
    // The RFC's packets end with the ciphertext; the ICV is added here, made by another path than ours.
    const esp = fromHex(vector.esp);
    const icv = createHmac('sha256', fromHex(MAC_KEY)).update(esp).digest().subarray(0, 16);
    const keys = () =>
      keysOf({
        spi: vector.spi,
        encryption: 12,
        encryptionKey: vector.key,
        integrity: 12,
        integrityKey: MAC_KEY,
      });

    it(`opens case ${vector.case} of RFC 3602 section 4`, () => {
      const crypto = create({ randomBytes: noRandom });
      crypto.install(0, keys());
      const batch = new TestBatch([Buffer.concat([esp, icv])]);
      crypto.open(batch);
      expect(batch.reason()).to.equal('none');
      expect(batch.packet().toString('hex')).to.equal(vector.payload);
      expect(batch.nextHeader[0]).to.equal(vector.nextHeader);
      expect(batch.sequenceLow[0]).to.equal(vector.sequence);
    });

    it(`seals case ${vector.case} of RFC 3602 section 4 to the same bytes`, () => {
      const crypto = create({ randomBytes: fixed(vector.esp.slice(16, 48)) });
      crypto.install(0, keys());
      const batch = new TestBatch([fromHex(vector.payload)]);
      batch.number(0, BigInt(vector.sequence), 0n);
      batch.nextHeader[0] = vector.nextHeader;
      crypto.seal(batch);
      expect(batch.reason()).to.equal('none');
      expect(batch.packet()).to.deep.equal(Buffer.concat([esp, icv]));
    });
  }
}

function packetsOfRfcs(create: NewCrypto): void {
  for (const vector of published.esp) {
    it(`opens ${vector.case}`, () => {
      const crypto = create({ randomBytes: noRandom });
      crypto.install(0, keysOf(vector));
      const batch = new TestBatch([fromHex(vector.esp)]);
      crypto.open(batch);
      expect(batch.reason()).to.equal('none');
      expect(batch.packet().toString('hex')).to.equal(vector.payload);
      expect(batch.nextHeader[0]).to.equal(vector.nextHeader);
      expect(batch.sequenceLow[0]).to.equal(vector.sequence);
    });

    const iv = fromHex(vector.esp).readBigUInt64BE(8);
    if (iv === 0n) continue; // an IV of 0 is never sealed with: see below
    it(`seals ${vector.case} to the same bytes`, () => {
      const crypto = create({ randomBytes: noRandom });
      crypto.install(0, keysOf(vector));
      const batch = new TestBatch([fromHex(vector.payload)]);
      batch.number(0, BigInt(vector.sequence), iv);
      batch.nextHeader[0] = vector.nextHeader;
      crypto.seal(batch);
      expect(batch.packet().toString('hex')).to.equal(vector.esp);
    });
  }
}

function packetsOfScapy(create: NewCrypto): void {
  for (const vector of scapy) {
    it(`opens ${vector.it}`, () => {
      const crypto = create({ randomBytes: noRandom });
      crypto.install(0, keysOf(vector));
      const batch = new TestBatch([fromHex(vector.esp)]);
      batch.sequenceHigh[0] = Number(BigInt(vector.sequence) >> 32n);
      crypto.open(batch);
      expect(batch.reason()).to.equal('none');
      expect(batch.nextHeader[0]).to.equal(4);
      expect(batch.packet().toString('hex')).to.equal(vector.inner);
    });

    it(`seals ${vector.it} to the same bytes`, () => {
      const crypto = create({ randomBytes: fixed(vector.iv) });
      crypto.install(0, keysOf(vector));
      const batch = new TestBatch([fromHex(vector.inner)]);
      const iv = Buffer.concat([fromHex(vector.iv), Buffer.alloc(8)]).readBigUInt64BE(0);
      batch.number(0, BigInt(vector.sequence), iv);
      batch.nextHeader[0] = 4;
      crypto.seal(batch);
      expect(batch.packet().toString('hex')).to.equal(vector.esp);
    });
  }
}

function rules(create: NewCrypto): void {
  const vectorOf = (it: string) => scapy.find((vector) => vector.it === it) as EspVector;
  const suites = { GCM: vectorOf('aes128gcm16: tcp syn') };
  const everySuite = scapy.filter(({ it }) => it.endsWith(': tcp syn') && !it.includes('ESN'));

  function openOne(vector: EspVector, esp: Buffer, change?: (batch: TestBatch) => void): TestBatch {
    const crypto = create({ randomBytes: noRandom });
    crypto.install(0, keysOf(vector));
    const batch = new TestBatch([esp]);
    change?.(batch);
    crypto.open(batch);
    return batch;
  }

  function sealOne(
    vector: EspVector,
    plain: Buffer,
    options: { sequence?: bigint; iv?: bigint; nextHeader?: number } = {},
  ): TestBatch {
    const crypto = create({ randomBytes: fixed('00'.repeat(16)) });
    crypto.install(0, keysOf(vector));
    const batch = new TestBatch([plain]);
    batch.number(0, options.sequence ?? 1n, options.iv ?? 1n);
    batch.nextHeader[0] = options.nextHeader ?? 4;
    crypto.seal(batch);
    return batch;
  }

  for (const vector of everySuite) {
    const [name = ''] = vector.it.split(':');
    const isClear = [11, 21].includes(vector.encryption);

    it(`${name}: every changed bit is "icv" (or another SPI), and the slab stays as it was (RFC 4303 section 3.4.4.1)`, () => {
      const esp = fromHex(vector.esp);
      for (let at = 0; at < esp.length; at++) {
        const forged = Buffer.from(esp);
        forged.writeUInt8(forged.readUInt8(at) ^ (1 << (at % 8)), at);
        const batch = openOne(vector, forged);
        expect(batch.reason(), `byte ${at}`).to.equal(at < 4 ? 'unknown-spi' : 'icv');
        expect(batch.packet()).to.deep.equal(forged);
        if (!isClear) expect(batch.slab.includes(fromHex(vector.inner).subarray(0, 12))).to.equal(false);
      }
    });

    it(`${name}: every truncation is refused`, () => {
      const esp = fromHex(vector.esp);
      for (let length = 0; length < esp.length; length++) {
        const { offset, ...batch } = openOne(vector, esp.subarray(0, length));
        const reason = openOne(vector, esp.subarray(0, length)).reason();
        expect(['truncated', 'malformed', 'icv']).to.include(reason);
        expect(offset[0]).to.equal(64);
        expect(batch.length[0]).to.equal(length);
      }
    });

    it(`${name}: a packet said to be longer than the slab is truncated`, () => {
      const batch = openOne(vector, fromHex(vector.esp), (made) => (made.length[0] = 100_000));
      expect(batch.reason()).to.equal('truncated');
    });

    it(`${name}: next header 59 is a dummy (RFC 4303 section 2.6), but its number was authenticated`, () => {
      const sealed = sealOne(vector, Buffer.alloc(9), { nextHeader: 59, sequence: 77n });
      const batch = openOne(vector, sealed.packet());
      expect(batch.reason()).to.equal('dummy');
      expect(batch.sequenceLow[0]).to.equal(77);
    });

    it(`${name}: refuses number 0, and numbers beyond 2^32 without ESN (RFC 4303 section 3.3.3)`, () => {
      expect(sealOne(vector, Buffer.alloc(20), { sequence: 0n }).reason()).to.equal('no-number');
      expect(sealOne(vector, Buffer.alloc(20), { sequence: 1n << 32n }).reason()).to.equal('no-number');
    });

    it(`${name}: a wiped key neither opens nor seals`, () => {
      const crypto = create({ randomBytes: noRandom });
      const keys = keysOf(vector);
      crypto.install(0, keys);
      (keys.integrity ?? keys.encryption).key.wipe();
      const batch = new TestBatch([fromHex(vector.esp)]);
      crypto.open(batch);
      expect(batch.reason()).to.equal('unknown-spi');
      const out = new TestBatch([Buffer.alloc(40)]);
      out.number(0, 1n, 1n);
      crypto.seal(out);
      expect(out.reason()).to.equal('unknown-spi');
      expect(out.packet()).to.deep.equal(Buffer.alloc(40));
    });

    it(`${name}: seals every length and touches nothing outside of the packet`, () => {
      for (let length = 0; length < 70; length++) {
        const plain = Buffer.alloc(length, length);
        const batch = sealOne(vector, plain);
        const [start, end] = [
          batch.offset[0] as number,
          (batch.offset[0] as number) + (batch.length[0] as number),
        ];
        expect(batch.slab.subarray(0, start).every((byte) => byte === 0xaa)).to.equal(true);
        expect(batch.slab.subarray(end).every((byte) => byte === 0xaa)).to.equal(true);
        expect(64 - start).to.be.at.most(24);
        expect(end - 64 - length).to.be.at.most(49);
        expect(openOne(vector, batch.packet()).packet()).to.deep.equal(plain);
      }
    });
  }

  it('refuses padding that is not 1, 2, 3 ... or longer than the packet (RFC 4303 section 2.4)', () => {
    const { GCM } = suites;
    const trailer = (bytes: number[]) => {
      return openOne(GCM, gcmPacket(GCM, Buffer.concat([Buffer.alloc(20), Buffer.from(bytes)]))).reason();
    };
    expect(trailer([1, 2, 2, 4])).to.equal('none');
    expect(trailer([1, 1, 2, 4])).to.equal('padding');
    expect(trailer([0, 2, 2, 4])).to.equal('padding');
    expect(trailer([1, 2, 200, 4])).to.equal('padding');
    expect(trailer([7, 7, 0, 4])).to.equal('none');
  });

  it('lets a batch be partly bad, passes over what has a verdict, and keeps slots apart', () => {
    const [a, b] = [suites.GCM, vectorOf('aes256gcm16: tcp syn')];
    const crypto = create({ randomBytes: noRandom });
    crypto.install(1, keysOf(a));
    crypto.install(2, keysOf(b));
    const esp = [a.esp, b.esp, a.esp, a.esp, b.esp].map(fromHex);
    const batch = new TestBatch(esp);
    batch.saSlot.set([1, 2, 2, 1, 9]);
    batch.verdict[3] = 5;
    crypto.open(batch);
    expect([0, 1, 2, 4].map((i) => batch.reason(i))).to.deep.equal([
      'none',
      'none',
      'unknown-spi',
      'unknown-spi',
    ]);
    expect(batch.verdict[3]).to.equal(5);
    expect(batch.packet(3)).to.deep.equal(esp[3]);
    expect(batch.packet(1).toString('hex')).to.equal(b.inner);
    crypto.remove(1);
    const later = new TestBatch([fromHex(a.esp)]);
    later.saSlot[0] = 1;
    crypto.open(later);
    expect(later.reason()).to.equal('unknown-spi');
    expect(crypto.opened, 'only what was opened is counted').to.equal(2);
  });

  it('says which number it authenticated, whatever the caller guessed: without ESN the high half is 0', () => {
    const batch = openOne(suites.GCM, fromHex(suites.GCM.esp), (made) => made.number(0, 0x5_0000_0005n, 0n));
    expect(batch.reason()).to.equal('none');
    expect([batch.sequenceHigh[0], batch.sequenceLow[0]]).to.deep.equal([0, 0x01020304]);
  });

  it('throws on install when the algorithm is not supported', () => {
    const crypto = create({ randomBytes: noRandom });
    expect(() =>
      crypto.install(0, keysOf({ spi: 256, encryption: 23, encryptionKey: '00'.repeat(16) })),
    ).to.throw(/CAMELLIA-CBC/);
  });

  it('never seals with a nonce that nobody drew, in any algorithm that must not repeat one', () => {
    for (const vector of everySuite) {
      const hasNonce = ![11, 12].includes(vector.encryption);
      const batch = sealOne(vector, Buffer.alloc(20), { iv: 0n });
      expect(batch.reason(), vector.it).to.equal(hasNonce ? 'no-number' : 'none');
    }
  });

  it('puts sender id and counter into the packet as the IV, wherever it is numbered (docs/outbound.md)', () => {
    for (const vector of everySuite.filter(({ encryption }) => ![11, 12].includes(encryption))) {
      const packet = sealOne(vector, Buffer.alloc(20), { iv: 0x0007_0000_0000_0009n }).packet();
      expect(packet.readBigUInt64BE(8), vector.it).to.equal(0x0007_0000_0000_0009n);
    }
  });

  it('has a suite of every row of the table among these', () => {
    for (const { transform, name } of knownAlgorithms().encryption)
      expect(
        everySuite.some(({ encryption }) => encryption === transform),
        name,
      ).to.equal(true);
    for (const { transform, name } of knownAlgorithms().integrity)
      expect(
        everySuite.some(({ integrity }) => integrity === transform),
        name,
      ).to.equal(true);
  });

  it('says too-big when there is no room for header or trailer', () => {
    const crypto = create({ randomBytes: noRandom });
    crypto.install(0, keysOf(suites.GCM));
    const batch = new TestBatch([Buffer.alloc(20), Buffer.alloc(20)]);
    batch.number(0, 1n, 1n);
    batch.number(1, 1n, 1n);
    batch.offset.set([8, batch.slab.length - 20]);
    crypto.seal(batch);
    expect([batch.reason(0), batch.reason(1)]).to.deep.equal(['too-big', 'too-big']);
  });
}

describeEach(PACKET_CRYPTOS, (create) => {
  describe('published vectors', () => publishedVectors(create));
  describe('whole packets of RFCs', () => packetsOfRfcs(create));
  describe('packets of scapy', () => packetsOfScapy(create));
  describe('rules', () => rules(create));
});

/** A GCM packet of the vector's SA whose plaintext, trailer included, is exactly `plaintext`; made apart from our code. */
function gcmPacket(vector: EspVector, plaintext: Buffer): Buffer {
  const material = fromHex(vector.encryptionKey);
  const header = Buffer.concat([fromHex(vector.esp).subarray(0, 4), fromHex('00000001'), Buffer.alloc(8, 7)]);
  const nonce = Buffer.concat([material.subarray(16), header.subarray(8)]);
  const cipher = createCipheriv('aes-128-gcm', material.subarray(0, 16), nonce);
  cipher.setAAD(header.subarray(0, 8));
  return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}
