import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../base/clock.ts';
import type { ByteStream } from '../coupling/stream.ts';
import { JoinedWrites } from './joined-writes.ts';

/** A peer that has not taken our last bytes and closed within this time is cut off. */
const LINGER_MS = 1000;

/** A TLS socket as the byte stream of a coupling end. The socket's owner forwards data and close to the end. */
export class TlsStream implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #clock: Clock;
  readonly #writes: JoinedWrites;
  #linger: Timer | undefined;

  constructor(socket: TLSSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    // Its callback also runs, with an error, on a socket that is gone.
    this.#writes = new JoinedWrites((bytes, written) => socket.write(bytes, () => written()));
    socket.setNoDelay(true);
    socket.once('close', () => this.#linger?.cancel());
  }

  write(bytes: Buffer, written: () => void): void {
    this.#writes.add(bytes, written);
  }

  get pendingBytes(): number {
    return this.#socket.writableLength + this.#writes.pendingBytes;
  }

  /** Ours is ended, the peer's is still read: a reset would take our last bytes away from it. */
  close(): void {
    if (this.#socket.destroyed || this.#linger !== undefined) return;
    this.#linger = this.#clock.after(LINGER_MS, () => this.#socket.destroy());
    this.#writes.flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#linger?.cancel();
    this.#writes.discard();
    this.#socket.destroy();
  }
}

/** What both ends offer to their stream. */
export interface StreamReceiver {
  receive(chunk: Uint8Array): void;
  streamClosed(error?: Error): void;
}

/** Forwards data, and the end with its error, to a coupling end. (Node ends our side when the peer's has ended.) */
export function joinStream(socket: TLSSocket, end: StreamReceiver): void {
  let failure: Error | undefined;
  socket.on('error', (error: Error) => {
    failure = error;
  });
  socket.on('data', (chunk: Buffer) => end.receive(chunk));
  socket.once('close', () => end.streamClosed(failure));
}
