import { expect } from 'chai';
import { KEEP } from '../../../src/base/verdict.ts';
import { internetChecksum } from '../../../src/packet/checksum.ts';
import { TCP_FLAG } from '../../../src/packet/tcp.ts';
import { cutTcp } from '../../../src/packet/tcp-segmentation.ts';
import type { Segment } from './segments.ts';
import { VIRTIO, type VirtioHeader } from './tun-pair.ts';

const { PSH } = TCP_FLAG;

/** A write to the kernel. */
export interface Write {
  readonly header: VirtioHeader;
  readonly packet: Buffer;
}

/** `segment` in pieces of `size`, as a sender would make them: PSH on the last. */
export function train(segment: Segment, size: number): Segment[] {
  const pieces: Segment[] = [];
  const { payload, flags, sequence, identification } = segment;
  for (let at = 0; at < payload.length; at += size) {
    const isLast = at + size >= payload.length;
    pieces.push({
      ...segment,
      sequence: (sequence + at) >>> 0,
      identification: (identification + pieces.length) & 0xffff,
      flags: isLast ? flags : flags & ~PSH,
      payload: payload.subarray(at, at + size),
    });
  }
  return pieces;
}

/** A write as the receiver's stack has it: cut again, as the TypeScript does. */
export function receivedFrom({ header, packet }: Write): Buffer[] {
  if (header.gsoType === VIRTIO.GSO_NONE) return [packet];
  const pieces: Buffer[] = [];
  const mtu = header.headerBytes + header.gsoSize;
  const verdict = cutTcp(
    packet,
    0,
    packet.length,
    header.checksumStart,
    mtu,
    Buffer.alloc(mtu),
    (slab, at, length) => pieces.push(Buffer.from(slab.subarray(at, at + length))),
  );
  expect(verdict).to.equal(KEEP);
  expect(pieces.length, 'a join of one').to.be.greaterThan(1);
  return pieces;
}

/** Without the identification, which says nothing of what is no fragment, and the header's checksum, if that was right. */
export function comparable(packet: Buffer): string {
  const copy = Buffer.from(packet);
  if (copy.readUInt8(0) >> 4 === 4 && internetChecksum(copy, 0, 20) === 0) {
    copy.writeUInt16BE(0, 4);
    copy.writeUInt16BE(0, 10);
  }
  return copy.toString('hex');
}

/** Which connection. What is no TCP, or a fragment, is none and may overtake. */
export function flowOf(packet: Buffer): string {
  if (packet.length < 44) return '';
  if (packet.readUInt8(0) >> 4 === 6) return `${packet[6]} ${packet.toString('hex', 8, 44)}`;
  return `${packet[0]} ${packet.readUInt16BE(6) & 0x3fff} ${packet[9]} ${packet.toString('hex', 12, 24)}`;
}

/** The packets of each connection, in order. */
export function byFlow(packets: readonly Buffer[]): Map<string, string[]> {
  const flows = new Map<string, string[]>();
  for (const packet of packets) {
    const flow = flowOf(packet);
    flows.set(flow, [...(flows.get(flow) ?? []), comparable(packet)]);
  }
  return flows;
}
