import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { LINK_PROTOCOL } from './ports.ts';
import type { PacketVector } from './vector.ts';
import { putUint32, uint32 } from '../packet/bytes.ts';

/*
 * A dispatch of an SA with ESN. Only the low half of a number is on the wire, and each host would infer the high one from
 * what it has seen (RFC 4303 appendix A2.2). A target has seen a share: where it infers another number than the one that the routing
 * host has checked, an old packet would be new to it. So the number is inferred once, and its high half goes along.
 *
 * |                  High half of the number (32)                 |   0
 * |                     Outer datagram, as received               |   4
 */
const HIGH_BYTES = 4;

const LINK_MALFORMED = verdictOf('link-malformed');

/** Puts the high half in front of packet `i`. Needs 4 bytes of headroom. */
export function putHighHalf(vector: PacketVector, i: number): void {
  const at = (vector.offset[i] as number) - HIGH_BYTES;
  putUint32(vector.slab, at, vector.sequenceHigh[i] as number);
  vector.offset[i] = at;
  vector.length[i] = (vector.length[i] as number) + HIGH_BYTES;
  vector.linkProtocol[i] = LINK_PROTOCOL.OUTER_EXTENDED;
}

/** Takes it off again, into `linkHigh`. */
export function takeHighHalf(vector: PacketVector, i: number): Verdict {
  if ((vector.length[i] as number) <= HIGH_BYTES) return LINK_MALFORMED;
  const at = vector.offset[i] as number;
  vector.linkHigh[i] = uint32(vector.slab, at);
  vector.offset[i] = at + HIGH_BYTES;
  vector.length[i] = (vector.length[i] as number) - HIGH_BYTES;
  return KEEP;
}
