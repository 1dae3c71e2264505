import { inspect } from 'node:util';

/**
 * Secret bytes. The only class that holds a key: it prints `<redacted>` wherever it may be printed,
 * and `wipe()` overwrites the bytes in place. Use after `wipe()` throws.
 */
export class KeyMaterial {
  #bytes: Buffer;
  #wiped = false;
  #made: (() => void)[] = [];

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

  /** For whoever keeps something that was made of the bytes elsewhere: `drop` is called when they are wiped, so that it goes with them. */
  whenWiped(drop: () => void): void {
    this.#made.push(drop);
  }

  /** Overwrites the bytes. Twice is harmless. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#wiped = true;
    for (const drop of this.#made.splice(0)) drop();
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
