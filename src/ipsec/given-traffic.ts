interface Usage {
  readonly packets: number;
  readonly bytes: number;
}

/** One target's traffic on one SA. */
interface Given {
  packets: number;
  bytes: number;
  /** Packets of its that it may have had from an earlier life of this agent: what its first report says. */
  basePackets: number | undefined;
  baseBytes: number | undefined;
}

/**
 * What each target was given of one inbound SA, and so the most it can have used: its lifesize reports are believed up to
 * that, and no further. Of an SA that is older than this life of the agent, a target's first report is the base to count from.
 */
export class GivenTraffic {
  readonly #isRestored: boolean;
  readonly #byTarget: (Given | undefined)[] = [];

  constructor(isRestored: boolean) {
    this.#isRestored = isRestored;
  }

  /** One packet more, `bytes` from SPI to ICV: no inner packet is longer. */
  add(target: number, bytes: number): void {
    const given = this.#of(target);
    given.packets++;
    given.bytes += bytes;
  }

  /** Another incarnation of the target: it counts from 0, as this does. */
  restarted(target: number): void {
    this.#byTarget[target] = { packets: 0, bytes: 0, basePackets: 0, baseBytes: 0 };
  }

  /** A cumulative report, as far as it can be true. */
  cap<Report extends Usage>(target: number, report: Report): Report {
    const given = this.#of(target);
    given.basePackets ??= report.packets;
    given.baseBytes ??= report.bytes;
    const packets = Math.min(report.packets, given.basePackets + given.packets);
    const bytes = Math.min(report.bytes, given.baseBytes + given.bytes);
    return { ...report, packets, bytes };
  }

  #of(target: number): Given {
    let given = this.#byTarget[target];
    if (given === undefined) {
      const base = this.#isRestored ? undefined : 0;
      given = { packets: 0, bytes: 0, basePackets: base, baseBytes: base };
      this.#byTarget[target] = given;
    }
    return given;
  }
}
