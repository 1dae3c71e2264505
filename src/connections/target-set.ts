import { hasTarget, maskOf, NO_TARGETS, type TargetMask } from './target-mask.ts';

/** What users of a set of targets need of it; a `Set` of their indexes is one. */
export interface Targets {
  readonly size: number;
  has(target: number): boolean;
  add(target: number): unknown;
  delete(target: number): unknown;
}

/** One that is looked at per packet: a single number. */
export class TargetSet implements Targets {
  #mask: TargetMask = NO_TARGETS;

  get size(): number {
    let size = 0;
    for (let rest = this.#mask; rest !== NO_TARGETS; rest &= rest - 1) size++;
    return size;
  }

  has(target: number): boolean {
    return hasTarget(this.#mask, target);
  }

  /** Throws `RangeError` for what is no target's index. */
  add(target: number): void {
    this.#mask |= maskOf(target);
  }

  delete(target: number): void {
    if (hasTarget(this.#mask, target)) this.#mask &= ~maskOf(target);
  }
}
