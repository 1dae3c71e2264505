import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ADDRESS_WORDS, readIpv6Address, setIpv4Address } from '../packet/address.ts';
import type { AddressSet } from '../packet/address-map.ts';
import { uint8 } from '../packet/bytes.ts';
import { EspHeader, NAT_TRAVERSAL_PORT, parseEsp } from '../packet/esp-header.ts';
import { Ipv4Header, parseIpv4 } from '../packet/ipv4.ts';
import { IPV6_DESTINATION_OFFSET, IPV6_SOURCE_OFFSET, Ipv6Header, parseIpv6 } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { parseUdp, UDP_HEADER_BYTES, UdpHeader } from '../packet/udp.ts';
import { classifyAgain } from './runs.ts';
import type { PacketVector } from './vector.ts';

const FRAGMENT = verdictOf('fragment');
const TRUNCATED = verdictOf('truncated');
const NOT_ESP = verdictOf('not-esp');
const OUTER_NOT_DVIPA = verdictOf('outer-not-dvipa');
const CLEAR = verdictOf('clear');

const ipv4 = new Ipv4Header();
const ipv6 = new Ipv6Header();
const udp = new UdpHeader();
const esp = new EspHeader();

/** The outer destinations that are ours. */
export interface ClusterAddresses {
  /** Where IKE and ESP arrive: tunnel endpoints, and DVIPAs that are their own endpoint. */
  readonly endpoints: AddressSet;
  readonly dvipas: AddressSet;
}

/**
 * Step 1 on both hosts (claims 2 and 3): is the datagram ESP, native or in UDP, to a DVIPA or an endpoint? Fills in the
 * outer addresses and ports, SPI, sequence number and where ESP lies; trims link padding. The packet stays whole. The inner
 * columns get family and addresses of the outer header: in transport mode they are the inner ones.
 * Anything else to a DVIPA is `clear`, to an endpoint `not-esp`, to others `outer-not-dvipa`.
 */
export function classify(vector: PacketVector, addresses: ClusterAddresses): void {
  let isAfterEsp = false;
  for (let i = 0; i < vector.count; i++) {
    const isLeft = vector.verdict[i] === KEEP;
    const isSame = isLeft && isAfterEsp && classifyAgain(vector, i);
    vector.sameOuter[i] = isSame ? 1 : 0;
    if (isLeft && !isSame) vector.verdict[i] = classifyOne(vector, i, addresses);
    isAfterEsp = vector.verdict[i] === KEEP;
  }
}

/** The outer source is an address of this cluster: no peer sends from there (RFC 4301 section 5.2 refuses nothing else of it). */
export function isFromOurselves(
  vector: PacketVector,
  i: number,
  { endpoints, dvipas }: ClusterAddresses,
): boolean {
  const words = i * ADDRESS_WORDS;
  return endpoints.has(vector.outerSource, words) || dvipas.has(vector.outerSource, words);
}

function classifyOne(vector: PacketVector, i: number, addresses: ClusterAddresses): Verdict {
  const bad = readOuterHeader(vector, i);
  if (bad !== KEEP) return bad;
  const words = i * ADDRESS_WORDS;
  const isEndpoint = addresses.endpoints.has(vector.outerDestination, words);
  const isDvipa = addresses.dvipas.has(vector.outerDestination, words);
  if (!isEndpoint && !isDvipa) return OUTER_NOT_DVIPA;
  const header = vector.family[i] === 6 ? ipv6 : ipv4;
  if (header.isFragment) return FRAGMENT;
  if (!isEndpoint) return CLEAR;
  const at = (vector.offset[i] as number) + header.headerBytes;
  const bytes = header.totalBytes - header.headerBytes;
  if (header.protocol === IP_PROTOCOL.ESP) return readEsp(vector, i, at, bytes);
  if (header.protocol === IP_PROTOCOL.UDP) {
    const badUdp = parseUdp(vector.slab, at, bytes, udp);
    if (badUdp !== KEEP) return badUdp;
    if (udp.destinationPort === NAT_TRAVERSAL_PORT) {
      vector.outerSourcePort[i] = udp.sourcePort;
      vector.outerDestinationPort[i] = udp.destinationPort;
      return readEsp(vector, i, at + UDP_HEADER_BYTES, udp.payloadBytes);
    }
  }
  return isDvipa ? CLEAR : NOT_ESP;
}

/** Reads the IP header into `ipv4` or `ipv6`, and its addresses into the columns. */
function readOuterHeader(vector: PacketVector, i: number): Verdict {
  const { slab } = vector;
  const offset = vector.offset[i] as number;
  const length = vector.length[i] as number;
  if (length < 1) return TRUNCATED;
  const isIpv6 = uint8(slab, offset) >> 4 === 6;
  const bad = isIpv6 ? parseIpv6(slab, offset, length, ipv6) : parseIpv4(slab, offset, length, ipv4);
  if (bad !== KEEP) return bad;
  const words = i * ADDRESS_WORDS;
  if (isIpv6) {
    readIpv6Address(slab, offset + IPV6_SOURCE_OFFSET, vector.outerSource, words);
    readIpv6Address(slab, offset + IPV6_DESTINATION_OFFSET, vector.outerDestination, words);
  } else {
    setIpv4Address(vector.outerSource, words, ipv4.source);
    setIpv4Address(vector.outerDestination, words, ipv4.destination);
  }
  for (let word = words; word < words + ADDRESS_WORDS; word++) {
    vector.innerSource[word] = vector.outerSource[word] as number;
    vector.innerDestination[word] = vector.outerDestination[word] as number;
  }
  vector.family[i] = isIpv6 ? 6 : 4;
  vector.length[i] = isIpv6 ? ipv6.totalBytes : ipv4.totalBytes;
  vector.outerOffset[i] = offset;
  vector.outerSourcePort[i] = 0;
  vector.outerDestinationPort[i] = 0;
  return KEEP;
}

function readEsp(vector: PacketVector, i: number, at: number, bytes: number): Verdict {
  const bad = parseEsp(vector.slab, at, bytes, esp);
  if (bad !== KEEP) return bad;
  vector.espOffset[i] = at;
  vector.espLength[i] = bytes;
  vector.spi[i] = esp.spi;
  vector.sequenceLow[i] = esp.sequence;
  vector.sequenceHigh[i] = 0;
  return KEEP;
}
