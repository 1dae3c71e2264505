import { CouplingError } from './errors.ts';
import { MAP_KEY_MAX_BYTES, NESTING_MAX, VALUES_MAX } from './limits.ts';

/**
 * Walks a msgpack value without building anything and refuses what our records never contain: extension
 * types (msgpackr would make RegExp, Date, Set, cyclic references and compiled record readers of them),
 * 0xC1 (msgpackr returns an object for it), nil, negative small integers, float32, map keys that are not
 * short strings, too deep or too many values, and bytes after the end. So the decoder sees only maps,
 * arrays, strings, byte strings, booleans and numbers. Throws `CouplingError` (`coupling-malformed`).
 */
export function scanMsgpack(bytes: Uint8Array): void {
  const scan = new Scan(bytes);
  scan.value(1);
  if (scan.position !== bytes.length) throw malformed('bytes after the end');
}

function malformed(what: string): CouplingError {
  return new CouplingError('coupling-malformed', `record: ${what}`);
}

class Scan {
  position = 0;
  #values = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  value(depth: number): void {
    if (depth > NESTING_MAX) throw malformed('nested too deep');
    if (++this.#values > VALUES_MAX) throw malformed('too many values');
    const token = this.#number(1);
    if (token < 0x80) return; // positive fixint
    if (token < 0x90) return this.#map(token & 0x0f, depth);
    if (token < 0xa0) return this.#array(token & 0x0f, depth);
    if (token < 0xc0) return this.#skip(token & 0x1f);
    switch (token) {
      case 0xc2: // false
      case 0xc3: // true
        return;
      case 0xc4: // bin 8
      case 0xd9: // str 8
        return this.#skip(this.#number(1));
      case 0xc5: // bin 16
      case 0xda: // str 16
        return this.#skip(this.#number(2));
      case 0xc6: // bin 32
      case 0xdb: // str 32
        return this.#skip(this.#number(4));
      case 0xcc: // uint 8
        return this.#skip(1);
      case 0xcd: // uint 16
        return this.#skip(2);
      case 0xce: // uint 32
        return this.#skip(4);
      case 0xcb: // float 64: what msgpackr makes of integers above 2^32
      case 0xcf: // uint 64
      case 0xd3: // int 64: what msgpackr makes of a bigint below 2^63
        return this.#skip(8);
      case 0xdc:
        return this.#array(this.#number(2), depth);
      case 0xdd:
        return this.#array(this.#number(4), depth);
      case 0xde:
        return this.#map(this.#number(2), depth);
      case 0xdf:
        return this.#map(this.#number(4), depth);
      default:
        throw malformed(`msgpack type ${token.toString(16)} is not used here`);
    }
  }

  #array(count: number, depth: number): void {
    for (let i = 0; i < count; i++) this.value(depth + 1);
  }

  #map(count: number, depth: number): void {
    for (let i = 0; i < count; i++) {
      this.#key();
      this.value(depth + 1);
    }
  }

  #key(): void {
    const token = this.#number(1);
    let length: number;
    if (token >= 0xa0 && token < 0xc0) length = token & 0x1f;
    else if (token === 0xd9) length = this.#number(1);
    else throw malformed('a map key is not a short string');
    if (length > MAP_KEY_MAX_BYTES) throw malformed('a map key is too long');
    this.#skip(length);
  }

  /** Big endian, 1, 2 or 4 bytes. */
  #number(lengthBytes: number): number {
    const start = this.position;
    this.#skip(lengthBytes);
    let number = 0;
    for (let i = start; i < this.position; i++) number = number * 256 + (this.#bytes[i] as number);
    return number;
  }

  #skip(lengthBytes: number): void {
    this.position += lengthBytes;
    if (this.position > this.#bytes.length) throw malformed('truncated');
  }
}
