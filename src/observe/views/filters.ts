import type { FilterRuleSnapshot, FilterSnapshot, PortRangeSnapshot } from '../snapshots.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';

/** One rule of one DVIPA, or what becomes of packets that no rule matches. */
interface Line extends Partial<Omit<FilterRuleSnapshot, 'action'>> {
  readonly dvipa: string;
  readonly place: string;
  readonly rule: number | undefined;
  readonly action: string;
}

export function renderFilters(filters: readonly FilterSnapshot[], style: Style): string {
  return renderTable(
    filters.flatMap(linesOf),
    [
      { title: 'DVIPA', cell: ({ dvipa }) => dvipa },
      { title: 'FILTERED', cell: ({ place }) => place },
      { title: 'RULE', cell: ({ rule }) => rule, align: 'right' },
      { title: 'ACTION', cell: ({ action }) => action },
      { title: 'PROTOCOL', cell: ({ protocol }) => protocol },
      { title: 'SOURCE', cell: ({ rule, source }) => source ?? anyOf(rule) },
      { title: 'PORTS', cell: ({ rule, sourcePorts }) => rangeText(sourcePorts) ?? anyOf(rule) },
      { title: 'TO PORTS', cell: ({ rule, ports }) => rangeText(ports) ?? anyOf(rule) },
      { title: 'IPSEC', cell: ({ ipsecPackets }) => ipsecPackets, align: 'right' },
      { title: 'CLEAR', cell: ({ clearPackets }) => clearPackets, align: 'right' },
    ],
    'no DVIPA',
    style,
  );
}

function linesOf({ dvipa, filtersHere, rules, unmatched }: FilterSnapshot): Line[] {
  const place = filtersHere ? 'here' : 'elsewhere';
  const { action, ...counts } = unmatched;
  return [
    ...rules.map((rule, at) => ({ ...rule, dvipa, place, rule: at + 1 })),
    { dvipa, place, rule: undefined, action: `else ${action}`, ...counts },
  ];
}

function anyOf(rule: number | undefined): string | undefined {
  return rule === undefined ? undefined : 'any';
}

function rangeText(range: PortRangeSnapshot | undefined): string | undefined {
  if (range === undefined) return undefined;
  return range.from === range.to ? String(range.from) : `${range.from}-${range.to}`;
}
