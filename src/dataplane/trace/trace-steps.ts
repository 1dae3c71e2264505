import { DROP_REASONS, type DropReason, KEEP, type Verdict } from '../../base/verdict.ts';

/** One decision about a traced packet. */
export interface TraceStep {
  /** Stable: `classify`, `sa`, `replay`, `peek` ... (docs/cli.md). */
  readonly step: string;
  readonly verdict: 'pass' | 'drop' | 'other';
  /** Of `drop`. */
  readonly reason?: DropReason;
  /** What it was decided on, in words. */
  readonly detail: string;
}

/**
 * What would become of the packet.
 *
 * - `dispatch`: to the target with this index, over the trusted link; `open-here`: to be opened on the routing host first
 * - `deliver`: to the application, by the TUN
 * - `send`, `stamp`, `funnel`: to the peer, straight or by way of the routing host; `clear`: to it in clear
 * - `wait`: it is held until something else happens
 * - `apart`: it is judged on a way that is not traced
 */
export type TraceOutcome =
  | { readonly kind: 'drop'; readonly reason: DropReason }
  | { readonly kind: 'dispatch'; readonly target: number; readonly isClear: boolean }
  | { readonly kind: 'open-here' | 'deliver' | 'send' | 'stamp' | 'funnel' | 'clear' | 'wait' | 'apart' };

export interface Trace {
  readonly steps: readonly TraceStep[];
  readonly outcome: TraceOutcome;
}

/** Collects steps; the first that does not pass ends the trace. */
export class TraceBook {
  readonly #steps: TraceStep[] = [];

  pass(step: string, detail: string): void {
    this.#steps.push({ step, verdict: 'pass', detail });
  }

  /** A step with a verdict: false, and the trace ends there. */
  judge(step: string, verdict: Verdict, detail: string): verdict is 0 {
    if (verdict === KEEP) this.pass(step, detail);
    else this.#steps.push({ step, verdict: 'drop', reason: reasonOf(verdict), detail });
    return verdict === KEEP;
  }

  dropped(verdict: Verdict): Trace {
    return { steps: this.#steps, outcome: { kind: 'drop', reason: reasonOf(verdict) } };
  }

  end(step: string, outcome: TraceOutcome, detail: string): Trace {
    if (outcome.kind === 'drop') this.#steps.push({ step, verdict: 'drop', reason: outcome.reason, detail });
    else this.#steps.push({ step, verdict: 'other', detail });
    return { steps: this.#steps, outcome };
  }
}

export function reasonOf(verdict: Verdict): DropReason {
  return DROP_REASONS[verdict] ?? 'malformed';
}

/** A packet to trace. */
export interface TracedPacket {
  /** The whole packet: as it comes in, or (`isInner`) as it is inside of ESP. */
  readonly bytes: Buffer;
  /** `bytes` is the inner packet of an SA: ESP is taken as genuine and as the next one of that SA. */
  readonly isInner: boolean;
  /** Which SA; undefined: the first whose selectors fit. */
  readonly spi?: number | undefined;
}
