import type { NumberingSnapshot, SenderSnapshot } from '../numbering-snapshot.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { formatDuration } from './units.ts';

/** A row for each outbound SA. */
export function renderNumbering(sas: readonly NumberingSnapshot[], style: Style): string {
  return renderTable(
    sas,
    [
      { title: 'SPI', cell: (sa) => sa.spi },
      { title: 'PEER', cell: (sa) => sa.peer },
      { title: 'WAY', cell: (sa) => sa.way },
      { title: 'STATE', cell: (sa) => sa.state, isState: true },
      { title: 'LEASE', cell: leaseOf },
      { title: 'SENDER IDS', cell: (sa) => sa.senders.map(senderOf).join(' ') || undefined },
      { title: 'NEXT', cell: (sa) => sa.nextSequence, align: 'right' },
      { title: 'STORED', cell: (sa) => sa.storedSequence, align: 'right' },
      { title: 'IDS LEFT', cell: (sa) => sa.senderIdsLeft, align: 'right' },
      { title: 'EXPIRED', cell: (sa) => sa.expiredLeases, align: 'right' },
      { title: 'CHANGES', cell: (sa) => sa.changes, align: 'right' },
    ],
    'no outbound SAs',
    style,
  );
}

/** `target1 65-128, 120 ms`: numbers, both ends inclusive. */
function leaseOf({ lease }: NumberingSnapshot): string | undefined {
  if (lease === undefined) return undefined;
  const numbers = lease.next < lease.end ? `${lease.next}-${lease.end - 1}` : 'used up';
  return `${lease.target} ${numbers}, ${formatDuration(lease.remainingMs)}`;
}

/** `target1:3`; `?`: it waits for one. `+`: it waits for numbers. */
function senderOf({ target, senderId, asked }: SenderSnapshot): string {
  return `${target}:${senderId ?? '?'}${asked === undefined ? '' : '+'}`;
}
