import { type Document, isAlias, isMap, isScalar, type Pair, visit, type YAMLMap } from 'yaml';

/** How many aliases a file may have, and how many nodes they may expand to: a few are fine, an alias bomb is not. */
export const MAX_ALIASES = 100;

/** Something that YAML allows and a configuration does not. `offset`: in the text, where it stands. */
export interface YamlRefusal {
  readonly offset: number;
  readonly message: string;
}

/**
 * What is YAML and yet no configuration: another dialect of it, keys that are no words or there twice, aliases of
 * nothing or too many of them. The parser's own check for keys that are there twice takes `1` and `"1"` for two.
 */
export function yamlRefusals(document: Document.Parsed, text: string): YamlRefusal[] {
  const refusals: YamlRefusal[] = [];
  const refuse = (node: unknown, message: string) => refusals.push({ offset: offsetOf(node), message });
  // In YAML 1.1 `on` and 010 are other values than in 1.2.
  if (document.directives.yaml.version !== '1.2') {
    refusals.push({
      offset: Math.max(text.search(/^%YAML/m), 0),
      message: 'not YAML 1.2, expected no %YAML line',
    });
  }
  const anchors = new Set<string>();
  let aliases = 0;
  visit(document, {
    Node: (_, node) => {
      if (isMap(node)) refuseKeys(node, refuse);
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.add(node.anchor);
        return undefined;
      }
      aliases++;
      if (!anchors.has(node.source)) refuse(node, `an alias of nothing, expected &${node.source} before it`);
      if (aliases <= MAX_ALIASES) return undefined;
      refuse(node, `one alias too many, expected at most ${MAX_ALIASES}`);
      return visit.BREAK;
    },
  });
  return refusals;
}

function refuseKeys(map: YAMLMap, refuse: (node: unknown, message: string) => void): void {
  const seen = new Set<string>();
  for (const pair of map.items) {
    const key = keyText(pair);
    if (key === undefined) refuse(pair.key ?? map, 'a key that is no word, expected a word');
    // Some libraries skip it, and what is skipped is not checked.
    else if (key === '__proto__')
      refuse(pair.key, 'unknown key __proto__, expected the name of an option or of a target');
    else if (seen.has(key)) refuse(pair.key, 'this key is there twice, expected each key once');
    else seen.add(key);
  }
}

/** The alias that makes an expansion go off is one of the outermost, and these come last. */
export function lastAliasOf(document: Document.Parsed): number {
  let offset = 0;
  visit(document, { Alias: (_, alias) => void (offset = alias.range?.[0] ?? offset) });
  return offset;
}

/** The key as it is in the value that the document becomes; undefined: it is no word or number. */
export function keyText({ key }: Pair): string | undefined {
  if (!isScalar(key)) return undefined;
  const { value } = key;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

function offsetOf(node: unknown): number {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0] ?? 0;
}
