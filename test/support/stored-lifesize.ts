import {
  type LifesizeAction,
  LifesizeOwner,
  type LifesizeOwnerOptions,
} from '../../src/ipsec/lifesize-owner.ts';
import type { LifesizeMarks } from '../../src/ipsec/lifesize-marks.ts';

/** A lifesize owner whose store answers at once. `marks`: what the store has; the last of them. */
export class StoredLifesize extends LifesizeOwner {
  marks: LifesizeMarks | undefined;
  #others: LifesizeAction[] = [];

  constructor(options: LifesizeOwnerOptions) {
    super(options);
    this.marks = options.marks;
  }

  override takeActions(): readonly LifesizeAction[] {
    this.#settle();
    const others = this.#others;
    this.#others = [];
    return others;
  }

  override targetReady(target: string, incarnation: bigint, now: number): void {
    super.targetReady(target, incarnation, now);
    this.#settle();
  }

  override reported(...given: Parameters<LifesizeOwner['reported']>): boolean {
    const isAllowed = super.reported(...given);
    this.#settle();
    return isAllowed;
  }

  #settle(): void {
    for (let actions = super.takeActions(); actions.length > 0; actions = super.takeActions()) {
      for (const action of actions) {
        if (action.kind !== 'store-marks') this.#others.push(action);
        else {
          this.marks = action.marks;
          super.storeDone(0);
        }
      }
    }
  }
}
