import type { MarkBlocks, Marks } from './numbering-marks.ts';

export type SendWay = 'funnel' | 'exclusive';
export type NumberingRekeyCause = 'numbers' | 'sender-ids' | 'marks-lost';

/** What the owner wants done; to be carried out in order. */
export type OwnerAction =
  /** Write to the store; answer with `storeDone(marks)` or `storeFailed()`. */
  | { readonly kind: 'store-marks'; readonly marks: Marks }
  /** The target's sender id is known: install the SA there with it (answer to `targetReady`). */
  | {
      readonly kind: 'sender-id';
      readonly target: string;
      readonly incarnation: bigint;
      readonly senderId: number;
    }
  /**
   * A lease with an id the holder does not hold: new. With the id it holds: the numbers continue its own
   * without a gap, and the TTL is that of the whole.
   */
  | {
      readonly kind: 'grant';
      readonly target: string;
      readonly lease: number;
      readonly first: bigint;
      readonly count: number;
      readonly ttlMs: number;
    }
  | { readonly kind: 'revoke'; readonly target: string; readonly lease: number }
  | { readonly kind: 'way'; readonly target: string; readonly way: SendWay }
  /** `takeNumbers` refused before and gives numbers again: seal what waits in the funnel's queue. */
  | { readonly kind: 'funnel-open' }
  | { readonly kind: 'rekey'; readonly cause: NumberingRekeyCause };

export interface NumberingOwnerOptions {
  /** `new`: this agent saw the SA being made, so nothing can have used it. `restored`: listed after a restart. */
  readonly origin: 'new' | 'restored';
  /** From the store, for a restored SA. Missing or doubtful: the SA is `blocked` and asks for a rekey. */
  readonly marks?: Marks | undefined;
  readonly hasEsn: boolean;
  /** This life of the routing agent; lease ids of two lives do not meet. */
  readonly epoch: number;
  readonly now: number;
  /** How far marks are stored ahead; a lease is never larger than its block. */
  readonly blocks?: MarkBlocks | undefined;
}

/**
 * A, B (docs/architecture.md, "numbering") are to come as further members here, with their drains.
 *
 * ```
 *            leaseRequest(t)             leaseRequest / funnelArrived(u)          returned, or TTL + margin
 *   idle -------------------> exclusive(t) --------------------> drain-to-funnel ------------> funnel
 *    ^  <--- t silent 1 s ---      ^                                                             |
 *    |                             '---- grant ---- drain-to-exclusive(t) <--- only t for 1 s ---|
 *    '----------------------------------------- nobody for 1 s ----------------------------------'
 * ```
 */
export type OwnerState =
  | { readonly name: 'idle' }
  | { readonly name: 'exclusive'; readonly target: string }
  | { readonly name: 'drain-to-funnel' }
  | { readonly name: 'funnel'; readonly since: number }
  | {
      readonly name: 'drain-to-exclusive';
      readonly target: string;
      readonly giveUpAt: number;
      readonly flushedAt?: number;
    }
  /** Nothing is sent on this SA any more: its marks are lost. */
  | { readonly name: 'blocked' };
