import { uint16, uint8 } from './bytes.ts';
import { updateChecksum } from './checksum.ts';

/*
 * The byte that IPv4 calls TOS and IPv6 traffic class: DSCP (RFC 2474 section 3) in the six high bits, Explicit Congestion
 * Notification (RFC 3168 section 5) in the two low ones.
 */
export const ECN_MASK = 3;
export const ECN = { NOT_CAPABLE: 0, CAPABLE_1: 1, CAPABLE_0: 2, CONGESTION: 3 } as const;

/** Of `decapsulatedEcn`: the packet must be dropped. */
export const ECN_DROP = -1;

const IPV4_CHECKSUM_OFFSET = 10;

/** Reads it from an IP header of either family at `at`. */
export function readTrafficClass(slab: Buffer, at: number): number {
  return uint8(slab, at) >> 4 === 6 ? (uint16(slab, at) >> 4) & 255 : uint8(slab, at + 1);
}

/** Writes it into such a header, which is whole; IPv4's checksum follows (RFC 1624). */
export function writeTrafficClass(slab: Buffer, at: number, trafficClass: number): void {
  const before = slab.readUInt16BE(at);
  if (before >> 12 === 6) {
    slab.writeUInt16BE((before & 0xf00f) | (trafficClass << 4), at);
    return;
  }
  const after = (before & 0xff00) | trafficClass;
  const checksum = updateChecksum(slab.readUInt16BE(at + IPV4_CHECKSUM_OFFSET), before, after);
  slab.writeUInt16BE(after, at);
  slab.writeUInt16BE(checksum, at + IPV4_CHECKSUM_OFFSET);
}

/**
 * What the inner packet says of congestion once the tunnel is taken off (RFC 6040 section 4.2, figure 4), of its own bits and those of
 * the outer header. `ECN_DROP`: congestion was marked outside on a packet whose ends would not understand it.
 */
export function decapsulatedEcn(inner: number, outer: number): number {
  if (outer === ECN.CONGESTION) return inner === ECN.NOT_CAPABLE ? ECN_DROP : ECN.CONGESTION;
  return outer === ECN.CAPABLE_1 && inner === ECN.CAPABLE_0 ? ECN.CAPABLE_1 : inner;
}
