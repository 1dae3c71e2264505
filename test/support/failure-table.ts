import { readFileSync } from 'node:fs';

/** What names a failure: a warning of `dvipa status`, or a check of `dvipa doctor` with its status. */
export interface NamedBy {
  /** H: the host where it happened, R: the routing host, T: every target. */
  readonly where: 'H' | 'R' | 'T';
  readonly tool: 'status' | 'doctor';
  /** As it is told: `charon-lost`, `agent warn`. */
  readonly name: string;
}

const ROW = /^\| `([a-z-]+)` \|[^|]*\|([^|]*)\|[^|]+\|[^|]+\|$/gm;
const NAME = /([HRT]) (status|doctor) `([a-z0-9-]+)`( \(warn\))?/g;

/** The failures of docs/operations.md, with all that names each. */
export function failureTable(): Map<string, NamedBy[]> {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(ROW)].map(
    ([, failure = '', cell = '']) => [failure, namesIn(cell)] as const,
  );
  return new Map(rows);
}

function namesIn(cell: string): NamedBy[] {
  return [...cell.matchAll(NAME)].map(([, where, tool, name, isWarning]) => ({
    where: where as NamedBy['where'],
    tool: tool as NamedBy['tool'],
    name: tool === 'status' ? `${name}` : `${name} ${isWarning === undefined ? 'fail' : 'warn'}`,
  }));
}
