import { familyOf, type IpAddress, parseAddress } from '../packet/address.ts';
import { encodeIpv4, IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { encodeIpv6, IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { writeIcmpv6Checksum } from '../packet/icmpv6.ts';
import { internetChecksum } from '../packet/checksum.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { encodeTcp, TCP_FLAG, TCP_HEADER_BYTES, writeTcpChecksum } from '../packet/tcp.ts';
import { encodeUdp, UDP_HEADER_BYTES, writeUdpChecksum } from '../packet/udp.ts';

export interface PacketFields {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly fromPort: number;
  readonly toPort: number;
  /** Of TCP. */
  readonly flags: 'syn' | 'ack' | 'fin' | 'rst';
  readonly dataBytes: number;
}

const FLAGS = { syn: TCP_FLAG.SYN, ack: TCP_FLAG.ACK, fin: TCP_FLAG.FIN | TCP_FLAG.ACK, rst: TCP_FLAG.RST };
const ICMP_BYTES = 8;
const ECHO_REQUEST = { ICMP: 8, ICMPV6: 128 };

/** A packet as a host would send it, with right checksums; ICMP is an echo request. Throws on addresses that are none. */
export function makePacket(fields: PacketFields): Buffer {
  const [source, destination] = [addressOf(fields.from), addressOf(fields.to)];
  if (familyOf(source) !== familyOf(destination))
    throw new Error(`trace: ${fields.from} and ${fields.to} are of different families`);
  const isIpv4 = familyOf(source) === 4;
  const upper = upperOf(fields, source, destination);
  const headerBytes = isIpv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const packet = Buffer.alloc(headerBytes + upper.length);
  if (isIpv4) {
    encodeIpv4(packet, 0, {
      totalBytes: packet.length,
      protocol: fields.protocol,
      source: source[3] as number,
      destination: destination[3] as number,
      hasDontFragment: true,
    });
  } else {
    encodeIpv6(packet, 0, { payloadBytes: upper.length, protocol: fields.protocol, source, destination });
  }
  packet.set(upper, headerBytes);
  return packet;
}

function upperOf(fields: PacketFields, source: IpAddress, destination: IpAddress): Buffer {
  const { protocol, fromPort, toPort, flags, dataBytes } = fields;
  switch (protocol) {
    case IP_PROTOCOL.TCP: {
      const upper = Buffer.alloc(TCP_HEADER_BYTES + dataBytes);
      encodeTcp(upper, 0, { sourcePort: fromPort, destinationPort: toPort, flags: FLAGS[flags] });
      writeTcpChecksum(upper, 0, upper.length, source, 0, destination, 0);
      return upper;
    }
    case IP_PROTOCOL.UDP: {
      const upper = Buffer.alloc(UDP_HEADER_BYTES + dataBytes);
      encodeUdp(upper, 0, fromPort, toPort, dataBytes);
      writeUdpChecksum(upper, 0, upper.length, source, 0, destination, 0);
      return upper;
    }
    case IP_PROTOCOL.ICMP: {
      const upper = Buffer.alloc(ICMP_BYTES + dataBytes);
      upper.writeUInt8(ECHO_REQUEST.ICMP, 0);
      upper.writeUInt16BE(internetChecksum(upper, 0, upper.length), 2);
      return upper;
    }
    case IP_PROTOCOL.ICMPV6: {
      const upper = Buffer.alloc(ICMP_BYTES + dataBytes);
      upper.writeUInt8(ECHO_REQUEST.ICMPV6, 0);
      writeIcmpv6Checksum(upper, 0, upper.length, source, 0, destination, 0);
      return upper;
    }
    default:
      return Buffer.alloc(dataBytes);
  }
}

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`trace: ${text}: expected an IP address`);
  return address;
}
