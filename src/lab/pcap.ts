import { readFileSync } from 'node:fs';

/**
 * Classic pcap files as tcpdump writes them (draft-ietf-opsawg-pcap §4 and §5).
 *
 *   file header, 24 bytes: magic | version | - | - | snap length | link type
 *   per packet, 16 bytes:  seconds | fraction | captured length | original length, then the bytes
 */

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;

export interface CapturedPacket {
  /** When it was seen, in microseconds since 1970. */
  readonly atUs: number;
  /** From the link header on, as far as captured; borrowed from the whole file. */
  readonly bytes: Buffer;
  readonly originalLength: number;
}

export interface PcapFile {
  /** 1: Ethernet; 101: IP packets without a link header, as on a TUN. */
  readonly linkType: number;
  readonly packets: readonly CapturedPacket[];
}

/** Reads a whole capture. Throws if the file is no pcap file; a packet cut off at its end is left out. */
export function readPcap(file: string): PcapFile {
  return parsePcap(readFileSync(file), file);
}

export function parsePcap(bytes: Buffer, name: string): PcapFile {
  if (bytes.length < FILE_HEADER_BYTES) throw new Error(`${name}: too short for a pcap file`);
  const isLittle = [MAGIC_MICROSECONDS, MAGIC_NANOSECONDS].includes(bytes.readUInt32LE(0));
  const magic = isLittle ? bytes.readUInt32LE(0) : bytes.readUInt32BE(0);
  if (magic !== MAGIC_MICROSECONDS && magic !== MAGIC_NANOSECONDS)
    throw new Error(`${name}: not a pcap file`);
  const perUs = magic === MAGIC_NANOSECONDS ? 1000 : 1;
  const uint32 = (at: number) => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const packets: CapturedPacket[] = [];
  let at = FILE_HEADER_BYTES;
  while (at + PACKET_HEADER_BYTES <= bytes.length) {
    const start = at + PACKET_HEADER_BYTES;
    const end = start + uint32(at + 8);
    if (end > bytes.length) break;
    const atUs = uint32(at) * 1e6 + Math.floor(uint32(at + 4) / perUs);
    packets.push({ atUs, bytes: bytes.subarray(start, end), originalLength: uint32(at + 12) });
    at = end;
  }
  return { linkType: uint32(20) & 0xffff, packets };
}
