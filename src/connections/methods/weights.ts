import { MAX_TARGETS } from '../target-mask.ts';

/** Relative shares of new connections by target, 1 to 100; a target without one has 1. */
export type Weights = ReadonlyMap<number, number>;

export const EQUAL_WEIGHTS: Weights = new Map();

/** One weight a target, for look-ups without allocation. */
export function weightColumn(weights: Weights): Float64Array {
  const column = new Float64Array(MAX_TARGETS).fill(1);
  for (const [target, weight] of weights) column[target] = weight;
  return column;
}
