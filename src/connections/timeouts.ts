/** How long the connection table keeps an entry of which nothing is heard, milliseconds. */
export interface ConnectionTimeouts {
  /** Made from an unauthenticated packet: as long as a target takes to answer and report, with SYN repeats. */
  readonly tentativeMs: number;
  /** Targets list open connections again well within this time (`FlowTracker`). */
  readonly establishedMs: number;
  /** After the end was reported: late segments and TIME-WAIT still find their target (RFC 9293 section 3.6.1). */
  readonly closingMs: number;
  /** A target may open it, and has not said that it is open: as long as SYNs are repeated, and a target asks again sooner. */
  readonly openingMs: number;
}

/** A UDP pseudo-connection on which nothing moves is over: UDP says nothing of its end. LVS and conntrack wait 2 to 5 minutes. */
export const UDP_IDLE_MS = 120_000;

export const DEFAULT_CONNECTION_TIMEOUTS: ConnectionTimeouts = {
  tentativeMs: 5_000,
  establishedMs: 15 * 60_000,
  closingMs: 60_000,
  openingMs: 60_000,
};
