import type { KeyMaterial } from '../base/key-material.ts';

/**
 * Which keys the contexts of an addon were made of, by SA slot: a context goes when its slot is given up, and with the first
 * of its keys that is wiped. A slot that was given to another SA meanwhile is that one's.
 */
export class SlotKeys {
  readonly #drop: (slot: number) => void;
  /** By slot: another object for each time that something was installed there. */
  readonly #holders: (object | undefined)[] = [];

  /** `drop` wipes the context of a slot. */
  constructor(drop: (slot: number) => void) {
    this.#drop = drop;
  }

  installed(slot: number, ...keys: readonly (KeyMaterial | undefined)[]): void {
    const holder = {};
    this.#holders[slot] = holder;
    for (const key of keys) {
      key?.whenWiped(() => {
        if (this.#holders[slot] === holder) this.remove(slot);
      });
    }
  }

  /** Twice is harmless. */
  remove(slot: number): void {
    if (this.#holders[slot] === undefined) return;
    this.#holders[slot] = undefined;
    this.#drop(slot);
  }
}
