import { BLOCK_BYTES } from './inner-reader.ts';
import type { EspKeys } from './packet-crypto.ts';

/** The longest lead (`LEAD_BLOCKS`). */
const LEAD_BLOCKS_MAX = 4;
/** Where in a packet's span the block with the trailer stands. */
export const TRAILER_BLOCK_AT = LEAD_BLOCKS_MAX * BLOCK_BYTES;
export const SPAN_BYTES = TRAILER_BLOCK_AT + BLOCK_BYTES;

/** Which packets to look at; part of a `PeekBatch`. */
export interface PeekedPackets {
  readonly count: number;
  readonly slab: Buffer;
  /** Where ESP starts in the slab, and how long it is from SPI to ICV. */
  readonly espOffset: Uint32Array;
  readonly espLength: Uint32Array;
  readonly saSlot: Int32Array;
  readonly verdict: Uint8Array;
}

/** What was decrypted of the packets of one batch. It grows with the batch, and is reused. */
export class PeekedSpans {
  /** The lead of packet i from `i * SPAN_BYTES` on, its trailer's block from `TRAILER_BLOCK_AT` behind that. */
  plain = Buffer.alloc(0);
  /** Bytes of packet i in front of the trailer, padding included, and how many of them are in `plain`. */
  innerBytes = new Uint32Array(0);
  available = new Uint8Array(0);

  makeRoom(count: number): void {
    if (this.innerBytes.length >= count) return;
    this.wipe(this.innerBytes.length);
    this.plain = Buffer.alloc(count * SPAN_BYTES);
    this.innerBytes = new Uint32Array(count);
    this.available = new Uint8Array(count);
  }

  wipe(count: number): void {
    this.plain.fill(0, 0, count * SPAN_BYTES);
  }
}

/**
 * Decrypts the first bytes and the trailer of packets of many SAs, without authentication and in constant work. Two
 * implementations: `PeekNodeCipher` (node:crypto) and the addon packet-crypto.
 */
export interface PeekCipher {
  /** In place of what the slot held. Throws if the algorithm is not supported. Wiped keys make the slot unusable. */
  install(saSlot: number, keys: EspKeys, leadBlocks: number): void;
  /** Later packets of the slot get `unknown-spi`. The key schedule is released at once. */
  remove(saSlot: number): void;
  /**
   * Fills the span of every packet with verdict 0, or drops it: `unknown-spi`, `truncated`. What lies in a span beyond a
   * short packet is undefined. The spans are the caller's, to wipe.
   */
  decrypt(batch: PeekedPackets, spans: PeekedSpans): void;
  /** The first `LONG_BLOCKS` blocks of packet `i`, which `decrypt` has taken, or as many as it has; into `out`, which has room for all. */
  decryptLong(batch: PeekedPackets, i: number, out: Buffer): void;
}
