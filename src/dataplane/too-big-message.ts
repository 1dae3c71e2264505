import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS, copyAddress, newAddress } from '../packet/address.ts';
import { encodeFragmentationNeeded, ICMP_HEADER_BYTES, ICMP_MAX_QUOTE_BYTES } from '../packet/icmp.ts';
import {
  encodeIcmpv6Error,
  ICMPV6_HEADER_BYTES,
  ICMPV6_MAX_QUOTE_BYTES,
  ICMPV6_TYPE,
} from '../packet/icmpv6.ts';
import { encodeIpv4, IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { encodeIpv6, IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import type { PacketVector } from './vector.ts';

const TTL = 64;

const source = newAddress();
const destination = newAddress();

/**
 * Adds to `messages` what tells this host's own kernel that its packet `i` does not fit: "fragmentation needed" (RFC 1191 section 4) or
 * "packet too big" (RFC 4443 section 3.2), as if the packet's destination said it. Nothing if there is no room, and nothing about what must
 * not be answered (RFC 1122 section 3.2.2): an ICMP error, a later fragment. True: it was added.
 */
export function addTooBigMessage(
  vector: PacketVector,
  i: number,
  mtu: number,
  messages: PacketVector,
): boolean {
  if (messages.count === messages.capacity) return false;
  if (vector.quotedProtocol[i] !== 0 || vector.fragment[i] === FRAGMENT.LATER) return false;
  const isIpv6 = vector.family[i] === 6;
  const headerBytes = isIpv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
  const maxQuote = isIpv6 ? ICMPV6_MAX_QUOTE_BYTES : ICMP_MAX_QUOTE_BYTES;
  const quoteBytes = Math.min(vector.length[i] as number, maxQuote);
  copyAddress(vector.innerDestination, i * ADDRESS_WORDS, source, 0);
  copyAddress(vector.innerSource, i * ADDRESS_WORDS, destination, 0);
  const j = messages.count++;
  const { slab } = messages;
  const at = messages.offset[j] as number;
  const message = at + headerBytes;
  const from = vector.offset[i] as number;
  const quoteAt = message + (isIpv6 ? ICMPV6_HEADER_BYTES : ICMP_HEADER_BYTES);
  vector.slab.copy(slab, quoteAt, from, from + quoteBytes);
  let messageBytes: number;
  if (isIpv6) {
    const type = ICMPV6_TYPE.PACKET_TOO_BIG;
    messageBytes = encodeIcmpv6Error(slab, message, {
      type,
      parameter: mtu,
      quoteBytes,
      source,
      destination,
    });
    encodeIpv6(slab, at, {
      payloadBytes: messageBytes,
      protocol: IP_PROTOCOL.ICMPV6,
      source,
      destination,
      hopLimit: TTL,
      trafficClass: 0,
    });
  } else {
    messageBytes = encodeFragmentationNeeded(slab, message, mtu, quoteBytes);
    encodeIpv4(slab, at, {
      totalBytes: headerBytes + messageBytes,
      protocol: IP_PROTOCOL.ICMP,
      source: source[3] as number,
      destination: destination[3] as number,
      trafficClass: 0,
      ttl: TTL,
      hasDontFragment: false,
    });
  }
  messages.length[j] = headerBytes + messageBytes;
  return true;
}
