import { isIpv4 } from '../../src/packet/address.ts';
import { encodeIpv4, IPV4_HEADER_BYTES } from '../../src/packet/ipv4.ts';
import { encodeIpv6, IPV6_HEADER_BYTES } from '../../src/packet/ipv6.ts';
import { IP_PROTOCOL } from '../../src/packet/protocols.ts';
import { encodeTcp, TCP_HEADER_BYTES, writeTcpChecksum } from '../../src/packet/tcp.ts';
import { encodeUdp, UDP_HEADER_BYTES, writeUdpChecksum } from '../../src/packet/udp.ts';
import { ACK, addr } from './inner-packets.ts';

/** Packets of either family; `inner-packets.ts` makes those of IPv4 that most tests need. */
export interface IpTest {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly hasDontFragment?: boolean;
}

export function ipPacket(given: IpTest): Buffer {
  const { payload, protocol, hopLimit = 64, trafficClass = 0 } = given;
  const [source, destination] = [addr(given.source), addr(given.destination)];
  const headerBytes = isIpv4(source) ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const packet = Buffer.alloc(headerBytes + payload.length);
  packet.set(payload, headerBytes);
  if (isIpv4(source)) {
    encodeIpv4(packet, 0, {
      totalBytes: packet.length,
      protocol,
      source: source[3] as number,
      destination: destination[3] as number,
      ttl: hopLimit,
      trafficClass,
      hasDontFragment: given.hasDontFragment ?? false,
    });
  } else {
    encodeIpv6(packet, 0, {
      payloadBytes: payload.length,
      protocol,
      source,
      destination,
      hopLimit,
      trafficClass,
    });
  }
  return packet;
}

export interface SegmentTest {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly flags?: number;
  readonly data?: string;
  /** Addresses that the checksum is computed for, where a NAT has changed those of the header. */
  readonly summedFor?: readonly [source: string, destination: string];
  readonly hopLimit?: number;
}

/** A TCP segment with its IP header. */
export function tcpSegment(given: SegmentTest): Buffer {
  const { sourcePort = 40_000, destinationPort = 80, flags = ACK, data = '' } = given;
  const [source, destination] = (given.summedFor ?? [given.source, given.destination]).map(addr);
  const payload = Buffer.alloc(TCP_HEADER_BYTES + data.length);
  encodeTcp(payload, 0, { sourcePort, destinationPort, flags });
  payload.write(data, TCP_HEADER_BYTES, 'latin1');
  writeTcpChecksum(payload, 0, payload.length, source as Uint32Array, 0, destination as Uint32Array, 0);
  return ipPacket({ ...given, protocol: IP_PROTOCOL.TCP, payload });
}

/** ESP as it stands on the outside network: native, or in UDP with these ports. */
export function espDatagram(
  esp: Uint8Array,
  outer: { source: string; destination: string; ports?: readonly [number, number] | undefined },
): Buffer {
  const { source, destination, ports } = outer;
  if (ports === undefined) return ipPacket({ source, destination, protocol: IP_PROTOCOL.ESP, payload: esp });
  const payload = Buffer.alloc(UDP_HEADER_BYTES + esp.length);
  encodeUdp(payload, 0, ports[0], ports[1], esp.length);
  payload.set(esp, UDP_HEADER_BYTES);
  if (source.includes(':'))
    writeUdpChecksum(payload, 0, payload.length, addr(source), 0, addr(destination), 0);
  return ipPacket({ source, destination, protocol: IP_PROTOCOL.UDP, payload });
}
