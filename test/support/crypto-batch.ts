import { KeyMaterial } from '../../src/base/key-material.ts';
import { DROP_REASONS } from '../../src/base/verdict.ts';
import type { EspKeys, StampBatch } from '../../src/ipsec/packet-crypto.ts';
import type { PeekBatch, PeekKeys } from '../../src/ipsec/peek.ts';
import { fromHex } from './vectors.ts';

const SLOT = 2048;
const HEADROOM = 64;

/** A batch for ESP and peek, apart from the data plane's vector: 0xaa wherever no packet is. */
export class TestBatch implements StampBatch, PeekBatch {
  readonly count: number;
  readonly slab: Buffer;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
  readonly saSlot: Int32Array;
  readonly sequenceHigh: Uint32Array;
  readonly sequenceLow: Uint32Array;
  readonly ivHigh: Uint32Array;
  readonly ivLow: Uint32Array;
  readonly nextHeader: Uint8Array;
  readonly verdict: Uint8Array;
  readonly espOffset: Uint32Array;
  readonly espLength: Uint32Array;
  readonly family: Uint8Array;
  readonly innerSource: Uint32Array;
  readonly innerDestination: Uint32Array;
  readonly protocol: Uint8Array;
  readonly sourcePort: Uint16Array;
  readonly destinationPort: Uint16Array;
  readonly tcpFlags: Uint8Array;
  readonly fragment: Uint8Array;
  readonly fragmentId: Uint32Array;
  readonly quotedProtocol: Uint8Array;
  readonly quotedDestination: Uint32Array;
  readonly quotedSourcePort: Uint16Array;
  readonly quotedDestinationPort: Uint16Array;
  readonly trafficClass: Uint8Array;
  readonly hopLimit: Uint8Array;
  readonly dontFragment: Uint8Array;
  readonly senderId: Uint16Array;

  constructor(packets: readonly Uint8Array[], slotBytes = SLOT) {
    const n = packets.length;
    this.count = n;
    this.slab = Buffer.alloc(n * slotBytes, 0xaa);
    this.offset = Uint32Array.from(packets, (_, i) => i * slotBytes + HEADROOM);
    this.length = Uint32Array.from(packets, (packet) => packet.length);
    packets.forEach((packet, i) => this.slab.set(packet, this.offset[i]));
    this.espOffset = Uint32Array.from(this.offset);
    this.espLength = Uint32Array.from(this.length);
    this.saSlot = new Int32Array(n);
    [this.sequenceHigh, this.sequenceLow, this.ivHigh, this.ivLow] = [u32(n), u32(n), u32(n), u32(n)];
    [this.innerSource, this.innerDestination, this.fragmentId] = [u32(n * 4), u32(n * 4), u32(n)];
    [this.nextHeader, this.verdict, this.family, this.protocol] = [u8(n), u8(n), u8(n), u8(n)];
    [this.tcpFlags, this.fragment, this.quotedProtocol] = [u8(n), u8(n), u8(n)];
    [this.trafficClass, this.hopLimit, this.dontFragment] = [u8(n), u8(n), u8(n)];
    this.quotedDestination = u32(n * 4);
    [this.quotedSourcePort, this.quotedDestinationPort] = [new Uint16Array(n), new Uint16Array(n)];
    this.senderId = new Uint16Array(n);
    [this.sourcePort, this.destinationPort] = [new Uint16Array(n), new Uint16Array(n)];
  }

  /** A copy. */
  packet(i = 0): Buffer {
    const start = this.offset[i] as number;
    return Buffer.from(this.slab.subarray(start, start + (this.length[i] as number)));
  }

  reason(i = 0): string {
    return DROP_REASONS[this.verdict[i] as number] as string;
  }

  /** Number and IV of the packet to seal. */
  number(i: number, sequence: bigint, iv: bigint): void {
    this.sequenceHigh[i] = Number(sequence >> 32n);
    this.sequenceLow[i] = Number(sequence & 0xffff_ffffn);
    this.ivHigh[i] = Number(iv >> 32n);
    this.ivLow[i] = Number(iv & 0xffff_ffffn);
  }
}

const u32 = (n: number) => new Uint32Array(n);
const u8 = (n: number) => new Uint8Array(n);

export interface KeyText {
  readonly spi: number;
  readonly hasEsn?: boolean;
  readonly encryption: number;
  readonly encryptionKey: string;
  readonly integrity?: number;
  readonly integrityKey?: string;
}

export function keysOf(text: KeyText): EspKeys & { mode: 'tunnel' } {
  const material = (hex: string) => KeyMaterial.copyOf(fromHex(hex));
  return {
    spi: text.spi,
    hasEsn: text.hasEsn ?? false,
    mode: 'tunnel',
    encryption: { transform: text.encryption, key: material(text.encryptionKey) },
    ...(text.integrity !== undefined &&
      text.integrity !== 0 && {
        integrity: { transform: text.integrity, key: material(text.integrityKey ?? '') },
      }),
  };
}

/** As `keysOf`, for a peek; the selectors say only whether to expect IPv6. */
export function peekKeysOf(text: KeyText): PeekKeys {
  return { ...keysOf(text), destinationSelectors: [] };
}

/** A packet of test/vectors/esp-scapy.json. */
export interface EspVector extends KeyText {
  readonly it: string;
  readonly hasEsn: boolean;
  /** Decimal, 64 bits. */
  readonly sequence: string;
  readonly iv: string;
  readonly esp: string;
  readonly inner: string;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly tcpFlags: number;
  readonly isFragment: boolean;
}
