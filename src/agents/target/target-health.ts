import { type HealthSnapshot, healthOf, overrunWarning, type Warning } from '../../observe/health.ts';
import type { TargetMaintenance } from './target-maintenance.ts';
import type { TargetRelations } from './target-session.ts';

/** What an operator should know about this target. */
export function targetHealth(
  router: string,
  { session, isSnapshotComplete }: TargetRelations,
  { isOn }: TargetMaintenance,
  isOverrun: boolean,
): HealthSnapshot {
  const warnings: Warning[] = [];
  if (session === undefined)
    warnings.push({ name: 'router-down', severity: 'failed', text: `${router} is not connected` });
  else if (!isSnapshotComplete) {
    const text = `${router} has not sent all SAs yet`;
    warnings.push({ name: 'snapshot-incomplete', severity: 'degraded', text });
  }
  if (isOn) {
    const text = 'this host is in maintenance: it gets no new connections';
    warnings.push({ name: 'maintenance', severity: 'notice', text });
  }
  return healthOf([...warnings, ...overrunWarning(isOverrun)]);
}
