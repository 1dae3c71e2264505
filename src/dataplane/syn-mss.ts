import { KEEP } from '../base/verdict.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import type { PathFit } from '../ipsec/path-fit.ts';
import { Ipv6Chain, walkIpv6Chain } from '../packet/ipv6-chain.ts';
import { clampMss } from '../packet/mss.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { TCP_FLAG } from '../packet/tcp.ts';
import type { PacketVector } from './vector.ts';

/** What TCP may send per segment. */
export type SegmentFit = Pick<PathFit, 'mss4' | 'mss6'>;

const chain = new Ipv6Chain();

/**
 * Lowers the MSS of plain inner packet `i`, whose headers were read, if it is a SYN: neither side then sends segments that would
 * have to be cut.
 */
export function clampSyn(vector: PacketVector, i: number, fit: SegmentFit): void {
  const isSyn =
    vector.protocol[i] === IP_PROTOCOL.TCP && ((vector.tcpFlags[i] as number) & TCP_FLAG.SYN) !== 0;
  if (!isSyn || vector.fragment[i] === FRAGMENT.LATER) return;
  const { slab } = vector;
  const offset = vector.offset[i] as number;
  const length = vector.length[i] as number;
  if (vector.family[i] === 6) {
    if (walkIpv6Chain(slab, offset, length, chain) !== KEEP) return;
    clampMss(slab, offset + chain.upperAt, length - chain.upperAt, fit.mss6);
  } else {
    const headerBytes = (slab.readUInt8(offset) & 15) * 4;
    clampMss(slab, offset + headerBytes, length - headerBytes, fit.mss4);
  }
}
