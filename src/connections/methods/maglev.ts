import type { TargetMask } from '../target-mask.ts';
import type { DistributionMethod, TargetCounts } from './distribution-method.ts';

/** Maglev as a service's method: new connections go where segments without an entry go as well (`MaglevTable`). */
export class Maglev implements DistributionMethod {
  readonly isStateless = true;
  readonly #table: () => { choose(candidates: TargetMask, hash: number): number };

  /** `table`: the service's present one. */
  constructor(table: () => { choose(candidates: TargetMask, hash: number): number }) {
    this.#table = table;
  }

  addTarget(): void {}

  removeTarget(): void {}

  choose(candidates: TargetMask, _counts: TargetCounts, hash: number): number {
    return this.#table().choose(candidates, hash);
  }

  confirmed(): void {}

  setLoad(): void {}
}
