import { isList, type ViciFields, ViciMessage, type ViciValue } from './message.ts';

/**
 * Messages as text, exactly as strongSwan's `swanctl --raw` and `--pretty` print them (vici_message.c, `dump`), so that a
 * script written for one reads the other. A value with a byte that is not printable ASCII is `0x` and hex digits; in a
 * name, where charon has no such bytes, each becomes `?`: what is printed can do nothing to a terminal.
 *
 * `--raw` is for reading by eye and for `grep`: values may contain spaces, braces and equal signs, and nothing quotes
 * them, so there is no way back from it to a message. `--pretty` has one: `parsePretty`.
 */

/** One line: `label {key=value section {key=value} list=[a b]}`, and a line feed. Do not print messages that carry keys. */
export function formatRaw(message: ViciMessage | ViciFields, label: string): string {
  return `${label} {${rawSection(asMessage(message))}}\n`;
}

/** One line for each key and item, indented by two. Do not print messages that carry keys. */
export function formatPretty(message: ViciMessage | ViciFields, label: string): string {
  return `${label} {\n${prettySection(asMessage(message), '  ')}}\n`;
}

function asMessage(message: ViciMessage | ViciFields): ViciMessage {
  return message instanceof ViciMessage ? message : ViciMessage.of(message);
}

function rawSection(section: ViciMessage): string {
  return section.entries.map(([key, value]) => rawEntry(nameText(key), value)).join(' ');
}

function rawEntry(name: string, value: ViciValue): string {
  if (value instanceof ViciMessage) return `${name} {${rawSection(value)}}`;
  if (isList(value)) return `${name}=[${value.map(valueText).join(' ')}]`;
  return `${name}=${valueText(value)}`;
}

function prettySection(section: ViciMessage, indent: string): string {
  return section.entries.map(([key, value]) => prettyEntry(nameText(key), value, indent)).join('');
}

function prettyEntry(name: string, value: ViciValue, indent: string): string {
  const deeper = `${indent}  `;
  if (value instanceof ViciMessage) {
    return `${indent}${name} {\n${prettySection(value, deeper)}${indent}}\n`;
  }
  if (isList(value)) {
    const items = value.map((item) => `${deeper}${valueText(item)}\n`).join('');
    return `${indent}${name} = [\n${items}${indent}]\n`;
  }
  return `${indent}${name} = ${valueText(value)}\n`;
}

function nameText(name: string): string {
  return name.replaceAll(/[^ -~]/gu, '?');
}

function valueText(value: Buffer): string {
  const isText = value.every((byte) => byte >= 0x20 && byte <= 0x7e);
  return isText ? value.toString('latin1') : `0x${value.toString('hex')}`;
}
