import type { SecurityAssociation } from '../ipsec/sa.ts';
import {
  decapsulatedEcn,
  ECN,
  ECN_DROP,
  ECN_MASK,
  readTrafficClass,
  writeTrafficClass,
} from '../packet/traffic-class.ts';
import type { PacketVector } from './vector.ts';

/*
 * What routers on the way wrote into the outer header, and what of it the inner packet gets when the tunnel is taken off (RFC 4301
 * section 5.1.2.1, RFC 6040). Nobody authenticates it. In transport mode the outer header is the packet's own, and stays as it is.
 */

/** Of an inbound SA. */
type MarkedSa = Pick<SecurityAssociation, 'mode' | 'copy'>;

/**
 * Whether opened packet `i` must be dropped: congestion was marked on a packet that is not capable of ECN (RFC 6040 section 4.2). Ask
 * before its number is spent: a copy with such a mark, which anybody on the way can make, must not take the genuine packet's place.
 */
export function isRefusedForCongestion(vector: PacketVector, i: number, { mode, copy }: MarkedSa): boolean {
  if (mode !== 'tunnel' || !copy.ecn || (vector.length[i] as number) < 2) return false;
  const outer = readTrafficClass(vector.slab, vector.outerOffset[i] as number) & ECN_MASK;
  if (outer !== ECN.CONGESTION) return false;
  const inner = readTrafficClass(vector.slab, vector.offset[i] as number) & ECN_MASK;
  return decapsulatedEcn(inner, outer) === ECN_DROP;
}

/** Hands ECN, and DSCP if the SA says so (`copy_dscp = in` or `yes`), on to inner packet `i`, whose headers were read. */
export function takeOuterMarks(vector: PacketVector, i: number, { mode, copy }: MarkedSa): void {
  if (mode !== 'tunnel') return;
  const outer = readTrafficClass(vector.slab, vector.outerOffset[i] as number);
  const inner = vector.trafficClass[i] as number;
  const dscp = (copy.dscp ? outer : inner) & ~ECN_MASK;
  const ecn = copy.ecn ? decapsulatedEcn(inner & ECN_MASK, outer & ECN_MASK) : inner & ECN_MASK;
  if (ecn === ECN_DROP || (dscp | ecn) === inner) return;
  writeTrafficClass(vector.slab, vector.offset[i] as number, dscp | ecn);
  vector.trafficClass[i] = dscp | ecn;
}
