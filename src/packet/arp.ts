import { type IpAddress, ipv4Address } from './address.ts';
import { BROADCAST, ETHERNET_HEADER_BYTES, ETHERTYPE, ethernetHeader, parseLinkAddress } from './ethernet.ts';

/*
 * ARP for IPv4 over Ethernet (RFC 826), big endian, behind the link-layer header:
 *
 * |  hardware type 1  |  protocol 0x0800  |  6  |  4  |  operation  |    0
 * |  sender's link address (6)  |  sender's IPv4 address (4)  |          8
 * |  target's link address (6)  |  target's IPv4 address (4)  |         18
 */
const ARP_BYTES = 28;
const ETHERNET_IPV4 = Buffer.from('0001080006040001', 'hex');
const OPERATION = { REQUEST: 1, REPLY: 2 } as const;

/**
 * A frame that asks who has an address without telling one of our own: a probe (RFC 5227 section 2.1.1). It fills no
 * neighbour's table.
 */
export function encodeArpProbe(source: Uint8Array, address: IpAddress): Buffer {
  const frame = Buffer.concat([
    ethernetHeader(parseLinkAddress(BROADCAST) as Buffer, source, ETHERTYPE.ARP),
    ETHERNET_IPV4,
    Buffer.alloc(ARP_BYTES - ETHERNET_IPV4.length),
  ]);
  frame.set(source.subarray(0, 6), ETHERNET_HEADER_BYTES + 8);
  frame.writeUInt32BE(address[3] as number, ETHERNET_HEADER_BYTES + 24);
  return frame;
}

/** Who says that it has an address: of a reply, or of anything else that an owner sends from it (RFC 5227 section 2.4). */
export interface AddressClaim {
  readonly address: IpAddress;
  /** The owner's link address, 6 bytes. */
  readonly link: Buffer;
}

/** Undefined: not ARP for IPv4 over Ethernet, or it claims nothing (a probe). */
export function parseArpClaim(frame: Buffer): AddressClaim | undefined {
  if (frame.length < ETHERNET_HEADER_BYTES + ARP_BYTES) return undefined;
  if (frame.readUInt16BE(12) !== ETHERTYPE.ARP) return undefined;
  const body = frame.subarray(ETHERNET_HEADER_BYTES, ETHERNET_HEADER_BYTES + ARP_BYTES);
  const operation = body.readUInt16BE(6);
  if (!body.subarray(0, 6).equals(ETHERNET_IPV4.subarray(0, 6))) return undefined;
  if (operation !== OPERATION.REQUEST && operation !== OPERATION.REPLY) return undefined;
  const sender = body.readUInt32BE(14);
  if (sender === 0) return undefined;
  return { address: ipv4Address(sender), link: Buffer.from(body.subarray(8, 14)) };
}
