import { addressNumber, ipv4Hex, udpHex } from '../ipv4-packets.ts';
import { internetChecksum } from '../../../../src/packet/checksum.ts';

/**
 * Bends datagrams of ESP in UDP over IPv4, byte by byte. What is known of the plaintext is what anybody may guess: TCP over
 * IPv4 in tunnel mode under AES-GCM, where a flipped bit of ciphertext is a flipped bit of the packet.
 *
 * ```
 * | IPv4 20 | UDP 8 | SPI 4 | number 4 | IV 8 | inner IPv4 20 | ports 4 | number, ack 8 | offset 1 | flags 1 | ... | ICV 16 |
 * 0         20      28      32         36     44              64        68              76         77
 * ```
 */
const SOURCE_AT = 12;
const UDP_AT = 20;
const SPI_AT = 28;
const NUMBER_AT = 32;
const INNER_PORTS_AT = 64;
const INNER_FLAGS_AT = 77;
const ICV_BYTES = 16;
const MIN_BYTES = INNER_FLAGS_AT + 1 + ICV_BYTES;

const ACK = 0x10;
/** What the flags become; those of almost every segment of the client are ACK alone. */
export const FLAGS = { syn: 0x02, rst: 0x04, fin: 0x11 } as const;
export type Flag = keyof typeof FLAGS;

/** ESP in UDP, whole, with room for an inner TCP header? */
export function isEspInUdp(packet: Buffer): boolean {
  return (
    packet.length >= MIN_BYTES &&
    packet.readUInt8(0) === 0x45 &&
    packet.readUInt8(9) === 17 &&
    (packet.readUInt16BE(6) & 0x3fff) === 0 &&
    packet.readUInt32BE(SPI_AT) !== 0
  );
}

export const sourceOf = (packet: Buffer) => packet.readUInt32BE(SOURCE_AT);
export const spiOf = (packet: Buffer) => packet.readUInt32BE(SPI_AT);
export const numberOf = (packet: Buffer) => packet.readUInt32BE(NUMBER_AT);

/** A copy to bend. Its UDP checksum is none: of a recorded one nobody knows whether it was ever computed. */
export function copyOf(packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  copy.writeUInt16BE(0, UDP_AT + 6);
  return copy;
}

export function setNumber(packet: Buffer, number: number): void {
  packet.writeUInt32BE(number >>> 0, NUMBER_AT);
}

export function setSource(packet: Buffer, address: string, port: number): void {
  packet.writeUInt32BE(addressNumber(address), SOURCE_AT);
  packet.writeUInt16BE(port, UDP_AT);
}

export function setSpi(packet: Buffer, spi: number): void {
  packet.writeUInt32BE(spi >>> 0, SPI_AT);
}

/** To the peek: a segment of another connection (each `mask` names one), which opens, resets or ends it. */
export function flipConnection(packet: Buffer, mask: number, flag: Flag): void {
  packet.writeUInt16BE(packet.readUInt16BE(INNER_PORTS_AT) ^ mask, INNER_PORTS_AT);
  flipFlags(packet, flag);
}

export function flipFlags(packet: Buffer, flag: Flag): void {
  packet.writeUInt8(packet.readUInt8(INNER_FLAGS_AT) ^ ACK ^ FLAGS[flag], INNER_FLAGS_AT);
}

export function flipIcv(packet: Buffer, bit: number): void {
  const at = packet.length - 1 - ((bit >> 3) % ICV_BYTES);
  packet.writeUInt8(packet.readUInt8(at) ^ (1 << (bit & 7)), at);
}

/** "Fragmentation needed" about a datagram that `endpoint` sent to `peer` under this SPI. */
export function tooBig(ends: Ends, spi: number, number: number, mtu: number): Buffer {
  const esp = Buffer.alloc(ESP_QUOTED_BYTES);
  esp.writeUInt32BE(spi >>> 0, 0);
  esp.writeUInt32BE(number >>> 0, 4);
  const udp = `${udpHex(ends.endpointPort, ends.peerPort, '').slice(0, 8)}05000000${esp.toString('hex')}`;
  const quote = Buffer.from(ipv4Hex(ends.endpoint, ends.peer, 17, udp), 'hex');
  quote.writeUInt16BE(QUOTED_TOTAL_BYTES, 2);
  quote.writeUInt16BE(0, 10);
  quote.writeUInt16BE(internetChecksum(quote, 0, 20), 10);
  const message = Buffer.concat([Buffer.from('0304000000000000', 'hex'), quote]);
  message.writeUInt16BE(mtu, 6);
  message.writeUInt16BE(internetChecksum(message, 0, message.length), 2);
  return Buffer.from(ipv4Hex(ROUTER_OF_NOBODY, ends.endpoint, 1, message.toString('hex')), 'hex');
}

export interface Ends {
  readonly endpoint: string;
  readonly endpointPort: number;
  readonly peer: string;
  readonly peerPort: number;
}

/** Behind the quoted headers; more than the SPI and the number need not be there (RFC 792). */
const ESP_QUOTED_BYTES = 8;
const QUOTED_TOTAL_BYTES = 1300;
const ROUTER_OF_NOBODY = '192.0.2.253';

/** A dispatch as the routing host would send it, or what a target would. */
export function greInUdp(from: string, to: string, epoch: number, dispatch: number, inner: Buffer): Buffer {
  const header = Buffer.from('300008000000000000000000', 'hex');
  header.writeUInt32BE(epoch >>> 0, 4);
  header.writeUInt32BE(dispatch >>> 0, 8);
  const payload = Buffer.concat([header, inner]).toString('hex');
  return Buffer.from(ipv4Hex(from, to, 17, udpHex(LINK_PORT, LINK_PORT, payload)), 'hex');
}

const LINK_PORT = 4754;

/** The first segment of a TCP connection in clear. */
export function clearSyn(from: string, to: string, sourcePort: number, port: number): Buffer {
  const segment = Buffer.alloc(20);
  segment.writeUInt16BE(sourcePort, 0);
  segment.writeUInt16BE(port, 2);
  segment.writeUInt32BE(0x1234_5678, 4);
  segment.writeUInt8(0x50, 12);
  segment.writeUInt8(FLAGS.syn, 13);
  segment.writeUInt16BE(0xffff, 14);
  const pseudo = Buffer.alloc(12);
  pseudo.writeUInt32BE(addressNumber(from), 0);
  pseudo.writeUInt32BE(addressNumber(to), 4);
  pseudo.writeUInt8(6, 9);
  pseudo.writeUInt16BE(segment.length, 10);
  segment.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, segment]), 0, 32), 16);
  return Buffer.from(ipv4Hex(from, to, 6, segment.toString('hex')), 'hex');
}

/** Tells the witness of which kind a packet is. */
export function tag(packet: Buffer, dscp: number): Buffer {
  packet.writeUInt8(dscp << 2, 1);
  return packet;
}
