import { type Measurement, round } from './rows.ts';

/** What benches have printed, by bench and figure. */
export type AllFigures = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const SA_BYTES = 2048;
const CONNECTION_BYTES = 96;

/** Rows whose figures come from more than one place; those whose benches did not run are left out. */
export function derivedRows(figures: AllFigures): Record<string, Measurement> {
  const rows = { memory: memory(figures), scale: scale(figures) };
  return Object.fromEntries(Object.entries(rows).filter(([, row]) => row !== undefined)) as Record<
    string,
    Measurement
  >;
}

function numberOf(figures: AllFigures, bench: string, figure: string): number | undefined {
  const value = figures[bench]?.[figure];
  return typeof value === 'number' ? value : undefined;
}

function memory(figures: AllFigures): Measurement | undefined {
  const sa = numberOf(figures, 'memory', 'memory.sa');
  const connection = numberOf(figures, 'memory', 'memory.connection');
  if (sa === undefined || connection === undefined) return undefined;
  const value = round(Math.max(sa / SA_BYTES, connection / CONNECTION_BYTES));
  return {
    value,
    rounds: [value],
    measured: `the larger share: an SA in a target's shadow cache (half of a pair with its policy), of ${SA_BYTES} bytes, and an entry of the connection table, of ${CONNECTION_BYTES}`,
    parts: { 'bytes of an SA': sa, 'bytes of a connection': connection },
  };
}

/**
 * Nobody makes 100 000 SAs with real peers. What many of them cost more is measured in memory, on the same code (`pipeline`), and added to
 * what a packet costs the whole host with one SA (`roles`). The worse of packets of one connection in runs, and one by one.
 */
function scale(figures: AllFigures): Measurement | undefined {
  const ratios = [40, 1].map((run) => {
    const whole = numberOf(figures, 'roles', `routing.${run}.1440 ns_per_packet`);
    const [small, large] = ['small', 'large'].map((size) =>
      numberOf(figures, 'pipeline', `route_in_${size}_run${run}_v256_ns`),
    );
    if (whole === undefined || small === undefined || large === undefined) return undefined;
    return { run, whole, more: large - small };
  });
  const [runs, single] = ratios;
  if (runs === undefined || single === undefined) return undefined;
  const of = ({ whole, more }: typeof runs) => (whole + more) / whole;
  const value = round(Math.max(of(runs), of(single)));
  return {
    value,
    rounds: [value],
    measured:
      'routing host, inbound: what a packet costs with one SA, and what 100 000 SAs and 1 000 000 connections add to it in memory',
    parts: {
      'more ns, runs of 40': round(runs.more),
      'more ns, one by one': round(single.more),
      'ns, runs of 40': runs.whole,
      'ns, one by one': single.whole,
    },
  };
}
