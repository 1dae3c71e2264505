import { LARGE_SLOT_BYTES, PacketVector } from '../dataplane/vector.ts';

const PACKETS_PER_VECTOR = 64;
/** Groups that may be open at a time: a few peers, each with one epoch and two protocols. */
const MAX_GROUPS = 16;

type Deliver = (packets: PacketVector, peer: number, protocol: number, epoch: number) => void;

interface Group {
  peer: number;
  protocol: number;
  epoch: number;
  readonly packets: PacketVector;
}

/**
 * Collects arrivals of the trusted link into one vector per (peer, protocol, epoch), in order of arrival.
 * Bounded: a full vector, or one group too many (epochs come from outside), delivers at once.
 */
export class LinkGroups {
  readonly #deliver: Deliver;
  #open: Group[] = [];
  readonly #spare: Group[] = [];
  /** For a packet that fits no ordinary slot: a datagram that came in fragments, or of a link with jumbo frames. */
  readonly #large = new PacketVector(1, LARGE_SLOT_BYTES);

  constructor(deliver: Deliver) {
    this.#deliver = deliver;
  }

  /** Copies one packet in, with its dispatch number (0: none); false if it is longer than a slot. */
  add(packet: Uint8Array, peer: number, protocol: number, epoch: number, dispatch: number): boolean {
    let group = this.#open.find((g) => g.peer === peer && g.epoch === epoch && g.protocol === protocol);
    if (group === undefined) {
      if (this.#open.length === MAX_GROUPS) this.flush();
      group = this.#take(peer, protocol, epoch);
    }
    if (packet.length > group.packets.roomBytes) return this.#deliverLarge(packet, group, dispatch);
    group.packets.dispatch[group.packets.count] = dispatch;
    group.packets.push(packet);
    if (group.packets.count === group.packets.capacity) this.flush();
    return true;
  }

  /** At once, behind what came before it. */
  #deliverLarge(packet: Uint8Array, { peer, protocol, epoch }: Group, dispatch: number): boolean {
    this.flush();
    const vector = this.#large;
    vector.reset();
    if (!vector.push(packet)) return false;
    vector.dispatch[0] = dispatch;
    this.#deliver(vector, peer, protocol, epoch);
    return true;
  }

  /** Delivers all there is. A receiver that throws loses its own vector only. */
  flush(): void {
    const groups = this.#open;
    this.#open = [];
    let failure: unknown;
    for (const group of groups) {
      try {
        if (group.packets.count > 0) this.#deliver(group.packets, group.peer, group.protocol, group.epoch);
      } catch (error) {
        failure = error;
      }
      group.packets.reset();
      this.#spare.push(group);
    }
    if (failure !== undefined) throw failure;
  }

  #take(peer: number, protocol: number, epoch: number): Group {
    const group = this.#spare.pop() ?? {
      peer,
      protocol,
      epoch,
      packets: new PacketVector(PACKETS_PER_VECTOR),
    };
    group.peer = peer;
    group.protocol = protocol;
    group.epoch = epoch;
    this.#open.push(group);
    return group;
  }
}
