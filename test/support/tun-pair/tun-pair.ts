import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PacketVector } from '../../../src/dataplane/vector.ts';
import type { NativeHandle, PacketIo } from '../../../src/io/native.ts';

/** struct virtio_net_hdr (virtio 1.2 section 5.1.6), little endian. */
export interface VirtioHeader {
  readonly flags: number;
  readonly gsoType: number;
  readonly headerBytes: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

export const VIRTIO = {
  HEADER_BYTES: 10,
  NEEDS_CHECKSUM: 1,
  GSO_NONE: 0,
  GSO_TCP4: 1,
  GSO_TCP6: 4,
  GSO_UDP: 5,
  GSO_ECN: 0x80,
} as const;

export const NO_OFFLOAD: VirtioHeader = {
  flags: 0,
  gsoType: 0,
  headerBytes: 0,
  gsoSize: 0,
  checksumStart: 0,
  checksumOffset: 0,
};

interface PairIo extends PacketIo {
  tunPair(sendBufferBytes: number, queues: number): [NativeHandle, ...number[]];
  tunPairGive(descriptor: number, bytes: Uint8Array): boolean;
  tunPairTake(descriptor: number, buffer: Uint8Array): number;
}

export const REFUSED = 7;
export const TOO_BIG = 8;
const SEND_BUFFER_BYTES = 212_992;

let loaded: PairIo | undefined;

/** Built once a process, from the sources as they are; $DVIPA_TUN_PAIR names one that is built. */
function pairIo(): PairIo {
  const require = createRequire(import.meta.url);
  const built = process.env['DVIPA_TUN_PAIR'];
  if (built !== undefined) loaded ??= require(built) as PairIo;
  if (loaded !== undefined) return loaded;
  const folder = mkdtempSync(join(tmpdir(), 'dvipa-tun-pair-'));
  try {
    const file = join(folder, 'tun-pair.node');
    execFileSync(fileURLToPath(new URL('./build', import.meta.url)), [file], { stdio: 'inherit' });
    loaded = require(file) as PairIo;
    return loaded;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the addon makes of a TUN with virtio headers, of one queue or several, and its kernel, played by the test. */
export class TunPair {
  readonly #io = pairIo();
  readonly #endpoint: NativeHandle;
  readonly #kernel: readonly number[];
  readonly #buffer = Buffer.alloc(70_000);

  constructor(sendBufferBytes = SEND_BUFFER_BYTES, queues = 1) {
    [this.#endpoint, ...this.#kernel] = this.#io.tunPair(sendBufferBytes, queues);
  }

  /** So many threads from now on; returns what ends them. */
  useCrew(workers: number): () => void {
    const crew = this.#io.crewOpen(workers);
    this.#io.endpointCrew(this.#endpoint, crew);
    return () => this.#io.crewClose(crew);
  }

  /** The kernel has this to be read. */
  give(header: VirtioHeader, packet: Uint8Array, queue = 0): void {
    const bytes = Buffer.alloc(VIRTIO.HEADER_BYTES);
    bytes.writeUInt8(header.flags, 0);
    bytes.writeUInt8(header.gsoType, 1);
    bytes.writeUInt16LE(header.headerBytes, 2);
    bytes.writeUInt16LE(header.gsoSize, 4);
    bytes.writeUInt16LE(header.checksumStart, 6);
    bytes.writeUInt16LE(header.checksumOffset, 8);
    this.giveBytes(Buffer.concat([bytes, packet]), queue);
  }

  giveBytes(bytes: Uint8Array, queue = 0): void {
    if (!this.#io.tunPairGive(this.#kernelEnd(queue), bytes)) throw new Error('the socket is full');
  }

  /** The next write to the kernel on a queue; undefined: there is none. */
  take(queue = 0): { header: VirtioHeader; packet: Buffer } | undefined {
    const buffer = this.#buffer;
    const bytes = this.#io.tunPairTake(this.#kernelEnd(queue), buffer);
    if (bytes < 0) return undefined;
    const header = {
      flags: buffer.readUInt8(0),
      gsoType: buffer.readUInt8(1),
      headerBytes: buffer.readUInt16LE(2),
      gsoSize: buffer.readUInt16LE(4),
      checksumStart: buffer.readUInt16LE(6),
      checksumOffset: buffer.readUInt16LE(8),
    };
    return { header, packet: Buffer.from(buffer.subarray(VIRTIO.HEADER_BYTES, bytes)) };
  }

  /** As `Endpoint`. */
  receive(vector: PacketVector): number {
    const { slab, offset, length, roomBytes, count, capacity } = vector;
    const filled = this.#io.receive(this.#endpoint, slab, offset, length, roomBytes, count, capacity - count);
    vector.count += filled;
    return filled;
  }

  send(vector: PacketVector): number {
    const { slab, offset, length, verdict, count } = vector;
    return this.#io.send(this.#endpoint, slab, offset, length, verdict, 0, count, REFUSED, TOO_BIG);
  }

  onReadable(callback: () => void): void {
    this.#io.poll(this.#endpoint, callback);
  }

  stats(): Record<'received' | 'sent' | 'refused' | 'tooLong' | 'errors' | 'lastErrno', number> {
    const counters = new Float64Array(7);
    this.#io.stats(this.#endpoint, counters);
    const [received = 0, sent = 0, refused = 0, tooLong = 0, , errors = 0, lastErrno = 0] = counters;
    return { received, sent, refused, tooLong, errors, lastErrno };
  }

  close(): void {
    this.#io.close(this.#endpoint);
    for (const end of this.#kernel) closeSync(end);
  }

  #kernelEnd(queue: number): number {
    const end = this.#kernel[queue];
    if (end === undefined) throw new Error(`no queue ${queue}`);
    return end;
  }
}
