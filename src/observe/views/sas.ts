import type { SaSnapshot } from '../snapshots.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { formatBytes, formatDuration, formatUse } from './units.ts';

export function renderSas(sas: readonly SaSnapshot[], style: Style): string {
  return renderTable(
    sas,
    [
      { title: 'SPI', cell: (sa) => sa.spi },
      { title: 'DIR', cell: (sa) => sa.direction },
      { title: 'DVIPA', cell: (sa) => sa.dvipa },
      { title: 'PEER', cell: (sa) => sa.peer },
      { title: 'MODE', cell: (sa) => (sa.encapsulation === 'udp' ? `${sa.mode}, udp` : sa.mode) },
      { title: 'NAME', cell: nameOf },
      { title: 'GROUP', cell: (sa) => sa.group, align: 'right' },
      { title: 'ALGORITHM', cell: (sa) => sa.algorithm },
      { title: 'BYTES', cell: (sa) => formatUse(sa.bytes, sa.limits.bytes, formatBytes) },
      { title: 'PACKETS', cell: (sa) => formatUse(sa.packets, sa.limits.packets, String) },
      { title: 'IDLE', cell: (sa) => formatDuration(sa.idleMs), align: 'right' },
      { title: 'STATE', cell: (sa) => sa.state, isState: true },
      { title: 'ON', cell: (sa) => (sa.installedOn.length === 0 ? undefined : sa.installedOn.join(',')) },
      { title: 'WAY', cell: (sa) => sa.way },
      { title: 'OPENED', cell: (sa) => (sa.direction === 'in' ? sa.openedHere : undefined), align: 'right' },
    ],
    'no SAs',
    style,
  );
}

function nameOf(sa: SaSnapshot): string | undefined {
  if (sa.ikeName === undefined) return sa.childName;
  return sa.childName === undefined ? sa.ikeName : `${sa.ikeName}/${sa.childName}`;
}
