/** Longer arrays have memory of their own. */
const LONGEST_BYTES = 128;
/** Few enough for what one small array keeps alive when all its neighbours are gone. */
const PIECE_BYTES = 1024;
const ALIGNED_BYTES = 4;

let piece = new ArrayBuffer(PIECE_BYTES);
let used = 0;

function place(bytes: number): number {
  if (used + bytes > PIECE_BYTES) {
    piece = new ArrayBuffer(PIECE_BYTES);
    used = 0;
  }
  const at = used;
  used += Math.ceil(bytes / ALIGNED_BYTES) * ALIGNED_BYTES;
  return at;
}

/**
 * So many words, zeros: for what thousands of objects keep. An array with memory of its own takes 350 bytes besides what is in it; these share pieces,
 * each of which lives as long as one of its arrays. Not for secrets, nor for anybody who looks at `buffer`.
 */
export function smallWords(length: number): Uint32Array {
  const bytes = length * Uint32Array.BYTES_PER_ELEMENT;
  if (bytes > LONGEST_BYTES) return new Uint32Array(length);
  const at = place(bytes);
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
  if (bytes.length > LONGEST_BYTES) return Uint8Array.from(bytes);
  const at = place(bytes.length);
  const copy = new Uint8Array(piece, at, bytes.length);
  copy.set(bytes);
  return copy;
}
