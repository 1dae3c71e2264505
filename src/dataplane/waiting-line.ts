import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { HoldQueue, TAKEN } from './hold-queue.ts';
import { LARGE_SLOT_BYTES, PacketVector } from './vector.ts';

const QUEUE_OVERFLOW = verdictOf('queue-overflow');
const QUEUE_TIMEOUT = verdictOf('queue-timeout');

const LARGE_PACKETS = 2;

/** What a way out does with a packet; both ways, a target's own and the funnel, are made of these. */
export interface OutboundSteps {
  /** Reads the inner headers and names the SA in `saSlot`. */
  findSa(vector: PacketVector, i: number): Verdict;
  /** KEEP: number and IV are in the vector. ELSEWHERE: there is no number now. */
  number(vector: PacketVector, i: number, now: number): Verdict;
  /** Seals and sends what has verdict 0, and counts the drops. */
  transmit(vector: PacketVector, now: number): void;
}

/**
 * Outbound packets that wait for sequence numbers, in order, per SA. When an SA gives numbers again they go out
 * before anything newer; if charon has switched to another SA meanwhile, they join that one's line.
 */
export class WaitingLine {
  readonly #steps: OutboundSteps;
  readonly #queue: HoldQueue;
  readonly #released: PacketVector;
  /** What is longer than a slot of `#released`. */
  readonly #releasedLarge = new PacketVector(LARGE_PACKETS, LARGE_SLOT_BYTES);

  constructor(
    steps: OutboundSteps,
    limits: { readonly capacity: number; readonly perKey: number; readonly holdMs: number },
    vectorPackets = 64,
  ) {
    this.#steps = steps;
    this.#queue = new HoldQueue(limits);
    this.#released = new PacketVector(vectorPackets);
  }

  /** Packet `i`, whose SA is found: numbers it, or lets it wait (ELSEWHERE) behind those that wait already. */
  admit(vector: PacketVector, i: number, now: number): Verdict {
    const slot = vector.saSlot[i] as number;
    const verdict = this.#queue.has(slot) ? ELSEWHERE : this.#steps.number(vector, i, now);
    if (verdict !== ELSEWHERE) return verdict;
    return this.#queue.hold(vector.packet(i), slot, now) ? ELSEWHERE : QUEUE_OVERFLOW;
  }

  /** Sends what waits for the SA in `slot`, as far as numbers reach. */
  resume(slot: number, now: number): void {
    let vector = this.#released;
    vector.reset();
    this.#queue.drain(slot, (packet) => {
      const next = packet.length > this.#released.roomBytes ? this.#releasedLarge : this.#released;
      if (next !== vector || vector.count === vector.capacity) {
        this.#steps.transmit(vector, now);
        vector = next;
        vector.reset();
      }
      vector.push(packet);
      const i = vector.count - 1;
      const verdict = this.#again(vector, i, slot, now);
      if (verdict === ELSEWHERE) {
        vector.count--;
        return vector.saSlot[i] as number;
      }
      vector.verdict[i] = verdict;
      return TAKEN;
    });
    this.#steps.transmit(vector, now);
  }

  /** Drops what has waited too long. */
  expire(now: number, drops: DropCounters): void {
    this.#queue.expire(
      now,
      () => QUEUE_TIMEOUT,
      (verdict) => drops.add(verdict),
    );
  }

  #again(vector: PacketVector, i: number, waitedFor: number, now: number): Verdict {
    const bad = this.#steps.findSa(vector, i);
    if (bad !== KEEP) return bad;
    const slot = vector.saSlot[i] as number;
    const isBehindOthers = slot !== waitedFor && this.#queue.has(slot);
    return isBehindOthers ? ELSEWHERE : this.#steps.number(vector, i, now);
  }
}
