import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { internetChecksum } from './checksum.ts';

/*
 * ICMP header (RFC 792; the next-hop MTU is RFC 1191 section 4), big endian:
 *
 * |     Type      |     Code      |           Checksum            |   0
 * |     0 / rest of header        |   next-hop MTU (type 3, 4)    |   4
 * |   error messages: the IPv4 header and at least 8 bytes quoted |   8
 */
export const ICMP_HEADER_BYTES = 8;

/** Of an echo message of either family, from its beginning (RFC 792, RFC 4443 section 4.1). */
export const ICMP_ECHO_ID_OFFSET = 4;

export const ICMP_TYPE = {
  ECHO_REPLY: 0,
  DESTINATION_UNREACHABLE: 3,
  ECHO_REQUEST: 8,
  TIME_EXCEEDED: 11,
  PARAMETER_PROBLEM: 12,
} as const;

/** What an error quotes at most: it stays within the 576 bytes that every host takes (RFC 1812 section 4.3.2.3). */
export const ICMP_MAX_QUOTE_BYTES = 576 - 20 - ICMP_HEADER_BYTES;

/** Code of type 3: a router would have had to fragment a packet with DF set. */
export const ICMP_FRAGMENTATION_NEEDED = 4;

const TRUNCATED = verdictOf('truncated');
const CHECKSUM = verdictOf('checksum');

/** What `parseIcmp` found; reusable. */
export class IcmpHeader {
  type = 0;
  code = 0;
  /** Next-hop MTU; only of "fragmentation needed", else 0. Believe it only if the quote matches a live SA. */
  mtu = 0;
  /** True for error messages: the offending packet's start stands at `ICMP_HEADER_BYTES`. */
  hasQuote = false;
}

/** Reads a whole message of `length` bytes; a message with a wrong checksum is refused. */
export function parseIcmp(slab: Buffer, offset: number, length: number, out: IcmpHeader): Verdict {
  if (length < ICMP_HEADER_BYTES) return TRUNCATED;
  if (internetChecksum(slab, offset, length) !== 0) return CHECKSUM;
  const type = slab.readUInt8(offset);
  out.type = type;
  out.code = slab.readUInt8(offset + 1);
  const isUnreachable = type === ICMP_TYPE.DESTINATION_UNREACHABLE;
  out.mtu = isUnreachable && out.code === ICMP_FRAGMENTATION_NEEDED ? slab.readUInt16BE(offset + 6) : 0;
  out.hasQuote = isUnreachable || type === ICMP_TYPE.TIME_EXCEEDED || type === ICMP_TYPE.PARAMETER_PROBLEM;
  return KEEP;
}

/**
 * Writes "fragmentation needed" around `quoteBytes` that already stand at `offset + ICMP_HEADER_BYTES`
 * and returns the length of the message.
 */
export function encodeFragmentationNeeded(
  slab: Buffer,
  offset: number,
  mtu: number,
  quoteBytes: number,
): number {
  slab.writeUInt8(ICMP_TYPE.DESTINATION_UNREACHABLE, offset);
  slab.writeUInt8(ICMP_FRAGMENTATION_NEEDED, offset + 1);
  slab.writeUInt16BE(0, offset + 2);
  slab.writeUInt16BE(0, offset + 4);
  slab.writeUInt16BE(mtu, offset + 6);
  const length = ICMP_HEADER_BYTES + quoteBytes;
  slab.writeUInt16BE(internetChecksum(slab, offset, length), offset + 2);
  return length;
}
