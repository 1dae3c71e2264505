import { type IpAddress, isIpv4 } from '../packet/address.ts';
import { encodeIpv4, IPV4_HEADER_BYTES, type Ipv4Fields } from '../packet/ipv4.ts';
import { encodeIpv6, IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { encodeUdp, UDP_HEADER_BYTES } from '../packet/udp.ts';
import { ECN_MASK } from '../packet/traffic-class.ts';
import type { PacketVector } from './vector.ts';

/** The outer header of an outbound SA. Replaced as a whole when the peer moves. */
export interface OuterHeader {
  readonly mode: 'tunnel' | 'transport';
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** ESP in UDP (RFC 3948) with these ports; else native. */
  readonly hasUdpEncapsulation: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What the tunnel header takes from the inner one (RFC 4301 section 5.1.2.1, RFC 6040 section 4.1; charon's copy_df, copy_ecn, copy_dscp). */
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: boolean;
}

const TUNNEL_TTL = 64;

/** Of the packet at hand: one for all, since this is done for each. Addresses are signed here, for what is above 2^31 would be an object. */
const ipv4: { -readonly [Field in keyof Ipv4Fields]-?: Required<Ipv4Fields>[Field] } = {
  totalBytes: 0,
  protocol: 0,
  source: 0,
  destination: 0,
  ttl: TUNNEL_TTL,
  trafficClass: 0,
  identification: 0,
  hasDontFragment: false,
};

/** Bytes that stand in front of the ESP header. */
export function outerBytes({ source, hasUdpEncapsulation }: OuterHeader): number {
  return (
    (isIpv4(source) ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES) + (hasUdpEncapsulation ? UDP_HEADER_BYTES : 0)
  );
}

/**
 * Puts the outer headers in front of the sealed packet `i`: UDP where the SA is encapsulated (without a checksum: over IPv4
 * as RFC 3948 section 2.1 has it; over IPv6 the raw socket fills it in), then IP. In transport mode the header is the
 * inner packet's own, told anew. Needs 48 bytes of headroom. The kernel fills in the identification. `trafficClass`,
 * `dontFragment` and `hopLimit` are the inner packet's.
 */
export function encapsulate(vector: PacketVector, i: number, outer: OuterHeader): void {
  const protocol = outer.hasUdpEncapsulation ? IP_PROTOCOL.UDP : IP_PROTOCOL.ESP;
  if (outer.hasUdpEncapsulation) putUdp(vector, i, outer);
  const { slab } = vector;
  const payloadBytes = vector.length[i] as number;
  const isTunnel = outer.mode === 'tunnel';
  const trafficClass = isTunnel
    ? copiedClass(vector.trafficClass[i] as number, outer)
    : (vector.trafficClass[i] as number);
  const hopLimit = isTunnel ? TUNNEL_TTL : (vector.hopLimit[i] as number);
  if (isIpv4(outer.source)) {
    const offset = (vector.offset[i] as number) - IPV4_HEADER_BYTES;
    ipv4.totalBytes = payloadBytes + IPV4_HEADER_BYTES;
    ipv4.protocol = protocol;
    ipv4.source = (outer.source[3] as number) | 0;
    ipv4.destination = (outer.destination[3] as number) | 0;
    ipv4.ttl = hopLimit;
    ipv4.trafficClass = trafficClass;
    ipv4.hasDontFragment = (outer.copyDf || !isTunnel) && vector.dontFragment[i] === 1;
    encodeIpv4(slab, offset, ipv4);
    vector.offset[i] = offset;
    vector.length[i] = payloadBytes + IPV4_HEADER_BYTES;
  } else {
    const offset = (vector.offset[i] as number) - IPV6_HEADER_BYTES;
    encodeIpv6(slab, offset, {
      payloadBytes,
      protocol,
      source: outer.source,
      destination: outer.destination,
      hopLimit,
      trafficClass,
    });
    vector.offset[i] = offset;
    vector.length[i] = payloadBytes + IPV6_HEADER_BYTES;
  }
}

function putUdp(vector: PacketVector, i: number, outer: OuterHeader): void {
  const espBytes = vector.length[i] as number;
  const offset = (vector.offset[i] as number) - UDP_HEADER_BYTES;
  encodeUdp(vector.slab, offset, outer.sourcePort, outer.destinationPort, espBytes);
  vector.offset[i] = offset;
  vector.length[i] = espBytes + UDP_HEADER_BYTES;
}

function copiedClass(inner: number, outer: OuterHeader): number {
  return (outer.copyDscp ? inner & ~ECN_MASK : 0) | (outer.copyEcn ? inner & ECN_MASK : 0);
}
