import type { LifesizeCredit } from './lifesize-meter.ts';

/** What one incarnation of one user (a target, or the routing host itself) was allowed. */
export interface AccountMark {
  readonly tag: number;
  readonly incarnation: bigint;
  readonly credit: LifesizeCredit;
}

/**
 * Lifesize of one SA as the store keeps it. Credit stands here before it is granted, so whatever dies: no use is
 * forgotten that counts against a limit. Those who live report their totals again; these are not in it.
 */
export interface LifesizeMarks {
  /** Of incarnations that are over: against the limits, and as reported (with the routing host's own use). */
  readonly closedCharged: LifesizeCredit;
  readonly closedReported: LifesizeCredit;
  readonly accounts: readonly AccountMark[];
  /** Of the SA's configuration: what was learned is not lost with the agent. */
  readonly percentage: number;
  readonly rekeyMs: number;
}

/** 32 targets (configuration) and the routing host. */
export const MAX_ACCOUNT_MARKS = 33;

/** A user's name in the marks (FNV-1a, 32 bits): with the incarnation it is unique enough, and 253 octets are too many. */
export function userTag(user: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < user.length; i++) hash = Math.imul(hash ^ user.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}
