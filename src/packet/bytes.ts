/*
 * Numbers in network byte order, for parsers that have checked the length: a fraction of what `Buffer.readUInt32BE` costs, which checks
 * the kind of its argument and throws. Beyond the end there are zeros.
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
