import * as fc from 'fast-check';
import { isIpv4 } from '../../../src/packet/address.ts';
import { foldChecksum, internetChecksum, pseudoHeaderSum } from '../../../src/packet/checksum.ts';
import { IPV4_HEADER_BYTES } from '../../../src/packet/ipv4.ts';
import { IPV6_HEADER_BYTES } from '../../../src/packet/ipv6.ts';
import { IP_PROTOCOL } from '../../../src/packet/protocols.ts';
import {
  encodeTcp,
  TCP_CHECKSUM_OFFSET,
  TCP_FLAG,
  TCP_HEADER_BYTES,
  writeTcpChecksum,
} from '../../../src/packet/tcp.ts';
import { addr } from '../inner-packets.ts';
import { ipPacket } from '../ip-packets.ts';
import { pattern } from '../packet-vectors.ts';
import { VIRTIO, type VirtioHeader } from './tun-pair.ts';

/** A TCP segment with everything that a card or a receiver looks at. */
export interface Segment {
  readonly isIpv6: boolean;
  readonly port: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  /** TCP options, a multiple of 4 bytes. */
  readonly options: Buffer;
  /** IPv6 extension headers or IPv4 options. */
  readonly between: Buffer;
  readonly trafficClass: number;
  readonly hopLimit: number;
  readonly identification: number;
  readonly payload: Buffer;
}

const ADDRESSES = {
  4: { source: '10.1.1.1', destination: '203.0.113.10' },
  6: { source: '2001:db8:a::1', destination: '2001:db8:113::10' },
} as const;

export const PLAIN: Segment = {
  isIpv6: false,
  port: 40_000,
  sequence: 1000,
  acknowledgment: 77,
  flags: TCP_FLAG.ACK,
  window: 500,
  options: Buffer.from('0101080a0000000100000002', 'hex'),
  between: Buffer.alloc(0),
  trafficClass: 0,
  hopLimit: 64,
  identification: 1,
  payload: pattern(1000),
};

/** A destination options header (RFC 8200 section 4.6) with padding, before TCP. */
const DESTINATION_OPTIONS = Buffer.from('0600010400000000', 'hex');

/** Where TCP starts in a segment's packet. */
export function upperOf({ isIpv6, between }: Segment): number {
  return (isIpv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES) + between.length;
}

/** The packet, with right checksums. */
export function packetOf(segment: Segment): Buffer {
  const { isIpv6, options, between, payload, identification, trafficClass, hopLimit } = segment;
  const tcp = Buffer.alloc(TCP_HEADER_BYTES + options.length + payload.length);
  encodeTcp(tcp, 0, { ...segment, sourcePort: segment.port, destinationPort: 80 });
  tcp.writeUInt8((TCP_HEADER_BYTES + options.length) << 2, 12);
  tcp.set(options, TCP_HEADER_BYTES);
  tcp.set(payload, TCP_HEADER_BYTES + options.length);
  const addresses = ADDRESSES[isIpv6 ? 6 : 4];
  const [source, destination] = [addr(addresses.source), addr(addresses.destination)];
  writeTcpChecksum(tcp, 0, tcp.length, source, 0, destination, 0);
  const packet = ipPacket({
    ...addresses,
    protocol: isIpv6 && between.length > 0 ? IP_PROTOCOL.IPV6_DESTINATION : IP_PROTOCOL.TCP,
    payload: Buffer.concat([between, tcp]),
    hopLimit,
    trafficClass,
    hasDontFragment: true,
  });
  if (isIpv4(source)) {
    packet.writeUInt8(0x45 + between.length / 4, 0);
    packet.writeUInt16BE(identification, 4);
    packet.writeUInt16BE(0, 10);
    packet.writeUInt16BE(internetChecksum(packet, 0, upperOf(segment)), 10);
  }
  return packet;
}

/** The same as a kernel hands it over: the checksum field has the sum of the pseudo header. */
export function unfinished(segment: Segment): Buffer {
  const packet = packetOf(segment);
  const upper = upperOf(segment);
  const { source, destination } = ADDRESSES[segment.isIpv6 ? 6 : 4];
  const sum = pseudoHeaderSum(addr(source), 0, addr(destination), 0, IP_PROTOCOL.TCP, packet.length - upper);
  packet.writeUInt16BE(~foldChecksum(sum) & 0xffff, upper + TCP_CHECKSUM_OFFSET);
  return packet;
}

export function superHeader(segment: Segment, gsoSize: number): VirtioHeader {
  return {
    flags: VIRTIO.NEEDS_CHECKSUM,
    gsoType: segment.isIpv6 ? VIRTIO.GSO_TCP6 : VIRTIO.GSO_TCP4,
    headerBytes: upperOf(segment) + TCP_HEADER_BYTES + segment.options.length,
    gsoSize,
    checksumStart: upperOf(segment),
    checksumOffset: TCP_CHECKSUM_OFFSET,
  };
}

const { ACK, PSH, FIN, CWR, ECE } = TCP_FLAG;

/** Any segment that a kernel may hand over to be cut. */
export function anySuper(maxBytes: number): fc.Arbitrary<Segment> {
  const isIpv6 = fc.boolean();
  return isIpv6.chain((isIpv6) =>
    fc.record({
      isIpv6: fc.constant(isIpv6),
      port: fc.constant(40_000),
      sequence: fc.constantFrom(0, 5, 0xffff_fff0, 0x7fff_ffff),
      acknowledgment: fc.nat(),
      flags: fc.constantFrom(ACK, ACK | PSH, ACK | FIN | PSH, ACK | CWR | PSH, ACK | ECE),
      window: fc.nat({ max: 0xffff }),
      options: fc.integer({ min: 0, max: 10 }).map((words) => pattern(words * 4)),
      between: fc.constantFrom(
        Buffer.alloc(0),
        isIpv6 ? DESTINATION_OPTIONS : Buffer.from('01010101', 'hex'),
      ),
      trafficClass: fc.nat({ max: 255 }),
      hopLimit: fc.integer({ min: 1, max: 255 }),
      identification: fc.constantFrom(0, 9, 0xfffe),
      payload: fc.integer({ min: 1, max: maxBytes }).map((bytes) => pattern(bytes)),
    }),
  );
}
