import type { DropReason } from '../base/verdict.ts';

/** The peer broke the rules; each has a drop counter of the same name. */
export type CouplingViolation = Extract<DropReason, `coupling-${string}`>;

/** Why a session ended without anyone breaking a rule. */
export type CouplingEnd =
  /** We stopped it (`close()`), or its server or client was stopped. */
  | 'stopped'
  | 'peer-closed'
  | 'stream-error'
  /** Nothing heard for `deadAfterMs`. */
  | 'dead'
  | 'hello-timeout'
  /** A newer session of the same host. */
  | 'replaced'
  /** The peer does not keep up: it gets a snapshot when it is back. */
  | 'overflow'
  /** The routing host's epoch grew: all sessions start again with the new one. */
  | 'epoch-raised'
  /** The target was taken out of the routing host's configuration. */
  | 'removed'
  /** Our own handler or snapshot source threw; `cause` says what. */
  | 'handler-failed';

export type CloseReason = CouplingViolation | CouplingEnd;

/** A peer that broke the rules, found while reading. `code` is stable; the message is for the log and holds no bytes of the record. */
export class CouplingError extends Error {
  override readonly name = 'CouplingError';
  readonly code: CouplingViolation;

  constructor(code: CouplingViolation, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function isViolation(reason: CloseReason): reason is CouplingViolation {
  return reason.startsWith('coupling-');
}
