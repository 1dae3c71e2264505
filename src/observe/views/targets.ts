import type { TargetSnapshot } from '../snapshots.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { formatDuration } from './units.ts';

export function renderTargets(targets: readonly TargetSnapshot[], style: Style): string {
  return renderTable(
    targets,
    [
      { title: 'TARGET', cell: (target) => target.host },
      { title: 'ADDRESS', cell: (target) => target.address },
      { title: 'STATE', cell: (target) => target.state, isState: true },
      { title: 'NEW CONNECTIONS', cell: newConnectionsOf },
      { title: 'HEARD', cell: (target) => formatDuration(target.lastHeardMs), align: 'right' },
      { title: 'SAS', cell: (target) => target.sas, align: 'right' },
      { title: 'CONNECTIONS', cell: (target) => target.connections, align: 'right' },
      { title: 'EPOCH', cell: (target) => target.epoch, align: 'right' },
      { title: 'INCARNATION', cell: (target) => target.incarnation },
    ],
    'no targets',
    style,
  );
}

/** For which DVIPAs it gets none, and why. */
function newConnectionsOf({ draining, maintenance }: TargetSnapshot): string {
  if (maintenance) return 'none, maintenance';
  return draining.length === 0 ? 'yes' : `none of ${draining.join(',')}`;
}
