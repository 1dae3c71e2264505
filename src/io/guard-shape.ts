import type { NftRuleset } from './nft-ruleset.ts';

/** What can be compared of a table of rules, whatever spelling it was written in. */
export interface TableShape {
  readonly chains: Readonly<Record<string, { readonly hook?: string | undefined; readonly rules: number }>>;
  /** Elements as text, sorted. */
  readonly sets: Readonly<Record<string, readonly string[]>>;
}

/** The shape of a table of ours (family inet) as the kernel has it; undefined: it is not there. */
export function presentShape({ chains, sets }: NftRuleset, table: string): TableShape | undefined {
  const own = chains.filter((chain) => chain.family === 'inet' && chain.table === table);
  if (own.length === 0) return undefined;
  const prefix = `inet ${table} `;
  return {
    chains: Object.fromEntries(own.map(({ name, hook, rules }) => [name, { hook, rules: rules.length }])),
    sets: Object.fromEntries(
      [...sets].flatMap(([name, elements]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), elements]] : [],
      ),
    ),
  };
}

/** The shape that a body as `installTable` takes it will have. */
export function shapeOfBody(body: string): TableShape {
  const chains: Record<string, { hook?: string | undefined; rules: number }> = {};
  const sets: Record<string, readonly string[]> = {};
  for (const { head, inside } of blocksOf(body)) {
    const [kind, name = ''] = head.trim().split(/\s+/).slice(-2);
    const statements = statementsOf(inside);
    if (kind === 'chain') {
      const rules = statements.filter((text) => !/^(type|policy)\b/.test(text));
      chains[name] = { hook: /\bhook (\w+)/.exec(inside)?.[1], rules: rules.length };
    } else if (kind === 'set') {
      const elements = /elements = \{([^}]*)\}/.exec(inside)?.[1] ?? '';
      sets[name] = elements
        .split(',')
        .map((text) => text.trim())
        .filter((text) => text !== '')
        .toSorted();
    }
  }
  return { chains, sets };
}

/** `HEAD { INSIDE }` at the outermost level. */
function blocksOf(body: string): { head: string; inside: string }[] {
  const blocks: { head: string; inside: string }[] = [];
  let depth = 0;
  let start = 0;
  let head = '';
  for (let at = 0; at < body.length; at++) {
    if (body[at] === '{' && depth++ === 0) {
      head = body.slice(start, at);
      start = at + 1;
    }
    if (body[at] === '}' && --depth === 0) {
      blocks.push({ head, inside: body.slice(start, at) });
      start = at + 1;
    }
  }
  return blocks;
}

/** Ended by lines or semicolons outside of braces. */
function statementsOf(inside: string): string[] {
  const flat = inside.replaceAll(/\{[^}]*\}/g, '{}');
  return flat
    .split(/[;\n]/)
    .map((text) => text.trim())
    .filter((text) => text !== '');
}
