import type { SaFit } from '../ipsec/sa-fit.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { Ipv6Header, parseIpv6 } from '../packet/ipv6.ts';
import { clampMss } from '../packet/mss.ts';
import { TCP_FLAG } from '../packet/tcp.ts';
import type { PacketVector } from './vector.ts';

const ipv6 = new Ipv6Header();

/**
 * Lowers the MSS in a SYN or SYN-ACK to what passes in both directions without fragments. Packet `i` is a whole inner packet whose headers
 * were read; anything else stays as it is.
 */
export function clampInnerMss(vector: PacketVector, i: number, fit: SaFit, now: number): void {
  if (((vector.tcpFlags[i] as number) & TCP_FLAG.SYN) === 0 || vector.fragment[i] !== FRAGMENT.WHOLE) return;
  fit.refresh(now);
  const headerBytes = innerHeaderBytes(vector, i);
  const at = (vector.offset[i] as number) + headerBytes;
  const bytes = (vector.length[i] as number) - headerBytes;
  clampMss(vector.slab, at, bytes, fit.mss(vector.family[i] as number));
}

function innerHeaderBytes(vector: PacketVector, i: number): number {
  const offset = vector.offset[i] as number;
  if (vector.family[i] === 4) return (vector.slab.readUInt8(offset) & 15) * 4;
  parseIpv6(vector.slab, offset, vector.length[i] as number, ipv6);
  return ipv6.headerBytes;
}
