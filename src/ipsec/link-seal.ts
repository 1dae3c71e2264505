import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { KeyMaterial } from '../base/key-material.ts';
import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ReplayWindow } from './replay-window.ts';

/*
 * A packet sealed for the trusted link between two hosts of the cluster, where something that is not (or
 * no longer) ESP must cross. AES-256-GCM, a key per ordered pair of hosts and per coupling session:
 *
 * |                            Key id                             |   0   clear, authenticated
 * |                         Counter (64)                          |   4   clear, authenticated
 * |     Kind      |     Flags     |       Reserved, zero          |  12   encrypted from here
 * |                          SA group                             |  16
 * |                    Inner packet, then tag (16)                |  20
 *
 * nonce = key id | counter; additional data = epoch (4, not in the packet: it is the GRE key) | key id | counter.
 */
const CLEAR_BYTES = 12;
const INNER_HEADER_BYTES = 8;
export const LINK_TAG_BYTES = 16;
/** What sealing puts in front of the inner packet. */
export const LINK_HEADER_BYTES = CLEAR_BYTES + INNER_HEADER_BYTES;
export const LINK_KEY_BYTES = 32;
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

/** The part of a packet vector that the link seal works on. */
export interface LinkPackets {
  readonly slab: Buffer;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
}

/** What a sealed packet says besides the inner packet. Reusable. */
export class LinkHeader {
  kind = 0;
  flags = 0;
  /** Which of the peers that look alike it is for or from; SPIs change with a rekey, and outbound ones are the peers' choice. */
  group = 0;
  /** Out: the packet's counter (`open`: authenticated; `seal`: the one it got). Exact to 2^53. */
  counter = 0;
}

/** Key id, then the material: both from the coupling channel. The material stays the caller's, to wipe. */
export interface LinkKey {
  readonly keyId: number;
  readonly key: KeyMaterial;
}

function checkKey({ keyId, key }: LinkKey): void {
  if (key.lengthBytes !== LINK_KEY_BYTES) throw new Error(`a link key has ${LINK_KEY_BYTES} bytes`);
  if (!Number.isInteger(keyId) || keyId < 0 || keyId >= TWO_32) throw new Error('a link key id is a uint32');
}

/** Additional data: the epoch in front of the clear part. */
function additionalData(scratch: Buffer, epoch: number, slab: Buffer, start: number): Buffer {
  scratch.writeUInt32BE(epoch, 0);
  slab.copy(scratch, 4, start, start + CLEAR_BYTES);
  return scratch;
}

/** The sending end of one key. One object per key for all of its life: its counter is what keeps nonces apart. */
export class LinkSealer {
  readonly #keyId: number;
  readonly #key: KeyMaterial;
  readonly #aad = Buffer.alloc(4 + CLEAR_BYTES);
  /** Last one used; a plain number, exact to 2^53. */
  #counter = 0;

  constructor(key: LinkKey) {
    checkKey(key);
    this.#keyId = key.keyId;
    this.#key = key.key;
  }

  get keyId(): number {
    return this.#keyId;
  }

  /** The last counter used, 0 if none: what a `flush` record reports. */
  get lastCounter(): bigint {
    return BigInt(this.#counter);
  }

  /**
   * Seals inner packet `i` in place; the header goes in front (20 bytes of headroom), the tag behind (16).
   * `too-big` without that room; `link-authentication` if the key is gone or used up.
   */
  seal(packets: LinkPackets, i: number, header: LinkHeader, epoch: number): Verdict {
    const { slab } = packets;
    const inner = packets.offset[i] as number;
    const start = inner - LINK_HEADER_BYTES;
    const end = inner + (packets.length[i] as number);
    if (start < 0 || end + LINK_TAG_BYTES > slab.length) return TOO_BIG;
    if (this.#key.isWiped || this.#counter >= Number.MAX_SAFE_INTEGER) return AUTHENTICATION;
    const counter = ++this.#counter;
    header.counter = counter;
    slab.writeUInt32BE(this.#keyId, start);
    slab.writeUInt32BE(Math.floor(counter / TWO_32), start + 4);
    slab.writeUInt32BE(counter % TWO_32, start + 8);
    const body = start + CLEAR_BYTES;
    slab.writeUInt8(header.kind, body);
    slab.writeUInt8(header.flags, body + 1);
    slab.writeUInt16BE(0, body + 2);
    slab.writeUInt32BE(header.group, body + 4);
    const nonce = slab.subarray(start, body);
    const cipher = createCipheriv('aes-256-gcm', this.#key.reveal(), nonce);
    cipher.setAAD(additionalData(this.#aad, epoch, slab, start));
    slab.set(cipher.update(slab.subarray(body, end)), body);
    cipher.final();
    slab.set(cipher.getAuthTag(), end);
    packets.offset[i] = start;
    packets.length[i] = end + LINK_TAG_BYTES - start;
    return KEEP;
  }
}

interface OpenerKey {
  readonly key: KeyMaterial;
  readonly window: ReplayWindow;
}

/** The receiving end of a pair of hosts. It may hold an old and a new key while the coupling session is renewed. */
export class LinkOpener {
  readonly #keys = new Map<number, OpenerKey>();
  readonly #aad = Buffer.alloc(4 + CLEAR_BYTES);

  /** A key id that is there already is refused: its window would forget. */
  install(key: LinkKey): void {
    checkKey(key);
    if (this.#keys.has(key.keyId)) throw new Error(`link key ${key.keyId} is installed already`);
    this.#keys.set(key.keyId, { key: key.key, window: new ReplayWindow(LINK_WINDOW_PACKETS) });
  }

  remove(keyId: number): void {
    this.#keys.delete(keyId);
  }

  /**
   * Opens sealed packet `i` in place: offset and length become the inner packet's, `out` what else it says. Plaintext
   * reaches the slab, and the window moves, only after the tag proved right.
   */
  open(packets: LinkPackets, i: number, epoch: number, out: LinkHeader): Verdict {
    const { slab } = packets;
    const start = packets.offset[i] as number;
    const end = start + (packets.length[i] as number) - LINK_TAG_BYTES;
    const body = start + CLEAR_BYTES;
    if (end < body + INNER_HEADER_BYTES || end + LINK_TAG_BYTES > slab.length) return MALFORMED;
    const entry = this.#keys.get(slab.readUInt32BE(start));
    if (entry === undefined || entry.key.isWiped) return AUTHENTICATION;
    const high = slab.readUInt32BE(start + 4);
    const low = slab.readUInt32BE(start + 8);
    if (!entry.window.check(high, low)) return REPLAY;
    const plain = this.#decrypt(entry.key, slab, start, end, epoch);
    if (plain === undefined) return AUTHENTICATION;
    entry.window.commit(high, low);
    slab.set(plain, body);
    plain.fill(0);
    out.kind = slab.readUInt8(body);
    out.flags = slab.readUInt8(body + 1);
    out.group = slab.readUInt32BE(body + 4);
    out.counter = high * TWO_32 + low;
    if (slab.readUInt16BE(body + 2) !== 0) return MALFORMED;
    packets.offset[i] = body + INNER_HEADER_BYTES;
    packets.length[i] = end - body - INNER_HEADER_BYTES;
    return out.kind >= LINK_KIND.FUNNEL && out.kind <= LINK_KIND.CLEAR ? KEEP : UNKNOWN_KIND;
  }

  #decrypt(key: KeyMaterial, slab: Buffer, start: number, end: number, epoch: number): Buffer | undefined {
    const body = start + CLEAR_BYTES;
    const decipher = createDecipheriv('aes-256-gcm', key.reveal(), slab.subarray(start, body), {
      authTagLength: LINK_TAG_BYTES,
    });
    decipher.setAAD(additionalData(this.#aad, epoch, slab, start));
    decipher.setAuthTag(slab.subarray(end, end + LINK_TAG_BYTES));
    const plain = decipher.update(slab.subarray(body, end));
    try {
      decipher.final();
      return plain;
    } catch {
      plain.fill(0);
      return undefined;
    }
  }
}
