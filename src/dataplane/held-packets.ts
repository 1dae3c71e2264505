import type { DropCounters, Verdict } from '../base/verdict.ts';
import { verdictOf } from '../base/verdict.ts';
import { HoldQueue, TAKEN } from './hold-queue.ts';
import { LARGE_SLOT_BYTES, PacketVector } from './vector.ts';

const QUEUE_TIMEOUT = verdictOf('queue-timeout');

const VECTOR_PACKETS = 16;
const LARGE_PACKETS = 1;

/**
 * Packets of applications that wait for what somebody else must say, under its name. Released in order, in vectors of their own;
 * bounded in all, for each name and in time.
 */
export class HeldPackets {
  readonly #queue: HoldQueue;
  readonly #send: (vector: PacketVector, now: number) => void;
  readonly #ids = new Map<string, number>();
  readonly #vector = new PacketVector(VECTOR_PACKETS);
  #large: PacketVector | undefined;
  #lastId = 0;

  constructor(
    limits: { readonly capacity: number; readonly perKey: number; readonly holdMs: number },
    send: (vector: PacketVector, now: number) => void,
  ) {
    this.#queue = new HoldQueue(limits);
    this.#send = send;
  }

  get size(): number {
    return this.#queue.size;
  }

  has(name: string): boolean {
    return this.#ids.has(name);
  }

  /** Of this moment: what is released may be held again. */
  names(): string[] {
    return [...this.#ids.keys()];
  }

  /** False when full: the caller drops the packet. */
  hold(name: string, packet: Uint8Array, now: number): boolean {
    const id = this.#ids.get(name) ?? this.#lastId + 1;
    if (!this.#queue.hold(packet, id, now)) return false;
    this.#ids.set(name, id);
    this.#lastId = Math.max(this.#lastId, id);
    return true;
  }

  /** What waits under this name goes on, up to the first that may not yet. It may be held again. */
  release(name: string, now: number, mayGo: (packet: Buffer) => boolean = () => true): void {
    const released = this.#take(name, mayGo);
    let vector = this.#vector;
    vector.reset();
    for (const packet of released) {
      const next = packet.length > this.#vector.roomBytes ? this.#largeVector() : this.#vector;
      if (next !== vector || vector.count === vector.capacity) {
        this.#send(vector, now);
        vector = next;
        vector.reset();
      }
      vector.push(packet);
      packet.fill(0);
    }
    if (vector.count > 0) this.#send(vector, now);
  }

  /** Drops what waits under this name. */
  refuse(name: string, verdict: Verdict, drops: DropCounters): void {
    const refused = this.#take(name, () => true);
    for (const packet of refused) packet.fill(0);
    if (refused.length > 0) drops.add(verdict, refused.length);
  }

  /** Drops what has waited too long. */
  expire(now: number, drops: DropCounters): void {
    this.#queue.expire(
      now,
      () => QUEUE_TIMEOUT,
      (verdict) => drops.add(verdict),
    );
    for (const [name, id] of this.#ids) if (!this.#queue.has(id)) this.#ids.delete(name);
  }

  /** Copies, the caller's to wipe. Whoever sends them may hold packets here again, so the queue is left first. */
  #take(name: string, mayGo: (packet: Buffer) => boolean): Buffer[] {
    const id = this.#ids.get(name);
    if (id === undefined) return [];
    const taken: Buffer[] = [];
    this.#queue.drain(id, (packet) => {
      if (!mayGo(packet)) return id;
      taken.push(Buffer.from(packet));
      return TAKEN;
    });
    if (!this.#queue.has(id)) this.#ids.delete(name);
    return taken;
  }

  #largeVector(): PacketVector {
    this.#large ??= new PacketVector(LARGE_PACKETS, LARGE_SLOT_BYTES);
    return this.#large;
  }
}
