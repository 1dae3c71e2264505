import { type FragmentKey, FragmentTracker } from '../connections/fragment-tracker.ts';
import { ADDRESS_WORDS, newAddress } from '../packet/address.ts';
import type { PacketVector } from './vector.ts';

const CAPACITY = 2048;

/**
 * Stateful fragment checking (RFC 4301 section 7.3): where ports matter, a later fragment of a datagram goes the way of its first
 * one, which showed them. `value` is the caller's. What is learnt here is authenticated, or our own host's, so the newest counts:
 * identifications come round again.
 */
export class FragmentMemory {
  readonly #tracker: FragmentTracker;
  readonly #now: () => number;
  readonly #key: FragmentKey = {
    group: 0,
    source: newAddress(),
    sourceAt: 0,
    destination: newAddress(),
    destinationAt: 0,
    protocol: 0,
    identification: 0,
  };

  /** `perGroup`: datagrams of one SA group, where several share the memory. */
  constructor(options: {
    readonly seed: Uint8Array;
    readonly now: () => number;
    readonly perGroup?: number;
  }) {
    this.#tracker = new FragmentTracker({
      seed: options.seed,
      capacity: CAPACITY,
      perGroup: options.perGroup ?? CAPACITY,
    });
    this.#now = options.now;
  }

  /** Packet `i` is the first fragment of its datagram and may pass. */
  learn(vector: PacketVector, i: number, group: number, value: number): void {
    this.#tracker.assign(this.#keyOf(vector, i, group), value, this.#now());
  }

  /** What was learnt for the datagram of packet `i`; -1: nothing. */
  lookup(vector: PacketVector, i: number, group: number): number {
    return this.#tracker.lookup(this.#keyOf(vector, i, group), this.#now());
  }

  /** The value means something else from now on. */
  forget(value: number): void {
    this.#tracker.removeWhere((_group, known) => known === value);
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
