import { putUint32, uint32 } from '../packet/bytes.ts';

/**
 * Sequence numbers as ranges: of each the first one (64 bits) and how many there are (32 bits), big endian. What a target commits
 * is nearly always a few long runs, whatever the rate.
 */
export const RANGE_BYTES = 12;

const TWO_32 = 0x1_0000_0000;

/** One range of several. */
export interface NumberRange {
  high: number;
  low: number;
  count: number;
}

/** Reads range `index` into `range`. */
export function readRange(packed: Uint8Array, index: number, range: NumberRange): void {
  const at = index * RANGE_BYTES;
  range.high = uint32(packed, at);
  range.low = uint32(packed, at + 4);
  range.count = uint32(packed, at + 8);
}

export function putRange(packed: Uint8Array, index: number, high: number, low: number, count: number): void {
  const at = index * RANGE_BYTES;
  putUint32(packed, at, high);
  putUint32(packed, at + 4, low);
  putUint32(packed, at + 8, count);
}

/** How many whole ranges there are. */
export function rangesOf(packed: Uint8Array): number {
  return Math.floor(packed.length / RANGE_BYTES);
}

/** How many numbers there are; undefined where it is not ranges: each has numbers, and all of one have the same high half. */
export function countNumbers(packed: Uint8Array): number | undefined {
  if (packed.length % RANGE_BYTES !== 0) return undefined;
  const range: NumberRange = { high: 0, low: 0, count: 0 };
  let numbers = 0;
  for (let i = 0; i < rangesOf(packed); i++) {
    readRange(packed, i, range);
    if (range.count === 0 || range.low + range.count > TWO_32) return undefined;
    numbers += range.count;
  }
  return numbers;
}

/** The numbers one by one, for those who are in no hurry. */
export function unpackNumbers(packed: Uint8Array): bigint[] {
  const range: NumberRange = { high: 0, low: 0, count: 0 };
  return Array.from({ length: rangesOf(packed) }, (_, i) => {
    readRange(packed, i, range);
    const first = (BigInt(range.high) << 32n) | BigInt(range.low);
    return Array.from({ length: range.count }, (_, n) => first + BigInt(n));
  }).flat();
}

/** The numbers in their order; those that follow each other are a range. */
export function packNumbers(numbers: readonly bigint[]): Uint8Array {
  const ranges: NumberRange[] = [];
  for (const number of numbers) {
    const [high, low] = [Number(number >> 32n), Number(number & 0xffff_ffffn)];
    const last = ranges.at(-1);
    if (last !== undefined && last.high === high && last.low + last.count === low) last.count++;
    else ranges.push({ high, low, count: 1 });
  }
  const packed = new Uint8Array(ranges.length * RANGE_BYTES);
  for (const [i, { high, low, count }] of ranges.entries()) putRange(packed, i, high, low, count);
  return packed;
}
