import { CouplingError } from './errors.ts';
import { FRAME_MAX_BYTES, HELLO_FRAME_MAX_BYTES } from './limits.ts';

/** Length of a frame's payload, 4 bytes big endian, in front of it. */
export const FRAME_HEADER_BYTES = 4;

const START_BYTES = 512;

/**
 * Cuts a stream into frames. Buffers at most one frame, and no frame above the cap: `HELLO_FRAME_MAX_BYTES`
 * until `acceptLargeFrames()`, then `FRAME_MAX_BYTES`. After an error it is not usable any more.
 *
 * Frames may hold keys: the bytes given to `feed` are wiped as they are taken, and a frame is wiped when
 * the next one is asked for. So copy out what shall stay.
 */
export class FrameReader {
  #buffer = Buffer.allocUnsafeSlow(START_BYTES); // its own memory, never the shared pool
  #filled = 0;
  #maxBytes = HELLO_FRAME_MAX_BYTES;

  /** Bytes of an incomplete frame. */
  get bufferedBytes(): number {
    return this.#filled;
  }

  acceptLargeFrames(): void {
    this.#maxBytes = FRAME_MAX_BYTES;
  }

  /**
   * Yields the payload of every frame that `chunk` completes; a frame is valid until the next step. Take all
   * of them, or call `wipe`. Throws `CouplingError`: `coupling-oversized`, `coupling-malformed` (empty frame).
   */
  *feed(chunk: Uint8Array): Generator<Buffer, void, undefined> {
    let offset = 0;
    while (offset < chunk.length) {
      const wanted = this.#wantedBytes();
      const taken = Math.min(wanted - this.#filled, chunk.length - offset);
      this.#reserve(this.#filled + taken);
      this.#buffer.set(chunk.subarray(offset, offset + taken), this.#filled);
      chunk.fill(0, offset, offset + taken);
      this.#filled += taken;
      offset += taken;
      if (this.#filled < FRAME_HEADER_BYTES || this.#filled < this.#wantedBytes()) continue;
      yield this.#buffer.subarray(FRAME_HEADER_BYTES, this.#filled);
      this.wipe();
    }
  }

  /** Forgets what is buffered. */
  wipe(): void {
    this.#buffer.fill(0, 0, this.#filled);
    this.#filled = 0;
  }

  /** Header only, until the header is complete; then the whole frame. */
  #wantedBytes(): number {
    if (this.#filled < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
    const length = this.#buffer.readUInt32BE(0);
    if (length > this.#maxBytes) {
      throw new CouplingError(
        'coupling-oversized',
        `frame of ${length} bytes, at most ${this.#maxBytes} allowed`,
      );
    }
    if (length === 0) throw new CouplingError('coupling-malformed', 'empty frame');
    return FRAME_HEADER_BYTES + length;
  }

  #reserve(lengthBytes: number): void {
    if (lengthBytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(lengthBytes, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#filled);
    this.#buffer.fill(0, 0, this.#filled);
    this.#buffer = larger;
  }
}
