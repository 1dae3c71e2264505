import { DROP_REASONS, type DropCounters, type Verdict } from '../base/verdict.ts';
import type { CryptoBatch } from '../ipsec/packet-crypto.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';

/** Room before a packet for headers that a step puts in front (GRE, link header, outer IP and UDP, IV). */
export const HEADROOM_BYTES = 128;
/** Room behind a packet for padding and ICV. */
const TAILROOM_BYTES = 64;
/**
 * Room for one packet of the usual size with what is appended to it (padding, ICV). A cache line more than a page: places that began a
 * page apart would share the same few lines of the processor's caches, with the headers of all packets of a vector in them.
 */
export const SLOT_BYTES = 4096 + 64;
/** Room for any packet: of datagrams that were reassembled. */
export const LARGE_SLOT_BYTES = HEADROOM_BYTES + 65_535 + TAILROOM_BYTES;

/** Room for packets of a link with this MTU: `SLOT_BYTES`, or more for jumbo frames. */
export function slotBytesFor(mtu: number): number {
  return Math.max(SLOT_BYTES, HEADROOM_BYTES + mtu + TAILROOM_BYTES);
}

/**
 * Many packets as one slab of bytes and parallel typed arrays: the only form in which packets move
 * through the data plane. Packet `i` is `slab[offset[i] .. offset[i] + length[i])`. A vector belongs
 * to one pipeline and is reused; what is in it is valid until the pipeline's next `reset()`.
 */
export class PacketVector implements CryptoBatch {
  readonly capacity: number;
  readonly #slotBytes: number;
  readonly slab: Buffer;
  /** The same bytes, for numbers in network byte order at once. */
  readonly view: DataView;
  count = 0;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
  readonly verdict: Uint8Array;
  readonly saSlot: Int32Array;
  readonly sequenceHigh: Uint32Array;
  readonly sequenceLow: Uint32Array;
  /** The high half of an extended number, as the routing host inferred it (target). */
  readonly linkHigh: Uint32Array;
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
  /** What the packet is on the trusted link: one of `LINK_PROTOCOL`. */
  readonly linkProtocol: Uint16Array;
  /** Outer addresses (four words a packet, `packet/address.ts`) and UDP ports as received; ports 0: native ESP. */
  readonly outerSource: Uint32Array;
  readonly outerDestination: Uint32Array;
  readonly outerSourcePort: Uint16Array;
  readonly outerDestinationPort: Uint16Array;
  /** Where the outer header starts in the slab (classify). */
  readonly outerOffset: Uint32Array;
  /** Where the ESP header starts inside the packet, and how long ESP is (classify). */
  readonly espOffset: Uint32Array;
  readonly espLength: Uint32Array;
  /** 1: the packet says the same as the one before it, outside and inside (`runs.ts`). */
  readonly sameOuter: Uint8Array;
  readonly sameInner: Uint8Array;
  /** The inner headers: peeked (not authenticated) on the routing host, from the opened packet on a target. */
  readonly family: Uint8Array;
  readonly innerSource: Uint32Array;
  readonly innerDestination: Uint32Array;
  readonly protocol: Uint8Array;
  readonly sourcePort: Uint16Array;
  readonly destinationPort: Uint16Array;
  readonly tcpFlags: Uint8Array;
  /** `FRAGMENT`: whole, the first of its datagram, or a later one; and which datagram that is. */
  readonly fragment: Uint8Array;
  readonly fragmentId: Uint32Array;
  readonly quotedProtocol: Uint8Array;
  readonly quotedDestination: Uint32Array;
  readonly quotedSourcePort: Uint16Array;
  readonly quotedDestinationPort: Uint16Array;
  /** Outbound: the inner packet's DSCP and ECN byte, DF bit (0 or 1) and hop limit, for the outer header. */
  readonly trafficClass: Uint8Array;
  readonly dontFragment: Uint8Array;
  readonly hopLimit: Uint8Array;
  /** Stamping: the id that the sending target has on the packet's SA, 0 = none. */
  readonly senderId: Uint16Array;

  constructor(capacity: number, slotBytes = SLOT_BYTES, slab: Buffer = Buffer.alloc(capacity * slotBytes)) {
    this.capacity = capacity;
    this.#slotBytes = slotBytes;
    this.slab = slab;
    this.view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
    this.offset = new Uint32Array(capacity);
    this.length = new Uint32Array(capacity);
    this.verdict = new Uint8Array(capacity);
    this.saSlot = new Int32Array(capacity);
    this.sequenceHigh = new Uint32Array(capacity);
    this.sequenceLow = new Uint32Array(capacity);
    this.linkHigh = new Uint32Array(capacity);
    this.ivHigh = new Uint32Array(capacity);
    this.ivLow = new Uint32Array(capacity);
    this.nextHeader = new Uint8Array(capacity);
    this.spi = new Uint32Array(capacity);
    this.dispatch = new Uint32Array(capacity);
    this.target = new Int16Array(capacity);
    this.linkProtocol = new Uint16Array(capacity);
    this.outerSource = new Uint32Array(capacity * ADDRESS_WORDS);
    this.outerDestination = new Uint32Array(capacity * ADDRESS_WORDS);
    this.outerSourcePort = new Uint16Array(capacity);
    this.outerDestinationPort = new Uint16Array(capacity);
    this.outerOffset = new Uint32Array(capacity);
    this.espOffset = new Uint32Array(capacity);
    this.espLength = new Uint32Array(capacity);
    this.sameOuter = new Uint8Array(capacity);
    this.sameInner = new Uint8Array(capacity);
    this.family = new Uint8Array(capacity);
    this.innerSource = new Uint32Array(capacity * ADDRESS_WORDS);
    this.innerDestination = new Uint32Array(capacity * ADDRESS_WORDS);
    this.protocol = new Uint8Array(capacity);
    this.sourcePort = new Uint16Array(capacity);
    this.destinationPort = new Uint16Array(capacity);
    this.tcpFlags = new Uint8Array(capacity);
    this.fragment = new Uint8Array(capacity);
    this.fragmentId = new Uint32Array(capacity);
    this.quotedProtocol = new Uint8Array(capacity);
    this.quotedDestination = new Uint32Array(capacity * ADDRESS_WORDS);
    this.quotedSourcePort = new Uint16Array(capacity);
    this.quotedDestinationPort = new Uint16Array(capacity);
    this.trafficClass = new Uint8Array(capacity);
    this.dontFragment = new Uint8Array(capacity);
    this.hopLimit = new Uint8Array(capacity);
    this.senderId = new Uint16Array(capacity);
    this.reset();
  }

  /**
   * A vector over bytes of its maker, who says where the packets are. They have no slots: nothing is pushed, and nothing may be written
   * in front of a packet or behind it, where its neighbours are.
   */
  static over(slab: Buffer, capacity: number): PacketVector {
    return new PacketVector(capacity, 0, slab);
  }

  /** Bytes that a source may write at `offset[i]` after `reset()`. */
  get roomBytes(): number {
    return Math.max(0, this.#slotBytes - HEADROOM_BYTES - TAILROOM_BYTES);
  }

  reset(): void {
    this.count = 0;
    for (let i = 0; i < this.capacity; i++) this.offset[i] = i * this.#slotBytes + HEADROOM_BYTES;
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

  /** Bytes that packet `i` may grow by behind its end; padding of ESP and the ICV have room besides. Sources may have swapped slots. */
  roomBehind(i: number): number {
    const start = this.offset[i] as number;
    const place = this.#slotBytes === 0 ? 0 : Math.floor(start / this.#slotBytes);
    return Math.max(0, (place + 1) * this.#slotBytes - TAILROOM_BYTES - start - (this.length[i] as number));
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
