import type { TargetMask } from '../target-mask.ts';

/** Connections of one service, by target; counted from the table's own transitions (`DistributedService`). */
export interface TargetCounts {
  /** Promised to unauthenticated packets: bounded by the table's quotas, and over after seconds unless confirmed. */
  readonly tentative: Int32Array;
  /** Confirmed by the target and open. Those that it closed, and that expired, are none. */
  readonly active: Int32Array;
}

/**
 * A distribution method decides which of the targets of a service gets a new connection.
 *
 * `choose` is called for packets that anybody may have forged, so it changes nothing. What a method remembers moves with
 * what targets report (`confirmed`, `setLoad`) and with their coming and going; the only other thing that it looks at is the
 * number of tentative entries, which is bounded and passes.
 */
export interface DistributionMethod {
  /**
   * Its choice depends on nothing that a packet, or a connection, changes: the same one each time while the same targets are
   * there. Then no entry is needed to find it again.
   */
  readonly isStateless: boolean;
  /** The target gets new connections from now on. Twice is harmless. */
  addTarget(target: number): void;
  /** The target gets none any more: drained, or lost. */
  removeTarget(target: number): void;
  /** The target for a new connection among the candidates, or -1 if there is none. `hash`: of the connection, keyed. */
  choose(candidates: TargetMask, counts: TargetCounts, hash: number): number;
  /** A target has confirmed a connection that was not confirmed before, and that one of the candidates was to get. */
  confirmed(target: number, candidates: TargetMask): void;
  /** The target says how busy it is, 0 to 1000. */
  setLoad(target: number, busyPerMille: number): void;
}
