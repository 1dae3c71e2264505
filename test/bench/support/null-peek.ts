import { KEEP } from '../../../src/base/verdict.ts';
import type { PacketVector } from '../../../src/dataplane/vector.ts';
import { InnerHeaderReader } from '../../../src/ipsec/inner-headers.ts';
import { readOrdinary } from '../../../src/ipsec/ordinary-headers.ts';

const LEAD_BYTES = 48;
/** SPI, number, IV. */
const ESP_HEAD_BYTES = 16;

/** Reads inner headers as a peek does, of packets that nobody has encrypted: what is left is not cryptography. */
export class NullPeek {
  readonly #reader = new InnerHeaderReader();
  readonly #inner = { bytes: Buffer.alloc(0) as Buffer, at: 0, length: 0, available: 0 };

  peek(vector: PacketVector): void {
    const inner = this.#inner;
    inner.bytes = vector.slab;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      inner.at = (vector.espOffset[i] as number) + ESP_HEAD_BYTES;
      inner.length = (vector.espLength[i] as number) - ESP_HEAD_BYTES - 18;
      inner.available = Math.min(LEAD_BYTES, inner.length);
      vector.nextHeader[i] = 4;
      if (readOrdinary(inner.bytes, inner.at, inner.length, inner.available, vector, i)) continue;
      vector.verdict[i] = this.#reader.read(inner, vector, i);
    }
  }
}
