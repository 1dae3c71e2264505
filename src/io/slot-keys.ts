import type { KeyMaterial, KeyUser } from '../base/key-material.ts';

/**
 * Which keys the contexts of an addon were made of, by SA slot: a context goes when its slot is given up, and with the first
 * of its keys that is wiped.
 */
export class SlotKeys {
  readonly #drop: (slot: number) => void;
  readonly #holders = new Map<number, Holder>();

  /** `drop` wipes the context of a slot. */
  constructor(drop: (slot: number) => void) {
    this.#drop = drop;
  }

  /** In place of what the slot held. */
  installed(slot: number, ...keys: readonly (KeyMaterial | undefined)[]): void {
    this.#holders.get(slot)?.release();
    this.#holders.set(slot, new Holder(() => this.remove(slot), keys));
  }

  has(slot: number): boolean {
    return this.#holders.has(slot);
  }

  /** Twice is harmless. */
  remove(slot: number): void {
    const holder = this.#holders.get(slot);
    if (holder === undefined) return;
    holder.release();
    this.#holders.delete(slot);
    this.#drop(slot);
  }
}

class Holder implements KeyUser {
  readonly keyWiped: () => void;
  readonly #keys: readonly (KeyMaterial | undefined)[];

  constructor(keyWiped: () => void, keys: readonly (KeyMaterial | undefined)[]) {
    this.keyWiped = keyWiped;
    this.#keys = keys;
    for (const key of keys) key?.addUser(this);
  }

  release(): void {
    for (const key of this.#keys) key?.removeUser(this);
  }
}
