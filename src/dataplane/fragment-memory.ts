import { type FragmentKey, FragmentTracker } from '../connections/fragment-tracker.ts';
import { ADDRESS_WORDS, newAddress } from '../packet/address.ts';
import type { PacketVector } from './vector.ts';

export interface FragmentMemoryOptions {
  /** `HASH_SEED_BYTES` random bytes. */
  readonly seed: Uint8Array;
  readonly perGroup?: number;
}

/** The SA group where all fragments are our own. */
export const OWN_FRAGMENTS = 0;

/**
 * Stateful fragment checking (RFC 4301 section 7.3), on a target: what was decided for the first fragment of an inner datagram, which shows
 * ports, holds for its later ones, which show none. First fragments are authenticated, or of our own kernel, so the newest one counts.
 */
export class FragmentMemory {
  readonly #tracker: FragmentTracker;
  readonly #key: FragmentKey = {
    group: 0,
    source: newAddress(),
    sourceAt: 0,
    destination: newAddress(),
    destinationAt: 0,
    protocol: 0,
    identification: 0,
  };

  constructor(options: FragmentMemoryOptions) {
    this.#tracker = new FragmentTracker(options);
  }

  /** Packet `i` is a first fragment. */
  note(vector: PacketVector, i: number, group: number, value: number, now: number): void {
    this.#tracker.assign(this.#keyOf(vector, i, group), value, now);
  }

  /** What was noted for the datagram of packet `i`, a later fragment; -1: nothing, or too long ago. */
  recall(vector: PacketVector, i: number, group: number, now: number): number {
    return this.#tracker.lookup(this.#keyOf(vector, i, group), now);
  }

  /** What the value stands for is gone. */
  forget(value: number): void {
    this.#tracker.removeWhere((_group, noted) => noted === value);
  }

  #keyOf(vector: PacketVector, i: number, group: number): FragmentKey {
    const key = this.#key;
    key.group = group;
    key.source = vector.innerSource;
    key.destination = vector.innerDestination;
    key.sourceAt = i * ADDRESS_WORDS;
    key.destinationAt = i * ADDRESS_WORDS;
    key.protocol = vector.protocol[i] as number;
    key.identification = vector.fragmentId[i] as number;
    return key;
  }
}
