import type { ConnectionSnapshot } from '../snapshots.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { formatDuration, formatProtocol } from './units.ts';

export function renderConnections(connections: readonly ConnectionSnapshot[], style: Style): string {
  return renderTable(
    connections,
    [
      { title: 'PROTOCOL', cell: (connection) => formatProtocol(connection.protocol) },
      { title: 'SOURCE', cell: (connection) => `${connection.source}:${connection.sourcePort}` },
      { title: 'DESTINATION', cell: (connection) => `${connection.dvipa}:${connection.destinationPort}` },
      { title: 'GROUP', cell: (connection) => connection.group, align: 'right' },
      { title: 'TARGET', cell: (connection) => connection.target },
      { title: 'STATE', cell: (connection) => connection.state, isState: true },
      {
        title: 'FORGOTTEN IN',
        cell: (connection) => formatDuration(connection.remainingMs),
        align: 'right',
      },
    ],
    'no connections',
    style,
  );
}
