import { inspect } from 'node:util';

/** Holds what a library made of a key (a key schedule), and must forget that with the key. */
export interface KeyUser {
  keyWiped(): void;
}

/**
 * Secret bytes. The only class that holds a key: it prints `<redacted>` wherever it may be printed,
 * and `wipe()` overwrites the bytes in place. Use after `wipe()` throws.
 */
export class KeyMaterial {
  #bytes: Buffer;
  #wiped = false;
  #users: KeyUser[] | undefined;

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

  /** Someone had a library make something of the bytes: told when they are wiped, until it says that it has forgotten it. */
  addUser(user: KeyUser): void {
    if (this.#wiped) throw new Error('key material was wiped');
    if (this.#users === undefined) this.#users = [user];
    else this.#users.push(user);
  }

  removeUser(user: KeyUser): void {
    this.#users = this.#users?.filter((other) => other !== user);
  }

  /** Overwrites the bytes. Twice is harmless. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#wiped = true;
    const users = this.#users;
    this.#users = undefined;
    for (const user of users ?? []) user.keyWiped();
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
