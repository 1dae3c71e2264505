import { DROP_REASONS, type DropCounters, type Verdict } from '../base/verdict.ts';
import type { CryptoBatch } from '../ipsec/packet-crypto.ts';

/** Room before a packet for headers that a step puts in front (GRE, link header, outer IP and UDP, IV). */
export const HEADROOM_BYTES = 128;
/** Room for one packet with what is appended to it (padding, ICV). */
export const SLOT_BYTES = 4096;

/**
 * Many packets as one slab of bytes and parallel typed arrays: the only form in which packets move
 * through the data plane. Packet `i` is `slab[offset[i] .. offset[i] + length[i])`. A vector belongs
 * to one pipeline and is reused; what is in it is valid until the pipeline's next `reset()`.
 */
export class PacketVector implements CryptoBatch {
  readonly capacity: number;
  readonly slab: Buffer;
  count = 0;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
  readonly verdict: Uint8Array;
  readonly saSlot: Int32Array;
  readonly sequenceHigh: Uint32Array;
  readonly sequenceLow: Uint32Array;
  readonly ivHigh: Uint32Array;
  readonly ivLow: Uint32Array;
  readonly nextHeader: Uint8Array;
  readonly spi: Uint32Array;
  /**
   * The number of the dispatch on the trusted link (low 32 bits, GRE sequence number, RFC 2890), counted per
   * pair of hosts; what was dispatched is settled by these numbers.
   */
  readonly dispatch: Uint32Array;
  /** Index of the chosen target (routing host), -1 = none. */
  readonly target: Int16Array;
  /** Outer addresses and ports as received, IPv4 as host numbers. */
  readonly outerSource: Uint32Array;
  readonly outerDestination: Uint32Array;
  readonly outerSourcePort: Uint16Array;
  readonly outerDestinationPort: Uint16Array;
  /** Where the ESP header starts inside the packet, and how long ESP is (classify). */
  readonly espOffset: Uint32Array;
  readonly espLength: Uint32Array;
  /** The inner headers: peeked (not authenticated) on the routing host, from the opened packet on a target. */
  readonly family: Uint8Array;
  readonly innerSource: Uint32Array;
  readonly innerDestination: Uint32Array;
  readonly protocol: Uint8Array;
  readonly sourcePort: Uint16Array;
  readonly destinationPort: Uint16Array;
  readonly tcpFlags: Uint8Array;
  readonly isFragment: Uint8Array;
  /** Outbound: the inner packet's DSCP and ECN byte and its DF bit (0 or 1), for the outer header. */
  readonly trafficClass: Uint8Array;
  readonly dontFragment: Uint8Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.slab = Buffer.alloc(capacity * SLOT_BYTES);
    this.offset = new Uint32Array(capacity);
    this.length = new Uint32Array(capacity);
    this.verdict = new Uint8Array(capacity);
    this.saSlot = new Int32Array(capacity);
    this.sequenceHigh = new Uint32Array(capacity);
    this.sequenceLow = new Uint32Array(capacity);
    this.ivHigh = new Uint32Array(capacity);
    this.ivLow = new Uint32Array(capacity);
    this.nextHeader = new Uint8Array(capacity);
    this.spi = new Uint32Array(capacity);
    this.dispatch = new Uint32Array(capacity);
    this.target = new Int16Array(capacity);
    this.outerSource = new Uint32Array(capacity);
    this.outerDestination = new Uint32Array(capacity);
    this.outerSourcePort = new Uint16Array(capacity);
    this.outerDestinationPort = new Uint16Array(capacity);
    this.espOffset = new Uint32Array(capacity);
    this.espLength = new Uint32Array(capacity);
    this.family = new Uint8Array(capacity);
    this.innerSource = new Uint32Array(capacity);
    this.innerDestination = new Uint32Array(capacity);
    this.protocol = new Uint8Array(capacity);
    this.sourcePort = new Uint16Array(capacity);
    this.destinationPort = new Uint16Array(capacity);
    this.tcpFlags = new Uint8Array(capacity);
    this.isFragment = new Uint8Array(capacity);
    this.trafficClass = new Uint8Array(capacity);
    this.dontFragment = new Uint8Array(capacity);
    this.reset();
  }

  /** Bytes that a source may write at `offset[i]` after `reset()`. */
  get roomBytes(): number {
    return SLOT_BYTES - HEADROOM_BYTES - 64;
  }

  reset(): void {
    this.count = 0;
    for (let i = 0; i < this.capacity; i++) this.offset[i] = i * SLOT_BYTES + HEADROOM_BYTES;
    this.verdict.fill(0);
    this.saSlot.fill(-1);
    this.target.fill(-1);
  }

  /** Copies one packet in; false when the vector is full or the packet does not fit a slot. */
  push(packet: Uint8Array): boolean {
    if (this.count >= this.capacity || packet.length > this.roomBytes) return false;
    const i = this.count++;
    this.slab.set(packet, this.offset[i]);
    this.length[i] = packet.length;
    return true;
  }

  drop(i: number, verdict: Verdict): void {
    this.verdict[i] = verdict;
  }

  /** A view, not a copy; valid until `reset()`. For tests and slow paths. */
  packet(i: number): Buffer {
    const start = this.offset[i] as number;
    return this.slab.subarray(start, start + (this.length[i] as number));
  }

  /** Adds the drops of this vector to the counters: once per vector, at the end of a pipeline. */
  countDrops(counters: DropCounters): void {
    for (let i = 0; i < this.count; i++) {
      const verdict = this.verdict[i] as Verdict;
      if (verdict !== 0 && verdict < DROP_REASONS.length) counters.add(verdict);
    }
  }
}
