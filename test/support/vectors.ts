import { readFileSync } from 'node:fs';

/** Reads a JSON file of test/vectors; the caller knows its shape. */
export function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
}

export const fromHex = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** The bytes at `offset` of a larger slab full of 0xaa: code that reads from 0, or past the end, shows. */
export function inSlab(bytes: Uint8Array, offset = 37): Buffer {
  const slab = Buffer.alloc(offset + bytes.length + 64, 0xaa);
  slab.set(bytes, offset);
  return slab;
}
