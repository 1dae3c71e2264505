import { isAlias, isCollection, isMap, isScalar, isSeq, Lexer, LineCounter, parseDocument } from 'yaml';
import type { Document, Pair } from 'yaml';
import { ConfigError, type ConfigProblem } from './problem.ts';

/** A configuration is a page or two; what is larger is a mistake or an attack. */
export const MAX_FILE_BYTES = 64 * 1024;
/** How many nodes aliases may expand to (a few anchors are fine, an alias bomb is not). */
const MAX_ALIASES = 100;
/** Columns of indentation plus brackets and dashes: far more than a configuration needs. */
const MAX_NESTING = 100;

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

/** Parses YAML text (1.2, one document). Throws `ConfigError` with every syntax error, and nothing else. */
export function parseYaml(text: string, file: string): ConfigDocument {
  const lines = new LineCounter();
  const whole = (message: string) => new ConfigError([{ file, line: 0, column: 0, path: '', message }]);
  if (text.length > MAX_FILE_BYTES) throw whole(`too large, expected at most ${MAX_FILE_BYTES} bytes`);
  if (!isShallow(text)) throw whole('nested too deeply, expected a few levels');

  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      version: '1.2',
      logLevel: 'error',
    });
  } catch (cause) {
    throw whole(`not readable as YAML: ${messageOf(cause)}`);
  }
  const placeAt = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map((fault) => ({ file, ...placeAt(fault.pos[0]), path: '', message: syntaxMessage(fault) })),
    );
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    throw whole(`aliases cannot be resolved: ${messageOf(cause)}, expected at most ${MAX_ALIASES} of them`);
  }
  const report = (path: KeyPath, message: string, atKey: boolean): ConfigProblem => {
    const offset = offsetOf(document, path, atKey);
    return { file, ...placeAt(offset), path: path.join('.'), message };
  };
  return {
    file,
    value,
    problem: (path, message) => report(path, message, false),
    keyProblem: (path, message) => report(path, message, true),
  };
}

/**
 * Bounds the nesting before the parser recurses: with 100 000 levels it does not throw but takes the process
 * down (out of memory in a regular expression). A block level costs at least a column or an indicator.
 */
function isShallow(text: string): boolean {
  let brackets = 0;
  let indicators = 0;
  let indentation = 0;
  let isLineStart = true;
  for (const token of new Lexer().lex(text)) {
    const isSpace = /^[ \t]+$/.test(token);
    if (/^\r?\n/.test(token)) indicators = indentation = 0;
    else if (token === '[' || token === '{') brackets++;
    else if (token === ']' || token === '}') brackets--;
    else if (token === '-' || token === '?') indicators++;
    else if (isSpace && isLineStart) indentation += token.length;
    isLineStart = token.endsWith('\n') || (isLineStart && (isSpace || token === '-' || token === '?'));
    if (brackets + indicators + indentation > MAX_NESTING) return false;
  }
  return true;
}

function syntaxMessage(fault: { code: string; message: string }): string {
  if (fault.code === 'DUPLICATE_KEY') return 'this key is there twice, expected each key once';
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

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

function startOf(node: unknown): number | undefined {
  if (!isScalar(node) && !isCollection(node) && !isAlias(node)) return undefined;
  return node.range?.[0];
}
