import type { CloseReason } from './errors.ts';
import type { RouteBodies, RouteRecord, TargetBodies, TargetEvent, TargetRecord } from './records.ts';

/** An open session, as its agent sees it: typed records out, acknowledgements, an end. */
export interface CouplingSession<Bodies> {
  /** The peer, as its certificate and its hello say. */
  readonly host: string;
  /** The routing host's epoch; the same for the whole session. */
  readonly epoch: number;
  readonly isOpen: boolean;
  /** When the peer last gave a sign of life, heartbeats included: milliseconds of the session's `Clock`. */
  readonly heardAt: number;
  /**
   * Sends one record and returns its number (from 1); 0 if the session is closed. Throws `TypeError` if
   * the body is not what the peer would accept. The bytes of keys are copied and wiped after the write;
   * the body itself stays the caller's.
   */
  send<K extends keyof Bodies & string>(kind: K, body: Bodies[K]): number;
  /** Every record up to this number was handled by the peer: its handler has returned. */
  readonly acknowledged: number;
  /** True when record `n` was handled by the peer, false if the session ended first (or n = 0). Never rejects. */
  whenAcknowledged(n: number): Promise<boolean>;
  /** Ends the session; the handlers' `onClose` is called once. Twice is harmless. */
  close(reason?: CloseReason): void;
}

/** The routing host's end: one target. */
export interface RoutingSession extends CouplingSession<RouteBodies> {
  /** Of the target's agent: a higher one is a later life. */
  readonly incarnation: bigint;
  /** What the target's hello reported. Below `epoch`: the target has windows to report (`window`, `windows-end`). */
  readonly epochSeen: number;
  /**
   * Sends snapshot-begin, the records, snapshot-end, in one piece: nothing comes in between, and what the
   * target has and was not named is removed there. Returns the number of snapshot-end. Sent by itself once
   * after `onOpen`, with `handlers.snapshot`.
   */
  sendSnapshot(records: Iterable<RouteRecord>): number;
}

/** A target's end: its routing host. */
export type TargetSession = CouplingSession<TargetBodies>;

/** The routing agent's side. All calls of one session are in order, and none comes after `onClose`. */
export interface RoutingHandlers {
  /** Hello was exchanged; what is sent from here goes before the snapshot. */
  onOpen(session: RoutingSession): void;
  /** Everything this target must have now. Called once, after `onOpen`. */
  snapshot(session: RoutingSession): Iterable<RouteRecord>;
  /** One at a time: the next record waits for the promise, and so does the acknowledgement. */
  onRecord(session: RoutingSession, record: TargetRecord): void | Promise<void>;
  /** Only after `onOpen`. `cause`: what our own handler threw, or the stream's error. */
  onClose(session: RoutingSession, reason: CloseReason, cause?: unknown): void;
}

/** The target agent's side; same rules. Keys in a record belong to the handler from the call on. */
export interface TargetHandlers {
  onOpen(session: TargetSession): void;
  /** Also gets `sa-remove`, `policy-remove` and `dvipa-remove` for what a snapshot left out, before its `snapshot-end`. */
  onRecord(session: TargetSession, event: TargetEvent): void | Promise<void>;
  onClose(session: TargetSession, reason: CloseReason, cause?: unknown): void;
}

/** Times of a session, in milliseconds. */
export interface SessionTimes {
  readonly heartbeatMs: number;
  /** Nothing heard for so long: the session ends as `dead`. */
  readonly deadAfterMs: number;
  readonly helloTimeoutMs: number;
}

export const DEFAULT_TIMES: SessionTimes = { heartbeatMs: 500, deadAfterMs: 1500, helloTimeoutMs: 5000 };
