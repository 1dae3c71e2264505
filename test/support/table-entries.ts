import type { ConnectionKey } from '../../src/connections/connection-key.ts';
import type { ConnectionState, ConnectionTable } from '../../src/connections/connection-table.ts';

export interface TableEntry extends ConnectionKey {
  readonly target: number;
  readonly state: ConnectionState;
  readonly remainingMs: number;
}

/** All entries of a table that have not expired, as copies, in no order. */
export function entriesOf(table: ConnectionTable, now: number): TableEntry[] {
  const entries: TableEntry[] = [];
  table.visit(0, table.slots, now, (key, target, state, remainingMs) => {
    entries.push({
      ...key,
      dvipa: key.dvipa.slice(),
      source: key.source.slice(),
      target,
      state,
      remainingMs,
    });
    return true;
  });
  return entries;
}
