import { formatPretty, formatRaw, type ViciFields, type ViciInput } from '../../vici/index.ts';

/**
 * An answer in the form of `swanctl --raw` (one line) or `--pretty` (a line for each value). Members of a list of objects are
 * sections named from 0; what is unknown is left out, as in JSON.
 */
export function renderDump(label: string, answer: unknown, isPretty: boolean): string {
  const fields = isSection(answer) ? fieldsOf(answer) : { value: inputOf(answer) };
  return (isPretty ? formatPretty : formatRaw)(fields, label);
}

function fieldsOf(section: object): ViciFields {
  return Object.fromEntries(Object.entries(section).map(([key, value]) => [key, inputOf(value)]));
}

function inputOf(value: unknown): ViciInput {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value) && !value.some(isSection)) return value.filter(isPlain).map(String);
  if (isSection(value)) return fieldsOf(value);
  return isPlain(value) ? value : undefined;
}

function isPlain(value: unknown): value is string | number | bigint | boolean {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value);
}

function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
