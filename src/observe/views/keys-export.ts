import type { KeysExportSnapshot } from '../snapshots.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';

export function renderKeysExport({ file, sas, leftOut }: KeysExportSnapshot, style: Style): string {
  const said = `${file}: keys of ${sas} SAs\n`;
  if (leftOut.length === 0) return said;
  const table = renderTable(
    leftOut,
    [
      { title: 'LEFT OUT', cell: ({ spi }) => spi },
      { title: 'ALGORITHM', cell: ({ algorithm }) => algorithm },
      { title: 'REASON', cell: ({ reason }) => reason },
    ],
    '',
    style,
  );
  return `${said}${table}`;
}
