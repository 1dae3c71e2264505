import type { SaTargetSnapshot } from '../../observe/snapshots.ts';

/** What becomes of packets at a target that has acknowledged the SA. */
export type SaPhase = 'installed' | 'serving' | 'draining';

/** What is known about one SA at one authorised target. */
export interface SaAtTarget {
  readonly host: string;
  /** Its session takes changes: it has had its snapshot. */
  readonly isConnected: boolean;
  /** Why it refused the SA in this session. */
  readonly refusal: string | undefined;
  readonly isAcknowledged: boolean;
  readonly phase: SaPhase;
}

/** Inbound: what is dispatched. Nothing is as long as windows are missing after a restart, whether or not a younger SA is there. */
export function inboundPhase(entry: {
  readonly isWaitingForWindows: boolean;
  readonly isReplaced: boolean;
}): SaPhase {
  if (entry.isWaitingForWindows) return 'installed';
  return entry.isReplaced ? 'draining' : 'serving';
}

/** Outbound: `isInUse` while a policy of charon's names the SA; of several policies the last one decides. */
export function outboundPhase(isInUse: boolean, isReplaced: boolean): SaPhase {
  if (isInUse) return 'serving';
  return isReplaced ? 'draining' : 'installed';
}

/** The state that people are shown; the words are those of docs/cli-json.md. */
export function saAtTarget({
  host,
  isConnected,
  refusal,
  isAcknowledged,
  phase,
}: SaAtTarget): SaTargetSnapshot {
  if (!isConnected) return { host, state: 'down' };
  if (refusal !== undefined) return { host, state: 'failed', reason: refusal };
  return { host, state: isAcknowledged ? phase : 'offered' };
}
