/** More packets with a wrong ICV than this in a period are no accident. */
const MANY = 32;
const PERIOD_MS = 1000;
/** After the last period with many. */
const LASTS_MS = 3000;

/**
 * Whether somebody forges packets of an SA: many wrong ICVs, as targets report and as were found here. While it is raised, the
 * routing host opens packets of connections that no target has confirmed, within its budget; confirmed ones go on untouched
 * (docs/inbound.md, section 10). It ends by itself.
 */
export class IcvSuspicion {
  #periodEnds = 0;
  #count = 0;
  #until = 0;

  /** `packets` with a wrong ICV. True: it was not raised before. */
  wrong(packets: number, now: number): boolean {
    if (packets === 0) return false;
    if (now >= this.#periodEnds) {
      this.#periodEnds = now + PERIOD_MS;
      this.#count = 0;
    }
    this.#count += packets;
    if (this.#count <= MANY) return false;
    const wasRaised = this.isRaised(now);
    this.#until = now + LASTS_MS;
    return !wasRaised;
  }

  isRaised(now: number): boolean {
    return now < this.#until;
  }
}
