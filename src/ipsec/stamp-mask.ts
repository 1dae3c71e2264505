import { type Cipher, createCipheriv } from 'node:crypto';
import type { KeyMaterial } from '../base/key-material.ts';
import { ESP_HEADER_BYTES } from '../packet/esp-header.ts';
import { BLOCK_BYTES } from './aes-cmac.ts';
import { ShortCmac } from './short-cmac.ts';
import { STAMP_HEADER_BYTES, STAMP_IV_BYTES } from './stamp-packet.ts';

export const STAMP_KEY_BYTES = 16;

/** The two keys of one SA that targets and routing host share; drawn at random, not derived from the SA's own. */
export interface StampKeys {
  /** Of the mask (K_link). */
  readonly link: KeyMaterial;
  /** Of the check (K_check). */
  readonly check: KeyMaterial;
}

/** epoch | SPI | IV: what makes a pad, and what the check begins with. */
const SPI_AT = 4;
const IV_AT = 8;
const LENGTH_AT = 16;
const ICV_AT = 18;
/** Behind the ICV. */
const HINT_BYTES = 4;

/**
 * What hides an ICV on the link, and what vouches for the packet (docs/outbound.md section 4), of one SA in one epoch:
 *
 *   pad   = AES128(link key, epoch | SPI | IV)
 *   check = first 8 bytes of AES-CMAC(check key, epoch | SPI | IV | length of the ciphertext (16) | masked ICV | hints)
 *
 * The hints are the first word of the stamp header. IVs are unique under a key, so pads never repeat. Both ciphers live as long as the object, for speed.
 */
export class StampMask {
  readonly #keys: StampKeys;
  readonly #icvBytes: number;
  readonly #cipher: Cipher;
  readonly #cmac: ShortCmac;
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  readonly #message: Buffer;
  #isClosed = false;

  constructor(keys: StampKeys, epoch: number, icvBytes: number) {
    for (const key of [keys.link, keys.check]) {
      if (key.lengthBytes !== STAMP_KEY_BYTES) throw new Error(`a stamp key has ${STAMP_KEY_BYTES} bytes`);
    }
    this.#keys = keys;
    this.#icvBytes = icvBytes;
    this.#message = Buffer.alloc(ICV_AT + icvBytes + HINT_BYTES);
    this.#block.writeUInt32BE(epoch, 0);
    this.#message.writeUInt32BE(epoch, 0);
    this.#cipher = createCipheriv('aes-128-ecb', keys.link.reveal(), null).setAutoPadding(false);
    this.#cmac = new ShortCmac(keys.check.reveal(), this.#message.length);
  }

  /** False once either key was wiped, or after `close`. */
  get isUsable(): boolean {
    return !this.#isClosed && !this.#keys.link.isWiped && !this.#keys.check.isWiped;
  }

  /** Masks the ICV at `icv` of the ESP packet at `esp`, or takes the mask off. */
  apply(slab: Buffer, esp: number, icv: number): void {
    writeSpiAndIv(this.#block, slab, esp);
    const pad = this.#cipher.update(this.#block);
    for (let i = 0; i < this.#icvBytes; i++) slab[icv + i] = (slab[icv + i] as number) ^ (pad[i] as number);
    pad.fill(0);
  }

  /** The check of the packet as it stands, its ICV masked and its hints written: 16 bytes, of which the first 8 count. */
  check(slab: Buffer, esp: number, icv: number): Buffer {
    const message = this.#message;
    writeSpiAndIv(message, slab, esp);
    message.writeUInt16BE(icv - esp - ESP_HEADER_BYTES - STAMP_IV_BYTES, LENGTH_AT);
    slab.copy(message, ICV_AT, icv, icv + this.#icvBytes);
    const header = esp - STAMP_HEADER_BYTES;
    slab.copy(message, ICV_AT + this.#icvBytes, header, header + HINT_BYTES);
    return this.#cmac.mac(message);
  }

  /** Frees what the library keeps of both keys, which stay the owner's, to wipe. Twice is harmless. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cipher.final();
    this.#cmac.wipe();
  }
}

function writeSpiAndIv(out: Buffer, slab: Buffer, esp: number): void {
  slab.copy(out, SPI_AT, esp, esp + 4);
  slab.copy(out, IV_AT, esp + ESP_HEADER_BYTES, esp + ESP_HEADER_BYTES + STAMP_IV_BYTES);
}
