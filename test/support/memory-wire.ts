import type { ByteStream } from '../../src/coupling/stream.ts';

interface Receiver {
  receive(chunk: Uint8Array): void;
  streamClosed(error?: Error): void;
}

/**
 * One end of a stream in memory. What is written arrives at the other end in a later turn, as a copy, whole or
 * in pieces of `pieceBytes`.
 */
export class MemoryStream implements ByteStream {
  /** The end that gets what arrives here. */
  receiver: Receiver | undefined;
  other: MemoryStream | undefined;
  /** Nothing is delivered while it is true; it waits. */
  isFrozen = false;
  isClosed = false;
  /** Every frame handed to `write`, as the writer's own buffer: to see it wiped. */
  readonly written: Buffer[] = [];
  #queue: { readonly bytes: Buffer; readonly written: () => void }[] = [];
  readonly #pieceBytes: number;

  constructor(pieceBytes = Number.POSITIVE_INFINITY) {
    this.#pieceBytes = pieceBytes;
  }

  get pendingBytes(): number {
    return this.#queue.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  write(bytes: Buffer, written: () => void): void {
    if (this.isClosed) return setImmediate(written) as unknown as void;
    this.written.push(bytes);
    this.#queue.push({ bytes, written });
    setImmediate(() => this.flush());
  }

  /** Delivers what is queued. */
  flush(): void {
    if (this.isFrozen) return;
    for (const { bytes, written } of this.#queue.splice(0)) {
      const copy = Buffer.from(bytes);
      written();
      for (let at = 0; at < copy.length; at += this.#pieceBytes) {
        this.other?.receiver?.receive(copy.subarray(at, Math.min(copy.length, at + this.#pieceBytes)));
      }
    }
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    setImmediate(() => {
      this.flush();
      this.other?.peerClosed();
    });
  }

  destroy(): void {
    for (const { written } of this.#queue.splice(0)) written();
    this.close();
  }

  peerClosed(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.receiver?.streamClosed();
  }
}

export function memoryWire(pieceBytes?: number): [MemoryStream, MemoryStream] {
  const a = new MemoryStream(pieceBytes);
  const b = new MemoryStream(pieceBytes);
  a.other = b;
  b.other = a;
  return [a, b];
}
