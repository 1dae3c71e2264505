import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { Crew } from '../../src/io/crew.ts';
import { EspNativeCrypto } from '../../src/io/esp-native-crypto.ts';
import { lookupEncryption, lookupIntegrity } from '../../src/ipsec/algorithms.ts';
import type { EspKeys, PacketCrypto } from '../../src/ipsec/packet-crypto.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { NATIVE_CRYPTOS, SHARED_CRYPTOS, describeEach, type NewCrypto } from '../support/packet-cryptos.ts';

const ROUNDS = 40;
const SLOT_BYTES = 2048;
/** Encryption and integrity, for a slot each: every kind of context that a worker has of its own. */
const SUITES = [
  { encryption: 20, keyBytes: 16 }, // AES-GCM
  { encryption: 28, keyBytes: 32 }, // ChaCha20-Poly1305
  { encryption: 16, keyBytes: 32 }, // AES-CCM
  { encryption: 21, keyBytes: 32 }, // AES-GMAC
  { encryption: 12, keyBytes: 32, integrity: 12 }, // AES-CBC, HMAC-SHA2-256
  { encryption: 13, keyBytes: 16, integrity: 5 }, // AES-CTR, AES-XCBC
  { encryption: 12, keyBytes: 16, integrity: 8 }, // AES-CBC, AES-CMAC
  { encryption: 11, keyBytes: 0, integrity: 14 }, // NULL, HMAC-SHA2-512
] as const;

function newKeys(slot: number): EspKeys {
  const { encryption, keyBytes, ...rest } = SUITES[slot % SUITES.length] as (typeof SUITES)[number];
  const integrity = 'integrity' in rest ? rest.integrity : undefined;
  const key = (bytes = 0) => KeyMaterial.copyOf(randomBytes(bytes));
  return {
    spi: 0x1000 + slot,
    hasEsn: slot % 2 === 1,
    encryption: {
      transform: encryption,
      key: key(keyBytes + (lookupEncryption(encryption)?.saltBytes ?? 0)),
    },
    ...(integrity !== undefined && {
      integrity: { transform: integrity, key: key(lookupIntegrity(integrity)?.keyBytes) },
    }),
  };
}

/** A vector of packets to seal, of sizes that do not fit any step, each of some SA. */
function vectorOf(packets: number, round: number, slots: number): TestBatch {
  const plain = Array.from({ length: packets }, (_, i) =>
    Buffer.alloc((i * 389 + round * 31) % 1460, i + round),
  );
  const batch = new TestBatch(plain, SLOT_BYTES);
  for (let i = 0; i < packets; i++) {
    batch.saSlot[i] = (i * 5 + round) % slots;
    batch.number(i, BigInt(round * 1000 + i + 1), BigInt(round * 1000 + i + 1));
    batch.nextHeader[i] = 4;
  }
  return batch;
}

/** Every fifth packet is not genuine any more. */
function spoil(batch: TestBatch, round: number): boolean[] {
  return Array.from({ length: batch.count }, (_, i) => {
    if ((i + round) % 5 > 0) return false;
    const last = (batch.offset[i] as number) + (batch.length[i] as number) - 1;
    batch.slab[last] = (batch.slab[last] as number) ^ 1;
    return true;
  });
}

function installAll(cryptos: readonly PacketCrypto[], slots: number): void {
  for (let slot = 0; slot < slots; slot++) {
    const keys = newKeys(slot);
    for (const crypto of cryptos) crypto.install(slot, keys);
  }
}

const drawn = (bytes: number) => Buffer.alloc(bytes, 0x5a);

describeEach(SHARED_CRYPTOS, (create, name) => {
  const alone = NATIVE_CRYPTOS.get(`esp-native-crypto with ${name.split(' ').at(-1)}`) as NewCrypto;

  it('makes of vectors of all suites, forged packets among them, what one thread makes of them, keys coming and going', () => {
    const [ours, theirs] = [create({ randomBytes: drawn }), alone({ randomBytes: drawn })];
    installAll([ours, theirs], SUITES.length);
    let genuine = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const packets = 1 + ((round * 37) % 300);
      const [batch, model] = [1, 2].map(() => vectorOf(packets, round, SUITES.length)) as [
        TestBatch,
        TestBatch,
      ];
      ours.seal(batch);
      theirs.seal(model);
      expect(batch.slab.equals(model.slab), `sealed in round ${round}`).to.equal(true);
      expect([batch.offset, batch.length, batch.verdict]).to.deep.equal([
        model.offset,
        model.length,
        model.verdict,
      ]);
      const forged = spoil(batch, round);
      const sent = Array.from({ length: packets }, (_, i) => batch.packet(i));
      ours.open(batch);
      const plain = vectorOf(packets, round, SUITES.length);
      forged.forEach((isForged, i) => {
        expect(batch.reason(i), `packet ${i} of round ${round}`).to.equal(isForged ? 'icv' : 'none');
        expect(batch.packet(i).equals(isForged ? (sent[i] as Buffer) : plain.packet(i))).to.equal(true);
      });
      genuine += forged.filter((isForged) => !isForged).length;
      expect(ours.opened).to.equal(genuine);
      // One SA goes, and another comes in its place.
      const slot = round % SUITES.length;
      for (const crypto of [ours, theirs]) crypto.remove(slot);
      const gone = new TestBatch(sent.slice(0, 2));
      gone.saSlot.fill(slot);
      ours.open(gone);
      expect(gone.reason()).to.equal('unknown-spi');
      const keys = newKeys(slot);
      for (const crypto of [ours, theirs]) crypto.install(slot, keys);
    }
  });
});

describe('vectors that workers share', () => {
  const crew = new Crew(2);
  after(() => crew.close());

  function runsFor(packets: number): number {
    const crypto = new EspNativeCrypto({ library: 'openssl', randomBytes: drawn, crew });
    crypto.install(0, newKeys(0));
    const { runs } = crew.stats();
    crypto.seal(vectorOf(packets, 0, 1));
    return crew.stats().runs - runs;
  }

  it('are those whose work is worth it: a few packets are done by the caller', () => {
    expect(runsFor(3)).to.equal(0);
    expect(runsFor(200)).to.equal(1);
  });

  it('each have an IV of their own for each packet, where IVs are drawn', () => {
    const crypto = new EspNativeCrypto({ library: 'openssl', randomBytes, crew });
    crypto.install(0, newKeys(4));
    const batch = vectorOf(200, 0, 1);
    crypto.seal(batch);
    const ivs = Array.from({ length: 200 }, (_, i) => batch.packet(i).toString('hex', 8, 24));
    expect(new Set(ivs).size).to.equal(200);
  });

  it('are done by the caller once the crew is closed, with the contexts that it has', () => {
    const closed = new Crew(3);
    const crypto = new EspNativeCrypto({ library: 'openssl', randomBytes: drawn, crew: closed });
    crypto.install(0, newKeys(0));
    closed.close();
    const batch = vectorOf(200, 0, 1);
    crypto.seal(batch);
    crypto.open(batch);
    expect(batch.verdict.every((verdict) => verdict === 0)).to.equal(true);
    crypto.remove(0);
  });
});
