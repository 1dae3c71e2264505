/*
 * Numbers in network byte order, for codecs that know the length: a fraction of what `Buffer.readUInt32BE` costs, which checks
 * the kind of its argument and throws. Beyond the end there are zeros, and nothing is written.
 */

export function uint8(slab: Uint8Array, at: number): number {
  return (slab[at] as number) | 0;
}

export function uint16(slab: Uint8Array, at: number): number {
  return ((slab[at] as number) << 8) | (slab[at + 1] as number);
}

export function uint32(slab: Uint8Array, at: number): number {
  return (
    (((slab[at] as number) << 24) |
      ((slab[at + 1] as number) << 16) |
      ((slab[at + 2] as number) << 8) |
      (slab[at + 3] as number)) >>>
    0
  );
}

export function putUint16(slab: Uint8Array, at: number, value: number): void {
  slab[at] = value >>> 8;
  slab[at + 1] = value;
}

export function putUint32(slab: Uint8Array, at: number, value: number): void {
  slab[at] = value >>> 24;
  slab[at + 1] = value >>> 16;
  slab[at + 2] = value >>> 8;
  slab[at + 3] = value;
}
