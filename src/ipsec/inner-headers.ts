import { INCOMPLETE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import {
  ADDRESS_WORDS,
  copyAddress,
  equalAddresses,
  readIpv6Address,
  setIpv4Address,
} from '../packet/address.ts';
import { uint8, uint16 } from '../packet/bytes.ts';
import { ICMP_ECHO_ID_OFFSET, ICMP_HEADER_BYTES } from '../packet/icmp.ts';
import { IPV4_HEADER_BYTES, Ipv4Header, parseIpv4 } from '../packet/ipv4.ts';
import {
  IPV6_DESTINATION_OFFSET,
  IPV6_SOURCE_OFFSET,
  Ipv6Header,
  parseIpv6,
  walkIpv6Extensions,
} from '../packet/ipv6.ts';
import { hasPorts, IP_PROTOCOL, isIcmp, isIcmpEcho, isIcmpError } from '../packet/protocols.ts';
import { parseQuote, QuotedPacket } from '../packet/quoted.ts';
import { TCP_FLAGS_OFFSET } from '../packet/tcp.ts';
import { FRAGMENT, type InnerColumns } from './inner-columns.ts';

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');

/** Where an inner packet lies: `length` bytes at `at`, of which the first `available` can be read. */
export interface InnerBytes {
  readonly bytes: Buffer;
  readonly at: number;
  readonly length: number;
  readonly available: number;
}

/**
 * Reads the headers of an inner packet into columns: what a peek decrypted of it, or all of it after the ICV was verified.
 * INCOMPLETE: more must be at hand. Ports stay 0 in later fragments and in protocols without ports; for ICMP the

 * destination "port" is type << 8 | code (RFC 4301 section 4.4.1.1), the source port an echo's identifier. What else it found stays in its fields until the next call.
 */
export class InnerHeaderReader {
  readonly #ipv4 = new Ipv4Header();
  readonly #ipv6 = new Ipv6Header();
  readonly #quoted = new QuotedPacket();
  /** Length of the packet as its header says. */
  totalBytes = 0;
  /** DSCP and ECN. */
  trafficClass = 0;
  hasDontFragment = false;
  hopLimit = 0;
  /** Where the upper header starts, from the beginning of the packet. */
  headerBytes = 0;

  /** A packet with its IP header, of either family. */
  read(packet: InnerBytes, columns: InnerColumns, i: number): Verdict {
    if (packet.length < 1) return TRUNCATED;
    if (packet.available < 1) return INCOMPLETE;
    const isIpv6 = uint8(packet.bytes, packet.at) >> 4 === 6;
    return isIpv6 ? this.#readIpv6(packet, columns, i) : this.#readIpv4(packet, columns, i);
  }

  /**
   * The payload of ESP in transport mode: `protocol` is what its trailer says, and the IP header is the outer one, so family
   * and addresses stand in the columns already.
   */
  readTransport(packet: InnerBytes, protocol: number, columns: InnerColumns, i: number): Verdict {
    columns.fragment[i] = FRAGMENT.WHOLE;
    columns.fragmentId[i] = 0;
    this.totalBytes = packet.length;
    this.headerBytes = 0;
    if (columns.family[i] === 4) return this.#readUpper(packet, 0, protocol, columns, i);
    const ipv6 = this.#ipv6;
    ipv6.totalBytes = packet.length;
    const bad = walkIpv6Extensions(packet.bytes, packet.at, 0, protocol, ipv6, packet.available);
    if (bad !== KEEP) return bad;
    // A datagram is fragmented after ESP in transport mode (RFC 4303 section 3.3.4), never before.
    if (ipv6.isFragment) return MALFORMED;
    this.headerBytes = ipv6.headerBytes;
    return this.#readUpper(packet, ipv6.headerBytes, ipv6.protocol, columns, i);
  }

  #readIpv4(packet: InnerBytes, columns: InnerColumns, i: number): Verdict {
    const ipv4 = this.#ipv4;
    if (packet.length >= IPV4_HEADER_BYTES && packet.available < IPV4_HEADER_BYTES) return INCOMPLETE;
    const bad = parseIpv4(packet.bytes, packet.at, packet.length, ipv4);
    if (bad !== KEEP) return bad;
    columns.family[i] = 4;
    setIpv4Address(columns.innerSource, i * ADDRESS_WORDS, ipv4.source);
    setIpv4Address(columns.innerDestination, i * ADDRESS_WORDS, ipv4.destination);
    this.totalBytes = ipv4.totalBytes;
    this.headerBytes = ipv4.headerBytes;
    this.trafficClass = ipv4.trafficClass;
    this.hasDontFragment = ipv4.hasDontFragment;
    this.hopLimit = ipv4.ttl;
    noteFragment(columns, i, ipv4);
    return this.#readUpper(packet, ipv4.headerBytes, ipv4.protocol, columns, i);
  }

  #readIpv6(packet: InnerBytes, columns: InnerColumns, i: number): Verdict {
    const ipv6 = this.#ipv6;
    const bad = parseIpv6(packet.bytes, packet.at, packet.length, ipv6, packet.available);
    if (bad !== KEEP) return bad;
    columns.family[i] = 6;
    const words = i * ADDRESS_WORDS;
    readIpv6Address(packet.bytes, packet.at + IPV6_SOURCE_OFFSET, columns.innerSource, words);
    readIpv6Address(packet.bytes, packet.at + IPV6_DESTINATION_OFFSET, columns.innerDestination, words);
    this.totalBytes = ipv6.totalBytes;
    this.headerBytes = ipv6.headerBytes;
    this.trafficClass = ipv6.trafficClass;
    this.hopLimit = ipv6.hopLimit;
    this.hasDontFragment = true; // nobody on the way fragments IPv6 (RFC 8200 section 5)
    noteFragment(columns, i, ipv6);
    return this.#readUpper(packet, ipv6.headerBytes, ipv6.protocol, columns, i);
  }

  /** A quote that cannot be read, or is of another sender's packet, is none: the message goes its way without. */
  #readQuote(packet: Omit<InnerBytes, 'length'>, at: number, columns: InnerColumns, i: number): Verdict {
    const { bytes, available } = packet;
    const quoteBytes = Math.min(this.totalBytes, available) - at;
    const isWhole = this.totalBytes <= available;
    const bad = quoteBytes <= 0 ? TRUNCATED : parseQuote(bytes, packet.at + at, quoteBytes, this.#quoted);
    if (bad !== KEEP) return bad === TRUNCATED && !isWhole ? INCOMPLETE : KEEP;
    const { source } = this.#quoted;
    const isOfDestination = equalAddresses(source, 0, columns.innerDestination, i * ADDRESS_WORDS);
    if (isOfDestination) copyQuote(this.#quoted, columns, i);
    return KEEP;
  }

  #readUpper(
    { bytes, at, available }: InnerBytes,
    header: number,
    protocol: number,
    columns: InnerColumns,
    i: number,
  ): Verdict {
    columns.protocol[i] = protocol;
    columns.sourcePort[i] = 0;
    columns.destinationPort[i] = 0;
    columns.tcpFlags[i] = 0;
    columns.quotedProtocol[i] = 0;
    const needed = columns.fragment[i] === FRAGMENT.LATER ? 0 : upperBytesNeeded(protocol);
    if (needed === 0) return KEEP;
    if (header + needed > this.totalBytes) return MALFORMED;
    if (header + needed > available) return INCOMPLETE;
    const upper = at + header;
    if (isIcmp(protocol)) {
      columns.destinationPort[i] = uint16(bytes, upper);
      const type = uint8(bytes, upper);
      const idEnd = header + ICMP_ECHO_ID_OFFSET + 2;
      if (isIcmpEcho(protocol, type) && idEnd <= this.totalBytes) {
        if (idEnd > available) return INCOMPLETE;
        columns.sourcePort[i] = uint16(bytes, upper + ICMP_ECHO_ID_OFFSET);
      }
      const isError = isIcmpError(protocol, type);
      return isError
        ? this.#readQuote({ bytes, at, available }, header + ICMP_HEADER_BYTES, columns, i)
        : KEEP;
    }
    columns.sourcePort[i] = uint16(bytes, upper);
    columns.destinationPort[i] = uint16(bytes, upper + 2);
    if (protocol === IP_PROTOCOL.TCP) columns.tcpFlags[i] = uint8(bytes, upper + TCP_FLAGS_OFFSET);
    return KEEP;
  }
}

function copyQuote(quoted: QuotedPacket, columns: InnerColumns, i: number): void {
  columns.quotedProtocol[i] = quoted.protocol;
  copyAddress(quoted.destination, 0, columns.quotedDestination, i * ADDRESS_WORDS);
  columns.quotedSourcePort[i] = quoted.sourcePort;
  columns.quotedDestinationPort[i] = quoted.destinationPort;
}

function noteFragment(columns: InnerColumns, i: number, header: Ipv4Header | Ipv6Header): void {
  columns.fragmentId[i] = header.isFragment ? header.identification : 0;
  columns.fragment[i] = !header.isFragment
    ? FRAGMENT.WHOLE
    : header.fragmentOffset === 0
      ? FRAGMENT.FIRST
      : FRAGMENT.LATER;
}

/** Bytes of the upper header that are looked at: ports and flags, type and code, or none. */
function upperBytesNeeded(protocol: number): number {
  if (protocol === IP_PROTOCOL.TCP) return TCP_FLAGS_OFFSET + 1;
  if (isIcmp(protocol)) return 2;
  return hasPorts(protocol) ? 4 : 0;
}
