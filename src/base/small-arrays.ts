import { Pieces } from './pieces.ts';

const pieces = new Pieces();

/** So many words, zeros: for what thousands of objects keep. Not for secrets, nor for anybody who looks at `buffer`. */
export function smallWords(length: number): Uint32Array {
  const { piece, at } = pieces.take(length * Uint32Array.BYTES_PER_ELEMENT);
  return new Uint32Array(piece, at, length);
}

/** A copy of words, likewise. */
export function smallWordsOf(words: ArrayLike<number>): Uint32Array {
  const copy = smallWords(words.length);
  copy.set(words);
  return copy;
}

/** A copy of bytes, likewise. */
export function smallBytesOf(bytes: Uint8Array): Uint8Array {
  const { piece, at } = pieces.take(bytes.length);
  const copy = new Uint8Array(piece, at, bytes.length);
  copy.set(bytes);
  return copy;
}
