import type { CheckId } from '../../src/doctor/checks.ts';
import type { Finding, FindingStatus } from '../../src/doctor/finding.ts';

/** What the findings say of one check, without the words: `[status, about]`. */
export function statusOf(findings: readonly Finding[], id: CheckId): FindingStatus[] {
  return findings.filter((finding) => finding.id === id).map(({ status }) => status);
}

/** The one finding of a check about something, or the one that is not in order. */
export function findingOf(findings: readonly Finding[], id: CheckId, about?: string): Finding {
  const ofCheck = findings.filter((finding) => finding.id === id);
  const [chosen] =
    about === undefined
      ? ofCheck.toSorted((a, b) => rank(a) - rank(b))
      : ofCheck.filter((finding) => finding.about?.includes(about));
  if (chosen === undefined) throw new Error(`no finding of ${id} among ${JSON.stringify(findings)}`);
  return chosen;
}

/** Those that are not in order, by check. */
export function faults(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ id, status }) =>
    status === 'warn' || status === 'fail' ? [`${id} ${status}`] : [],
  );
}

function rank({ status }: Finding): number {
  return ['fail', 'warn', 'skipped', 'ok'].indexOf(status);
}
