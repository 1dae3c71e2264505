import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { internetChecksum } from './checksum.ts';

/*
 * GRE header (RFC 2784 section 2, key and sequence number RFC 2890 section 2), big endian:
 *
 * |C|0|K|S|   Reserved0   |0| Ver |         Protocol Type         |   0
 * |     Checksum (if C)           |      Reserved1 (if C)         |
 * |                         Key (if K)                            |
 * |                   Sequence Number (if S)                      |
 *
 * The trusted link uses it inside UDP (RFC 8086), with the key, and a sequence number on dispatches.
 */
export const GRE_KEYED_HEADER_BYTES = 8;
/** With a sequence number: dispatches from the routing host to a target. */
export const GRE_SEQUENCED_HEADER_BYTES = 12;

const HAS_CHECKSUM = 0x8000;
const HAS_KEY = 0x2000;
const HAS_SEQUENCE = 0x1000;
/** Must be zero: RFC 1701's routing and recursion, reserved bits, version. */
const MUST_BE_ZERO = ~(HAS_CHECKSUM | HAS_KEY | HAS_SEQUENCE) & 0xffff;

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');
const CHECKSUM = verdictOf('checksum');

/** What `parseGre` found; reusable. */
export class GreHeader {
  headerBytes = 0;
  /** EtherType of the payload. */
  protocol = 0;
  hasKey = false;
  key = 0;
  hasSequence = false;
  sequence = 0;
}

/**
 * Reads the header of a GRE packet of `length` bytes. Bits that RFC 2784 and 2890 do not define make it
 * `malformed` (2784 section 2.2 demands the discard); a checksum that is there is verified.
 */
export function parseGre(slab: Buffer, offset: number, length: number, out: GreHeader): Verdict {
  if (length < 4) return TRUNCATED;
  const flags = slab.readUInt16BE(offset);
  if ((flags & MUST_BE_ZERO) !== 0) return MALFORMED;
  const hasChecksum = (flags & HAS_CHECKSUM) !== 0;
  out.hasKey = (flags & HAS_KEY) !== 0;
  out.hasSequence = (flags & HAS_SEQUENCE) !== 0;
  const headerBytes = 4 + (hasChecksum ? 4 : 0) + (out.hasKey ? 4 : 0) + (out.hasSequence ? 4 : 0);
  if (length < headerBytes) return TRUNCATED;
  if (hasChecksum && internetChecksum(slab, offset, length) !== 0) return CHECKSUM;
  let at = offset + (hasChecksum ? 8 : 4);
  out.key = out.hasKey ? slab.readUInt32BE(at) : 0;
  if (out.hasKey) at += 4;
  out.sequence = out.hasSequence ? slab.readUInt32BE(at) : 0;
  out.headerBytes = headerBytes;
  out.protocol = slab.readUInt16BE(offset + 2);
  return KEEP;
}

/** Writes the trusted link's header (key present, nothing else) and returns its length (8). */
export function encodeGreKeyed(slab: Buffer, offset: number, protocol: number, key: number): number {
  slab.writeUInt16BE(HAS_KEY, offset);
  slab.writeUInt16BE(protocol, offset + 2);
  slab.writeUInt32BE(key, offset + 4);
  return GRE_KEYED_HEADER_BYTES;
}

/** As `encodeGreKeyed`, with a sequence number (RFC 2890 section 2.2); returns its length (12). */
export function encodeGreSequenced(
  slab: Buffer,
  offset: number,
  protocol: number,
  key: number,
  sequence: number,
): number {
  slab.writeUInt16BE(HAS_KEY | HAS_SEQUENCE, offset);
  slab.writeUInt16BE(protocol, offset + 2);
  slab.writeUInt32BE(key, offset + 4);
  slab.writeUInt32BE(sequence, offset + 8);
  return GRE_SEQUENCED_HEADER_BYTES;
}
