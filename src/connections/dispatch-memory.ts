/** Bits of one generation of one target: 32 KiB. With 10 000 connections in it, one of 26 others is taken for one of them. */
const BITS = 2 ** 18;
const SHIFT = 32 - 18;
export const GENERATION_MS = 10_000;

/**
 * Which connections without an entry a target was sent packets of, lately: for 10 to 20 seconds. Two generations of one bit per
 * connection hash, as a Bloom filter of one hash: it forgets nothing sooner, and may remember what never was; nobody outside can
 * aim at that, because the hash is keyed. Nothing is allocated but a target's two bitmaps, with its first packet.
 */
export class DispatchMemory {
  #young: (Uint8Array | undefined)[] = [];
  #old: (Uint8Array | undefined)[] = [];
  #turnAt = 0;

  /** A packet of the connection goes to the target. */
  note(target: number, hash: number, now: number): void {
    this.turn(now);
    const bits = this.#young[target] ?? this.#newBits(target);
    const bit = hash >>> SHIFT;
    bits[bit >>> 3] = (bits[bit >>> 3] as number) | (1 << (bit & 7));
  }

  has(target: number, hash: number, now: number): boolean {
    this.turn(now);
    return isSet(this.#young[target], hash) || isSet(this.#old[target], hash);
  }

  /** The target is lost: its next life was sent nothing. */
  remove(target: number): void {
    this.#young[target]?.fill(0);
    this.#old[target]?.fill(0);
  }

  /** Begins a new generation when it is time; `note` and `has` do it as well. */
  turn(now: number): void {
    if (now < this.#turnAt) return;
    const young = this.#old;
    // After a pause both generations are too old.
    if (now >= this.#turnAt + GENERATION_MS) clear(this.#young);
    clear(young);
    this.#old = this.#young;
    this.#young = young;
    this.#turnAt = now + GENERATION_MS;
  }

  #newBits(target: number): Uint8Array {
    const bits = new Uint8Array(BITS / 8);
    this.#young[target] = bits;
    this.#old[target] ??= new Uint8Array(BITS / 8);
    return bits;
  }
}

function isSet(bits: Uint8Array | undefined, hash: number): boolean {
  const bit = hash >>> SHIFT;
  return bits !== undefined && ((bits[bit >>> 3] as number) & (1 << (bit & 7))) !== 0;
}

function clear(generation: (Uint8Array | undefined)[]): void {
  for (const bits of generation) bits?.fill(0);
}
