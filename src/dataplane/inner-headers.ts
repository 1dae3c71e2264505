import { KEEP, type Verdict } from '../base/verdict.ts';
import { InnerHeaderReader } from '../ipsec/inner-headers.ts';
import { readOrdinary } from '../ipsec/ordinary-headers.ts';
import { uint16, uint8 } from '../packet/bytes.ts';
import { IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { compareInner } from './runs.ts';
import type { PacketVector } from './vector.ts';

const reader = new InnerHeaderReader();
const inner = { bytes: Buffer.alloc(0) as Buffer, at: 0, length: 0, available: 0 };

/**
 * Reads the headers of a plain inner packet into the vector's inner columns, and trims what is behind it (TFC padding, RFC
 * 4303 section 2.7): on a target after the ICV was verified, and for packets that an application sends.
 */
export function readInnerHeaders(vector: PacketVector, i: number): Verdict {
  const verdict = readOrdinaryHeaders(vector, i) ? KEEP : readAnyHeaders(vector, i);
  if (verdict === KEEP) compareInner(vector, i);
  return verdict;
}

function readOrdinaryHeaders(vector: PacketVector, i: number): boolean {
  const { slab } = vector;
  const at = vector.offset[i] as number;
  const length = vector.length[i] as number;
  if (!readOrdinary(slab, at, length, length, vector, i)) return false;
  if (vector.family[i] === 6) {
    vector.length[i] = IPV6_HEADER_BYTES + uint16(slab, at + 4);
    vector.trafficClass[i] = (uint16(slab, at) >> 4) & 255;
    vector.dontFragment[i] = 1;
    vector.hopLimit[i] = uint8(slab, at + 7);
  } else {
    vector.length[i] = uint16(slab, at + 2);
    vector.trafficClass[i] = uint8(slab, at + 1);
    vector.dontFragment[i] = (uint8(slab, at + 6) >> 6) & 1;
    vector.hopLimit[i] = uint8(slab, at + 8);
  }
  return true;
}

function readAnyHeaders(vector: PacketVector, i: number): Verdict {
  inner.bytes = vector.slab;
  inner.at = vector.offset[i] as number;
  inner.length = vector.length[i] as number;
  inner.available = inner.length;
  const bad = reader.read(inner, vector, i);
  if (bad !== KEEP) return bad;
  vector.length[i] = reader.totalBytes;
  vector.trafficClass[i] = reader.trafficClass;
  vector.dontFragment[i] = reader.hasDontFragment ? 1 : 0;
  vector.hopLimit[i] = reader.hopLimit;
  return KEEP;
}
