import { KEEP } from '../base/verdict.ts';
import { encodeStampHints } from '../ipsec/stamp-packet.ts';
import type { PacketVector } from './vector.ts';

/** What the outer header takes from the inner one, which the stamper cannot see: of the packets with verdict 0, masked already. */
export function writeStampHints(vector: PacketVector): void {
  const { slab, trafficClass, hopLimit, dontFragment } = vector;
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] !== KEEP) continue;
    const hints = {
      trafficClass: trafficClass[i] as number,
      hopLimit: hopLimit[i] as number,
      dontFragment: dontFragment[i] === 1,
    };
    encodeStampHints(slab, vector.offset[i] as number, hints);
  }
}
