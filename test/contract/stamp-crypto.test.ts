import { expect } from 'chai';
import * as fc from 'fast-check';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { EspNativeCrypto } from '../../src/io/esp-native-crypto.ts';
import { NativeMasker, NativeMasks } from '../../src/io/native-masker.ts';
import { NativeStamper } from '../../src/io/native-stamper.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import type { PacketCrypto, StampMasker } from '../../src/ipsec/packet-crypto.ts';
import type { StampCrypto } from '../../src/ipsec/stamp-crypto.ts';
import { StampNodeCrypto } from '../../src/ipsec/stamp-node-crypto.ts';
import { StampSealer } from '../../src/ipsec/stamp-sealer.ts';
import { StampWindow } from '../../src/ipsec/stamp-window.ts';
import type { StamperOptions } from '../../src/ipsec/stamper.ts';
import { keysOf, TestBatch } from '../support/crypto-batch.ts';
import { describeEachWay } from '../support/instruction-ways.ts';
import { STAMP_VECTORS, StampingPair } from '../support/stamping.ts';

const EPOCH = 7;
const randomBytes = () => {
  throw new Error('no random bytes wanted here');
};

/** Every length of key and ICV, with ESN and without: one SA each. */
const SAS: readonly StamperOptions[] = [16, 24, 32].flatMap((keyBytes) =>
  [18, 19, 20].flatMap((encryption) =>
    [false, true].map((hasEsn) => {
      const seed = keyBytes + encryption + (hasEsn ? 100 : 0);
      const material = (bytes: number, step: number) =>
        Buffer.from(Array.from({ length: bytes }, (_, i) => (seed * step + i * 37) & 255));
      const encryptionKey = material(keyBytes + 4, 1).toString('hex');
      const spi = 0xc100 + seed;
      return {
        sa: { ...keysOf({ spi, hasEsn, encryption, encryptionKey }), group: 0x11110000 + seed },
        epoch: EPOCH,
        link: KeyMaterial.copyOf(material(16, 3)),
        check: KeyMaterial.copyOf(material(16, 5)),
      };
    }),
  ),
);
const icvBytesOf = ({ sa }: StamperOptions) => ({ 18: 8, 19: 12 })[sa.encryption.transform] ?? 16;
const sealerOptionsOf = (options: StamperOptions) => ({
  ...options,
  group: options.sa.group,
  icvBytes: icvBytesOf(options),
});

const packet = fc.record({
  slot: fc.nat(SAS.length - 1),
  claimed: fc.oneof({ weight: 12, arbitrary: fc.constant(-2) }, fc.integer({ min: -1, max: SAS.length })),
  length: fc.oneof(fc.nat(60), fc.nat(1500), fc.constant(9000)),
  sender: fc.constantFrom<number>(1, 2, 3, 65_535),
  /** Close to each other, so that windows matter. */
  counter: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 2 ** 47, max: 2 ** 48 - 1 })),
  high: fc.oneof(fc.constant(0), fc.nat(0xffff_ffff)),
  low: fc.nat(0xffff_ffff),
  change: fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    fc.tuple(fc.nat(100), fc.integer({ min: 1, max: 255 })),
  ),
  cut: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.nat(60)),
  wrongSender: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  dontFragment: fc.nat(1),
});
type Packet = typeof packet extends fc.Arbitrary<infer Value> ? Value : never;

/** Of many SAs, or of one: those are done side by side. */
const packetsOfOneVector = fc.oneof(
  fc.array(packet, { minLength: 1, maxLength: 40 }),
  fc
    .tuple(fc.array(packet, { minLength: 1, maxLength: 70 }), fc.nat(SAS.length - 1))
    .map(([all, slot]) => all.map((one) => ({ ...one, slot }))),
);

const SLOT_BYTES = 9400;

function toSeal(packets: readonly Packet[]): TestBatch {
  const batch = new TestBatch(
    packets.map(({ length }) => Buffer.alloc(length, 0x45)),
    SLOT_BYTES,
  );
  packets.forEach(({ slot, sender, counter, dontFragment }, i) => {
    batch.saSlot[i] = slot;
    batch.nextHeader[i] = 4;
    batch.number(i, 99n, (BigInt(sender) << 48n) | BigInt(counter));
    batch.trafficClass[i] = counter & 255;
    batch.hopLimit[i] = length(batch, i) & 255;
    batch.dontFragment[i] = dontFragment;
  });
  return batch;
}

const length = (batch: TestBatch, i: number) => batch.length[i] as number;
/** What a step leaves. */
const resultOf = (batch: TestBatch) => ({
  verdict: batch.verdict,
  offset: batch.offset,
  length: batch.length,
  slab: batch.slab,
});
function expectSame(tested: TestBatch, wanted: TestBatch): void {
  const [a, b] = [resultOf(tested), resultOf(wanted)];
  expect({ ...a, slab: undefined }).to.deep.equal({ ...b, slab: undefined });
  expect(Buffer.compare(a.slab, b.slab)).to.equal(0);
}

const oracleMaskers = SAS.map((options) => new StampSealer(sealerOptionsOf(options)));
const oracleCrypto = new EspNodeCrypto({ randomBytes });
SAS.forEach(({ sa }, slot) => oracleCrypto.install(slot, sa));

function sealed(packets: readonly Packet[]): TestBatch {
  const batch = toSeal(packets);
  oracleCrypto.sealForStamp(batch, (slot) => oracleMaskers[slot]);
  packets.forEach(({ change, cut, claimed }, i) => {
    const start = batch.offset[i] as number;
    if (change !== undefined)
      batch.slab[start + change[0]] = (batch.slab[start + change[0]] as number) ^ change[1];
    batch.length[i] = Math.max(0, length(batch, i) - cut);
    if (claimed !== -2) batch.saSlot[i] = claimed;
  });
  return batch;
}

/** Both steps over a row of vectors, those with an old epoch among them. */
function stampAll(crypto: StampCrypto, vectors: readonly { packets: readonly Packet[]; epoch: number }[]) {
  SAS.forEach((options, slot) => crypto.install(slot, options));
  return vectors.map(({ packets, epoch }) => {
    const batch = sealed(packets);
    batch.senderId.set(packets.map(({ sender, wrongSender }) => (wrongSender ? 4 : sender)));
    crypto.accept(batch, epoch);
    const accepted = Uint8Array.from(batch.verdict);
    packets.forEach(({ high, low, slot }, i) => {
      batch.sequenceHigh[i] = SAS[slot]?.sa.hasEsn === true ? high : 0;
      batch.sequenceLow[i] = low;
    });
    const again = new TestBatch(
      packets.map((_, i) => batch.packet(i)),
      SLOT_BYTES,
    );
    crypto.stamp(batch);
    // A copy of what was accepted, stamped again by a careless caller.
    again.saSlot.set(batch.saSlot);
    again.verdict.set(accepted);
    again.sequenceLow.fill(5);
    crypto.stamp(again);
    return { accepted, batch, again };
  });
}

describeEachWay('stamping by the addon', () => {
  it('accepts, refuses and stamps what node:crypto does, and leaves the same bytes', () => {
    const vectors = fc.array(
      fc.record({
        packets: packetsOfOneVector,
        epoch: fc.constantFrom(EPOCH, EPOCH, EPOCH, EPOCH + 1),
      }),
      { minLength: 1, maxLength: 4 },
    );
    const seen = new Set<string>();
    fc.assert(
      fc.property(vectors, (given) => {
        const wanted = stampAll(new StampNodeCrypto(), given);
        stampAll(new NativeStamper(), given).forEach(({ accepted, batch, again }, at) => {
          const reference = wanted[at] as (typeof wanted)[number];
          expect(accepted).to.deep.equal(reference.accepted);
          expectSame(batch, reference.batch);
          expectSame(again, reference.again);
          for (let i = 0; i < batch.count; i++) {
            seen.add(batch.reason(i));
            if (batch.reason(i) === 'none') expect(again.reason(i)).to.equal('stamp-repeat');
          }
        });
      }),
      { numRuns: 60 },
    );
    const reasons = ['none', 'stamp-malformed', 'stamp-epoch', 'stamp-check', 'stamp-sender', 'stamp-repeat'];
    expect([...seen]).to.include.members(reasons);
  });

  it('keeps the window of the model, whatever order packets come in', () => {
    const options = SAS[0] as StamperOptions;
    const given = { slot: 0, length: 20, sender: 1, counter: 1, dontFragment: 0 };
    const unchanged = { claimed: -2, cut: 0, high: 0, low: 1, change: undefined, wrongSender: false };
    const template = sealed([{ ...given, ...unchanged }]);
    const counter = fc.oneof(
      fc.integer({ min: 1, max: 150 }),
      fc.integer({ min: 2 ** 48 - 70, max: 2 ** 48 - 1 }),
    );
    fc.assert(
      fc.property(fc.array(counter, { minLength: 20, maxLength: 120 }), (counters) => {
        const batch = new TestBatch(counters.map(() => template.packet()));
        counters.forEach((value, i) => batch.slab.writeUIntBE(value, (batch.offset[i] as number) + 26, 6));
        batch.sequenceLow.fill(9);
        const stamps = new NativeStamper();
        stamps.install(0, options);
        stamps.stamp(batch);
        const model = new StampWindow();
        expect(counters.map((_, i) => batch.verdict[i] === 0)).to.deep.equal(
          counters.map((value) => model.mark(value)),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('masks what node:crypto masks, several SAs in one vector', () => {
    fc.assert(
      fc.property(packetsOfOneVector, (packets) => {
        const run = (crypto: PacketCrypto, maskers: readonly StampMasker[]) => {
          SAS.forEach(({ sa }, slot) => crypto.install(slot, sa));
          const batch = toSeal(packets);
          packets.forEach(({ wrongSender }, i) => {
            if (wrongSender) batch.offset[i] = i * SLOT_BYTES + 20; // no headroom
          });
          crypto.sealForStamp(batch, (slot) => maskers[slot]);
          return batch;
        };
        const masks = new NativeMasks();
        const maskers = SAS.map((options, slot) => new NativeMasker(masks, slot, sealerOptionsOf(options)));
        const wanted = run(new EspNodeCrypto({ randomBytes }), oracleMaskers);
        const native = new EspNativeCrypto({ library: 'openssl', randomBytes });
        expectSame(run(native, maskers), wanted);
        const mixed = maskers.map((masker, slot) =>
          slot % 2 === 0 ? masker : (oracleMaskers[slot] as StampMasker),
        );
        expectSame(run(native, mixed), wanted);
      }),
      { numRuns: 40 },
    );
  });

  for (const vector of STAMP_VECTORS) {
    it(`stamps ${vector.it}`, () => {
      const pair = new StampingPair(vector.setting);
      const { link, check, sa } = pair;
      const stamps = new NativeStamper();
      stamps.install(0, { sa, epoch: vector.setting.epoch, link, check });
      const head = (number: number) => {
        const bytes = Buffer.alloc(8);
        bytes.writeUInt32BE(vector.setting.spi ?? 0, 0);
        bytes.writeUInt32BE(number, 4);
        return Buffer.concat([bytes, Buffer.from(vector.iv + vector.cipher, 'hex')]);
      };
      const cut = (tag: string) => Buffer.from(tag, 'hex').subarray(0, vector.setting.icvBytes);
      const batch = new TestBatch([Buffer.concat([head(0), cut(vector.tag0)])]);
      const options = { ...vector.setting, group: sa.group, link, check };
      const masker = new NativeMasker(new NativeMasks(), 0, options);
      expect(masker.mask(batch, 0)).to.equal(0);
      expect(batch.packet().subarray(16)).to.deep.equal(Buffer.concat([head(0), cut(vector.masked)]));
      batch.senderId[0] = Buffer.from(vector.iv, 'hex').readUInt16BE(0);
      stamps.accept(batch, vector.setting.epoch);
      [batch.sequenceHigh[0], batch.sequenceLow[0]] = [vector.high, vector.low];
      stamps.stamp(batch);
      expect(batch.reason()).to.equal('none');
      expect(batch.packet()).to.deep.equal(Buffer.concat([head(vector.low), cut(vector.icv)]));
    });
  }
});
