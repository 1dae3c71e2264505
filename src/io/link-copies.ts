import { LARGE_SLOT_BYTES, PacketVector } from '../dataplane/vector.ts';
import { type DeliverGroup, LinkGroups } from './link-groups.ts';

const PACKETS_PER_VECTOR = 64;

/** Arrivals that each come in a buffer of their own: copied into slots, by group. */
export class LinkCopies {
  readonly #deliver: DeliverGroup<PacketVector>;
  readonly #groups: LinkGroups<PacketVector>;
  /** For a packet that fits no ordinary slot: a datagram that came in fragments, or of a link with jumbo frames. */
  readonly #large = new PacketVector(1, LARGE_SLOT_BYTES);

  constructor(deliver: DeliverGroup<PacketVector>) {
    this.#deliver = deliver;
    this.#groups = new LinkGroups(deliver, () => new PacketVector(PACKETS_PER_VECTOR));
  }

  /** Copies one packet in, with its dispatch number (0: none); false if it is longer than any slot. */
  add(packet: Uint8Array, peer: number, protocol: number, epoch: number, dispatch: number): boolean {
    const vector = this.#groups.vectorFor(peer, protocol, epoch);
    if (packet.length > vector.roomBytes) return this.#deliverLarge(packet, peer, protocol, epoch, dispatch);
    vector.dispatch[vector.count] = dispatch;
    return vector.push(packet);
  }

  /** Delivers all there is, as `LinkGroups.flush`. */
  flush(): void {
    this.#groups.flush();
  }

  /** At once, behind what came before it. */
  #deliverLarge(
    packet: Uint8Array,
    peer: number,
    protocol: number,
    epoch: number,
    dispatch: number,
  ): boolean {
    this.flush();
    const vector = this.#large;
    vector.reset();
    if (!vector.push(packet)) return false;
    vector.dispatch[0] = dispatch;
    this.#deliver(vector, peer, protocol, epoch);
    return true;
  }
}
