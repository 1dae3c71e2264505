/** Time of all processors of a host since it was started, in any unit. */
export interface CpuTimes {
  /** Spent on work, that of the kernel included. */
  readonly busy: number;
  readonly total: number;
}

/** Weight of the newest second: half of a change shows after one, nine tenths after about three. */
const NEWEST = 0.5;

/** How busy the processors are, from their times: smoothed, so that one busy second moves no connections. */
export class BusyShare {
  #before: CpuTimes | undefined;
  #share: number | undefined;

  /** In thousandths, whole; undefined before two measurements. */
  get perMille(): number | undefined {
    return this.#share === undefined ? undefined : Math.round(this.#share * 1000);
  }

  /** The next measurement, about a second after the one before. Times that stand still or go back (a processor was taken away) say nothing. */
  measured(times: CpuTimes): void {
    const before = this.#before;
    this.#before = times;
    if (before === undefined) return;
    const total = times.total - before.total;
    const busy = times.busy - before.busy;
    if (!(total > 0) || !(busy >= 0)) return;
    const share = Math.min(1, busy / total);
    this.#share = this.#share === undefined ? share : this.#share + NEWEST * (share - this.#share);
  }
}
