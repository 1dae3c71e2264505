import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { KeyMaterial } from '../base/key-material.ts';
import { KEEP, verdictOf } from '../base/verdict.ts';
import {
  checkLinkKey,
  LINK_CLEAR_BYTES,
  LINK_TAG_BYTES,
  type LinkBatch,
  type LinkCipher,
  type LinkKey,
} from './link-cipher.ts';

const AUTHENTICATION = verdictOf('link-authentication');

/** The link seal's cipher with node:crypto, packet by packet: it says what is right. */
export class LinkNodeCipher implements LinkCipher {
  readonly keyId: number;
  readonly #key: KeyMaterial;
  readonly #aad = Buffer.alloc(4 + LINK_CLEAR_BYTES);

  constructor(key: LinkKey) {
    checkLinkKey(key);
    this.keyId = key.keyId;
    this.#key = key.key;
  }

  get isUsable(): boolean {
    return !this.#key.isWiped;
  }

  seal(batch: LinkBatch, marked: Uint8Array, epoch: number): void {
    for (let i = 0; i < batch.count; i++) {
      if (marked[i] !== 1 || batch.verdict[i] !== KEEP) continue;
      if (this.isUsable) this.#seal(batch, i, epoch);
      else batch.verdict[i] = AUTHENTICATION;
    }
  }

  open(batch: LinkBatch, marked: Uint8Array, epoch: number): void {
    for (let i = 0; i < batch.count; i++) {
      if (marked[i] !== 1 || batch.verdict[i] !== KEEP) continue;
      if (!this.isUsable || !this.#open(batch, i, epoch)) batch.verdict[i] = AUTHENTICATION;
    }
  }

  #seal(batch: LinkBatch, i: number, epoch: number): void {
    const { slab } = batch;
    const { start, body, tag } = partsOf(batch, i);
    const cipher = createCipheriv('aes-256-gcm', this.#key.reveal(), slab.subarray(start, body));
    cipher.setAAD(this.#additionalData(epoch, slab, start));
    slab.set(cipher.update(slab.subarray(body, tag)), body);
    cipher.final();
    slab.set(cipher.getAuthTag(), tag);
  }

  /** Plaintext reaches the slab only after the tag proved right. */
  #open(batch: LinkBatch, i: number, epoch: number): boolean {
    const { slab } = batch;
    const { start, body, tag } = partsOf(batch, i);
    const decipher = createDecipheriv('aes-256-gcm', this.#key.reveal(), slab.subarray(start, body), {
      authTagLength: LINK_TAG_BYTES,
    });
    decipher.setAAD(this.#additionalData(epoch, slab, start));
    decipher.setAuthTag(slab.subarray(tag, tag + LINK_TAG_BYTES));
    const plain = decipher.update(slab.subarray(body, tag));
    try {
      decipher.final();
      slab.set(plain, body);
      return true;
    } catch {
      return false;
    } finally {
      plain.fill(0);
    }
  }

  /** The epoch in front of the clear part. */
  #additionalData(epoch: number, slab: Buffer, start: number): Buffer {
    this.#aad.writeUInt32BE(epoch, 0);
    slab.copy(this.#aad, 4, start, start + LINK_CLEAR_BYTES);
    return this.#aad;
  }
}

function partsOf({ offset, length }: LinkBatch, i: number) {
  const start = offset[i] as number;
  const tag = start + (length[i] as number) - LINK_TAG_BYTES;
  return { start, body: start + LINK_CLEAR_BYTES, tag };
}
