import { IP_PROTOCOL, isIcmp } from '../packet/protocols.ts';
import { type ConnectionKey, KeyedHash } from './connection-key.ts';
import { ConnectionSlots, FREE } from './connection-slots.ts';
import { nextTcpState, RST, TCP_ESTABLISHED, TCP_OPENING, TCP_RESET } from './tcp-state.ts';
import { DEFAULT_CONNECTION_TIMEOUTS, UDP_IDLE_MS } from './timeouts.ts';

/** What a binding is after the TCP states 1 to 6: our own kernel refused the connection; and bindings of other protocols. */
const REFUSED = 7;
const DATAGRAMS = 8;
const ICMP = 9;

/** How long a binding of which nothing is heard lasts, milliseconds. */
export interface BindingTimes {
  /** Our kernel has not answered yet. */
  readonly openingMs: number;
  readonly openMs: number;
  /**
   * After both FINs, or the peer's RST, which the kernel may not have taken: as its TIME-WAIT, and longer than it waits before it
   * repeats the last of its data. So nothing of the one peer's connection is sent when the other has the tuple.
   */
  readonly closedMs: number;
  /** After our own kernel's RST: there is no connection. */
  readonly refusedMs: number;
  readonly datagramsMs: number;
  readonly icmpMs: number;
}

const { tentativeMs, establishedMs, closingMs } = DEFAULT_CONNECTION_TIMEOUTS;
export const DEFAULT_BINDING_TIMES: BindingTimes = {
  openingMs: tentativeMs,
  openMs: establishedMs,
  closedMs: closingMs,
  refusedMs: 1_000,
  datagramsMs: UDP_IDLE_MS,
  icmpMs: 10_000,
};

export interface ConnectionBindingsOptions {
  /** 8 random bytes. */
  readonly seed: Uint8Array;
  /** A power of two. */
  readonly capacity?: number;
  /** Of one SA group. */
  readonly perGroup?: number;
  readonly times?: Partial<BindingTimes>;
}

const DEFAULT_CAPACITY = 2 ** 15;

/**
 * Which SA group a connection is of, on a target, by what the kernel's TCP tells connections apart: protocol, addresses and ports.
 * Two peers that look alike may use the same; then the first has it until it is over, and the other is refused. Made and kept by
 * authenticated packets and by our own kernel's answers only. Bounded: when there is no room a new binding is refused, a living
 * one is never given up for it. The group in a key does not count.
 */
export class ConnectionBindings {
  readonly #slots: ConnectionSlots;
  readonly #hash: KeyedHash;
  readonly #capacity: number;
  readonly #perGroup: number;
  readonly #lives: readonly number[];
  readonly #sizeByGroup = new Map<number, number>();
  #size = 0;
  #sweepAt = 0;

  constructor(options: ConnectionBindingsOptions) {
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY;
    this.#perGroup = options.perGroup ?? this.#capacity / 4;
    this.#slots = new ConnectionSlots(this.#capacity);
    this.#hash = new KeyedHash(options.seed);
    const times = { ...DEFAULT_BINDING_TIMES, ...options.times };
    const { openingMs, openMs, closedMs, refusedMs, datagramsMs, icmpMs } = times;
    this.#lives = [0, openingMs, openMs, openMs, openMs, closedMs, closedMs, refusedMs, datagramsMs, icmpMs];
  }

  /** Bindings, those included that are too old and that nobody has asked for yet. */
  get size(): number {
    return this.#size;
  }

  /**
   * An authenticated packet of the group. False: the connection is another group's, or there is no room. `tcpFlags` of TCP, unless
   * the key stands for something that has no states.
   */
  admit(key: ConnectionKey, group: number, now: number, tcpFlags?: number): boolean {
    const slot = this.#take(key, group, now);
    if (slot < 0) return false;
    this.#note(slot, key, tcpFlags, true, now);
    return true;
  }

  /** Whether `admit` would; nothing is bound. */
  mayAdmit(key: ConnectionKey, group: number, now: number): boolean {
    const owner = this.groupOf(key, now);
    return owner < 0 ? this.#hasRoomFor(group) : owner === group;
  }

  /** A packet of our own kernel, to the peer: the group that it is for, or -1. */
  answer(key: ConnectionKey, now: number, tcpFlags?: number): number {
    const slot = this.#find(key, now);
    if (slot < 0) return -1;
    this.#note(slot, key, tcpFlags, false, now);
    return this.#slots.valueAt(slot);
  }

  /** The group that has it, or -1. Changes nothing. */
  groupOf(key: ConnectionKey, now: number): number {
    const slot = this.#find(key, now);
    return slot < 0 ? -1 : this.#slots.valueAt(slot);
  }

  /** Our own doing: the group has it now, whoever had it. Nothing happens without room. */
  assign(key: ConnectionKey, group: number, now: number): void {
    const slot = this.#find(key, now);
    if (slot >= 0 && this.#slots.valueAt(slot) !== group) this.#release(slot);
    this.admit(key, group, now);
  }

  /** A connection that is open, and was before anybody looked like its peer. False: another group has it. */
  keep(key: ConnectionKey, group: number, now: number): boolean {
    const slot = this.#take(key, group, now);
    if (slot < 0) return false;
    this.#slots.state[slot] = key.protocol === IP_PROTOCOL.TCP ? TCP_ESTABLISHED : DATAGRAMS;
    this.#slots.time[slot] = now;
    return true;
  }

  /** The group is gone, or looks like no other any more. */
  removeGroup(group: number): void {
    if (!this.#sizeByGroup.has(group)) return;
    for (let slot = 0; slot < this.#slots.slots; slot++) {
      if (this.#slots.state[slot] !== FREE && this.#slots.valueAt(slot) === group) this.#release(slot);
    }
  }

  /** Forgets what is over, in the next `budget` slots. */
  sweep(now: number, budget = this.#slots.slots / 16): void {
    if (this.#size === 0) return;
    for (let looked = 0; looked < budget; looked++) {
      if (this.#slots.state[this.#sweepAt] !== FREE && this.#isOver(this.#sweepAt, now))
        this.#release(this.#sweepAt);
      this.#sweepAt = (this.#sweepAt + 1) % this.#slots.slots;
    }
  }

  /** Its slot, taken for the group if it is free; -1. */
  #take(key: ConnectionKey, group: number, now: number): number {
    key.group = 0;
    const hash = this.#hash.hash(key);
    let found = this.#slots.find(key, hash);
    if (found >= 0 && this.#isOver(found, now)) {
      this.#release(found);
      found = this.#slots.find(key, hash);
    }
    if (found >= 0) return this.#slots.valueAt(found) === group ? found : -1;
    if (!this.#hasRoomFor(group)) return -1;
    const size = this.#sizeByGroup.get(group) ?? 0;
    const slot = this.#slots.occupy(-1 - found, key, hash, TCP_OPENING);
    this.#slots.setValue(slot, group);
    this.#sizeByGroup.set(group, size + 1);
    this.#size++;
    return slot;
  }

  #hasRoomFor(group: number): boolean {
    return this.#size < this.#capacity && (this.#sizeByGroup.get(group) ?? 0) < this.#perGroup;
  }

  #find(key: ConnectionKey, now: number): number {
    key.group = 0;
    const slot = this.#slots.find(key, this.#hash.hash(key));
    return slot >= 0 && this.#isOver(slot, now) ? -1 : slot;
  }

  #note(
    slot: number,
    { protocol }: ConnectionKey,
    tcpFlags: number | undefined,
    isInbound: boolean,
    now: number,
  ): void {
    const { state, time } = this.#slots;
    time[slot] = now;
    if (protocol !== IP_PROTOCOL.TCP || tcpFlags === undefined) {
      state[slot] = isIcmp(protocol) ? ICMP : DATAGRAMS;
      return;
    }
    const before = state[slot] as number;
    const known = before === REFUSED ? TCP_RESET : before;
    const after = nextTcpState(known, tcpFlags, isInbound);
    const isRefused = !isInbound && (tcpFlags & RST) !== 0;
    state[slot] = isRefused ? REFUSED : after;
  }

  #isOver(slot: number, now: number): boolean {
    const life = this.#lives[this.#slots.state[slot] as number] as number;
    return now - (this.#slots.time[slot] as number) >= life;
  }

  #release(slot: number): void {
    const group = this.#slots.valueAt(slot);
    const size = (this.#sizeByGroup.get(group) ?? 0) - 1;
    if (size > 0) this.#sizeByGroup.set(group, size);
    else this.#sizeByGroup.delete(group);
    this.#size--;
    this.#slots.release(slot);
  }
}
