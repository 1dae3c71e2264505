import { IP_PROTOCOL } from '../packet/protocols.ts';

/*
 * ESP trailer inside the encrypted part (RFC 4303 section 2.4 to 2.6):
 *
 *   payload | 1 2 3 ... n | n | next header
 *
 * so that the ciphertext ends on the cipher's block and on four bytes.
 */

/** Padding bytes for a payload of this length: the fewest that align payload, padding and the two bytes behind. */
export function paddingBytes(payloadBytes: number, alignBytes: number): number {
  return (alignBytes - ((payloadBytes + 2) % alignBytes)) % alignBytes;
}

/** Writes padding, pad length and next header at `at`; returns how many bytes. */
export function writeTrailer(slab: Buffer, at: number, padding: number, nextHeader: number): number {
  for (let i = 0; i < padding; i++) slab[at + i] = i + 1;
  slab[at + padding] = padding;
  slab[at + padding + 1] = nextHeader;
  return padding + 2;
}

/**
 * Length of the payload in the decrypted region `start .. end`, or -1 if the padding is longer than that or
 * is not 1, 2, 3 ... (section 2.4: "the receiver SHOULD inspect the Padding field"). The region has at least two bytes.
 */
export function strippedBytes(slab: Buffer, start: number, end: number): number {
  const padding = slab[end - 2] as number;
  const payloadEnd = end - 2 - padding;
  if (payloadEnd < start) return -1;
  for (let i = 0; i < padding; i++) if (slab[payloadEnd + i] !== i + 1) return -1;
  return payloadEnd - start;
}

/** What the trailer says of a whole IP packet: tunnel mode (section 2.6). */
export function tunnelNextHeader(family: number): number {
  return family === 6 ? IP_PROTOCOL.IPV6 : IP_PROTOCOL.IPV4;
}
