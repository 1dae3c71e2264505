/** Packets that wait for the answer to a claim, in all and of one SA. */
const MAX_HELD = 256;
const MAX_HELD_PER_SA = 32;
/** A round trip over the coupling channel, many times over. */
const HOLD_MS = 500;

/** An authenticated inner packet whose number another target was given as well. */
export interface ClaimedPacket<Sa> {
  readonly entry: Sa;
  readonly high: number;
  readonly low: number;
  /** Target that was asked. */
  readonly owner: number;
  /** Where the packet goes, if it goes. */
  readonly target: number;
  /** What it counts for in the SA's lifesize: more than the packet, if the peer pads. */
  readonly bytes: number;
  /** Plaintext: wiped by whoever takes it. */
  readonly packet: Buffer;
}

interface Held<Sa> extends ClaimedPacket<Sa> {
  readonly until: number;
}

/** Opened packets on the routing host that wait for their number (docs/inbound.md, section 2, step 4). Bounded in count and time. */
export class ClaimedPackets<Sa> {
  readonly #held = new Set<Held<Sa>>();
  readonly #perSa = new Map<Sa, number>();

  get size(): number {
    return this.#held.size;
  }

  /** Ask before a number is claimed: what is claimed for nobody is lost. */
  hasRoomFor(entry: Sa): boolean {
    return this.#held.size < MAX_HELD && (this.#perSa.get(entry) ?? 0) < MAX_HELD_PER_SA;
  }

  hold(claimed: ClaimedPacket<Sa>, now: number): void {
    this.#held.add({ ...claimed, until: now + HOLD_MS });
    this.#perSa.set(claimed.entry, (this.#perSa.get(claimed.entry) ?? 0) + 1);
  }

  /** The packet that waits for this number, and for the word of this target; it waits no more. */
  take(entry: Sa, high: number, low: number, owner: number): ClaimedPacket<Sa> | undefined {
    for (const held of this.#held) {
      const isAsked = held.owner === owner && held.entry === entry;
      if (isAsked && held.low === low && held.high === high) return this.#release(held);
    }
    return undefined;
  }

  /** Forgets and wipes what has waited too long. Returns how many. */
  expire(now: number): number {
    return this.drop(({ until }) => until <= now);
  }

  /** Forgets and wipes those that match. Returns how many. */
  drop(matches: (held: Held<Sa>) => boolean): number {
    let dropped = 0;
    for (const held of this.#held) {
      if (!matches(held)) continue;
      this.#release(held).packet.fill(0);
      dropped++;
    }
    return dropped;
  }

  #release(held: Held<Sa>): ClaimedPacket<Sa> {
    this.#held.delete(held);
    const left = (this.#perSa.get(held.entry) ?? 1) - 1;
    if (left === 0) this.#perSa.delete(held.entry);
    else this.#perSa.set(held.entry, left);
    return held;
  }
}
