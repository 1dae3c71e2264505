import { ViciError } from './error.ts';

/** A value: bytes, a list of such, or a section. */
export type ViciValue = Buffer | readonly Buffer[] | ViciMessage;

/**
 * What a message can be built from. Text becomes UTF-8, numbers and bigints decimal text, booleans `yes` or
 * `no`; `undefined` is left out. A `Map` serves for keys that come from outside.
 */
export type ViciInput =
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | readonly (string | Uint8Array)[]
  | ViciMessage
  | ViciFields
  | ReadonlyMap<string, ViciInput>
  | undefined;

/** Plain own properties, in order. */
export interface ViciFields {
  readonly [key: string]: ViciInput;
}

/**
 * One section, or a whole message: keys with values, in the order of the wire. Never a plain object, so a
 * key such as `__proto__` is a key like any other. charon should send each key once per section; if one
 * comes twice both are kept in `entries`, and a lookup finds the last.
 */
export class ViciMessage {
  readonly #entries: (readonly [string, ViciValue])[] = [];
  readonly #lastOf = new Map<string, ViciValue>();

  /** @example ViciMessage.of({ ike: 'dvipa', timeout: 1000, force: true, names: ['a', 'b'] }) */
  static of(fields: ViciFields | Iterable<readonly [string, ViciInput]>): ViciMessage {
    const message = new ViciMessage();
    const pairs = isIterable(fields) ? fields : Object.entries(fields);
    for (const [key, value] of pairs) {
      if (value !== undefined) message.append(key, toValue(value));
    }
    return message;
  }

  /** Adds at the end; used by the decoder and by `of`. */
  append(key: string, value: ViciValue): this {
    this.#entries.push([key, value]);
    this.#lastOf.set(key, value);
    return this;
  }

  /** Every key with its value, in order. */
  get entries(): readonly (readonly [string, ViciValue])[] {
    return this.#entries;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  get(key: string): ViciValue | undefined {
    return this.#lastOf.get(key);
  }

  /** The value as bytes; undefined if absent, or a list or section. Aliases the received frame: copy what you keep. */
  bytes(key: string): Buffer | undefined {
    const value = this.#lastOf.get(key);
    return Buffer.isBuffer(value) ? value : undefined;
  }

  /** The value as UTF-8 text; undefined if absent, or a list or section. */
  text(key: string): string | undefined {
    return this.bytes(key)?.toString('utf8');
  }

  /** The list's items as text; undefined if absent or not a list. */
  list(key: string): string[] | undefined {
    const value = this.#lastOf.get(key);
    return isList(value) ? value.map((item) => item.toString('utf8')) : undefined;
  }

  section(key: string): ViciMessage | undefined {
    const value = this.#lastOf.get(key);
    return value instanceof ViciMessage ? value : undefined;
  }

  /** The sub-sections, in order, each with its name. */
  sections(): [string, ViciMessage][] {
    return this.#entries.filter((entry): entry is [string, ViciMessage] => entry[1] instanceof ViciMessage);
  }

  /**
   * For printing: text where a value is printable UTF-8, `0x...` otherwise. On null-prototype objects, so safe
   * for any key. Do not print messages that carry keys.
   */
  toJSON(): Record<string, unknown> {
    const plain = Object.create(null) as Record<string, unknown>;
    for (const [key, value] of this.#entries) {
      plain[key] =
        value instanceof ViciMessage
          ? value.toJSON()
          : isList(value)
            ? value.map(printable)
            : printable(value);
    }
    return plain;
  }
}

export function isList(value: ViciValue | undefined): value is readonly Buffer[] {
  return Array.isArray(value);
}

function isIterable(fields: object): fields is Iterable<readonly [string, ViciInput]> {
  return Symbol.iterator in fields;
}

function toValue(input: Exclude<ViciInput, undefined>): ViciValue {
  if (typeof input === 'boolean') return Buffer.from(input ? 'yes' : 'no');
  if (typeof input === 'number' && !Number.isSafeInteger(input)) {
    throw new ViciError('invalid', 'a number in a message must be a safe integer');
  }
  if (typeof input === 'number' || typeof input === 'bigint') return Buffer.from(input.toString());
  if (typeof input === 'string' || input instanceof Uint8Array) return toBuffer(input);
  if (input instanceof ViciMessage) return input;
  if (Array.isArray(input)) return input.map(toBuffer);
  return ViciMessage.of(input as ViciFields);
}

function toBuffer(input: string | Uint8Array): Buffer {
  if (typeof input === 'string') return Buffer.from(input, 'utf8');
  return Buffer.isBuffer(input) ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
}

function printable(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  const isText = !/[\p{Cc}\ufffd]/u.test(text.replaceAll(/[\n\t]/g, ''));
  return isText ? text : `0x${bytes.toString('hex')}`;
}
