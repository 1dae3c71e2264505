import { randomBytes } from 'node:crypto';
import { KeyMaterial } from '../base/key-material.ts';

/** A new random key. */
export function drawKey(lengthBytes: number): KeyMaterial {
  const bytes = randomBytes(lengthBytes);
  const key = KeyMaterial.copyOf(bytes);
  bytes.fill(0);
  return key;
}
