import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import type { PacketVector } from './vector.ts';

/*
 * What a sealed link packet of kind `COMMITTED` carries: which packet it was, then the inner packet.
 *
 * |                             SPI                               |   0
 * |                    Sequence number (64)                       |   4
 * |                     Inner packet ...                          |  12
 */
const COMMITTED_HEADER_BYTES = 12;

const LINK_MALFORMED = verdictOf('link-malformed');

/** Puts SPI and number of packet `i` in front of it. Needs 12 bytes of headroom, which ESP has left. */
export function putCommitted(vector: PacketVector, i: number): void {
  const at = (vector.offset[i] as number) - COMMITTED_HEADER_BYTES;
  vector.slab.writeUInt32BE(vector.spi[i] as number, at);
  vector.slab.writeUInt32BE(vector.sequenceHigh[i] as number, at + 4);
  vector.slab.writeUInt32BE(vector.sequenceLow[i] as number, at + 8);
  vector.offset[i] = at;
  vector.length[i] = (vector.length[i] as number) + COMMITTED_HEADER_BYTES;
}

/** The reverse: SPI and number go into the columns, the inner packet remains. */
export function takeCommitted(vector: PacketVector, i: number): Verdict {
  if ((vector.length[i] as number) <= COMMITTED_HEADER_BYTES) return LINK_MALFORMED;
  const at = vector.offset[i] as number;
  vector.spi[i] = vector.slab.readUInt32BE(at);
  vector.sequenceHigh[i] = vector.slab.readUInt32BE(at + 4);
  vector.sequenceLow[i] = vector.slab.readUInt32BE(at + 8);
  vector.offset[i] = at + COMMITTED_HEADER_BYTES;
  vector.length[i] = (vector.length[i] as number) - COMMITTED_HEADER_BYTES;
  return KEEP;
}
