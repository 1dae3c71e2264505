import { type Cipher, createCipheriv } from 'node:crypto';
import { BLOCK_BYTES, cmacSubkeys } from './aes-cmac.ts';

/**
 * AES-128-CMAC of short messages of one length, each with a single call into the library: one CBC cipher lives as long as the key.
 * CBC goes on from the last ciphertext block, so that block is put into the next message's first one, where it cancels.
 */
export class ShortCmac {
  readonly #cipher: Cipher;
  readonly #bytes: number;
  readonly #blocks: Buffer;
  /** What every message gets after its bytes: padding and subkey in the last block. */
  readonly #tail: Buffer;
  /** Last ciphertext block. */
  readonly #chain = Buffer.alloc(BLOCK_BYTES);

  /** `key`: 16 bytes, not kept. `bytes`: length of every message, at least 1. */
  constructor(key: Buffer, bytes: number) {
    this.#cipher = createCipheriv('aes-128-cbc', key, Buffer.alloc(BLOCK_BYTES)).setAutoPadding(false);
    this.#bytes = bytes;
    this.#blocks = Buffer.alloc(Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES);
    const zero = this.#cipher.update(Buffer.alloc(BLOCK_BYTES));
    const { whole, part } = cmacSubkeys(zero);
    const isWhole = this.#blocks.length === bytes;
    this.#tail = isWhole ? whole : part;
    if (!isWhole) xorByte(this.#tail, bytes % BLOCK_BYTES, 0x80);
    zero.copy(this.#chain);
    zero.fill(0);
    (isWhole ? part : whole).fill(0);
  }

  /** All 16 bytes, a buffer of the caller's own. */
  mac(message: Buffer): Buffer {
    const blocks = this.#blocks;
    if (message.length !== this.#bytes) throw new RangeError(`messages have ${this.#bytes} bytes here`);
    blocks.fill(0, this.#bytes).set(message);
    const last = blocks.length - BLOCK_BYTES;
    for (let i = 0; i < BLOCK_BYTES; i++) xorByte(blocks, last + i, this.#tail[i] as number);
    for (let i = 0; i < BLOCK_BYTES; i++) xorByte(blocks, i, this.#chain[i] as number);
    const sealed = this.#cipher.update(blocks);
    sealed.copy(this.#chain, 0, last);
    return sealed.subarray(last);
  }

  /** Frees the library's key; nothing can be done afterwards. */
  wipe(): void {
    this.#cipher.final();
    this.#tail.fill(0);
    this.#chain.fill(0);
    this.#blocks.fill(0);
  }
}

function xorByte(bytes: Buffer, at: number, value: number): void {
  bytes[at] = (bytes[at] as number) ^ value;
}
