import { lowestOf, type TargetMask } from '../target-mask.ts';
import type { DistributionMethod, TargetCounts } from './distribution-method.ts';
import { EQUAL_WEIGHTS, weightColumn, type Weights } from './weights.ts';

/**
 * Weighted active connections (z/OS WEIGHTEDACTIVE; LVS calls it weighted least-connection): the target with the fewest
 * connections for its weight, open and promised ones together; of equals the one with the larger weight, then the lower index. It
 * follows how long connections last, and evens out by itself what else has put connections somewhere. A target that comes back
 * without any gets all new ones until it is level. Forged packets add promises only: they count for seconds, within quota.
 */
export class WeightedActive implements DistributionMethod {
  readonly isStateless = false;
  readonly #weight: Float64Array;

  constructor(weights: Weights = EQUAL_WEIGHTS) {
    this.#weight = weightColumn(weights);
  }

  addTarget(): void {}

  removeTarget(): void {}

  choose(candidates: TargetMask, { tentative, active }: TargetCounts): number {
    let best = -1;
    let bestCount = 0;
    let bestWeight = 0;
    for (let rest = candidates; rest !== 0; rest &= rest - 1) {
      const target = lowestOf(rest);
      const count = (active[target] as number) + (tentative[target] as number);
      const weight = this.#weight[target] as number;
      // count / weight, compared without a division.
      const difference = count * bestWeight - bestCount * weight;
      if (best >= 0 && (difference > 0 || (difference === 0 && weight <= bestWeight))) continue;
      best = target;
      bestCount = count;
      bestWeight = weight;
    }
    return best;
  }

  confirmed(): void {}

  setLoad(): void {}
}
