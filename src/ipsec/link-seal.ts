import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import {
  LINK_CLEAR_BYTES,
  LINK_HEADER_BYTES,
  LINK_INNER_HEADER_BYTES,
  LINK_TAG_BYTES,
  type LinkBatch,
  type LinkCipher,
} from './link-cipher.ts';
import { ReplayWindow } from './replay-window.ts';

/** The link may reorder a little; 1024 packets are far more than it does. */
const LINK_WINDOW_PACKETS = 1024;

export const LINK_KIND = {
  /** An outbound inner packet that the routing host shall number, seal and send. */
  FUNNEL: 1,
  /** An inbound inner packet that the routing host opened and committed: the target skips its window. */
  COMMITTED: 2,
  /** A packet that came to a DVIPA in clear, as it was; or, from a target, the answer to one, which the routing host shall send. */
  CLEAR: 3,
} as const;

export const LINK_FLAG = {
  /** Of a committed packet: the target need not have its SA; the routing host has made every check. */
  FALLBACK: 1,
} as const;

const MALFORMED = verdictOf('link-malformed');
const AUTHENTICATION = verdictOf('link-authentication');
const REPLAY = verdictOf('link-replay');
const UNKNOWN_KIND = verdictOf('link-unknown-kind');
const TOO_BIG = verdictOf('too-big');

const TWO_32 = 0x1_0000_0000;

/** What the packets of a vector say besides: columns as long as the longest vector so far. Reusable. */
export class LinkHeaders {
  kind = new Uint8Array(0);
  flags = new Uint8Array(0);
  /** Which of the peers that look alike it is for or from; SPIs change with a rekey, and outbound ones are the peers' choice. */
  group = new Uint32Array(0);
  /** Out: the packet's counter (`open`: authenticated; `seal`: the one it got). Exact to 2^53. */
  counter = new Float64Array(0);
  /** 1: this packet. `seal`: in; those that are refused are taken out. */
  marked = new Uint8Array(0);

  /** Makes room for `count` packets and forgets which were marked. */
  begin(count: number): void {
    if (count > this.marked.length) {
      this.kind = new Uint8Array(count);
      this.flags = new Uint8Array(count);
      this.group = new Uint32Array(count);
      this.counter = new Float64Array(count);
      this.marked = new Uint8Array(count);
    }
    this.marked.fill(0);
  }

  /** Packet `i` is to be sealed, with this in front. */
  mark(i: number, kind: number, flags: number, group: number): void {
    this.kind[i] = kind;
    this.flags[i] = flags;
    this.group[i] = group;
    this.marked[i] = 1;
  }
}

/** The sending end of one key. One object per key for all of its life: its counter is what keeps nonces apart. */
export class LinkSealer {
  readonly #cipher: LinkCipher;
  /** Last one used; a plain number, exact to 2^53. */
  #counter = 0;

  constructor(cipher: LinkCipher) {
    this.#cipher = cipher;
  }

  get keyId(): number {
    return this.#cipher.keyId;
  }

  /** The last counter used, 0 if none: what a `flush` record reports. */
  get lastCounter(): bigint {
    return BigInt(this.#counter);
  }

  /**
   * Seals the inner packets that are marked, in place; the header goes in front (20 bytes of headroom), the tag behind (16).
   * `too-big` without that room; `link-authentication` if the key is gone or used up. If it throws, nothing of the vector may be sent.
   */
  seal(batch: LinkBatch, headers: LinkHeaders, epoch: number): void {
    const { marked } = headers;
    for (let i = 0; i < batch.count; i++) {
      if (marked[i] !== 1 || batch.verdict[i] !== KEEP) continue;
      const bad = this.#frame(batch, i, headers);
      if (bad === KEEP) continue;
      batch.verdict[i] = bad;
      marked[i] = 0;
    }
    this.#cipher.seal(batch, marked, epoch);
  }

  /** Everything but the cryptography. */
  #frame({ slab, offset, length }: LinkBatch, i: number, headers: LinkHeaders): Verdict {
    const inner = offset[i] as number;
    const start = inner - LINK_HEADER_BYTES;
    const end = inner + (length[i] as number);
    if (start < 0 || end + LINK_TAG_BYTES > slab.length) return TOO_BIG;
    if (!this.#cipher.isUsable || this.#counter >= Number.MAX_SAFE_INTEGER) return AUTHENTICATION;
    const counter = ++this.#counter;
    headers.counter[i] = counter;
    slab.writeUInt32BE(this.#cipher.keyId, start);
    slab.writeUInt32BE(Math.floor(counter / TWO_32), start + 4);
    slab.writeUInt32BE(counter % TWO_32, start + 8);
    const body = start + LINK_CLEAR_BYTES;
    slab.writeUInt8(headers.kind[i] as number, body);
    slab.writeUInt8(headers.flags[i] as number, body + 1);
    slab.writeUInt16BE(0, body + 2);
    slab.writeUInt32BE(headers.group[i] as number, body + 4);
    offset[i] = start;
    length[i] = end + LINK_TAG_BYTES - start;
    return KEEP;
  }
}

interface OpenerKey {
  readonly cipher: LinkCipher;
  readonly window: ReplayWindow;
}

/** The receiving end of a pair of hosts. It may hold an old and a new key while the coupling session is renewed. */
export class LinkOpener {
  readonly #keys = new Map<number, OpenerKey>();
  /** Of the packets of this vector: each one's key, undefined where it needs none. */
  readonly #keyOf: (OpenerKey | undefined)[] = [];

  /** A key id that is there already is refused: its window would forget. */
  install(cipher: LinkCipher): void {
    const { keyId } = cipher;
    if (this.#keys.has(keyId)) throw new Error(`link key ${keyId} is installed already`);
    this.#keys.set(keyId, { cipher, window: new ReplayWindow(LINK_WINDOW_PACKETS) });
  }

  remove(keyId: number): void {
    this.#keys.delete(keyId);
  }

  /**
   * Opens sealed packets in place: offset and length become the inner packet's, `out` what else it says. Plaintext
   * reaches the slab, and the window moves, only after the tag proved right. The verdicts are those that the packets would get one after
   * the other: of two with one number, in one vector, the first that is genuine.
   */
  open(batch: LinkBatch, epoch: number, out: LinkHeaders): void {
    const { verdict, count } = batch;
    out.begin(count);
    for (let i = 0; i < count; i++) {
      this.#keyOf[i] = verdict[i] === KEEP ? this.#find(batch, i) : undefined;
    }
    for (const entry of this.#keys.values()) this.#decrypt(batch, entry, epoch, out.marked);
    for (let i = 0; i < count; i++) {
      const entry = this.#keyOf[i];
      if (entry !== undefined) verdict[i] = settle(batch, i, entry, out);
      this.#keyOf[i] = undefined;
    }
  }

  /** The key of packet `i`; with a verdict if it needs none. */
  #find({ slab, offset, length, verdict }: LinkBatch, i: number): OpenerKey | undefined {
    const start = offset[i] as number;
    const tag = start + (length[i] as number) - LINK_TAG_BYTES;
    if (tag < start + LINK_HEADER_BYTES || tag + LINK_TAG_BYTES > slab.length) {
      verdict[i] = MALFORMED;
      return undefined;
    }
    const entry = this.#keys.get(slab.readUInt32BE(start));
    if (entry?.cipher.isUsable !== true) {
      verdict[i] = AUTHENTICATION;
      return undefined;
    }
    if (entry.window.check(slab.readUInt32BE(start + 4), slab.readUInt32BE(start + 8))) return entry;
    verdict[i] = REPLAY;
    return undefined;
  }

  /** One call for the packets of one key. */
  #decrypt(batch: LinkBatch, entry: OpenerKey, epoch: number, marked: Uint8Array): void {
    let count = 0;
    for (let i = 0; i < batch.count; i++) {
      marked[i] = this.#keyOf[i] === entry ? 1 : 0;
      count += marked[i] as number;
    }
    if (count > 0) entry.cipher.open(batch, marked, epoch);
  }
}

/** Packet `i` was decrypted, or has a verdict: the window decides first, as if the packets before it had come alone. */
function settle(batch: LinkBatch, i: number, { window }: OpenerKey, out: LinkHeaders): Verdict {
  const { slab, offset, length, verdict } = batch;
  const start = offset[i] as number;
  const body = start + LINK_CLEAR_BYTES;
  const high = slab.readUInt32BE(start + 4);
  const low = slab.readUInt32BE(start + 8);
  if (!window.check(high, low)) return REPLAY;
  if (verdict[i] !== KEEP) return verdict[i] as Verdict;
  window.commit(high, low);
  const kind = slab.readUInt8(body);
  out.kind[i] = kind;
  out.flags[i] = slab.readUInt8(body + 1);
  out.group[i] = slab.readUInt32BE(body + 4);
  out.counter[i] = high * TWO_32 + low;
  if (slab.readUInt16BE(body + 2) !== 0) return MALFORMED;
  offset[i] = body + LINK_INNER_HEADER_BYTES;
  length[i] = (length[i] as number) - LINK_HEADER_BYTES - LINK_TAG_BYTES;
  return kind >= LINK_KIND.FUNNEL && kind <= LINK_KIND.CLEAR ? KEEP : UNKNOWN_KIND;
}
