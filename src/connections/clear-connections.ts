import { IP_PROTOCOL, isIcmp } from '../packet/protocols.ts';
import { type ConnectionKey, KeyedHash } from './connection-key.ts';
import { ConnectionSlots, FREE } from './connection-slots.ts';
import { ACK, isOpen, isOpening, nextTcpState, RST, SYN, TCP_NONE, TCP_OPENING } from './tcp-state.ts';
import { DEFAULT_CONNECTION_TIMEOUTS, UDP_IDLE_MS } from './timeouts.ts';

/** What a connection is after the TCP states 1 to 6. */
const ASKED = 7;
const ANSWERED = 8;
const ECHO = 9;

/** `value` of a slot. */
const CLEAR = 0;
/** Our own kernel has answered: the connection began in clear, whatever the peer says. */
const CLEAR_PROVED = 1;
const PROTECTED = 2;

/** An answer to an echo goes out so long after it. */
const ECHO_MS = 10_000;

export interface ClearConnectionsOptions {
  /** 8 random bytes. */
  readonly seed: Uint8Array;
  /** A power of two. */
  readonly capacity?: number;
  /** Of these in clear. */
  readonly clearCapacity?: number;
}

const DEFAULT_CAPACITY = 2 ** 15;

/**
 * Which connections of a target came in clear, and which through an SA, by what its kernel tells connections apart: protocol, addresses and
 * ports (the group in a key does not count). What began through an SA does not go on in clear, in either direction, while it is known here. And
 * a TCP connection is one in clear only if it began so in front of our eyes: with the peer's SYN, and then our kernel's SYN with ACK. A kernel
 * that has the connection already, from before an agent was restarted say, answers a SYN otherwise, and that answer stays here.
 *
 * Whoever sends in clear proves nothing. So entries in clear are a quarter at most, short-lived until our host answers, and
 * when there is no room a new connection in clear is refused.
 */
export class ClearConnections {
  readonly #slots: ConnectionSlots;
  readonly #hash: KeyedHash;
  readonly #capacity: number;
  readonly #clearCapacity: number;
  #size = 0;
  #clearSize = 0;
  #sweepAt = 0;

  constructor(options: ClearConnectionsOptions) {
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY;
    this.#clearCapacity = options.clearCapacity ?? this.#capacity / 4;
    this.#slots = new ConnectionSlots(this.#capacity);
    this.#hash = new KeyedHash(options.seed);
  }

  /** Connections in clear, those included that are too old and that nobody has asked for yet. */
  get clearSize(): number {
    return this.#clearSize;
  }

  /** A packet that came in clear and may, as far as rules and policies say. False: its connection may not be one in clear. */
  admit(key: ConnectionKey, tcpFlags: number, now: number): boolean {
    const isTcp = key.protocol === IP_PROTOCOL.TCP;
    const known = this.#find(key, now);
    if (known >= 0 && this.#slots.valueAt(known) === PROTECTED) return false;
    const isBeginning = known < 0 || !this.#isProved(known);
    if (isTcp && isBeginning && !isOpening(tcpFlags) && (known < 0 || (tcpFlags & RST) === 0)) return false;
    const slot = known >= 0 ? known : this.#add(key, CLEAR);
    if (slot < 0) return false;
    this.#note(slot, key, tcpFlags, true, now);
    return true;
  }

  /** A packet of our own kernel to the peer. True: it may go out in clear, as far as this table says. */
  answers(key: ConnectionKey, tcpFlags: number, now: number): boolean {
    const slot = this.#find(key, now);
    if (slot < 0 || this.#slots.valueAt(slot) === PROTECTED) return false;
    if (key.protocol === IP_PROTOCOL.TCP && !this.#isProved(slot)) {
      const isAccept = (tcpFlags & (SYN | ACK | RST)) === (SYN | ACK);
      if (!isAccept && (tcpFlags & RST) === 0) return false;
      if (isAccept) this.#slots.setValue(slot, CLEAR_PROVED);
    }
    this.#note(slot, key, tcpFlags, false, now);
    return true;
  }

  /** Whether it is one in clear. Changes nothing. */
  has(key: ConnectionKey, now: number): boolean {
    const slot = this.#find(key, now);
    return slot >= 0 && this.#slots.valueAt(slot) !== PROTECTED;
  }

  /** An authenticated packet, or what our kernel sends through an SA: the connection is the SA's from now on, whatever it was. */
  protect(key: ConnectionKey, tcpFlags: number, isInbound: boolean, now: number): void {
    let slot = this.#find(key, now);
    if (slot < 0) {
      // Our own kernel's answers begin nothing: the peer's packet did.
      slot = isInbound ? this.#add(key, PROTECTED) : -1;
      if (slot < 0) return;
    }
    if (this.#slots.valueAt(slot) !== PROTECTED) {
      this.#slots.setValue(slot, PROTECTED);
      this.#clearSize--;
    }
    this.#note(slot, key, tcpFlags, isInbound, now);
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

  #isProved(slot: number): boolean {
    return this.#slots.valueAt(slot) === CLEAR_PROVED;
  }

  #find(key: ConnectionKey, now: number): number {
    key.group = 0;
    const slot = this.#slots.find(key, this.#hash.hash(key));
    if (slot < 0 || !this.#isOver(slot, now)) return slot;
    this.#release(slot);
    return -1;
  }

  #add(key: ConnectionKey, value: number): number {
    if (this.#size >= this.#capacity) return -1;
    if (value !== PROTECTED && this.#clearSize >= this.#clearCapacity) return -1;
    const hash = this.#hash.hash(key);
    const place = -1 - this.#slots.find(key, hash);
    const slot = this.#slots.occupy(place, key, hash, key.protocol === IP_PROTOCOL.TCP ? TCP_OPENING : ASKED);
    this.#slots.setValue(slot, value);
    this.#size++;
    if (value !== PROTECTED) this.#clearSize++;
    return slot;
  }

  #note(slot: number, { protocol }: ConnectionKey, flags: number, isInbound: boolean, now: number): void {
    const { state, time } = this.#slots;
    time[slot] = now;
    if (protocol === IP_PROTOCOL.TCP) {
      const after = nextTcpState(state[slot] as number, flags, isInbound);
      state[slot] = after === TCP_NONE ? TCP_OPENING : after;
    } else if (isIcmp(protocol)) state[slot] = ECHO;
    else if (!isInbound) state[slot] = ANSWERED;
  }

  #isOver(slot: number, now: number): boolean {
    return now - (this.#slots.time[slot] as number) >= this.#lifeOf(slot);
  }

  #lifeOf(slot: number): number {
    const state = this.#slots.state[slot] as number;
    const { tentativeMs, establishedMs, closingMs } = DEFAULT_CONNECTION_TIMEOUTS;
    const isProtected = this.#slots.valueAt(slot) === PROTECTED;
    if (state === ECHO) return ECHO_MS;
    if (state === ANSWERED) return UDP_IDLE_MS;
    if (state === ASKED) return isProtected ? UDP_IDLE_MS : tentativeMs;
    if (isOpen(state)) return establishedMs;
    return state === TCP_OPENING && !isProtected ? tentativeMs : closingMs;
  }

  #release(slot: number): void {
    if (this.#slots.valueAt(slot) !== PROTECTED) this.#clearSize--;
    this.#size--;
    this.#slots.release(slot);
  }
}
