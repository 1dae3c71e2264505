import type { IpAddress } from '../packet/address.ts';
import { CLEAR_GROUP, type ConnectionKey, KeyedHash, newConnectionKey } from './connection-key.ts';
import { ConnectionSlots, FREE } from './connection-slots.ts';
import { DEFAULT_CONNECTION_TIMEOUTS, type ConnectionTimeouts } from './timeouts.ts';

export type ConnectionState = 'tentative' | 'opening' | 'established' | 'closing';

/**
 * Sees one entry; the key is valid during the call only. `remainingMs`: until it is forgotten unless something happens. Says
 * whether it wants more.
 */
export type ConnectionVisitor = (
  key: Readonly<ConnectionKey>,
  target: number,
  state: ConnectionState,
  remainingMs: number,
) => boolean;

export interface ConnectionTableOptions {
  /** 8 random bytes. */
  readonly seed: Uint8Array;
  /** Entries, a power of two from 2^4 to 2^20. */
  readonly capacity?: number;
  /** Tentative entries of one SA group, and in all. */
  readonly tentativePerGroup?: number;
  readonly tentativeTotal?: number;
  /** Entries of connections in clear, tentative and confirmed: whoever sends those proves nothing. */
  readonly clearTotal?: number;
  /** Connections that one target has asked for and not reported as open. */
  readonly openingPerTarget?: number;
  readonly timeouts?: Partial<ConnectionTimeouts>;
  readonly onChange?: ConnectionListener;
}

/**
 * An entry changed its state; undefined: there was none, or there is none any more. Every change of every entry is told once,
 * so what is counted from this is exact. The key is valid during the call only, and the table must not be changed in it.
 */
export type ConnectionListener = (
  key: Readonly<ConnectionKey>,
  target: number,
  before: ConnectionState | undefined,
  after: ConnectionState | undefined,
) => void;

export const DEFAULT_CAPACITY = 2 ** 16;
const MIN_CAPACITY = 2 ** 4;
const MAX_CAPACITY = 2 ** 20;
const DEFAULT_TENTATIVE_PER_GROUP = 256;

const TENTATIVE = 1;
const ESTABLISHED = 2;
const CLOSING = 3;
const OPENING = 4;

const STATE_NAMES: readonly (ConnectionState | undefined)[] = [
  undefined,
  'tentative',
  'established',
  'closing',
  'opening',
];

/**
 * The distributed connection table of the routing host: connection -> target (claim 10). Entries come in two
 * kinds (docs/inbound.md, section 3):
 *
 * - *tentative*: made from a peeked, unauthenticated packet. Capped per SA group and in all, gone after 5 s,
 *   and never in the way of others: when the cap is reached a stateless hash chooses instead.
 * - *confirmed* (opening, established, closing): made and changed only by what targets report as authenticated, or ask for.
 *   Nothing that merely passes by changes or refreshes one; only its own target's reports do.
 *
 * Connections in clear (group 0) have a share of the entries and no more, confirmed ones too: they push out no connection of an SA.
 *
 * Targets are small indexes. `lookup` allocates nothing. Capacity is fixed; a full table refuses.
 */
export class ConnectionTable {
  readonly capacity: number;
  readonly #slots: ConnectionSlots;
  readonly #keyedHash: KeyedHash;
  readonly #timeouts: ConnectionTimeouts;
  readonly #tentativePerGroup: number;
  readonly #tentativeTotal: number;
  readonly #clearTotal: number;
  readonly #openingPerTarget: number;
  readonly #tentativeByGroup = new Map<number, number>();
  readonly #openingByTarget = new Map<number, number>();
  /** Entries by SA group: a group without one is removed without a look at every slot. */
  readonly #sizeByGroup = new Map<number, number>();
  readonly #sizeByTarget = new Map<number, number>();
  readonly #onChange: ConnectionListener | undefined;
  /** Of an entry that nobody named: reused, nothing is allocated for its end. */
  readonly #key = newConnectionKey();
  readonly #visited = newConnectionKey();
  #tentative = 0;
  #size = 0;
  #sweepAt = 0;

  constructor(options: ConnectionTableOptions) {
    const capacity = options.capacity ?? DEFAULT_CAPACITY;
    if (capacity < MIN_CAPACITY || capacity > MAX_CAPACITY || (capacity & (capacity - 1)) !== 0) {
      throw new RangeError('capacity must be a power of two from 2^4 to 2^20');
    }
    this.capacity = capacity;
    this.#slots = new ConnectionSlots(capacity);
    this.#keyedHash = new KeyedHash(options.seed);
    this.#timeouts = { ...DEFAULT_CONNECTION_TIMEOUTS, ...options.timeouts };
    this.#onChange = options.onChange;
    this.#tentativeTotal = options.tentativeTotal ?? capacity / 4;
    this.#clearTotal = options.clearTotal ?? capacity / 4;
    this.#openingPerTarget = options.openingPerTarget ?? capacity / 16;
    this.#tentativePerGroup =
      options.tentativePerGroup ?? Math.min(DEFAULT_TENTATIVE_PER_GROUP, capacity / 8);
  }

  get size(): number {
    return this.#size;
  }

  get tentativeCount(): number {
    return this.#tentative;
  }

  get confirmedCount(): number {
    return this.#size - this.#tentative;
  }

  /** Memory for each entry of the capacity, used or not. */
  get bytesPerEntry(): number {
    return this.#slots.bytesPerSlot;
  }

  /** Entries of the SA group. */
  sizeOf(group: number): number {
    return this.#sizeByGroup.get(group) ?? 0;
  }

  /** The keyed hash of a connection: also what stateless choices are made of. */
  hashOf(key: ConnectionKey): number {
    return this.#keyedHash.hash(key);
  }

  /** The connection's target, or -1. Changes nothing, allocates nothing. */
  lookup(key: ConnectionKey): number {
    const slot = this.#find(key);
    return slot < 0 ? -1 : this.#slots.valueAt(slot);
  }

  /** There is an entry, and it came from a target's report. */
  isConfirmed(key: ConnectionKey): boolean {
    const slot = this.#find(key);
    return slot >= 0 && this.#slots.state[slot] !== TENTATIVE;
  }

  /**
   * Room for one more tentative entry of this SA group? False: a quota is used up or the table is full, so
   * choose by hash and make no entry.
   */
  hasRoomFor(group: number): boolean {
    return (
      this.#mayGrow(group) &&
      this.#tentative < this.#tentativeTotal &&
      (this.#tentativeByGroup.get(group) ?? 0) < this.#tentativePerGroup
    );
  }

  /** Remembers a choice made for an unauthenticated packet. False (nothing changes): no room, or an entry exists. */
  addTentative(key: ConnectionKey, target: number, now: number): boolean {
    const hash = this.hashOf(key);
    const found = this.#slots.find(key, hash);
    if (found >= 0 || !this.hasRoomFor(key.group)) return false;
    const slot = this.#occupy(-1 - found, key, hash, target);
    this.#slots.time[slot] = now + this.#timeouts.tentativeMs;
    this.#enter(slot, key, TENTATIVE);
    return true;
  }

  /**
   * `target` reports the connection as authenticated and open (again: refreshes its idle timer). Returns
   * `new` if it was not confirmed before, `known` if it was, `refused` if the entry belongs to another target
   * (`coupling-not-granted`), `full` if there is no room for it (it goes on by hash).
   */
  confirm(key: ConnectionKey, target: number, now: number): 'new' | 'known' | 'refused' | 'full' {
    const hash = this.hashOf(key);
    const found = this.#slots.find(key, hash);
    const state = found < 0 ? FREE : (this.#slots.state[found] as number);
    if (state !== FREE && this.#slots.valueAt(found) !== target) return 'refused';
    if (state === FREE && !this.#mayGrow(key.group)) return 'full';
    const slot = state === FREE ? this.#occupy(-1 - found, key, hash, target) : found;
    if (state !== ESTABLISHED) this.#enter(slot, key, ESTABLISHED);
    this.#slots.time[slot] = now + this.#timeouts.establishedMs;
    return state === ESTABLISHED ? 'known' : 'new';
  }

  /**
   * `target` is about to open the connection itself, and asks whether it may: true, and nobody else may until it reports the
   * connection, or does not ask again in time. False: another has it, or too many are asked for.
   */
  open(key: ConnectionKey, target: number, now: number): boolean {
    const hash = this.hashOf(key);
    const found = this.#slots.find(key, hash);
    const state = found < 0 ? FREE : (this.#slots.state[found] as number);
    if (state !== FREE && this.#slots.valueAt(found) !== target) return false;
    if (state === ESTABLISHED) return true;
    if (state !== OPENING && (this.#openingByTarget.get(target) ?? 0) >= this.#openingPerTarget) return false;
    if (state === FREE && !this.#mayGrow(key.group)) return false;
    const slot = state === FREE ? this.#occupy(-1 - found, key, hash, target) : found;
    if (state !== OPENING) this.#enter(slot, key, OPENING);
    this.#slots.time[slot] = now + this.#timeouts.openingMs;
    return true;
  }

  /** Its target has asked for it, and not reported it yet. */
  isOpening(key: ConnectionKey): boolean {
    const slot = this.#find(key);
    return slot >= 0 && this.#slots.state[slot] === OPENING;
  }

  /**
   * `target` reports the end of the connection: the entry stays a while for late segments. False if it has no
   * such confirmed connection.
   */
  close(key: ConnectionKey, target: number, now: number): boolean {
    const slot = this.#find(key);
    if (slot < 0 || this.#slots.valueAt(slot) !== target || this.#slots.state[slot] === TENTATIVE)
      return false;
    if (this.#slots.state[slot] === CLOSING) return true;
    this.#enter(slot, key, CLOSING);
    this.#slots.time[slot] = now + this.#timeouts.closingMs;
    return true;
  }

  /** Forgets the entry, whatever it is. False: there is none. */
  remove(key: ConnectionKey): boolean {
    const slot = this.#find(key);
    if (slot < 0) return false;
    this.#remove(slot);
    return true;
  }

  /** The target is lost: its connections are gone with it. Returns how many. */
  removeTarget(target: number): number {
    return this.#removeWhere((slot) => this.#slots.valueAt(slot) === target);
  }

  /** The DVIPA is gone, or the target serves it no more. Returns how many connections went with that. */
  removeDvipa(dvipa: IpAddress, target?: number): number {
    return this.#removeWhere((slot) => {
      if (target !== undefined && this.#slots.valueAt(slot) !== target) return false;
      return this.#slots.isOfDvipa(slot, dvipa);
    });
  }

  /** The SA group is gone (its last SA was deleted). Returns how many connections went with it. */
  removeGroup(group: number): number {
    if (!this.#sizeByGroup.has(group)) return 0;
    return this.#removeWhere((slot) => this.#slots.groupAt(slot) === group);
  }

  /**
   * Forgets what has expired, in the next `budget` slots: call it regularly, e.g. every 100 ms with a
   * twentieth of the slots. Returns how many.
   */
  sweep(now: number, budget = this.#slots.slots / 16): number {
    const { slots, state, time } = this.#slots;
    let removed = 0;
    for (let looked = 0; looked < budget; looked++) {
      if (state[this.#sweepAt] !== FREE && (time[this.#sweepAt] as number) <= now) {
        this.#remove(this.#sweepAt);
        removed++;
      }
      this.#sweepAt = (this.#sweepAt + 1) % slots;
    }
    return removed;
  }

  /** Places for entries. */
  get slots(): number {
    return this.#slots.slots;
  }

  /** Entries of the target, expired ones too until they are swept. */
  sizeOfTarget(target: number): number {
    return this.#sizeByTarget.get(target) ?? 0;
  }

  /**
   * Entries in the slots from `from` below `end` that have not expired; allocates nothing. The table must not change in the call.
   * False: the visitor wants no more.
   */
  visit(from: number, end: number, now: number, visitor: ConnectionVisitor): boolean {
    const { slots, state, time } = this.#slots;
    for (let slot = from; slot < Math.min(end, slots); slot++) {
      const name = STATE_NAMES[state[slot] as number];
      const remainingMs = (time[slot] as number) - now;
      if (name === undefined || remainingMs <= 0) continue;
      this.#slots.readKey(slot, this.#visited);
      if (!visitor(this.#visited, this.#slots.valueAt(slot), name, remainingMs)) return false;
    }
    return true;
  }

  #mayGrow(group: number): boolean {
    if (this.#size >= this.capacity) return false;
    return group !== CLEAR_GROUP || (this.#sizeByGroup.get(CLEAR_GROUP) ?? 0) < this.#clearTotal;
  }

  #find(key: ConnectionKey): number {
    const again = this.#slots.findAgain(key);
    return again >= 0 ? again : this.#slots.find(key, this.hashOf(key));
  }

  /** The new entry's slot. It has no state yet: `#enter` gives it one. */
  #occupy(place: number, key: ConnectionKey, hash: number, target: number): number {
    const slot = this.#slots.occupy(place, key, hash, FREE);
    this.#slots.setValue(slot, target);
    return slot;
  }

  #removeWhere(matches: (slot: number) => boolean): number {
    let removed = 0;
    for (let slot = 0; slot < this.#slots.slots; slot++) {
      if (this.#slots.state[slot] === FREE || !matches(slot)) continue;
      this.#remove(slot);
      removed++;
    }
    return removed;
  }

  #remove(slot: number): void {
    this.#slots.readKey(slot, this.#key);
    this.#enter(slot, this.#key, FREE);
    this.#slots.release(slot);
  }

  /** The one place where an entry changes its state: what is counted is counted here. `FREE`: it ends. */
  #enter(slot: number, key: ConnectionKey, after: number): void {
    const before = this.#slots.state[slot] as number;
    const { group } = key;
    if (before === FREE || after === FREE) {
      const by = after === FREE ? -1 : 1;
      this.#size += by;
      addTo(this.#sizeByGroup, group, by);
      addTo(this.#sizeByTarget, this.#slots.valueAt(slot), by);
    }
    if (before === TENTATIVE || after === TENTATIVE) {
      const by = after === TENTATIVE ? 1 : -1;
      this.#tentative += by;
      addTo(this.#tentativeByGroup, group, by);
    }
    if (before === OPENING || after === OPENING) {
      addTo(this.#openingByTarget, this.#slots.valueAt(slot), after === OPENING ? 1 : -1);
    }
    // `release` frees the slot, and needs to see that it is taken.
    if (after !== FREE) this.#slots.state[slot] = after;
    this.#onChange?.(key, this.#slots.valueAt(slot), STATE_NAMES[before], STATE_NAMES[after]);
  }
}

/** Counts by group or target; one with none is not kept. */
function addTo(counts: Map<number, number>, of: number, by: 1 | -1): void {
  const count = (counts.get(of) ?? 0) + by;
  if (count === 0) counts.delete(of);
  else counts.set(of, count);
}
