import { cleanText } from '../fields.ts';
import type { ReloadSnapshot } from '../snapshots.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';

/** What has changed, or with a dry run would change; then what to know about it. */
export function renderReload({ file, isApplied, changes, warnings }: ReloadSnapshot, style: Style): string {
  const table = renderTable(
    changes,
    [
      { title: 'SETTING', cell: ({ path }) => path },
      { title: 'FROM', cell: ({ from }) => shown(from) },
      { title: 'TO', cell: ({ to }) => shown(to) },
    ],
    'no difference',
    style,
  );
  const head = isApplied ? `${file}: reloaded` : `${file}: would be reloaded, nothing has changed`;
  return `${head}\n${table}${warnings.map((warning) => `warning: ${cleanText(warning)}\n`).join('')}`;
}

/** A whole DVIPA is a screen; `--json` has all of it. */
const MAX_SHOWN = 60;

function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 3)}...` : text;
}
