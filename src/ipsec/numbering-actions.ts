import type { MarkBlocks, Marks } from './numbering-marks.ts';

/** Ways on which several targets send at once: everything goes by way of the routing host, which gives the numbers. */
export type SharedWay = 'stamping' | 'funnel';
export type SendWay = SharedWay | 'exclusive';
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
  /** `takeNumbers` refused before and gives numbers again: what waits at the routing host goes out. */
  | { readonly kind: 'shared-open' }
  | { readonly kind: 'rekey'; readonly cause: NumberingRekeyCause };

export interface NumberingOwnerOptions {
  /** `new`: this agent saw the SA being made, so nothing can have used it. `restored`: listed after a restart. */
  readonly origin: 'new' | 'restored';
  /** From the store, for a restored SA. Missing or doubtful: the SA is `blocked` and asks for a rekey. */
  readonly marks?: Marks | undefined;
  readonly hasEsn: boolean;
  readonly sharedWay: SharedWay;
  /** May a target that is alone send past the routing host? Not where the network filters sources (`return: router`). */
  readonly allowsExclusive: boolean;
  /** This life of the routing agent; lease ids of two lives do not meet. */
  readonly epoch: number;
  readonly now: number;
  /** How far marks are stored ahead; a lease is never larger than its block. */
  readonly blocks?: MarkBlocks | undefined;
}

/**
 * ```
 *            leaseRequest(t)             leaseRequest / sharedArrived(u)          returned, or TTL + margin
 *   idle -------------------> exclusive(t) --------------------> drain-to-shared ------------> shared
 *    ^  <--- t silent 1 s ---      ^                                                             |
 *    |                             '---- grant ---- drain-to-exclusive(t) <--- only t for 1 s ---|
 *    '----------------------------------------- nobody for 1 s ----------------------------------'
 * ```
 * `shared` is stamping or the funnel, for the SA's whole life. Guarded leases (docs/outbound.md, way A) would be one more
 * state beside it, with drains of its own from and to `shared` and `exclusive`.
 */
export type OwnerState =
  | { readonly name: 'idle' }
  | { readonly name: 'exclusive'; readonly target: string }
  | { readonly name: 'drain-to-shared' }
  | { readonly name: 'shared'; readonly since: number }
  | {
      readonly name: 'drain-to-exclusive';
      readonly target: string;
      readonly giveUpAt: number;
      readonly flushedAt?: number;
    }
  /** Nothing is sent on this SA any more: its marks are lost. */
  | { readonly name: 'blocked' };
