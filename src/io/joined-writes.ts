/** Longest joined write: larger ones are cut into records of TLS (16 KB, RFC 8446 section 5.1) anyway. */
const JOINED_MAX_BYTES = 64 * 1024;

interface Queued {
  readonly bytes: Buffer;
  readonly written: () => void;
}

/** Takes bytes, and says when it needs them no more, also if it broke. */
export type Write = (bytes: Buffer, written: () => void) => void;

/**
 * Records that are sent within one turn of the event loop, as one write: a record of TLS, a system call and a wake-up of the peer for
 * all of them. They are small, and come in groups: an SA with its policies. What is copied for that is wiped, since it may hold keys.
 */
export class JoinedWrites {
  readonly #write: Write;
  #queued: Queued[] = [];
  #bytes = 0;

  constructor(write: Write) {
    this.#write = write;
  }

  /** Bytes that wait for the end of the turn. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  add(bytes: Buffer, written: () => void): void {
    if (this.#queued.push({ bytes, written }) === 1) process.nextTick(() => this.flush());
    this.#bytes += bytes.length;
  }

  /** Writes what waits, now. */
  flush(): void {
    const queued = this.#takeAll();
    for (let from = 0; from < queued.length; ) {
      const to = endOfJoin(queued, from);
      if (to === from + 1) {
        const { bytes, written } = queued[from] as Queued;
        this.#write(bytes, written);
      } else this.#writeJoined(queued.slice(from, to));
      from = to;
    }
  }

  /** Nothing of what waits is written any more. */
  discard(): void {
    for (const { written } of this.#takeAll()) written();
  }

  #takeAll(): readonly Queued[] {
    const queued = this.#queued;
    this.#queued = [];
    this.#bytes = 0;
    return queued;
  }

  #writeJoined(parts: readonly Queued[]): void {
    const joined = Buffer.allocUnsafeSlow(parts.reduce((sum, { bytes }) => sum + bytes.length, 0));
    let filled = 0;
    for (const { bytes, written } of parts) {
      joined.set(bytes, filled);
      filled += bytes.length;
      written();
    }
    this.#write(joined, () => joined.fill(0));
  }
}

/** The first of `queued`, and as many after it as fit into one write. */
function endOfJoin(queued: readonly Queued[], from: number): number {
  let length = (queued[from] as Queued).bytes.length;
  let to = from + 1;
  for (; to < queued.length; to++) {
    length += (queued[to] as Queued).bytes.length;
    if (length > JOINED_MAX_BYTES) break;
  }
  return to;
}
