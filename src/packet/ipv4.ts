import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { putUint16, putUint32, uint8, uint16, uint32 } from './bytes.ts';
import { foldChecksum, internetChecksum } from './checksum.ts';

/*
 * IPv4 header (RFC 791 section 3.1), big endian:
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * |Version|  IHL  |    DSCP   |ECN|          Total Length         |   0
 * |         Identification        |0|D|M|     Fragment Offset     |   4
 * |  Time to Live |    Protocol   |        Header Checksum        |   8
 * |                       Source Address                          |  12
 * |                    Destination Address                        |  16
 * |                    Options (0..40 bytes)                      |  20
 */
export const IPV4_HEADER_BYTES = 20;

/** Version 4, five words of header. */
const IPV4_WITHOUT_OPTIONS = 0x4500;
const DF = 0x4000;
const MF = 0x2000;
const OFFSET_MASK = 0x1fff;

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');

/** What `parseIpv4` found. Reusable: one per pipeline, overwritten by each call. */
export class Ipv4Header {
  headerBytes = 0;
  /** As the header says; what the buffer holds beyond it is padding (Ethernet pads to 60 bytes). */
  totalBytes = 0;
  /** DSCP and ECN in one byte. */
  trafficClass = 0;
  identification = 0;
  hasDontFragment = false;
  /** More fragments follow, or this is not the first one: the upper header may be missing or incomplete. */
  isFragment = false;
  /** In bytes. */
  fragmentOffset = 0;
  ttl = 0;
  protocol = 0;
  /** Host number. */
  source = 0;
  destination = 0;
}

/**
 * Reads the header of a packet that was received as `length` bytes at `offset`.
 * `malformed`: version, IHL or total length contradict each other; `truncated`: the header or the total
 * length is longer than what was received. The checksum is apart (`hasValidIpv4Checksum`).
 */
export function parseIpv4(slab: Buffer, offset: number, length: number, out: Ipv4Header): Verdict {
  if (length < IPV4_HEADER_BYTES) return TRUNCATED;
  const versionIhl = uint8(slab, offset);
  const headerBytes = (versionIhl & 15) * 4;
  if (versionIhl >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES) return MALFORMED;
  const totalBytes = uint16(slab, offset + 2);
  if (totalBytes < headerBytes) return MALFORMED;
  if (totalBytes > length) return TRUNCATED;
  const fragment = uint16(slab, offset + 6);
  out.headerBytes = headerBytes;
  out.totalBytes = totalBytes;
  out.trafficClass = uint8(slab, offset + 1);
  out.identification = uint16(slab, offset + 4);
  out.hasDontFragment = (fragment & DF) !== 0;
  out.isFragment = (fragment & (MF | OFFSET_MASK)) !== 0;
  out.fragmentOffset = (fragment & OFFSET_MASK) * 8;
  out.ttl = uint8(slab, offset + 8);
  out.protocol = uint8(slab, offset + 9);
  out.source = uint32(slab, offset + 12);
  out.destination = uint32(slab, offset + 16);
  return KEEP;
}

/** RFC 791: the sum over the header, checksum included, is zero. */
export function hasValidIpv4Checksum(slab: Buffer, offset: number, headerBytes: number): boolean {
  return internetChecksum(slab, offset, headerBytes) === 0;
}

export interface Ipv4Fields {
  readonly totalBytes: number;
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  readonly ttl?: number;
  readonly trafficClass?: number;
  readonly identification?: number;
  readonly hasDontFragment?: boolean;
}

/** Writes a header without options, checksum included, and returns its length (20). */
export function encodeIpv4(slab: Buffer, offset: number, fields: Ipv4Fields): number {
  const { totalBytes, protocol, source, destination } = fields;
  const first = IPV4_WITHOUT_OPTIONS | (fields.trafficClass ?? 0);
  const identification = fields.identification ?? 0;
  const fragment = fields.hasDontFragment === true ? DF : 0;
  const life = ((fields.ttl ?? 64) << 8) | protocol;
  const addresses = (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
  const sum = first + totalBytes + identification + fragment + life + addresses;
  putUint16(slab, offset, first);
  putUint16(slab, offset + 2, totalBytes);
  putUint16(slab, offset + 4, identification);
  putUint16(slab, offset + 6, fragment);
  putUint16(slab, offset + 8, life);
  putUint16(slab, offset + 10, foldChecksum(sum));
  putUint32(slab, offset + 12, source);
  putUint32(slab, offset + 16, destination);
  return IPV4_HEADER_BYTES;
}
