/**
 * What both ends speak over: TLS in `io/`, a memory wire in tests. Bytes arrive through the end's
 * `receive(bytes)`; the end of the stream through its `streamClosed(error?)`.
 */
export interface ByteStream {
  /**
   * Queues bytes, in order. `written` is called when the stream no longer needs the buffer (it is wiped
   * then), also if the stream broke. The stream keeps no reference after that.
   */
  write(bytes: Buffer, written: () => void): void;
  /** Bytes queued and not yet handed to the network. */
  readonly pendingBytes: number;
  /** Sends what is queued, then ends. Twice is harmless. No `streamClosed` is needed afterwards. */
  close(): void;
  /** Drops what is queued and ends at once. */
  destroy(): void;
}
