import { cleanText } from '../fields.ts';
import { paint, type Style, toneOf } from './style.ts';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string | number | undefined;
  /** Numbers stand at the right. */
  readonly align?: 'left' | 'right';
  /** Coloured by the state it names. */
  readonly isState?: boolean;
}

/** Rows under a title line, two spaces between columns. An undefined cell is `-`. No rows: `empty`. */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  empty: string,
  style: Style,
): string {
  if (rows.length === 0) return `${empty}\n`;
  // Names come from peers' certificates: no control characters may reach the terminal.
  const cells = rows.map((row) => columns.map((column) => cleanText(String(column.cell(row) ?? '-'))));
  const widths = columns.map((column, i) =>
    cells.reduce((width, row) => Math.max(width, row[i]?.length ?? 0), column.title.length),
  );
  const line = (texts: readonly string[], tint: (text: string, column: Column<Row>) => string) =>
    columns
      .map((column, i) => {
        const text = texts[i] ?? '';
        const gap = ' '.repeat((widths[i] ?? 0) - text.length);
        return column.align === 'right' ? gap + tint(text, column) : tint(text, column) + gap;
      })
      .join('  ')
      .trimEnd();
  const titles = line(
    columns.map((column) => column.title),
    (text) => paint(text, 'title', style),
  );
  const body = cells.map((row) =>
    line(row, (text, column) => (column.isState ? paint(text, toneOf(text), style) : text)),
  );
  return `${[titles, ...body].join('\n')}\n`;
}
