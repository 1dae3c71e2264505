/*
 * pcapng files (draft-ietf-opsawg-pcapng): blocks of type, length, body, length, in this machine's byte order, which the
 * section header tells; options of code, length, value, padded to four bytes.
 */

/** Packets begin with their IP header (LINKTYPE_RAW). */
export const LINKTYPE_RAW = 101;

const BLOCK = { SECTION: 0x0a0d0d0a, INTERFACE: 1, STATISTICS: 5, PACKET: 6 } as const;
const OPTION = {
  END: 0,
  COMMENT: 1,
  SECTION_APPLICATION: 4,
  INTERFACE_NAME: 2,
  TIME_RESOLUTION: 9,
  PACKET_DROPS: 4,
  STATISTICS_RECEIVED: 4,
  STATISTICS_DROPPED: 5,
} as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Of 10 to the power of minus 9. */
const NANOSECONDS = 9;
const MAX_OPTION_BYTES = 0xffff;

/** The block that begins a file: no length of the whole is known. */
export function sectionHeader(application: string): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  body.writeUInt16LE(1, 4); // version 1.0
  body.writeBigInt64LE(-1n, 8);
  return block(BLOCK.SECTION, body, [textOption(OPTION.SECTION_APPLICATION, application)]);
}

/** Interfaces are numbered in the order of their blocks, from 0. Times of their packets are nanoseconds. */
export function interfaceDescription(name: string, snapLength: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16LE(LINKTYPE_RAW, 0);
  body.writeUInt32LE(snapLength, 4);
  return block(BLOCK.INTERFACE, body, [
    textOption(OPTION.INTERFACE_NAME, name),
    option(OPTION.TIME_RESOLUTION, Buffer.from([NANOSECONDS])),
  ]);
}

export interface CapturedPacket {
  readonly interface: number;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly bytes: Uint8Array;
  /** Of the whole packet, of which `bytes` may be a part. */
  readonly wholeBytes: number;
  readonly comment?: string | undefined;
  /** Packets of the interface that were lost since the one before. */
  readonly lost?: number | undefined;
}

export function enhancedPacket(packet: CapturedPacket): Buffer {
  const { time, bytes, wholeBytes, comment, lost = 0 } = packet;
  const body = Buffer.alloc(20 + padded(bytes.length));
  body.writeUInt32LE(packet.interface, 0);
  body.writeUInt32LE(Number(time >> 32n) >>> 0, 4);
  body.writeUInt32LE(Number(time & 0xffff_ffffn), 8);
  body.writeUInt32LE(bytes.length, 12);
  body.writeUInt32LE(wholeBytes, 16);
  body.set(bytes, 20);
  return block(BLOCK.PACKET, body, [
    ...(comment === undefined ? [] : [textOption(OPTION.COMMENT, comment)]),
    ...(lost === 0 ? [] : [numberOption(OPTION.PACKET_DROPS, lost)]),
  ]);
}

/** What an interface had in all: packets that are in the file, and those that are not. */
export function interfaceStatistics(
  number: number,
  time: bigint,
  counts: { readonly received: number; readonly lost: number },
): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt32LE(number, 0);
  body.writeUInt32LE(Number(time >> 32n) >>> 0, 4);
  body.writeUInt32LE(Number(time & 0xffff_ffffn), 8);
  return block(BLOCK.STATISTICS, body, [
    numberOption(OPTION.STATISTICS_RECEIVED, counts.received),
    numberOption(OPTION.STATISTICS_DROPPED, counts.lost),
  ]);
}

function block(type: number, body: Buffer, options: readonly Buffer[]): Buffer {
  const end = options.length === 0 ? [] : [option(OPTION.END, Buffer.alloc(0))];
  const inside = Buffer.concat([body, ...options, ...end]);
  const length = inside.length + 12;
  const whole = Buffer.alloc(length);
  whole.writeUInt32LE(type, 0);
  whole.writeUInt32LE(length, 4);
  whole.set(inside, 8);
  whole.writeUInt32LE(length, length - 4);
  return whole;
}

function option(code: number, value: Buffer): Buffer {
  const cut = value.subarray(0, MAX_OPTION_BYTES);
  const bytes = Buffer.alloc(4 + padded(cut.length));
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt16LE(cut.length, 2);
  bytes.set(cut, 4);
  return bytes;
}

/** Text has no end mark. */
function textOption(code: number, text: string): Buffer {
  return option(code, Buffer.from(text, 'utf8'));
}

function numberOption(code: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return option(code, bytes);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
