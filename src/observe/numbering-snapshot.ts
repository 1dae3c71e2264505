import type { SendingWay } from './snapshots.ts';

/** Sequence numbers that one target may use alone: from `next` (the routing host does not know how far it is: its `first`) below `end`. */
export interface LeaseSnapshot {
  readonly target: string;
  readonly lease: number;
  readonly next: number;
  readonly end: number;
  /** Until it is dead, unless it is renewed. */
  readonly remainingMs: number;
}

/** A target that may send on the SA. */
export interface SenderSnapshot {
  readonly target: string;
  /** Undefined: it waits for one to be stored. */
  readonly senderId?: number | undefined;
  /** Since it wanted to send or was seen sending; undefined: never. */
  readonly idleMs?: number | undefined;
  /** Numbers that it has asked for and not got yet. */
  readonly asked?: number | undefined;
}

/** The numbering of one outbound SA (docs/outbound.md). */
export interface NumberingSnapshot {
  readonly id: string;
  readonly spi: string;
  readonly dvipa: string;
  readonly peer: string;
  readonly ikeName?: string | undefined;
  readonly childName?: string | undefined;
  readonly way: SendingWay;
  /** Routing host: its state. `blocked`: marks are lost, nothing is sent. Target: what it has. */
  readonly state:
    | 'idle'
    | 'exclusive'
    | 'drain-to-shared'
    | 'shared'
    | 'drain-to-exclusive'
    | 'blocked'
    | 'none'
    | 'asking'
    | 'stamping'
    | 'funnel';
  readonly lease?: LeaseSnapshot | undefined;
  /** Routing host: every target that may send. Target: itself. */
  readonly senders: readonly SenderSnapshot[];
  /** Routing host: where several that send at once go. */
  readonly sharedWay?: 'stamping' | 'funnel' | undefined;
  /** Routing host: the lowest number never handed out, and what the store has; absent: blocked. */
  readonly nextSequence?: number | undefined;
  readonly storedSequence?: number | undefined;
  /** Routing host: the same of sender ids, and how many are left. */
  readonly nextSenderId?: number | undefined;
  readonly storedSenderId?: number | undefined;
  readonly senderIdsLeft?: number | undefined;
  /** Routing host: leases that nobody returned, and changes of the way. */
  readonly expiredLeases?: number | undefined;
  readonly changes?: number | undefined;
  /** Target: the last IV counter that it used, 0: none. */
  readonly ivCounter?: number | undefined;
}
