import { encodeIpv4, IPV4_HEADER_BYTES } from '../../src/packet/ipv4.ts';
import { type IpAddress, parseAddress, parseIpv4Address } from '../../src/packet/address.ts';
import { IP_PROTOCOL } from '../../src/packet/protocols.ts';
import { encodeTcp, TCP_FLAG, TCP_HEADER_BYTES, writeTcpChecksum4 } from '../../src/packet/tcp.ts';
import { encodeUdp, UDP_HEADER_BYTES } from '../../src/packet/udp.ts';

/** The lab's addresses. */
export const DVIPA = '203.0.113.10';
export const OTHER_DVIPA = '203.0.113.11';
export const ENDPOINT = '192.0.2.10';
export const CLIENT = '192.0.2.101';
export const CLIENT_INNER = '10.1.1.1';

/** Of documentation networks (RFC 3849). */
export const DVIPA6 = '2001:db8:113::10';
export const ENDPOINT6 = '2001:db8:2::10';
export const CLIENT6 = '2001:db8:2::101';
export const CLIENT6_INNER = '2001:db8:a::1';

export const { SYN, ACK, FIN, RST } = TCP_FLAG;

/** Address text to four words; the tests know what they write. */
export function addr(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
}

/** IPv4 text to host number. */
export function ip(text: string): number {
  const number = parseIpv4Address(text);
  if (number === undefined) throw new Error(`${text} is no IPv4 address`);
  return number;
}

export interface Ipv4Test {
  readonly source?: string;
  readonly destination?: string;
  readonly protocol?: number;
  readonly payload?: Uint8Array;
  readonly trafficClass?: number;
  readonly hasDontFragment?: boolean;
  /** Bytes 6 and 7 as they stand in the header: flags and fragment offset. */
  readonly fragment?: number;
}

/** An IPv4 packet, by default from the client's inner address to the DVIPA. */
export function ipv4(fields: Ipv4Test): Buffer {
  const payload = fields.payload ?? new Uint8Array(0);
  const packet = Buffer.alloc(IPV4_HEADER_BYTES + payload.length);
  encodeIpv4(packet, 0, {
    totalBytes: packet.length,
    protocol: fields.protocol ?? 253,
    source: ip(fields.source ?? CLIENT_INNER),
    destination: ip(fields.destination ?? DVIPA),
    trafficClass: fields.trafficClass ?? 0,
    hasDontFragment: fields.hasDontFragment ?? false,
  });
  if (fields.fragment !== undefined) packet.writeUInt16BE(fields.fragment, 6);
  packet.set(payload, IPV4_HEADER_BYTES);
  return packet;
}

export interface TcpTest extends Ipv4Test {
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly flags?: number;
  readonly data?: string;
}

/** A TCP segment with a right checksum, by default the client's SYN to port 80 of the DVIPA. */
export function tcp(fields: TcpTest = {}): Buffer {
  const data = Buffer.from(fields.data ?? '', 'latin1');
  const payload = Buffer.alloc(TCP_HEADER_BYTES + data.length);
  const { sourcePort = 40_000, destinationPort = 80, flags = SYN } = fields;
  encodeTcp(payload, 0, { sourcePort, destinationPort, flags });
  payload.set(data, TCP_HEADER_BYTES);
  const [source, destination] = [ip(fields.source ?? CLIENT_INNER), ip(fields.destination ?? DVIPA)];
  writeTcpChecksum4(payload, 0, payload.length, source, destination);
  return ipv4({ ...fields, protocol: IP_PROTOCOL.TCP, payload });
}

/** The answer's direction: from the DVIPA's port 80 to the client. */
export function reply(fields: TcpTest = {}): Buffer {
  return tcp({
    source: DVIPA,
    destination: CLIENT_INNER,
    sourcePort: 80,
    destinationPort: 40_000,
    flags: ACK,
    ...fields,
  });
}

export function udp(
  fields: Ipv4Test & { sourcePort?: number; destinationPort?: number; data?: Uint8Array },
): Buffer {
  const data = fields.data ?? new Uint8Array(0);
  const payload = Buffer.alloc(UDP_HEADER_BYTES + data.length);
  encodeUdp(payload, 0, fields.sourcePort ?? 5353, fields.destinationPort ?? 53, data.length);
  payload.set(data, UDP_HEADER_BYTES);
  return ipv4({ ...fields, protocol: IP_PROTOCOL.UDP, payload });
}

export function icmpEcho(fields: Ipv4Test = {}): Buffer {
  return ipv4({ ...fields, protocol: IP_PROTOCOL.ICMP, payload: Buffer.from('0800f7ff00000000', 'hex') });
}

/** A datagram of ESP in UDP as it stands on the outside network, by default from the client to the endpoint. */
export function espInUdp(
  esp: Uint8Array,
  outer: Ipv4Test & { sourcePort?: number; destinationPort?: number } = {},
): Buffer {
  return udp({
    source: CLIENT,
    destination: ENDPOINT,
    sourcePort: 4500,
    destinationPort: 4500,
    ...outer,
    data: esp,
  });
}
