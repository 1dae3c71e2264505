import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { isIpv4 } from './address.ts';
import { putUint16, uint16 } from './bytes.ts';
import { foldChecksum, pseudoHeaderSum, pseudoHeaderSum4, sumWords } from './checksum.ts';
import { IP_PROTOCOL } from './protocols.ts';

/*
 * UDP header (RFC 768), big endian:
 *
 * |          Source Port          |       Destination Port        |   0
 * |            Length             |           Checksum            |   4
 */
export const UDP_HEADER_BYTES = 8;
export const UDP_CHECKSUM_OFFSET = 6;

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');

/** What `parseUdp` found; reusable. */
export class UdpHeader {
  sourcePort = 0;
  destinationPort = 0;
  /** Header and payload, as the header says. */
  totalBytes = 0;
  payloadBytes = 0;
  /** 0 = the sender computed none (allowed over IPv4, usual for ESP in UDP: RFC 3948 section 2.1). */
  checksum = 0;
}

/** Reads the header at `offset`; `length` is what the IP header leaves for UDP. Bytes after the UDP length are padding. */
export function parseUdp(slab: Buffer, offset: number, length: number, out: UdpHeader): Verdict {
  if (length < UDP_HEADER_BYTES) return TRUNCATED;
  const totalBytes = uint16(slab, offset + 4);
  if (totalBytes < UDP_HEADER_BYTES) return MALFORMED;
  if (totalBytes > length) return TRUNCATED;
  out.sourcePort = uint16(slab, offset);
  out.destinationPort = uint16(slab, offset + 2);
  out.totalBytes = totalBytes;
  out.payloadBytes = totalBytes - UDP_HEADER_BYTES;
  out.checksum = uint16(slab, offset + 6);
  return KEEP;
}

/** Writes a header with checksum 0 (RFC 3948 section 2.1, RFC 8086 section 3.1 over IPv4) and returns its length (8). */
export function encodeUdp(
  slab: Buffer,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  payloadBytes: number,
): number {
  putUint16(slab, offset, sourcePort);
  putUint16(slab, offset + 2, destinationPort);
  putUint16(slab, offset + 4, UDP_HEADER_BYTES + payloadBytes);
  putUint16(slab, offset + 6, 0);
  return UDP_HEADER_BYTES;
}

/** Fills in the checksum of a datagram over IPv4; the value 0 is sent as 0xffff (RFC 768). */
export function writeUdpChecksum4(
  slab: Buffer,
  offset: number,
  totalBytes: number,
  source: number,
  destination: number,
): void {
  slab.writeUInt16BE(0, offset + 6);
  const pseudo = pseudoHeaderSum4(source, destination, IP_PROTOCOL.UDP, totalBytes);
  const checksum = foldChecksum(sumWords(slab, offset, totalBytes, pseudo));
  slab.writeUInt16BE(checksum === 0 ? 0xffff : checksum, offset + 6);
}

/** True if the checksum is right, or was not computed. */
export function hasValidUdpChecksum4(
  slab: Buffer,
  offset: number,
  totalBytes: number,
  source: number,
  destination: number,
): boolean {
  if (slab.readUInt16BE(offset + 6) === 0) return true;
  const pseudo = pseudoHeaderSum4(source, destination, IP_PROTOCOL.UDP, totalBytes);
  return foldChecksum(sumWords(slab, offset, totalBytes, pseudo)) === 0;
}

/**
 * As `writeUdpChecksum4`, over either family: addresses as four words each. Over IPv6 every datagram needs it
 * (RFC 8200 section 8.1), and there too the value 0 is sent as 0xffff.
 */
export function writeUdpChecksum(
  slab: Buffer,
  offset: number,
  totalBytes: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): void {
  slab.writeUInt16BE(0, offset + UDP_CHECKSUM_OFFSET);
  const pseudo = pseudoHeaderSum(source, sourceAt, destination, destinationAt, IP_PROTOCOL.UDP, totalBytes);
  const checksum = foldChecksum(sumWords(slab, offset, totalBytes, pseudo));
  slab.writeUInt16BE(checksum === 0 ? 0xffff : checksum, offset + UDP_CHECKSUM_OFFSET);
}

/**
 * True if the checksum is right, or was not computed and need not be: over IPv6 a 0 is refused (RFC 8200 section 8.1; the
 * exception of RFC 6936 is for tunnels that asked for it).
 */
export function hasValidUdpChecksum(
  slab: Buffer,
  offset: number,
  totalBytes: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): boolean {
  if (slab.readUInt16BE(offset + UDP_CHECKSUM_OFFSET) === 0) return isIpv4(destination, destinationAt);
  const pseudo = pseudoHeaderSum(source, sourceAt, destination, destinationAt, IP_PROTOCOL.UDP, totalBytes);
  return foldChecksum(sumWords(slab, offset, totalBytes, pseudo)) === 0;
}
