import type { PacketVector } from '../dataplane/vector.ts';

/** Groups that may be open at a time: a few peers, each with one epoch and two protocols. */
const MAX_GROUPS = 16;

export type DeliverGroup<Vector extends PacketVector> = (
  packets: Vector,
  peer: number,
  protocol: number,
  epoch: number,
) => void;

interface Group<Vector extends PacketVector> {
  peer: number;
  protocol: number;
  epoch: number;
  readonly packets: Vector;
}

/**
 * Collects arrivals of the trusted link into one vector per (peer, protocol, epoch), in order of arrival.
 * Bounded: a full vector, or one group too many (epochs come from outside), delivers at once.
 */
export class LinkGroups<Vector extends PacketVector> {
  readonly #deliver: DeliverGroup<Vector>;
  readonly #make: () => Vector;
  #open: Group<Vector>[] = [];
  /** Takes turns with `#open`, so that a flush makes no new one. */
  #leaving: Group<Vector>[] = [];
  readonly #spare: Group<Vector>[] = [];

  constructor(deliver: DeliverGroup<Vector>, make: () => Vector) {
    this.#deliver = deliver;
    this.#make = make;
  }

  /** Where the next packet of these goes: a vector with room for one more. */
  vectorFor(peer: number, protocol: number, epoch: number): Vector {
    const found = this.#find(peer, protocol, epoch);
    if (found !== undefined && found.count < found.capacity) return found;
    if (found !== undefined || this.#open.length === MAX_GROUPS) this.flush();
    return this.#take(peer, protocol, epoch);
  }

  /** Delivers all there is. A receiver that throws loses its own vector only. */
  flush(): void {
    const groups = this.#open;
    if (groups.length === 0) return;
    this.#open = this.#leaving;
    this.#leaving = groups;
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
    groups.length = 0;
    if (failure !== undefined) throw failure;
  }

  #find(peer: number, protocol: number, epoch: number): Vector | undefined {
    for (const group of this.#open) {
      if (group.peer === peer && group.epoch === epoch && group.protocol === protocol) return group.packets;
    }
    return undefined;
  }

  #take(peer: number, protocol: number, epoch: number): Vector {
    const group = this.#spare.pop() ?? { peer, protocol, epoch, packets: this.#make() };
    group.peer = peer;
    group.protocol = protocol;
    group.epoch = epoch;
    this.#open.push(group);
    return group.packets;
  }
}
