import { KeyMaterial } from '../../../src/base/key-material.ts';
import { KEEP, verdictOf } from '../../../src/base/verdict.ts';
import { AUTH_HMAC_SHA2_256_128, ENCR_NULL } from '../../../src/ipsec/algorithms.ts';
import type { CryptoBatch, PacketCrypto } from '../../../src/ipsec/packet-crypto.ts';
import type { SecurityAssociation } from '../../../src/ipsec/sa.ts';
import { testSa } from '../../support/test-sas.ts';

/*
 * ESP of the simulation: NULL encryption, so that whoever flips a bit flips it in the header (as with counter modes), and an
 * ICV of which 32 bits count, a keyed hash. Nobody but the peer knows the key; thousands of runs cost seconds.
 */

const HEADER_BYTES = 8;
const ICV_BYTES = 16;
const TRAILER_BYTES = 2;
const ICV = verdictOf('icv');
const TRUNCATED = verdictOf('truncated');

/** FNV-1a over the bytes, begun with key and high half. */
function icvOf(spi: number, high: number, bytes: Buffer, from: number, to: number): number {
  let hash = (0x811c9dc5 ^ Math.imul(spi, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b)) >>> 0;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  return hash >>> 0;
}

export interface SimNumber {
  readonly high: number;
  readonly low: number;
}

export function sealSim(spi: number, { high, low }: SimNumber, inner: Buffer): Buffer {
  const padding = (4 - ((inner.length + TRAILER_BYTES) % 4)) % 4;
  const icvAt = HEADER_BYTES + inner.length + padding + TRAILER_BYTES;
  const esp = Buffer.alloc(icvAt + ICV_BYTES);
  esp.writeUInt32BE(spi, 0);
  esp.writeUInt32BE(low, 4);
  esp.set(inner, HEADER_BYTES);
  for (let i = 0; i < padding; i++) esp[HEADER_BYTES + inner.length + i] = i + 1;
  esp[icvAt - 2] = padding;
  esp[icvAt - 1] = 4;
  esp.writeUInt32BE(icvOf(spi, high, esp, 0, icvAt), icvAt);
  return esp;
}

export function simSa(given: Parameters<typeof testSa>[0]): SecurityAssociation {
  return {
    ...testSa(given),
    encryption: { transform: ENCR_NULL, key: KeyMaterial.copyOf(Buffer.alloc(0)) },
    integrity: { transform: AUTH_HMAC_SHA2_256_128, key: KeyMaterial.copyOf(Buffer.alloc(32, 1)) },
  };
}

/** Opens what `sealSim` made, in place, as `EspNodeCrypto` does. */
export class SimCrypto implements PacketCrypto {
  readonly opened = 0;
  readonly #hasEsn: boolean;

  constructor(hasEsn: boolean) {
    this.#hasEsn = hasEsn;
  }

  install(): void {}
  remove(): void {}

  open(batch: CryptoBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      const start = batch.offset[i] as number;
      const icvAt = start + (batch.length[i] as number) - ICV_BYTES;
      if (icvAt - start < HEADER_BYTES + TRAILER_BYTES) {
        batch.verdict[i] = TRUNCATED;
        continue;
      }
      const { slab } = batch;
      const high = this.#hasEsn ? (batch.sequenceHigh[i] as number) : 0;
      if (icvOf(slab.readUInt32BE(start), high, slab, start, icvAt) !== slab.readUInt32BE(icvAt)) {
        batch.verdict[i] = ICV;
        continue;
      }
      batch.sequenceHigh[i] = high;
      batch.sequenceLow[i] = slab.readUInt32BE(start + 4);
      batch.nextHeader[i] = slab[icvAt - 1] as number;
      batch.offset[i] = start + HEADER_BYTES;
      batch.length[i] = icvAt - TRAILER_BYTES - (slab[icvAt - 2] as number) - start - HEADER_BYTES;
    }
  }

  seal(): void {
    throw new Error('nothing is sealed here');
  }

  sealForStamp(): void {
    throw new Error('nothing is sealed here');
  }
}
