import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { isIpv4, newAddress, readIpv6Address, setIpv4Address } from './address.ts';
import { hasValidIpv4Checksum, Ipv4Header, parseIpv4 } from './ipv4.ts';
import { IPV6_DESTINATION_OFFSET, IPV6_HEADER_BYTES, IPV6_SOURCE_OFFSET } from './ipv6.ts';
import { IPV6_FRAGMENT_HEADER_BYTES, Ipv6Chain, walkIpv6Chain } from './ipv6-chain.ts';

/*
 * A fragment of either family, as reassembly sees it. IPv4 (RFC 791 section 3.1) has offset and flags in the header itself; IPv6
 * (RFC 8200 section 4.5) in an extension header, big endian:
 *
 * |  Next Header  |   Reserved    |      Fragment Offset    |Res|M|   0
 * |                         Identification                        |   4
 */

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');
const CHECKSUM = verdictOf('checksum');

const MF = 0x2000;
/** The largest datagram: what fits IPv4's total length. For IPv6, which would take 40 bytes more, we ask the same. */
export const MAX_DATAGRAM_BYTES = 65_535;

/** What `parseFragment` found; reusable. Places count from the start of the packet. */
export class FragmentHeader {
  family: 4 | 6 = 4;
  readonly source = newAddress();
  readonly destination = newAddress();
  /** IPv4 only, where it is part of what tells datagrams apart (RFC 791 section 2.3); 0 for IPv6. */
  protocol = 0;
  identification = 0;
  /** Neither first nor last nor in the middle: it is whole. An atomic fragment (RFC 6946) is. */
  isWhole = true;
  hasMore = false;
  /** Of the data in the datagram, in bytes. */
  dataOffset = 0;
  dataAt = 0;
  dataBytes = 0;
  /** What the rebuilt datagram takes from the first fragment, without a fragment header. */
  headerBytes = 0;
  /** IPv6: what the Next Header field at `namedAt` becomes when the fragment header is gone; -1: there is none. */
  namedAt = -1;
  nextHeader = 0;
  /** The ECN field (RFC 3168 section 5), 0 to 3. */
  ecn = 0;
}

const ipv4 = new Ipv4Header();
const chain = new Ipv6Chain();

/**
 * Reads a packet as captured: `length` bytes at `offset`, link padding included. `malformed` includes what RFC 8200 section 4.5 asks to
 * discard: data that is no multiple of 8 bytes though more follow, an end beyond the largest datagram, a first fragment without
 * the whole chain of headers; the first two go for IPv4 as well.
 */
export function parseFragment(slab: Buffer, offset: number, length: number, out: FragmentHeader): Verdict {
  if (length < 1) return TRUNCATED;
  const isSix = slab.readUInt8(offset) >> 4 === 6;
  const bad = isSix ? parse6(slab, offset, length, out) : parse4(slab, offset, length, out);
  if (bad !== KEEP || out.isWhole) return bad;
  if (out.dataBytes === 0 || (out.hasMore && out.dataBytes % 8 !== 0)) return MALFORMED;
  const isTooLong = out.headerBytes + out.dataOffset + out.dataBytes > MAX_DATAGRAM_BYTES;
  return isTooLong ? MALFORMED : KEEP;
}

function parse4(slab: Buffer, offset: number, length: number, out: FragmentHeader): Verdict {
  const bad = parseIpv4(slab, offset, length, ipv4);
  if (bad !== KEEP) return bad;
  if (!hasValidIpv4Checksum(slab, offset, ipv4.headerBytes)) return CHECKSUM;
  out.family = 4;
  setIpv4Address(out.source, 0, ipv4.source);
  setIpv4Address(out.destination, 0, ipv4.destination);
  out.protocol = ipv4.protocol;
  out.identification = ipv4.identification;
  out.isWhole = !ipv4.isFragment;
  out.hasMore = (slab.readUInt16BE(offset + 6) & MF) !== 0;
  out.dataOffset = ipv4.fragmentOffset;
  out.dataAt = ipv4.headerBytes;
  out.dataBytes = ipv4.totalBytes - ipv4.headerBytes;
  out.headerBytes = ipv4.headerBytes;
  out.namedAt = -1;
  out.ecn = ipv4.trafficClass & 3;
  return KEEP;
}

function parse6(slab: Buffer, offset: number, length: number, out: FragmentHeader): Verdict {
  if (length < IPV6_HEADER_BYTES) return TRUNCATED;
  const totalBytes = IPV6_HEADER_BYTES + slab.readUInt16BE(offset + 4);
  if (totalBytes > length) return TRUNCATED;
  out.family = 6;
  readIpv6Address(slab, offset + IPV6_SOURCE_OFFSET, out.source, 0);
  readIpv6Address(slab, offset + IPV6_DESTINATION_OFFSET, out.destination, 0);
  if (isIpv4(out.source) || isIpv4(out.destination)) return MALFORMED;
  const bad = walkIpv6Chain(slab, offset, totalBytes, chain);
  if (bad !== KEEP) return bad;
  out.protocol = 0;
  out.ecn = (slab.readUInt8(offset + 1) >> 4) & 3;
  if (chain.fragmentAt < 0) {
    setWhole(out, chain.upperAt, totalBytes);
    return KEEP;
  }
  return readFragmentHeader(slab, offset, totalBytes, out);
}

function setWhole(out: FragmentHeader, headerBytes: number, totalBytes: number): void {
  out.identification = 0;
  out.isWhole = true;
  out.hasMore = false;
  out.dataOffset = 0;
  out.dataAt = headerBytes;
  out.dataBytes = totalBytes - headerBytes;
  out.headerBytes = headerBytes;
  out.namedAt = -1;
}

function readFragmentHeader(slab: Buffer, offset: number, totalBytes: number, out: FragmentHeader): Verdict {
  const at = chain.fragmentAt;
  const field = slab.readUInt16BE(offset + at + 2);
  out.identification = slab.readUInt32BE(offset + at + 4);
  out.hasMore = (field & 1) !== 0;
  out.dataOffset = field & 0xfff8;
  out.isWhole = !out.hasMore && out.dataOffset === 0;
  out.dataAt = at + IPV6_FRAGMENT_HEADER_BYTES;
  out.dataBytes = totalBytes - out.dataAt;
  out.headerBytes = at;
  out.namedAt = chain.fragmentNamedAt;
  out.nextHeader = slab.readUInt8(offset + at);
  // RFC 8200 section 4.5, RFC 7112: the first fragment shows all headers, the upper one among them.
  return out.dataOffset === 0 && chain.upperAt >= totalBytes ? MALFORMED : KEEP;
}
