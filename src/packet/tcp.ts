import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { foldChecksum, pseudoHeaderSum, pseudoHeaderSum4, sumWords } from './checksum.ts';
import { IP_PROTOCOL } from './protocols.ts';

/*
 * TCP header (RFC 9293 section 3.1), big endian:
 *
 * |          Source Port          |       Destination Port        |   0
 * |                        Sequence Number                        |   4
 * |                    Acknowledgment Number                      |   8
 * | Offset| Rsrvd |C|E|U|A|P|R|S|F|            Window             |  12
 * |           Checksum            |         Urgent Pointer        |  16
 * |                    Options (0..40 bytes)                      |  20
 */
export const TCP_HEADER_BYTES = 20;
/** The flags byte stands here; ports and flags together are all that a peek needs (14 bytes). */
export const TCP_FLAGS_OFFSET = 13;
export const TCP_CHECKSUM_OFFSET = 16;

export const TCP_FLAG = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  CWR: 0x80,
} as const;

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');

/** What `parseTcp` found; reusable. */
export class TcpHeader {
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledgment = 0;
  headerBytes = 0;
  flags = 0;
  window = 0;
}

/** Reads the header at `offset`; `length` is what the IP header leaves for TCP. */
export function parseTcp(slab: Buffer, offset: number, length: number, out: TcpHeader): Verdict {
  if (length < TCP_HEADER_BYTES) return TRUNCATED;
  const headerBytes = (slab.readUInt8(offset + 12) >> 4) * 4;
  if (headerBytes < TCP_HEADER_BYTES) return MALFORMED;
  if (headerBytes > length) return TRUNCATED;
  out.sourcePort = slab.readUInt16BE(offset);
  out.destinationPort = slab.readUInt16BE(offset + 2);
  out.sequence = slab.readUInt32BE(offset + 4);
  out.acknowledgment = slab.readUInt32BE(offset + 8);
  out.headerBytes = headerBytes;
  out.flags = slab.readUInt8(offset + TCP_FLAGS_OFFSET);
  out.window = slab.readUInt16BE(offset + 14);
  return KEEP;
}

export interface TcpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence?: number;
  readonly acknowledgment?: number;
  readonly flags: number;
  readonly window?: number;
}

/** Writes a header without options and with checksum 0 (`writeTcpChecksum4` fills it in); returns its length (20). */
export function encodeTcp(slab: Buffer, offset: number, fields: TcpFields): number {
  slab.writeUInt16BE(fields.sourcePort, offset);
  slab.writeUInt16BE(fields.destinationPort, offset + 2);
  slab.writeUInt32BE(fields.sequence ?? 0, offset + 4);
  slab.writeUInt32BE(fields.acknowledgment ?? 0, offset + 8);
  slab.writeUInt16BE(0x5000 | fields.flags, offset + 12);
  slab.writeUInt16BE(fields.window ?? 0, offset + 14);
  slab.writeUInt32BE(0, offset + 16);
  return TCP_HEADER_BYTES;
}

/** Fills in the checksum of a segment (header and payload, `segmentBytes`) over IPv4. */
export function writeTcpChecksum4(
  slab: Buffer,
  offset: number,
  segmentBytes: number,
  source: number,
  destination: number,
): void {
  slab.writeUInt16BE(0, offset + 16);
  const pseudo = pseudoHeaderSum4(source, destination, IP_PROTOCOL.TCP, segmentBytes);
  slab.writeUInt16BE(foldChecksum(sumWords(slab, offset, segmentBytes, pseudo)), offset + 16);
}

export function hasValidTcpChecksum4(
  slab: Buffer,
  offset: number,
  segmentBytes: number,
  source: number,
  destination: number,
): boolean {
  const pseudo = pseudoHeaderSum4(source, destination, IP_PROTOCOL.TCP, segmentBytes);
  return foldChecksum(sumWords(slab, offset, segmentBytes, pseudo)) === 0;
}

/** As `writeTcpChecksum4`, over either family: addresses as four words each. */
export function writeTcpChecksum(
  slab: Buffer,
  offset: number,
  segmentBytes: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): void {
  slab.writeUInt16BE(0, offset + TCP_CHECKSUM_OFFSET);
  const pseudo = pseudoHeaderSum(source, sourceAt, destination, destinationAt, IP_PROTOCOL.TCP, segmentBytes);
  const checksum = foldChecksum(sumWords(slab, offset, segmentBytes, pseudo));
  slab.writeUInt16BE(checksum, offset + TCP_CHECKSUM_OFFSET);
}

export function hasValidTcpChecksum(
  slab: Buffer,
  offset: number,
  segmentBytes: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): boolean {
  const pseudo = pseudoHeaderSum(source, sourceAt, destination, destinationAt, IP_PROTOCOL.TCP, segmentBytes);
  return foldChecksum(sumWords(slab, offset, segmentBytes, pseudo)) === 0;
}
