import { inspect } from 'node:util';

/**
 * Secret bytes. The only class that holds a key: it prints `<redacted>` wherever it may be printed,
 * and `wipe()` overwrites the bytes in place. Use after `wipe()` throws.
 */
export class KeyMaterial {
  #bytes: Buffer;
  #wiped = false;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Copies `source` out of its (perhaps shared, perhaps reused) buffer. The caller wipes the source. */
  static copyOf(source: Uint8Array): KeyMaterial {
    const own = Buffer.alloc(source.length); // never from the shared pool
    own.set(source);
    return new KeyMaterial(own);
  }

  get lengthBytes(): number {
    return this.#bytes.length;
  }

  get isWiped(): boolean {
    return this.#wiped;
  }

  /** The bytes themselves, not a copy: hand them to a cipher, never keep, log or send them elsewhere. */
  reveal(): Buffer {
    if (this.#wiped) throw new Error('key material was wiped');
    return this.#bytes;
  }

  /** Overwrites the bytes. Twice is harmless. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#wiped = true;
  }

  toString(): string {
    return '<redacted>';
  }

  toJSON(): string {
    return '<redacted>';
  }

  [inspect.custom](): string {
    return '<redacted>';
  }
}
