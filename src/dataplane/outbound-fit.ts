import { MIN_PATH_MTU } from '../ipsec/path-mtu.ts';
import { IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import type { SendingSa } from './outbound-steps.ts';
import type { PacketVector } from './vector.ts';

/** What becomes of an inner packet by its size. */
export const FIT = {
  /** It is sealed as it is; if its outer datagram is too long then, that one is cut (`transmit.ts`). */
  SEAL: 0,
  /** The inner packet is cut, and every piece is sealed. */
  CUT: 1,
  /** Dropped (`too-big`), and its sender is told how much fits. */
  TELL: 2,
  /** Dropped (`too-big`): not even in fragments. */
  NEVER: 3,
} as const;

export type Fit = (typeof FIT)[keyof typeof FIT];

/**
 * Whether inner packet `i`, whose headers were read, fits its SA's path when it is sealed, and what to do if not (docs/mtu.md). In transport
 * mode ESP applies to whole datagrams, so fragments come after it (RFC 4303 section 3.3.4); so they do with IPv6, whose packets only their
 * sender cuts.
 */
export function fitOf(vector: PacketVector, i: number, { fit, outer }: SendingSa, now: number): Fit {
  fit.refresh(now);
  const length = vector.length[i] as number;
  const isTransport = outer.mode === 'transport';
  const payloadBytes = isTransport ? length - ipHeaderBytes(vector, i) : length;
  if (payloadBytes <= fit.payloadBytes) return FIT.SEAL;
  const isIpv6 = vector.family[i] === 6;
  // No link and no tunnel may refuse IPv6 of up to 1280 bytes (RFC 2473 section 7.1).
  if (vector.dontFragment[i] === 1 && !(isIpv6 && length <= MIN_PATH_MTU[6])) return FIT.TELL;
  if (!isTransport && !isIpv6) return FIT.CUT;
  return payloadBytes <= fit.longestPayloadBytes ? FIT.SEAL : FIT.NEVER;
}

/** Of the header that transport mode takes off (`transport-mode.ts`). */
function ipHeaderBytes(vector: PacketVector, i: number): number {
  return vector.family[i] === 6 ? IPV6_HEADER_BYTES : (vector.slab.readUInt8(vector.offset[i]) & 15) * 4;
}
