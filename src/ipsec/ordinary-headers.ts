import { ADDRESS_WORDS, readIpv6Address, setIpv4Address } from '../packet/address.ts';
import { IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { IPV6_DESTINATION_OFFSET, IPV6_HEADER_BYTES, IPV6_SOURCE_OFFSET } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { TCP_FLAGS_OFFSET } from '../packet/tcp.ts';
import { FRAGMENT, type InnerColumns } from './inner-columns.ts';

/** Version 4, five words. */
const IPV4_WITHOUT_OPTIONS = 0x45;
/** More fragments follow, or an offset. */
const FRAGMENT_BITS = 0x3fff;
const UDP_PORTS_BYTES = 4;

/**
 * The headers of an ordinary inner packet, `length` bytes at `at`, of which the first `available` can be read, into columns: IPv4 without options or IPv6 without extension headers, no fragment, TCP or UDP, all
 * at hand. False: it is none, and nothing was written; `InnerHeaderReader` has the answer, which for an ordinary one is the same. It is
 * here because nearly all packets are, and reading them byte by byte into the columns costs an eighth.
 */
export function readOrdinary(
  bytes: Buffer,
  at: number,
  length: number,
  available: number,
  columns: InnerColumns,
  i: number,
): boolean {
  if (available < IPV4_HEADER_BYTES) return false;
  const first = bytes[at] as number;
  if (first === IPV4_WITHOUT_OPTIONS) {
    const totalBytes = uint16(bytes, at + 2);
    if (totalBytes > length || (uint16(bytes, at + 6) & FRAGMENT_BITS) !== 0) return false;
    const atHand = Math.min(totalBytes, available) - IPV4_HEADER_BYTES;
    const protocol = bytes[at + 9] as number;
    if (!readPorts(bytes, at + IPV4_HEADER_BYTES, atHand, protocol, columns, i)) return false;
    const words = i * ADDRESS_WORDS;
    columns.family[i] = 4;
    setIpv4Address(columns.innerSource, words, uint32(bytes, at + 12));
    setIpv4Address(columns.innerDestination, words, uint32(bytes, at + 16));
    return true;
  }
  if (first >> 4 !== 6 || available < IPV6_HEADER_BYTES) return false;
  const totalBytes = IPV6_HEADER_BYTES + uint16(bytes, at + 4);
  if (totalBytes > length || mayBeMapped(bytes, at)) return false;
  const atHand = Math.min(totalBytes, available) - IPV6_HEADER_BYTES;
  const protocol = bytes[at + 6] as number;
  if (!readPorts(bytes, at + IPV6_HEADER_BYTES, atHand, protocol, columns, i)) return false;
  const words = i * ADDRESS_WORDS;
  columns.family[i] = 6;
  readIpv6Address(bytes, at + IPV6_SOURCE_OFFSET, columns.innerSource, words);
  readIpv6Address(bytes, at + IPV6_DESTINATION_OFFSET, columns.innerDestination, words);
  return true;
}

/** The same of the payload of ESP in transport mode: `atHand` bytes of a header of this protocol. */
export function readPorts(
  bytes: Buffer,
  upper: number,
  atHand: number,
  protocol: number,
  columns: InnerColumns,
  i: number,
): boolean {
  if (protocol === IP_PROTOCOL.TCP) {
    if (atHand <= TCP_FLAGS_OFFSET) return false;
    columns.tcpFlags[i] = bytes[upper + TCP_FLAGS_OFFSET] as number;
  } else if (protocol === IP_PROTOCOL.UDP) {
    if (atHand < UDP_PORTS_BYTES) return false;
    columns.tcpFlags[i] = 0;
  } else return false;
  columns.protocol[i] = protocol;
  columns.sourcePort[i] = uint16(bytes, upper);
  columns.destinationPort[i] = uint16(bytes, upper + 2);
  columns.quotedProtocol[i] = 0;
  columns.fragment[i] = FRAGMENT.WHOLE;
  columns.fragmentId[i] = 0;
  return true;
}

/** An IPv4-mapped address begins with a zero word; others that do are not worth a closer look here. */
function mayBeMapped(bytes: Buffer, at: number): boolean {
  return uint32(bytes, at + IPV6_SOURCE_OFFSET) === 0 || uint32(bytes, at + IPV6_DESTINATION_OFFSET) === 0;
}

function uint16(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function uint32(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}
