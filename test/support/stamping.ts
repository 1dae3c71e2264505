import { KeyMaterial } from '../../src/base/key-material.ts';
import { DROP_REASONS } from '../../src/base/verdict.ts';
import type { EspKeys, PacketCrypto } from '../../src/ipsec/packet-crypto.ts';
import { StampSealer } from '../../src/ipsec/stamp-sealer.ts';
import { Stamper } from '../../src/ipsec/stamper.ts';
import { TestBatch } from './crypto-batch.ts';
import { type NewCrypto, NODE_CRYPTO } from './packet-cryptos.ts';
import { fromHex, readVectors } from './vectors.ts';

export const STAMP_GROUP = 0xc0ffee01;
const TRANSFORM_BY_ICV = { 8: 18, 12: 19, 16: 20 } as const;

export interface StampSetting {
  readonly spi?: number;
  readonly key: string;
  readonly salt: string;
  readonly link: string;
  readonly check?: string;
  readonly epoch: number;
  readonly icvBytes: 8 | 12 | 16;
  readonly hasEsn: boolean;
}

export const SETTING: StampSetting = {
  key: '000102030405060708090a0b0c0d0e0f',
  salt: 'a0a1a2a3',
  link: 'f0efeeedecebeae9e8e7e6e5e4e3e2e1',
  epoch: 7,
  icvBytes: 16,
  hasEsn: false,
};

const noRandom = {
  randomBytes: () => {
    throw new Error('no random bytes wanted here');
  },
};

const batchOf = (packet: Buffer) => new TestBatch([packet], Math.max(2048, packet.length + 256));

/** A target, the routing host and the peer of one SA: what they know of it, and no packets between them but those that a test carries. */
export class StampingPair {
  readonly setting: StampSetting;
  readonly sa: EspKeys & { readonly group: number };
  readonly target: PacketCrypto;
  readonly peer: PacketCrypto;
  readonly link: KeyMaterial;
  readonly check: KeyMaterial;
  sealer: StampSealer;
  stamper: Stamper;

  constructor(setting: StampSetting = SETTING, create: NewCrypto = NODE_CRYPTO) {
    this.setting = setting;
    this.target = create(noRandom);
    this.peer = create(noRandom);
    const { icvBytes } = setting;
    this.sa = {
      spi: setting.spi ?? 0xc101,
      group: STAMP_GROUP,
      hasEsn: setting.hasEsn,
      encryption: {
        transform: TRANSFORM_BY_ICV[icvBytes],
        key: KeyMaterial.copyOf(fromHex(setting.key + setting.salt)),
      },
    };
    this.link = KeyMaterial.copyOf(fromHex(setting.link));
    this.check = KeyMaterial.copyOf(fromHex(setting.check ?? '5c'.repeat(16)));
    this.target.install(0, this.sa);
    this.peer.install(0, this.sa);
    this.sealer = this.newSealer(setting.epoch);
    this.stamper = this.newStamper(setting.epoch);
  }

  newSealer(epoch: number, group = STAMP_GROUP): StampSealer {
    const { link, check } = this;
    return new StampSealer({ epoch, group, icvBytes: this.setting.icvBytes, link, check });
  }

  newStamper(epoch: number): Stamper {
    const { link, check, sa } = this;
    return new Stamper({ epoch, sa, link, check });
  }

  /** The packet for the routing host. */
  seal(inner: Buffer, iv: bigint, sealer = this.sealer): Buffer {
    const batch = batchOf(inner);
    batch.number(0, 0n, iv);
    batch.nextHeader[0] = 4;
    this.target.sealForStamp(batch, () => sealer);
    if (batch.verdict[0] !== 0) throw new Error(batch.reason());
    return batch.packet();
  }

  /** As the target would seal it directly: the packet that must leave. */
  direct(inner: Buffer, iv: bigint, number: bigint): Buffer {
    const batch = batchOf(inner);
    batch.number(0, number, iv);
    batch.nextHeader[0] = 4;
    this.target.seal(batch);
    if (batch.verdict[0] !== 0) throw new Error(batch.reason());
    return batch.packet();
  }

  accept(packet: Buffer, senderId = packet.readUInt16BE(24), epoch = this.setting.epoch): string {
    const batch = batchOf(packet);
    const reason = DROP_REASONS[this.stamper.accept(batch, 0, epoch, senderId)] as string;
    if (!batch.packet().equals(packet)) throw new Error('accept changed the packet');
    return reason;
  }

  /** The packet for the peer, or why there is none. */
  stamp(packet: Buffer, number: bigint, stamper = this.stamper): Buffer | string {
    const batch = batchOf(packet);
    const verdict = stamper.stamp(batch, 0, Number(number >> 32n), Number(number & 0xffff_ffffn));
    return verdict === 0 ? batch.packet() : (DROP_REASONS[verdict] as string);
  }

  /** Both steps. */
  pass(packet: Buffer, number: bigint, senderId?: number): Buffer | string {
    const reason = this.accept(packet, senderId);
    return reason === 'none' ? this.stamp(packet, number) : reason;
  }

  /** What the peer gets out of it, or why it gets nothing. */
  open(esp: Buffer, high = 0): Buffer | string {
    const batch = batchOf(esp);
    batch.sequenceHigh[0] = high;
    this.peer.open(batch);
    return batch.verdict[0] === 0 ? batch.packet() : batch.reason();
  }
}

/** The bytes of `a` xor those of `b`, as many as `a` has. */
export const xor = (a: Uint8Array, b: Uint8Array) => Buffer.from(a.map((byte, i) => byte ^ (b[i] as number)));

export interface GcmVector {
  readonly it: string;
  readonly setting: StampSetting;
  readonly high: number;
  readonly low: number;
  readonly iv: string;
  readonly aad0: string;
  readonly hash: string;
  readonly plain: string;
  readonly cipher: string;
  readonly tag0: string;
  readonly pad: string;
  readonly masked: string;
  readonly correction: string;
  readonly icv: string;
}

/** Checked against OpenSSL when the design was made, each intermediate value of it. */
export const STAMP_VECTORS = readVectors('stamping.json') as readonly GcmVector[];
