import { updateChecksum } from './checksum.ts';
import { TCP_CHECKSUM_OFFSET, TCP_FLAG, TCP_FLAGS_OFFSET, TCP_HEADER_BYTES } from './tcp.ts';

/*
 * The maximum segment size (RFC 9293 section 3.7.1): an option of SYN and SYN-ACK that says what the other side may send.
 * A gateway in between lowers it to what fits through the tunnel, so that full-sized segments need no fragments.
 *
 * Options (section 3.1): 0 = end, 1 = no operation, else |kind|length|value...|, the length with kind and itself.
 */
const END = 0;
const NO_OPERATION = 1;
const MSS = 2;
const MSS_BYTES = 4;

/**
 * Lowers the MSS option of the segment at `offset` (`length` bytes of TCP) to `maximum`, in place; true if it changed something.
 * Segments without SYN stay as they are; so do those without the option, for which the sender's peer takes 536 over IPv4 and 1220
 * over IPv6, which fit. A smaller MSS is never raised. The checksum is corrected, not computed (RFC 1624): a wrong one stays wrong.
 * Options that contradict themselves end the walk, with what stood before them clamped.
 */
export function clampMss(slab: Buffer, offset: number, length: number, maximum: number): boolean {
  if (length < TCP_HEADER_BYTES || (slab.readUInt8(offset + TCP_FLAGS_OFFSET) & TCP_FLAG.SYN) === 0)
    return false;
  const headerBytes = (slab.readUInt8(offset + 12) >> 4) * 4;
  if (headerBytes > length) return false;
  let isChanged = false;
  let at = TCP_HEADER_BYTES;
  while (at + 1 < headerBytes) {
    const kind = slab.readUInt8(offset + at);
    if (kind === END) break;
    if (kind === NO_OPERATION) {
      at++;
      continue;
    }
    const bytes = slab.readUInt8(offset + at + 1);
    if (bytes < 2 || at + bytes > headerBytes) break;
    if (kind === MSS && bytes === MSS_BYTES && lower(slab, offset, at + 2, maximum)) isChanged = true;
    at += bytes;
  }
  return isChanged;
}

function lower(slab: Buffer, offset: number, at: number, maximum: number): boolean {
  const before = slab.readUInt16BE(offset + at);
  if (before <= maximum) return false;
  slab.writeUInt16BE(maximum, offset + at);
  // A value at an odd place straddles two words of the sum: it counts with its bytes swapped (RFC 1071 section 2 B).
  const isOdd = (at & 1) !== 0;
  const checksum = slab.readUInt16BE(offset + TCP_CHECKSUM_OFFSET);
  const updated = updateChecksum(checksum, isOdd ? swap(before) : before, isOdd ? swap(maximum) : maximum);
  slab.writeUInt16BE(updated, offset + TCP_CHECKSUM_OFFSET);
  return true;
}

function swap(value: number): number {
  return ((value & 255) << 8) | (value >> 8);
}
