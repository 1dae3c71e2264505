import { KeyMaterial } from '../../src/base/key-material.ts';

/**
 * Every KeyMaterial made while `work` runs: to see that none is left behind with its bytes. `onStart` gets the list
 * while it grows.
 */
export async function watchKeys(
  work: () => Promise<unknown>,
  onStart?: (made: readonly KeyMaterial[]) => void,
): Promise<KeyMaterial[]> {
  const made: KeyMaterial[] = [];
  onStart?.(made);
  const copyOf = KeyMaterial.copyOf.bind(KeyMaterial);
  KeyMaterial.copyOf = (source) => {
    const key = copyOf(source);
    made.push(key);
    return key;
  };
  try {
    await work();
  } finally {
    KeyMaterial.copyOf = copyOf;
  }
  return made;
}
