import { createCipheriv, createDecipheriv } from 'node:crypto';
import { ESP_HEADER_BYTES, ESP_TRAILER_BYTES } from '../packet/esp-header.ts';
import type { PeekMethod } from './algorithms.ts';
import { EspContext } from './esp-context.ts';
import type { EspKeys } from './packet-crypto.ts';
import { BLOCK_BYTES, type InnerReader, LONG_BLOCKS, type PacketPlaces } from './inner-reader.ts';

/**
 * Decrypts single blocks of one SA's packets, without authentication, through one long-lived AES-ECB object
 * (a cipher object per packet would cost a hundred times the AES).
 *
 * Counter modes (GCM, CCM, CTR): block k of the plaintext is the ciphertext xor AES(lead | salt | IV | first + k).
 * CBC: it is the AES decryption of ciphertext block k xor the block before, or the IV.
 */
export class PeekBlocks implements InnerReader {
  readonly #context: EspContext;
  /** `undefined`: CBC. */
  readonly #counter: Extract<PeekMethod, { method: 'counter' }> | undefined;
  /** Lead and salt, the first bytes of every counter block. */
  readonly #prefix: Buffer;
  /** `undefined` after `close`. */
  #aes: { update(data: Uint8Array): Buffer; final(): Buffer } | undefined;
  #scratch = Buffer.alloc(64 * 4 * BLOCK_BYTES);
  readonly leadBlocks: number;

  constructor(keys: EspKeys, leadBlocks: number) {
    this.leadBlocks = leadBlocks;
    this.#context = new EspContext(keys);
    const { encryption, keyBytes } = this.#context.suite;
    const name = `aes-${keyBytes * 8}-ecb`;
    this.#counter = encryption.peek.method === 'counter' ? encryption.peek : undefined;
    this.#prefix = Buffer.concat([Buffer.from(this.#counter?.lead ?? []), this.#context.salt]);
    this.#aes = this.#counter
      ? createCipheriv(name, this.#context.key, null).setAutoPadding(false)
      : createDecipheriv(name, this.#context.key, null).setAutoPadding(false);
  }

  get spi(): number {
    return this.#context.spi;
  }

  get isUsable(): boolean {
    return this.#aes !== undefined && this.#context.isUsable;
  }

  /** Ends the cipher: OpenSSL frees and clears the key schedule. Twice is harmless. */
  close(): void {
    this.#aes?.final();
    this.#aes = undefined;
    this.#prefix.fill(0);
  }

  /** Bytes of ciphertext in an ESP packet of this length; CBC's last block must be whole. Negative: truncated. */
  cipherBytes(espLength: number): number {
    const { encryption, icvBytes } = this.#context.suite;
    const bytes = espLength - ESP_HEADER_BYTES - encryption.ivBytes - icvBytes;
    return this.#counter || bytes < ESP_TRAILER_BYTES ? bytes : bytes - (bytes % BLOCK_BYTES);
  }

  /**
   * The lead and the trailer block of packets `members`; one call into the cipher. What lies beyond a short packet is
   * undefined. The result is the caller's, to wipe.
   */
  decrypt(places: PacketPlaces, members: readonly number[]): Buffer {
    const input = this.#room(members.length * (this.leadBlocks + 1) * BLOCK_BYTES);
    for (let at = 0; at < members.length; at++)
      this.#span(places, members[at] as number, input, at, undefined);
    const output = this.#update(input);
    for (let at = 0; at < members.length; at++) this.#span(places, members[at] as number, input, at, output);
    return output;
  }

  decryptLong(slab: Buffer, espOffset: number, cipherBytes: number): Buffer {
    const blocks = Math.min(LONG_BLOCKS, Math.ceil(cipherBytes / BLOCK_BYTES));
    const input = this.#room(blocks * BLOCK_BYTES);
    const payload = espOffset + ESP_HEADER_BYTES + this.#context.suite.encryption.ivBytes;
    for (let k = 0; k < blocks; k++) this.#gather(slab, payload, k, input, k * BLOCK_BYTES);
    const output = this.#update(input);
    for (let k = 0; k < blocks; k++) this.#mix(slab, payload, k, cipherBytes, output, k * BLOCK_BYTES);
    return output;
  }

  /** Gathers the cipher's input of a packet, or with `output` mixes what came out of the cipher to plaintext. */
  #span(places: PacketPlaces, i: number, input: Buffer, at: number, output: Buffer | undefined): void {
    const cipherBytes = this.cipherBytes(places.espLength[i] as number);
    const last = Math.floor((cipherBytes - 1) / BLOCK_BYTES);
    const payload =
      (places.espOffset[i] as number) + ESP_HEADER_BYTES + this.#context.suite.encryption.ivBytes;
    const { leadBlocks } = this;
    for (let k = 0; k <= leadBlocks; k++) {
      const block = k === leadBlocks ? last : Math.min(k, last);
      const to = (at * (leadBlocks + 1) + k) * BLOCK_BYTES;
      if (output === undefined) this.#gather(places.slab, payload, block, input, to);
      else this.#mix(places.slab, payload, block, cipherBytes, output, to);
    }
  }

  /** One input block, byte by byte: a native copy or a `readUInt32BE` costs more than these loops. */
  #gather(slab: Buffer, payload: number, block: number, input: Buffer, to: number): void {
    if (this.#counter === undefined) {
      const from = payload + block * BLOCK_BYTES;
      for (let b = 0; b < BLOCK_BYTES; b++) input[to + b] = slab[from + b] as number;
      return;
    }
    const iv = payload - 8;
    for (let b = 0; b < 4; b++) input[to + b] = this.#prefix[b] as number;
    for (let b = 0; b < 8; b++) input[to + 4 + b] = slab[iv + b] as number;
    const counter = block + this.#counter.first; // far below 2^16: an ESP packet has at most 4096 blocks
    input[to + 12] = 0;
    input[to + 13] = 0;
    input[to + 14] = counter >>> 8;
    input[to + 15] = counter & 255;
  }

  #mix(slab: Buffer, payload: number, block: number, cipherBytes: number, output: Buffer, at: number): void {
    const start = block * BLOCK_BYTES;
    const bytes = this.#counter ? Math.min(BLOCK_BYTES, cipherBytes - start) : BLOCK_BYTES;
    const from = payload + (this.#counter ? start : start - BLOCK_BYTES);
    for (let b = 0; b < bytes; b++) {
      output[at + b] = (output[at + b] as number) ^ (slab[from + b] as number);
    }
  }

  #update(input: Buffer): Buffer {
    if (this.#aes === undefined) throw new Error('peek after close');
    return this.#aes.update(input);
  }

  #room(bytes: number): Buffer {
    if (this.#scratch.length < bytes) this.#scratch = Buffer.alloc(bytes);
    return this.#scratch.subarray(0, bytes);
  }
}
