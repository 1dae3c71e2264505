import { KEEP, type Verdict } from '../base/verdict.ts';
import { InnerHeaderReader } from '../ipsec/inner-headers.ts';
import { compareInner } from './runs.ts';
import type { PacketVector } from './vector.ts';

const reader = new InnerHeaderReader();
const inner = { bytes: Buffer.alloc(0) as Buffer, at: 0, length: 0, available: 0 };

/**
 * Reads the headers of a plain inner packet into the vector's inner columns, and trims what is behind it (TFC padding, RFC
 * 4303 section 2.7): on a target after the ICV was verified, and for packets that an application sends.
 */
export function readInnerHeaders(vector: PacketVector, i: number): Verdict {
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
  compareInner(vector, i);
  return KEEP;
}
