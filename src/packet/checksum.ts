import { ADDRESS_WORDS, isIpv4 } from './address.ts';

/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words, big endian.
 * Sums are plain numbers, so that parts (pseudo header, header, payload) can be added before folding.
 */

/** Adds `length` bytes at `offset` to `sum`, not folded. An odd last byte counts as the high half of a word. */
export function sumWords(slab: Buffer, offset: number, length: number, sum = 0): number {
  const even = offset + (length & ~1);
  for (let at = offset; at < even; at += 2) sum += ((slab[at] as number) << 8) | (slab[at + 1] as number);
  if ((length & 1) !== 0) sum += (slab[even] as number) << 8;
  return sum;
}

/** Folds a sum of up to 2^48 to 16 bits and complements it: the value that goes into a header. */
export function foldChecksum(sum: number): number {
  let folded = (sum % 0x10000) + Math.floor(sum / 0x10000);
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/** The checksum of a region whose checksum field is zero; 0 if the field holds the right value already. */
export function internetChecksum(slab: Buffer, offset: number, length: number): number {
  return foldChecksum(sumWords(slab, offset, length));
}

/** Sum of the IPv4 pseudo header of UDP and TCP (RFC 768, RFC 9293 section 3.1); addresses are host numbers. */
export function pseudoHeaderSum4(
  source: number,
  destination: number,
  protocol: number,
  upperBytes: number,
): number {
  return (
    (source >>> 16) +
    (source & 0xffff) +
    (destination >>> 16) +
    (destination & 0xffff) +
    protocol +
    upperBytes
  );
}

/** Sum of the IPv6 pseudo header (RFC 8200 section 8.1); `addresses` is where source and destination stand, 32 bytes. */
export function pseudoHeaderSum6(
  slab: Buffer,
  addresses: number,
  nextHeader: number,
  upperBytes: number,
): number {
  return sumWords(slab, addresses, 32) + (upperBytes >>> 16) + (upperBytes & 0xffff) + nextHeader;
}

/** As the two before, for addresses as four words each: the family follows from them, and both are of one family. */
export function pseudoHeaderSum(
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
  protocol: number,
  upperBytes: number,
): number {
  if (isIpv4(destination, destinationAt)) {
    const from = source[sourceAt + 3] as number;
    const to = destination[destinationAt + 3] as number;
    return pseudoHeaderSum4(from, to, protocol, upperBytes);
  }
  let sum = protocol + (upperBytes >>> 16) + (upperBytes & 0xffff);
  for (let word = 0; word < ADDRESS_WORDS; word++) {
    const from = source[sourceAt + word] as number;
    const to = destination[destinationAt + word] as number;
    sum += (from >>> 16) + (from & 0xffff) + (to >>> 16) + (to & 0xffff);
  }
  return sum;
}

/** A header's checksum after one 16-bit word changed from `before` to `after` (RFC 1624 equation 3). */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return foldChecksum((~checksum & 0xffff) + (~before & 0xffff) + after);
}
