import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { isIpv4, newAddress, readIpv6Address, setIpv4Address } from './address.ts';
import { IPV4_HEADER_BYTES } from './ipv4.ts';
import { IPV6_DESTINATION_OFFSET, IPV6_HEADER_BYTES, IPV6_SOURCE_OFFSET } from './ipv6.ts';
import { Ipv6Chain, walkIpv6Chain } from './ipv6-chain.ts';
import { hasPorts } from './protocols.ts';

/*
 * What an ICMP or ICMPv6 error quotes: the start of a packet that somebody sent (RFC 792, RFC 4443 section 3). It is cut off
 * somewhere, so its lengths say nothing about what is there; and whoever sent the error chose every byte of it.
 */

/** An error quotes at least so much behind the IP header (RFC 792, RFC 1122 section 3.2.2): ports, or SPI and number. */
const QUOTED_UPPER_BYTES = 8;

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');

/** What `parseQuote` found; reusable. */
export class QuotedPacket {
  family: 4 | 6 = 4;
  readonly source = newAddress();
  readonly destination = newAddress();
  protocol = 0;
  /** As the quoted packet's own header says; not limited to what is quoted. */
  totalBytes = 0;
  /** A later fragment: it has no upper header, and ports are 0. */
  isLaterFragment = false;
  /** 0 where the protocol has none. */
  sourcePort = 0;
  destinationPort = 0;
  /** Where the upper header stands, from the start of the quote, and how much of it is quoted. For ESP: SPI and number. */
  upperAt = 0;
  upperBytes = 0;
}

const chain = new Ipv6Chain();

/**
 * Reads a quote of `length` bytes. `truncated`: its headers are not there, or of a protocol with ports less than the 8 bytes
 * that RFC 792 promises.
 */
export function parseQuote(slab: Buffer, offset: number, length: number, out: QuotedPacket): Verdict {
  if (length < IPV4_HEADER_BYTES) return TRUNCATED;
  const version = slab.readUInt8(offset) >> 4;
  if (version !== 4 && version !== 6) return MALFORMED;
  const bad = version === 4 ? quoted4(slab, offset, length, out) : quoted6(slab, offset, length, out);
  if (bad !== KEEP) return bad;
  out.sourcePort = 0;
  out.destinationPort = 0;
  if (out.isLaterFragment || !hasPorts(out.protocol)) return KEEP;
  if (out.upperBytes < QUOTED_UPPER_BYTES) return TRUNCATED;
  out.sourcePort = slab.readUInt16BE(offset + out.upperAt);
  out.destinationPort = slab.readUInt16BE(offset + out.upperAt + 2);
  return KEEP;
}

function quoted4(slab: Buffer, offset: number, length: number, out: QuotedPacket): Verdict {
  const headerBytes = (slab.readUInt8(offset) & 15) * 4;
  const totalBytes = slab.readUInt16BE(offset + 2);
  if (headerBytes < IPV4_HEADER_BYTES || totalBytes < headerBytes) return MALFORMED;
  if (headerBytes > length) return TRUNCATED;
  out.family = 4;
  out.totalBytes = totalBytes;
  out.protocol = slab.readUInt8(offset + 9);
  out.isLaterFragment = (slab.readUInt16BE(offset + 6) & 0x1fff) !== 0;
  setIpv4Address(out.source, 0, slab.readUInt32BE(offset + 12));
  setIpv4Address(out.destination, 0, slab.readUInt32BE(offset + 16));
  setUpper(out, headerBytes, length);
  return KEEP;
}

function quoted6(slab: Buffer, offset: number, length: number, out: QuotedPacket): Verdict {
  if (length < IPV6_HEADER_BYTES) return TRUNCATED;
  out.family = 6;
  out.totalBytes = IPV6_HEADER_BYTES + slab.readUInt16BE(offset + 4);
  readIpv6Address(slab, offset + IPV6_SOURCE_OFFSET, out.source, 0);
  readIpv6Address(slab, offset + IPV6_DESTINATION_OFFSET, out.destination, 0);
  if (isIpv4(out.source) || isIpv4(out.destination)) return MALFORMED;
  const bad = walkIpv6Chain(slab, offset, Math.min(length, out.totalBytes), chain);
  if (bad !== KEEP) return bad;
  out.protocol = chain.upperProtocol;
  out.isLaterFragment = chain.fragmentAt >= 0 && slab.readUInt16BE(offset + chain.fragmentAt + 2) >= 8;
  setUpper(out, chain.upperAt, length);
  return KEEP;
}

/** What is quoted behind the quoted packet's own end belongs to something else (RFC 4884 extensions). */
function setUpper(out: QuotedPacket, upperAt: number, length: number): void {
  out.upperAt = upperAt;
  out.upperBytes = Math.min(length, out.totalBytes) - upperAt;
}
