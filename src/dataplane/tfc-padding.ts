import type { SendingSa } from './sending-sa.ts';
import type { PacketVector } from './vector.ts';

/** So much fits in every slot of every vector, wherever in it the packet begins: jumbo frames are padded no further. */
export const TFC_MAX_BYTES = 3840;

/**
 * Traffic flow confidentiality (RFC 4303 section 2.7): zeros behind inner packet `i`, before it is counted and sealed, up to the SA's length or to
 * what fits the path, whichever is less. Tunnel mode only, where the inner header tells the receiver where the packet ends.
 */
export function padForTfc(vector: PacketVector, i: number, { sa, fit }: Pick<SendingSa, 'sa' | 'fit'>): void {
  if (sa.tfcBytes === 0) return;
  const length = vector.length[i] as number;
  const wanted = Math.min(sa.tfcBytes, fit.innerBytes, TFC_MAX_BYTES) - length;
  const padding = Math.min(wanted, vector.roomBehind(i));
  if (padding <= 0) return;
  const end = (vector.offset[i] as number) + length;
  vector.slab.fill(0, end, end + padding);
  vector.length[i] = length + padding;
}
