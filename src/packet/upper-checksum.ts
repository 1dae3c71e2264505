import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { isIpv4 } from './address.ts';
import { foldChecksum, pseudoHeaderSum, sumWords } from './checksum.ts';
import { ICMPV6_HEADER_BYTES, writeIcmpv6Checksum } from './icmpv6.ts';
import { IP_PROTOCOL } from './protocols.ts';
import { TCP_HEADER_BYTES, writeTcpChecksum } from './tcp.ts';
import { UDP_CHECKSUM_OFFSET, UDP_HEADER_BYTES, writeUdpChecksum } from './udp.ts';

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');

/** UDP-Lite (RFC 3828 section 3.1) has the bytes that the checksum covers where UDP has its length; 0 means all. */
const UDPLITE_COVERAGE_OFFSET = 4;

/**
 * Transport mode through NAT (RFC 3948 section 3.1.2): the peer computed the checksum of what it sealed over its own
 * addresses, and a NAT has changed them on the way. Computes it anew over the addresses that the packet has now. `offset`
 * and `length` are the upper layer's (TCP, UDP, UDP-Lite, ICMPv6); other protocols have no pseudo header, and stay as they are.
 *
 * For opened packets only: the ICV has shown that nothing was damaged, which a new checksum would hide. ESP in transport mode
 * holds no fragments (RFC 4303 section 3.3.4), so the upper layer is whole.
 */
export function refreshUpperChecksum(
  slab: Buffer,
  offset: number,
  length: number,
  protocol: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): Verdict {
  switch (protocol) {
    case IP_PROTOCOL.TCP:
      if (length < TCP_HEADER_BYTES) return TRUNCATED;
      writeTcpChecksum(slab, offset, length, source, sourceAt, destination, destinationAt);
      return KEEP;
    case IP_PROTOCOL.ICMPV6:
      if (length < ICMPV6_HEADER_BYTES) return TRUNCATED;
      writeIcmpv6Checksum(slab, offset, length, source, sourceAt, destination, destinationAt);
      return KEEP;
    case IP_PROTOCOL.UDP:
      return refreshUdp(slab, offset, length, source, sourceAt, destination, destinationAt);
    case IP_PROTOCOL.UDPLITE:
      return refreshUdpLite(slab, offset, length, source, sourceAt, destination, destinationAt);
    default:
      return KEEP;
  }
}

/** Over IPv4 a sender may compute none (0), and then there is none to correct (RFC 3948 section 3.1.2). */
function refreshUdp(
  slab: Buffer,
  offset: number,
  length: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): Verdict {
  if (length < UDP_HEADER_BYTES) return TRUNCATED;
  const totalBytes = slab.readUInt16BE(offset + 4);
  if (totalBytes < UDP_HEADER_BYTES) return MALFORMED;
  if (totalBytes > length) return TRUNCATED;
  const hasNone = slab.readUInt16BE(offset + UDP_CHECKSUM_OFFSET) === 0;
  if (hasNone && isIpv4(destination, destinationAt)) return KEEP;
  writeUdpChecksum(slab, offset, totalBytes, source, sourceAt, destination, destinationAt);
  return KEEP;
}

/** RFC 3828 section 3.1: the pseudo header has the length of all, the sum covers the first bytes only; never 0. */
function refreshUdpLite(
  slab: Buffer,
  offset: number,
  length: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): Verdict {
  if (length < UDP_HEADER_BYTES) return TRUNCATED;
  const coverage = slab.readUInt16BE(offset + UDPLITE_COVERAGE_OFFSET);
  if (coverage !== 0 && (coverage < UDP_HEADER_BYTES || coverage > length)) return MALFORMED;
  slab.writeUInt16BE(0, offset + UDP_CHECKSUM_OFFSET);
  const pseudo = pseudoHeaderSum(source, sourceAt, destination, destinationAt, IP_PROTOCOL.UDPLITE, length);
  const checksum = foldChecksum(sumWords(slab, offset, coverage === 0 ? length : coverage, pseudo));
  slab.writeUInt16BE(checksum === 0 ? 0xffff : checksum, offset + UDP_CHECKSUM_OFFSET);
  return KEEP;
}
