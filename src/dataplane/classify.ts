import { KEEP, verdictOf } from '../base/verdict.ts';
import { EspHeader, NAT_TRAVERSAL_PORT, parseEsp } from '../packet/esp-header.ts';
import { Ipv4Header, parseIpv4 } from '../packet/ipv4.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { parseUdp, UDP_HEADER_BYTES, UdpHeader } from '../packet/udp.ts';
import type { PacketVector } from './vector.ts';

const FRAGMENT = verdictOf('fragment');
const NOT_ESP = verdictOf('not-esp');
const OUTER_NOT_DVIPA = verdictOf('outer-not-dvipa');
const CLEAR = verdictOf('clear');

const ipv4 = new Ipv4Header();
const udp = new UdpHeader();
const esp = new EspHeader();

/** The outer destinations that are ours, as host numbers. */
export interface ClusterAddresses {
  /** Where IKE and ESP arrive: tunnel endpoints, and DVIPAs that are their own endpoint. */
  readonly endpoints: ReadonlySet<number>;
  readonly dvipas: ReadonlySet<number>;
}

/**
 * Step 1 on both hosts (claims 2 and 3): is the datagram ESP in UDP to a DVIPA or an endpoint? Fills in the
 * outer addresses and ports, SPI, sequence number and where ESP lies; trims link padding. The packet stays whole.
 * Anything else to a DVIPA is `clear`, to an endpoint `not-esp`, to others `outer-not-dvipa`.
 */
export function classify(vector: PacketVector, addresses: ClusterAddresses): void {
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] === KEEP) vector.verdict[i] = classifyOne(vector, i, addresses);
  }
}

function classifyOne(vector: PacketVector, i: number, addresses: ClusterAddresses): number {
  const offset = vector.offset[i] as number;
  const bad = parseIpv4(vector.slab, offset, vector.length[i] as number, ipv4);
  if (bad !== KEEP) return bad;
  const isEndpoint = addresses.endpoints.has(ipv4.destination);
  const isDvipa = addresses.dvipas.has(ipv4.destination);
  if (!isEndpoint && !isDvipa) return OUTER_NOT_DVIPA;
  if (ipv4.isFragment) return FRAGMENT;
  if (!isEndpoint) return CLEAR;
  const other = isDvipa ? CLEAR : NOT_ESP;
  if (ipv4.protocol !== IP_PROTOCOL.UDP) return other;
  vector.length[i] = ipv4.totalBytes;
  const udpOffset = offset + ipv4.headerBytes;
  const badUdp = parseUdp(vector.slab, udpOffset, ipv4.totalBytes - ipv4.headerBytes, udp);
  if (badUdp !== KEEP) return badUdp;
  if (udp.destinationPort !== NAT_TRAVERSAL_PORT) return other;
  const espOffset = udpOffset + UDP_HEADER_BYTES;
  const badEsp = parseEsp(vector.slab, espOffset, udp.payloadBytes, esp);
  if (badEsp !== KEEP) return badEsp;
  vector.outerSource[i] = ipv4.source;
  vector.outerDestination[i] = ipv4.destination;
  vector.outerSourcePort[i] = udp.sourcePort;
  vector.outerDestinationPort[i] = udp.destinationPort;
  vector.espOffset[i] = espOffset;
  vector.espLength[i] = udp.payloadBytes;
  vector.spi[i] = esp.spi;
  vector.sequenceLow[i] = esp.sequence;
  vector.sequenceHigh[i] = 0;
  return KEEP;
}
