interface Usage {
  readonly packets: number;
  readonly bytes: number;
}

/** Of one target: packets and bytes that it was given. */
const PACKETS = 0;
const BYTES = 1;
const GIVEN_NUMBERS = 2;
const FIRST_TARGETS = 4;

/** Packets that it may have had from an earlier life of this agent: what its first report says. */
interface Base {
  readonly packets: number;
  readonly bytes: number;
}

const NOTHING: Base = { packets: 0, bytes: 0 };

/**
 * What each target was given of one inbound SA, and so the most it can have used: its lifesize reports are believed up to
 * that, and no further. Of an SA that is older than this life of the agent, a target's first report is the base to count from.
 */
export class GivenTraffic {
  readonly #isRestored: boolean;
  /** By target. */
  #given = new Float64Array(FIRST_TARGETS * GIVEN_NUMBERS);
  /** By target, of an SA that is older than this life; undefined: it has not reported. */
  #bases: (Base | undefined)[] | undefined;

  constructor(isRestored: boolean) {
    this.#isRestored = isRestored;
  }

  /** One packet more, `bytes` from SPI to ICV: no inner packet is longer. */
  add(target: number, bytes: number): void {
    const at = target * GIVEN_NUMBERS;
    if (at >= this.#given.length) this.#grow(at);
    const given = this.#given;
    given[at + PACKETS] = (given[at + PACKETS] as number) + 1;
    given[at + BYTES] = (given[at + BYTES] as number) + bytes;
  }

  /** Another incarnation of the target: it counts from 0, as this does. */
  restarted(target: number): void {
    this.#given.fill(0, target * GIVEN_NUMBERS, (target + 1) * GIVEN_NUMBERS);
    if (this.#isRestored) this.#setBase(target, NOTHING);
  }

  /** A cumulative report, as far as it can be true. */
  cap<Report extends Usage>(target: number, report: Report): Report {
    const at = target * GIVEN_NUMBERS;
    const base = this.#baseOf(target, report);
    const packets = Math.min(report.packets, base.packets + (this.#given[at + PACKETS] ?? 0));
    const bytes = Math.min(report.bytes, base.bytes + (this.#given[at + BYTES] ?? 0));
    return { ...report, packets, bytes };
  }

  #baseOf(target: number, { packets, bytes }: Usage): Base {
    if (!this.#isRestored) return NOTHING;
    return this.#bases?.[target] ?? this.#setBase(target, { packets, bytes });
  }

  #setBase(target: number, base: Base): Base {
    this.#bases ??= [];
    this.#bases[target] = base;
    return base;
  }

  #grow(at: number): void {
    const grown = new Float64Array(Math.max(at + GIVEN_NUMBERS, this.#given.length * 2));
    grown.set(this.#given);
    this.#given = grown;
  }
}
