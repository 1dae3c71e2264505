/**
 * A replay window on its way between hosts: the highest authenticated number, and one bit per number from
 * there downwards (bit i, in byte i >> 3, lowest bit first: `top - i` is refused). What lies left of the
 * bitmap is refused as well.
 */
export interface ReplaySnapshot {
  readonly top: bigint;
  readonly bitmap: Uint8Array;
}

/** Nothing received yet. */
export const EMPTY_SNAPSHOT: ReplaySnapshot = { top: 0n, bitmap: new Uint8Array(0) };

/** Whether a window restored from the snapshot would refuse the number. */
export function snapshotRefuses(snapshot: ReplaySnapshot, number: bigint): boolean {
  if (number < 1n) return true;
  const behind = snapshot.top - number;
  if (behind < 0n) return false;
  if (behind >= BigInt(snapshot.bitmap.length * 8)) return true;
  const back = Number(behind);
  return (((snapshot.bitmap[back >> 3] as number) >> (back & 7)) & 1) === 1;
}

/**
 * What both together know: refuses every number that either refuses, accepts the rest. Used when windows
 * of several targets are gathered after a take-over. Commutative, associative in what it refuses.
 */
export function mergeSnapshots(a: ReplaySnapshot, b: ReplaySnapshot): ReplaySnapshot {
  const top = a.top > b.top ? a.top : b.top;
  const bitmap = new Uint8Array(Math.max(a.bitmap.length, b.bitmap.length));
  // Plain numbers: a restarted agent merges thousands of windows before it serves. Exact where it matters.
  const behindA = Number(top - a.top);
  const behindB = Number(top - b.top);
  const numbers = Math.min(bitmap.length * 8, Number(top));
  for (let back = 0; back < numbers; back++) {
    if (refusesBack(a.bitmap, back - behindA) || refusesBack(b.bitmap, back - behindB)) {
      bitmap[back >> 3] = (bitmap[back >> 3] as number) | (1 << (back & 7));
    }
  }
  return { top, bitmap };
}

/** `back` below the snapshot's own top; negative: above it. */
function refusesBack(bitmap: Uint8Array, back: number): boolean {
  if (back < 0) return false;
  const byte = bitmap[back >> 3];
  return byte === undefined || ((byte >> (back & 7)) & 1) === 1;
}

/** Whether a snapshot from outside is one: a 64-bit top, and not more bits than a window can have. */
export function isReplaySnapshot(snapshot: ReplaySnapshot, maxPackets: number): boolean {
  return (
    snapshot.top >= 0n && snapshot.top < 1n << 64n && snapshot.bitmap.length <= Math.ceil(maxPackets / 8)
  );
}
