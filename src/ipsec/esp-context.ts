import { type EncryptionAlgorithm, type EspSuite, supported } from './algorithms.ts';
import type { EspKeys } from './packet-crypto.ts';

/**
 * What one SA needs per packet: the checked suite, views (not copies) into its key material, and scratch
 * buffers for nonce and additional data.
 */
export class EspContext {
  readonly spi: number;
  readonly hasEsn: boolean;
  readonly suite: EspSuite;
  /** Encryption key without salt; a view. */
  readonly key: Buffer;
  /** Leads the nonce of counter modes, else empty; a view. */
  readonly salt: Buffer;
  /** Key of the integrity algorithm; empty if there is none. */
  readonly integrityKey: Buffer;
  readonly #keys: EspKeys;
  readonly #nonce: Buffer;
  readonly #aad = Buffer.alloc(12);

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
    const material = keys.encryption.key.reveal();
    this.key = material.subarray(0, result.suite.keyBytes);
    this.salt = material.subarray(result.suite.keyBytes);
    this.#nonce = Buffer.concat([
      Buffer.alloc(this.salt.length + result.suite.encryption.ivBytes),
      nonceTail(result.suite.encryption),
    ]);
    this.integrityKey = keys.integrity?.key.reveal() ?? Buffer.alloc(0);
  }

  /** False once the owner wiped a key: the views are zeros then, and a zero key must never be used. */
  get isUsable(): boolean {
    return !this.#keys.encryption.key.isWiped && this.#keys.integrity?.key.isWiped !== true;
  }

  /** Salt and IV (RFC 4106 section 4), with AES-CTR the first counter block; valid until the next call. */
  nonce(slab: Buffer, ivAt: number): Buffer {
    this.#nonce.set(this.salt, 0);
    slab.copy(this.#nonce, this.salt.length, ivAt, ivAt + this.suite.encryption.ivBytes);
    return this.#nonce;
  }

  /** SPI and sequence number, 64 bits of it with ESN (RFC 4106 section 5); valid until the next call. */
  aad(sequenceHigh: number, sequenceLow: number): Buffer {
    this.#aad.writeUInt32BE(this.spi, 0);
    if (!this.hasEsn) {
      this.#aad.writeUInt32BE(sequenceLow, 4);
      return this.#aad.subarray(0, 8);
    }
    this.#aad.writeUInt32BE(sequenceHigh, 4);
    this.#aad.writeUInt32BE(sequenceLow, 8);
    return this.#aad;
  }

  /** The four bytes that the integrity algorithm covers after the packet with ESN; undefined without. */
  impliedBytes(sequenceHigh: number): Buffer | undefined {
    if (!this.hasEsn) return undefined;
    this.#aad.writeUInt32BE(sequenceHigh, 0);
    return this.#aad.subarray(0, 4);
  }
}

/** AES-CTR takes its counter with the nonce (RFC 3686 section 4); the combined modes count by themselves. */
function nonceTail({ kind, peek }: EncryptionAlgorithm): Buffer {
  return kind === 'cipher' && peek.method === 'counter'
    ? Buffer.from([0, 0, 0, peek.first])
    : Buffer.alloc(0);
}
