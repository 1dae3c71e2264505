import { type Clock, every, type Timer } from '../../base/clock.ts';
import type { TargetSession } from '../../coupling/session.ts';
import type { Log } from '../../observe/log.ts';
import { BusyShare, type CpuTimes } from './busy-share.ts';

const MEASURE_MS = 1000;
/** A smaller change is not worth a record: no distribution depends on it. */
const TOLD_STEP_PER_MILLE = 20;

/** Tells the routing host how busy this target is: when a session begins, and at most once a second when it has changed. */
export class TargetLoad {
  readonly #read: () => Promise<CpuTimes>;
  readonly #log: Log;
  readonly #share = new BusyShare();
  readonly #timer: Timer;
  #session: TargetSession | undefined;
  #told: number | undefined;

  constructor(clock: Clock, log: Log, read: () => Promise<CpuTimes>) {
    this.#log = log;
    this.#read = read;
    this.#timer = every(clock, MEASURE_MS, () => void this.#measure());
    void this.#measure();
  }

  sessionOpened(session: TargetSession): void {
    this.#session = session;
    this.#told = undefined;
    this.#tell();
  }

  sessionClosed(): void {
    this.#session = undefined;
  }

  close(): void {
    this.#timer.cancel();
  }

  async #measure(): Promise<void> {
    try {
      this.#share.measured(await this.#read());
    } catch (error) {
      this.#log.debug('load of this host is not known', { error });
    }
    this.#tell();
  }

  #tell(): void {
    const { perMille } = this.#share;
    if (this.#session === undefined || perMille === undefined) return;
    if (this.#told !== undefined && Math.abs(perMille - this.#told) < TOLD_STEP_PER_MILLE) return;
    this.#told = perMille;
    this.#session.send('load', { busyPerMille: perMille });
  }
}
