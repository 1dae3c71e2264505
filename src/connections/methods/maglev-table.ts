import type { KeyedHash } from '../connection-key.ts';
import { hasTarget, lowestOf, type TargetMask } from '../target-mask.ts';
import { weightColumn, type Weights } from './weights.ts';

/** Primes, as the permutations need. The first that has 100 slots for each unit of weight: then shares are right to a percent. */
const SIZES = [1021, 4093, 16_381, 65_521] as const;
const SLOTS_PER_WEIGHT = 100;
/** What the two hashes of a target are for. */
const OFFSET = 1;
const SKIP = 2;
/** Places that are asked one after another before all candidates are weighed. */
const TRIES = 16;
const EMPTY = 0xff;

/**
 * Consistent hashing as in Maglev (Eisenbud et al., NSDI 2016, section 3.4): a table of slots, filled by the targets in turns, each
 * in the order of a permutation of its own. A connection's hash names a slot, the slot a target.
 *
 * It is filled with *all* configured targets, and never again: a target that is no candidate is skipped at the look-up, by going
 * on to another slot that a hash of the first hash and the number of the try names. So a target that goes moves its own share only,
 * evenly to the others, and gets exactly that back when it returns; rebuilding the table would move some of the others' as well.
 * Keyed with the secret seed, as the connections' hash is: nobody outside can aim at a target.
 */
export class MaglevTable {
  readonly #slots: Uint8Array;
  readonly #weight: Float64Array;

  /** `targets`: all configured ones, at least one. */
  constructor(hash: KeyedHash, targets: readonly number[], weights: Weights) {
    this.#weight = weightColumn(weights);
    this.#slots = filled(hash, targets, this.#weight);
  }

  /** Slots of the table. */
  get size(): number {
    return this.#slots.length;
  }

  /** The candidate that the hash names, or -1 if there is none. Allocates nothing. */
  choose(candidates: TargetMask, hash: number): number {
    if (candidates === 0) return -1;
    let at = hash;
    for (let tried = 1; tried <= TRIES; tried++) {
      const target = this.#slots[(at >>> 0) % this.#slots.length] as number;
      if (hasTarget(candidates, target)) return target;
      at = mix(hash ^ Math.imul(tried, 0x9e3779b1));
    }
    return this.#heaviest(candidates, hash);
  }

  /**
   * Few candidates of many targets: the highest random weight, the logarithm of a uniform number over the target's weight
   * (weighted rendezvous hashing). Who joins the candidates takes from the others, and nothing else moves.
   */
  #heaviest(candidates: TargetMask, hash: number): number {
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (let rest = candidates; rest !== 0; rest &= rest - 1) {
      const target = lowestOf(rest);
      const uniform = (mix(hash ^ Math.imul(target + 1 + TRIES, 0x9e3779b1)) + 0.5) / 2 ** 32;
      const weight = Math.log(uniform) / (this.#weight[target] as number);
      if (weight <= most) continue;
      most = weight;
      best = target;
    }
    return best;
  }
}

function filled(hash: KeyedHash, targets: readonly number[], weight: Float64Array): Uint8Array {
  const weights = targets.map((target) => weight[target] as number);
  const unit = weights.reduce(greatestCommonDivisor, 0);
  const units = weights.reduce((sum, each) => sum + each / unit, 0);
  const size = SIZES.find((slots) => slots >= units * SLOTS_PER_WEIGHT) ?? SIZES[SIZES.length - 1];
  const largest = Math.max(...weights);
  const slots = new Uint8Array(size as number).fill(EMPTY);
  const order = targets.map((target, i) => ({
    target,
    weight: weights[i] as number,
    at: hash.words(target, OFFSET, 0, 0, 0) % slots.length,
    skip: (hash.words(target, SKIP, 0, 0, 0) % (slots.length - 1)) + 1,
    turns: 0,
  }));
  for (let taken = 0; taken < slots.length; ) {
    for (const each of order) {
      // The heaviest has a turn in every round, the others in proportion.
      each.turns += each.weight;
      if (each.turns < largest || taken === slots.length) continue;
      each.turns -= largest;
      while (slots[each.at] !== EMPTY) each.at = (each.at + each.skip) % slots.length;
      slots[each.at] = each.target;
      taken++;
    }
  }
  return slots;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Finalizer of MurmurHash3 (32 bits): spreads every input bit; the secret is in the hash that comes in. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
