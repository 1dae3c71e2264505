import { hasTarget, lowestOf, maskOf, NO_TARGETS, type TargetMask } from '../target-mask.ts';
import type { DistributionMethod, TargetCounts } from './distribution-method.ts';

/**
 * Hot standby (z/OS HOTSTANDBY): one target, the *active* one, gets all new connections; the others wait, in the configured order.
 * With `switchesBack` the first of the order that is there is active; without, a target stays active until it is drained or lost,
 * whoever comes back meanwhile. Only such events move the role. A packet for which the active target is no candidate (it has
 * not acknowledged the SA yet, it does not listen) goes to the next one and changes nothing.
 */
export class HotStandby implements DistributionMethod {
  readonly isStateless = true;
  readonly #order: number[];
  readonly #switchesBack: boolean;
  #targets: TargetMask = NO_TARGETS;
  #active = -1;

  /** `order`: preferred ones first. Targets that are not in it come after, as they are added. */
  constructor(order: readonly number[] = [], switchesBack = true) {
    this.#order = [...order];
    this.#switchesBack = switchesBack;
  }

  addTarget(target: number): void {
    this.#targets |= maskOf(target);
    if (!this.#order.includes(target)) this.#order.push(target);
    if (this.#active < 0 || this.#switchesBack) this.#active = this.#firstOf(this.#targets);
  }

  removeTarget(target: number): void {
    this.#targets &= ~maskOf(target);
    if (this.#active === target) this.#active = this.#firstOf(this.#targets);
  }

  choose(candidates: TargetMask, _counts: TargetCounts, _hash: number): number {
    if (hasTarget(candidates, this.#active)) return this.#active;
    const first = this.#firstOf(candidates);
    return first >= 0 ? first : lowestOf(candidates);
  }

  confirmed(): void {}

  setLoad(): void {}

  #firstOf(mask: TargetMask): number {
    for (const target of this.#order) if (hasTarget(mask, target)) return target;
    return -1;
  }
}
