/** `notice`: somebody wanted it so. `degraded`: it works, and somebody should look. `failed`: it does not do its job. */
export type Severity = 'notice' | 'degraded' | 'failed';

/** The names are stable, people alert on them (docs/cli-json.md). */
export type WarningName =
  | 'charon-lost'
  | 'plugin-version'
  | 'dvipa-unserved'
  | 'target-down'
  | 'target-draining'
  | 'sas-refused'
  | 'sas-without-numbers'
  | 'sas-attacked'
  | 'verification-short'
  | 'connections-full'
  | 'receive-overrun'
  | 'router-down'
  | 'snapshot-incomplete'
  | 'maintenance';

/** Something that an operator should know. */
export interface Warning {
  readonly name: WarningName;
  readonly severity: Severity;
  readonly text: string;
}

/** For people: how long it is news that something was short, or lost. */
export const RECENT_MS = 60_000;

export interface HealthSnapshot {
  readonly state: 'ok' | 'degraded' | 'failed';
  /** The worst first. */
  readonly warnings: readonly Warning[];
}

const ORDER: readonly Severity[] = ['failed', 'degraded', 'notice'];

/** Of either role: the kernel had packets for the agent, and the agent did not come to them. */
export function overrunWarning(isRecent: boolean): Warning[] {
  const text =
    'in the last minute packets were lost before the agent came to them: more than this host can do';
  return isRecent ? [{ name: 'receive-overrun', severity: 'degraded', text }] : [];
}

export function healthOf(warnings: readonly Warning[]): HealthSnapshot {
  const sorted = warnings.toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
  const worst = sorted[0]?.severity ?? 'notice';
  return { state: worst === 'notice' ? 'ok' : worst, warnings: sorted };
}
