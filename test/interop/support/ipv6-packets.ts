import { internetChecksum } from '../../../src/packet/checksum.ts';

/** 16 bytes as hexadecimal text, without the help of the codecs under test. */
export function addressHex(text: string): string {
  const [left = '', right] = text.split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const tail = right === undefined ? [] : groups(right);
  const middle = Array(8 - groups(left).length - tail.length).fill('0');
  return [...groups(left), ...middle, ...tail].map((group: string) => group.padStart(4, '0')).join('');
}

/** An IPv6 packet; a UDP or ICMPv6 payload gets its checksum, which is not optional here (RFC 8200 section 8.1). */
export function ipv6Hex(source: string, destination: string, next: number, payload: string): string {
  const addresses = addressHex(source) + addressHex(destination);
  const lengthHex = (payload.length / 2).toString(16).padStart(4, '0');
  const summed = withChecksum(addresses, next, payload);
  return `60000000${lengthHex}${next.toString(16).padStart(2, '0')}40${addresses}${summed}`;
}

function withChecksum(addresses: string, next: number, payload: string): string {
  const at = next === 17 ? 6 : next === 58 ? 2 : undefined;
  if (at === undefined || payload.length / 2 < at + 2) return payload;
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(payload.length / 2, 0);
  pseudo[7] = next;
  const bytes = Buffer.from(payload, 'hex');
  bytes.writeUInt16BE(0, at);
  const all = Buffer.concat([Buffer.from(addresses, 'hex'), pseudo, bytes]);
  bytes.writeUInt16BE(internetChecksum(all, 0, all.length) || 0xffff, at);
  return bytes.toString('hex');
}

/** The same packet in fragments of at most `bytes` bytes of payload (a multiple of 8), RFC 8200 section 4.5. */
export function fragmentsOf(packet: string, bytes: number, identification: number): string[] {
  const payload = packet.slice(80);
  const parts: string[] = [];
  for (let at = 0; at < payload.length; at += 2 * bytes) {
    const header = Buffer.alloc(8);
    header.write(packet.slice(12, 14), 0, 'hex');
    header.writeUInt16BE(at / 2 + (at + 2 * bytes < payload.length ? 1 : 0), 2);
    header.writeUInt32BE(identification, 4);
    const part = header.toString('hex') + payload.slice(at, at + 2 * bytes);
    const lengthHex = (part.length / 2).toString(16).padStart(4, '0');
    parts.push(`${packet.slice(0, 8)}${lengthHex}2c${packet.slice(14, 80)}${part}`);
  }
  return parts;
}

/** ICMPv6 with a type; the checksum comes with the packet. */
export function icmpv6Hex(type: number, payload: string): string {
  return `${type.toString(16).padStart(2, '0')}000000${payload}`;
}
