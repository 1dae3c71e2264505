import { createCipheriv } from 'node:crypto';
import { FIELD_WORDS, multiply, ONE, reduced4 } from './ghash-field.ts';

/** Lengths (in blocks) that get a table: 2 KiB of ciphertext. Longer packets are rare, and multiply in full. */
const TABLED_BLOCKS = 128;
/** 65 535 bytes. */
export const CORRECTED_BLOCKS_MAX = 4096;
/** H^(2^k) up to CORRECTED_BLOCKS_MAX + 2. */
const SQUARINGS = 13;
const TABLE_ENTRIES = 16;
const X_32 = Int32Array.of(0, -0x80000000, 0, 0);
const X = Int32Array.of(0x40000000, 0, 0, 0);

/**
 * What a packet's number contributes to its AES-GCM tag (docs/outbound.md section 4): with H = AES_K(0) and m blocks of ciphertext
 *
 *   tag(number) = tag(0) xor D * H^(m+2)      D = 0^32 | low 32, with ESN 0^32 | high 32 | low 32
 *
 * since the additional data is GHASH's first block. D has 8 nibbles (ESN: 16), each times a table of 16 multiples of
 * H^(m+2) * x^32 (Shoup). Tables are made when a length is first met: 256 bytes each, 32 KiB per SA at most. Their index is a
 * nibble of the number, which is public. `H` reveals as much as the tables: either forges on the SA, neither reads.
 */
export class GcmCorrection {
  readonly #hasEsn: boolean;
  /** H, H^2, H^4, ... */
  readonly #squares: Int32Array[] = [];
  readonly #tables = Array.from<Int32Array | undefined>({ length: TABLED_BLOCKS + 1 });
  readonly #power = new Int32Array(FIELD_WORDS);
  readonly #difference = new Int32Array(FIELD_WORDS);

  /** `key`: the AES key without salt; not kept. */
  constructor(key: Buffer, hasEsn: boolean) {
    this.#hasEsn = hasEsn;
    const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false);
    const hash = cipher.update(Buffer.alloc(16));
    cipher.final();
    let power = Int32Array.from({ length: FIELD_WORDS }, (_, word) => hash.readUInt32BE(word * 4));
    hash.fill(0);
    for (let k = 0; k < SQUARINGS; k++) {
      this.#squares.push(power);
      const square = new Int32Array(FIELD_WORDS);
      multiply(power, power, square);
      power = square;
    }
    power.fill(0);
  }

  /** Writes the four words to xor to the tag of number 0. `high` counts with ESN only; `blocks` up to CORRECTED_BLOCKS_MAX. */
  correct(high: number, low: number, blocks: number, out: Int32Array): void {
    if (blocks > TABLED_BLOCKS) {
      this.#correctLong(high, low, blocks, out);
      return;
    }
    const table = this.#tables[blocks] ?? this.#makeTable(blocks);
    out.fill(0);
    addWord(low, table, out);
    if (this.#hasEsn) addWord(high, table, out);
  }

  /** Overwrites H and everything made of it; corrections are worthless from then on. */
  wipe(): void {
    for (const secret of [...this.#squares, ...this.#tables, this.#power]) secret?.fill(0);
  }

  #correctLong(high: number, low: number, blocks: number, out: Int32Array): void {
    const difference = this.#difference;
    difference[1] = this.#hasEsn ? high : low;
    difference[2] = this.#hasEsn ? low : 0;
    this.#raise(blocks + 2);
    multiply(difference, this.#power, out);
    this.#power.fill(0);
  }

  /** H^exponent into `#power`. */
  #raise(exponent: number): void {
    this.#power.set(ONE);
    for (let k = 0; k < SQUARINGS; k++) {
      if (((exponent >>> k) & 1) === 1) multiply(this.#power, this.#squares[k] as Int32Array, this.#power);
    }
  }

  /** Entry n: the polynomial of nibble n, its highest bit x^0, times H^(blocks+2) * x^32. */
  #makeTable(blocks: number): Int32Array {
    const table = new Int32Array(TABLE_ENTRIES * FIELD_WORDS);
    const power = this.#power;
    this.#raise(blocks + 2);
    multiply(power, X_32, power);
    for (let bit = 8; bit >= 1; bit >>= 1) {
      table.set(power, bit * FIELD_WORDS);
      multiply(power, X, power);
    }
    power.fill(0);
    for (let n = 3; n < TABLE_ENTRIES; n++) {
      const lowest = n & -n;
      if (lowest === n) continue;
      for (let word = 0; word < FIELD_WORDS; word++) {
        table[n * FIELD_WORDS + word] =
          (table[lowest * FIELD_WORDS + word] as number) ^
          (table[(n - lowest) * FIELD_WORDS + word] as number);
      }
    }
    this.#tables[blocks] = table;
    return table;
  }
}

/** Into `z`, Horner's scheme over the nibbles of one word, the last (of the highest degree) first: z = z * x^4 + table[nibble]. */
function addWord(value: number, table: Int32Array, z: Int32Array): void {
  let z0 = z[0] as number;
  let z1 = z[1] as number;
  let z2 = z[2] as number;
  let z3 = z[3] as number;
  for (let shift = 0; shift < 32; shift += 4) {
    const at = ((value >>> shift) & 15) * FIELD_WORDS;
    const carry = reduced4(z3);
    z3 = ((z3 >>> 4) | (z2 << 28)) ^ (table[at + 3] as number);
    z2 = ((z2 >>> 4) | (z1 << 28)) ^ (table[at + 2] as number);
    z1 = ((z1 >>> 4) | (z0 << 28)) ^ (table[at + 1] as number);
    z0 = (z0 >>> 4) ^ carry ^ (table[at] as number);
  }
  z[0] = z0;
  z[1] = z1;
  z[2] = z2;
  z[3] = z3;
}
