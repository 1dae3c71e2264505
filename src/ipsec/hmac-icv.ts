import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IntegrityAlgorithm } from './algorithms.ts';

/**
 * The ICV of an HMAC algorithm (RFC 2104 cut as RFC 4868 section 2.3 says) over the packet from the SPI to the end of
 * the ciphertext. With ESN the high half of the sequence number follows it, though it is not in the packet
 * (RFC 4303 section 2.2.1); `sequenceHigh` is those four bytes.
 */
export function hmacIcv(
  algorithm: IntegrityAlgorithm,
  key: Buffer,
  packet: Buffer,
  sequenceHigh?: Buffer,
): Buffer {
  const hmac = createHmac(algorithm.hashName, key).update(packet);
  if (sequenceHigh !== undefined) hmac.update(sequenceHigh);
  return hmac.digest().subarray(0, algorithm.icvBytes);
}

/** Compares in constant time. */
export function isSameIcv(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
