import { type DropCounters, verdictOf } from '../base/verdict.ts';
import type { PacketVector } from '../dataplane/vector.ts';
import type { Crew } from './crew.ts';
import { type NativeHandle, packetIo } from './native.ts';

const SEND_FAILED = verdictOf('send-failed');
const TOO_BIG = verdictOf('too-big');

/** Totals since the endpoint was opened. */
export interface EndpointStats {
  readonly received: number;
  readonly sent: number;
  /** Not taken by the kernel; each has a verdict in its vector. */
  readonly refused: number;
  /** Longer than the room in a slot, so they never got into a vector. */
  readonly tooLong: number;
  /** Lost in the kernel because we did not read in time. */
  readonly overrun: number;
  /** Errors of the descriptor itself (a link that went down), not of packets. */
  readonly errors: number;
  readonly lastErrno: number;
}

/** One endpoint of the addon: what TUN, capture and raw socket have in common. */
export class Endpoint {
  readonly #handle: NativeHandle;
  readonly #counters = new Float64Array(7);
  #countedOverrun = 0;
  #countedTooLong = 0;
  #isWatched = false;
  #isClosed = false;
  #readable: () => void = () => {};
  #lost: () => void = () => {};

  constructor(handle: NativeHandle) {
    this.#handle = handle;
  }

  /**
   * The callback runs whenever packets may be waiting. It may leave some (to be fair to other sources):
   * it is called again on the next turn of the event loop. A watched endpoint keeps the process alive.
   */
  onReadable(callback: () => void): void {
    this.#readable = callback;
    if (this.#isWatched || this.#isClosed) return;
    this.#isWatched = true;
    packetIo().poll(this.#handle, (status) => (status < 0 ? this.#lost() : this.#readable()));
  }

  /** The device was deleted: nothing more will come. Close it and, if need be, open another. */
  onLost(callback: () => void): void {
    this.#lost = callback;
  }

  /** Fills the vector from its current count on, without blocking; 0 = nothing there, or the vector is full. */
  receive(vector: PacketVector): number {
    const room = vector.capacity - vector.count;
    if (room === 0) return 0;
    const { slab, offset, length, roomBytes, count } = vector;
    const filled = packetIo().receive(this.#handle, slab, offset, length, roomBytes, count, room);
    vector.count += filled;
    return filled;
  }

  /** Sends packets with verdict 0; those refused get `too-big` (over the device's MTU) or `send-failed`. */
  send(vector: PacketVector): number {
    const { slab, offset, length, verdict, count } = vector;
    return packetIo().send(this.#handle, slab, offset, length, verdict, 0, count, SEND_FAILED, TOO_BIG);
  }

  /** Threads that help to move a vector from now on, where it has parts that are independent of each other. */
  useCrew(crew: Crew): void {
    packetIo().endpointCrew(this.#handle, crew.handle);
  }

  /** Of a capture: another filter program, from the next packet on. */
  setFilter(program: Uint8Array): void {
    packetIo().captureFilter(this.#handle, program);
  }

  stats(): EndpointStats {
    packetIo().stats(this.#handle, this.#counters);
    const [received, sent, refused, tooLong, overrun, errors, lastErrno] = this.#counters as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return { received, sent, refused, tooLong, overrun, errors, lastErrno };
  }

  /** Adds what got lost before it reached a vector, since the last call: `receive-overrun`, `too-big`. */
  countLosses(drops: DropCounters): void {
    const { overrun, tooLong } = this.stats();
    drops.count('receive-overrun', overrun - this.#countedOverrun);
    drops.count('too-big', tooLong - this.#countedTooLong);
    this.#countedOverrun = overrun;
    this.#countedTooLong = tooLong;
  }

  /** Twice is harmless. */
  close(): void {
    this.#isClosed = true;
    packetIo().close(this.#handle);
  }
}
