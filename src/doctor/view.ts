import { cleanText } from '../observe/fields.ts';
import { paint, type Style, type Tone } from '../observe/views/style.ts';
import type { Finding, FindingStatus } from './finding.ts';

const TONES: Record<FindingStatus, Tone | undefined> = {
  ok: 'good',
  warn: 'waiting',
  fail: 'bad',
  skipped: undefined,
};

/** One line a finding, its remedy below it, and a last line that sums up. */
export function renderFindings(findings: readonly Finding[], style: Style): string {
  const lines = findings.flatMap(({ id, status, about, found, remedy }) => {
    const head = `${paint(status, TONES[status], style)}${' '.repeat(9 - status.length)}${id.padEnd(21)}`;
    const place = about === undefined ? '' : `${cleanText(about)}: `;
    const line = `${head}${place}${cleanText(found)}`;
    return remedy === undefined ? [line] : [line, `${' '.repeat(30)}-> ${cleanText(remedy)}`];
  });
  const count = (status: FindingStatus) => findings.filter((finding) => finding.status === status).length;
  const sum = `${count('fail')} failed, ${count('warn')} to heed, ${count('ok')} in order, ${count('skipped')} not looked at`;
  return `${[...lines, sum].join('\n')}\n`;
}
