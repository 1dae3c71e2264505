import type { DropsSnapshot } from '../snapshots.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';

/** Only what happened; `--json` has every reason, zeros included. */
export function renderDrops(drops: DropsSnapshot, style: Style): string {
  const rows = Object.entries(drops).filter(([, count]) => count > 0);
  return renderTable(
    rows,
    [
      { title: 'REASON', cell: ([reason]) => reason },
      { title: 'PACKETS', cell: ([, count]) => count, align: 'right' },
    ],
    'nothing dropped',
    style,
  );
}
