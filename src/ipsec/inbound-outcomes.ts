/** What a replay report of a target did. */
export interface ReportOutcome {
  readonly committed: number;
  /** Numbers that this target was not given: not believed (`coupling-not-granted`). */
  readonly refused: number;
}

/** What is to be done with a packet whose ICV proved right on the routing host. */
export type OpenedOutcome =
  /** Its number is spent now, and this is the one copy: deliver it as committed. */
  | { readonly kind: 'deliver' }
  | { readonly kind: 'replay' }
  /** `owner` was given another copy and may have delivered it: hold this one and ask (`claimAnswered`). */
  | { readonly kind: 'claim'; readonly owner: number };

export const DELIVER: OpenedOutcome = { kind: 'deliver' };
export const REPLAYED: OpenedOutcome = { kind: 'replay' };
