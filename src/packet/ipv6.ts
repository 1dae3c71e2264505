import { INCOMPLETE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { uint8, uint16, uint32 } from './bytes.ts';
import { type IpAddress, writeAddress } from './address.ts';
import { IP_PROTOCOL } from './protocols.ts';

/*
 * IPv6 header (RFC 8200 section 3), big endian:
 *
 * |Version| Traffic Class |           Flow Label                  |   0
 * |         Payload Length        |  Next Header  |   Hop Limit   |   4
 * |                       Source Address (16)                     |   8
 * |                     Destination Address (16)                  |  24
 *
 * then extension headers (section 4), each |Next Header|Length in 8 bytes, less the first|...
 */
export const IPV6_HEADER_BYTES = 40;
export const IPV6_SOURCE_OFFSET = 8;
export const IPV6_DESTINATION_OFFSET = 24;

/** More extension headers than anyone sends; a bound, so that a packet cannot buy time. */
const MAX_EXTENSIONS = 8;

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');

/** What `parseIpv6` found; reusable. Addresses stand at `offset + IPV6_SOURCE_OFFSET` and are not copied. */
export class Ipv6Header {
  /** Fixed header and the extension headers that were walked: where the upper header starts. */
  headerBytes = 0;
  totalBytes = 0;
  trafficClass = 0;
  hopLimit = 0;
  /** The upper-layer protocol, after the extension headers. */
  protocol = 0;
  isFragment = false;
  /** In bytes; the upper header is only there if 0. */
  fragmentOffset = 0;
  /** Of the fragment header; 0 without one. */
  identification = 0;
}

/**
 * Reads the fixed header and walks hop-by-hop, routing, destination and fragment headers (at most eight). An IPv4-mapped
 * address is `malformed`: it means an IPv4 address here, and is not for the wire (RFC 4942 section 2.2). Of a packet of
 * `length` bytes the first `available` are at hand; where they do not suffice the answer is INCOMPLETE.
 */
export function parseIpv6(
  slab: Buffer,
  offset: number,
  length: number,
  out: Ipv6Header,
  available = length,
): Verdict {
  if (length < IPV6_HEADER_BYTES) return TRUNCATED;
  if (available < IPV6_HEADER_BYTES) return INCOMPLETE;
  const first = uint16(slab, offset);
  if (first >> 12 !== 6) return MALFORMED;
  if (isMapped(slab, offset + IPV6_SOURCE_OFFSET) || isMapped(slab, offset + IPV6_DESTINATION_OFFSET)) {
    return MALFORMED;
  }
  const totalBytes = IPV6_HEADER_BYTES + uint16(slab, offset + 4);
  if (totalBytes > length) return TRUNCATED;
  out.totalBytes = totalBytes;
  out.trafficClass = (first >> 4) & 255;
  out.hopLimit = uint8(slab, offset + 7);
  return walkIpv6Extensions(slab, offset, IPV6_HEADER_BYTES, uint8(slab, offset + 6), out, available);
}

function isMapped(slab: Buffer, at: number): boolean {
  return uint32(slab, at + 8) === 0xffff && uint32(slab, at) === 0 && uint32(slab, at + 4) === 0;
}

/** True for the extension headers that `parseIpv6` walks. */
export function isIpv6Extension(protocol: number): boolean {
  return (
    protocol === IP_PROTOCOL.HOP_BY_HOP ||
    protocol === IP_PROTOCOL.IPV6_ROUTING ||
    protocol === IP_PROTOCOL.IPV6_DESTINATION ||
    protocol === IP_PROTOCOL.IPV6_FRAGMENT
  );
}

/**
 * Walks the chain that begins with a header of kind `next` at `offset + at`; `out.totalBytes` is where it ends at the latest,
 * counted from `offset`, and `headerBytes` becomes where the upper header is. Also of a chain behind an ESP header.
 */
export function walkIpv6Extensions(
  slab: Buffer,
  offset: number,
  at: number,
  next: number,
  out: Ipv6Header,
  available: number,
): Verdict {
  out.isFragment = false;
  out.fragmentOffset = 0;
  out.identification = 0;
  for (let walked = 0; isIpv6Extension(next) && out.fragmentOffset === 0; walked++) {
    if (walked === MAX_EXTENSIONS) return MALFORMED;
    if (at + 8 > out.totalBytes) return TRUNCATED;
    if (at + 8 > available) return INCOMPLETE;
    const isFragmentHeader = next === IP_PROTOCOL.IPV6_FRAGMENT;
    const bytes = isFragmentHeader ? 8 : (uint8(slab, offset + at + 1) + 1) * 8;
    if (at + bytes > out.totalBytes) return TRUNCATED;
    if (isFragmentHeader) {
      const field = uint16(slab, offset + at + 2);
      // An atomic fragment (RFC 6946) is a whole packet.
      out.isFragment = (field & 0xfff9) !== 0;
      out.fragmentOffset = field & 0xfff8;
      out.identification = uint32(slab, offset + at + 4);
    }
    next = uint8(slab, offset + at);
    at += bytes;
  }
  out.protocol = next;
  out.headerBytes = at;
  return KEEP;
}

export interface Ipv6Fields {
  readonly payloadBytes: number;
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
}

/** Writes the fixed header with flow label 0 and returns its length (40). */
export function encodeIpv6(slab: Buffer, offset: number, fields: Ipv6Fields): number {
  slab.writeUInt32BE((0x60000000 + (fields.trafficClass ?? 0) * 0x100000) >>> 0, offset);
  slab.writeUInt16BE(fields.payloadBytes, offset + 4);
  slab.writeUInt8(fields.protocol, offset + 6);
  slab.writeUInt8(fields.hopLimit ?? 64, offset + 7);
  writeAddress(slab, offset + IPV6_SOURCE_OFFSET, fields.source);
  writeAddress(slab, offset + IPV6_DESTINATION_OFFSET, fields.destination);
  return IPV6_HEADER_BYTES;
}
