import { cleanText } from '../fields.ts';

/**
 * An answer in the form of `swanctl --raw` (one line) or `--pretty` (a line for each value): sections in braces, lists of
 * values in brackets, members of a list of objects numbered from 0. What is unknown is left out, as in JSON.
 */
export function renderDump(label: string, answer: unknown, isPretty: boolean): string {
  const sections = membersOf(answer).map(([name, value]) => (isPretty ? pretty : raw)(name, value, 1));
  return isPretty
    ? `${label} {\n${sections.map((line) => `${line}\n`).join('')}}\n`
    : `${label} {${sections.join(' ')}}\n`;
}

function raw(name: string, value: unknown): string {
  if (isPlainList(value)) return `${name}=[${value.map(textOf).join(' ')}]`;
  if (isSection(value)) {
    return `${name} {${membersOf(value)
      .map(([key, member]) => raw(key, member))
      .join(' ')}}`;
  }
  return `${name}=${textOf(value)}`;
}

function pretty(name: string, value: unknown, depth: number): string {
  const indent = '  '.repeat(depth);
  if (isPlainList(value)) {
    const items = value.map((item) => `${indent}  ${textOf(item)}\n`).join('');
    return `${indent}${name} = [\n${items}${indent}]`;
  }
  if (isSection(value)) {
    const members = membersOf(value).map(([key, member]) => `${pretty(key, member, depth + 1)}\n`);
    return `${indent}${name} {\n${members.join('')}${indent}}`;
  }
  return `${indent}${name} = ${textOf(value)}`;
}

function membersOf(value: unknown): [string, unknown][] {
  if (!isSection(value)) return [['value', value]];
  return Object.entries(value).filter(([, member]) => member !== undefined);
}

function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isPlainList(value: unknown): value is unknown[] {
  return Array.isArray(value) && !value.some(isSection);
}

/** Names come from peers' certificates: no control characters may reach the terminal. */
function textOf(value: unknown): string {
  return cleanText(typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value));
}
