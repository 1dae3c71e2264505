/**
 * What went wrong, by what the caller can do next:
 *
 * - `malformed`: bytes that are no VICI message or packet; the connection is closed
 * - `too-big`: over a cap on size, depth or count, ours or theirs; if received, the connection is closed
 * - `unexpected`: a valid packet at a moment when the protocol has none; the connection is closed
 * - `invalid`: a valid message whose content is not what the typed call expects
 * - `unknown-command`, `unknown-event`: the daemon has none of that name (a plugin is not loaded?)
 * - `refused`: the daemon answered `success = no`; `errmsg` says why
 * - `timeout`: no answer in time; the connection is closed, because a late answer could not be told from the next
 * - `aborted`: the caller's `AbortSignal` fired; the connection lives on
 * - `closed`: this side closed the connection or session
 * - `disconnected`: there is no connection now, or it ended before the answer came
 */
export type ViciErrorCode =
  | 'malformed'
  | 'too-big'
  | 'unexpected'
  | 'invalid'
  | 'unknown-command'
  | 'unknown-event'
  | 'refused'
  | 'timeout'
  | 'aborted'
  | 'closed'
  | 'disconnected';

/** The only error that this folder throws or rejects with. Messages never quote values: they may be keys. */
export class ViciError extends Error {
  readonly code: ViciErrorCode;
  /** The command or event it was about, where there is one. */
  readonly subject: string | undefined;
  /** With `refused`: the daemon's own words. */
  readonly errmsg: string | undefined;

  constructor(
    code: ViciErrorCode,
    message: string,
    details: { subject?: string; errmsg?: string; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ViciError';
    this.code = code;
    this.subject = details.subject;
    this.errmsg = details.errmsg;
  }
}
