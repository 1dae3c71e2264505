/**
 * An established duplex byte stream: what a connection runs over. `connect.ts` makes one from a socket, a test from
 * memory. Nothing is read before `start`.
 */
export interface ByteStream {
  /** Begins delivery. Called once. */
  start(sink: ByteSink): void;
  /** Sends in order; buffers what the other side does not take yet. After the end: ignored. */
  write(bytes: Uint8Array): void;
  /** Ends both directions now and releases everything; `sink.closed` is called, if it was not before. Twice is harmless. */
  close(): void;
}

export interface ByteSink {
  /** The next bytes, as they come. The chunk is the receiver's until it returns: it may overwrite it, and must not keep it. */
  bytes(chunk: Uint8Array): void;
  /** The stream has ended, whoever ended it; `error` if not in peace. Called once, nothing follows. */
  closed(error?: Error): void;
}
