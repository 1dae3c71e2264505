import ipaddr from 'ipaddr.js';
import { ViciError } from './error.ts';
import type { ViciMessage } from './message.ts';

/**
 * Strict readers for a section's values: each returns the value in its type, or throws ViciError `invalid`
 * naming the place and what was expected. Values are not quoted in errors: they may be keys.
 */
export class Fields {
  readonly message: ViciMessage;
  /** Where the section stands, e.g. `sa.src-ts.0`. */
  readonly where: string;

  constructor(message: ViciMessage, where: string) {
    this.message = message;
    this.where = where;
  }

  has(key: string): boolean {
    return this.message.get(key) !== undefined;
  }

  text(key: string): string {
    return this.message.text(key) ?? this.#fail(key, 'text');
  }

  /** Decimal, no sign, no leading zeros, 0 .. max. */
  number(key: string, max = Number.MAX_SAFE_INTEGER): number {
    const text = this.message.text(key);
    const value = text !== undefined && /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
    return value <= max ? value : this.#fail(key, `a decimal number up to ${max}`);
  }

  /** A decimal number of 64 bits; more than 2^53 - 1 is taken as that. For limits, which only get stricter by it. */
  limit(key: string): number {
    const text = this.match(key, /^(?:0|[1-9]\d{0,19})$/, 'a decimal number');
    return Math.min(Number(text), Number.MAX_SAFE_INTEGER);
  }

  /** A number if the key is there. */
  optionalNumber(key: string, max?: number): number | undefined {
    return this.has(key) ? this.number(key, max) : undefined;
  }

  /** A decimal number of 64 bits, exact. */
  bigint(key: string): bigint {
    const value = BigInt(this.match(key, /^(?:0|[1-9]\d{0,19})$/, 'a decimal number'));
    return value < 1n << 64n ? value : this.#fail(key, 'a number of 64 bits');
  }

  /** The items of a list as text; none if the key is not there. */
  list(key: string): string[] {
    return this.has(key) ? (this.message.list(key) ?? this.#fail(key, 'a list')) : [];
  }

  /** `yes`; `no` if the key is not there. */
  optionalFlag(key: string): boolean {
    return this.has(key) && this.flag(key);
  }

  /** `yes` or `no`; other text is invalid. */
  flag(key: string): boolean {
    return this.oneOf(key, ['yes', 'no']) === 'yes';
  }

  oneOf<T extends string>(key: string, choices: readonly T[]): T {
    const text = this.message.text(key);
    return choices.find((choice) => choice === text) ?? this.#fail(key, `one of ${choices.join(', ')}`);
  }

  /** Text that matches the whole of `pattern`. */
  match(key: string, pattern: RegExp, expected: string): string {
    const text = this.message.text(key);
    return text !== undefined && pattern.test(text) ? text : this.#fail(key, expected);
  }

  /** 8 hex digits in host reading order, 0 included. */
  spi(key: string): number {
    return Number.parseInt(this.match(key, /^[0-9a-f]{8}$/, '8 hex digits'), 16);
  }

  /** 8 hex digits if the key is there. */
  optionalHex(key: string): number | undefined {
    return this.has(key) ? this.spi(key) : undefined;
  }

  /** An IPv4 (dotted, four parts) or IPv6 address without zone, as text in its shortest form. */
  address(key: string): string {
    return normalAddress(this.text(key)) ?? this.#fail(key, 'an IP address');
  }

  /** Every item of a list as an address. */
  addresses(key: string): string[] {
    const items = this.message.list(key) ?? this.#fail(key, 'a list of IP addresses');
    return items.map((item) => normalAddress(item) ?? this.#fail(key, 'a list of IP addresses'));
  }

  /** Raw bytes, a view into the received frame. */
  binary(key: string, maxBytes: number): Buffer {
    const bytes = this.message.bytes(key);
    return bytes !== undefined && bytes.length <= maxBytes
      ? bytes
      : this.#fail(key, `up to ${maxBytes} bytes`);
  }

  section(key: string): Fields {
    return new Fields(this.message.section(key) ?? this.#fail(key, 'a section'), `${this.where}.${key}`);
  }

  /** All sub-sections, in order. */
  sections(): [string, Fields][] {
    return this.message
      .sections()
      .map(([key, section]) => [key, new Fields(section, `${this.where}.${key}`)]);
  }

  invalid(key: string, expected: string): ViciError {
    return new ViciError('invalid', `${this.where}.${key}: expected ${expected}`);
  }

  #fail(key: string, expected: string): never {
    throw this.invalid(key, expected);
  }
}

/** The address in its shortest form, or undefined if it is none. `%any`, zones and short forms of IPv4 are none. */
export function normalAddress(text: string): string | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString();
  if (!text.includes('%') && ipaddr.IPv6.isValid(text)) return ipaddr.IPv6.parse(text).toString();
  return undefined;
}
