import type { DropReason } from '../base/verdict.ts';

/** What `dvipa trace` says of a packet (docs/cli-json.md). */
export interface TraceSnapshot {
  /** Where the trace ran, and which way. */
  readonly role: 'route' | 'target';
  readonly way: 'inbound' | 'outbound';
  readonly steps: readonly {
    readonly step: string;
    readonly verdict: 'pass' | 'drop' | 'other';
    readonly reason?: DropReason | undefined;
    readonly detail: string;
  }[];
  readonly outcome: {
    readonly kind: string;
    /** Of `drop`. */
    readonly reason?: DropReason | undefined;
    /** Of `dispatch`: a host. */
    readonly target?: string | undefined;
  };
}
