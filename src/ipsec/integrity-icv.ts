import { createHmac, timingSafeEqual } from 'node:crypto';
import { aesCmac } from './aes-cmac.ts';
import { aesXcbc } from './aes-xcbc.ts';
import type { IntegrityAlgorithm } from './algorithms.ts';

/**
 * The ICV of an integrity algorithm (cut as RFC 2404, RFC 4868, RFC 3566 and RFC 4494 say) over the packet from the SPI to
 * the end of the ciphertext. With ESN the high half of the sequence number follows it, though it is not in the packet
 * (RFC 4303 section 2.2.1); `sequenceHigh` is those four bytes.
 */
export function integrityIcv(
  algorithm: IntegrityAlgorithm,
  key: Buffer,
  packet: Buffer,
  sequenceHigh?: Buffer,
): Buffer {
  const { mac, primitive, icvBytes } = algorithm;
  if (mac === 'hmac') {
    const hmac = createHmac(primitive, key).update(packet);
    if (sequenceHigh !== undefined) hmac.update(sequenceHigh);
    return hmac.digest().subarray(0, icvBytes);
  }
  const covered = sequenceHigh === undefined ? packet : Buffer.concat([packet, sequenceHigh]);
  switch (mac) {
    case 'xcbc':
      return aesXcbc(primitive, key, covered).subarray(0, icvBytes);
    case 'cmac':
      return aesCmac(primitive, key, covered).subarray(0, icvBytes);
  }
}

/** Compares in constant time. */
export function isSameIcv(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
