import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ADDRESS_WORDS, copyAddress, newAddress } from '../packet/address.ts';
import { encodeIpv4, IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { encodeIpv6, IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { refreshUpperChecksum } from '../packet/upper-checksum.ts';
import type { PacketVector } from './vector.ts';

const TOO_BIG = verdictOf('too-big');

const IP_TOTAL_MAX = 0xffff;

const source = newAddress();
const destination = newAddress();

/*
 * Transport mode (RFC 4303 section 3.1.1): ESP stands between the IP header and the upper layer, so the inner packet is the
 * outer IP header around what ESP carried.
 */

/**
 * Puts the IP header of opened packet `i` in front of its payload again, with the protocol that the trailer named. Options
 * and extension headers of the outer header are not kept. `isTranslated`: a NAT may be on the way, and the peer wrote the
 * upper checksum for other addresses, so it is made anew (RFC 3948 section 3.1.2); the ICV vouches for the bytes.
 */
export function restoreTransportHeader(vector: PacketVector, i: number, isTranslated: boolean): Verdict {
  const { slab } = vector;
  const outer = vector.outerOffset[i] as number;
  const payload = vector.offset[i] as number;
  const payloadBytes = vector.length[i] as number;
  const protocol = vector.nextHeader[i] as number;
  const words = i * ADDRESS_WORDS;
  copyAddress(vector.outerSource, words, source, 0);
  copyAddress(vector.outerDestination, words, destination, 0);
  const isIpv6 = slab.readUInt8(outer) >> 4 === 6;
  const headerBytes = isIpv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
  if (headerBytes + payloadBytes > IP_TOTAL_MAX) return TOO_BIG;
  if (isTranslated) {
    const bad = refreshUpperChecksum(slab, payload, payloadBytes, protocol, source, 0, destination, 0);
    if (bad !== KEEP) return bad;
  }
  if (isIpv6) {
    const trafficClass = (slab.readUInt16BE(outer) >> 4) & 255;
    const hopLimit = slab.readUInt8(outer + 7);
    encodeIpv6(slab, payload - headerBytes, {
      payloadBytes,
      protocol,
      source,
      destination,
      hopLimit,
      trafficClass,
    });
  } else {
    encodeIpv4(slab, payload - headerBytes, {
      totalBytes: headerBytes + payloadBytes,
      protocol,
      source: source[3] as number,
      destination: destination[3] as number,
      trafficClass: slab.readUInt8(outer + 1),
      identification: slab.readUInt16BE(outer + 4),
      hasDontFragment: (slab.readUInt8(outer + 6) & 0x40) !== 0,
      ttl: slab.readUInt8(outer + 8),
    });
  }
  vector.offset[i] = payload - headerBytes;
  vector.length[i] = headerBytes + payloadBytes;
  return KEEP;
}

/**
 * Takes the IP header off inner packet `i` that is to be sealed: what is behind it is ESP's payload, and the protocol its next
 * header. The header is written anew in front of ESP (`encapsulate`). IPv6 extension headers go into the payload.
 */
export function takeTransportPayload(vector: PacketVector, i: number): void {
  const { slab } = vector;
  const at = vector.offset[i] as number;
  const isIpv6 = vector.family[i] === 6;
  const headerBytes = isIpv6 ? IPV6_HEADER_BYTES : (slab.readUInt8(at) & 15) * 4;
  vector.nextHeader[i] = slab.readUInt8(at + (isIpv6 ? 6 : 9));
  vector.offset[i] = at + headerBytes;
  vector.length[i] = (vector.length[i] as number) - headerBytes;
}
