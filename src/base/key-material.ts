import { inspect } from 'node:util';
import { Pieces } from './pieces.ts';

/** Keys lie among keys: in no memory that anything else gets. */
const pieces = new Pieces();

/** Holds what a library made of a key (a key schedule), and must forget that with the key. */
export interface KeyUser {
  keyWiped(): void;
}

/**
 * Secret bytes. The only class that holds a key: it prints `<redacted>` wherever it may be printed,
 * and `wipe()` overwrites the bytes in place. Use after `wipe()` throws.
 */
export class KeyMaterial {
  readonly #piece: ArrayBuffer;
  readonly #at: number;
  readonly lengthBytes: number;
  #wiped = false;
  /** Mostly one. */
  #users: KeyUser | readonly KeyUser[] | undefined;

  private constructor(source: Uint8Array) {
    this.lengthBytes = source.length;
    ({ piece: this.#piece, at: this.#at } = pieces.take(source.length));
    this.#view().set(source);
  }

  /** Copies `source` out of its (perhaps shared, perhaps reused) buffer. The caller wipes the source. */
  static copyOf(source: Uint8Array): KeyMaterial {
    return new KeyMaterial(source);
  }

  get isWiped(): boolean {
    return this.#wiped;
  }

  /** The bytes themselves, not a copy: hand them to a cipher, never keep, log or send them elsewhere. */
  reveal(): Buffer {
    if (this.#wiped) throw new Error('key material was wiped');
    return this.#view();
  }

  /** Someone had a library make something of the bytes: told when they are wiped, until it says that it has forgotten it. */
  addUser(user: KeyUser): void {
    if (this.#wiped) throw new Error('key material was wiped');
    this.#users = this.#users === undefined ? user : [...listOf(this.#users), user];
  }

  removeUser(user: KeyUser): void {
    const others = listOf(this.#users).filter((other) => other !== user);
    this.#users = others.length > 1 ? others : others[0];
  }

  /** Overwrites the bytes. Twice is harmless. */
  wipe(): void {
    this.#view().fill(0);
    this.#wiped = true;
    const users = listOf(this.#users);
    this.#users = undefined;
    for (const user of users) user.keyWiped();
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

  #view(): Buffer {
    return Buffer.from(this.#piece, this.#at, this.lengthBytes);
  }
}

function listOf(users: KeyUser | readonly KeyUser[] | undefined): readonly KeyUser[] {
  if (users === undefined) return [];
  return 'keyWiped' in users ? [users] : users;
}
