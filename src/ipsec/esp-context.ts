import { type EncryptionAlgorithm, type EspSuite, supported } from './algorithms.ts';
import type { EspKeys } from './packet-crypto.ts';

const NO_KEY = Buffer.alloc(0);
const NOTHING = new Uint8Array(0);
/** Scratch for additional data and nonces, of all SAs: one packet is worked on at a time. */
const aadScratch = Buffer.alloc(12);
const nonceScratch = [12, 16].map((bytes) => Buffer.alloc(bytes));

/**
 * What one SA needs per packet: the checked suite and views (not copies) into its key material, made when they are asked for, since there
 * may be many SAs.
 */
export class EspContext {
  readonly spi: number;
  readonly hasEsn: boolean;
  readonly suite: EspSuite;
  readonly #keys: EspKeys;

  /** Throws if the algorithms do not fit together or are not supported. */
  constructor(keys: EspKeys) {
    const result = supported(
      { transform: keys.encryption.transform, keyMaterialBytes: keys.encryption.key.lengthBytes },
      keys.integrity && {
        transform: keys.integrity.transform,
        keyMaterialBytes: keys.integrity.key.lengthBytes,
      },
    );
    if (!result.isSupported) throw new Error(result.reason);
    this.#keys = keys;
    this.spi = keys.spi;
    this.hasEsn = keys.hasEsn;
    this.suite = result.suite;
    if (!this.isUsable) throw new Error('key material was wiped');
  }

  /** Encryption key without salt; a view. */
  get key(): Buffer {
    return this.#keys.encryption.key.reveal().subarray(0, this.suite.keyBytes);
  }

  /** Leads the nonce of counter modes, else empty; a view. */
  get salt(): Buffer {
    return this.#keys.encryption.key.reveal().subarray(this.suite.keyBytes);
  }

  /** Key of the integrity algorithm; empty if there is none. */
  get integrityKey(): Buffer {
    return this.#keys.integrity?.key.reveal() ?? NO_KEY;
  }

  /** False once the owner wiped a key: the views are zeros then, and a zero key must never be used. */
  get isUsable(): boolean {
    return !this.#keys.encryption.key.isWiped && this.#keys.integrity?.key.isWiped !== true;
  }

  /** Salt and IV (RFC 4106 section 4), with AES-CTR the first counter block; valid until the next call. */
  nonce(slab: Buffer, ivAt: number): Buffer {
    const { encryption } = this.suite;
    const { salt } = this;
    const tail = nonceTail(encryption);
    const bytes = salt.length + encryption.ivBytes + tail.length;
    const nonce = nonceScratch.find(({ length }) => length === bytes) ?? Buffer.alloc(bytes);
    nonce.set(salt, 0);
    slab.copy(nonce, salt.length, ivAt, ivAt + encryption.ivBytes);
    nonce.set(tail, bytes - tail.length);
    return nonce;
  }

  /** SPI and sequence number, 64 bits of it with ESN (RFC 4106 section 5); valid until the next call. */
  aad(sequenceHigh: number, sequenceLow: number): Buffer {
    aadScratch.writeUInt32BE(this.spi, 0);
    if (!this.hasEsn) {
      aadScratch.writeUInt32BE(sequenceLow, 4);
      return aadScratch.subarray(0, 8);
    }
    aadScratch.writeUInt32BE(sequenceHigh, 4);
    aadScratch.writeUInt32BE(sequenceLow, 8);
    return aadScratch;
  }

  /** The four bytes that the integrity algorithm covers after the packet with ESN; undefined without. */
  impliedBytes(sequenceHigh: number): Buffer | undefined {
    if (!this.hasEsn) return undefined;
    aadScratch.writeUInt32BE(sequenceHigh, 0);
    return aadScratch.subarray(0, 4);
  }
}

/** AES-CTR takes its counter with the nonce (RFC 3686 section 4); the combined modes count by themselves. */
function nonceTail({ kind, peek }: EncryptionAlgorithm): Uint8Array {
  return kind === 'cipher' && peek.method === 'counter' ? Uint8Array.of(0, 0, 0, peek.first) : NOTHING;
}
