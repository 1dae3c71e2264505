import { CLEAR_GROUP, type ConnectionKey, KeyedHash } from './connection-key.ts';
import { ConnectionSlots, FREE } from './connection-slots.ts';
import {
  isOpen,
  nextTcpState,
  nextUdpState,
  RST,
  TCP_NONE,
  TCP_OPENING,
  type TcpState,
} from './tcp-state.ts';
import { DEFAULT_CONNECTION_TIMEOUTS, UDP_IDLE_MS } from './timeouts.ts';

const TCP = 6;
const UDP = 17;

export const DEFAULT_MAX_FLOWS = 2 ** 16;
/** Events that wait for a report; when there are more the whole list is sent instead. */
const MAX_PENDING = 8192;
/** A connection that is not open is forgotten after so long; late segments do not open it again until then. */
const CLOSED_MS = 60_000;

/** `value` of a slot: was it used since it was listed? */
const LISTED = 0;
const USED = 1;

export interface FlowTrackerOptions {
  /** 8 random bytes. */
  readonly seed: Uint8Array;
  /** A power of two. */
  readonly maxFlows?: number;
  /** After this time without a segment a connection is no longer listed; the routing host's own timeout. */
  readonly idleMs?: number;
  /** Our own kernel refused a connection that the peer was opening: nobody listens there. */
  readonly onRefused?: () => void;
}

/** What the target has to tell (record `flow-report`). */
export interface FlowEvents {
  readonly opened: readonly ConnectionKey[];
  readonly closed: readonly ConnectionKey[];
  /** `opened` is the first part of the whole list: whatever was listed before and is not here is over. */
  readonly full: boolean;
}

/**
 * A target's view of its connections, from authenticated packets alone: inbound ones after the ICV and the
 * tunnel check, outbound ones from its own kernel. The routing host confirms and closes its table's entries
 * by what this reports. Bounded: when it is full, further connections are not reported (and counted); they go
 * on by hash. Open connections that are used are listed again every sixth of the idle time.
 */
export class FlowTracker {
  readonly #slots: ConnectionSlots;
  readonly #hash: KeyedHash;
  readonly #maxFlows: number;
  readonly #idleMs: number;
  readonly #onRefused: (() => void) | undefined;
  #opened: ConnectionKey[] = [];
  #closed: ConnectionKey[] = [];
  #isFullDue = false;
  #size = 0;
  /** Of these in clear: a quarter at most, so that they are in no SA's way. */
  #clearSize = 0;
  #overflow = 0;
  #sweepAt = 0;
  /** When the next pass over the table begins. */
  #passAt = 0;

  constructor(options: FlowTrackerOptions) {
    const maxFlows = options.maxFlows ?? DEFAULT_MAX_FLOWS;
    if (maxFlows < 1 || (maxFlows & (maxFlows - 1)) !== 0)
      throw new RangeError('maxFlows must be a power of two');
    this.#maxFlows = maxFlows;
    this.#slots = new ConnectionSlots(maxFlows);
    this.#hash = new KeyedHash(options.seed);
    this.#onRefused = options.onRefused;
    this.#idleMs = options.idleMs ?? DEFAULT_CONNECTION_TIMEOUTS.establishedMs;
  }

  /** Connections known, open or not. */
  get size(): number {
    return this.#size;
  }

  /** Segments of connections that found no room. */
  get overflow(): number {
    return this.#overflow;
  }

  /** Something is to be reported. */
  get hasEvents(): boolean {
    return this.#isFullDue || this.#opened.length > 0 || this.#closed.length > 0;
  }

  /**
   * One authenticated packet; `key` as seen from the peer in both directions. UDP has pseudo-connections, open while our own
   * host answers. Other protocols are passed over. True: the same once more, at this time, would change nothing.
   */
  observe(key: ConnectionKey, flags: number, isInbound: boolean, now: number): boolean {
    if (key.protocol !== TCP && key.protocol !== UDP) return true;
    const again = this.#slots.findAgain(key);
    const hash = again >= 0 ? 0 : this.#hash.hash(key);
    const found = again >= 0 ? again : this.#slots.find(key, hash);
    let slot = found;
    const before = found >= 0 ? (this.#slots.state[slot] as number) : TCP_NONE;
    const isTcp = key.protocol === TCP;
    const after = isTcp ? nextTcpState(before, flags, isInbound) : nextUdpState(before, isInbound);
    if (after === TCP_NONE) return true;
    if (isTcp && before === TCP_OPENING && !isInbound && (flags & RST) !== 0) this.#onRefused?.();
    if (found < 0) {
      const isClear = key.group === CLEAR_GROUP;
      if (this.#size >= this.#maxFlows || (isClear && this.#clearSize >= this.#maxFlows / 4)) {
        this.#overflow++;
        return false;
      }
      slot = this.#slots.occupy(-1 - found, key, hash, after);
      this.#size++;
      if (isClear) this.#clearSize++;
    }
    this.#slots.state[slot] = after;
    this.#slots.setValue(slot, USED);
    this.#slots.time[slot] = now;
    if (!isOpen(before) && isOpen(after)) {
      this.#slots.setValue(slot, LISTED);
      this.#opened.push(this.#slots.keyAt(slot));
    } else if (isOpen(before) && !isOpen(after)) this.#closed.push(this.#slots.keyAt(slot));
    if (this.#opened.length + this.#closed.length > MAX_PENDING) this.listAll();
    return after === before;
  }

  /** What is known of a TCP connection; `TCP_NONE`: nothing. */
  stateOf(key: ConnectionKey): TcpState {
    const slot = this.#slots.find(key, this.#hash.hash(key));
    return slot < 0 ? TCP_NONE : (this.#slots.state[slot] as number);
  }

  /** The next `take` lists every open connection: after a new coupling session. */
  listAll(): void {
    this.#isFullDue = true;
    this.#opened = [];
    this.#closed = [];
  }

  /** The next report, at most `max` opened and closed ones each; undefined if there is nothing. Call until undefined. */
  take(max: number): FlowEvents | undefined {
    if (!this.hasEvents) return undefined;
    const full = this.#isFullDue;
    if (full) {
      this.#isFullDue = false;
      this.#opened = [...this.flows()];
    }
    return { opened: this.#opened.splice(0, max), closed: this.#closed.splice(0, max), full };
  }

  /** Every open connection. */
  *flows(): Generator<ConnectionKey> {
    for (let slot = 0; slot < this.#slots.slots; slot++) {
      if (isOpen(this.#slots.state[slot] as number)) yield this.#slots.keyAt(slot);
    }
  }

  /**
   * Forgets idle connections, and lists those again that were used since they were listed last. Call it about
   * once a second; it looks at a part of the table each time.
   */
  sweep(now: number, budget = this.#slots.slots / 16): void {
    const { slots, state, time } = this.#slots;
    if (now < this.#passAt) return;
    for (let looked = 0; looked < budget; looked++) {
      const at = this.#sweepAt;
      if (state[at] !== FREE && now - (time[at] as number) >= this.#lifeOf(at)) {
        if (isOpen(state[at] as number)) this.#closed.push(this.#slots.keyAt(at));
        this.#release(at);
      }
      if (this.#slots.valueAt(at) === USED && isOpen(state[at] as number)) {
        this.#slots.setValue(at, LISTED);
        this.#opened.push(this.#slots.keyAt(at));
      }
      this.#sweepAt = (at + 1) % slots;
      if (this.#sweepAt === 0) {
        this.#passAt = now + Math.min(this.#idleMs / 6, CLOSED_MS);
        break;
      }
    }
  }

  /** The SA group is gone: its connections can neither send nor receive. */
  removeGroup(group: number): void {
    for (let slot = 0; slot < this.#slots.slots; slot++) {
      if (this.#slots.state[slot] === FREE || this.#slots.groupAt(slot) !== group) continue;
      if (isOpen(this.#slots.state[slot] as number)) this.#closed.push(this.#slots.keyAt(slot));
      this.#release(slot);
    }
  }

  #release(slot: number): void {
    if (this.#slots.groupAt(slot) === CLEAR_GROUP) this.#clearSize--;
    this.#size--;
    this.#slots.release(slot);
  }

  #lifeOf(slot: number): number {
    if (!isOpen(this.#slots.state[slot] as number)) return Math.min(CLOSED_MS, this.#idleMs);
    return this.#slots.protocolAt(slot) === UDP ? Math.min(UDP_IDLE_MS, this.#idleMs) : this.#idleMs;
  }
}
