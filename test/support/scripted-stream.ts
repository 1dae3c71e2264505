import type { ByteSink, ByteStream } from '../../src/vici/stream.ts';
import { FrameReader } from '../../src/vici/framing.ts';
import { decodePacket, encodePacket, type ViciPacket } from '../../src/vici/packet.ts';

/** The far end of a VICI connection in memory, in the hands of a test: `sent` is what the client sent. */
export class ScriptedStream implements ByteStream {
  readonly sent: ViciPacket[] = [];
  /** The very bytes that were written, not copies. */
  readonly written: Uint8Array[] = [];
  isClosed = false;
  #sink: ByteSink | undefined;
  readonly #frames = new FrameReader();

  start(sink: ByteSink): void {
    this.#sink = sink;
  }

  write(bytes: Uint8Array): void {
    this.written.push(bytes);
    for (const frame of this.#frames.push(bytes)) this.sent.push(decodePacket(frame));
  }

  close(): void {
    this.end();
  }

  /** Delivers packets in one chunk. */
  say(...packets: ViciPacket[]): void {
    this.sayBytes(Buffer.concat(packets.map(encodePacket)));
  }

  sayBytes(bytes: Uint8Array): void {
    this.#sink?.bytes(bytes);
  }

  /** The stream ends. */
  end(error?: Error): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#sink?.closed(error);
  }
}
