import { RekeyTimes } from './rekey-times.ts';

/** Bounds of the percentage; those of the configuration's start value are the same. */
export const LEAST_PERCENTAGE = 1;
export const MOST_PERCENTAGE = 50;
/** In time: larger credits, fewer messages. */
const GROWTH = 1.25;
/** Late, or the hard limit was met. */
const CUT = 0.5;
/** Generations that are remembered for people. */
const KEPT = 16;

/** One unit of one direction of a CHILD_SA, when charon switched to its successor. */
export interface SwitchUse {
  readonly direction: 'in' | 'out';
  readonly unit: 'bytes' | 'packets';
  readonly total: number;
  readonly soft: number;
  readonly hard: number;
  /** A switch below this is in time (`LifesizeUnit.inTimeBelow`). */
  readonly inTimeBelow: number;
}

export interface SwitchSeen {
  /** Of units with a limit; not empty. */
  readonly uses: readonly SwitchUse[];
  /** From the request to the switch; undefined: it was not we who asked. */
  readonly rekeyMs: number | undefined;
  readonly now: number;
}

/** One generation of a CHILD_SA in the history of its configuration. */
export interface Generation extends Omit<SwitchUse, 'inTimeBelow'> {
  readonly generation: number;
  readonly at: number;
  readonly outcome: 'in-time' | 'late' | 'hard-limit';
  readonly rekeyMs: number | undefined;
  readonly percentageBefore: number;
  readonly percentageAfter: number;
}

/**
 * The percentage of one peer and CHILD_SA configuration, learned over the generations of its SA (claim 18): rekeys
 * that come in time let it grow, a late one, or a hard limit that was met, halves it. What decides is the cluster's total when charon
 * switched outbound: below the middle between soft and hard limit is in time.
 */
export class CreditPercentage {
  readonly #history: Generation[] = [];
  readonly #times = new RekeyTimes();
  /** What the configuration's p99 was before this life of the agent; for as long as nothing was measured. */
  readonly #restoredMs: number;
  #percentage: number;
  #generation = 0;

  constructor(start: number, restoredRekeyMs = 0) {
    this.#percentage = clamp(start);
    this.#restoredMs = restoredRekeyMs;
  }

  get percentage(): number {
    return this.#percentage;
  }

  /** 99 of 100 rekeys are faster, in milliseconds. */
  get rekeyMs(): number {
    return this.#times.count === 0 ? Math.max(this.#restoredMs, this.#times.p99Ms) : this.#times.p99Ms;
  }

  get rekeysMeasured(): number {
    return this.#times.count;
  }

  /** Oldest first. */
  get history(): readonly Generation[] {
    return this.#history;
  }

  /** charon switched to a successor. */
  switched({ uses, rekeyMs, now }: SwitchSeen): Generation {
    if (rekeyMs !== undefined) this.#times.add(rekeyMs);
    const use = furthest(uses);
    const isLate = uses.some(({ total, inTimeBelow }) => total >= inTimeBelow);
    return this.#turn(use, isLate ? 'late' : 'in-time', rekeyMs, now);
  }

  /** The hard limit ended the SA before its successor was there. */
  hardLimitMet(use: SwitchUse, now: number): Generation {
    return this.#turn(use, 'hard-limit', undefined, now);
  }

  #turn(
    use: SwitchUse,
    outcome: Generation['outcome'],
    rekeyMs: number | undefined,
    now: number,
  ): Generation {
    const before = this.#percentage;
    this.#percentage = clamp(before * (outcome === 'in-time' ? GROWTH : CUT));
    const { direction, unit, total, soft, hard } = use;
    const generation: Generation = {
      generation: ++this.#generation,
      at: now,
      direction,
      unit,
      total,
      soft,
      hard,
      outcome,
      rekeyMs,
      percentageBefore: before,
      percentageAfter: this.#percentage,
    };
    this.#history.push(generation);
    if (this.#history.length > KEPT) this.#history.shift();
    return generation;
  }
}

/** The use that came nearest to being late: that is what people want to see. */
function furthest(uses: readonly SwitchUse[]): SwitchUse {
  const [first] = uses;
  if (first === undefined) throw new RangeError('a switch without a limit says nothing');
  return uses.reduce((most, use) => (part(use) > part(most) ? use : most), first);
}

const part = ({ total, inTimeBelow }: SwitchUse) => total / inTimeBelow;

function clamp(percentage: number): number {
  return Math.min(Math.max(percentage, LEAST_PERCENTAGE), MOST_PERCENTAGE);
}
