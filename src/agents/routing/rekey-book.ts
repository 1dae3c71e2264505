import type { NumberingRekeyCause } from '../../ipsec/numbering-actions.ts';

/** Why this agent asks charon for a rekey. */
export type RekeyCause =
  | 'bytes'
  | 'packets'
  | NumberingRekeyCause
  | 'replay-undecided'
  | 'windows-lost'
  /** A target that had the keys is to have none any more. */
  | 'target-removed'
  | 'operator';

/** Why an SA was rekeyed: besides, its soft limit of time (the plugin tells charon), or the peer, or somebody who asked charon itself. */
export type RekeyReason = RekeyCause | 'time' | 'other';

/** What an SA needed, and when. */
export interface AskedRekey {
  /** When charon was first asked, or is about to be: milliseconds of the agent's clock. */
  at: number;
  /** charon took it. Until then the time of a rekey has not begun. */
  isTaken: boolean;
  /** How often. More than once: charon did not finish it. */
  attempts: number;
}

export interface RekeyCounts {
  /** Needs: however many SAs of a CHILD_SA had it, and however often it was asked for. */
  needs: number;
  /** charon switched outbound to the successor. */
  finished: number;
  /** Asked again, since charon did not finish. */
  repeated: number;
  /** charon could not be asked, or refused. */
  refused: number;
}

/** Rekeys by reason, since the agent started. */
export class RekeyBook {
  readonly #counts = new Map<RekeyReason, RekeyCounts>();
  /** Hard limits that ended an SA. */
  hardLimits = 0;

  count(reason: RekeyReason, what: keyof RekeyCounts): void {
    const counts = this.#counts.get(reason) ?? { needs: 0, finished: 0, repeated: 0, refused: 0 };
    counts[what]++;
    this.#counts.set(reason, counts);
  }

  /** Reasons that there were. */
  entries(): readonly (readonly [RekeyReason, Readonly<RekeyCounts>])[] {
    return [...this.#counts];
  }
}
