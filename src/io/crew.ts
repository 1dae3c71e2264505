import { getSystemErrorName } from 'node:util';
import { type NativeCrew, packetIo } from './native.ts';

export interface CrewStats {
  /** Threads that there are: fewer than asked for where the kernel gave no more, 1 once it was closed. */
  readonly workers: number;
  /** Name of the errno with which the kernel gave no more. */
  readonly refusal: string | undefined;
  /** Calls whose work was there for several threads. */
  readonly runs: number;
  /** Those of them before which threads had gone to sleep. */
  readonly wakeUps: number;
  /** Those whose end was long in coming, so that the caller works alone for a while: its threads have no processors. */
  readonly stalls: number;
}

/**
 * Threads that do parts of one call of an addon (ADR 31): what takes one as `crew` cuts the work of a vector into units, and
 * the call returns when all are done. Nothing is decided there, and nothing goes on between calls.
 */
export class Crew {
  readonly handle: NativeCrew;
  readonly #native = packetIo();
  readonly #counters = new Float64Array(5);

  /** `workers`: 1 to 64, the thread of JavaScript included. */
  constructor(workers: number) {
    this.handle = this.#native.crewOpen(workers);
  }

  stats(): CrewStats {
    this.#native.crewStats(this.handle, this.#counters);
    const [workers = 1, errno = 0, runs = 0, wakeUps = 0, stalls = 0] = this.#counters;
    return { workers, refusal: errno === 0 ? undefined : getSystemErrorName(-errno), runs, wakeUps, stalls };
  }

  /** Whoever has the crew works alone from then on. Twice is harmless. */
  close(): void {
    this.#native.crewClose(this.handle);
  }
}
