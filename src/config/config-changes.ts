import { isDeepStrictEqual } from 'node:util';
import type { Config } from './check.ts';
import { flatten, optionsOf, type Role } from './reference/options.ts';

/** When a change of a value counts: with the next `dvipa reload`, or when the agent is started again. */
export type ChangeEffect = 'now' | 'restart';

/** One difference of two configurations. A value that is not there is undefined. */
export interface ConfigChange {
  /** In the file's spelling; entries of lists by their names: `dvipas[203.0.113.10].weights.target2`. */
  readonly path: string;
  readonly from: unknown;
  readonly to: unknown;
  readonly effect: ChangeEffect;
}

/** Lists whose entries have names; others (rules, endpoints) count as one value. */
const NAMES: Readonly<Record<string, (entry: never) => string>> = {
  dvipas: (entry: string | { readonly address: string }) =>
    typeof entry === 'string' ? entry : entry.address,
  targets: (entry: string | { readonly host: string }) => (typeof entry === 'string' ? entry : entry.host),
  services: ({ protocol, port }: { readonly protocol: string; readonly port: number }) =>
    `${protocol} ${port}`,
};

/** Values whose name in code is not that of the file, or not in its spelling. */
const FILE_NAMES: Readonly<Record<string, string>> = { returnVia: 'return', endpoints: 'endpoint' };

/** What is different in `after`, in the order of the values. Both are checked, so they have the same keys; roles may differ. */
export function configChanges(before: Config, after: Config): ConfigChange[] {
  return [...differences('', before, after)].map(([path, from, to]) => ({
    path,
    from,
    to,
    effect: effectOf(path, before.role),
  }));
}

/**
 * The effect of a change at this path, as the schema says it of the option (`reload`), or of the nearest one around it. What it says
 * nothing of needs a restart.
 */
export function effectOf(path: string, role: Role): ChangeEffect {
  const pattern = path.replaceAll(/\[[^\]]*\]/g, '[]');
  const around = flatten(optionsOf(role)).filter(
    (option) => pattern === option.path || ['.', '['].some((next) => pattern.startsWith(option.path + next)),
  );
  const nearest = around.toSorted((a, b) => b.path.length - a.path.length)[0];
  return nearest?.reload === 'hot' ? 'now' : 'restart';
}

type Difference = readonly [path: string, from: unknown, to: unknown];

function* differences(path: string, before: unknown, after: unknown): Generator<Difference> {
  if (isDeepStrictEqual(before, after)) return;
  if (isMapping(before) && isMapping(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const [from, to] = [before[key], after[key]];
      const at = path === '' ? fileNameOf(key, path) : `${path}.${fileNameOf(key, path)}`;
      const nameOf = Object.hasOwn(NAMES, key) ? (NAMES[key] as (entry: unknown) => string) : undefined;
      const areNamed = nameOf !== undefined && Array.isArray(from) && Array.isArray(to);
      if (areNamed) yield* entryDifferences(at, byName(from, nameOf), byName(to, nameOf));
      else yield* differences(at, from, to);
    }
    return;
  }
  yield [path, before, after];
}

/** Who is new and who is gone; what is different in who stays; and targets that stay but have other places (docs/distribution.md). */
function* entryDifferences(
  path: string,
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): Generator<Difference> {
  for (const name of new Set([...before.keys(), ...after.keys()]))
    yield* differences(`${path}[${name}]`, before.get(name), after.get(name));
  if (!path.endsWith('targets')) return;
  const [from, to] = [[...before.keys()], [...after.keys()]];
  const isMoved = from.some((name, place) => after.has(name) && to.indexOf(name) !== place);
  if (isMoved) yield [path, from, to];
}

function byName(entries: readonly unknown[], nameOf: (entry: unknown) => string): Map<string, unknown> {
  return new Map(entries.map((entry) => [nameOf(entry), entry]));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** Weights are named by hosts: these stay as they are. */
function fileNameOf(key: string, parent: string): string {
  if (parent.endsWith('.weights')) return key;
  return FILE_NAMES[key] ?? key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
