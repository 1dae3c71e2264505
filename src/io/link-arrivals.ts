import { type DropCounters, verdictOf } from '../base/verdict.ts';
import { LARGE_SLOT_BYTES, PacketVector, SLOT_BYTES } from '../dataplane/vector.ts';
import { GreHeader } from '../packet/gre.ts';
import { isDispatch, readLinkHeader } from './link-frame.ts';
import { type DeliverGroup, LinkGroups } from './link-groups.ts';
import type { LinkPeers } from './link-peers.ts';
import { type NativeHandle, packetIo } from './native.ts';

/** Messages of one system call. With 40 packets in each, opening them all takes a moment: other sources wait. */
const MESSAGES = 32;
/**
 * Place for one message: whatever UDP carries over IPv4, and as much as one packet has on an ordinary network. Places that began a power of
 * two apart would share the same few lines of the processor's caches, since most messages are short.
 */
const MESSAGE_BYTES = 65_536 + 2048;
/** Packets that the kernel may have joined in one message, at most. */
const SEGMENTS_PER_MESSAGE = 128;
const PACKETS = MESSAGES * SEGMENTS_PER_MESSAGE;
/** In place they cost their columns only; copied they have slots. */
const PACKETS_IN_PLACE = 256;
const PACKETS_COPIED = 64;
const NOBODY = -1;

const LINK_STRANGER = verdictOf('link-stranger');
const LINK_MALFORMED = verdictOf('link-malformed');

/** Packets that get slots of their own, all at once: where each is until then. */
class AwaitedVector extends PacketVector {
  readonly from: Uint32Array;

  constructor(capacity: number, slotBytes: number) {
    super(capacity, slotBytes);
    this.from = new Uint32Array(capacity);
  }
}

/**
 * The receiving half of the driver `batch`: many datagrams a system call, and with UDP_GRO many in one message. Dispatches are handed up
 * where the kernel put them, with no room around them: a target opens them in place. The rest gets slots of its own, since a routing host
 * puts headers in front of it and an ICV behind, and its neighbours are close.
 */
export class LinkArrivals {
  readonly #handle: NativeHandle;
  readonly #peers: LinkPeers;
  readonly #drops: DropCounters;
  readonly #deliver: DeliverGroup<PacketVector>;
  readonly #slab = Buffer.alloc(MESSAGES * MESSAGE_BYTES);
  readonly #offset = new Uint32Array(PACKETS);
  readonly #length = new Uint32Array(PACKETS);
  readonly #source = new Uint32Array(PACKETS);
  readonly #messages = new Uint32Array(1);
  readonly #gre = new GreHeader();
  readonly #inPlace: LinkGroups<PacketVector>;
  readonly #copied: LinkGroups<AwaitedVector>;
  readonly #large = new AwaitedVector(1, LARGE_SLOT_BYTES);
  packets = 0;
  calls = 0;

  constructor(
    handle: NativeHandle,
    peers: LinkPeers,
    drops: DropCounters,
    deliver: DeliverGroup<PacketVector>,
  ) {
    this.#handle = handle;
    this.#peers = peers;
    this.#drops = drops;
    this.#deliver = deliver;
    this.#inPlace = new LinkGroups(deliver, () => PacketVector.over(this.#slab, PACKETS_IN_PLACE));
    this.#copied = new LinkGroups(
      (packets, peer, protocol, epoch) => this.#deliverCopy(packets, peer, protocol, epoch),
      () => new AwaitedVector(PACKETS_COPIED, SLOT_BYTES),
    );
  }

  /** One system call, and all that came with it handed up. False: nothing more waits. `packets` has how many there were. */
  receive(): boolean {
    const packets = packetIo().udpReceive(
      this.#handle,
      this.#slab,
      this.#offset,
      this.#length,
      this.#source,
      MESSAGES,
      MESSAGE_BYTES,
      this.#messages,
    );
    this.calls++;
    this.packets += packets;
    this.#sort(packets);
    try {
      this.#inPlace.flush();
    } finally {
      this.#copied.flush();
    }
    return this.#messages[0] === MESSAGES;
  }

  #sort(packets: number): void {
    let source = -1;
    let peer = NOBODY;
    for (let i = 0; i < packets; i++) {
      if (this.#source[i] !== source) {
        source = this.#source[i] as number;
        peer = this.#peers.peerAt(source) ?? NOBODY;
      }
      if (peer === NOBODY) this.#drops.add(LINK_STRANGER);
      else this.#take(i, peer);
    }
  }

  #take(i: number, peer: number): void {
    const gre = this.#gre;
    const at = this.#offset[i] as number;
    const bytes = this.#length[i] as number;
    if (!readLinkHeader(this.#slab, at, bytes, gre)) {
      this.#drops.add(LINK_MALFORMED);
      return;
    }
    const start = at + gre.headerBytes;
    const length = bytes - gre.headerBytes;
    if (isDispatch(gre.protocol)) {
      const vector = this.#inPlace.vectorFor(peer, gre.protocol, gre.key);
      const next = vector.count++;
      vector.offset[next] = start;
      vector.length[next] = length;
      vector.dispatch[next] = gre.sequence;
      return;
    }
    const vector = this.#copied.vectorFor(peer, gre.protocol, gre.key);
    if (length > vector.roomBytes) {
      this.#copied.flush();
      this.#large.reset();
      note(this.#large, start, length);
      this.#deliverCopy(this.#large, peer, gre.protocol, gre.key);
    } else note(vector, start, length);
  }

  #deliverCopy(packets: AwaitedVector, peer: number, protocol: number, epoch: number): void {
    const { from, length, slab, offset, count } = packets;
    packetIo().copyPackets(this.#slab, from, length, slab, offset, count);
    this.#deliver(packets, peer, protocol, epoch);
  }
}

function note(vector: AwaitedVector, start: number, length: number): void {
  const next = vector.count++;
  vector.from[next] = start;
  vector.length[next] = length;
  vector.dispatch[next] = 0;
}
