import type { SaSnapshot } from '../snapshots.ts';
import { cleanText } from '../fields.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { formatBytes, formatDuration, formatUse } from './units.ts';

const SHOWN = ['serving', 'draining', 'installed', 'offered', 'failed'] as const;

/** A row for each SA; below them why targets refused SAs. */
export function renderSas(sas: readonly SaSnapshot[], style: Style): string {
  const table = renderTable(
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
      { title: 'STATE', cell: stateOf, isState: true },
      { title: 'ON', cell: hostsOf },
      { title: 'WAY', cell: (sa) => sa.way },
      { title: 'OPENED', cell: (sa) => (sa.direction === 'in' ? sa.openedHere : undefined), align: 'right' },
    ],
    'no SAs',
    style,
  );
  return table + refusalsOf(sas);
}

function stateOf(sa: SaSnapshot): string {
  return sa.isAttacked === true ? `${sa.state}, attacked` : sa.state;
}

/** `target1,target2 failed:target3`: those that serve it, then others by their state. Targets that are down are not the SA's matter. */
function hostsOf({ targets, installedOn }: SaSnapshot): string | undefined {
  if (targets === undefined) return installedOn.length === 0 ? undefined : installedOn.join(',');
  const parts = SHOWN.flatMap((state) => {
    const hosts = targets.filter((target) => target.state === state).map(({ host }) => host);
    if (hosts.length === 0) return [];
    return state === 'serving' ? hosts.join(',') : `${state}:${hosts.join(',')}`;
  });
  return parts.length === 0 ? undefined : parts.join(' ');
}

function refusalsOf(sas: readonly SaSnapshot[]): string {
  const lines = sas.flatMap(({ spi, targets = [] }) =>
    targets
      .filter(({ state }) => state === 'failed')
      .map(({ host, reason = 'no reason given' }) => `${spi} failed on ${host}: ${reason}`),
  );
  return lines.map((line) => `${cleanText(line)}\n`).join('');
}

function nameOf(sa: SaSnapshot): string | undefined {
  if (sa.ikeName === undefined) return sa.childName;
  return sa.childName === undefined ? sa.ikeName : `${sa.ikeName}/${sa.childName}`;
}
