import { isReached, TARGETS } from './targets.ts';

/** What a bench prints of a key of `TARGETS`, in its JSON object under `rows`. */
export interface Measurement {
  /** The median, in the unit of the key's measure. */
  readonly value: number;
  /** The same by round. */
  readonly rounds: readonly number[];
  /** What was measured, and how, in a sentence. */
  readonly measured: string;
  /** What the value was made of, such as `ns per packet`: medians, by name. */
  readonly parts?: Readonly<Record<string, number>>;
}

/** A key of out/bench.json. */
export interface Row extends Partial<Measurement> {
  readonly target: string;
  /** Undefined: nothing has measured it in this run. */
  readonly reached?: boolean;
}

/** Every key, measured or not. Throws on a measurement of a key that there is not. */
export function judge(measurements: Readonly<Record<string, Measurement>>): Record<string, Row> {
  const unknown = Object.keys(measurements).filter((key) => !Object.hasOwn(TARGETS, key));
  if (unknown.length > 0) throw new Error(`no such key: ${unknown.join(', ')}`);
  const rows: Record<string, Row> = {};
  for (const [key, limit] of Object.entries(TARGETS)) {
    const target = `${limit.atLeast === undefined ? `<= ${limit.atMost}` : `>= ${limit.atLeast}`} ${limit.measure}`;
    const measured = measurements[key];
    rows[key] =
      measured === undefined
        ? { target }
        : { target, reached: isReached(limit, measured.value), ...measured };
  }
  return rows;
}

/** The table for people. */
export function tableOf(rows: Readonly<Record<string, Row>>): string[] {
  const width = Math.max(...Object.keys(rows).map((key) => key.length));
  return Object.entries(rows).map(([key, { value, reached, target, rounds = [] }]) => {
    const verdict = reached === undefined ? 'not measured' : reached ? 'reached     ' : 'NOT REACHED ';
    const figures = value === undefined ? '' : `${value}  (${rounds.join(', ')})`;
    return `${key.padEnd(width)}  ${verdict}  ${target}: ${figures}`.trimEnd();
  });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The value that `share` (0 to 1) of them do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** To `digits` digits that matter. */
export function round(value: number, digits = 3): number {
  return Number(value.toPrecision(digits));
}

/** The ratio of two figures of each round, and their median: both of a round saw the same machine. */
export function ratioOf(
  ours: readonly number[],
  theirs: readonly number[],
): Pick<Measurement, 'value' | 'rounds'> {
  const rounds = ours.map((value, i) => round((theirs[i] ?? Number.NaN) / value));
  return { value: median(rounds), rounds };
}
