/**
 * What became of a packet. 0 = still on its way; every other value is a reason to drop it, and has
 * a counter of the same name (`dvipa drops`). Names are stable: people alert on them.
 */
export const DROP_REASONS = [
  'none',
  // outer headers
  'truncated',
  'malformed',
  'fragment',
  'fragment-overlap',
  'fragment-duplicate',
  'fragment-overflow',
  'fragment-timeout',
  'checksum',
  'not-esp',
  'outer-not-dvipa',
  'path-mtu-refused',
  // SA and replay
  'unknown-spi',
  'sa-not-serving',
  'replay',
  'replay-conflict',
  'replay-undecided',
  'icv',
  'padding',
  'dummy',
  'congestion',
  // inside
  'peek-malformed',
  'inner-not-dvipa',
  'tunnel-check',
  'look-alike',
  'filter',
  'clear',
  // distribution
  'no-target',
  'hold-overflow',
  // trusted link
  'link-stranger',
  'link-epoch',
  'link-malformed',
  'link-authentication',
  'link-replay',
  'link-unknown-kind',
  // stamping
  'stamp-malformed',
  'stamp-epoch',
  'stamp-check',
  'stamp-sender',
  'stamp-repeat',
  // outbound
  'no-policy',
  'no-sa',
  'no-number',
  'source-not-dvipa',
  'return-router',
  'source-port-not-leased',
  'source-port-taken',
  'reset-withheld',
  'queue-overflow',
  'queue-timeout',
  'hard-limit',
  'too-big',
  'send-failed',
  'receive-overrun',
  // coupling channel (counted per connection or record)
  'coupling-certificate',
  'coupling-role',
  'coupling-oversized',
  'coupling-malformed',
  'coupling-epoch',
  'coupling-order',
  'coupling-not-granted',
  'coupling-tls',
  'coupling-version',
  'coupling-limit',
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

/** 0 = keep; otherwise the index of a drop reason. Fits a `Uint8Array` element. */
export type Verdict = number;

export const KEEP: Verdict = 0;

/** Not reasons to drop: the packet went out already, or waits on another way; steps pass over it, nobody counts it. */
export const SENT: Verdict = 255;
export const ELSEWHERE: Verdict = 254;
/** Nobody can tell whether the packet is genuine without opening it: it must be opened on this host. */
export const OPEN_HERE: Verdict = 253;
/** Of a parser: the bytes at hand end before the answer. Never in a vector. */
export const INCOMPLETE: Verdict = 252;

const indexByReason = new Map<DropReason, Verdict>(DROP_REASONS.map((reason, index) => [reason, index]));

/** The verdict for a reason: look it up once, at module load, never per packet. */
export function verdictOf(reason: DropReason): Verdict {
  return indexByReason.get(reason) as Verdict;
}

/** One counter per drop reason; `add` allocates nothing. Counters never go back while the agent lives. */
export class DropCounters {
  readonly #counts = new Float64Array(DROP_REASONS.length);

  add(verdict: Verdict, packets = 1): void {
    this.#counts[verdict] = (this.#counts[verdict] ?? 0) + packets;
  }

  count(reason: DropReason, packets = 1): void {
    this.add(verdictOf(reason), packets);
  }

  get(reason: DropReason): number {
    return this.#counts[verdictOf(reason)] ?? 0;
  }

  /** Every reason with its count, zeros included. */
  toJSON(): Record<string, number> {
    return Object.fromEntries(DROP_REASONS.slice(1).map((reason) => [reason, this.get(reason)]));
  }
}
