import type { ConnectionCounts, ConnectionSnapshot, TopSource } from '../connection-snapshots.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { formatBytes, formatDuration, formatProtocol } from './units.ts';

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

export function renderConnectionCounts({ total, targets }: ConnectionCounts, style: Style): string {
  if (total === 0) return 'no connections\n';
  const table = renderTable(
    targets,
    [
      { title: 'TARGET', cell: (counts) => counts.target },
      { title: 'TENTATIVE', cell: (counts) => counts.tentative, align: 'right' },
      { title: 'OPENING', cell: (counts) => counts.opening, align: 'right' },
      { title: 'CONFIRMED', cell: (counts) => counts.confirmed, align: 'right' },
      { title: 'CLOSING', cell: (counts) => counts.closing, align: 'right' },
    ],
    'no connections',
    style,
  );
  return `${table}${total} in all\n`;
}

export function renderTopSources(sources: readonly TopSource[], style: Style): string {
  return renderTable(
    sources,
    [
      { title: 'SOURCE', cell: (source) => source.source },
      { title: 'GROUP', cell: (source) => source.group, align: 'right' },
      { title: 'CONNECTIONS', cell: connectionsOf, align: 'right' },
      { title: 'BYTES OF ITS SAS', cell: ({ bytes }) => bytes && formatBytes(bytes), align: 'right' },
      { title: 'PACKETS', cell: (source) => source.packets, align: 'right' },
    ],
    'no connections',
    style,
  );
}

function connectionsOf({ connections, error }: TopSource): string {
  return error === undefined ? String(connections) : `${connections} to ${connections + error}`;
}
