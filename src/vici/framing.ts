import { MAX_FRAME_BYTES } from './codec.ts';
import { ViciError } from './error.ts';

const HEADER_BYTES = 4;

/**
 * Cuts a byte stream into frames: 4 bytes length (big endian, not counting itself), then the packet.
 * Bytes are copied, so a frame is a buffer of its own and the chunk is free when `push` returns. Memory is bounded by
 * one frame plus the chunk. After an error the reader is spent: the stream has lost its boundaries.
 */
export class FrameReader {
  readonly #maxFrameBytes: number;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #frame: Buffer | undefined;
  #filled = 0;

  constructor(maxFrameBytes = MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** True between frames: a stream that ends now ends cleanly. */
  get isAtBoundary(): boolean {
    return this.#headerFilled === 0;
  }

  /**
   * Takes the next bytes and yields each frame completed by them.
   * @throws ViciError `too-big` or `malformed` (a frame of no bytes cannot hold a packet)
   */
  *push(chunk: Uint8Array): Generator<Buffer, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      at +=
        this.#frame === undefined
          ? this.#fillHeader(chunk.subarray(at))
          : this.#fillFrame(chunk.subarray(at));
      if (this.#frame !== undefined && this.#filled === this.#frame.length) {
        const frame = this.#frame;
        this.#frame = undefined;
        this.#headerFilled = 0;
        yield frame;
      }
    }
  }

  #fillHeader(bytes: Uint8Array): number {
    const taken = Math.min(HEADER_BYTES - this.#headerFilled, bytes.length);
    this.#header.set(bytes.subarray(0, taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === HEADER_BYTES) {
      const length = this.#header.readUInt32BE(0);
      if (length === 0) throw new ViciError('malformed', 'frame of no bytes');
      if (length > this.#maxFrameBytes) throw new ViciError('too-big', 'frame is over the limit');
      this.#frame = Buffer.alloc(length); // not from the shared pool: it may hold keys and be wiped
      this.#filled = 0;
    }
    return taken;
  }

  #fillFrame(bytes: Uint8Array): number {
    const frame = this.#frame as Buffer;
    const taken = Math.min(frame.length - this.#filled, bytes.length);
    frame.set(bytes.subarray(0, taken), this.#filled);
    this.#filled += taken;
    return taken;
  }
}
