import { internetChecksum } from '../../../src/packet/checksum.ts';
import { parseIpv4Address } from '../../../src/packet/address.ts';

export function addressNumber(text: string): number {
  return parseIpv4Address(text) as number;
}

/** An IPv4 packet as hexadecimal text, without the help of the codecs under test. */
export function ipv4Hex(source: string, destination: string, protocol: number, payload: string): string {
  const packet = Buffer.alloc(20 + payload.length / 2);
  packet[0] = 0x45;
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(0x4000, 6);
  packet[8] = 64;
  packet[9] = protocol;
  packet.writeUInt32BE(addressNumber(source), 12);
  packet.writeUInt32BE(addressNumber(destination), 16);
  packet.writeUInt16BE(internetChecksum(packet, 0, 20), 10);
  packet.write(payload, 20, 'hex');
  return packet.toString('hex');
}

export function udpHex(sourcePort: number, destinationPort: number, payload: string): string {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  header.writeUInt16BE(8 + payload.length / 2, 4);
  return header.toString('hex') + payload;
}

/** An ICMP echo request with this payload. */
export function pingHex(payload: string): string {
  const message = Buffer.from(`0800000012340001${payload}`, 'hex');
  message.writeUInt16BE(internetChecksum(message, 0, message.length), 2);
  return message.toString('hex');
}
