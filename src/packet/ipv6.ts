import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
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
}

/** Reads the fixed header and walks hop-by-hop, routing, destination and fragment headers (at most eight). */
export function parseIpv6(slab: Buffer, offset: number, length: number, out: Ipv6Header): Verdict {
  if (length < IPV6_HEADER_BYTES) return TRUNCATED;
  const first = slab.readUInt16BE(offset);
  if (first >> 12 !== 6) return MALFORMED;
  const totalBytes = IPV6_HEADER_BYTES + slab.readUInt16BE(offset + 4);
  if (totalBytes > length) return TRUNCATED;
  out.totalBytes = totalBytes;
  out.trafficClass = (first >> 4) & 255;
  out.hopLimit = slab.readUInt8(offset + 7);
  out.isFragment = false;
  out.fragmentOffset = 0;
  return walkExtensions(slab, offset, slab.readUInt8(offset + 6), out);
}

function isExtension(protocol: number): boolean {
  return (
    protocol === IP_PROTOCOL.HOP_BY_HOP ||
    protocol === IP_PROTOCOL.IPV6_ROUTING ||
    protocol === IP_PROTOCOL.IPV6_DESTINATION ||
    protocol === IP_PROTOCOL.IPV6_FRAGMENT
  );
}

function walkExtensions(slab: Buffer, offset: number, next: number, out: Ipv6Header): Verdict {
  let at = IPV6_HEADER_BYTES;
  for (let walked = 0; isExtension(next) && out.fragmentOffset === 0; walked++) {
    if (walked === MAX_EXTENSIONS) return MALFORMED;
    if (at + 8 > out.totalBytes) return TRUNCATED;
    const isFragmentHeader = next === IP_PROTOCOL.IPV6_FRAGMENT;
    const bytes = isFragmentHeader ? 8 : (slab.readUInt8(offset + at + 1) + 1) * 8;
    if (at + bytes > out.totalBytes) return TRUNCATED;
    if (isFragmentHeader) {
      const field = slab.readUInt16BE(offset + at + 2);
      // An atomic fragment (RFC 6946) is a whole packet.
      out.isFragment = (field & 0xfff9) !== 0;
      out.fragmentOffset = field & 0xfff8;
    }
    next = slab.readUInt8(offset + at);
    at += bytes;
  }
  out.protocol = next;
  out.headerBytes = at;
  return KEEP;
}

export interface Ipv6Fields {
  readonly payloadBytes: number;
  readonly protocol: number;
  /** 16 bytes each, network order. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
}

/** Writes the fixed header with flow label 0 and returns its length (40). */
export function encodeIpv6(slab: Buffer, offset: number, fields: Ipv6Fields): number {
  slab.writeUInt32BE((0x60000000 + (fields.trafficClass ?? 0) * 0x100000) >>> 0, offset);
  slab.writeUInt16BE(fields.payloadBytes, offset + 4);
  slab.writeUInt8(fields.protocol, offset + 6);
  slab.writeUInt8(fields.hopLimit ?? 64, offset + 7);
  slab.set(fields.source, offset + IPV6_SOURCE_OFFSET);
  slab.set(fields.destination, offset + IPV6_DESTINATION_OFFSET);
  return IPV6_HEADER_BYTES;
}
