import { INCOMPLETE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ESP_TRAILER_BYTES } from '../packet/esp-header.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { lookupEncryption } from './algorithms.ts';
import { tunnelNextHeader } from './esp-trailer.ts';
import type { InnerColumns } from './inner-columns.ts';
import { InnerHeaderReader } from './inner-headers.ts';
import { BLOCK_BYTES, type InnerReader, LEAD_BLOCKS, LONG_BLOCKS } from './inner-reader.ts';
import type { EspKeys } from './packet-crypto.ts';
import { PeekBlocks } from './peek-blocks.ts';
import { PeekStream } from './peek-stream.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** What `peek` reads and writes; a `PacketVector` is one. */
export interface PeekBatch extends InnerColumns {
  readonly count: number;
  readonly slab: Buffer;
  /** Where ESP starts in the slab, and how long it is from SPI to ICV. */
  readonly espOffset: Uint32Array;
  readonly espLength: Uint32Array;
  readonly saSlot: Int32Array;
  readonly verdict: Uint8Array;
  /** Out: the ESP trailer's next header. */
  readonly nextHeader: Uint8Array;
}

/** What a peek needs of an SA. */
export interface PeekKeys extends EspKeys {
  readonly mode: 'tunnel' | 'transport';
  readonly destinationSelectors: readonly TrafficSelector[];
}

const UNKNOWN_SPI = verdictOf('unknown-spi');
const TRUNCATED = verdictOf('truncated');
const PEEK_MALFORMED = verdictOf('peek-malformed');
const DUMMY = verdictOf('dummy');

/** One SA, and the packets of the current batch that are its. */
interface PeekEntry {
  readonly blocks: InnerReader;
  readonly isTransport: boolean;
  readonly members: number[];
}

/**
 * Looks at the inner headers of ESP packets without opening them (claims 4 and 5): decrypts the first blocks and the one
 * with the trailer, whatever the packet's size. All packets of one SA in a batch cost one call into the cipher, with AES.
 * In tunnel mode the inner IP header and what follows it are in these blocks; in transport mode the IP header is the outer
 * one, whose family and addresses `classify` wrote into the inner columns.
 *
 * NOTHING HERE IS AUTHENTICATED. In counter mode and in CBC's first block anyone can flip header bits at
 * will. What a peek shows may choose a target for this packet, and no more: no window moves, no
 * durable entry is made, nothing is counted for the SA (docs/inbound.md).
 */
export class Peeker {
  readonly #entries = new Map<number, PeekEntry>();
  readonly #touched: PeekEntry[] = [];
  readonly #reader = new InnerHeaderReader();
  readonly #inner = { bytes: Buffer.alloc(0) as Buffer, at: 0, length: 0, available: 0 };

  /** Throws if the algorithm is not supported. */
  install(saSlot: number, keys: PeekKeys): void {
    this.remove(saSlot);
    const isTransport = keys.mode === 'transport';
    this.#entries.set(saSlot, { blocks: readerOf(keys), isTransport, members: [] });
  }

  /** Later packets of the slot get `unknown-spi`. The key schedule is released at once. */
  remove(saSlot: number): void {
    this.#entries.get(saSlot)?.blocks.close();
    this.#entries.delete(saSlot);
  }

  /**
   * Fills the inner columns of every packet with verdict 0. Drops: `unknown-spi`, `truncated`, `dummy` (RFC 4303
   * section 2.6), and `peek-malformed`, which a genuine packet gets as well if its inner header is none.
   */
  peek(batch: PeekBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] === KEEP) this.#assign(batch, i);
    }
    for (const entry of this.#touched) {
      const plain = entry.blocks.decrypt(batch, entry.members);
      const spanBytes = (entry.blocks.leadBlocks + 1) * BLOCK_BYTES;
      for (let at = 0; at < entry.members.length; at++) {
        const i = entry.members[at] as number;
        batch.verdict[i] = this.#read(batch, i, entry, plain, at * spanBytes);
      }
      plain.fill(0);
      entry.members.length = 0;
    }
    this.#touched.length = 0;
  }

  #assign(batch: PeekBatch, i: number): void {
    const entry = this.#entries.get(batch.saSlot[i] as number);
    const start = batch.espOffset[i] as number;
    const length = batch.espLength[i] as number;
    if (entry?.blocks.isUsable !== true) {
      batch.verdict[i] = UNKNOWN_SPI;
    } else if (entry.blocks.cipherBytes(length) < ESP_TRAILER_BYTES || start + length > batch.slab.length) {
      batch.verdict[i] = TRUNCATED;
    } else if (batch.slab.readUInt32BE(start) !== entry.blocks.spi) {
      batch.verdict[i] = UNKNOWN_SPI;
    } else {
      if (entry.members.length === 0) this.#touched.push(entry);
      entry.members.push(i);
    }
  }

  /** Reads the decrypted lead at `at` of `plain` (and the trailer block behind it) into the columns. */
  #read(batch: PeekBatch, i: number, entry: PeekEntry, plain: Buffer, at: number): Verdict {
    const { blocks } = entry;
    const leadBytes = blocks.leadBlocks * BLOCK_BYTES;
    const cipherBytes = blocks.cipherBytes(batch.espLength[i] as number);
    const trailer = at + leadBytes + ((cipherBytes - 1) % BLOCK_BYTES);
    const nextHeader = plain.readUInt8(trailer);
    batch.nextHeader[i] = nextHeader;
    if (nextHeader === IP_PROTOCOL.NO_NEXT_HEADER) return DUMMY;
    const first = this.#headers(batch, i, entry, { bytes: plain, at, bytesAtHand: leadBytes, cipherBytes });
    if (first !== INCOMPLETE) return first === KEEP ? KEEP : PEEK_MALFORMED;
    const long = blocks.decryptLong(batch.slab, batch.espOffset[i] as number, cipherBytes);
    const bytesAtHand = LONG_BLOCKS * BLOCK_BYTES;
    const second = this.#headers(batch, i, entry, { bytes: long, at: 0, bytesAtHand, cipherBytes });
    long.fill(0);
    return second === KEEP ? KEEP : PEEK_MALFORMED;
  }

  #headers(
    batch: PeekBatch,
    i: number,
    { isTransport }: PeekEntry,
    seen: { bytes: Buffer; at: number; bytesAtHand: number; cipherBytes: number },
  ): Verdict {
    const inner = this.#inner;
    inner.bytes = seen.bytes;
    inner.at = seen.at;
    inner.length = seen.cipherBytes - ESP_TRAILER_BYTES;
    inner.available = Math.min(seen.bytesAtHand, inner.length);
    const nextHeader = batch.nextHeader[i] as number;
    if (isTransport) return this.#reader.readTransport(inner, nextHeader, batch, i);
    const verdict = this.#reader.read(inner, batch, i);
    return verdict === KEEP && nextHeader !== tunnelNextHeader(batch.family[i] as number)
      ? PEEK_MALFORMED
      : verdict;
  }
}

function readerOf(keys: PeekKeys): InnerReader {
  const method = lookupEncryption(keys.encryption.transform)?.peek.method;
  const lead = leadOf(keys);
  return method === 'chacha20' || method === 'clear'
    ? new PeekStream(keys, lead)
    : new PeekBlocks(keys, lead);
}

function leadOf({ mode, destinationSelectors }: PeekKeys): number {
  if (mode === 'transport') return LEAD_BLOCKS.TRANSPORT;
  return destinationSelectors.some(({ family }) => family === 6) ? LEAD_BLOCKS.IPV6 : LEAD_BLOCKS.IPV4;
}
