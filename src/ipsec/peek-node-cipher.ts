import { KEEP, verdictOf } from '../base/verdict.ts';
import { ESP_TRAILER_BYTES } from '../packet/esp-header.ts';
import { lookupEncryption } from './algorithms.ts';
import { BLOCK_BYTES, type InnerReader } from './inner-reader.ts';
import type { EspKeys } from './packet-crypto.ts';
import { PeekBlocks } from './peek-blocks.ts';
import {
  type PeekCipher,
  type PeekedPackets,
  type PeekedSpans,
  SPAN_BYTES,
  TRAILER_BLOCK_AT,
} from './peek-cipher.ts';
import { PeekStream } from './peek-stream.ts';

const UNKNOWN_SPI = verdictOf('unknown-spi');
const TRUNCATED = verdictOf('truncated');

/** One SA, and the packets of the current batch that are its. */
interface PeekEntry {
  readonly blocks: InnerReader;
  readonly members: number[];
}

/** Peeks with node:crypto, every algorithm of `algorithms.ts`. All packets of one SA in a batch cost one call into the cipher, with AES. */
export class PeekNodeCipher implements PeekCipher {
  readonly #entries = new Map<number, PeekEntry>();
  readonly #touched: PeekEntry[] = [];

  install(saSlot: number, keys: EspKeys, leadBlocks: number): void {
    this.remove(saSlot);
    this.#entries.set(saSlot, { blocks: readerOf(keys, leadBlocks), members: [] });
  }

  remove(saSlot: number): void {
    this.#entries.get(saSlot)?.blocks.close();
    this.#entries.delete(saSlot);
  }

  decrypt(batch: PeekedPackets, spans: PeekedSpans): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] === KEEP) this.#assign(batch, i);
    }
    for (const { blocks, members } of this.#touched) {
      const plain = blocks.decrypt(batch, members);
      for (let at = 0; at < members.length; at++) {
        takeSpan(spans, members[at] as number, plain, at, blocks, batch.espLength);
      }
      plain.fill(0);
      members.length = 0;
    }
    this.#touched.length = 0;
  }

  decryptLong(batch: PeekedPackets, i: number, out: Buffer): void {
    const entry = this.#entries.get(batch.saSlot[i] as number) as PeekEntry;
    const bytes = entry.blocks.cipherBytes(batch.espLength[i] as number);
    const plain = entry.blocks.decryptLong(batch.slab, batch.espOffset[i] as number, bytes);
    plain.copy(out);
    plain.fill(0);
  }

  #assign(batch: PeekedPackets, i: number): void {
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
}

/** Puts what was decrypted of member `at` of an SA where packet `i` has it. */
function takeSpan(
  spans: PeekedSpans,
  i: number,
  plain: Buffer,
  at: number,
  blocks: InnerReader,
  espLength: Uint32Array,
): void {
  const leadBytes = blocks.leadBlocks * BLOCK_BYTES;
  const from = at * (leadBytes + BLOCK_BYTES);
  plain.copy(spans.plain, i * SPAN_BYTES, from, from + leadBytes);
  plain.copy(
    spans.plain,
    i * SPAN_BYTES + TRAILER_BLOCK_AT,
    from + leadBytes,
    from + leadBytes + BLOCK_BYTES,
  );
  const innerBytes = blocks.cipherBytes(espLength[i] as number) - ESP_TRAILER_BYTES;
  spans.innerBytes[i] = innerBytes;
  spans.available[i] = Math.min(leadBytes, innerBytes);
}

function readerOf(keys: EspKeys, leadBlocks: number): InnerReader {
  const method = lookupEncryption(keys.encryption.transform)?.peek.method;
  return method === 'chacha20' || method === 'clear'
    ? new PeekStream(keys, leadBlocks)
    : new PeekBlocks(keys, leadBlocks);
}
