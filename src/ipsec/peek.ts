import { INCOMPLETE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ESP_TRAILER_BYTES } from '../packet/esp-header.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { tunnelNextHeader } from './esp-trailer.ts';
import type { InnerColumns } from './inner-columns.ts';
import { type InnerBytes, InnerHeaderReader } from './inner-headers.ts';
import { BLOCK_BYTES, LEAD_BLOCKS, LONG_BLOCKS } from './inner-reader.ts';
import { readOrdinary, readPorts } from './ordinary-headers.ts';
import type { EspKeys } from './packet-crypto.ts';
import {
  type PeekCipher,
  type PeekedPackets,
  PeekedSpans,
  SPAN_BYTES,
  TRAILER_BLOCK_AT,
} from './peek-cipher.ts';
import { PeekNodeCipher } from './peek-node-cipher.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** What `peek` reads and writes; a `PacketVector` is one. */
export interface PeekBatch extends InnerColumns, PeekedPackets {
  /** Out: the ESP trailer's next header. */
  readonly nextHeader: Uint8Array;
}

/** What a peek needs of an SA. */
export interface PeekKeys extends EspKeys {
  readonly mode: 'tunnel' | 'transport';
  readonly destinationSelectors: readonly TrafficSelector[];
}

const PEEK_MALFORMED = verdictOf('peek-malformed');
const DUMMY = verdictOf('dummy');

/**
 * Looks at the inner headers of ESP packets without opening them (claims 4 and 5): decrypts the first blocks and the one
 * with the trailer, whatever the packet's size. A batch costs one call into the cipher.
 * In tunnel mode the inner IP header and what follows it are in these blocks; in transport mode the IP header is the outer
 * one, whose family and addresses `classify` wrote into the inner columns.
 *
 * NOTHING HERE IS AUTHENTICATED. In counter mode and in CBC's first block anyone can flip header bits at
 * will. What a peek shows may choose a target for this packet, and no more: no window moves, no
 * durable entry is made, nothing is counted for the SA (docs/inbound.md).
 */
export class Peeker {
  readonly #cipher: PeekCipher;
  /** By slot. */
  readonly #isTransport: boolean[] = [];
  readonly #reader = new InnerHeaderReader();
  readonly #spans = new PeekedSpans();
  readonly #long = Buffer.alloc(LONG_BLOCKS * BLOCK_BYTES);

  constructor(cipher: PeekCipher = new PeekNodeCipher()) {
    this.#cipher = cipher;
  }

  /** Throws if the algorithm is not supported. */
  install(saSlot: number, keys: PeekKeys): void {
    this.#cipher.install(saSlot, keys, leadOf(keys));
    this.#isTransport[saSlot] = keys.mode === 'transport';
  }

  /** Later packets of the slot get `unknown-spi`. The key schedule is released at once. */
  remove(saSlot: number): void {
    this.#cipher.remove(saSlot);
  }

  /**
   * Fills the inner columns of every packet with verdict 0. Drops: `unknown-spi`, `truncated`, `dummy` (RFC 4303
   * section 2.6), and `peek-malformed`, which a genuine packet gets as well if its inner header is none.
   */
  peek(batch: PeekBatch): void {
    const spans = this.#spans;
    spans.makeRoom(batch.count);
    this.#cipher.decrypt(batch, spans);
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] === KEEP) batch.verdict[i] = this.#read(batch, i, spans);
    }
    spans.wipe(batch.count);
  }

  /** Reads the decrypted span of packet `i` into the columns. */
  #read(batch: PeekBatch, i: number, spans: PeekedSpans): Verdict {
    const { plain } = spans;
    const at = i * SPAN_BYTES;
    const length = spans.innerBytes[i] as number;
    const available = spans.available[i] as number;
    // The trailer is the last bytes of the ciphertext, wherever its block begins.
    const lastByte = (length + ESP_TRAILER_BYTES - 1) % BLOCK_BYTES;
    const nextHeader = plain[at + TRAILER_BLOCK_AT + lastByte] as number;
    batch.nextHeader[i] = nextHeader;
    const isTransport = this.#isTransport[batch.saSlot[i] as number] === true;
    const isOrdinary = isTransport
      ? readPorts(plain, at, available, nextHeader, batch, i)
      : readOrdinary(plain, at, length, available, batch, i);
    if (isOrdinary && (isTransport || nextHeader === tunnelNextHeader(batch.family[i] as number)))
      return KEEP;
    return this.#readAny(batch, i, { bytes: plain, at, length, available });
  }

  /** The same of a packet that may be anything. */
  #readAny(batch: PeekBatch, i: number, inner: InnerBytes): Verdict {
    if (batch.nextHeader[i] === IP_PROTOCOL.NO_NEXT_HEADER) return DUMMY;
    let verdict = this.#headers(batch, i, inner);
    if (verdict === INCOMPLETE) {
      const bytes = this.#long;
      this.#cipher.decryptLong(batch, i, bytes);
      const available = Math.min(bytes.length, inner.length);
      verdict = this.#headers(batch, i, { bytes, at: 0, length: inner.length, available });
      bytes.fill(0);
    }
    return verdict === KEEP ? KEEP : PEEK_MALFORMED;
  }

  #headers(batch: PeekBatch, i: number, inner: InnerBytes): Verdict {
    const nextHeader = batch.nextHeader[i] as number;
    if (this.#isTransport[batch.saSlot[i] as number] === true)
      return this.#reader.readTransport(inner, nextHeader, batch, i);
    const verdict = this.#reader.read(inner, batch, i);
    return verdict === KEEP && nextHeader !== tunnelNextHeader(batch.family[i] as number)
      ? PEEK_MALFORMED
      : verdict;
  }
}

function leadOf({ mode, destinationSelectors }: PeekKeys): number {
  if (mode === 'transport') return LEAD_BLOCKS.TRANSPORT;
  return destinationSelectors.some(({ family }) => family === 6) ? LEAD_BLOCKS.IPV6 : LEAD_BLOCKS.IPV4;
}
