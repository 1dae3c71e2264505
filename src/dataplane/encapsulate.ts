import { encodeIpv4, IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { encodeUdp, UDP_HEADER_BYTES } from '../packet/udp.ts';
import type { PacketVector } from './vector.ts';

/** The outer header of an outbound SA, IPv4 as host numbers. Replaced as a whole when the peer's mapping moves. */
export interface OuterHeader {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What the tunnel header takes from the inner one (RFC 4301 section 5.1.2.1; charon's copy_df, copy_ecn, copy_dscp). */
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: boolean;
}

const ECN_MASK = 3;

/**
 * Puts UDP (RFC 3948 section 2.1, checksum 0) and IPv4 in front of the sealed packet `i`; needs 28 bytes of
 * headroom. The kernel fills in the identification. `trafficClass` and `dontFragment` are the inner packet's.
 */
export function encapsulate(vector: PacketVector, i: number, outer: OuterHeader): void {
  const espBytes = vector.length[i] as number;
  const udpOffset = (vector.offset[i] as number) - UDP_HEADER_BYTES;
  const ipOffset = udpOffset - IPV4_HEADER_BYTES;
  const totalBytes = espBytes + UDP_HEADER_BYTES + IPV4_HEADER_BYTES;
  const inner = vector.trafficClass[i] as number;
  const trafficClass = (outer.copyDscp ? inner & ~ECN_MASK : 0) | (outer.copyEcn ? inner & ECN_MASK : 0);
  encodeUdp(vector.slab, udpOffset, outer.sourcePort, outer.destinationPort, espBytes);
  encodeIpv4(vector.slab, ipOffset, {
    totalBytes,
    protocol: IP_PROTOCOL.UDP,
    source: outer.source,
    destination: outer.destination,
    trafficClass,
    hasDontFragment: outer.copyDf && vector.dontFragment[i] === 1,
  });
  vector.offset[i] = ipOffset;
  vector.length[i] = totalBytes;
}
