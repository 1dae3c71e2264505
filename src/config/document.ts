import { isAlias, isCollection, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { shortened } from './printable.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import { placeIn, tooDeepAt } from './yaml-nesting.ts';
import { keyText, lastAliasOf, MAX_ALIASES, yamlRefusals } from './yaml-refusals.ts';

/** A configuration is a page or two; what is larger is a mistake or an attack. */
export const MAX_FILE_BYTES = 64 * 1024;
export type KeyPath = readonly (string | number)[];

/** A parsed YAML file: its plain value, and where in the file each part of it stands. */
export interface ConfigDocument {
  readonly file: string;
  readonly value: unknown;
  /** Place of the value at `path`; if it is missing, of the nearest thing around it that exists. */
  problem(path: KeyPath, message: string): ConfigProblem;
  /** The same for a key (an unknown one is marked at its name, not at its value). */
  keyProblem(path: KeyPath, message: string): ConfigProblem;
}

/** Parses YAML text (1.2, one document, no tags but the core ones). Throws `ConfigError` with every fault, and nothing else. */
export function parseYaml(text: string, file: string): ConfigDocument {
  const lines = new LineCounter();
  const whole = (message: string) => new ConfigError([{ file, line: 0, column: 0, path: '', message }]);
  if (text.length > MAX_FILE_BYTES) throw whole(`too large, expected at most ${MAX_FILE_BYTES} bytes`);
  const deep = tooDeepAt(text);
  if (deep !== undefined) {
    const message = 'nested too deeply, expected a few levels';
    throw new ConfigError([{ file, ...placeIn(text, deep), path: '', message }]);
  }

  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      version: '1.2',
      logLevel: 'error',
      // `!!omap` and `!!set` would be objects whose content no schema sees.
      resolveKnownTags: false,
      uniqueKeys: false,
    });
  } catch (cause) {
    throw whole(`not readable as YAML: ${messageOf(cause)}`);
  }
  const placeAt = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults = [...document.errors, ...document.warnings].map((fault) => {
    return { offset: fault.pos[0], message: syntaxMessage(fault) };
  });
  // What is no YAML has no keys and aliases to look at.
  const refusals = faults.length > 0 ? faults : yamlRefusals(document, text);
  if (refusals.length > 0) {
    throw new ConfigError(
      refusals.map(({ offset, message }) => ({ file, ...placeAt(offset), path: '', message })),
    );
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch {
    const message = `aliases expand to too much, expected at most ${MAX_ALIASES} nodes`;
    throw new ConfigError([{ file, ...placeAt(lastAliasOf(document)), path: '', message }]);
  }
  const report = (path: KeyPath, message: string, atKey: boolean): ConfigProblem => {
    const offset = offsetOf(document, path, atKey);
    return { file, ...placeAt(offset), path: path.map((key) => shortened(String(key))).join('.'), message };
  };
  return {
    file,
    value,
    problem: (path, message) => report(path, message, false),
    keyProblem: (path, message) => report(path, message, true),
  };
}

function syntaxMessage(fault: { code: string; message: string }): string {
  if (fault.code === 'MULTIPLE_DOCS')
    return 'a second document starts here, expected one document in the file';
  return `${fault.message} (YAML)`;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function offsetOf(document: Document.Parsed, path: KeyPath, atKey: boolean): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, key] of path.entries()) {
    const isLast = depth === path.length - 1;
    node = isAlias(node) ? node.resolve(document) : node;
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item) === String(key));
      if (pair === undefined) return offset;
      const wantsKey = (atKey && isLast) || startOf(pair.value) === undefined;
      offset = startOf(wantsKey ? pair.key : pair.value) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      offset = startOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  if (!isScalar(node) && !isCollection(node) && !isAlias(node)) return undefined;
  return node.range?.[0];
}
