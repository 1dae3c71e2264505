import { getSystemErrorName } from 'node:util';
import { type NativeCrew, packetIo } from './native.ts';

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

  /** Threads that there are: fewer than asked for where the kernel gave no more, 1 once it was closed. */
  get workers(): number {
    return this.#count(0);
  }

  /** Name of the errno with which the kernel gave no more threads. */
  get refusal(): string | undefined {
    const errno = this.#count(1);
    return errno === 0 ? undefined : getSystemErrorName(-errno);
  }

  /** Calls that were done by several threads. */
  get runs(): number {
    return this.#count(2);
  }

  /** Those of them before which threads had gone to sleep. */
  get wakeUps(): number {
    return this.#count(3);
  }

  /** Those whose end was waited for so long that the caller works alone for a while: its threads have no processors. */
  get stalls(): number {
    return this.#count(4);
  }

  /** Whoever has the crew works alone from then on. Twice is harmless. */
  close(): void {
    this.#native.crewClose(this.handle);
  }

  #count(index: number): number {
    this.#native.crewStats(this.handle, this.#counters);
    return this.#counters[index] as number;
  }
}
