import { CST, Lexer } from 'yaml';

/** Columns of indentation plus brackets and dashes: far more than a configuration needs. */
const MAX_NESTING = 100;

/** What the lexer says of the structure; all other tokens are the text. */
const LEXER_MARKS: ReadonlySet<string> = new Set([CST.DOCUMENT, CST.FLOW_END, CST.SCALAR]);

/**
 * The offset at which the text is nested more deeply than a configuration may be; undefined: nowhere. To be asked before the
 * parser recurses: with 100 000 levels it does not throw but takes the process down (out of memory in a regular
 * expression). A block level costs at least a column or an indicator.
 */
export function tooDeepAt(text: string): number | undefined {
  let offset = 0;
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
    if (brackets + indicators + indentation > MAX_NESTING) return Math.min(offset, text.length);
    if (!LEXER_MARKS.has(token)) offset += token.length;
  }
  return undefined;
}

/** Line and column of an offset, for a text that no parser has seen. */
export function placeIn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
