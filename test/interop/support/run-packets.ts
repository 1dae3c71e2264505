import { expect } from 'chai';
import * as fc from 'fast-check';
import { internetChecksum } from '../../../src/packet/checksum.ts';
import { ipv4Hex, udpHex } from './ipv4-packets.ts';
import { ipv6Hex } from './ipv6-packets.ts';

/*
 * Packets that may or may not be put into a run, as hexadecimal text, and what must arrive of them. Each ends with a number
 * of its own.
 */

const ENDPOINT = { 4: '192.0.2.10', 6: '2001:db8:2::10' } as const;
const PEERS = {
  4: ['192.0.2.101', '192.0.2.102', '198.51.100.7'],
  6: ['2001:db8:2::101', '2001:db8:2::102', '2001:db8:9::7'],
} as const;

/** What a packet is, if it is not ESP in UDP as an agent makes it. */
const ODD = ['native', 'other-port', 'checksummed', 'numbered', 'cut', 'options', 'length', 'flow'] as const;

export interface PacketSpec {
  readonly family: 4 | 6;
  readonly peer: 0 | 1 | 2;
  readonly port: number;
  /** Of the payload of UDP. */
  readonly bytes: number;
  readonly trafficClass: number;
  readonly hopLimit: number;
  readonly hasDf: boolean;
  readonly odd: (typeof ODD)[number] | undefined;
}

/** ESP in UDP to the first peer. */
export const PLAIN: PacketSpec = {
  family: 4,
  peer: 0,
  port: 4500,
  bytes: 1000,
  trafficClass: 0,
  hopLimit: 64,
  hasDf: true,
  odd: undefined,
};

/** One value nearly always: neighbours are often alike. */
function mostly<T>(value: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant(value) },
    { weight: 1, arbitrary: fc.constantFrom(value, ...others) },
  );
}

export const packetSpec: fc.Arbitrary<PacketSpec> = fc.record({
  family: fc.constantFrom(4 as const, 4 as const, 6 as const),
  peer: fc.constantFrom(0 as const, 0 as const, 1 as const, 2 as const),
  port: mostly(4500, 33_333),
  bytes: mostly(400, 12, 399, 401, 1400),
  trafficClass: mostly(0, 0x28, 2),
  hopLimit: mostly(64, 17),
  hasDf: mostly(true, false),
  odd: mostly<PacketSpec['odd']>(undefined, ...ODD),
});

/** Ends with `number`, and starts with what is no marker of IKE. */
function payloadOf(bytes: number, number: number): string {
  const payload = Buffer.alloc(bytes, 0xc1);
  payload.writeUInt32BE(number, bytes - 4);
  return payload.toString('hex');
}

function ipv4Packet(spec: PacketSpec, udp: string): Buffer {
  const { odd, peer, hasDf, trafficClass, hopLimit } = spec;
  const protocol = odd === 'native' ? 50 : 17;
  const packet = Buffer.from(ipv4Hex(ENDPOINT[4], PEERS[4][peer], protocol, udp), 'hex');
  if (odd === 'checksummed') packet.writeUInt16BE(0x1234, 26);
  if (odd === 'length') packet.writeUInt16BE(packet.length - 21, 24);
  if (odd === 'numbered') packet.writeUInt16BE(0x4321, 4);
  if (!hasDf || odd === 'cut') packet.writeUInt16BE(odd === 'cut' ? 0x2000 : 0, 6);
  packet[1] = trafficClass;
  packet[8] = hopLimit;
  if (odd !== 'options') return packet;
  packet[0] = 0x46;
  packet.writeUInt16BE(packet.length + 4, 2);
  return Buffer.concat([packet.subarray(0, 20), Buffer.from('01010101', 'hex'), packet.subarray(20)]);
}

function ipv6Packet({ odd, peer, trafficClass, hopLimit }: PacketSpec, udp: string): Buffer {
  const protocol = odd === 'native' ? 50 : 17;
  const packet = Buffer.from(ipv6Hex(ENDPOINT[6], PEERS[6][peer], protocol, udp), 'hex');
  packet.writeUInt16BE(0x6000 | (trafficClass << 4), 0);
  if (odd === 'flow') packet.writeUInt16BE(0x1234, 2);
  if (protocol === 17 && odd !== 'checksummed') packet.writeUInt16BE(0, 46); // as an agent makes it
  packet[7] = hopLimit;
  return packet;
}

export function packetHex(spec: PacketSpec, number: number): string {
  const { family, odd, port, bytes } = spec;
  const udp = udpHex(odd === 'other-port' ? 4501 : 4500, port, payloadOf(bytes, number));
  return (family === 4 ? ipv4Packet(spec, udp) : ipv6Packet(spec, udp)).toString('hex');
}

const isIpv4 = (packet: Buffer) => (packet[0] as number) >> 4 === 4;
export const numberOf = (packet: string): number => Number.parseInt(packet.slice(-8), 16);
export const destinationOf = (packet: string): string =>
  packet.startsWith('4') ? packet.slice(32, 40) : packet.slice(48, 80);

/** The sum over a UDP datagram and its pseudo-header, 0 if its checksum is right; the IPv4 header has no options. */
export function udpSum(packet: Buffer): number {
  const addresses = isIpv4(packet) ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const udp = packet.subarray(isIpv4(packet) ? 20 : 40);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(udp.length, 0);
  pseudo[7] = 17;
  const all = Buffer.concat([addresses, pseudo, udp]);
  return internetChecksum(all, 0, all.length);
}

/** Throws unless `arrived` is `sent`, but for an identification and for checksums that were left to the kernel. */
export function expectSamePacket(arrivedHex: string, sentHex: string): void {
  const [arrived, sent] = [Buffer.from(arrivedHex, 'hex'), Buffer.from(sentHex, 'hex')];
  if (isIpv4(sent)) {
    const headerBytes = ((sent[0] as number) & 0x0f) * 4;
    expect(internetChecksum(arrived, 0, headerBytes), 'checksum of the header').to.equal(0);
    sent.copy(arrived, 10, 10, 12);
    if (sent.readUInt16BE(4) === 0) sent.copy(arrived, 4, 4, 6);
    const isPlain = sent[0] === 0x45 && sent[9] === 17 && sent.readUInt16BE(26) === 0;
    if (isPlain && arrived.length === sent.length && arrived.readUInt16BE(26) !== 0) {
      expect(udpSum(arrived), 'checksum of UDP').to.equal(0);
      arrived.writeUInt16BE(0, 26);
    }
  } else if (sent[6] === 17 && sent.readUInt16BE(46) === 0 && arrived.length === sent.length) {
    expect(arrived.readUInt16BE(46), 'checksum of UDP over IPv6').to.not.equal(0);
    expect(udpSum(arrived), 'checksum of UDP over IPv6').to.equal(0);
    arrived.writeUInt16BE(0, 46);
  }
  expect(arrived.toString('hex')).to.equal(sent.toString('hex'));
}
