import { KEEP } from '../base/verdict.ts';
import { FIN, RST, SYN } from '../connections/tcp-state.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS, copyAddress, equalAddresses } from '../packet/address.ts';
import { ESP_HEADER_BYTES } from '../packet/esp-header.ts';
import { IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { IPV6_DESTINATION_OFFSET, IPV6_HEADER_BYTES, IPV6_SOURCE_OFFSET } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { UDP_HEADER_BYTES } from '../packet/udp.ts';
import type { PacketVector } from './vector.ts';

/*
 * A *run*: packets behind each other in a vector that say the same of themselves in all that decisions are made of; only numbers, lengths, marks and
 * hop limits differ. Senders' offloads make runs of up to 40 packets. What was decided about the packet before then holds for the next one,
 * and is taken over:
 *
 *   sameOuter[i]   `classify`: family, addresses, ports and SPI outside are those of packet i - 1
 *   sameInner[i]   as headers are read: family, addresses, protocol and ports inside are those of packet i - 1, and both are whole
 *                  datagrams of UDP, or segments of TCP that neither begin nor end anything
 *
 * A step takes over what it decided about packet i - 1 only if that one has just passed it (`followsOuter`, `followsInner`), so that
 * nothing has happened in between. A packet in doubt is of no run: the long way, which is never wrong, has the answer.
 */

/** Version 4, five words. */
const IPV4_WITHOUT_OPTIONS = 0x45;
/** More fragments follow, or an offset. */
const FRAGMENT_BITS = 0x3fff;
const BEGINS_OR_ENDS = SYN | FIN | RST;
const IPV4_LAST_WORD = ADDRESS_WORDS - 1;

/** What the step at hand said of the packet before, which it let pass, it says of packet `i` too, as far as outer headers go. */
export function followsOuter(vector: PacketVector, i: number): boolean {
  return vector.sameOuter[i] === 1 && vector.verdict[i - 1] === KEEP;
}

/** The same as far as inner headers go. For steps that have read packet i - 1 in the same pass over the vector. */
export function followsInner(vector: PacketVector, i: number): boolean {
  return vector.sameInner[i] === 1 && vector.verdict[i - 1] === KEEP;
}

/** Both, and the SA is the same: of a packet that came through one. */
export function followsInSa(vector: PacketVector, i: number): boolean {
  return followsInner(vector, i) && vector.sameOuter[i] === 1 && vector.saSlot[i] === vector.saSlot[i - 1];
}

/**
 * Classifies packet `i` if its outer header is that of packet i - 1, which is classified as ESP: false, and nothing is written, where that
 * is not so, or not plain.
 */
export function classifyAgain(vector: PacketVector, i: number): boolean {
  const { view } = vector;
  const before = i - 1;
  const at = vector.offset[i] as number;
  const length = vector.length[i] as number;
  const headerBytes = vector.family[before] === 6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
  const isInUdp = vector.outerDestinationPort[before] !== 0;
  const espAt = headerBytes + (isInUdp ? UDP_HEADER_BYTES : 0);
  if (length < espAt + ESP_HEADER_BYTES) return false;
  if (view.getUint32(at + espAt) !== vector.spi[before]) return false;
  const protocol = isInUdp ? IP_PROTOCOL.UDP : IP_PROTOCOL.ESP;
  const totalBytes = sameAddresses(vector, at, protocol, vector.outerSource, vector.outerDestination, before);
  if (totalBytes > length) return false;
  let espBytes = totalBytes - headerBytes;
  if (isInUdp) {
    const udpBytes = view.getUint16(at + headerBytes + 4);
    const isThere =
      view.getUint16(at + headerBytes) === vector.outerSourcePort[before] &&
      view.getUint16(at + headerBytes + 2) === vector.outerDestinationPort[before];
    if (!isThere || udpBytes > espBytes) return false;
    espBytes = udpBytes - UDP_HEADER_BYTES;
  }
  if (espBytes < ESP_HEADER_BYTES) return false;
  copyOuter(vector, i, before);
  vector.length[i] = totalBytes;
  vector.outerOffset[i] = at;
  vector.espOffset[i] = at + espAt;
  vector.espLength[i] = espBytes;
  vector.sequenceLow[i] = view.getUint32(at + espAt + 4);
  vector.sequenceHigh[i] = 0;
  return true;
}

function copyOuter(vector: PacketVector, i: number, before: number): void {
  const { outerSource, outerDestination } = vector;
  const words = i * ADDRESS_WORDS;
  copyAddress(outerSource, before * ADDRESS_WORDS, outerSource, words);
  copyAddress(outerDestination, before * ADDRESS_WORDS, outerDestination, words);
  copyAddress(outerSource, words, vector.innerSource, words);
  copyAddress(outerDestination, words, vector.innerDestination, words);
  vector.family[i] = vector.family[before] as number;
  vector.outerSourcePort[i] = vector.outerSourcePort[before] as number;
  vector.outerDestinationPort[i] = vector.outerDestinationPort[before] as number;
  vector.spi[i] = vector.spi[before] as number;
}

/** Sets `sameInner` of packet `i`, whose headers were read, as those of packet i - 1 were. */
export function compareInner(vector: PacketVector, i: number): void {
  vector.sameInner[i] = hasSameInner(vector, i) ? 1 : 0;
}

function hasSameInner(vector: PacketVector, i: number): boolean {
  const before = i - 1;
  const { innerSource, innerDestination } = vector;
  const words = i * ADDRESS_WORDS;
  const other = before * ADDRESS_WORDS;
  return (
    i > 0 &&
    vector.sourcePort[i] === vector.sourcePort[before] &&
    vector.destinationPort[i] === vector.destinationPort[before] &&
    vector.protocol[i] === vector.protocol[before] &&
    vector.family[i] === vector.family[before] &&
    equalAddresses(innerSource, words, innerSource, other) &&
    equalAddresses(innerDestination, words, innerDestination, other) &&
    isOrdinary(vector, i) &&
    isOrdinary(vector, before)
  );
}

/** A whole datagram of UDP, or a segment of TCP that neither begins nor ends a connection. */
function isOrdinary(vector: PacketVector, i: number): boolean {
  const protocol = vector.protocol[i];
  return (
    (protocol === IP_PROTOCOL.TCP || protocol === IP_PROTOCOL.UDP) &&
    vector.fragment[i] === FRAGMENT.WHOLE &&
    ((vector.tcpFlags[i] as number) & BEGINS_OR_ENDS) === 0
  );
}

/**
 * The total length of the IP packet at `at`, if family, addresses and protocol are those of packet `before` in the columns, and it is no fragment and has
 * neither options nor extension headers. Else Infinity. The whole header must be at hand.
 */
function sameAddresses(
  { view, family }: PacketVector,
  at: number,
  protocol: number,
  sources: Uint32Array,
  destinations: Uint32Array,
  before: number,
): number {
  const words = before * ADDRESS_WORDS;
  if (family[before] !== 6) {
    const isSame =
      view.getUint8(at) === IPV4_WITHOUT_OPTIONS &&
      view.getUint32(at + 12) === sources[words + IPV4_LAST_WORD] &&
      view.getUint32(at + 16) === destinations[words + IPV4_LAST_WORD] &&
      view.getUint8(at + 9) === protocol &&
      (view.getUint16(at + 6) & FRAGMENT_BITS) === 0;
    return isSame ? view.getUint16(at + 2) : Number.POSITIVE_INFINITY;
  }
  if (view.getUint8(at) >> 4 !== 6 || view.getUint8(at + 6) !== protocol) return Number.POSITIVE_INFINITY;
  for (let word = 0; word < ADDRESS_WORDS; word++) {
    const isSame =
      view.getUint32(at + IPV6_SOURCE_OFFSET + 4 * word) === sources[words + word] &&
      view.getUint32(at + IPV6_DESTINATION_OFFSET + 4 * word) === destinations[words + word];
    if (!isSame) return Number.POSITIVE_INFINITY;
  }
  return IPV6_HEADER_BYTES + view.getUint16(at + 4);
}
