import { ViciError } from './error.ts';
import { isList, ViciMessage, type ViciValue } from './message.ts';

/**
 * The message format: elements of one type byte, then a name (length in 1 byte), a value (length in 2 bytes,
 * big endian), or both. Names are read and written as UTF-8; charon 5.9.8 itself takes printable ASCII only.
 *
 *     SECTION_START  1 | name            LIST_START  4 | name
 *     SECTION_END    2                   LIST_ITEM   5 | value
 *     KEY_VALUE      3 | name | value    LIST_END    6
 */
const ELEMENT = {
  SECTION_START: 1,
  SECTION_END: 2,
  KEY_VALUE: 3,
  LIST_START: 4,
  LIST_ITEM: 5,
  LIST_END: 6,
} as const;

/** charon's own limit for one packet (vici_socket.h), 512 KiB. */
export const MAX_FRAME_BYTES = 512 * 1024;
/** Ours: charon nests four deep. */
export const MAX_DEPTH = 16;
/** Ours: elements of one message; an IKE_SA with 1000 CHILD_SAs has about 30 000. */
export const MAX_ELEMENTS = 100_000;
const MAX_NAME_BYTES = 0xff;
const MAX_VALUE_BYTES = 0xffff;

/**
 * Bytes to message. Values alias `bytes`.
 * @throws ViciError `malformed` or `too-big`, nothing else
 */
export function decodeMessage(bytes: Buffer): ViciMessage {
  const reader = new ElementReader(bytes);
  const root = new ViciMessage();
  const open: ViciMessage[] = [root];
  while (!reader.isAtEnd) {
    const section = open[open.length - 1] as ViciMessage;
    const element = reader.element();
    switch (element) {
      case ELEMENT.SECTION_START: {
        if (open.length > MAX_DEPTH) throw new ViciError('too-big', 'message is nested too deeply');
        const child = new ViciMessage();
        section.append(reader.name(), child);
        open.push(child);
        break;
      }
      case ELEMENT.SECTION_END:
        open.pop();
        if (open.length === 0) throw malformed('section end without a section');
        break;
      case ELEMENT.KEY_VALUE:
        section.append(reader.name(), reader.value());
        break;
      case ELEMENT.LIST_START:
        section.append(reader.name(), readList(reader));
        break;
      case ELEMENT.LIST_ITEM:
      case ELEMENT.LIST_END:
        throw malformed('list element outside of a list');
      default:
        throw malformed('unknown element type');
    }
  }
  if (open.length !== 1) throw malformed('message ends inside a section');
  return root;
}

function readList(reader: ElementReader): Buffer[] {
  const items: Buffer[] = [];
  for (;;) {
    const element = reader.element();
    if (element === ELEMENT.LIST_END) return items;
    if (element !== ELEMENT.LIST_ITEM) throw malformed('only items may stand in a list');
    items.push(reader.value());
  }
}

class ElementReader {
  readonly #bytes: Buffer;
  #at = 0;
  #elements = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  element(): number {
    if (++this.#elements > MAX_ELEMENTS) throw new ViciError('too-big', 'message has too many elements');
    return this.#take(1)[0] as number;
  }

  name(): string {
    const length = this.#take(1)[0] as number;
    return this.#take(length).toString('utf8');
  }

  value(): Buffer {
    const length = this.#take(2).readUInt16BE(0);
    return this.#take(length);
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw malformed('message is cut short');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }
}

/**
 * Message to bytes.
 * @throws ViciError `too-big`: a name over 255 bytes, a value over 65535, the whole over 512 KiB
 */
export function encodeMessage(message: ViciMessage): Buffer {
  const parts: Buffer[] = [];
  writeSection(parts, message, 0);
  const bytes = Buffer.concat(parts);
  if (bytes.length > MAX_FRAME_BYTES) throw new ViciError('too-big', 'message is over 512 KiB');
  return bytes;
}

function writeSection(parts: Buffer[], section: ViciMessage, depth: number): void {
  if (depth > MAX_DEPTH) throw new ViciError('too-big', 'message is nested too deeply');
  for (const [name, value] of section.entries) writeEntry(parts, name, value, depth);
}

function writeEntry(parts: Buffer[], name: string, value: ViciValue, depth: number): void {
  if (value instanceof ViciMessage) {
    parts.push(named(ELEMENT.SECTION_START, name));
    writeSection(parts, value, depth + 1);
    parts.push(Buffer.of(ELEMENT.SECTION_END));
  } else if (isList(value)) {
    parts.push(named(ELEMENT.LIST_START, name));
    for (const item of value) parts.push(Buffer.of(ELEMENT.LIST_ITEM), valueLength(item), item);
    parts.push(Buffer.of(ELEMENT.LIST_END));
  } else {
    parts.push(named(ELEMENT.KEY_VALUE, name), valueLength(value), value);
  }
}

/** Type byte, length, name: the shape of named elements and of named packets alike. */
export function named(type: number, name: string): Buffer {
  const bytes = Buffer.from(name, 'utf8');
  if (bytes.length > MAX_NAME_BYTES) throw new ViciError('too-big', 'a name is over 255 bytes');
  return Buffer.concat([Buffer.of(type, bytes.length), bytes]);
}

function valueLength(value: Buffer): Buffer {
  if (value.length > MAX_VALUE_BYTES) throw new ViciError('too-big', 'a value is over 65535 bytes');
  return Buffer.of(value.length >> 8, value.length & 0xff);
}

function malformed(message: string): ViciError {
  return new ViciError('malformed', message);
}
