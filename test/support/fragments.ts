import { encodeIpv4, IPV4_HEADER_BYTES } from '../../src/packet/ipv4.ts';
import { internetChecksum } from '../../src/packet/checksum.ts';
import { writeAddress } from '../../src/packet/address.ts';
import { words } from './packet-vectors.ts';

export interface FragmentTest {
  readonly source?: string;
  readonly destination?: string;
  readonly protocol?: number;
  readonly identification?: number;
  /** In bytes, a multiple of 8. */
  readonly offset: number;
  readonly hasMore: boolean;
  readonly data: Uint8Array;
  readonly ecn?: number;
  readonly hasDontFragment?: boolean;
}

/** One IPv4 fragment, made apart from src/packet/fragmentation.ts. */
export function fragment4(test: FragmentTest): Buffer {
  const packet = Buffer.alloc(IPV4_HEADER_BYTES + test.data.length);
  encodeIpv4(packet, 0, {
    totalBytes: packet.length,
    protocol: test.protocol ?? 50,
    source: words(test.source ?? '192.0.2.101')[3] as number,
    destination: words(test.destination ?? '192.0.2.10')[3] as number,
    identification: test.identification ?? 7,
    trafficClass: test.ecn ?? 0,
  });
  const flags = (test.hasDontFragment === true ? 0x4000 : 0) | (test.hasMore ? 0x2000 : 0);
  packet.writeUInt16BE(flags | (test.offset / 8), 6);
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(internetChecksum(packet, 0, IPV4_HEADER_BYTES), 10);
  packet.set(test.data, IPV4_HEADER_BYTES);
  return packet;
}

/** One IPv6 fragment, made apart from src/packet/fragmentation.ts. */
export function fragment6(test: FragmentTest): Buffer {
  const packet = Buffer.alloc(48 + test.data.length);
  packet.writeUInt32BE(0x6000_0000 + (test.ecn ?? 0) * 0x10_0000, 0);
  packet.writeUInt16BE(8 + test.data.length, 4);
  packet.writeUInt8(44, 6);
  packet.writeUInt8(64, 7);
  writeAddress(packet, 8, words(test.source ?? '2001:db8::101'));
  writeAddress(packet, 24, words(test.destination ?? '2001:db8:1::10'));
  packet.writeUInt8(test.protocol ?? 50, 40);
  packet.writeUInt16BE(test.offset | (test.hasMore ? 1 : 0), 42);
  packet.writeUInt32BE(test.identification ?? 7, 44);
  packet.set(test.data, 48);
  return packet;
}
