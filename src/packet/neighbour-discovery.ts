import { KEEP } from '../base/verdict.ts';
import { addressOfBytes, type IpAddress, newAddress, writeAddress } from './address.ts';
import type { AddressClaim } from './arp.ts';
import { ETHERNET_HEADER_BYTES, ETHERTYPE, ethernetHeader } from './ethernet.ts';
import { Icmpv6Header, parseIcmpv6, writeIcmpv6Checksum } from './icmpv6.ts';
import { encodeIpv6, IPV6_DESTINATION_OFFSET, IPV6_HEADER_BYTES } from './ipv6.ts';
import { IP_PROTOCOL } from './protocols.ts';

/*
 * Neighbour solicitation and advertisement (RFC 4861 sections 4.3 and 4.4) behind the ICMPv6 type, code and checksum:
 *
 * |    flags (advertisement) or reserved    |   4
 * |            target address (16)          |   8
 */
const MESSAGE_BYTES = 24;
const TARGET_OFFSET = 8;
const SOURCE_OFFSET = 8;
const TYPE = { SOLICITATION: 135, ADVERTISEMENT: 136 } as const;
/** What crossed a router has less (section 7.1). */
const HOP_LIMIT = 255;

/**
 * A frame that asks who has an address, from no address, as duplicate address detection does (RFC 4862 section 5.4.2): its
 * owner answers to all nodes, and nobody learns anything of us.
 */
export function encodeDuplicateProbe(source: Uint8Array, address: IpAddress): Buffer {
  const low = (address[3] as number) & 0xff_ffff;
  const group = new Uint32Array([0xff020000, 0, 1, (0xff00_0000 | low) >>> 0]);
  const multicast = Buffer.from([0x33, 0x33, 0xff, low >>> 16, (low >>> 8) & 0xff, low & 0xff]);
  const packet = Buffer.alloc(IPV6_HEADER_BYTES + MESSAGE_BYTES);
  const nobody = newAddress();
  encodeIpv6(packet, 0, {
    payloadBytes: MESSAGE_BYTES,
    protocol: IP_PROTOCOL.ICMPV6,
    source: nobody,
    destination: group,
    hopLimit: HOP_LIMIT,
    trafficClass: 0,
  });
  packet.writeUInt8(TYPE.SOLICITATION, IPV6_HEADER_BYTES);
  writeAddress(packet, IPV6_HEADER_BYTES + TARGET_OFFSET, address);
  writeIcmpv6Checksum(packet, IPV6_HEADER_BYTES, MESSAGE_BYTES, nobody, 0, group, 0);
  return Buffer.concat([ethernetHeader(multicast, source, ETHERTYPE.IPV6), packet]);
}

/** Who advertises an address; undefined: no neighbour advertisement as RFC 4861 section 7.1.2 wants it. */
export function parseAdvertisement(frame: Buffer): AddressClaim | undefined {
  const packet = frame.subarray(ETHERNET_HEADER_BYTES);
  if (packet.length < IPV6_HEADER_BYTES + MESSAGE_BYTES) return undefined;
  if (frame.readUInt16BE(12) !== ETHERTYPE.IPV6 || packet.readUInt8(0) >> 4 !== 6) return undefined;
  if (packet.readUInt8(6) !== IP_PROTOCOL.ICMPV6 || packet.readUInt8(7) !== HOP_LIMIT) return undefined;
  const payloadBytes = packet.readUInt16BE(4);
  if (payloadBytes < MESSAGE_BYTES || payloadBytes > packet.length - IPV6_HEADER_BYTES) return undefined;
  const source = addressOfBytes(packet.subarray(SOURCE_OFFSET, IPV6_DESTINATION_OFFSET));
  const destination = addressOfBytes(packet.subarray(IPV6_DESTINATION_OFFSET, IPV6_HEADER_BYTES));
  const header = new Icmpv6Header();
  const verdict = parseIcmpv6(packet, IPV6_HEADER_BYTES, payloadBytes, source, 0, destination, 0, header);
  if (verdict !== KEEP || header.type !== TYPE.ADVERTISEMENT) return undefined;
  const at = IPV6_HEADER_BYTES + TARGET_OFFSET;
  return {
    address: addressOfBytes(packet.subarray(at, at + 16)),
    link: Buffer.from(frame.subarray(6, 12)),
  };
}
