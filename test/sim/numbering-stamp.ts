import { KeyMaterial } from '../../src/base/key-material.ts';
import { KEEP } from '../../src/base/verdict.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import type { IvCounter } from '../../src/ipsec/sender-ids.ts';
import type { StampKeys } from '../../src/ipsec/stamp-mask.ts';
import { parseStampHeader, StampHeader } from '../../src/ipsec/stamp-packet.ts';
import { StampSealer } from '../../src/ipsec/stamp-sealer.ts';
import { Stamper } from '../../src/ipsec/stamper.ts';
import { testSa } from '../support/test-sas.ts';

/** The simulated SA. Its keys are as constant as nobody's else: what must differ are the IVs. */
const SA = testSa({ spi: 0xc0de_0001, direction: 'out' });
const SLOT = 0;
const ICV_BYTES = 16;
const PAYLOAD = Buffer.alloc(16, 0x45);
const IPV4 = 4;

const crypto = new EspNodeCrypto({ randomBytes: (bytes) => Buffer.alloc(bytes) });
crypto.install(SLOT, SA);
const scratch = new PacketVector(1);

function only(packet: Uint8Array): PacketVector {
  scratch.reset();
  scratch.push(packet);
  scratch.saSlot[0] = SLOT;
  return scratch;
}

/** What one life of the routing host shares with its targets. */
export class StampingLife {
  readonly epoch: number;
  readonly stamper: Stamper;
  readonly #keys: StampKeys;

  constructor(epoch: number, random: (bytes: number) => Uint8Array) {
    this.epoch = epoch;
    this.#keys = { link: KeyMaterial.copyOf(random(16)), check: KeyMaterial.copyOf(random(16)) };
    this.stamper = new Stamper({ sa: SA, epoch, ...this.#keys });
  }

  sealer(): StampSealer {
    return new StampSealer({ ...this.#keys, epoch: this.epoch, group: SA.group, icvBytes: ICV_BYTES });
  }

  /** May it be stamped? Its counter, or 0. */
  accept(packet: Buffer, epoch: number, senderId: number | undefined): number {
    const verdict = this.stamper.accept(only(packet), 0, epoch, senderId ?? 0);
    return verdict === KEEP ? ivOf(packet).counter : 0;
  }

  /** The packet for the peer. */
  stamp(packet: Buffer, number: number): Buffer | undefined {
    const vector = only(packet);
    return this.stamper.stamp(vector, 0, 0, number) === KEEP ? Buffer.from(vector.packet(0)) : undefined;
  }
}

/** A packet for the stamper, as a target makes it. */
export function sealForStamp(sealer: StampSealer, iv: IvCounter): Buffer {
  const vector = only(PAYLOAD);
  const counter = iv.take(1);
  vector.ivHigh[0] = iv.high(counter);
  vector.ivLow[0] = iv.low(counter);
  vector.nextHeader[0] = IPV4;
  crypto.sealForStamp(vector, () => sealer);
  if (vector.verdict[0] !== KEEP) throw new Error('not sealed');
  return Buffer.from(vector.packet(0));
}

export function ivOf(packet: Buffer): { readonly senderId: number; readonly counter: number } {
  const header = new StampHeader();
  parseStampHeader(packet, 0, packet.length, header);
  return { senderId: header.senderId, counter: header.counter };
}

/** Does the peer take it? */
export function opens(esp: Buffer): boolean {
  const vector = only(esp);
  crypto.open(vector);
  return vector.verdict[0] === KEEP;
}
