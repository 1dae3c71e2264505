import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { foldChecksum, pseudoHeaderSum, sumWords } from './checksum.ts';
import { IP_PROTOCOL } from './protocols.ts';

/*
 * ICMPv6 header (RFC 4443 section 2.1), big endian:
 *
 * |     Type      |     Code      |           Checksum            |   0
 * |   by type: MTU (2), pointer (4), unused (1, 3), id | sequence |   4
 * |   error messages: as much of the offending packet as fits     |   8
 *
 * The checksum covers the IPv6 pseudo header as well (section 2.3), so parsing needs the addresses.
 */
export const ICMPV6_HEADER_BYTES = 8;

export const ICMPV6_TYPE = {
  DESTINATION_UNREACHABLE: 1,
  PACKET_TOO_BIG: 2,
  TIME_EXCEEDED: 3,
  PARAMETER_PROBLEM: 4,
  ECHO_REQUEST: 128,
  ECHO_REPLY: 129,
} as const;

/** Types below are errors, from here on informational (section 2.1). */
const FIRST_INFORMATIONAL = 128;
/** What an error quotes at most: it stays within the minimum MTU, 1280 bytes (section 2.4 c). */
export const ICMPV6_MAX_QUOTE_BYTES = 1280 - 40 - ICMPV6_HEADER_BYTES;

const TRUNCATED = verdictOf('truncated');
const CHECKSUM = verdictOf('checksum');

/** What `parseIcmpv6` found; reusable. */
export class Icmpv6Header {
  type = 0;
  code = 0;
  /** Of "packet too big", 32 bits as sent, else 0. Believe it only if the quote matches a live SA. */
  mtu = 0;
  /** True for every error, unknown ones included: the offending packet's start stands at `ICMPV6_HEADER_BYTES`. */
  hasQuote = false;
}

/** Reads a whole message of `length` bytes between these addresses; one with a wrong checksum is refused. */
export function parseIcmpv6(
  slab: Buffer,
  offset: number,
  length: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
  out: Icmpv6Header,
): Verdict {
  if (length < ICMPV6_HEADER_BYTES) return TRUNCATED;
  const pseudo = pseudoHeaderSum(source, sourceAt, destination, destinationAt, IP_PROTOCOL.ICMPV6, length);
  if (foldChecksum(sumWords(slab, offset, length, pseudo)) !== 0) return CHECKSUM;
  out.type = slab.readUInt8(offset);
  out.code = slab.readUInt8(offset + 1);
  out.mtu = out.type === ICMPV6_TYPE.PACKET_TOO_BIG ? slab.readUInt32BE(offset + 4) : 0;
  out.hasQuote = out.type > 0 && out.type < FIRST_INFORMATIONAL;
  return KEEP;
}

export interface Icmpv6Error {
  readonly type: number;
  readonly code?: number;
  /** The second word: the MTU of "packet too big", the pointer of "parameter problem", else 0. */
  readonly parameter?: number;
  /** They stand at `offset + ICMPV6_HEADER_BYTES` already. */
  readonly quoteBytes: number;
  /** Four words each. */
  readonly source: Uint32Array;
  readonly destination: Uint32Array;
}

/** Writes an error message around its quote, checksum included, and returns its length. */
export function encodeIcmpv6Error(slab: Buffer, offset: number, error: Icmpv6Error): number {
  slab.writeUInt8(error.type, offset);
  slab.writeUInt8(error.code ?? 0, offset + 1);
  slab.writeUInt32BE(error.parameter ?? 0, offset + 4);
  const length = ICMPV6_HEADER_BYTES + error.quoteBytes;
  writeIcmpv6Checksum(slab, offset, length, error.source, 0, error.destination, 0);
  return length;
}

/** Fills in the checksum of a message (header and body, `messageBytes`); addresses as four words each. */
export function writeIcmpv6Checksum(
  slab: Buffer,
  offset: number,
  messageBytes: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): void {
  slab.writeUInt16BE(0, offset + 2);
  const pseudo = pseudoHeaderSum(
    source,
    sourceAt,
    destination,
    destinationAt,
    IP_PROTOCOL.ICMPV6,
    messageBytes,
  );
  slab.writeUInt16BE(foldChecksum(sumWords(slab, offset, messageBytes, pseudo)), offset + 2);
}
